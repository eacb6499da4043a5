"""The bytes of a file on their way to the decoder: counted, hashed, decompressed.

What goes in: a `SourceFile`. What comes out: an open file of the text's bytes, and, as they pass, how many bytes of the
file itself were read and their hash. The hash says whether two passes have read the same.
"""

import contextlib
import gzip
import hashlib
import os
from collections.abc import Iterator
from typing import BinaryIO

from textgen.corpus.sources import SourceFile


class PassingBytes:
    """Wraps a file that is open for reading, for one pass from its start to its end."""

    def __init__(self, file: BinaryIO):
        self._file = file
        self._digest = hashlib.sha256()
        self.num_bytes = 0

    def read(self, size: int = -1) -> bytes:
        """As of a binary file."""
        block = self._file.read(size)
        self._digest.update(block)
        self.num_bytes += len(block)
        return block

    def hexdigest(self) -> str:
        """SHA-256 of what has passed."""
        return self._digest.hexdigest()


@contextlib.contextmanager
def open_passing(source_file: SourceFile) -> Iterator[tuple[BinaryIO, PassingBytes]]:
    """The bytes of the text, and the file's own bytes as they pass."""
    with source_file.open() as file:
        passing = PassingBytes(file)
        if not source_file.is_compressed:
            yield passing, passing
            return
        with gzip.GzipFile(fileobj=passing, mode="rb") as uncompressed:
            yield uncompressed, passing


def size_of(source_file: SourceFile) -> int:
    """Bytes of the file as it lies there. Raises CorpusError when it cannot be opened."""
    with source_file.open() as file:
        file.seek(0, os.SEEK_END)
        return file.tell()
