"""The bytes of a file on their way to the decoder, counted and hashed.

Hashing takes a tenth of the time in which a table is read. So, where there is another core, it hashes a block while the
next one is read and decoded.
"""

import hashlib
from typing import TYPE_CHECKING

from textgen.cores import asked_beside, available_cores
from textgen.corpus.decoding import ByteStream

if TYPE_CHECKING:
    from concurrent.futures import Future

LEAST_SHARED = 1 << 16  # bytes, for which it is worth the while to ask another core


class PassingBytes:
    """A binary file that can be read, and that knows what has passed."""

    def __init__(self, file: ByteStream):
        self.num_bytes = 0
        self._file = file
        self._digest = hashlib.sha256()
        self._last = b""  # what has passed and is not hashed yet
        self._hashing: Future[None] | None = None

    def read(self, size: int = -1, /) -> bytes:
        """As of a binary file."""
        self._wait()
        if len(self._last) >= LEAST_SHARED and available_cores() > 1:
            self._hashing = asked_beside(self._digest.update, self._last)  # begins while the file is read
        if self._hashing is None:
            self._digest.update(self._last)
        self._last = self._file.read(size)
        self.num_bytes += len(self._last)
        return self._last

    def digest(self) -> bytes:
        """SHA-256 of all that has passed so far."""
        self._wait()
        self._digest.update(self._last)
        self._last = b""
        return self._digest.digest()

    def _wait(self) -> None:
        if self._hashing is not None:
            self._hashing.result()
            self._hashing = None
