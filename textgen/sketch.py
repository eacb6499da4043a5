"""Whether a model has read a text before: its figures on that text then flatter it.

A sketch of a text is a sample of its shingles. A shingle is SHINGLE_WORDS words that follow each other, wherever
documents end. Words are runs of letters and digits without case and accents; an ideograph is a word of its own. So
neither line ends nor quotation marks nor the normal form of a text change its sketch. Kana, and scripts such as Thai
that have no spaces, are read in runs as they stand.

Every shingle has a hash of 41 bits, and those below 2**32 are kept, one in 512. Of more than MAX_HASHES the smallest
are kept. The same passage has the same hashes in any text, so the share of a text's hashes that a model's sketch has
is about the share of the text that the model has read. A text of fewer than some 3,000 words has too few hashes to
tell. By chance a hash is found in the sketch of 100 million words in one case of 20,000.

The hash, all on unsigned integers that wrap around (a test holds an example):

    letter    2 * code point of its plain lower-case form, plus 1 if it is an ideograph
    word      sum over its letters of letter[i] * POWER ** i, in 32 bits
    mixed     m = word * MIX; m ^= m >> 32, in 64 bits like all that follows
    shingle   ((m[0] * BASE + m[1]) * BASE + m[2]) * BASE + ...
    hash      s ^= s >> 32; s *= MIX; its upper 41 bits

NOTE: what is a letter is what Python's `unicodedata` says, so a letter that is new in Unicode may be one in a newer
Python alone.
"""

import base64
import binascii
import functools
import unicodedata
from collections.abc import Iterable
from typing import NamedTuple, Self

import numpy as np

from textgen.errors import ModelError
from textgen.records import CorpusRecord
from textgen.tokenizers.text_blocks import CODE_POINTS, code_points, regrouped

SHINGLE_WORDS = 8
MAX_HASHES = 40_000
ENOUGH_SHARED = 3  # hashes
ENOUGH_SHARE = 0.05  # a text that quotes another has less in common with it

POWER = 0x9E3779B1
MIX = 0xD6E8FEB86659FD93
BASE = 0x9FB21C651E98DF25
AT_ONCE = 1 << 18  # characters: arrays of one piece stay in a processor's cache
SEPARATOR, PASSED_OVER, NOT_ASKED = 0, 2, 4  # no letter's number: the first digit has 96
IDEOGRAPHS = ((0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF), (0x20000, 0x3FFFF))


class Sketch(NamedTuple):
    """A sample of the shingles of a text; texts of fewer than SHINGLE_WORDS words have none."""

    hashes: np.ndarray  # uint32 [N], sorted and distinct, N at most MAX_HASHES

    @property
    def threshold(self) -> int:
        """Up to which number it holds all hashes of its text."""
        return int(self.hashes[-1]) if len(self.hashes) == MAX_HASHES else 2**32 - 1

    def to_text(self) -> str:
        """The hashes as little-endian numbers in base64; `from_text` gives the same sketch back."""
        return base64.b64encode(self.hashes.astype("<u4").tobytes()).decode()

    @classmethod
    def from_text(cls, text: str) -> Self:
        """The sketch that `text` holds. Raises ModelError at anything that `to_text` does not write."""
        try:
            content = base64.b64decode(text, validate=True)
            hashes = np.frombuffer(content, "<u4").astype(np.uint32)
        except (ValueError, binascii.Error):
            hashes = None
        if (
            hashes is None
            or len(hashes) > MAX_HASHES
            or (hashes[1:] <= hashes[:-1]).any()
            or cls(hashes).to_text() != text
        ):
            raise ModelError(
                f"the sketch of a corpus must be base64 of up to {MAX_HASHES:,} sorted numbers of 4 bytes. "
                f"Received: {text!r:.80}"
            )
        return cls(hashes)


def sketch_of(blocks: Iterable[str]) -> Sketch:
    """The sketch of the text in `blocks`, wherever they are cut."""
    sketcher = Sketcher()
    for block in regrouped(blocks):
        sketcher.add(block)
    return sketcher.finish()


def overlap(model: Sketch, text: Sketch) -> tuple[int, int]:
    """How many hashes of `text` the model has read, and how many its sketch can tell of."""
    compared = text.hashes[text.hashes <= model.threshold]
    return int(np.isin(compared, model.hashes, assume_unique=True).sum()), len(compared)


def has_read(shared: int, compared: int) -> bool:
    """Whether an `overlap` is more than chance and quotations."""
    return shared >= ENOUGH_SHARED and shared >= ENOUGH_SHARE * compared


def read_before(record: CorpusRecord, other: CorpusRecord) -> float | None:
    """About which share of the text `other` a model of the corpus `record` has read, in (0, 1].

    None where it has not read it, or where one has no sketch. Raises ModelError at a damaged sketch.
    """
    shared, compared = overlap(Sketch.from_text(record.sketch), Sketch.from_text(other.sketch))
    return shared / compared if has_read(shared, compared) else None


