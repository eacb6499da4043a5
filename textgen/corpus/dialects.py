"""How the cells of a CSV or TSV file are parted, whether it has a header, and where its columns are.

The first lines decide. A delimiter under which the wanted column has its name in the header is the right one; else that
under which the lines have equally many cells.
"""

import contextlib
import csv
import re
import statistics
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from textgen.corpus.rows import Rows, joined, no_column, split_names
from textgen.messages import counted, shown

if TYPE_CHECKING:
    from _csv import Reader

DELIMITERS = (",", ";", "\t", "|")
DELIMITER_NAMES = {",": "a comma", "\t": "a tab", ";": "';'", "|": "'|'"}
STATED = re.compile(r'"?sep=([^"\w\n])"?\s*')  # what spreadsheets write into a first line of its own
NAME = re.compile(r"[^\W\d][\w./-]*(?: [\w./-]+){0,2}")  # a header's cell has three words at most, and no punctuation
MOST_WORDS = 10  # of a header's cell that is a question of a form
NULL = r"\N"  # how databases write a missing cell
IDENTIFIER = re.compile(r"[a-z][a-z0-9_]*")


class Dialect(NamedTuple):
    """How a table is written."""

    delimiter: str
    is_padded: bool = False  # whether every delimiter has a space behind it, which is no part of the cells
    is_stated: bool = False  # whether the first line states the delimiter, and nothing else
    quote: str = '"'

    def split(self, line: str) -> list[str]:
        """The cells of a line that is a row."""
        if self.quote not in line:
            cells = line.rstrip("\r\n").split(self.delimiter)
            return [cell.strip(" ") for cell in cells] if self.is_padded else cells
        try:
            return next(self.reader([line]), [])
        except csv.Error:
            return []

    def rows_of(self, lines: Sequence[str]) -> list[list[str]]:
        """The rows of a table's first lines: each is a row by itself, but a header may run over several in quotes."""
        if not lines:
            return []
        num_lines, header = 1, self.split(lines[0])
        if lines[0].count(self.quote) % 2:
            reader = self.reader(lines, is_strict=True)
            with contextlib.suppress(csv.Error, StopIteration):
                header, num_lines = next(reader), reader.line_num
        return [header, *map(self.split, lines[num_lines:])]

    def lenient(self, line: str) -> tuple[list[str], bool]:
        """The cells of one line with text behind the ends of quoted cells, and whether a quote is open at its end."""
        reader = self.reader([line, ""])
        try:
            return next(reader), reader.line_num > 1
        except csv.Error:
            return [], True

    def reader(self, lines: Iterable[str], *, is_strict: bool = False) -> "Reader":
        """The rows of `lines`, as the csv module reads them; a strict one raises csv.Error at wrong quotes."""
        return csv.reader(
            lines,
            delimiter=self.delimiter,
            quotechar=self.quote,
            skipinitialspace=self.is_padded,
            strict=is_strict,
        )

    def note_oddities(self, usual: str, width: int, rows: Rows) -> None:
        """Note how a table with rows of `width` cells differs from those whose delimiter is the usual one."""
        if self.delimiter != usual and width > 1:
            name = DELIMITER_NAMES.get(self.delimiter, repr(self.delimiter))
            rows.note(f"whose cells are parted by {shown(name)}", noun="table")
        if self.quote != '"':
            rows.note("whose cells are quoted by apostrophes", noun="table")
        if self.is_padded:
            rows.note("with a space behind every delimiter", noun="table")


class Columns(NamedTuple):
    """Which cells of a row are wanted."""

    places: tuple[int, ...]
    width: int  # cells in a row
    has_header: bool

    def wanted(self, row: Sequence[str]) -> str:
        """The text of a row."""
        if len(self.places) == 1:
            return row[self.places[0]]
        return joined(row[place] for place in self.places if row[place] != NULL)


def find_dialect(sample: Sequence[str], column: str, usual: str) -> Dialect:
    """The dialect of the first lines of a table.

    Args:
        column: the one that is wanted.
        usual: the delimiter that such files have, which is the right one where nothing speaks against it.
    """
    if sample and (stated := STATED.fullmatch(sample[0])):
        return Dialect(stated[1], _is_padded(stated[1], sample[1:]), True, _quote(stated[1], sample[1:]))
    lines = [line for line in sample if not line.isspace()]
    if not lines:
        return Dialect(usual)

    def merit(delimiter: str) -> tuple[bool, bool, float, float]:
        dialect = Dialect(delimiter, quote=_quote(delimiter, lines))
        rows = dialect.rows_of(lines)
        names, width = [_bare(name) for name in rows[0]], len(rows[0])
        wanted = split_names(column, lambda name: name in rows[0] or name in names)
        is_named = any(name in rows[0] or name in names for name in wanted)
        fitting = sum(len(row) == width for row in rows) / len(rows)
        text = "".join(lines)
        spaced = text.count(f"{delimiter} ") / max(1, text.count(delimiter))  # as after a comma in a sentence
        return is_named, width > 1 and (is_named or fitting > 0.5), fitting, -spaced

    delimiter = max(dict.fromkeys((usual, *DELIMITERS)), key=merit)
    return Dialect(delimiter, _is_padded(delimiter, lines), quote=_quote(delimiter, lines))


