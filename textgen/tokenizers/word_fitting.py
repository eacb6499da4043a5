"""Counting the pieces of a stream of text, and the word tokenizer of the most frequent ones."""

import itertools
from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from textgen.config import TextConfig
from textgen.errors import TokenizerError
from textgen.tokenizers import text_blocks
from textgen.tokenizers.base import Tokenizer
from textgen.tokenizers.extending import check_extensible, is_letter, unused_words
from textgen.tokenizers.fitting import SymbolFitter
from textgen.tokenizers.text_blocks import code_points
from textgen.tokenizers.word import WordTokenizer
from textgen.tokenizers.word_classes import LETTER, SPACE, classes_of
from textgen.tokenizers.word_pieces import Block, PieceStream, hash_pieces

# With sampled negatives a large vocabulary trains no slower, and every word that need not be spelled saves its letters:
# on WikiText-2 30,000 ids make 2.3 million tokens, 10,000 make 3.3 million (`tests/benchmarks/word_softmax.py`).
DEFAULT_VOCABULARY_SIZE = 30_000
MAX_COUNTED = 1_000_000  # different pieces: some 150 MB of strings and counts


class Counted(NamedTuple):
    """How often the pieces of a text occur."""

    letters: np.ndarray  # uint8: the UTF-8 of all different pieces of two characters or more, as they were met
    lengths: np.ndarray  # uint8 [P], their characters
    counts: np.ndarray  # int64 [P]
    points: np.ndarray  # int64 [S]: the code points of pieces of one character
    times: np.ndarray  # int64 [S]


