"""Columns of Parquet and Arrow tables -> documents, one a row, as `tables` makes them of CSV and JSON.

A table is known by its first bytes, whatever it is called: Parquet, an Arrow file (Feather) or an Arrow stream. Only
the columns that are asked for are read, of Parquet some rows at a time, of Arrow a batch as it was written. Numbers,
dates and true or false become text as in JSON; a cell that holds a list or an object is a bad row.
"""

import importlib
import importlib.util
import re
from collections.abc import Callable, Iterator
from typing import IO, TYPE_CHECKING, Any

from textgen.corpus.rows import Rows, joined, no_column, split_names
from textgen.corpus.tables import documents_of
from textgen.errors import CorpusError
from textgen.messages import shown

if TYPE_CHECKING:
    from textgen.corpus.sources import SourceFile

ENDINGS = ("parquet", "arrow", "feather")
EXTRA = "pip install 'textgen[parquet]'"
BEGINNINGS = {
    "parquet": re.compile(rb"PAR1[\x15\x19\x1c\0]"),
    "file": re.compile(rb"ARROW1\0\0"),
    "stream": re.compile(rb"\xff{4}[\s\S]{3}\0\x10\0\0\0"),  # has no name of its own; the size of its schema
}
HEAD_BYTES = 16
AS_BYTES = {"string": "binary", "large_string": "large_binary", "string_view": "binary_view"}
NUM_ROWS = 128  # held at once
BUFFER_BYTES = 1 << 20  # that a column of Parquet is read in


def _arrow_library(part: str = "") -> Any:
    return importlib.import_module(f"pyarrow.{part}" if part else "pyarrow")


def is_installed() -> bool:
    """Whether the library is here that reads these tables."""
    return importlib.util.find_spec("pyarrow") is not None


def kind_of(file: "SourceFile") -> str:
    """What of BEGINNINGS a file is, or nothing. Raises CorpusError where its name alone says that it is a table."""
    with file.open() as raw:
        head = raw.read(HEAD_BYTES)
    kind = next((kind for kind, pattern in BEGINNINGS.items() if pattern.match(head)), "")
    if not kind and file.ending in ENDINGS and not file.is_compressed:
        if not head:
            raise CorpusError(f"{file.shown_name} is empty. Give a file that holds text.")
        raise CorpusError(f"{file.shown_name} is no table of Parquet or Arrow, or is damaged. Copy it again, whole.")
    return kind


def column_documents(raw: IO[bytes], kind: str, column: str, rows: Rows) -> Iterator[str]:
    """The cells of `column`, as documents, in blocks.

    Args:
        raw: the file, which is not closed.
        kind: as `kind_of` gives it.
        column: as of other tables; `a.b` is the field `b` of the structures in `a`.

    Raises:
        CorpusError: there is no such column, the file is damaged, or its library is missing.
    """
    return documents_of(_cells(raw, kind, column, rows), rows)


def _cells(raw: IO[bytes], kind: str, column: str, rows: Rows) -> Iterator[list[str]]:
    """The cells of good rows, some at a time."""
    name = rows.shown_name
    if not is_installed():
        raise CorpusError(f"{name} is a table of Parquet or Arrow. To read it: {EXTRA}")
    arrow = _arrow_library()
    try:
        schema, tables = (_parquet if kind == "parquet" else _arrow)(raw, kind)
        names = split_names(column, lambda one: _path_of(one, schema) is not None)
        paths = [_path_of(one, schema) or _numbered(one, schema, rows) for one in names]
        if twice := [path[0] for path in paths if schema.names.count(path[0]) > 1]:
            raise CorpusError(f"{name}: there are {schema.names.count(twice[0])} columns {shown(twice[0])!r}")
        number = 0
        for batch in tables(paths):
            batch.validate()
            for start in range(0, batch.num_rows, NUM_ROWS):
                part = batch.slice(start, NUM_ROWS)
                columns = [_texts(_inner(part, path)) for path in paths]
                good = []
                for cells in zip(*columns, strict=True):
                    number += 1
                    problem = next((problem for _, problem in cells if problem), "")
                    if problem:
                        rows.bad(number, problem)
                    else:
                        good.append(joined(_cleaned(text, number, rows) for text, _ in cells))
                if good:
                    yield good
    except (arrow.ArrowException, OSError, MemoryError, UnicodeDecodeError) as error:
        said = " ".join(str(error).split())[:200] or type(error).__name__
        raise CorpusError(f"{name} is damaged, or is not read: {shown(said)}. Copy it again, whole.") from None


Batches = Callable[[list[list[str]]], Iterator[Any]]


def _parquet(raw: IO[bytes], kind: str) -> tuple[Any, Batches]:
    """The schema of a Parquet file, and what reads the columns at some paths."""
    parquet = _arrow_library("parquet")
    file = parquet.ParquetFile(raw, pre_buffer=False, buffer_size=BUFFER_BYTES, page_checksum_verification=True)

    def batches(paths: list[list[str]]) -> Iterator[Any]:
        columns = list(dict.fromkeys(".".join(path) for path in paths))
        return file.iter_batches(batch_size=NUM_ROWS, columns=columns, use_threads=False)

    return file.schema_arrow, batches


