"""Checkpoints: everything that the next step depends on, in a sealed directory of its own.

    checkpoints/step-00001200/
        config.json, tokenizer.json, weights.safetensors    the best model so far: it can be sampled
        training.safetensors                                current weights, optimizer slots, carried state
        progress.json                                       step, schedule, best loss, history
        manifest.json                                       sizes and SHA-256, written last

A checkpoint is written under a temporary name and renamed when it is whole; the newest whole one counts. Dropout masks
and batches are functions of (seed, step), so there is no other state. One that is saved for a step again gets a name of
its own, `step-00001200.0001`, so that at no instant there is none.
"""

import contextlib
import dataclasses
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np

from textgen import atomic_files, model_store
from textgen.config import TrainingConfig
from textgen.errors import CheckpointError, ModelError, SettingError, TextgenError
from textgen.records import ModelRecord
from textgen.sealed_files import read_json, seal, write_json
from textgen.settings import Settings, setting
from textgen.tensor_files import read_tensors, write_tensors
from textgen.tokenizers import Tokenizer
from textgen.training.divergence import MAX_ROLLBACKS
from textgen.training.reporting import Evaluated


@dataclasses.dataclass(frozen=True)
class Progress(Settings):
    """How far a run is. Numbers survive JSON exactly, so a resumed run goes on with the same ones."""

    step: int = setting(0, "Steps done.", minimum=0)
    total_steps: int = setting(1, "Steps of the whole run.", minimum=1)
    evaluate_every: int = setting(1, "Steps between evaluations.", minimum=1)
    checkpoint_every: int = setting(1, "Steps between checkpoints.", minimum=1)
    best_step: int = setting(0, "Step of the best weights.", minimum=0)
    best_loss: float | None = setting(None, "Validation loss of the best weights.")
    loss_sum: float = setting(0.0, "Sum of the train losses since the last evaluation.")
    loss_count: int = setting(0, "How many they are.", minimum=0)
    loss_mean: float | None = setting(None, "Running mean of the train loss, in nats; none before the first.")
    rollbacks: int = setting(0, "Times the run went back with a halved rate.", minimum=0, maximum=MAX_ROLLBACKS)
    train_seconds: float = setting(0.0, "Seconds spent in train steps.", minimum=0)
    seconds: float = setting(0.0, "Wall-clock seconds of the run so far.", minimum=0)


class Checkpoint(NamedTuple):
    """One moment of a run."""

    record: ModelRecord
    tokenizer: Tokenizer
    progress: Progress
    history: tuple[Evaluated, ...]
    best_weights: dict[str, np.ndarray]
    training: dict[str, np.ndarray]  # current weights, optimizer slots and carried state, float32

    @classmethod
    def read(cls, directory: Path) -> Self:
        """The checkpoint in `directory`. Raises TextgenError when it is not whole."""
        model = model_store.read_checkpoint_model(directory)
        progress, history = _read_progress(directory / model_store.PROGRESS)
        training = read_tensors(directory / model_store.TRAINING_STATE)
        return cls(model.record, model.tokenizer, progress, history, model.weights, training)


def save_checkpoint(run_dir: Path, checkpoint: Checkpoint, keep: int = TrainingConfig.keep_checkpoints) -> Path:
    """Write a checkpoint, then remove all but the newest `keep`; what is left of later steps was damaged or given up.

    Raises:
        CheckpointError: it cannot be written. Nothing half-written is left, and earlier ones are as they were.
    """
    directory = run_dir / model_store.CHECKPOINTS
    try:
        atomic_files.make_directory(directory)
        target = _free_path(directory, checkpoint.progress.step)
        with atomic_files.replacing_directory(target) as temporary:
            _write(temporary, checkpoint)
    except OSError as problem:
        raise CheckpointError(f"cannot save a checkpoint in {directory}: {problem.strerror or problem}") from problem
    _remove_others(run_dir, target, keep)
    return target


def _free_path(directory: Path, step: int) -> Path:
    """A new name for the checkpoint of `step`, after all others of that step."""
    found = [model_store.checkpoint_number(path) for path in model_store.checkpoint_dirs(directory.parent)]
    numbers = [number for found_step, number in found if found_step == step]
    return directory / (f"step-{step:08d}" + (f".{max(numbers) + 1:04d}" if numbers else ""))


def _remove_others(run_dir: Path, newest: Path, keep: int) -> None:
    """Remove all checkpoints but `newest` and the `keep` - 1 before its step; the run went back from later ones."""
    step, _ = model_store.checkpoint_number(newest)
    others = [path for path in model_store.checkpoint_dirs(run_dir) if path != newest]
    earlier = [path for path in others if model_store.checkpoint_number(path)[0] < step]
    for path in others:
        if path not in earlier[: keep - 1]:
            with contextlib.suppress(OSError):
                atomic_files.remove_directory(path)


def load_newest(
    run_dir: Path, is_wanted: Callable[[Progress], bool] = lambda progress: True
) -> tuple[Checkpoint, list[str]]:
    """The newest whole checkpoint of a run that is wanted, and a line for every newer one that is damaged.

    Raises:
        ModelError: no such checkpoint.
    """
    problems: list[str] = []
    for directory in model_store.checkpoint_dirs(run_dir):
        try:
            checkpoint = Checkpoint.read(directory)
            if is_wanted(checkpoint.progress):
                return checkpoint, problems
        except TextgenError as problem:
            problems.append(f"checkpoint {directory.name} is damaged and not used: {problem}")
    raise ModelError("; ".join(problems) or f"{run_dir} has no checkpoint to resume from. To begin, leave out --resume")


def resume_command(run_dir: Path) -> str:
    """What to type to go on with a run."""
    return f"textgen train --resume --name {shlex.quote(run_dir.name)}{models_dir_flag(run_dir)}"


def models_dir_flag(run_dir: Path) -> str:
    """` --models-dir DIR` where a model is not where commands look for it."""
    is_default = run_dir.parent == model_store.default_models_dir()
    return "" if is_default else f" --models-dir {shlex.quote(str(run_dir.parent))}"


def _write(directory: Path, checkpoint: Checkpoint) -> None:
    model_store.write_model_files(directory, checkpoint.record, checkpoint.tokenizer, checkpoint.best_weights)
    write_tensors(directory / model_store.TRAINING_STATE, checkpoint.training)
    history = [row.to_json() for row in checkpoint.history]
    write_json(directory / model_store.PROGRESS, {**checkpoint.progress.to_json(), "history": history})
    seal(directory, model_store.CHECKPOINT_FILES)


def _read_progress(path: Path) -> tuple[Progress, tuple[Evaluated, ...]]:
    document = read_json(path)
    history = document.pop("history", None)
    if not isinstance(history, list):
        raise SettingError(f"{path} holds no history")
    return Progress.from_json(document), tuple(Evaluated.from_json(row) for row in history)
