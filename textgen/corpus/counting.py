"""What stands in a sample of bytes, counted: characters, those beside each other, and words in capitals.

Most encodings have a byte for each character. In all of them the bytes are the same, so they are counted once, and the
counts are told in characters; that takes a fraction of the time of counting each reading.
"""

import collections
import functools
import itertools
import re
from collections.abc import Hashable, Iterable
from typing import NamedTuple, TypeVar

import numpy as np

from textgen.corpus.alphabets import EAST_ASIAN, ENCODINGS, LANGUAGES
from textgen.corpus.misfits import ERRORS, MARK

T = TypeVar("T", bound=Hashable)
RUN = re.compile(r"([^\x00-\x7f])\1{3,}")
RUN_OF_BYTES = re.compile(rb"([\x80-\xff])\1{3,}")
ALONE = re.compile(r"(?<![^\s(\"'])[^\x00-\x7f](?![^\s)\"',.;:!?])")
BYTE_WORD = re.compile(rb"[^\s\x80-\xff]*+[\x80-\xff]\S*+")
EAST_ASIAN_LANGUAGES = frozenset(name for name in LANGUAGES if LANGUAGES[name].script in EAST_ASIAN)
ONE_BYTE = frozenset(  # a character
    encoding
    for encoding, (languages, _) in ENCODINGS.items()
    if not encoding.startswith("utf") and EAST_ASIAN_LANGUAGES.isdisjoint(languages)
)


class Counts(NamedTuple):
    """How often what stands in a text."""

    characters: dict[str, int]
    pairs: dict[tuple[str, str], int]  # beside each other, at least one of them beyond ASCII
    alone: dict[str, int]  # characters beyond ASCII between spaces
    runs: dict[str, int]  # of the same character beyond ASCII, from four on
    capitals: dict[str, int]  # words in capitals that are not ASCII


class Bytes:
    """The bytes of a sample, and how often each stands where."""

    def __init__(self, sample: bytes, most: int):
        """Args: most: times that the same thing counts."""
        self.most = most
        self.sample = sample
        values = np.frombuffer(sample, np.uint8)
        numbers = np.bincount(values, minlength=256)
        self._numbers = [(byte, int(numbers[byte])) for byte in np.flatnonzero(numbers).tolist()]
        codes = values[:-1].astype(np.intp) << 8 | values[1:]
        found, times = np.unique(codes[(values[:-1] > 0x7F) | (values[1:] > 0x7F)], return_counts=True)
        self._pairs = [(code >> 8, code & 0xFF, n) for code, n in zip(found.tolist(), times.tolist(), strict=True)]
        self._has_runs = RUN_OF_BYTES.search(sample) is not None
        self._words = b" ".join(BYTE_WORD.findall(sample))  # beyond ASCII

    def counts(self, encoding: str, text: str) -> Counts:
        """What stands in `text`, the sample as it is read in `encoding`."""
        if encoding not in ONE_BYTE:
            return counts_of(text, self.most)
        most, table = self.most, _table(encoding)
        characters: dict[str, int] = {}
        for byte, n in self._numbers:
            characters[table[byte]] = characters.get(table[byte], 0) + n
        pairs: dict[tuple[str, str], int] = {}
        if MARK in table:  # which several bytes are read as
            for one, other, n in self._pairs:
                pair = table[one], table[other]
                pairs[pair] = pairs.get(pair, 0) + n
        else:
            pairs = {(table[one], table[other]): n for one, other, n in self._pairs}
        if most < len(self.sample):
            characters = {character: min(n, most) for character, n in characters.items()}
            pairs = {pair: min(n, most) for pair, n in pairs.items()}
        runs = counted((found[0] for found in RUN.finditer(text)), most) if self._has_runs else {}
        words = self._words.decode(encoding, ERRORS)
        return Counts(characters, pairs, counted(ALONE.findall(text), most), runs, _capitals(words, most))


def counts_of(text: str, most: int) -> Counts:
    """What stands in `text`, each at most so many times."""
    pairs = {p: n for p, n in counted(itertools.pairwise(text), most).items() if max(p) > "\x7f"}
    runs = counted((found[0] for found in RUN.finditer(text)), most)
    return Counts(counted(text, most), pairs, counted(ALONE.findall(text), most), runs, _capitals(text, most))


def counted(parts: Iterable[T], most: int) -> dict[T, int]:
    """How often each of `parts` is there, at most so many times."""
    return {part: min(n, most) for part, n in collections.Counter(parts).items()}


def _capitals(text: str, most: int) -> dict[str, int]:
    found = counted((word for word in text.split() if len(word) > 1 and word.isupper()), most)
    return {word: n for word, n in found.items() if not word.isascii()}


@functools.cache
def _table(encoding: str) -> str:
    """The characters of the bytes from 0 to 255."""
    return bytes(range(256)).decode(encoding, ERRORS)
