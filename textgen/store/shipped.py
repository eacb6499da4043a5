"""Models that come with textgen: which there are, where they lie, and that nothing is written there.

In a checkout their directory is `saved_models` beside the package, which is the default place of a user's own models
too; a wheel carries it inside the package. Every file that a wheel carries is named in setup.cfg.
"""

import os
from pathlib import Path

from textgen.errors import ModelError
from textgen.store.manifest import MANIFEST

SHIPPED = ("english",)
PACKAGE = Path(__file__).parents[1]


def directories() -> tuple[Path, Path]:
    """Where shipped models may lie: inside an installed package, beside the package in a checkout."""
    return PACKAGE / "saved_models", PACKAGE.parent / "saved_models"


def find(name: str) -> Path | None:
    """The directory of the shipped model of that name, unverified; None where there is none, or it is missing."""
    places = [directory / name for directory in directories() if name in SHIPPED]
    return next((place for place in places if os.path.isdir(place)), None)


def find_all() -> list[Path]:
    """The directories of all shipped models that are there, unverified."""
    return [path for name in SHIPPED if (path := find(name))]


def is_shipped(path: Path) -> bool:
    """Whether `path` is where a shipped model is, or would be if it were not missing; links are followed."""
    return _shipped_name(path) is not None


def check_writable(path: Path) -> None:
    """Raise ModelError where `path` is the directory of a shipped model, or in it."""
    for directory in (path, *Path(os.path.realpath(path)).parents):
        if name := _shipped_name(directory):
            raise ModelError(
                f"{name} comes with textgen and is not replaced. Use another --name, or another --models-dir"
            )


def _shipped_name(path: Path) -> str | None:
    places = [directory / name for directory in directories() for name in SHIPPED]
    found = next((place.name for place in places if _is_same(path, place)), None)
    return path.name if found is None and _is_copy(path) else found


def _is_copy(path: Path) -> bool:
    """Whether `path` holds the shipped model of its name, as a checkout does whose package is installed elsewhere."""
    import filecmp  # noqa: PLC0415

    own = find(path.name)
    if own is None or not os.path.isfile(path / MANIFEST):
        return False
    try:
        return filecmp.cmp(path / MANIFEST, own / MANIFEST, shallow=False)
    except OSError:
        return False


def _is_same(one: Path, other: Path) -> bool:
    """Whether two paths name one directory, which may be missing."""
    try:
        return os.path.samefile(one, other)  # also where a disk does not tell `English` from `english`
    except OSError:
        return os.path.realpath(one) == os.path.realpath(other)
