"""The lines that rows of CSV and TSV take, each as many as its quoted cells run over.

A row of several lines may be one whose quote is never closed, which swallowed others: then lines inside it have as many
delimiters as a row. All lines of a block are counted at once: a look at each row takes half as long as reading it.
"""

import functools
import itertools
from collections.abc import Sequence

import numpy as np

LINE_END = ord("\n")


class RowSpans:
    """Rows of a block that have the right width: in which lines they begin, and what is odd about them.

    `holding` are the rows, from 0, in which lines between the first and the last look like rows by themselves, or both
    of two lines do.
    """

    def __init__(self, lines: Sequence[str], ends: Sequence[int], delimiter: str, width: int):
        """Args: lines: of the rows; ends: of each row, the lines up to its end; width: cells of a row."""
        self._ends = np.fromiter(ends, np.intp, len(ends))
        self.starts = np.concatenate((np.zeros(1, np.intp), self._ends[:-1]))  # int [rows]
        counts = _delimiters_of(lines, delimiter)  # int [lines]
        self._have_more = counts[self.starts] >= width  # bool [rows]
        num_lines = self._ends - self.starts
        looks = counts == width - 1
        are_pairs = (num_lines == 2) & looks[self.starts]
        looks[self.starts] = False
        looks[self._ends[~are_pairs] - 1] = False
        inner = np.flatnonzero(looks)
        self.holding: list[int] = []
        self._are_broken = num_lines > 1  # bool [rows]
        if width > 1:
            rows = np.unique(np.searchsorted(self._ends, inner, side="right"))
            self._are_broken[rows] = False
            self.holding = rows.tolist()

    def broken(self, first: int, end: int) -> tuple[int, int]:
        """How many of the rows from `first` to `end` take several lines and hold no others; where the first begins."""
        are_broken = self._are_broken[first:end]
        number = int(np.count_nonzero(are_broken))
        return number, int(self.starts[first + are_broken.argmax()]) if number else 0

    def with_more(self, first: int, end: int) -> list[int]:
        """The lines in which those of them begin whose first line has more delimiters than part its cells."""
        return self.starts[first:end][self._have_more[first:end]].tolist()


def _delimiters_of(lines: Sequence[str], delimiter: str) -> np.ndarray:
    mark = delimiter.encode()
    if len(mark) == 1:
        marks = np.frombuffer("".join(lines).encode().translate(None, _all_but(LINE_END, mark[0])), np.uint8)
        line_ends = np.flatnonzero(marks == LINE_END)
        if len(line_ends) == len(lines):  # all of them are ended by LF
            return np.diff(line_ends, prepend=-1) - 1
    return np.fromiter(map(str.count, lines, itertools.repeat(delimiter)), np.intp, len(lines))


@functools.cache
def _all_but(*kept: int) -> bytes:
    return bytes(byte for byte in range(256) if byte not in kept)
