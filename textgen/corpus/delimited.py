"""The rows of CSV and TSV files, and what becomes of quotes that are wrong.

A cell that begins with a quote ends at the next quote that is not doubled, with a delimiter or a line end behind it.
Delimiters and line ends before that are text. Where there is no such end, or the row has not as many cells as the
others, the quote is wrong, and its row ends where its line does:

- In TSV, which many programs write without quoting, a wrong quote is a character of the text. A quote that runs over
  several lines is wrong there too, if each of the lines by itself is a row, unless a row before it needed its quotes.
- In CSV a wrong quote makes a bad row. Text behind the end of a quoted cell is taken for a part of it.

A quote within quotes may also be written as a backslash and a quote, once a row was met that can be read so only.
"""

import contextlib
import csv
import itertools
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from textgen.corpus.dialects import NULL, Columns, Dialect, find_columns, find_dialect, is_number
from textgen.corpus.quoted import QuotedDelimiters
from textgen.corpus.rows import LONGEST_LINE, Rows
from textgen.corpus.spans import RowSpans
from textgen.messages import counted, shown

if TYPE_CHECKING:
    from _csv import Reader

# A quote that is never closed makes one cell of the rest of the file; the module's own limit of 131,072 is less than
# an article has.
LONGEST_CELL = 1 << 24
ESCAPED_QUOTE = re.compile(r'(?<!\\)((?:\\\\)*)\\"')  # an even number of backslashes escapes none
HOLDS_ROWS = "with what looks like other rows inside its quotes: is a quote never closed?"
BROKEN = "with a line end inside its quotes, as behind a quote that is never closed"
FEWEST_ROWS = 2  # that are read at once behind one that was not believed, since those read behind it are read again
FEW_ROWS = 16  # that are looked at one by one in less time than all at once
NUM_SAMPLED = 200  # lines that show how a table is written


def delimited_cells(
    lines: Iterator[list[str]], sample: list[str], usual: str, column: str, rows: Rows
) -> Iterator[list[str]]:
    """The text of the rows in `column`, which may be empty; of several rows at once.

    Args:
        lines: of the whole file, with their ends.
        sample: the first of them.
        usual: the delimiter that such files have.

    Raises:
        CorpusError: there is no such column, or a row is bad.
    """
    csv.field_size_limit(max(csv.field_size_limit(), LONGEST_CELL))  # NOTE: one for the process; it is only raised
    sample = sample[:NUM_SAMPLED]
    dialect = find_dialect(sample, column, usual)
    table = _Table(lines, dialect, rows, is_plain=not any(line.count(dialect.quote) % 2 for line in sample))
    if dialect.is_stated:
        table.skip_line()
    first_row = table.first_row()
    if first_row is None:
        return
    below = dialect.rows_of([line for line in sample if not line.isspace()][dialect.is_stated :])[1:]
    columns = find_columns(column, first_row, below, table.line, rows)
    dialect.note_oddities(usual, columns.width, rows)
    if columns.has_header:
        table.take_first_row()
    table.above = "the header" if columns.has_header else "the first row"
    for cells in table.cells(columns):
        if NULL in cells:
            cells = ["" if cell == NULL else cell for cell in cells]
        yield [cell.strip(" ") for cell in cells] if dialect.is_padded else cells


