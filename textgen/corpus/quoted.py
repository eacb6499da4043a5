"""Rows of CSV and TSV that hold their table's delimiter inside quotes.

Where quotes are wrong, they hold what was meant to lie outside. So it is said where a table has few such rows: commas
are usual in quoted sentences, tabs in quotes are not.
"""

from collections.abc import Sequence

from textgen.corpus.dialects import DELIMITER_NAMES
from textgen.corpus.rows import Rows
from textgen.messages import shown
from textgen.tokenizers.text_blocks import count_bytes

USUAL = ",;"  # delimiters that sentences hold, too
# Of a table, that hold a usual delimiter in quotes; from more there is nothing to learn.
MOST_ROWS, MOST_SHARE = 20, 0.01


class QuotedDelimiters:
    """Counts the rows that hold the delimiter inside quotes, in their first line."""

    def __init__(self, delimiter: str):
        self.count = self.num_rows = 0
        self.matters = True  # whether something will be said of them, for all that is known
        self._delimiter, self._is_usual, self._first = delimiter, delimiter in USUAL, 0

    def add(self, line: int) -> None:
        """Count a row that begins in that line."""
        self._first = self._first or line
        self.count += 1
        self.matters = not self._is_usual or self.count <= MOST_ROWS

    def add_plain(self, lines: Sequence[str], first_line: int, width: int) -> None:
        """Look at rows of a line each, the first of which is `first_line` of the file, with `width` cells each."""
        self.num_rows += len(lines)
        if not self.matters:
            return
        text, delimiter = "".join(lines), self._delimiter
        is_ascii = text.isascii()
        count = count_bytes(text.encode(), delimiter.encode()) if is_ascii else text.count(delimiter)
        if count != (width - 1) * len(lines):
            for number, line in enumerate(lines, first_line):
                if line.count(delimiter) >= width:
                    self.add(number)

    def finish(self, rows: Rows) -> None:
        """The table is over: note what there was."""
        if not self.count or (self._is_usual and self.count > min(MOST_ROWS, MOST_SHARE * self.num_rows)):
            return
        name = DELIMITER_NAMES.get(self._delimiter, shown(repr(self._delimiter)))
        few = ", as hardly any other row has" if self._is_usual else ""
        rows.note(f"with {name} inside quotes{few}", self._first, times=self.count)
