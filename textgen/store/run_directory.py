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
from textgen.store.manifest import MANIFEST, unexpected_names

MODEL_NAMES = (*model_directory.MODEL_FILES, model_directory.COPY_INDEX, MANIFEST, model_directory.CHECKPOINTS)
# What an interrupted save leaves in the directory of a model, and among its checkpoints.
TEMPORARIES = atomic.temporaries_of("|".join(map(re.escape, MODEL_NAMES)))
CHECKPOINT_TEMPORARIES = atomic.temporaries_of(model_directory.CHECKPOINT_NAME.pattern)


def check_replaceable(path: Path) -> None:
    """Raise ModelError unless all that lies in the directory `path` is a model's or a run's."""
    checkpoints = path / model_directory.CHECKPOINTS
    names = unexpected_names(path, MODEL_NAMES)
    if checkpoints.is_dir() and not checkpoints.is_symlink():
        found = unexpected_names(checkpoints, ())
        names += [f"{checkpoints.name}/{name}" for name in found if not model_directory.CHECKPOINT_NAME.fullmatch(name)]
    for name in names:
        raise ModelError(
            f"{path} holds {name!r}, which is no part of a model. Move it elsewhere, or use another --name"
        )


def recover(path: Path) -> None:
    """Bring the directory of a model to one of its proper states: nothing, a run with a checkpoint, or a model.

    Temporaries of killed processes are removed. A run that was killed before its first checkpoint leaves nothing, and
    the model that it was to replace comes back. A run that was killed after its model was complete leaves that model
    alone. Where `path` is a link, nothing is changed.

    Raises:
        ModelError: the directory cannot be written.
    """
    if path.is_symlink():
        return
    aside = model_directory.set_aside_path(path)
    try:
        names = "|".join(re.escape(own.name) for own in (path, aside))
        own = re.compile(rf"\.(?:{names})\.\d+\.tmp")  # not those of a model whose name begins alike
        checkpoints = path.parent, path.name, model_directory.CHECKPOINTS
        atomic.remove_abandoned(path.parent, owned=own, seconds=0)
        atomic.remove_abandoned(path.parent, path.name, owned=TEMPORARIES, seconds=0)
        atomic.remove_abandoned(*checkpoints, owned=CHECKPOINT_TEMPORARIES, seconds=0)
        if model_directory.is_finished(path):
            remove_checkpoints(path)
            atomic.remove_directory(path.parent, aside.name)
        else:
            _bring_back(path, aside)
    except OSError as problem:
        raise ModelError(f"cannot write in {path}: {problem.strerror or problem}") from problem


def remove_checkpoints(path: Path) -> None:
    """Remove the checkpoints of a finished model; what else lies among them stays. Raises OSError."""
    checkpoints = path.parent, path.name, model_directory.CHECKPOINTS
    for owned in (model_directory.CHECKPOINT_NAME, CHECKPOINT_TEMPORARIES):
        atomic.remove_abandoned(*checkpoints, owned=owned, seconds=0)
    atomic.remove_empty(*checkpoints)


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
                # A run that never finished; the model before it is set aside.
                atomic.remove_directory(path.parent, path.name)
            else:
                atomic.set_aside(path, aside)
    except OSError as problem:
        _try(_bring_back, path, aside)
        raise ModelError(f"cannot replace {path}: {problem.strerror or problem}") from problem
    try:
        yield lambda: _try(atomic.remove_directory, aside.parent, aside.name)
    except BaseException:
        _try(_bring_back, path, aside)
        raise


def _bring_back(path: Path, aside: Path) -> None:
    """Where a run has no checkpoint yet, replace its empty directories by the model set aside; other files stay."""
    if model_directory.checkpoint_dirs(path):
        return
    for names in ((path.name, model_directory.CHECKPOINTS), (path.name,)):
        _try(atomic.remove_empty, path.parent, *names)
    atomic.bring_back(path, aside)


def _try(action: Callable[..., None], *paths: Path | str) -> None:
    """Do what the next run does where it fails now."""
    with contextlib.suppress(OSError):
        action(*paths)
