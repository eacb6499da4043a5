"""What came out of a run, or has so far, as a model says it."""

import contextlib
import errno
import json
import os
import stat
from pathlib import Path
from typing import NamedTuple

import numpy as np

from textgen.config import SamplingConfig
from textgen.generation.generator import Generator
from textgen.generation.numpy_engine import NumpyEngine
from textgen.records import Evaluated, ModelRecord, Progress, ResultRecord, installed_versions
from textgen.store import atomic, model_directory
from textgen.training.novelty import Copy, Origins
from textgen.training.plan import Plan

SAMPLE = {  # about as long at both levels
    "char": SamplingConfig(length=200, temperature=0.8, ignore_eod=True),
    "word": SamplingConfig(length=40, temperature=0.8, ignore_eod=True),
}


class TrainingResult(NamedTuple):
    """What a run returns; `stopped_by` is the signal's number when somebody stopped it."""

    name: str
    path: Path
    results: ResultRecord
    stopped_by: int | None


def record_of(
    plan: Plan,
    progress: Progress,
    history: tuple[Evaluated, ...],
    final_loss: float | None = None,
    origins: Origins = Origins(),  # noqa: B008 (immutable)
    copy: Copy = Copy(),  # noqa: B008
) -> ModelRecord:
    """The `config.json` of a run that has come so far.

    Args:
        final_loss: of the best weights on the whole validation part, nats per token; None takes the best evaluation's.
    """
    loss = progress.best_loss if final_loss is None else final_loss
    results = ResultRecord(
        parameters=model_directory.num_parameters(plan.model),
        vocabulary_size=plan.model.vocabulary_size,
        steps=progress.step,
        total_steps=progress.total_steps,
        best_step=progress.best_step,
        epochs=plan.batches.epoch_of(progress.step),
        train_loss=history[-1].train_loss if history else None,
        validation_loss=loss,
        validation_bits_per_character=plan.bits_per_character(loss),
        tokens_per_second=plan.tokens_per_second(progress),
        seconds=progress.seconds,
        **origins._asdict(),
        **copy._asdict(),
    )
    return ModelRecord(plan.model, plan.text, plan.training, plan.corpus, results, installed_versions(), plan.parent)


def sample_of(plan: Plan, weights: dict[str, np.ndarray]) -> str:
    """What a model with these weights writes, for an evaluation."""
    writer = Generator(plan.tokenizer, NumpyEngine(plan.model, weights))
    return writer.generate("", SAMPLE[plan.text.level])[0].completion


def write_history(path: Path, history: tuple[Evaluated, ...]) -> None:
    """Write the evaluations into the model directory `path`, for programs and for people. Raises OSError."""
    samples = [f"--- step {row.step}, epoch {row.epoch:.2f}\n{row.sample}\n\n" for row in history]
    atomic.write_bytes(path / model_directory.METRICS, b"".join(map(_line, history)))
    atomic.write_bytes(path / model_directory.SAMPLES, "".join(samples).encode())


class Metrics:
    """The `metrics.jsonl` of a run that goes on, for those who look on. The run itself reads its checkpoints alone.

    So what cannot be written is left out, and the finished model gets a whole one.
    """

    def __init__(self, path: Path):
        """Args: path: the model directory."""
        self.path = path

    def restart(self, history: tuple[Evaluated, ...]) -> None:
        """The run goes on from a checkpoint; what was written after that is made again."""
        with contextlib.suppress(OSError), atomic.opened(self.path.parent, self.path.name):
            atomic.write_bytes(self.path / model_directory.METRICS, b"".join(map(_line, history)))

    def add(self, row: Evaluated) -> None:
        """One more evaluation."""
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK
        with contextlib.suppress(OSError), atomic.opened(self.path.parent, self.path.name) as directory:
            mode = os.fstat(directory).st_mode & 0o666  # open to those to whom the model is
            descriptor = os.open(model_directory.METRICS, flags, mode, dir_fd=directory)
            with os.fdopen(descriptor, "ab") as file:
                if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                    raise OSError(errno.EINVAL, "it is no file")
                file.write(_line(row))


def _line(row: Evaluated) -> bytes:
    return (json.dumps(row.to_json(), ensure_ascii=False) + "\n").encode()
