"""Writing files and directories so that the old content or the new content is there, whatever happens in between.

The new content is written under a temporary name in the same directory, flushed to the disk and renamed; then the
rename is flushed. Temporary names begin with a dot and end in `.tmp`, so that no reader takes one for a finished file.
Each is locked while its process lives, which tells the temporaries of a killed process from those of a running one.

What is removed is named by an open directory and a name in it. So no link leads the removal to another place, not even
one that takes the place of a directory meanwhile. Only plain files and directories are removed, or opened.
"""

import contextlib
import errno
import hashlib
import json
import os
import re
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

try:
    import fcntl
except ImportError:
    fcntl = None  # type: ignore[assignment]  # Windows has none

ABANDONED_SECONDS = 3600.0  # a process that is alive writes to its temporaries more often than that


def write_bytes(path: Path, content: bytes) -> None:
    """Replace the file at `path` by `content`. Raises OSError."""
    with replacing_file(path) as file:
        file.write(content)


@contextlib.contextmanager
def replacing_file(path: Path, mode: int | None = None) -> Iterator[BinaryIO]:
    """Yield a temporary file that becomes `path` when the block ends well, and is removed otherwise. Raises OSError.

    Under the umask it gets `mode`; without one, it is open to those to whom its directory is.
    """
    mode = path.parent.stat().st_mode & 0o666 if mode is None else mode
    handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            try_lock(handle)
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, mode & ~_umask())
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
    sync_directory(path.parent)


def to_json_bytes(document: Any) -> bytes:
    """`document` as indented UTF-8 JSON with a final newline. Raises ValueError for NaN and infinities."""
    return (json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()


@contextlib.contextmanager
def replacing_directory(path: Path, *, overwrite: bool = False, mode: int = 0o777) -> Iterator[Path]:
    """Yield a temporary directory that becomes `path` when the block ends well, and is removed otherwise.

    Every file in it is on the disk before the rename.

    Args:
        path: the directory to make or to replace.
        overwrite: a directory that stands at `path` is set aside just before the rename and removed after it; when the
            rename fails, it is brought back. Without `overwrite`, a directory that holds files is an OSError.
        mode: what the umask leaves of it is the mode of the directory.

    Raises:
        OSError: the directory cannot be written. Nothing new is left, unless only the rename could not be flushed.
    """
    aside = path.with_name(_doomed(path.name))
    with opened(path.parent) as parent:
        temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent))
        try:
            os.chmod(temporary, mode & ~_umask())
            with _held(temporary):
                yield temporary
                for entry in sorted(temporary.rglob("*")):
                    sync_directory(entry) if entry.is_dir() else _sync_file(entry)
                sync_directory(temporary)
                if overwrite and path.exists():
                    set_aside(path, aside)
                os.rename(temporary, path)
        except BaseException:
            _remove(temporary.name, parent)
            if overwrite:
                bring_back(path, aside)
            raise
        try:
            sync_directory(path.parent)
        finally:
            if overwrite:
                _remove(aside.name, parent)


def set_aside(path: Path, aside: Path) -> None:
    """Rename the directory `path` to `aside`, durably, in place of a directory that stands there. Raises OSError."""
    remove_directory(aside.parent, aside.name)
    if os.path.lexists(aside):
        raise FileExistsError(errno.EEXIST, f"{aside} is in the way and is no directory. Move it elsewhere")
    os.rename(path, aside)
    sync_directory(path.parent)


def bring_back(path: Path, aside: Path) -> None:
    """Undo `set_aside`; nothing happens where it was not done, or where `path` has been made anew. Raises OSError."""
    if os.path.isdir(aside) and not os.path.islink(aside) and not os.path.lexists(path):
        os.rename(aside, path)
        sync_directory(path.parent)


def make_directory(path: Path, mode: int = 0o777) -> None:
    """Make `path`, with `mode` as far as the umask allows, and its missing parents, durably; it may be there already.

    Raises OSError.
    """
    missing = [directory for directory in (path, *path.parents) if not os.path.isdir(directory)]
    path.mkdir(mode, parents=True, exist_ok=True)
    for directory in missing:
        sync_directory(directory.parent)


