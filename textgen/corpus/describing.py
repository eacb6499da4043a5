"""A text in a few numbers, before a model has seen it.

They are counts, what is odd about the text and where that stands, and two floors that any model of the text should get
below. The floors are measured on the text itself: where it is short for its number of symbols, the bigram floor is too
low. Memory is bounded, apart from eight bytes per line.
"""

import dataclasses
from collections.abc import Iterable

import numpy as np

from textgen.config import END_OF_DOCUMENT
from textgen.tokenizers.text_blocks import code_points
from textgen.tokenizers.word_classes import IDEOGRAPH, classes_of

NUM_MOST_COMMON = 10
NUM_RAREST = 10
RARE_BELOW = 1e-4  # share of the text
CODE_POINTS = 0x110000
MOST_PER_WORD = 20  # characters, on average; languages of long words have ten
MOST_UNSPACED = 0.3  # of the characters
LONGEST_COMPARED = 1 << 20  # characters of a line; a longer one counts as the only one of its kind


@dataclasses.dataclass(frozen=True)
class RareSymbol:
    """A character that a text has seldom, and where it stands first; lines and columns count from 1."""

    symbol: str
    count: int
    line: int
    column: int


@dataclasses.dataclass(frozen=True)
class CorpusFacts:
    """What a text is made of.

    `symbols` counts distinct characters; `words` are separated by white space; a last line without its
    newline counts. `unigram_bits` and `bigram_bits` are bits per character of the best guess that knows
    only how frequent each character is, without and with the character before it. `most_common` holds
    (character, count), best first; `rarest` those that it has seldom, rarest first. `duplicate_lines` are lines that
    stand earlier in the text too, blank ones not counted. The end of a document counts as a line end.
    """

    characters: int
    symbols: int
    lines: int
    words: int
    unigram_bits: float
    bigram_bits: float
    most_common: tuple[tuple[str, int], ...]
    rarest: tuple[RareSymbol, ...]
    duplicate_lines: int
    longest_line: int  # characters
    longest_line_number: int  # from 1; 0 where there is no line
    unspaced: int = 0  # letters of scripts that are written without spaces between words

    @property
    def has_words(self) -> bool:
        """Whether what stands between white space are words."""
        return has_words(self.characters, self.words, self.unspaced)


def has_words(characters: int, words: int, unspaced: int) -> bool:
    """Whether what stands between white space in a text are words, as they are not in Chinese or in DNA.

    Args:
        unspaced: letters of scripts that are written without spaces.
    """
    return characters < MOST_PER_WORD * words and unspaced < MOST_UNSPACED * characters


class TextSize:
    """Characters, words and line ends of a text that comes in blocks, cut anywhere.

    Words are separated by white space. The end of a document counts as a line end, and so as a character.
    """

    def __init__(self) -> None:
        self.characters = self.words = self.line_ends = 0
        self.unspaced = 0  # letters of scripts that are written without spaces
        self.last = "\n"  # the last character

    def add(self, block: str) -> None:
        """Count the next block too."""
        block = block.replace(END_OF_DOCUMENT, "\n")
        if not block:
            return
        self.characters += len(block)
        self.line_ends += block.count("\n")
        # A word that goes on from the block before was counted there.
        self.words += len(block.split()) - (not self.last.isspace() and not block[0].isspace())
        self.last = block[-1]
        if not block.isascii():
            self.unspaced += int((classes_of(code_points(block)) == IDEOGRAPH).sum())


def describe(text: str | Iterable[str]) -> CorpusFacts:
    """Count and measure `text`, whole or in blocks; an empty text has zeros only."""
    describer = Describer()
    for block in [text] if isinstance(text, str) else text:
        describer.add(block)
    return describer.facts()


class Describer:
    """Takes a text block by block, cut anywhere; `facts` tells of all of it."""

    def __init__(self) -> None:
        self._symbols = _SymbolCounts()
        self._pairs = _PairCounts()
        self._lines = Parts("\n")
        self._size = TextSize()

    def add(self, block: str) -> None:
        """Describe the next block too."""
        block = block.replace(END_OF_DOCUMENT, "\n")
        if not block:
            return
        points = np.frombuffer(block.encode("utf-32-le"), "<u4")
        self._symbols.add(block, points)
        self._pairs.add(points)
        self._lines.add(block)
        self._size.add(block)

    def facts(self) -> CorpusFacts:
        """What was added so far, as one text."""
        lines, size = self._lines.finish(), self._size
        counts = self._symbols.counts
        unigrams, rare = counts[counts > 0], counts * (counts <= max(3, RARE_BELOW * size.characters))
        return CorpusFacts(
            characters=size.characters,
            symbols=len(unigrams),
            lines=size.line_ends + (size.last != "\n"),
            words=size.words,
            unigram_bits=entropy(unigrams),
            bigram_bits=self._pairs.conditional_entropy(),
            most_common=tuple((chr(point), int(counts[point])) for point in _order(-counts, NUM_MOST_COMMON, counts)),
            rarest=tuple(self._symbols.rare(point) for point in _order(counts, NUM_RAREST, rare)),
            duplicate_lines=lines.duplicates,
            longest_line=lines.longest,
            longest_line_number=lines.longest_number,
            unspaced=size.unspaced,
        )


@dataclasses.dataclass(frozen=True)
class PartFacts:
    """Of the lines, or of the documents, of a text."""

    count: int
    duplicates: int  # that stand earlier too; blank ones are not counted
    longest: int  # characters
    longest_number: int  # from 1; 0 where there is none


