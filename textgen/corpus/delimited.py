"""The rows of CSV and TSV files, and what becomes of quotes that are wrong.

A cell that begins with a quote ends at the next quote that is not doubled, with a delimiter or a line end behind it.
Delimiters and line ends before that are text. Where there is no such end, or the row has not as many cells as the
others, the quote is wrong, and its row ends where its line does:

- In TSV, which many programs write without quoting, a wrong quote is a character of the text. A quote that runs over
  several lines is wrong there too, if each of the lines by itself is a row, unless a row before it needed its quotes.
- In CSV a wrong quote makes a bad row. Text behind the end of a quoted cell is taken for a part of it.

A quote within quotes may also be written as a backslash and a quote, once a row was met that can be read so only.
"""

import csv
import re
from collections import deque
from collections.abc import Iterator

from textgen.corpus.dialects import DELIMITER_NAMES, Dialect, find_columns, find_dialect, is_number
from textgen.corpus.rows import LONGEST_LINE, Rows, joined
from textgen.messages import counted, shown

# A quote that is never closed makes one cell of the rest of the file; the module's own limit of 131,072 is less than
# an article has.
LONGEST_CELL = 1 << 24
ESCAPED_QUOTE = re.compile(r'(?<!\\)((?:\\\\)*)\\"')  # an even number of backslashes escapes none
NULL = r"\N"  # how databases write a missing cell
NUM_SAMPLED = 200  # lines that show how a table is written


