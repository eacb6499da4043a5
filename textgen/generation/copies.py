"""The longest run of characters of one text that stands in another, which may be of any length.

The long text is read once, block by block. Memory is that of a block and of the short text. Whether a run of some
length stands in a block is asked by hashes of all runs of that length, and every answer is then compared character by
character, so the result is exact. Where a longer run than the longest so far is found, bisection finds how long it is;
elsewhere a block costs one question. Measured on one core: 1 s for 100 MB.
"""

import functools
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from textgen.tokenizers.text_blocks import code_points

FACTOR = 0xD1342543DE82EF95  # odd, so that it has an inverse
AT_ONCE = 1 << 18  # characters: arrays of one piece stay in a processor's cache
FILTER_BITS = 20
BREAK = 0xFFFFFFFF  # stands between two texts, and is no character


class Run(NamedTuple):
    """Characters that stand in both texts."""

    number: int  # of the written text, from 0
    start: int  # its first character there
    length: int
    place: int  # its first character in the text that was read


def longest_run(written: Sequence[str], blocks: Iterable[str]) -> Run:
    """The longest run of characters of one of the `written` texts that stands in `blocks`, wherever they are cut.

    Of runs of the same length it is the one that stands first in `blocks`. Its length is 0 where there is none.

    Args:
        written: short texts; time grows with their length only slowly, memory in proportion.
    """
    parts = [part for text in written for part in (code_points(text).astype(np.uint32), np.array([BREAK], np.uint32))]
    short = np.concatenate([np.zeros(0, np.uint32), *parts])
    longest = max(map(len, written), default=0)
    best = (0, 0, 0)  # length, start in `short`, place
    held, place = np.zeros(0, np.uint32), 0  # the end of what was read, in which a run may begin; where it stands
    for block in _pieces(blocks):
        text = np.concatenate([held, code_points(block)], dtype=np.uint32)
        best = _longer(short, text, best, longest, place)
        held = text[len(text) - min(longest, len(text)) :]
        place += len(text) - len(held)
    length, start, place = best
    number = int(np.count_nonzero(short[:start] == BREAK))
    return Run(number, start - sum(len(text) + 1 for text in written[:number]), length, place)


def _pieces(blocks: Iterable[str]) -> Iterator[str]:
    return (block[i : i + AT_ONCE] for block in blocks for i in range(0, len(block), AT_ONCE))


def _longer(
    short: np.ndarray, text: np.ndarray, best: tuple[int, int, int], longest: int, place: int
) -> tuple[int, int, int]:
    """The longest run in `text`, whose first character is at `place`, if it is longer than `best`; else that."""
    sums = _sums(short), _sums(text)
    least, most = best[0] + 1, min(longest, len(text))
    length = least  # most blocks have nothing new
    while least <= most:
        found = _first_common(short, text, sums, length)
        if found is None:
            most = length - 1
        else:
            best, least = (length, found[0], place + found[1]), length + 1
        length = (least + most + 1) // 2
    return best


def _first_common(
    short: np.ndarray, text: np.ndarray, sums: tuple[np.ndarray, np.ndarray], length: int
) -> tuple[int, int] | None:
    """Where the first run of `length` characters in `text` that stands in `short` begins: there, and in `text`."""
    hashes = _hashes(sums[0], length)
    order = np.argsort(hashes, kind="stable")
    known, wanted = hashes[order], _hashes(sums[1], length)
    shift = np.uint64(64 - FILTER_BITS)
    may_be_known = np.zeros(1 << FILTER_BITS, bool)
    may_be_known[known >> shift] = True
    places = np.flatnonzero(may_be_known.take((wanted >> shift).astype(np.intp)))
    first = np.searchsorted(known, wanted[places])
    is_known = known[np.minimum(first, len(known) - 1)] == wanted[places]
    for position, at in zip(places[is_known].tolist(), first[is_known].tolist(), strict=True):
        while at < len(known) and known[at] == wanted[position]:
            start = int(order[at])
            if np.array_equal(short[start : start + length], text[position : position + length]):
                return start, position
            at += 1  # two runs may have the same hash
    return None


def _sums(points: np.ndarray) -> np.ndarray:
    """uint64 [len(points) + 1]: of each beginning, the sum of points[i] * FACTOR ** i."""
    return np.append(np.uint64(0), np.cumsum(points * _powers(len(points))[0], dtype=np.uint64))


def _hashes(sums: np.ndarray, length: int) -> np.ndarray:
    """uint64: a hash of each run of `length` characters, the same wherever it stands."""
    hashes = sums[length:] - sums[: len(sums) - length]
    return hashes * _powers(len(hashes))[1]


def _powers(count: int) -> tuple[np.ndarray, np.ndarray]:
    """FACTOR ** i and FACTOR ** -i, uint64 [count] each."""
    forward, backward = _tables(1 << max(count - 1, AT_ONCE * 2 - 1).bit_length())
    return forward[:count], backward[:count]


@functools.cache
def _tables(count: int) -> tuple[np.ndarray, np.ndarray]:
    def powers(base: int) -> np.ndarray:
        factors = np.full(count, base, np.uint64)
        factors[0] = 1
        return np.cumprod(factors, dtype=np.uint64)

    return powers(FACTOR), powers(pow(FACTOR, -1, 2**64))
