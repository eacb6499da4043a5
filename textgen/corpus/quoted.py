"""Rows of CSV and TSV that hold their table's delimiter inside quotes.

Where quotes are wrong, they hold what was meant to lie outside. So it is said how many such rows a table has, and where
the first is. Commas are usual in quoted sentences, tabs in quotes are not: of commas no more than a few are counted.
"""

from collections.abc import Sequence

from textgen.corpus.dialects import DELIMITER_NAMES
from textgen.corpus.rows import Rows
from textgen.messages import shown
from textgen.tokenizers.text_blocks import count_bytes

USUAL = ",;"  # delimiters that sentences hold, too
MOST_ROWS = 20  # that hold a usual delimiter in quotes, and are counted; from more there is nothing to learn
MOST_SHARE = 0.01  # of the rows of a table, that hardly any is


class QuotedDelimiters:
    """Counts the rows that hold the delimiter inside quotes, in their first line."""

    def __init__(self, delimiter: str):
        self.count = self.num_rows = 0
        self.matters = True  # whether they are still counted
        self._delimiter, self._is_usual, self._first = delimiter, delimiter in USUAL, 0

    def add(self, lines: Sequence[int], num_rows: int) -> None:
        """Count so many rows, of which those hold the delimiter that begin in these lines."""
        self.num_rows += num_rows
        if lines and self.matters:
            self._first = self._first or lines[0]
            self.count += len(lines)
            self.matters = not self._is_usual or self.count <= MOST_ROWS

    def add_plain(self, lines: Sequence[str], first_line: int, width: int) -> None:
        """Look at rows of a line each, the first of which is `first_line` of the file, with `width` cells each."""
        if not self.matters:
            self.add([], len(lines))
            return
        text, delimiter = "".join(lines), self._delimiter
        is_ascii = text.isascii()
        count = count_bytes(text.encode(), delimiter.encode()) if is_ascii else text.count(delimiter)
        odd = []
        if count != (width - 1) * len(lines):
            odd = [number for number, line in enumerate(lines, first_line) if line.count(delimiter) >= width]
        self.add(odd, len(lines))

    def finish(self, rows: Rows) -> None:
        """The table is over: note what there was."""
        name = DELIMITER_NAMES.get(self._delimiter, shown(repr(self._delimiter)))
        if not self.matters:
            rows.note(f"with {name} inside quotes in more than {MOST_ROWS} rows", noun="table")
        elif self.count:
            is_rare = self._is_usual and self.count <= MOST_SHARE * self.num_rows
            few = ", as hardly any other row has" if is_rare else ""
            rows.note(f"with {name} inside quotes{few}", self._first, times=self.count)
