"""Standard input, kept so that it can be read more than once.

What goes in: a stream that can be read once. What comes out: its bytes, from the start, as often as they are asked for.
Up to some size they are in memory, beyond it in a temporary file without a name, which goes when nobody holds it.
"""

import contextlib
import sys
import tempfile
import weakref
from collections.abc import Iterator
from typing import BinaryIO

from textgen.corpus.decoding import BLOCK_BYTES, read_block
from textgen.errors import CorpusError

BYTES_IN_MEMORY = 1 << 24


class SpooledInput:
    """What `-` stands for. Nothing is read before `open` is called."""

    def __init__(self, stdin: BinaryIO | None = None):
        """Args: stdin: the bytes to read; the process's own standard input when left out."""
        self._stdin = stdin
        self._file: BinaryIO | None = None

    @contextlib.contextmanager
    def open(self) -> Iterator[BinaryIO]:
        """The bytes from the start. Raises CorpusError."""
        if self._file is None:
            self._file = self._spool()
        self._file.seek(0)
        yield self._file

    def _spool(self) -> BinaryIO:
        if self._stdin is None and sys.stdin is None:
            raise CorpusError("stdin is closed. Pipe a text into it, or give a file.")
        stdin = sys.stdin.buffer if self._stdin is None else self._stdin
        file = tempfile.SpooledTemporaryFile(BYTES_IN_MEMORY)  # noqa: SIM115 - lives as long as this object
        weakref.finalize(self, file.close)
        while block := read_block(stdin, "stdin", BLOCK_BYTES):
            try:
                file.write(block)
            except OSError as error:
                reason = error.strerror or error
                raise CorpusError(f"cannot keep stdin in {tempfile.gettempdir()}: {reason}. Set TMPDIR.") from error
        return file
