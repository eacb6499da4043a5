"""An index of a text that tells whether a run of characters stands in it: exact, it misses none and makes none up.

    copy_index.bin      16 bytes     b"textgen1", and the number N of the text's bytes, little-endian
                        N bytes      the text, UTF-8
                        8 bytes      zero
                        4M bytes     where each of its M characters begins, sorted by what stands there (suffixes.py)

So it is at most five times as large as the text, and 24 bytes. It holds the whole text, which anybody can read in it.
Documents stand one after the other as they are written, with what is written between two of them.
"""

import bisect
import hashlib
import os
import struct
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import BinaryIO, Self

import numpy as np

from textgen.config import END_OF_DOCUMENT
from textgen.errors import CorpusError, ModelError
from textgen.memory import check_fits
from textgen.store import atomic
from textgen.store.manifest import ADVICE, MANIFEST
from textgen.store.strict_json import open_plain, unreadable
from textgen.store.suffixes import AT_ONCE, DEPTH, WORD, Suffixes, is_start

HEAD = struct.Struct("<8sQ")
MAGIC = b"textgen1"
PLACE = np.dtype("<u4")
MOST_BYTES = 2**32 - 2  # of a text, which places of 32 bits tell apart
MOST_CHARACTERS = MOST_BYTES // 4


def write_copy_index(path: Path, blocks: Iterable[str], separator: str) -> int:
    """Replace the file at `path` by the index of the text in `blocks`, and return its size in bytes.

    Args:
        separator: what is written for an END_OF_DOCUMENT.

    Raises:
        CorpusError: the text is empty, or too long.
        OSError: the file cannot be written; nothing is left of it.
    """
    with atomic.replacing_file(path) as file:
        file.write(HEAD.pack(MAGIC, 0))
        size = 0
        for block in blocks:
            content = block.replace(END_OF_DOCUMENT, separator).encode()
            size += len(content)
            if size > MOST_BYTES:
                raise CorpusError(f"a text with an index has at most {MOST_BYTES:,} bytes. Leave out --copy-index")
            file.write(content)
        if not size:
            raise CorpusError("a text with an index needs at least one character")
        file.write(bytes(WORD))
        file.flush()
        _write_places(file, size)
        num_bytes = file.tell()
        file.seek(0)
        file.write(HEAD.pack(MAGIC, size))
    return num_bytes


def _write_places(file: BinaryIO, size: int) -> None:
    """Write the places of the text of `size` bytes that stands in `file`; it is mapped until nobody looks at it."""
    import mmap  # noqa: PLC0415

    mapped = mmap.mmap(file.fileno(), HEAD.size + size + WORD, access=mmap.ACCESS_READ)
    for places in Suffixes(np.frombuffer(mapped, np.uint8, offset=HEAD.size)).places():
        file.write(places.astype(PLACE).data)