class _Table:
    """Rows from lines, of which those that a row took by mistake can be given back."""

    def __init__(self, lines: Iterator[list[str]], dialect: Dialect, rows: Rows, is_plain: bool):
        self.line = 1  # in which the next row begins
        self.above = "the header"  # what tells how many cells a row has
        self._lines, self._dialect, self._rows = lines, dialect, rows
        self._delimiter = dialect.delimiter
        self._ahead: list[str] = []  # lines that are not passed
        self._num_taken = 0  # of them: those of the row that was read last
        self._error: csv.Error | None = None
        self._is_tsv = dialect.delimiter == "\t"
        self._has_escapes = False
        self._num_broken = self._first_broken = 0  # rows of several lines that look as if they were meant so
        self._num_tried = LONGEST_LINE  # rows that are read at once
        self._is_plain = is_plain  # every line is a row, for all that is known
        self._needs_quotes = self._has_lone_quotes = False
        self._quoted = QuotedDelimiters(dialect.delimiter)

    def skip_line(self) -> None:
        """Pass over the next line."""
        if self._ahead or self._fetch():
            self._pass(1)

    def first_row(self) -> list[str] | None:
        """The first row that is not blank; None where there is none. It comes again unless it is taken."""
        while True:
            row = self._next()
            if not self._num_taken:
                return None
            if "".join(self._taken).strip():
                break
            self._pass(self._num_taken)
        if row is None:
            self._num_taken = 1
            row = self._dialect.lenient(self._ahead[0])[0]
        self._needs_quotes = self._ahead[0].startswith(self._dialect.quote) and self._error is None
        return row

    def take_first_row(self) -> None:
        """The first row is a header, and not one of those that follow."""
        self._pass(self._num_taken)

    def cells(self, columns: Columns) -> Iterator[list[str]]:
        """What is wanted of the rows that are good. Raises CorpusError at a bad one that is an error."""
        width = columns.width
        while self._ahead or self._fetch():
            found, num_lines = self._plain_cells(columns)
            if found:
                yield found
            self._pass(num_lines)
            if not self._ahead:
                continue
            row = self._next()
            if row is None or len(row) != width or not self._num_believed([self._num_taken], width):
                row = self._mended(row, width)
            self._pass(self._num_taken)
            if row is not None:
                yield [columns.wanted(row)]
        if self._num_broken:
            self._rows.note(BROKEN, self._first_broken, times=self._num_broken)
        self._quoted.finish(self._rows)

    def _plain_cells(self, columns: Columns) -> tuple[list[str], int]:
        """Of the rows that are good as they stand, up to one that is odd or not over: what is wanted; their lines."""
        (one, *several), width, lines = columns.places, columns.width, self._ahead
        if self._is_plain and not several:
            reader = self._read(lines)
            with contextlib.suppress(csv.Error):
                found = [row[one] for row in reader if len(row) == width]
                if len(found) == reader.line_num == len(lines):
                    self._quoted.add_plain(lines, self.line, width)
                    return found, len(lines)
        self._is_plain = False
        found, ends = [], []  # ends: lines up to the end of each row
        reader = self._read(lines)
        with contextlib.suppress(csv.Error):
            for row in itertools.islice(reader, self._num_tried):
                if len(row) != width:
                    break
                found.append(columns.wanted(row) if several else row[one])
                ends.append(reader.line_num)
        num_good = self._num_believed(ends, width)
        self._num_tried = min(2 * self._num_tried, LONGEST_LINE) if num_good == len(ends) else FEWEST_ROWS
        return found[:num_good], ends[num_good - 1] if num_good else 0

    def _num_believed(self, ends: Sequence[int], width: int) -> int:
        """How many of the next rows, with those ends, are believed, up to one that is not; what is odd is counted."""
        num_rows, lines = len(ends), self._ahead
        if not ends or ends[-1] == num_rows:
            self._quoted.add_plain(lines[:num_rows], self.line, width)
            return num_rows
        if num_rows <= FEW_ROWS:
            for row, (start, end) in enumerate(itertools.pairwise((0, *ends))):
                if end - start > 1 and not self._is_believed(lines[start:end], width, start):
                    return row
                self._quoted.add([self.line + start] * (lines[start].count(self._delimiter) >= width), 1)
            return num_rows
        spans = RowSpans(lines[: ends[-1]], ends, self._delimiter, width)
        first = next(iter(spans.holding), num_rows)
        self._count(spans, 0, first)
        for row in spans.holding:
            start = int(spans.starts[row])
            if not self._is_believed(lines[start : ends[row]], width, start):
                num_rows = row
                break
        self._count(spans, first, num_rows)
        return num_rows

    def _count(self, spans: RowSpans, first: int, end: int) -> None:
        """Count what is odd about the rows from `first` to `end`."""
        num_broken, start = spans.broken(first, end)
        if num_broken:
            self._first_broken = self._first_broken or self.line + start
            self._num_broken += num_broken
        self._quoted.add([self.line + start for start in spans.with_more(first, end)], end - first)

    def _read(self, lines: Iterable[str]) -> "Reader":
        if self._has_escapes:
            lines = (ESCAPED_QUOTE.sub(r'\1""', line) for line in lines)
        return self._dialect.reader(lines, is_strict=True)

    @property
    def _taken(self) -> list[str]:
        return self._ahead[: self._num_taken]

    def _fetch(self) -> bool:
        """Have more lines ahead; False where there are no more."""
        more = next(self._lines, None)
        while more is not None and not more:
            more = next(self._lines, None)
        self._ahead += more or []
        return bool(more)

    def _pass(self, num_lines: int) -> None:
        """Go on behind so many lines."""
        self.line += num_lines
        del self._ahead[:num_lines]
        self._num_taken = 0

    def _fed(self) -> Iterator[str]:
        """The lines of one row for the csv module, as many as it asks for."""
        num_characters = 0
        while self._num_taken < len(self._ahead) or self._fetch():
            line = self._ahead[self._num_taken]
            self._num_taken += 1
            num_characters += len(line)
            if num_characters > LONGEST_LINE:
                raise csv.Error(f"it is longer than {LONGEST_LINE:,} characters")
            yield line

    def _next(self) -> list[str] | None:
        """The next row as it is quoted; None at the end, where it took no lines, and where the quotes are wrong."""
        self._num_taken = 0
        self._error = None
        try:
            return next(self._read(self._fed()), None)
        except csv.Error as error:
            self._error = error
            return None

    def _is_believed(self, lines: list[str], width: int, num_passed: int = 0) -> bool:
        """Whether a row of the right width may run over several lines, which is noted.

        Args:
            lines: of the row.
            num_passed: lines before them that count as passed.
        """
        counts = [line.count(self._delimiter) for line in lines]
        are_rows = counts.count(width - 1) == len(counts) and width > 1
        if not are_rows and (width - 1 not in counts[1:-1] or width == 1):
            self._first_broken = self._first_broken or self.line + num_passed
            self._num_broken += 1
            return True
        needs_quotes = self._needs_quotes or self._num_broken > 0 or self._quoted.count > 0
        if self._is_tsv and are_rows and (self._has_lone_quotes or not needs_quotes):
            return False
        self._needs_quotes = True
        starts_anew = self._is_tsv or is_number(lines[1].partition(self._delimiter)[0])  # as in 2,text
        what = HOLDS_ROWS if len(lines) > 2 or starts_anew else BROKEN
        self._rows.note(what, self.line + num_passed)
        return True

    def _mended(self, row: list[str] | None, width: int) -> list[str] | None:
        """The row that was meant where one has wrong quotes or another width; None where it is left out."""
        first = self._ahead[0]
        if not first.strip():  # a blank line is no row, unless there is one column
            self._num_taken = 1
            return [""] if width == 1 else None
        if not self._has_escapes and any('\\"' in line for line in self._taken):
            if (escaped := self._escaped_row(width)) is not None:
                return escaped
            row = self._next()
        if row is not None and len(row) == width + 1 and not row[-1] and self._num_taken == 1:
            self._rows.note("with an empty cell behind the last", self.line)
            return row[:-1]
        if self._is_tsv and len(cells := first.rstrip("\r\n").split("\t")) == width:
            self._num_taken = 1
            self._has_lone_quotes = True
            self._rows.note("with a quote that its cell does not close, read as it stands", self.line)
            return cells
        cells, is_open = self._dialect.lenient(first) if row is None else (row, False)
        error = self._error
        interior = self._taken[1:-1]
        if row is None or (interior and all(line.count(self._delimiter) == width - 1 for line in interior)):
            self._num_taken = 1
        if len(cells) == width and not is_open:
            return cells
        problem = f"{counted(len(cells), 'cell')} in a row where {self.above} has {width:,}"
        if is_open:
            is_long = error is not None and ("field limit" in str(error) or "longer" in str(error))
            problem = (
                f'{shown(error)}. Is a quote (") never closed?' if is_long else 'a quote (") is opened and never closed'
            )
        self._rows.bad(self.line, problem)
        return None

    def _escaped_row(self, width: int) -> list[str] | None:
        """The row with quotes that a backslash escapes, if it is one so."""
        self._has_escapes = True
        row = self._next()
        if row is not None and len(row) == width and (self._num_taken == 1 or self._is_believed(self._taken, width)):
            self._rows.note("whose quotes are escaped by backslashes", noun="table")
            return row
        self._has_escapes = False
        return None