def _is_padded(delimiter: str, lines: Sequence[str]) -> bool:
    later = [cell for line in lines for cell in line.rstrip("\r\n").split(delimiter)[1:]]
    return any(later) and all(cell.startswith(" ") or not cell for cell in later)


def _quote(delimiter: str, lines: Sequence[str]) -> str:
    """What cells are quoted by: apostrophes, where a column of all rows has them around, and no cell has quotes."""
    border = re.escape(delimiter)
    quoted = re.compile(rf"(?:^|{border}) ?'(?:[^']|'')*'(?={border}|\s*$)")
    below = lines[1:] or lines
    is_so = len(below) > 1 and '"' not in "".join(lines) and all(map(quoted.search, below))
    return "'" if is_so else '"'


def find_columns(column: str, first_row: list[str], below: Sequence[list[str]], line: int, rows: Rows) -> Columns:
    """The places of the columns that `column` names or numbers.

    Args:
        below: rows under the first, which show whether that is a header where all columns are numbers.
        line: of the first row.

    Raises:
        CorpusError: there is no such column, or two of the name.
    """
    names = [_bare(name) for name in first_row]
    fitting = [row for row in below if len(row) == len(first_row)]
    places, is_named = [], False
    for name in split_names(column, lambda name: name in first_row or name in names):
        spelled = first_row if name in first_row else names
        is_numeral = name.isascii() and name.isdecimal()
        if name in spelled and not (is_numeral and _holds_numbers(fitting, spelled.index(name))):
            if (count := spelled.count(name)) > 1:
                raise rows.wrong(line, f"there are {count} columns {shown(name)!r}")
            places.append(spelled.index(name))
            is_named = True
        elif is_numeral:
            if not 1 <= int(name[:9]) <= len(first_row):
                there = f"There {'is' if len(names) == 1 else 'are'} {counted(len(names), 'column')}"
                raise rows.wrong(line, f"there is no column {shown(name)}. {there}")
            places.append(int(name) - 1)
        else:
            raise rows.wrong(line, _no_header(name, names) if _is_data(names, fitting) else no_column(name, names))
    has_header = is_named or _is_header(names, fitting, places[0])
    if not has_header:
        rows.note("without a header, whose first row is a document", noun="table")
    elif not is_named:
        rows.note(f"whose header calls the wanted column {shown(repr(names[places[0]]), 40)}", noun="table")
    if has_header and names != first_row:
        rows.note("with spaces around the names of its columns", noun="table")
    return Columns(tuple(places), len(first_row), has_header)


def _bare(name: str) -> str:
    """A name without the spaces around it, and without the quotes that spaces before them made a part of it."""
    name = name.strip()
    return name[1:-1].strip() if len(name) > 1 and name[0] == name[-1] == '"' else name


def _holds_numbers(rows: Sequence[list[str]], place: int) -> bool:
    return bool(rows) and all(is_number(row[place]) for row in rows)


def _is_header(first_row: list[str], below: Sequence[list[str]], place: int) -> bool:
    """Whether a first row holds names, and not what the rows below it hold."""
    if not below:
        return False
    if any(not is_number(name) and _holds_numbers(below, place) for place, name in enumerate(first_row)):
        return True
    columns = list(zip(*below, strict=True))
    recurs = any(name in cells for name, cells in zip(first_row, columns, strict=True))
    if recurs or len(set(first_row)) < len(first_row) or not all(map(NAME.fullmatch, first_row)):
        return False
    name, cells = first_row[place], columns[place]
    if IDENTIFIER.fullmatch(name) and not all(map(IDENTIFIER.fullmatch, cells)):
        return True
    return statistics.median(map(len, cells)) > 2 * len(name)


def _is_data(first_row: list[str], below: Sequence[list[str]]) -> bool:
    """Whether a first row is clearly none of names: it holds a number, a sentence, or a cell that comes again."""
    columns = list(zip(*below, strict=True)) or [()] * len(first_row)
    return any(
        is_number(cell) or len(cell.split()) > MOST_WORDS or (cell != "" and cell in cells)
        for cell, cells in zip(first_row, columns, strict=True)
    )


def _no_header(column: str, first_row: list[str]) -> str:
    """The problem that there is no such column where the table has no names of columns."""
    number = "which is 1" if len(first_row) == 1 else f"from 1 to {len(first_row):,}"
    cells = shown(", ".join(first_row), 80)
    return f"there is no column {shown(column)!r}; it seems to have no header ({cells}). Give a number, {number}"


def is_number(cell: str) -> bool:
    """Whether a cell is a number, with a point or a comma."""
    try:
        float(cell.replace(",", "."))
    except ValueError:
        return False
    return True