class CopyIndex:
    """The index of a text, to be asked."""

    def __init__(self, text: bytes, places: np.ndarray):
        """Args: text: UTF-8. places: uint32 [M], where its characters begin, in their order."""
        self.text = text
        self._array = places
        self._places = places.astype(np.uint32, copy=False).data  # its elements are Python's own numbers, and come fast

    @classmethod
    def read(cls, path: Path, sha256: str | None = None) -> Self:
        """The index in the file at `path`.

        Args:
            sha256: what a manifest says of the file; None asks nothing.

        Raises:
            ModelError: it is damaged, or no index.
            SettingError: there is no memory for it.
        """
        with open_plain(path) as file:
            try:
                num_bytes = os.fstat(file.fileno()).st_size
                head = file.read(HEAD.size)
                magic, size = HEAD.unpack(head) if len(head) == HEAD.size else (b"", 0)
                if magic != MAGIC or not 0 < size <= min(MOST_BYTES, num_bytes - HEAD.size - WORD):
                    raise ModelError(f"{path} is no index of a text, or is cut short. {ADVICE}")
                check_fits(num_bytes, f"reading {path}", "Close other programs, or leave out `max_copy`")
                parts = head, file.read(size), file.read(WORD), file.read(num_bytes)
            except OSError as problem:
                raise unreadable(path, problem) from None
        digest = hashlib.sha256()
        for part in parts:
            digest.update(part)
        if sha256 is not None and digest.hexdigest() != sha256:
            raise ModelError(f"{path} is damaged: its SHA-256 is not the one in {MANIFEST}. {ADVICE}")
        _, text, end, content = parts
        num_places = len(content) // PLACE.itemsize
        places = np.frombuffer(content[: num_places * PLACE.itemsize], PLACE)
        is_whole = len(text) == size and end == bytes(WORD) and num_places * PLACE.itemsize == len(content)
        if not is_whole or num_places != _num_characters(text) or places.max() >= size:
            raise ModelError(f"{path} is no index of a text: its places are not those of its text. {ADVICE}")
        return cls(text, places)

    @property
    def text_sha256(self) -> str:
        """The SHA-256 of the text."""
        return hashlib.sha256(self.text).hexdigest()

    def check(self) -> None:
        """Raise ValueError unless the text is UTF-8 and the places are those of its characters, in their order."""
        self.text.decode()
        points, seen = np.frombuffer(self.text, np.uint8), np.zeros(len(self.text), bool)
        seen[self._array] = True
        if not np.array_equal(seen, is_start(points)):
            raise ValueError("its places are not where the characters of its text begin")
        words = Suffixes(np.append(points, np.zeros(WORD, np.uint8))).words
        for start in range(0, len(self._array), AT_ONCE):
            found = words[self._array[start : start + AT_ONCE + 1]]
            if (found[1:] < found[:-1]).any():
                raise ValueError("its places are not in their order")

    def find(self, run: bytes) -> int | None:
        """The first place where the characters `run` stand, as a number of bytes; None where they stand nowhere."""
        low, high = self._range(run)
        found = self._array[low:high]
        if len(run) > DEPTH:
            found = np.array([place for place in self._places[low:high] if self.text.startswith(run, place)], PLACE)
        return int(found.min()) if len(found) else None

    def followed_by(self, run: bytes, options: Sequence[bytes]) -> list[int] | None:
        """The numbers of those `options` that follow `run` somewhere; None where it is clear that it stands nowhere.

        Args:
            run: whole characters; a part of the text that begins alike is compared byte by byte.
            options: whole characters each, sorted, and none of them begins another.
        """
        text, places, length = self.text, self._places, len(run)
        low, high = self._range(run)
        if low == high:
            return None
        room = max(0, DEPTH - length)  # so many bytes of the options are sorted
        widest = max(map(len, options), default=0)
        cut = options if widest <= room else [option[:room] for option in options]
        found: set[int] = set()
        while low < high:
            place = places[low] + length
            here = text[place : place + room]
            last = bisect.bisect_right(cut, here)
            if last and here.startswith(cut[last - 1]):
                key = cut[last - 1]
                end = self._first(key, length, low, high, bisect.bisect_right)
                if cut is options:
                    found.add(last - 1)
                else:
                    found.update(self._verified(run, options, widest, low, end))
                low = end
            elif last < len(cut):
                low = self._first(cut[last], length, low, high, bisect.bisect_left)
            else:
                break
        return sorted(found)

    def characters_before(self, place: int) -> int:
        """How many characters stand before the byte at `place`."""
        return _num_characters(self.text[:place])

    def line_of(self, run: bytes) -> int:
        """The number of the line, from 1, in which `run` begins first; 1 where it stands nowhere."""
        return self.text.count(b"\n", 0, self.find(run) or 0) + 1

    def _range(self, run: bytes) -> tuple[int, int]:
        """The part of the places at which the first DEPTH bytes of `run` stand."""
        key = run[:DEPTH]
        low = self._first(key, 0, 0, len(self._places), bisect.bisect_left)
        if low == len(self._places) or not self.text.startswith(key, self._places[low]):
            return low, low
        return low, self._first(key, 0, low, len(self._places), bisect.bisect_right)

    def _first(self, key: bytes, offset: int, low: int, high: int, search: Callable[..., int]) -> int:
        """Where, from `low` to `high`, what stands `offset` bytes behind the places comes up to `key`, or passes it."""
        text, length = self.text, len(key)
        return search(self._places, key, low, high, key=lambda place: text[place + offset : place + offset + length])

    def _verified(self, run: bytes, options: Sequence[bytes], widest: int, low: int, high: int) -> set[int]:
        """As `followed_by`, place by place."""
        found = set()
        for place in self._places[low:high]:
            if self.text.startswith(run, place):
                here = self.text[place + len(run) : place + len(run) + widest]
                last = bisect.bisect_right(options, here)
                if last and here.startswith(options[last - 1]):
                    found.add(last - 1)
        return found


def _num_characters(text: bytes) -> int:
    points = np.frombuffer(text, np.uint8)
    return sum(int(is_start(points[i : i + AT_ONCE]).sum()) for i in range(0, len(points), AT_ONCE))
