"""Words as ids, and letters for the words that have none.

This is the specification; `word_pieces.py` implements it with NumPy, `graph_word.py` with TensorFlow.

A text is cut into pieces that cover it without a gap. A piece that is a word of the vocabulary becomes one id; any
other piece becomes the ids of its characters. So nothing is lost, and only a character that the training text never had
is unknown. Decoding is concatenation. Ids: first the characters in code point order, then the words (two characters or
more; the most frequent first, then those that `extending.py` adds), then `<eod>`.

Every code point has a class, from its general category and from a list of scripts (`word_classes.py`):

    space        U+0020
    blank        any other white space
    letter       L*, ideographs excepted
    number       N*, ideographs excepted
    ideograph    L* and Nl of the scripts that are written without spaces between words: Chinese, Japanese, Thai, ...
    mark         M*, and the zero-width joiner and non-joiner
    other        all the rest: punctuation, symbols, controls, unassigned code points
    end          END_OF_DOCUMENT

A mark has the class of what it stands on; at the beginning of a text or document it is `other`. An apostrophe, ' or
U+2019, is a letter directly between two letters ("don't"; marks may stand on the first of them), and `other` anywhere
else.

1. Runs of letters, of numbers, of others, of blanks and of spaces are pieces.
2. The last space before a letter, number or other character that is no mark begins the piece of that character:
   " word", " 1984", " (". The spaces before it stay a piece of their own, and so do spaces before anything else.
3. An ideograph is a piece alone, with its marks; so is an end.
4. A mark begins a piece only at the beginning of a text or document.
5. A piece is cut after every 64 characters.

So whether a piece begins at a character depends on the text before it and on one character after it.

    "It's  3.5 km.\\n"  ->  "It's", " ", " 3", ".", "5", " km", ".", "\\n"

NOTE: categories come from this Python's `unicodedata`. A later Python may put a character that was not assigned before
into another class, and then cut it elsewhere; texts still come back as they were.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from itertools import compress
from typing import Any, Self

import numpy as np

from textgen.errors import TokenizerError
from textgen.tokenizers.base import Tokenizer, checked_document
from textgen.tokenizers.text_blocks import WHOLE, Place, code_points
from textgen.tokenizers.word_classes import LETTER, MARK, NUMBER, SPACE, classes_of
from textgen.tokenizers.word_pieces import MAX_PIECE, Pieces, hash_pieces, whole_pieces


class WordTokenizer(Tokenizer):
    """Words as ids, and characters."""

    level = "word"
    type_name = "word"

    def __init__(
        self,
        symbols: str,
        words: Sequence[str],
        document_separator: str | None = None,
        normalize: str = "none",
        alone: str | None = None,
        num_silent: int = 0,
    ):
        """Args: symbols, document_separator, normalize: see `Tokenizer`.

        words: distinct, of two to 64 of the symbols each, the most frequent first.
        alone: those of the symbols that are pieces themselves ("I", ","), sorted; the others are there to spell with.
            None is all of them.
        num_silent: so many words at the end are read and not written.
        """
        super().__init__(symbols, document_separator, normalize)
        check_words(words, symbols)
        self.words = tuple(words)
        if not 0 <= num_silent <= len(words):
            raise TokenizerError(f"a vocabulary's silent words are at most its words. Received: {num_silent}")
        self.num_silent = num_silent
        self.alone = symbols if alone is None else alone
        if list(self.alone) != sorted(set(symbols).intersection(self.alone)):
            raise TokenizerError(f"what stands alone are symbols of the vocabulary, sorted. Received: {alone!r:.40}")

    @cached_property
    def pieces(self) -> Sequence[str]:
        """The text of every id: characters, words, and the empty string for `<eod>`."""
        return (*self.symbols, *self.words, *([] if self.document_separator is None else [""]))

    @cached_property
    def start_id(self) -> int:
        """What the model reads before it writes from an empty prompt; see `Tokenizer.start_id`.

        Where paragraphs are a blank line apart, they do not begin after a newline alone. It is then the most frequent
        piece that ends with a newline.
        """
        if self.eod_id is None and "\n" not in self.alone:
            ends = (len(self.symbols) + place for place, word in enumerate(self.words) if word.endswith("\n"))
            return next(ends, super().start_id)
        return super().start_id

    def encode_blocks(self, blocks: Iterable[str], place: Place = WHOLE) -> Iterator[np.ndarray]:
        """Ids of the whole of `blocks`, int32 arrays."""
        offset = place.offset
        for block in whole_pieces(blocks, place):
            yield self._encode_pieces(self._character_ids(block.points, offset), block.pieces)
            offset += len(block.text)

    def _encode_pieces(self, ids: np.ndarray, pieces: Pieces) -> np.ndarray:
        """Ids of a text, from the `ids` of its characters."""
        if not self.words:
            return ids
        word = self._index.find(ids, pieces)
        is_word = word >= 0
        is_kept = np.repeat(~is_word, pieces.lengths)
        is_kept[pieces.starts] = True
        ids[pieces.starts[is_word]] = word[is_word] + len(self.symbols)
        return ids[is_kept]

    @cached_property
    def _index(self) -> "WordIndex":
        lengths = np.array([len(word) for word in self.words])
        return WordIndex(self._character_ids(code_points("".join(self.words)), 0), lengths)

    @cached_property
    def continues(self) -> np.ndarray:
        """bool [V]: letters, numbers and marks, which go on with the word being spelled."""
        return self._are_of(self.symbols, LETTER, NUMBER, MARK)

    @cached_property
    def continued(self) -> np.ndarray:
        """bool [V]: letters, numbers and marks, and the space that begins a word."""
        return self._are_of(self.symbols, LETTER, NUMBER, MARK, SPACE)

    @cached_property
    def spelling_ids(self) -> np.ndarray:
        """int32 [N]: the characters that do not stand alone; none where nothing else is left to write."""
        alone = frozenset(self.alone)
        ids = [i for i, symbol in enumerate(self.symbols) if symbol not in alone]
        return np.array(ids if self.words or alone else [], np.int32)

    @cached_property
    def joins(self) -> np.ndarray:
        """bool [V]: pieces that begin with a letter or mark. After one that is `joined` they are a spelled word's."""
        return self._are_of("".join([piece[0] for piece in self.pieces if piece]), LETTER, MARK)

    @cached_property
    def joined(self) -> np.ndarray:
        """bool [V]: pieces that a letter would have been a part of: those that end with a letter, and the single space.

        A mark does not say what it stands on; of a word that is spelled it is a letter. After a piece of MAX_PIECE
        characters its word may go on.
        """
        marks = "".join(compress(self.symbols, self._are_of(self.symbols, MARK)))
        lasts = [(piece.rstrip(marks) or piece)[-1] for piece in self.pieces if piece]
        joined = self._are_of("".join(lasts), LETTER, MARK)
        joined |= [piece == " " for piece in self.pieces]
        return joined & [len(piece) < MAX_PIECE for piece in self.pieces]

    @property
    def silent_ids(self) -> np.ndarray:
        """int [N]: words that are read and not written."""
        end = len(self.symbols) + len(self.words)
        return np.arange(end - self.num_silent, end)

    def _are_of(self, symbols: str, *classes: int) -> np.ndarray:
        """bool [V]: whether the symbol that is given for each id, `<eod>` excepted, is of one of the classes."""
        found = np.zeros(self.vocabulary_size, bool)
        found[: len(symbols)] = np.isin(classes_of(code_points(symbols)), classes)
        return found

    def to_json(self) -> dict[str, Any]:
        """A description that `from_json` turns into an equal tokenizer."""
        return super().to_json() | {"words": list(self.words), "alone": self.alone, "silent": self.num_silent}

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> Self:
        """The tokenizer of `document`. Raises TokenizerError when anything in it is not as `to_json` writes it."""
        kinds = {"symbols": str, "document_separator": (str, type(None)), "normalize": str, "words": list, "alone": str}
        kinds["silent"] = int
        if isinstance(document, dict):
            document = {"alone": document.get("symbols"), "silent": 0} | document  # older models do not say
        checked_document(document, kinds, cls)
        if isinstance(document["silent"], bool):
            raise TokenizerError("a vocabulary's silent words are a number")
        names = ("symbols", "words", "document_separator", "normalize", "alone", "silent")
        return cls(*(document[name] for name in names))


