"""The model directory around a run: what a killed run left in it, and the model that it held before.

A run that overwrites a model sets the old one aside under the name of `model_directory.set_aside_path`, where the next
run finds it if this one is killed. Callers hold the run's lock, or know that no other process writes the directory.
"""

import contextlib
import re
from collections.abc import Callable, Iterator
from pathlib import Path

from textgen.errors import ModelError
from textgen.store import atomic, model_directory


def recover(path: Path) -> None:
    """Bring the directory of a model to one of its proper states: nothing, a run with a checkpoint, or a model.

    Temporaries of killed processes are removed. A run that was killed before its first checkpoint leaves nothing, and
    the model that it was to replace comes back. A run that was killed after its model was complete leaves that model
    alone.

    Raises:
        ModelError: the directory cannot be written.
    """
    aside = model_directory.set_aside_path(path)
    try:
        names = "|".join(re.escape(own.name) for own in (path, aside))
        own = re.compile(rf"\.(?:{names})\.\d+\.tmp")  # not those of a model whose name begins alike
        atomic.remove_abandoned(path.parent, names=own, seconds=0)
        for directory in (path, path / model_directory.CHECKPOINTS):
            atomic.remove_abandoned(directory, seconds=0)
        if model_directory.is_finished(path):
            atomic.remove_directory(path / model_directory.CHECKPOINTS)
            atomic.remove_directory(aside)
        else:
            _bring_back(path, aside)
    except OSError as problem:
        raise ModelError(f"cannot write in {path}: {problem.strerror or problem}") from problem


@contextlib.contextmanager
def replacing(path: Path, overwrite: bool) -> Iterator[Callable[[], None]]:
    """Set the model at `path` aside while the block writes a new one in its place.

    It comes back when the block fails before the first checkpoint; `recover` does what could not be done here.

    Yields:
        A function to call when the new model is complete: it removes the old one.

    Raises:
        ModelError: the model cannot be set aside.
    """
    aside = model_directory.set_aside_path(path)
    try:
        if overwrite and path.exists():
            if aside.exists() and not model_directory.is_finished(path):
                atomic.remove_directory(path)  # a run that never finished; the model before it is set aside
            else:
                atomic.set_aside(path, aside)
    except OSError as problem:
        _try(_bring_back, path, aside)
        raise ModelError(f"cannot replace {path}: {problem.strerror or problem}") from problem
    try:
        yield lambda: _try(atomic.remove_directory, aside)
    except BaseException:
        _try(_bring_back, path, aside)
        raise


def _bring_back(path: Path, aside: Path) -> None:
    """Where a run has no checkpoint yet, replace its empty directories by the model set aside; other files stay."""
    if model_directory.checkpoint_dirs(path):
        return
    for directory in (path / model_directory.CHECKPOINTS, path):
        with contextlib.suppress(OSError):
            directory.rmdir()
    atomic.bring_back(path, aside)


def _try(action: Callable[..., None], *paths: Path) -> None:
    """Do what the next run does where it fails now."""
    with contextlib.suppress(OSError):
        action(*paths)