def _arrow(raw: IO[bytes], kind: str) -> tuple[Any, Batches]:
    """The same of an Arrow file or stream."""
    ipc = _arrow_library("ipc")
    open_it = ipc.open_file if kind == "file" else ipc.open_stream
    schema = open_it(raw).schema

    def batches(paths: list[list[str]]) -> Iterator[Any]:
        raw.seek(0)
        fields = sorted({schema.names.index(path[0]) for path in paths})
        reader = open_it(raw, options=ipc.IpcReadOptions(included_fields=fields, use_threads=False))
        if kind == "stream":
            yield from reader
        else:
            yield from map(reader.get_batch, range(reader.num_record_batches))

    return schema, batches


def _path_of(name: str, fields: Any) -> list[str] | None:
    """The names of the fields on the way to a column; None where there is none."""
    known = {field.name: field for field in fields}
    if name in known:
        return [name]
    for match in re.finditer(r"\.", name):
        outer = known.get(name[: match.start()])
        if outer is None or not _arrow_library().types.is_struct(outer.type):
            continue
        if path := _path_of(name[match.end() :], outer.type):
            return [outer.name, *path]
    return None


def _numbered(name: str, schema: Any, rows: Rows) -> list[str]:
    """The column of that number, from 1. Raises CorpusError where there is none."""
    if not (name.isascii() and name.isdecimal() and 1 <= int(name[:9]) <= len(schema.names)):
        raise CorpusError(f"{rows.shown_name}: {no_column(name, _names_in(schema))}")
    found = schema.names[int(name[:9]) - 1]
    rows.note(f"whose header calls the wanted column {shown(repr(found), 40)}", noun="table")
    return [found]


def _names_in(fields: Any) -> Iterator[str]:
    for field in fields:
        if _arrow_library().types.is_struct(field.type) and field.type.num_fields:
            yield from (f"{field.name}.{inner.name}" for inner in field.type)
        else:
            yield field.name


def _inner(batch: Any, path: list[str]) -> Any:
    """The array at a path; what is missing on the way is missing in it."""
    array = batch.column(batch.schema.names.index(path[0]))
    compute = _arrow_library("compute")
    return compute.struct_field(array, path[1:]) if path[1:] else array


def _texts(array: Any) -> list[tuple[str, str]]:
    """Each cell as text, and what is wrong with it if it is none."""
    array = _checked(array)
    arrow, kind = _arrow_library(), array.type
    types = arrow.types
    if types.is_dictionary(kind):
        indices = array.indices.to_pylist()
        known = {index: _texts(array.dictionary.slice(index, 1))[0] for index in set(indices) - {None}}
        return [known.get(index, ("", "")) for index in indices]
    if types.is_floating(kind):
        numbers = array.to_numpy(zero_copy_only=False)
        return [("" if number != number else str(number), "") for number in numbers]  # NaN is a missing cell
    if types.is_nested(kind):
        what = "an object" if types.is_struct(kind) or types.is_map(kind) else "a list"
        problem = f"must be text, a number, true or false. Received: {what}"
        return [("", problem if valid else "") for valid in array.is_valid().to_pylist()]
    is_bytes = types.is_binary(kind) or types.is_large_binary(kind) or types.is_binary_view(kind)
    if is_bytes or types.is_fixed_size_binary(kind):
        return [_decoded(cell) for cell in array.to_pylist()]  # what is no UTF-8 is named
    return [(cell or "", "") for cell in array.cast(arrow.string()).to_pylist()]


def _checked(array: Any) -> Any:
    """The same with text as bytes. Raises ArrowInvalid where a cell lies outside of the file's data.

    NOTE: pyarrow reads whatever address a damaged Arrow file names, and ends the process, unless it is asked to look.
    """
    arrow = _arrow_library()
    array = array.storage if isinstance(array, arrow.ExtensionArray) else array
    if arrow.types.is_run_end_encoded(array.type):
        array.validate(full=True)
        array = _arrow_library("compute").run_end_decode(array)
    as_bytes = AS_BYTES.get(str(array.type))
    array = array if as_bytes is None else array.view(getattr(arrow, as_bytes)())
    if not arrow.types.is_dictionary(array.type):
        array.validate(full=True)
        return array
    array.validate()
    found = [index for index in array.indices.to_pylist() if index is not None]
    if found and not 0 <= min(found) <= max(found) < len(array.dictionary):
        raise arrow.ArrowInvalid("a cell is not in its dictionary")
    return array


def _decoded(cell: bytes | None) -> tuple[str, str]:
    try:
        return (cell or b"").decode(), ""
    except UnicodeDecodeError as error:
        return "", f"is not UTF-8: byte 0x{error.object[error.start]:02X} at offset {error.start:,} of the cell"


def _cleaned(text: str, number: int, rows: Rows) -> str:
    """A cell with LF line ends, as those of text have."""
    if "\0" in text:
        rows.tally.nuls.add(text.count("\0"), f"row {number:,} of {rows.shown_name}")
    if "\r" not in text:
        return text
    num_crlf = text.count("\r\n")
    rows.tally.crlf_line_ends += num_crlf
    rows.tally.cr_line_ends += text.count("\r") - num_crlf
    return text.replace("\r\n", "\n").replace("\r", "\n")
