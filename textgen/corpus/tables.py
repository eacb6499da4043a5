"""One column of a CSV, TSV or JSONL file, each cell a document with END_OF_DOCUMENT behind it.

Pieces of a file's text, cut anywhere, with LF line ends, become blocks of whole documents. CSV and TSV are what
Python's csv module reads: a header, quotes, newlines inside quotes. JSONL is one object per line. An error names the
file and the line where the row begins. Empty cells (and null) are left out.
"""

import csv
import io
import json
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any

from textgen.config import END_OF_DOCUMENT
from textgen.corpus.decoding import Tally, find_surrogate
from textgen.errors import CorpusError
from textgen.messages import counted, nearest, shown

TABLE_FORMATS = ("csv", "tsv", "jsonl")
BLOCK_CHARACTERS = 1 << 20
# A quote that is never closed makes one cell of the rest of the file; the module's own limit of 131,072 is less than
# an article has.
LONGEST_CELL = 1 << 24
LONGEST_LINE = 1 << 26


def column_documents(
    pieces: Iterable[str], table_format: str, column: str, shown_name: str, tally: Tally
) -> Iterator[str]:
    """The cells of `column`, as documents.

    Args:
        pieces: the text of the file, without surrogates.
        table_format: "csv", "tsv" or "jsonl".
        tally: its `empty_documents` goes up for each cell that is empty.

    Raises:
        CorpusError: there is no such column, or a row is not what its header or its format says.
    """
    if table_format == "jsonl":
        lines = chain.from_iterable(_whole_lines(pieces, "\n", shown_name))
        cells = _json_cells(lines, column, shown_name)
    else:
        delimiter = "\t" if table_format == "tsv" else ","
        # The csv module also ends rows at a lone CR, and wants lines that are cut there.
        cells = _csv_cells(_whole_lines(pieces, "", shown_name), delimiter, column, shown_name)
    yield from _blocks(cells, tally)


def _blocks(cells: Iterator[str], tally: Tally) -> Iterator[str]:
    held: list[str] = []
    num_characters = 0
    for cell in cells:
        if not cell:
            tally.empty_documents += 1
            continue
        held.append(cell)
        num_characters += len(cell)
        if num_characters >= BLOCK_CHARACTERS:
            yield END_OF_DOCUMENT.join((*held, ""))
            held, num_characters = [], 0
    if held:
        yield END_OF_DOCUMENT.join((*held, ""))


def _whole_lines(pieces: Iterable[str], newline: str, shown_name: str) -> Iterator[list[str]]:
    """The lines that end in each piece; `newline` is io.StringIO's: "" ends them at LF and CR, LF only at LF."""
    ends = ("\n",) if newline else ("\n", "\r")
    held: list[str] = []  # parts of the line that goes on
    num_held = num_lines = 0
    for piece in pieces:
        lines = io.StringIO(piece, newline=newline).readlines()
        rest = lines.pop() if lines and not lines[-1].endswith(ends) else ""
        if lines and held:
            lines[0] = "".join((*held, lines[0]))
            held, num_held = [], 0
        num_lines += len(lines)
        if rest:
            held.append(rest)
            num_held += len(rest)
        if num_held > LONGEST_LINE:
            raise _wrong(shown_name, num_lines + 1, f"it is longer than {LONGEST_LINE:,} characters")
        yield lines
    if held:
        yield ["".join(held)]


def _csv_cells(lines: Iterator[list[str]], delimiter: str, column: str, shown_name: str) -> Iterator[str]:
    csv.field_size_limit(max(csv.field_size_limit(), LONGEST_CELL))  # NOTE: one for the process; it is only raised
    is_over: list[bool] = []
    rows = csv.reader(chain.from_iterable(_telling(lines, is_over)), delimiter=delimiter)
    line, index, width = 1, 0, 0  # the line in which a row begins
    try:
        for row in rows:
            if is_over:  # the module asked for more lines inside a cell, and accepts what it has
                raise _wrong(shown_name, line, 'a quote (") is opened and never closed')
            if not width:
                index, width = _index_of(column, row, shown_name, line), len(row)
            elif len(row) == width:
                yield row[index]
            elif row:
                number = counted(len(row), "cell")
                raise _wrong(shown_name, line, f"{number} in a row where the header has {width:,}")
            elif width == 1:  # blank lines are no rows, unless there is one column
                yield ""
            line = rows.line_num + 1
    except csv.Error as error:
        advice = '. Is a quote (") never closed?' if "field limit" in str(error) else ""
        raise _wrong(shown_name, line, f"{shown(error)}{advice}") from None


def _telling(lines: Iterator[list[str]], is_over: list[bool]) -> Iterator[list[str]]:
    yield from lines
    is_over.append(True)


def _index_of(column: str, header: list[str], shown_name: str, line: int) -> int:
    if header.count(column) > 1:
        raise _wrong(shown_name, line, f"there are {header.count(column)} columns {shown(column)!r}")
    if column not in header:
        raise _no_column(column, header, shown_name, line)
    return header.index(column)


def _json_cells(lines: Iterator[str], column: str, shown_name: str) -> Iterator[str]:
    for number, line in enumerate(lines, 1):
        if line.isspace():
            continue
        row = _json_row(line, shown_name, number)
        try:
            cell = row[column]
        except KeyError:
            raise _no_column(column, list(row), shown_name, number) from None
        if cell is None:
            cell = ""
        if not isinstance(cell, str):
            kind = type(cell).__name__
            raise _wrong(
                shown_name, number, f"{shown(column)!r} must be text. Received: {kind} {shown(repr(cell)[:40])}"
            )
        if find_surrogate(cell) >= 0:
            raise _wrong(shown_name, number, f"{shown(column)!r} holds half of a surrogate pair, which is not text")
        yield cell


def _json_row(line: str, shown_name: str, number: int) -> dict[str, Any]:
    try:
        row = json.loads(line.removesuffix("\n"))
    except json.JSONDecodeError as error:
        raise _wrong(shown_name, number, f"it is not JSON: {error.msg} at column {error.colno:,}") from None
    except (ValueError, RecursionError) as error:  # a number of thousands of digits, thousands of brackets
        raise _wrong(shown_name, number, f"it is not JSON that Python reads: {shown(error)}") from None
    if not isinstance(row, dict):
        raise _wrong(shown_name, number, f"every line must be an object. Received: {shown(line.strip()[:40])}")
    return row


def _no_column(column: str, columns: list[str], shown_name: str, line: int) -> CorpusError:
    hint = nearest(column, columns)
    listed = shown(", ".join(columns))
    return _wrong(
        shown_name, line, f"there is no column {shown(column)!r}. {f'{hint} ' if hint else ''}There are: {listed}"
    )


def _wrong(shown_name: str, line: int, problem: str) -> CorpusError:
    return CorpusError(f"{shown_name}, line {line:,}: {problem}")