NUM_PARTS = 2**18  # of all hashes; a vocabulary of 30,000 words has some 5 in the longest
PART_SHIFT = np.uint64(64 - 18)
LONG_PART = 64
LAST_HASH = np.uint64(2**64 - 1)  # no hash is larger


class WordIndex:
    """Finds pieces among the words, by a hash that is sorted and searched."""

    def __init__(self, values: np.ndarray, lengths: np.ndarray):
        """Args:

        values: the characters of all words, one after the other; any numbers that are not negative.
        lengths: int64 [W], at least one word.
        """
        starts = np.cumsum(lengths) - lengths
        pieces = Pieces(starts, lengths, np.zeros(len(values), np.uint8))
        hashes = hash_pieces(values, pieces)
        self._order = np.argsort(hashes, kind="stable")
        self._hashes = hashes[self._order]
        self._starts, self._lengths = starts, lengths
        parts = np.bincount((self._hashes >> PART_SHIFT).astype(np.int64), minlength=NUM_PARTS)
        self._parts = np.cumsum(parts) - parts  # where each begins
        self._longest_part = int(parts.max())
        self._hashes_and_end = np.append(self._hashes, LAST_HASH)
        # Pieces of another length are compared from the first word on, which may be all there is and too short.
        self._values = np.append(values, np.full(MAX_PIECE, -1, values.dtype))
        _, num_alike = np.unique(hashes, return_counts=True)
        self._most_alike = int(num_alike.max())  # words with one hash; nearly always 1

    def find(self, values: np.ndarray, pieces: Pieces) -> np.ndarray:
        """The word that each piece is, int64 [P], -1 where it is none. Pieces are compared character by character."""
        nearest = self._search(hash_pieces(values, pieces))
        found = np.full(len(nearest), -1)
        for rank in range(self._most_alike):
            word = self._order[np.minimum(nearest + rank, len(self._order) - 1)]
            found = np.where(self._is_equal(word, values, pieces), word, found)
        return found

    def _search(self, hashes: np.ndarray) -> np.ndarray:
        """Where in the sorted hashes those of pieces would stand: in a part of them that their first bits tell."""
        if self._longest_part > LONG_PART:  # words that somebody chose
            return np.searchsorted(self._hashes, hashes)
        nearest = self._parts[(hashes >> PART_SHIFT).astype(np.int64)]
        for _ in range(self._longest_part):
            nearest += self._hashes_and_end[nearest] < hashes
        return nearest

    def _is_equal(self, word: np.ndarray, values: np.ndarray, pieces: Pieces) -> np.ndarray:
        """bool [P]: whether each piece is its `word`."""
        is_same_length = self._lengths[word] == pieces.lengths
        starts = np.where(is_same_length, self._starts[word], 0)
        places = np.repeat(starts - pieces.starts, pieces.lengths)
        places += np.arange(len(values))
        differs = self._values[places] != values
        return is_same_length & ~np.logical_or.reduceat(differs, pieces.starts)


def check_words(words: Sequence[str], symbols: str) -> None:
    """Raise TokenizerError unless `words` can be those of a word tokenizer with these `symbols`."""
    for word in words:
        if not isinstance(word, str) or not 2 <= len(word) <= MAX_PIECE:
            shown = f"{word!r:.40}" if isinstance(word, (str, int, float, type(None))) else type(word).__name__
            raise TokenizerError(f"a vocabulary's words have 2 to {MAX_PIECE} characters each. Received: {shown}")
    if len(set(words)) != len(words):
        twice = next(word for word, count in Counter(words).items() if count > 1)
        raise TokenizerError(f"a vocabulary holds every word once. Received twice: {twice!r}")
    if foreign := sorted(set("".join(words)).difference(symbols)):
        raise TokenizerError(f"a vocabulary's words are made of its symbols. Received: {foreign[0]!r}")