class Sketcher:
    """Takes a text block by block, cut anywhere; `finish` gives the sketch of all of it."""

    def __init__(self) -> None:
        self._kept = np.zeros(0, np.uint32)
        self._new: list[np.ndarray] = []
        self._words = np.zeros(0, np.uint64)  # the last ones, mixed: fewer than a shingle has
        self._open: int | None = None  # the word that may go on in the next block
        self._open_power = 1  # of its next letter
        self._is_whole = False

    def add(self, block: str) -> None:
        """Take the next block too."""
        for start in range(0, len(block), AT_ONCE):
            letters = _letters(block[start : start + AT_ONCE])
            if len(letters):
                self._add_letters(letters)

    def finish(self) -> Sketch:
        """The sketch of what was added; nothing can be added after it."""
        if self._open is not None:
            self._add_words(np.array([self._open], np.uint32))
            self._open = None
        self._merge()
        return Sketch(self._kept)

    def _add_letters(self, letters: np.ndarray) -> None:
        powers, inverse_powers = _powers()
        is_letter = letters != SEPARATOR
        is_whole = (letters & 1).astype(bool)  # an ideograph, which goes on with no word
        goes_on = is_letter.copy()  # whether a letter belongs to the word of the one before
        goes_on[1:] &= is_letter[:-1] & ~(is_whole[1:] | is_whole[:-1])
        goes_on[0] &= self._open is not None and not self._is_whole and not is_whole[0]
        starts = np.flatnonzero(is_letter & ~goes_on)
        if goes_on[0]:
            starts = np.append(0, starts)
        sums = np.append(np.uint32(0), np.cumsum(letters * powers[: len(letters)], dtype=np.uint32))
        # As if the first letter of each word stood at 0; np.add.reduceat takes twice as long.
        words = np.diff(sums[starts], append=sums[-1:]) * inverse_powers[starts]
        power = 1
        if goes_on[0] and self._open is not None:
            words[0] = (self._open + self._open_power * int(words[0])) % 2**32
            power = self._open_power if len(words) == 1 else 1
        elif self._open is not None:
            words = np.append(np.uint32(self._open), words)
        self._open, self._is_whole = None, bool(is_whole[-1])
        if is_letter[-1]:
            self._open, words = int(words[-1]), words[:-1]
            self._open_power = power * pow(POWER, len(letters) - int(starts[-1]), 2**32) % 2**32
        self._add_words(words)

    def _add_words(self, words: np.ndarray) -> None:
        mixed = words.astype(np.uint64) * np.uint64(MIX)
        mixed ^= mixed >> np.uint64(32)
        shingles = self._words = np.append(self._words, mixed)
        if len(shingles) < SHINGLE_WORDS:
            return
        width = 1
        while width < SHINGLE_WORDS:  # two halves make a whole: 1, 2, 4, 8 words
            shingles = shingles[:-width] * np.uint64(pow(BASE, width, 2**64)) + shingles[width:]
            width *= 2
        shingles ^= shingles >> np.uint64(32)
        hashes = (shingles * np.uint64(MIX)) >> np.uint64(23)
        self._new.append(hashes[hashes < 2**32].astype(np.uint32))
        self._words = self._words[1 - SHINGLE_WORDS :]
        if sum(map(len, self._new)) > MAX_HASHES:
            self._merge()

    def _merge(self) -> None:
        self._kept = np.unique(np.concatenate([self._kept, *self._new]))[:MAX_HASHES]
        self._new = []


def _letters(text: str) -> np.ndarray:
    """The numbers of letters, and SEPARATOR for what is none, uint32 [up to len(text)]."""
    points, numbers = code_points(text), _numbers()
    letters = numbers.take(points)
    if text.isascii():
        return letters
    if (is_new := letters == NOT_ASKED).any():
        for point in np.unique(points[is_new]).tolist():
            numbers[point] = _number_of(chr(point))
        letters = numbers.take(points)
    is_passed_over = letters == PASSED_OVER
    return letters[~is_passed_over] if is_passed_over.any() else letters


@functools.cache
def _numbers() -> np.ndarray:
    """uint32 [CODE_POINTS]: the number of each code point; NOT_ASKED beyond ASCII until a text has it."""
    numbers = np.full(CODE_POINTS, NOT_ASKED, np.uint32)
    numbers[:128] = [_number_of(chr(point)) for point in range(128)]
    return numbers


def _number_of(symbol: str) -> int:
    if unicodedata.category(symbol)[0] == "M" or unicodedata.category(symbol) == "Cf":
        return PASSED_OVER  # accents that stand apart, soft hyphens, joiners
    if not symbol.isalnum():
        return SEPARATOR
    point = ord(_plain(_plain(symbol).casefold()))
    return 2 * point + any(first <= point <= last for first, last in IDEOGRAPHS)


def _plain(symbols: str) -> str:
    """The first of `symbols` without its accents. Hangul syllables stay whole, though they decompose into letters."""
    parts = unicodedata.normalize("NFD", symbols[0])
    return parts[0] if all(unicodedata.category(mark)[0] == "M" for mark in parts[1:]) else symbols[0]


@functools.cache
def _powers() -> tuple[np.ndarray, np.ndarray]:
    """POWER ** i and POWER ** -i in 32 bits, for i < AT_ONCE."""

    def powers(base: int) -> np.ndarray:
        factors = np.full(AT_ONCE, base, np.uint32)
        factors[0] = 1
        return np.cumprod(factors, dtype=np.uint32)

    return powers(POWER), powers(pow(POWER, -1, 2**32))
