"""Writing files and directories so that the old content or the new content is there, whatever happens in between.

The new content is written under a temporary name in the same directory, flushed to the disk and renamed; then the
rename is flushed. Temporary names begin with a dot and end in `.tmp`, so that no reader takes one for a finished file.
Each is locked while its process lives, which tells the temporaries of a killed process from those of a running one.
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
except ImportError:
    fcntl = None  # type: ignore[assignment]  # Windows has none

TEMPORARY = re.compile(r"\..*\.tmp")
ABANDONED_SECONDS = 3600.0  # a process that is alive writes to its temporaries more often than that


def write_bytes(path: Path, content: bytes) -> None:
    """Replace the file at `path` by `content`. Raises OSError."""
    with replacing_file(path) as file:
        file.write(content)


@contextlib.contextmanager
def replacing_file(path: Path) -> Iterator[BinaryIO]:
    """Yield a temporary file that becomes `path` when the block ends well, and is removed otherwise. Raises OSError."""
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
    """Replace the file at `path` by `document` as indented JSON. Raises OSError, and ValueError as `to_json_bytes`."""
    write_bytes(path, to_json_bytes(document))


def to_json_bytes(document: Any) -> bytes:
    """`document` as indented UTF-8 JSON with a final newline. Raises ValueError for NaN and infinities."""
    return (json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()


@contextlib.contextmanager
def replacing_directory(path: Path, *, overwrite: bool = False) -> Iterator[Path]:
    """Yield a temporary directory that becomes `path` when the block ends well, and is removed otherwise.

    Every file in it is on the disk before the rename.

    Args:
        path: the directory to make or to replace.
        overwrite: a directory that stands at `path` is set aside just before the rename and removed after it; when the
            rename fails, it is brought back. Without `overwrite`, a directory that holds files is an OSError.

    Raises:
        OSError: the directory cannot be written. Nothing new is left, unless only the rename could not be flushed.
    """
    temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent))
    aside = _temporary_sibling(path)
    try:
        os.chmod(temporary, 0o777 & ~_umask())
        with _held(temporary):
            yield temporary
            for entry in sorted(temporary.rglob("*")):
                sync_directory(entry) if entry.is_dir() else _sync_file(entry)
            sync_directory(temporary)
            if overwrite and path.exists():
                set_aside(path, aside)
            os.rename(temporary, path)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        if overwrite:
            bring_back(path, aside)
        raise
    try:
        sync_directory(path.parent)
    finally:
        if overwrite:
            shutil.rmtree(aside, ignore_errors=True)


def set_aside(path: Path, aside: Path) -> None:
    """Rename the directory `path` to `aside`, durably, in place of what stands there. Raises OSError."""
    remove_directory(aside)
    os.rename(path, aside)
    sync_directory(path.parent)


def bring_back(path: Path, aside: Path) -> None:
    """Undo `set_aside`; nothing happens where it was not done, or where `path` has been made anew. Raises OSError."""
    if aside.exists() and not path.exists():
        os.rename(aside, path)
        sync_directory(path.parent)


def make_directory(path: Path) -> None:
    """Make `path` and its missing parents, durably; it may be there already. Raises OSError."""
    missing = [directory for directory in (path, *path.parents) if not os.path.isdir(directory)]
    path.mkdir(parents=True, exist_ok=True)
    for directory in missing:
        sync_directory(directory.parent)


def remove_directory(path: Path) -> None:
    """Remove a directory and its contents, if it is there.

    It is renamed first, so that no reader sees half of it. Files that cannot be deleted then stay as a temporary.

    Raises:
        OSError: it cannot be renamed, and is as it was.
    """
    if not path.exists():
        return
    doomed = _temporary_sibling(path)
    shutil.rmtree(doomed, ignore_errors=True)
    os.rename(path, doomed)
    shutil.rmtree(doomed, ignore_errors=True)


def remove_abandoned(
    directory: Path, *, names: re.Pattern[str] = TEMPORARY, seconds: float = ABANDONED_SECONDS
) -> None:
    """Remove the temporaries in `directory` that killed processes left; one that cannot be removed stays.

    Args:
        directory: where they lie; directories in it are not searched.
        names: pattern of the names to remove.
        seconds: a temporary that was written to more recently stays; 0 if no other process writes here.
    """
    with contextlib.suppress(OSError):
        for entry in directory.iterdir():
            if names.fullmatch(entry.name) and seconds_untouched(entry) >= seconds and not _is_held(entry):
                shutil.rmtree(entry) if entry.is_dir() else entry.unlink()


def seconds_untouched(path: Path) -> float:
    """Seconds since `path` or a file in it was written to; 0 where it no longer exists."""
    try:
        times = [path.stat().st_mtime]
        if path.is_dir():
            times += [file.stat().st_mtime for file in path.iterdir()]
    except OSError:
        return 0.0
    return time.time() - max(times)


def try_lock(descriptor: int) -> bool | None:
    """Lock an open file or directory until it is closed or this process ends.

    Returns:
        True when this process holds the lock, False when another does, None where the system or the disk has no locks.
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
    """Make renames inside `path` durable. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sha256_of(path: Path) -> str:
    """SHA-256 of the file's bytes in hexadecimal, read in pieces. Raises OSError."""
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


def _temporary_sibling(path: Path) -> Path:
    return path.with_name(f".{path.name}.{os.getpid()}.tmp")


def _sync_file(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current
