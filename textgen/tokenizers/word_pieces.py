"""Cutting text into the pieces that `word.py` defines, with arrays instead of loops."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

from textgen.tokenizers.text_blocks import WHOLE, Place, code_points, regrouped
from textgen.tokenizers.word_classes import (
    APOSTROPHE,
    BLANK,
    END,
    IDEOGRAPH,
    LETTER,
    MARK,
    OTHER,
    SPACE,
    classes_of,
)

MAX_PIECE = 64  # characters
LOOKED_AT = 4096  # characters at the end of a text, for a simple place to cut it

# One for every place in a piece: the powers, modulo 2**64, of the odd number next to 2**64 divided by the golden ratio.
ODD = 0x9E3779B97F4A7C15
INVERSE = pow(ODD, -1, 2**64)
MULTIPLIERS = np.cumprod(np.full(MAX_PIECE, ODD, np.uint64))


class Pieces(NamedTuple):
    """The pieces of a text of N characters, which they cover without a gap."""

    starts: np.ndarray  # int64 [P], ascending; the first is 0
    lengths: np.ndarray  # int64 [P], 1 to MAX_PIECE
    classes: np.ndarray  # uint8 [N], with marks and apostrophes resolved


class Block(NamedTuple):
    """Whole pieces from a stream of text."""

    text: str
    points: np.ndarray  # uint8 or uint32 [N], the code points of `text`
    pieces: Pieces


def find_pieces(classes: np.ndarray, before: int = END) -> Pieces:
    """Where pieces begin. The text must begin with a piece.

    Args:
        classes: uint8 [N] of `classes_of`.
        before: the resolved class of the character before the text; END at its very beginning.
    """
    resolved = _resolve(classes, before)
    starts = np.flatnonzero(_begins(classes, resolved))
    lengths = np.diff(starts, append=len(classes))
    if lengths.size and lengths.max() > MAX_PIECE:
        starts, lengths = _cut_long(starts, lengths)
    return Pieces(starts, lengths, resolved)


class PieceStream:
    """The pieces of a text that arrives block by block: those of the whole text, wherever it is cut.

    A boundary depends on what is before it, which is known, and on one character after it. All are certain except one
    at the last character. What is behind the last certain one waits for the next block: 65 characters at the most.
    """

    def __init__(self, before: int | None = None) -> None:
        """Args: before: the resolved class of the character before the text; None at its very beginning."""
        self.rest = ""  # what waits
        self.before = END if before is None else before  # the resolved class of the character before that

    def add(self, block: str) -> Block | None:
        """The pieces that are certain now, None when there are none. `block` is best some 2**20 characters long."""
        text = self.rest + block
        points = code_points(text)
        pieces = find_pieces(classes_of(points), self.before)
        last = int(np.searchsorted(pieces.starts, len(text) - 2, side="right")) - 1
        if last < 1:
            self.rest = text
            return None
        cut = int(pieces.starts[last])
        self.rest, self.before = text[cut:], int(pieces.classes[cut - 1])
        certain = Pieces(pieces.starts[:last], pieces.lengths[:last], pieces.classes[:cut])
        return Block(text[:cut], points[:cut], certain)

    def finish(self, after: str = "") -> Block | None:
        """The last pieces of the text, None when there are none. What is added now begins another text.

        Args:
            after: the character behind the text, where that ends with a piece of a longer one.
        """
        text, before, self.rest, self.before = self.rest, self.before, "", END
        if not text:
            return None
        points = code_points(text + after)
        pieces = find_pieces(classes_of(points), before)
        starts = pieces.starts[: np.searchsorted(pieces.starts, len(text))]
        lengths = np.diff(starts, append=len(text))
        return Block(text, points[: len(text)], Pieces(starts, lengths, pieces.classes[: len(text)]))


def whole_pieces(blocks: Iterable[str], place: Place = WHOLE) -> Iterator[Block]:
    """The text of `blocks`, cut anew where pieces end.

    Args:
        place: of that text in a longer one, where it begins and ends with a piece of that.
    """
    stream = PieceStream(place.before)
    for block in regrouped(blocks):
        if (certain := stream.add(block)) is not None:
            yield certain
    if (last := stream.finish(place.after)) is not None:
        yield last


def cut_place(text: str, before: int | None = None) -> tuple[int, int | None]:
    """A late place in `text` where a piece begins, and the class of the character before it as `Place` has it.

    What is before it and what is from there on have the pieces of the whole text, if each is told its `Place`. That
    takes no more than a look at the end of most texts: a piece begins at white space behind something else, at an
    ideograph, and wherever a document does. Where none is near, as in a text without spaces, all pieces are found.

    Args:
        text: of more than 2 * MAX_PIECE characters.
        before: the class of the character before it.
    """
    first = max(0, len(text) - LOOKED_AT)
    classes = classes_of(code_points(text[first:]))
    last, this = classes[:-1], classes[1:]
    is_after_other = (
        ((this == SPACE) | (this == BLANK)) & (last != this) & (last != MARK)
    )  # it may stand on white space
    begins = np.flatnonzero(is_after_other | (this == IDEOGRAPH) | (this == END) | (last == END))
    if len(begins):
        return first + 1 + int(begins[-1]), None
    stream = PieceStream(before)
    for block in regrouped([text]):
        stream.add(block)
    return len(text) - len(stream.rest), stream.before


def hash_pieces(values: np.ndarray, pieces: Pieces) -> np.ndarray:
    """A hash of every piece, uint64 [P], from its characters' non-negative `values` [N].

    It is the sum of (value + 1) times the multiplier of its place, modulo 2**64. Different pieces may have the same.

    NOTE: the multipliers are the powers of an odd number, which has an inverse modulo 2**64. So the sums of all pieces
    are differences of one running sum, in which each character has the multiplier of its place in the text, times the
    inverse of that of the piece's start: a third of the time of adding up piece by piece.
    """
    terms = values.astype(np.uint64)
    terms += np.uint64(1)
    terms *= _powers(ODD, len(values) + 1)[1:]
    sums = np.cumsum(terms, out=terms)[pieces.starts + pieces.lengths - 1]
    sums[1:] -= sums[:-1].copy()
    return sums * _powers(INVERSE, len(values) + 1)[pieces.starts]


_POWERS: dict[int, np.ndarray] = {}  # by their base; as many as the longest text needed


def _powers(base: int, number: int) -> np.ndarray:
    """The first powers of `base` from 0 on, modulo 2**64, uint64 [number]."""
    known = _POWERS.get(base)
    if known is None or len(known) < number:
        known = np.full(number, base, np.uint64)
        known[:1] = 1
        _POWERS[base] = known = np.cumprod(known)
    return known[:number]


def _resolve(classes: np.ndarray, before: int) -> np.ndarray:
    """Give marks the class of what they stand on, and apostrophes that of a letter or of other characters."""
    is_mark, is_apostrophe = classes == MARK, classes == APOSTROPHE
    resolved = classes
    if is_mark.any():
        extended = np.append(np.uint8(before), classes)
        bases = np.maximum.accumulate(np.where(np.append(False, is_mark), 0, np.arange(len(extended))))
        resolved = extended[bases][1:]
        resolved[is_mark & (resolved == END)] = OTHER
    if is_apostrophe.any():
        is_letter = _shifted(resolved, before) == LETTER
        is_letter[:-1] &= classes[1:] == LETTER
        is_letter[-1:] = False
        resolved = np.where(resolved == APOSTROPHE, OTHER, resolved).astype(np.uint8)
        resolved[is_apostrophe & is_letter] = LETTER
    return resolved


def _begins(classes: np.ndarray, resolved: np.ndarray) -> np.ndarray:
    """Which characters begin a piece, bool [N], the cuts of long pieces aside."""
    is_mark = classes == MARK
    begins = resolved != _shifted(resolved, END)
    begins |= (resolved == IDEOGRAPH) | (resolved == END)
    joins = (resolved >= LETTER) & (resolved <= OTHER) & ~is_mark
    joined = (classes[:-1] == SPACE) & joins[1:]  # a space, and what it belongs to
    begins[:-1] |= joined
    begins[1:] &= ~joined
    begins[1:] &= ~is_mark[1:] | (classes[:-1] == END)
    begins[:1] = True
    return begins


def _shifted(values: np.ndarray, before: int) -> np.ndarray:
    """Every value's predecessor."""
    shifted = np.empty_like(values)
    shifted[1:] = values[:-1]
    shifted[:1] = before
    return shifted


def _cut_long(starts: np.ndarray, lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Cut pieces of more than MAX_PIECE characters after every MAX_PIECE."""
    num_parts = -(-lengths // MAX_PIECE)
    part = np.arange(num_parts.sum()) - np.repeat(np.cumsum(num_parts) - num_parts, num_parts)
    cut_starts = np.repeat(starts, num_parts) + part * MAX_PIECE
    ends = np.repeat(starts + lengths, num_parts)
    return cut_starts, np.minimum(ends - cut_starts, MAX_PIECE)
