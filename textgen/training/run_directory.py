"""The model directory around a run: what a killed one left in it, and what it held before.

Whoever calls these holds the run's lock, or knows that nobody else writes the directory.
"""

import contextlib
import re
from collections.abc import Callable, Iterator
from pathlib import Path

from textgen import atomic_files, model_store
from textgen.errors import ModelError


def recover(path: Path) -> None:
    """Bring the directory of a model to one of its proper states: nothing, a run with a checkpoint, or a model.

    Temporaries of killed processes go. A run that was killed before its first checkpoint leaves nothing, and what it
    was to replace comes back; one that was killed when its model was complete leaves the model alone.

    Raises:
        ModelError: the directory cannot be written.
    """
    try:
        names = "|".join(re.escape(own.name) for own in (path, model_store.set_aside_path(path)))
        own = re.compile(rf"\.(?:{names})\.\d+\.tmp")  # not those of a model whose name begins alike
        atomic_files.remove_abandoned(path.parent, names=own, seconds=0)
        for directory in (path, path / model_store.CHECKPOINTS):
            atomic_files.remove_abandoned(directory, seconds=0)
        if (path / model_store.MANIFEST).exists():
            _remove(path / model_store.CHECKPOINTS)
            _remove(model_store.set_aside_path(path))
        else:
            _bring_back(path)
    except OSError as problem:
        raise ModelError(f"cannot write in {path}: {problem.strerror or problem}") from problem


@contextlib.contextmanager
def replacing(path: Path, overwrite: bool) -> Iterator[Callable[[], None]]:
    """Set the model that is overwritten aside until the new one is finished; bring it back if that fails early.

    Yields a function to call when the new model is complete. Raises ModelError.
    """
    aside = model_store.set_aside_path(path)
    try:
        if overwrite and path.exists():
            if aside.exists() and not (path / model_store.MANIFEST).exists():
                _remove(path)  # a run that never finished; what it was to replace is still set aside
            else:
                _remove(aside)
                path.rename(aside)
                atomic_files.sync_directory(path.parent)
    except OSError as problem:
        _try(_bring_back, path)
        raise ModelError(f"cannot replace {path}: {problem.strerror or problem}") from problem
    try:
        yield lambda: _try(_remove, aside)
    except BaseException:
        _try(_bring_back, path)
        raise


def _bring_back(path: Path) -> None:
    """Where a run has no checkpoint yet, put what it was to replace, or nothing; files of other kinds stay."""
    if model_store.checkpoint_dirs(path):
        return
    for directory in (path / model_store.CHECKPOINTS, path):
        with contextlib.suppress(OSError):
            directory.rmdir()
    aside = model_store.set_aside_path(path)
    if aside.exists() and not path.exists():
        aside.rename(path)
        atomic_files.sync_directory(path.parent)


def _try(action: Callable[[Path], None], path: Path) -> None:
    """What fails here is done by the next run."""
    with contextlib.suppress(OSError):
        action(path)


def _remove(path: Path) -> None:
    if path.exists():
        atomic_files.remove_directory(path)
