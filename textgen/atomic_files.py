"""Writing that leaves either the old bytes or the new ones, whatever happens in between.

Temporary sibling in the same directory, write, fsync, rename, fsync of the directory. Temporary names begin with a
dot and end in `.tmp`, so readers never take one for a finished file. Each is locked while its process lives, so that
what a killed process left can be told from what another one is writing.
"""

import contextlib
import hashlib
import json
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

TEMPORARY = re.compile(r"\..*\.tmp")
ABANDONED_SECONDS = 3600.0  # a process that is alive writes to its temporaries more often than that


def write_bytes(path: Path, content: bytes) -> None:
    """Replace the file at `path` by `content`, whole or not at all. Raises OSError."""
    with replacing_file(path) as file:
        file.write(content)


@contextlib.contextmanager
def replacing_file(path: Path) -> Iterator[BinaryIO]:
    """Yield a temporary file that becomes `path` when the block ends well, and vanishes when it does not."""
    handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            try_lock(handle)
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
    sync_directory(path.parent)


def write_json(path: Path, document: Any) -> None:
    """Replace the file at `path` by `document`, indented, whole or not at all."""
    write_bytes(path, to_json_bytes(document))


def to_json_bytes(document: Any) -> bytes:
    """`document` as indented UTF-8 JSON with a final newline; NaN and infinities are refused."""
    return (json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()


@contextlib.contextmanager
def new_directory(path: Path) -> Iterator[Path]:
    """Yield a temporary directory that becomes `path` when the block ends well, and vanishes when it does not.

    `path` must not exist. Every file in the directory is on disk before the rename.
    """
    temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent))
    try:
        os.chmod(temporary, 0o777 & ~_umask())
        with _held(temporary):
            yield temporary
            for entry in sorted(temporary.rglob("*")):
                sync_directory(entry) if entry.is_dir() else _sync_file(entry)
            sync_directory(temporary)
            os.rename(temporary, path)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    sync_directory(path.parent)


def make_directory(path: Path) -> None:
    """Make `path` and what is missing above it, durably; it may be there already. Raises OSError."""
    missing = [directory for directory in (path, *path.parents) if not os.path.isdir(directory)]
    path.mkdir(parents=True, exist_ok=True)
    for directory in missing:
        sync_directory(directory.parent)


def remove_directory(path: Path) -> None:
    """Remove a directory with all that is in it; it loses its name first, so that no reader ever sees half of it.

    Raises OSError when it cannot lose its name; what cannot be deleted after that stays as a temporary.
    """
    doomed = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    shutil.rmtree(doomed, ignore_errors=True)
    os.rename(path, doomed)
    shutil.rmtree(doomed, ignore_errors=True)


def remove_abandoned(
    directory: Path, *, names: re.Pattern[str] = TEMPORARY, seconds: float = ABANDONED_SECONDS
) -> None:
    """Remove the temporaries in `directory` that killed processes left; one that cannot be removed stays.

    Args:
        names: of the temporaries that count.
        seconds: how long nothing was written to them; 0 for whoever knows that nobody else writes here.
    """
    with contextlib.suppress(OSError):
        for entry in directory.iterdir():
            if names.fullmatch(entry.name) and seconds_untouched(entry) >= seconds and not _is_held(entry):
                shutil.rmtree(entry) if entry.is_dir() else entry.unlink()


def seconds_untouched(path: Path) -> float:
    """How long ago `path` or a file in it was written to; 0 for what has just gone."""
    try:
        times = [path.stat().st_mtime]
        if path.is_dir():
            times += [file.stat().st_mtime for file in path.iterdir()]
    except OSError:
        return 0.0
    return time.time() - max(times)


def try_lock(descriptor: int) -> bool | None:
    """Lock an open file or directory until it is closed, or until this process is gone.

    Returns:
        True when it is ours, False when another holds it, None where the system or the disk has no locks.
    """
    if fcntl is None:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def sync_directory(path: Path) -> None:
    """Make renames inside `path` durable."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sha256_of(path: Path) -> str:
    """Hex digest of the file's bytes, read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextlib.contextmanager
def _held(path: Path) -> Iterator[None]:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        try_lock(descriptor)
        yield
    finally:
        os.close(descriptor)


def _is_held(path: Path) -> bool:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    try:
        return try_lock(descriptor) is False
    finally:
        os.close(descriptor)


def _sync_file(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current
