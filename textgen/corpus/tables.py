"""One column of a table, each cell a document with END_OF_DOCUMENT behind it.

Pieces of a file's text, cut anywhere, with LF line ends, become blocks of whole documents. What the file holds decides
how it is read, and its ending only where that leaves a choice: CSV and TSV (`delimited`) or JSON (`json_rows`). Empty
cells are left out and counted.
"""

import io
from collections.abc import Iterable, Iterator
from itertools import chain

from textgen.config import END_OF_DOCUMENT
from textgen.corpus.delimited import delimited_cells
from textgen.corpus.json_rows import is_json, json_cells
from textgen.corpus.rows import NO_ROWS, Rows, whole_lines

TABLE_FORMATS = ("csv", "tsv", "jsonl", "ndjson", "json")
BLOCK_CHARACTERS = 1 << 20
NUM_LOOKED_AT = 1 << 16  # characters that decide how a table is read


def column_documents(pieces: Iterable[str], table_format: str, column: str, rows: Rows) -> Iterator[str]:
    """The cells of `column`, as documents.

    Args:
        pieces: the text of the file, without surrogates.
        table_format: one of TABLE_FORMATS.
        column: its name, or its number from 1 where no column has that name; within JSON `a.b` is `b` in the object
            `a`; several with commas between them are joined by blank lines.
        rows: what becomes of bad rows, and of what is odd; the tally's `empty_documents` goes up for each empty cell.

    Raises:
        CorpusError: there is no such column, or a row is not what its header or its format says.
    """
    pieces = filter(None, pieces)
    held: list[str] = []
    num_held = 0
    while num_held < NUM_LOOKED_AT and (piece := next(pieces, "")):
        held.append(piece)
        num_held += len(piece)
    head = "".join(held)
    pieces = chain(held, pieces)
    if table_format in ("csv", "tsv") and not is_json(head):
        # The csv module also ends rows at a lone CR, and wants lines that are cut there.
        lines = whole_lines(pieces, "", rows)
        sample = io.StringIO(head[:NUM_LOOKED_AT], newline="").readlines()
        sample = sample[:-1] if len(head) >= NUM_LOOKED_AT and len(sample) > 1 else sample  # the last may be cut
        usual = "\t" if table_format == "tsv" else ","
        cells = delimited_cells(lines, sample, usual, column, rows)
    else:
        if table_format in ("csv", "tsv"):
            rows.note("read as JSON", noun="table")
        cells = json_cells(head, pieces, column, rows)
    yield from documents_of(cells, rows)


def documents_of(found: Iterator[list[str]], rows: Rows) -> Iterator[str]:
    """Blocks of documents, one a cell."""
    held: list[str] = []
    num_characters = 0
    is_any_good = False
    for cells in found:
        is_any_good = True
        if "" in cells:
            rows.tally.empty_documents += cells.count("")
            cells = list(filter(None, cells))
        held += cells
        num_characters += sum(map(len, cells))
        if num_characters >= BLOCK_CHARACTERS:
            yield _block_of(held, rows)
            held, num_characters = [], 0
    if held:
        yield _block_of(held, rows)
    rows.finish(is_any_good)
    if not is_any_good:
        rows.note(NO_ROWS, noun="table")


def _block_of(cells: list[str], rows: Rows) -> str:
    """One text of all cells. JSON and Parquet may hold other line ends than LF in them."""
    text = END_OF_DOCUMENT.join((*cells, ""))
    if "\r" in text:
        num_crlf, tally = text.count("\r\n"), rows.tally
        tally.crlf_line_ends += num_crlf
        tally.cr_line_ends += text.count("\r") - num_crlf
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    return text
