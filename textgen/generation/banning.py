"""Which tokens would write a banned text, wherever it is cut into tokens. The rules, which both engines and the export
follow; `graph_banning.py` holds them as TensorFlow operations, by these numbers:

1. A text that begins with [ and ends with ], with something between, is one character of a set: of those between. There
   a - between two characters stands for all from the one to the other, and a ^ before the others for all but them.
2. Any other text is its characters, one after the other.
3. A small letter stands for its capital, too, unless the text holds a capital. After a ^ it stands for itself alone:
   capitals that are not named there are banned.
4. A token is banned that holds a whole banned text, and one that completes a banned text which is open: the text so
   far, the prompt's included, ends with the beginning of it.
5. After a token those banned texts are open whose beginning ends it, and those that it went on with and did not end.
6. The end of a document is banned only where its separator is written.

All banned texts stand in one row of P places, one a character. A beginning has the place of its last character.
"""

import functools
from collections.abc import Iterator
from typing import NamedTuple, Self

import numpy as np

from textgen.memory import check_fits
from textgen.tokenizers import Tokenizer
from textgen.tokenizers.text_blocks import code_points

TABLES = 5  # of a byte for each token and place, while they are made


class Banned(NamedTuple):
    """What each token does to banned texts."""

    holds: np.ndarray  # bool [V], whether a token holds a whole one
    completes: np.ndarray  # bool [P, V], whether it completes the open one whose beginning ends at the place
    begins: np.ndarray  # bool [V, P], whether a beginning that ends at the place ends the token
    goes_on: np.ndarray  # bool [V, P], whether the token is the end of that beginning, which was open before
    lengths: np.ndarray  # int32 [V], characters of a token
    holding: np.ndarray  # int [N], the ids of `holds`

    def open_after(self, token_ids: np.ndarray) -> np.ndarray:
        """Which banned texts are open after a text that ends with `token_ids`, int [T]; bool [P]."""
        is_open = np.zeros((1, len(self.completes)), bool)
        for token_id in token_ids[-max(1, len(self.completes)) :]:  # no beginning is longer
            is_open = self.after(is_open, np.array([token_id]))
        return is_open[0]

    def after(self, is_open: np.ndarray, token_ids: np.ndarray) -> np.ndarray:
        """`is_open`, bool [B, P], after one more token of each row, int [B]."""
        if not is_open.any():
            return self.begins[token_ids]
        before = np.arange(is_open.shape[1])[None] - self.lengths[token_ids][:, None]  # [B, P]
        was_open = np.take_along_axis(is_open, np.maximum(before, 0), axis=1)
        return self.begins[token_ids] | (self.goes_on[token_ids] & was_open)  # rule 5

    def ids(self, is_open: np.ndarray) -> np.ndarray:
        """The ids that are banned while the texts at the places of `is_open`, bool [P], are open; int [N]."""
        places = np.flatnonzero(is_open)
        return np.flatnonzero(self.completes[places].any(axis=0) | self.holds) if len(places) else self.holding


class Spelled(NamedTuple):
    """The characters of all tokens. Character U stands for none."""

    points: np.ndarray  # int32 [U], code points, all different
    small: np.ndarray  # int32 [U], those of the small letters
    from_left: np.ndarray  # int32 [V, C], the places in `points` of each token's characters
    to_right: np.ndarray  # int32 [V, C], the same with what is empty before them
    lengths: np.ndarray  # int32 [V]

    @classmethod
    def of(cls, tokenizer: Tokenizer) -> Self:
        """Of `tokenizer`; the end of a document is its separator."""
        pieces = list(tokenizer.pieces)
        if tokenizer.eod_id is not None:
            pieces[tokenizer.eod_id] = tokenizer.document_separator or ""
        lengths = np.array([len(piece) for piece in pieces], np.int32)
        points, places = np.unique(code_points("".join(pieces)).astype(np.int32), return_inverse=True)
        column = np.arange(lengths.max())
        from_left = np.full((len(pieces), len(column)), len(points), np.int32)
        to_right = from_left.copy()
        from_left[column < lengths[:, None]] = places
        to_right[column >= len(column) - lengths[:, None]] = places
        small = np.array([small_letter(point) for point in points.tolist()], np.int32)
        return cls(points, small, from_left, to_right, lengths)


def small_letter(point: int) -> int:
    """The code point of the small letter of a capital; of anything else, itself."""
    small = chr(point).lower()
    return ord(small) if len(small) == 1 else point


def is_capital(symbol: str) -> bool:
    """Whether a symbol has another form as a small letter."""
    return symbol.lower() != symbol


