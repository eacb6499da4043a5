"""What was found out about shards, kept until the corpus is prepared: after a kill, no shard is done again.

Each is a file of arrays, named by a hash over its shard and over what was done with it; so it does not matter how the
run goes on, and with how many processes. The directory is hidden beside the prepared corpora, closed to other users,
and removed when the corpus is prepared or cannot be; what a killed run left, after KEPT_SECONDS. Keeping serves speed
alone: where something cannot be written, or read back whole, the shard is done again.
"""

import contextlib
import errno
import hashlib
import hmac
import io
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from textgen.dataset.shards import Arrays, Shard
from textgen.errors import ModelError
from textgen.store import atomic
from textgen.store.private import OWNER_ONLY, private_directory
from textgen.store.signature import signature_of
from textgen.store.strict_json import open_plain

KEPT_NAME = re.compile(r"\.[0-9a-f]{32}\.kept-shards\.tmp")
SIGNATURE_BYTES = 64  # of the signature that each file begins with, for anybody may have written it
ROOM_PER_CHARACTER = 4  # bytes: ids of one or two, which are written twice
KEPT_SECONDS = 7 * 86_400.0  # a week


class KeptShards:
    """A directory of results."""

    def __init__(self, directory: Path, room: int):
        """Args: room: bytes that must be free on the disk, or nothing is kept."""
        self._directory = directory
        self._room = room
        self._is_made = False

    def find(self, key: str) -> Arrays | None:
        """What was found out under that key, if it is there and whole."""
        try:
            with open_plain(self._path(key)) as file:
                signature, content = file.read(SIGNATURE_BYTES), file.read()
        except (ModelError, OSError):
            return None
        if not hmac.compare_digest(signature_of(key, content), signature):
            return None
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            return dict(arrays)

    def add(self, key: str, arrays: Arrays) -> None:
        """Keep it under that key, if there is room."""
        packed = io.BytesIO()
        np.savez(packed, **arrays)  # type: ignore[arg-type]  # of an option, whose name no array has
        content = packed.getvalue()
        with contextlib.suppress(OSError):
            self._make()
            handle, temporary = tempfile.mkstemp(dir=self._directory)
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(signature_of(key, content))
                    file.write(content)
                os.replace(temporary, self._path(key))
            except BaseException:
                os.unlink(temporary)
                raise

    def _make(self) -> None:
        if not self._is_made:
            with private_directory(self._directory.parent):
                if shutil.disk_usage(self._directory.parent).free < self._room:
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                self._directory.mkdir(OWNER_ONLY, exist_ok=True)
            if self._directory.is_symlink():
                raise NotADirectoryError(self._directory)
            self._is_made = True

    def _path(self, key: str) -> Path:
        return self._directory / key


def key_of(task: bytes, shard: Shard) -> str:
    """What a result is kept under.

    Args:
        task: says what was done, and all that this depends on beside the shard.
    """
    return hashlib.sha256(hashlib.sha256(task).digest() + shard.digest).hexdigest()


@contextlib.contextmanager
def kept_shards(path: Path, characters: int) -> Iterator[KeptShards]:
    """What is kept for the prepared corpus at `path`; removed at the end, unless somebody stops the process.

    Args:
        characters: of its text.
    """
    directory = path.with_name(f".{path.name}.kept-shards.tmp")
    try:
        yield KeptShards(directory, ROOM_PER_CHARACTER * characters)
    except Exception:
        _remove(directory)
        raise
    _remove(directory)


def remove_forgotten(folder: Path) -> None:
    """Remove what killed runs left in `folder`, and nobody has gone on with."""
    atomic.remove_abandoned(folder, owned=KEPT_NAME, seconds=KEPT_SECONDS)


def _remove(directory: Path) -> None:
    with contextlib.suppress(OSError):
        atomic.remove_directory(directory.parent, directory.name)