def delimited_cells(lines: Iterator[str], sample: list[str], usual: str, column: str, rows: Rows) -> Iterator[str]:
    """The text of each row in `column`, which may be empty.

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
    table = _Table(lines, dialect, rows)
    if dialect.is_stated:
        table.skip_line()
    first_row = table.first_row()
    if first_row is None:
        return
    below = [dialect.split(line) for line in sample if not line.isspace()][1 + dialect.is_stated :]
    columns = find_columns(column, first_row, below, table.line, rows)
    if dialect.delimiter != usual and columns.width > 1:
        name = DELIMITER_NAMES.get(dialect.delimiter, repr(dialect.delimiter))
        rows.note(f"whose cells are parted by {shown(name)}", noun="table")
    if columns.has_header:
        table.take_first_row()
    if dialect.is_padded:
        rows.note("with a space behind every delimiter", noun="table")
    table.above = "the header" if columns.has_header else "the first row"
    one, several = columns.places[0], columns.places[1:]
    for row in table.rows(columns.width):
        cell = joined(row[place] for place in columns.places if row[place] != NULL) if several else row[one]
        yield "" if cell == NULL else cell.strip(" ") if dialect.is_padded else cell


class _Table:
    """Rows from lines, of which those that a row took by mistake can be given back."""

    def __init__(self, lines: Iterator[str], dialect: Dialect, rows: Rows):
        self.line = 1  # in which the next row begins
        self.above = "the header"  # what tells how many cells a row has
        self._lines, self._dialect, self._rows = lines, dialect, rows
        self._delimiter = dialect.delimiter
        self._again: deque[str] = deque()  # lines that were given back
        self._taken: list[str] = []  # those of the row that was read last
        self._error: csv.Error | None = None
        self._is_tsv = dialect.delimiter == "\t"
        self._has_escapes = False
        self._needs_quotes = self._has_lone_quotes = False
        self._reader = self._new_reader()

    def skip_line(self) -> None:
        """Pass over the next line."""
        next(self._lines, None)
        self.line += 1

    def first_row(self) -> list[str] | None:
        """The first row that is not blank; None where there is none. It comes again unless it is taken."""
        row = self._next()
        while self._taken and not "".join(self._taken).strip():
            self.line += len(self._taken)
            row = self._next()
        if not self._taken:
            return None
        if row is None:
            self._give_back(1)
            row = self._lenient(self._taken[0])[0]
        self._first_lines = len(self._taken)
        self._needs_quotes = self._taken[0].startswith('"') and self._error is None
        self._give_back(0)
        return row

    def take_first_row(self) -> None:
        """The first row is a header, and not one of those that follow."""
        self._next()
        self._give_back(self._first_lines)
        self.line += self._first_lines

    def rows(self, width: int) -> Iterator[list[str]]:
        """The rows of so many cells, as far as they are good. Raises CorpusError at a bad one that is an error."""
        watches_quotes = self._is_tsv
        while True:
            row: list[str] | None = self._next()
            taken = self._taken
            if not taken:
                return
            if row is None or len(row) != width or (len(taken) > 1 and not self._is_believed(width)):
                row = self._mended(row, width)
            elif watches_quotes and '"' in taken[0] and taken[0].count("\t") >= width:
                self._needs_quotes, watches_quotes = True, False
            self.line += len(self._taken)
            if row is not None:
                yield row

    def _new_reader(self) -> Iterator[list[str]]:
        return csv.reader(self._fed(), delimiter=self._delimiter, skipinitialspace=self._dialect.is_padded, strict=True)

    def _fed(self) -> Iterator[str]:
        """The lines for the csv module, which are kept in `_taken`."""
        num_characters = 0
        while (line := self._again.popleft() if self._again else next(self._lines, None)) is not None:
            if not self._taken:
                num_characters = 0
            self._taken.append(line)
            num_characters += len(line)
            if num_characters > LONGEST_LINE:
                raise csv.Error(f"it is longer than {LONGEST_LINE:,} characters")
            yield ESCAPED_QUOTE.sub(r'\1""', line) if self._has_escapes and "\\" in line else line

    def _next(self) -> list[str] | None:
        """The next row as it is quoted; None at the end, where it took no lines, and where the quotes are wrong."""
        self._taken = []
        self._error = None
        try:
            return next(self._reader, None)
        except csv.Error as error:
            self._error = error
            return None

    def _give_back(self, num_kept: int) -> None:
        """Leave the row that was read last so many of its lines; the others come again."""
        self._again.extendleft(reversed(self._taken[num_kept:]))
        self._taken = self._taken[:num_kept]
        self._reader = self._new_reader()

    def _is_believed(self, width: int) -> bool:
        """Whether a row of the right width may run over several lines, which is noted."""
        are_rows = [line.count(self._delimiter) == width - 1 for line in self._taken] if width > 1 else [False]
        if self._is_tsv and all(are_rows) and (self._has_lone_quotes or not self._needs_quotes):
            return False
        self._needs_quotes = True
        starts_anew = self._is_tsv or is_number(self._taken[1].partition(self._delimiter)[0])  # as in 2,text
        if any(are_rows[1:-1]) or (all(are_rows) and starts_anew):
            self._rows.note("with what looks like other rows inside its quotes: is a quote never closed?", self.line)
        else:
            self._rows.note("with a line end inside its quotes, as behind a quote that is never closed", self.line)
        return True

    def _mended(self, row: list[str] | None, width: int) -> list[str] | None:
        """The row that was meant where one has wrong quotes or another width; None where it is left out."""
        first = self._taken[0]
        if not first.strip():  # a blank line is no row, unless there is one column
            self._give_back(1)
            return [""] if width == 1 else None
        if not self._has_escapes and any('\\"' in line for line in self._taken):
            if (escaped := self._escaped_row(width)) is not None:
                return escaped
            row, first = self._next(), self._taken[0]
        if self._is_tsv and len(cells := first.rstrip("\r\n").split("\t")) == width:
            self._give_back(1)
            self._has_lone_quotes = True
            self._rows.note("with a quote that its cell does not close, read as it stands", self.line)
            return cells
        cells, is_open = self._lenient(first) if row is None else (row, False)
        error = self._error
        interior = self._taken[1:-1]
        if row is None or (interior and all(line.count(self._delimiter) == width - 1 for line in interior)):
            self._give_back(1)
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
        """The row with quotes that a backslash escapes, if it is one so; else its lines are given back."""
        self._give_back(0)
        self._has_escapes = True
        row = self._next()
        if row is not None and len(row) == width and (len(self._taken) == 1 or self._is_believed(width)):
            self._rows.note("whose quotes are escaped by backslashes", noun="table")
            return row
        self._has_escapes = False
        self._give_back(0)
        return None

    def _lenient(self, line: str) -> tuple[list[str], bool]:
        """The cells of one line with text behind the ends of quoted cells, and whether a quote is open at its end."""
        reader = csv.reader([line, ""], delimiter=self._delimiter, skipinitialspace=self._dialect.is_padded)
        try:
            return next(reader), reader.line_num > 1
        except csv.Error:
            return [], True