class Parts:
    """What stands between separators, in a text that comes in blocks."""

    def __init__(self, separator: str):
        self._separator = separator
        self._hashes: list[np.ndarray] = []
        self._held: list[str] = []  # the beginning of a part that is not over
        self._held_length = 0
        self._count = self._longest = self._longest_number = 0

    def add(self, block: str) -> None:
        """Look at the next block too."""
        first, *rest = block.split(self._separator)
        self._hold(first)
        if rest:
            first = "".join(self._held)
            self._take([first if len(first) == self._held_length else "", *rest[:-1]], self._held_length)
            self._held, self._held_length = [], 0
            self._hold(rest[-1])

    def finish(self) -> PartFacts:
        """What was added so far; a last part without its separator counts."""
        if self._held_length:
            self.add(self._separator)
        hashes = np.sort(np.concatenate([np.zeros(0, np.int64), *self._hashes]))
        duplicates = int((hashes[1:] == hashes[:-1]).sum())
        return PartFacts(self._count, duplicates, self._longest, self._longest_number)

    def _hold(self, piece: str) -> None:
        self._held_length += len(piece)
        if self._held_length <= LONGEST_COMPARED:
            self._held.append(piece)

    def _take(self, parts: list[str], first_length: int) -> None:
        lengths = [first_length, *map(len, parts[1:])]
        longest = max(lengths)
        if longest > self._longest:
            self._longest, self._longest_number = longest, self._count + lengths.index(longest) + 1
        self._count += len(parts)
        # Python's own 64-bit hash, which is another one in every process. That does not matter here.
        self._hashes.append(np.array([hash(part) for part in parts if part and not part.isspace()], np.int64))


class _SymbolCounts:
    """How often each code point occurs, and where first."""

    def __init__(self) -> None:
        self.counts = np.zeros(CODE_POINTS, np.int64)
        self._places: dict[int, tuple[int, int]] = {}  # line and column
        self._lines, self._column = 1, 1  # where the next block begins

    def add(self, block: str, points: np.ndarray) -> None:
        counts = np.bincount(points, minlength=CODE_POINTS)
        for point in np.flatnonzero((counts > 0) & (self.counts == 0)).tolist():
            self._places[point] = self._place(block, block.index(chr(point)))
        self.counts += counts
        self._lines, self._column = self._place(block, len(block))

    def _place(self, block: str, position: int) -> tuple[int, int]:
        num_lines, last = block.count("\n", 0, position), block.rfind("\n", 0, position)
        column = position - last if num_lines else self._column + position
        return self._lines + num_lines, column

    def rare(self, point: int) -> RareSymbol:
        return RareSymbol(chr(point), int(self.counts[point]), *self._places[point])


class _PairCounts:
    """How often each pair of neighbours occurs: a table while symbols are few, sorted keys when they are many."""

    TABLE = 1024  # symbols; the table has 8 MB

    def __init__(self) -> None:
        self._id_of = np.full(CODE_POINTS, -1, np.int64)  # in the order in which symbols are met
        self._num_symbols = 0
        self._table = np.zeros(self.TABLE**2, np.int64)
        self._keys, self._counts = np.zeros(0, np.int64), np.zeros(0, np.int64)
        self._last = np.zeros(0, np.int64)

    def add(self, points: np.ndarray) -> None:
        new = np.unique(points)[self._id_of[np.unique(points)] < 0]
        self._id_of[new] = self._num_symbols + np.arange(len(new))
        self._num_symbols += len(new)
        ids = np.concatenate([self._last, self._id_of[points]])
        before, after = ids[:-1], ids[1:]
        self._last = ids[-1:].copy()
        in_table = (before < self.TABLE) & (after < self.TABLE)
        self._table += np.bincount(before[in_table] * self.TABLE + after[in_table], minlength=self.TABLE**2)
        if not in_table.all():
            keys = np.concatenate([self._keys, before[~in_table] * CODE_POINTS + after[~in_table]])
            counts = np.concatenate([self._counts, np.ones(len(keys) - len(self._keys), np.int64)])
            self._keys, places = np.unique(keys, return_inverse=True)
            self._counts = np.bincount(places, counts).astype(np.int64)

    def conditional_entropy(self) -> float:
        """H(next | this) = H(this, next) - H(this), in bits, over all pairs of neighbours."""
        pairs = np.concatenate([self._table[self._table > 0], self._counts])
        befores = np.zeros(max(self.TABLE, self._num_symbols), np.int64)
        befores[: self.TABLE] += self._table.reshape(self.TABLE, self.TABLE).sum(axis=1)
        np.add.at(befores, self._keys // CODE_POINTS, self._counts)
        return max(0.0, entropy(pairs) - entropy(befores[befores > 0]))


def _order(keys: np.ndarray, most: int, counts: np.ndarray) -> list[int]:
    """The first code points in the order of `keys`, of those that occur; ties: lower code point first."""
    occurring = np.flatnonzero(counts)
    return occurring[np.argsort(keys[occurring], kind="stable")[:most]].tolist()


def entropy(counts: np.ndarray) -> float:
    """Bits per draw from the distribution that `counts` (all above zero) are in proportion to."""
    probabilities = counts / max(1, counts.sum())
    return max(0.0, float(-(probabilities * np.log2(probabilities)).sum()))
