"""Texts of documents that were read once in this process, for the passes over a corpus that follow.

A corpus is read several times before a run begins, and a book of five hundred pages of PDF takes half a minute. Up to
BYTES_IN_MEMORY they are in memory, and beyond that in a temporary file without a name.
"""

import contextlib
import tempfile
import weakref

from textgen.corpus.formats import Extract

BYTES_IN_MEMORY = 1 << 24


class KeptTexts:
    """Extracts by a key of whatever they depend on. Where there is no room, nothing is kept."""

    def __init__(self) -> None:
        self._file = tempfile.SpooledTemporaryFile(BYTES_IN_MEMORY)  # noqa: SIM115 - lives as long as this object
        weakref.finalize(self, self._file.close)
        self._places: dict[bytes, tuple[int, int, str]] = {}

    def find(self, key: bytes) -> Extract | None:
        """What was kept under `key`."""
        if key not in self._places:
            return None
        start, num_bytes, parts = self._places[key]
        with contextlib.suppress(OSError):
            self._file.seek(start)
            return Extract(self._file.read(num_bytes).decode(), parts)
        return None

    def keep(self, key: bytes, extract: Extract) -> None:
        """Keep `extract` under `key`."""
        content = extract.text.encode()
        with contextlib.suppress(OSError):
            start = self._file.seek(0, 2)
            self._file.write(content)
            self._places[key] = start, len(content), extract.parts
