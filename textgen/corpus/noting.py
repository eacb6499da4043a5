"""What reading met and changed in files and their bytes, in sentences; and bytes that may be compressed."""

import io

from textgen.corpus.compression import decompressed, kind_of
from textgen.corpus.decoding import Oddity, Tally, read_block
from textgen.corpus.rows import NO_ROWS
from textgen.messages import counted, few, shown

MOST_GUESSES = 10  # files whose piece is shown each


def notes_on_bytes(tally: Tally) -> list[str]:
    """What a user should know of how bytes became text: guesses first."""
    facts = (
        (tally.byte_order_marks, counted(tally.byte_order_marks, "byte-order mark") + " removed"),
        (tally.inner_marks.count, _inner_marks(tally.inner_marks)),
        (tally.end_marks, f"the end-of-file mark of DOS (0x1A) removed from {counted(tally.end_marks, 'file')}"),
        (tally.crlf_line_ends, counted(tally.crlf_line_ends, "CRLF line end") + " turned into LF"),
        (tally.cr_line_ends, counted(tally.cr_line_ends, "CR line end") + " turned into LF"),
        *((True, sentence) for sentence in few(tally.mixed_line_ends)),
        (tally.replaced.count, _misfits(tally.replaced, "read as \ufffd")),
        (tally.skipped.count, _misfits(tally.skipped, "left out")),
        (tally.nuls.count, f"{counted(tally.nuls.count, 'NUL character')}, the first in {tally.nuls.first}"),
        (tally.c1_controls.count, _c1_controls(tally.c1_controls)),
    )
    return [*few(tally.guesses, MOST_GUESSES), *(sentence for is_said, sentence in facts if is_said)]


def notes_on_files(tally: Tally) -> tuple[str, ...]:
    """What a user should know of files and tables, and of their bytes."""
    facts = (
        (tally.files > 1 or tally.empty_files, counted(tally.files, "file") + " read"),
        (tally.empty_files, counted(tally.empty_files, "empty file") + " skipped"),
        (tally.empty_documents, counted(tally.empty_documents, "empty document") + " skipped"),
        *((True, note) for note in notes_on_bytes(tally)),
        (tally.tables_as_text, _tables_note(tally.tables_as_text)),
    )
    met = [f"{counted(number, noun)} {what} (first: {first})" for (noun, what), (number, first) in tally.met.items()]
    return (*(sentence for is_said, sentence in facts if is_said), *met)


def _tables_note(names: list[str]) -> str:
    others = f" and {counted(len(names) - 1, 'other table')} are" if len(names) > 1 else " is"
    return f"{''.join(names[:1])}{others} read as plain text; --column NAME takes one column"


def what_is_missing(column: str | None, tally: Tally) -> str:
    """Why a corpus holds nothing to read, and what to do."""
    if column is None:
        return "there is nothing but white space. Give a file that holds text."
    if tally.empty_documents or ("table", NO_ROWS) not in tally.met:
        bad, first = tally.met.get(("bad row", "left out"), (0, ""))
        left_out = f", and {counted(bad, 'bad row')} left out (first: {first})" if bad else ""
        return f"the column {shown(column)!r} holds nothing but white space{left_out}. Name another one."
    return "there is no row of a table in it. Give a table that has some."


def _misfits(oddity: Oddity, what: str) -> str:
    verb = "does" if oddity.count == 1 else "do"
    return f"{counted(oddity.count, 'byte')} that {verb} not fit the encoding {what}, the first in {oddity.first}"


def _inner_marks(oddity: Oddity) -> str:
    verb = "is" if oddity.count == 1 else "are"
    found = f"{counted(oddity.count, 'byte-order mark')} that {verb} not at the beginning, the first in {oddity.first}"
    return f"{found}: files may have been joined there"


def _c1_controls(oddity: Oddity) -> str:
    found = f"{counted(oddity.count, 'C1 control character')}, the first in {oddity.first}"
    return f"{found}: it may be cp1252 that was read as latin-1"


def uncompressed(content: bytes, shown_name: str, most_bytes: int) -> bytes:
    """`content`, or at most so many bytes of what was compressed. Raises CorpusError where that is damaged."""
    if not (kind := kind_of(content)):
        return content
    return read_block(decompressed(kind, io.BytesIO(content), shown_name), shown_name, most_bytes)
