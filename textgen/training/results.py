"""What came out of a run, or has so far, as a model says it."""

import json
from pathlib import Path
from typing import NamedTuple

from textgen.records import Evaluated, ModelRecord, Progress, ResultRecord, installed_versions
from textgen.store import atomic, model_directory
from textgen.training.novelty import Copy, Origins
from textgen.training.plan import Plan


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


def write_history(path: Path, history: tuple[Evaluated, ...]) -> None:
    """Write the evaluations into the model directory `path`, for programs and for people. Raises OSError."""
    rows = [json.dumps(row.to_json(), ensure_ascii=False) + "\n" for row in history]
    samples = [f"--- step {row.step}, epoch {row.epoch:.2f}\n{row.sample}\n\n" for row in history]
    atomic.write_bytes(path / model_directory.METRICS, "".join(rows).encode())
    atomic.write_bytes(path / model_directory.SAMPLES, "".join(samples).encode())
