"""Checkpoints: everything that the next step depends on, in a sealed directory of its own.

    checkpoints/step-00001200/
        config.json, tokenizer.json, weights.safetensors    the best model so far, or the newest: it can be sampled
        training.safetensors                                current weights, optimizer slots, carried state
        progress.json                                       step, schedule, best loss, history
        manifest.json                                       sizes and SHA-256, written last

A checkpoint is written under a temporary name and renamed when it is whole; the newest whole one counts. Dropout masks
and batches are functions of (seed, step), so there is no other state. A step that is saved again gets a second
checkpoint, `step-00001200.0001`, before the first one goes: at every instant there is a whole one.
"""

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np

from textgen.config import TrainingConfig
from textgen.errors import CheckpointError, ModelError, SettingError, TextgenError
from textgen.messages import few
from textgen.records import Evaluated, ModelRecord, Progress
from textgen.store import atomic, model_directory
from textgen.store.manifest import seal
from textgen.store.private import OWNER_ONLY
from textgen.store.strict_json import read_json, write_json
from textgen.store.tensors import read_tensors, write_tensors
from textgen.tokenizers import Tokenizer

CHECKPOINT_BYTES_PER_PARAMETER = 16  # the weights, two slots of the optimizer, and the best weights, float32


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
        model = model_directory.read_checkpoint_model(directory)
        progress, history = _read_progress(directory / model_directory.PROGRESS)
        training = read_tensors(directory / model_directory.TRAINING_STATE)
        return cls(model.record, model.tokenizer, progress, history, model.weights, training)


def save_checkpoint(
    run_dir: Path, checkpoint: Checkpoint, keep: int = TrainingConfig.keep_checkpoints, *, is_private: bool = False
) -> Path:
    """Write a checkpoint, then remove all but the newest `keep`; what is left of later steps was damaged or given up.

    Args:
        is_private: whether `run_dir`, where it has to be made, is for its owner alone.

    Raises:
        CheckpointError: it cannot be written. Nothing half-written is left, and earlier ones are as they were.
    """
    directory, mode = run_dir / model_directory.CHECKPOINTS, OWNER_ONLY if is_private else 0o777
    try:
        atomic.make_directory(run_dir, mode)
        atomic.make_directory(directory, mode)
        with atomic.opened(run_dir.parent, run_dir.name, directory.name):  # or a link would lead to another place
            target = _free_path(directory, checkpoint.progress.step)
        with atomic.replacing_directory(target, mode=mode) as temporary:
            _write(temporary, checkpoint)
    except OSError as problem:
        raise CheckpointError(f"cannot save a checkpoint in {directory}: {problem.strerror or problem}") from problem
    _remove_others(run_dir, target, keep)
    return target


def _free_path(directory: Path, step: int) -> Path:
    """A new name for the checkpoint of `step`, after all others of that step."""
    found = [model_directory.checkpoint_number(path) for path in model_directory.checkpoint_dirs(directory.parent)]
    numbers = [number for found_step, number in found if found_step == step]
    return directory / (f"step-{step:08d}" + (f".{max(numbers) + 1:04d}" if numbers else ""))


def _remove_others(run_dir: Path, newest: Path, keep: int) -> None:
    """Remove all checkpoints but `newest` and the `keep` - 1 before its step; the run went back from later ones."""
    step, _ = model_directory.checkpoint_number(newest)
    others = [path for path in model_directory.checkpoint_dirs(run_dir) if path != newest]
    earlier = [path for path in others if model_directory.checkpoint_number(path)[0] < step]
    for path in others:
        if path not in earlier[: keep - 1]:
            with contextlib.suppress(OSError):
                atomic.remove_directory(run_dir.parent, run_dir.name, model_directory.CHECKPOINTS, path.name)


def load_newest(
    run_dir: Path, is_wanted: Callable[[Progress], bool] = lambda progress: True
) -> tuple[Checkpoint, list[str]]:
    """The newest whole checkpoint of a run that is wanted, and a line for each of a few newer ones that are damaged.

    Raises:
        ModelError: no such checkpoint.
    """
    problems: list[str] = []
    for directory in model_directory.checkpoint_dirs(run_dir):
        try:
            checkpoint = Checkpoint.read(directory)
            if is_wanted(checkpoint.progress):
                return checkpoint, few(problems)
        except TextgenError as problem:
            problems.append(f"checkpoint {directory.name} is damaged and not used: {problem}")
    raise ModelError(
        "; ".join(few(problems)) or f"{run_dir} has no checkpoint to resume from. To begin, leave out --resume"
    )


def _write(directory: Path, checkpoint: Checkpoint) -> None:
    model_directory.write_model_files(directory, checkpoint.record, checkpoint.tokenizer, checkpoint.best_weights)
    write_tensors(directory / model_directory.TRAINING_STATE, checkpoint.training)
    history = [row.to_json() for row in checkpoint.history]
    write_json(directory / model_directory.PROGRESS, {**checkpoint.progress.to_json(), "history": history})
    seal(directory, model_directory.CHECKPOINT_FILES)


def _read_progress(path: Path) -> tuple[Progress, tuple[Evaluated, ...]]:
    document = read_json(path)
    history = document.pop("history", None)
    if not isinstance(history, list):
        raise SettingError(f"{path} holds no history")
    return Progress.from_json(document), tuple(Evaluated.from_json(row) for row in history)