class WordFitter(SymbolFitter):
    """Learns a word tokenizer from a stream of text.

    Counts are exact while the text has no more than MAX_COUNTED different pieces. Whenever there are more, the rarer
    half is forgotten. (Within a block, pieces of one hash are counted together: a chance of 1 in 10**9 to miss a word,
    which would be spelled.)
    """

    def __init__(self) -> None:
        super().__init__()
        self._stream = PieceStream()
        self._waiting: list[str] = []
        self._num_waiting = 0
        self._counts: dict[str, int] = {}  # of pieces of two characters or more
        self._alone: Counter[int] = Counter()  # of pieces of one character, by code point

    def add(self, block: str) -> None:
        """Learn the characters and the words of the next block of the text."""
        super().add(block)
        self._waiting.append(block)
        self._num_waiting += len(block)
        if self._num_waiting >= text_blocks.BLOCK_SIZE:
            self._count_waiting()

    @property
    def num_pieces(self) -> int:
        """How many ids the text has, `<eod>` aside. Asked for when the text is over."""
        self._finish_text()
        return self.num_symbols + len(self._counts)

    def share_of(self, words: Iterable[str]) -> float:
        """Share of the text's words that are among `words`. Asked for when the text is over."""
        self._finish_text()
        held = sum(self._counts.get(word, 0) for word in words)
        return held / max(1, sum(self._counts.values()))

    def finish(self, config: TextConfig, base: Tokenizer | None = None) -> WordTokenizer:
        """The tokenizer of the text, which is over.

        Args:
            base: a word tokenizer whose characters stay, and whose words stay as `extending.py` says.

        Raises:
            TokenizerError: for a text that teaches nothing, a vocabulary size that does not fit it, or a `base` of
                another kind.
        """
        if base is not None:
            check_extensible(base, config.level, config.normalize)
        self._finish_text()
        symbols = self.symbols(base)
        old = base.words if isinstance(base, WordTokenizer) else ()
        known = frozenset(old)
        letters = frozenset(filter(self._is_a_word, self.symbols()))
        used = {w: n for w, n in self._counts.items() if w not in known or not is_letter(w) or w[-1] in letters}
        written, silent = unused_words(old, used, frozenset(self.symbols()), letters)
        num_used = sum(count > 1 or word in known for word, count in used.items())
        num_others = len(symbols) + config.has_documents
        num_unused = len(written) + len(silent)
        num_words = len(used) + num_unused
        size = choose_vocabulary_size(config.vocabulary_size, num_others, num_words, num_used + num_unused)
        # What the text uses comes first, what it uses once and the base does not know comes last.
        counts = {word: count + (word in known) for word, count in used.items()}
        chosen = most_frequent(counts, min(size - num_others, num_used))
        written = written[: size - num_others - len(chosen)]
        silent = silent[: size - num_others - len(chosen) - len(written)]
        if (room := size - num_others - len(written) - len(silent)) > len(chosen):
            chosen = most_frequent(counts, room)
        is_chosen = frozenset(chosen).union(written)
        kept = (word for word in old if word in is_chosen)
        words = (*kept, *(word for word in chosen if word not in known), *silent)
        known_alone = base.alone if isinstance(base, WordTokenizer) else ""
        alone = "".join(sorted(self._standing_alone(symbols, frozenset(words), known_alone)))
        return WordTokenizer(symbols, words, config.between_documents, config.normalize, alone, num_silent=len(silent))

    def _standing_alone(self, symbols: str, words: frozenset[str], known: str) -> set[str]:
        """Those of the symbols that are pieces themselves: "I", a comma.

        A piece of one character must occur twice. In a long text nearly every letter does so somewhere, as in "p.m.",
        and a space does at the end of a line. They are also what the spelling of a rare word begins with. So a letter
        or a space must besides stand alone more often than it begins a piece that has to be spelled; otherwise a model
        that must not spell would write "Z" where it wants to begin with a name.

        What is `known` to stand alone needs to do so only once: a base has learned where. But nearly every letter is
        known so. A letter must besides be a word of the text twice in any form, and as itself, with a space before it
        or without, as often as it begins a piece that has to be spelled.
        """
        spelled: Counter[str] = Counter()
        for piece, count in self._counts.items():
            if piece not in words:
                spelled[piece[0]] += count
        alone: set[str] = set()
        for symbol, kind in zip(symbols, classes_of(code_points(symbols)).tolist(), strict=True):
            times = self._alone[ord(symbol)]
            if symbol in known and kind == LETTER:
                is_alone = self._is_a_word(symbol) and self._times_alone(symbol) >= spelled[symbol] and times > 0
            elif symbol in known:
                is_alone = times > 0
            else:
                is_alone = times > (max(1, spelled[symbol]) if kind in (LETTER, SPACE) else 1)
            if is_alone:
                alone.add(symbol)
        return alone

    def _is_a_word(self, letter: str) -> bool:
        """Whether the text has a letter as a word, twice in all; small ones count for a capital."""
        return sum(map(self._times_alone, {letter, letter.lower()})) > 1

    def _times_alone(self, letter: str) -> int:
        """How often the text has a letter as a word, with a space before it or without."""
        return (self._alone[ord(letter)] if len(letter) == 1 else 0) + self._counts.get(f" {letter}", 0)

    def _finish_text(self) -> None:
        self._count_waiting()
        self._count(self._stream.finish())

    def _count_waiting(self) -> None:
        waiting, self._waiting, self._num_waiting = self._waiting, [], 0
        for block in text_blocks.regrouped(waiting):
            self._count(self._stream.add(block))

    def merge(self, counted: Counted) -> None:
        """Learn the pieces that were counted in another part of the text, and not its characters."""
        text = counted.letters.tobytes().decode()
        ends = np.cumsum(counted.lengths, dtype=np.int64).tolist()
        counts = self._counts
        for start, end, count in zip([0, *ends], ends, counted.counts.tolist(), strict=False):
            word = text[start:end]
            counts[word] = counts.get(word, 0) + count
        self._alone.update(dict(zip(counted.points.tolist(), counted.times.tolist(), strict=True)))
        self._forget()

    def _count(self, block: Block | None) -> None:
        if block is not None:
            _add_pieces(block, self._counts, self._alone)
            self._forget()

    def _forget(self) -> None:
        if len(self._counts) > MAX_COUNTED:
            self._counts = without_the_rarest(self._counts, MAX_COUNTED // 2)


def count_pieces(blocks: Iterable[Block]) -> Counted:
    """The pieces of a part of a text, which `WordFitter.merge` takes."""
    counts: dict[str, int] = {}
    alone: Counter[int] = Counter()
    for block in blocks:
        _add_pieces(block, counts, alone)
    return Counted(
        np.frombuffer("".join(counts).encode(), np.uint8),
        np.fromiter(map(len, counts), np.uint8, len(counts)),
        np.fromiter(counts.values(), np.int64, len(counts)),
        np.fromiter(alone, np.int64, len(alone)),
        np.fromiter(alone.values(), np.int64, len(alone)),
    )


def _add_pieces(block: Block, counts: dict[str, int], alone: Counter[int]) -> None:
    single = block.points[block.pieces.starts[block.pieces.lengths == 1]]
    points, times = np.unique(single, return_counts=True)
    alone.update(dict(zip(points.tolist(), times.tolist(), strict=True)))
    for start, end, count in distinct_pieces(block):
        word = block.text[start:end]
        counts[word] = counts.get(word, 0) + count


def distinct_pieces(block: Block) -> list[tuple[int, int, int]]:
    """Start, end and count of every different piece of two characters or more."""
    is_word = block.pieces.lengths >= 2
    hashes = hash_pieces(block.points, block.pieces)[is_word]
    order = _order(hashes)
    hashes = hashes[order]
    is_first = np.append(True, hashes[1:] != hashes[:-1])[: len(hashes)]
    firsts = np.flatnonzero(is_first)
    starts = block.pieces.starts[is_word][order[firsts]]
    ends = starts + block.pieces.lengths[is_word][order[firsts]]
    counts = np.diff(firsts, append=len(hashes))
    return list(zip(starts.tolist(), ends.tolist(), counts.tolist(), strict=True))


def _order(hashes: np.ndarray) -> np.ndarray:
    """An order in which equal hashes are neighbours, nearly always.

    NumPy sorts numbers much faster than it finds their order. So the last bits of each hash give way to its place. Two
    hashes that differ in these alone may then be mixed, and are counted in more than one part.
    """
    bits = np.uint64(max(1, len(hashes) - 1).bit_length())
    mask = (np.uint64(1) << bits) - np.uint64(1)
    keys = (hashes & ~mask) | np.arange(len(hashes), dtype=np.uint64)
    keys.sort()
    return (keys & mask).astype(np.intp)


def without_the_rarest(counts: dict[str, int], num_kept: int) -> dict[str, int]:
    """The `num_kept` pieces that were met most often; of those met equally often, the ones met first."""
    values = np.fromiter(counts.values(), np.int64, len(counts))
    is_kept = np.zeros(len(values), bool)
    is_kept[np.argsort(-values, kind="stable")[:num_kept]] = True
    return dict(itertools.compress(counts.items(), is_kept.tolist()))


def most_frequent(counts: dict[str, int], num_words: int) -> list[str]:
    """The `num_words` most frequent words, the most frequent first; equally frequent ones in code point order."""
    if num_words < 1:
        return []
    values = np.fromiter(counts.values(), np.int64, len(counts))
    least = np.partition(values, -num_words)[-num_words]
    candidates = sorted((-count, word) for word, count in counts.items() if count >= least)
    return [word for _, word in candidates[:num_words]]


def choose_vocabulary_size(wanted: int | None, num_others: int, num_words: int, num_usual: int) -> int:
    """How many ids a vocabulary gets.

    Args:
        wanted: `--vocabulary-size`; None is DEFAULT_VOCABULARY_SIZE, or what the text has or needs. Then words that
            occur only once are spelled: from them a model learns to spell, which it will need for words that are new.
        num_others: ids that it must have: characters and `<eod>`.
        num_words: words that it can have.
        num_usual: those that it has by default: what occurs more than once, and what a base knows.
    """
    least, most = num_others + min(1, num_words), num_others + num_words
    if wanted is None:
        return max(least, min(num_others + num_usual, DEFAULT_VOCABULARY_SIZE))
    if wanted < least:
        raise TokenizerError(
            f"--vocabulary-size {wanted:,} is too small: every character of the text has an id, which takes "
            f"{num_others:,}, and words come on top. Give at least {least:,}"
        )
    if wanted > most:
        raise TokenizerError(
            f"--vocabulary-size {wanted:,} is more than the text has: {num_others:,} characters and {num_words:,} "
            f"different words. Give at most {most:,}"
        )
    return wanted