def matching(texts: tuple[str, ...], spelled: Spelled) -> np.ndarray:
    """Which characters stand at which place, bool [U + 1, P]."""
    columns = [_column(*place, spelled.points, spelled.small) for text in texts for place in places_of(text)]
    return np.append(np.stack(columns, axis=1), np.zeros((1, len(columns)), bool), axis=0)


def places_of(text: str) -> Iterator[tuple[list[tuple[str, str]], bool, bool]]:
    """For each place of a banned text: ranges of characters, whether all others are meant, and whether case counts."""
    is_exact = any(map(is_capital, text))  # rule 3
    if len(text) < 3 or (text[0], text[-1]) != ("[", "]"):
        yield from (([(symbol, symbol)], False, is_exact) for symbol in text)  # rule 2
        return
    inside = text[1:-1]  # rule 1
    is_negated = len(inside) > 1 and inside[0] == "^"
    inside = inside[is_negated:]
    last = len(inside) - 1
    ends = [(inside[i - 1], inside[i + 1]) if c == "-" and 0 < i < last else (c, c) for i, c in enumerate(inside)]
    yield [(min(pair), max(pair)) for pair in ends], is_negated, is_exact or is_negated


def stands_in(banned: str, text: str) -> bool:
    """Whether `text` holds a banned text."""
    points = code_points(text).astype(np.int32)
    small = np.array([small_letter(point) for point in points.tolist()], np.int32)
    fits = [_column(*place, points, small) for place in places_of(banned)]
    number = len(text) - len(fits) + 1  # of places where it could begin
    return number > 0 and bool(np.logical_and.reduce([fit[i : i + number] for i, fit in enumerate(fits)]).any())


def _column(
    ranges: list[tuple[str, str]], is_negated: bool, is_exact: bool, points: np.ndarray, small: np.ndarray
) -> np.ndarray:
    points = points if is_exact else small
    found = np.zeros(len(points), bool)
    for first, last in ranges:
        found |= (points >= ord(first)) & (points <= ord(last))
    return found ^ is_negated


def banned_by(texts: tuple[str, ...], tokenizer: Tokenizer, writes_separators: bool) -> Banned | None:
    """The tables of the banned `texts`, None where there are none.

    Args: writes_separators: whether text goes on after the end of a document.
    """
    return _tables(texts, tokenizer, writes_separators) if texts else None


@functools.lru_cache(maxsize=1)  # many texts are written with one, and others without any beside them
def _tables(texts: tuple[str, ...], tokenizer: Tokenizer, writes_separators: bool) -> Banned:
    sizes = [len(list(places_of(text))) for text in texts]
    num_places, num_ids = sum(sizes), tokenizer.vocabulary_size
    check_fits(TABLES * num_places * num_ids, f"banning {num_places:,} characters", "Ban less")
    spelled = Spelled.of(tokenizer)
    fits = matching(texts, spelled)
    place = np.concatenate([np.arange(size) for size in sizes])  # [P], of a character in its text
    left = np.concatenate([np.arange(size)[::-1] for size in sizes])  # [P], characters of the text after it
    is_last = left == 0
    holds, begins = np.zeros(num_ids, bool), np.zeros((num_ids, num_places), bool)
    for characters in spelled.to_right.T:
        begins = fits[characters] & (np.roll(begins, 1, axis=1) | (place == 0))
        holds |= begins[:, is_last].any(axis=1)  # rule 4
    # Token by token from the left: is it what the text goes on with after each of its beginnings?
    goes_on, completes = np.ones((num_ids, num_places), bool), np.zeros((num_ids, num_places), bool)
    for index, characters in enumerate(spelled.from_left.T):
        is_there = (index < spelled.lengths)[:, None]
        next_place = np.minimum(np.arange(num_places) + index + 1, num_places - 1)
        goes_on &= ~is_there | (fits[:, next_place][characters] & (left > index))
        completes |= is_there & goes_on & (left == index + 1)
    before = np.arange(num_places) - spelled.lengths[:, None]  # [V, P]
    goes_on = np.take_along_axis(goes_on, np.maximum(before, 0), axis=1) & (place >= spelled.lengths[:, None])
    if tokenizer.eod_id is not None and not writes_separators:  # rule 6
        holds[tokenizer.eod_id], completes[tokenizer.eod_id] = False, False
    completes = np.ascontiguousarray(completes.T)
    return Banned(holds, completes, begins & ~is_last, goes_on & ~is_last, spelled.lengths, np.flatnonzero(holds))