@contextlib.contextmanager
def opened(directory: Path, *names: str) -> Iterator[int]:
    """Open `directory`, in it the directory names[0], in that names[1] and so on; yield the last one's descriptor.

    Links are followed to `directory`, which the user named, and not below it.

    Raises:
        OSError: one of them is missing, or a link, or no directory.
    """
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        for name in names:
            inner = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = inner
        yield descriptor
    finally:
        os.close(descriptor)


def remove_directory(directory: Path, *names: str) -> None:
    """Remove the directory that `names` lead to, as `opened`, with its contents; what is no directory stays.

    It is renamed first, so that no reader sees half of it. Files that cannot be deleted then stay as a temporary.

    Raises:
        OSError: it cannot be renamed, and is as it was.
    """
    *above, name = names
    with opened(directory, *above) as parent:
        if stat.S_ISDIR(_mode(name, parent)):
            _remove(_doomed(name), parent)
            os.rename(name, _doomed(name), src_dir_fd=parent, dst_dir_fd=parent)
            _remove(_doomed(name), parent)


def remove_empty(directory: Path, *names: str) -> None:
    """Remove the directory that `names` lead to, as `opened`, if it is there and empty. Raises OSError."""
    *above, name = names
    try:
        with opened(directory, *above) as parent:
            os.rmdir(name, dir_fd=parent)
    except OSError as problem:
        if problem.errno not in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENOTEMPTY, errno.EEXIST):
            raise


def temporaries_of(names: str) -> re.Pattern[str]:
    """The temporary names of files and directories whose own names match the regular expression `names`."""
    return re.compile(rf"\.(?:{names})\.[a-z0-9_]+\.tmp")


def remove_abandoned(directory: Path, *names: str, owned: re.Pattern[str], seconds: float = ABANDONED_SECONDS) -> None:
    """Remove what killed processes left in the directory that `names` lead to, as `opened`, as far as that can be done.

    Args:
        owned: the names of what may be removed; directories are not searched.
        seconds: what was written to more recently stays; 0 if no other process writes here.
    """
    with contextlib.suppress(OSError), opened(directory, *names) as parent:
        for name in os.listdir(parent):
            if owned.fullmatch(name) and _is_abandoned(name, parent, seconds):
                _remove(name, parent)


def seconds_untouched(path: Path | int) -> float:
    """Seconds since a file, or a directory or a file in it, was written to; 0 where it no longer exists.

    A time that lies in the future, because the clock was set back, counts as now.
    """
    try:
        times = [os.stat(path).st_mtime]
        if os.path.isdir(path):
            with os.scandir(path) as entries:
                times += [entry.stat(follow_symlinks=False).st_mtime for entry in entries]
    except OSError:
        return 0.0
    return max(0.0, time.time() - max(times))


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


def _is_abandoned(name: str, parent: int, seconds: float) -> bool:
    mode = _mode(name, parent)
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        return False
    try:
        descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=parent)
    except OSError:
        return False
    try:
        return seconds_untouched(descriptor) >= seconds and try_lock(descriptor) is not False
    finally:
        os.close(descriptor)


def _remove(name: str, parent: int) -> None:
    """Remove a file or a directory in the open directory `parent`, as far as that can be done; a link stays."""
    with contextlib.suppress(OSError):
        mode = _mode(name, parent)
        if stat.S_ISDIR(mode):
            shutil.rmtree(name, ignore_errors=True, dir_fd=parent)  # follows no link, and removes those inside
        elif stat.S_ISREG(mode):
            os.unlink(name, dir_fd=parent)


def _mode(name: str, parent: int) -> int:
    """What `name` is in the open directory `parent`; 0 where nothing has that name."""
    try:
        return os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode
    except FileNotFoundError:
        return 0


def _doomed(name: str) -> str:
    return f".{name}.{os.getpid()}.tmp"


def _sync_file(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current
