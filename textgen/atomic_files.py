"""Writing that leaves either the old bytes or the new ones, whatever happens in between.

Temporary sibling in the same directory, write, fsync, rename, fsync of the directory. Temporary names begin with a
dot and end in `.tmp`, so readers never take one for a finished file.
"""

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO


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
        yield temporary
        for entry in sorted(temporary.rglob("*")):
            sync_directory(entry) if entry.is_dir() else _sync_file(entry)
        sync_directory(temporary)
        os.rename(temporary, path)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    sync_directory(path.parent)


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


def _sync_file(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current
