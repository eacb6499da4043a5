"""Bytes to text: block by block, strict, with LF line ends.

A file becomes pieces of text. A leading byte-order mark is removed, and every CRLF becomes LF; a lone CR stays, and so
do NULs. A byte that does not fit the encoding ends the reading with an error that names its offset in the file and its
line, also when the sequence it belongs to began in an earlier block.
"""

import codecs
import dataclasses
import gzip
import zlib
from collections.abc import Iterable, Iterator
from typing import Protocol

from textgen.errors import CorpusError, SettingError
from textgen.messages import shown

BLOCK_BYTES = 1 << 20
BYTE_ORDER_MARK = "\ufeff"


class ByteStream(Protocol):
    """What is read of a file that is open for reading."""

    def read(self, size: int = -1, /) -> bytes:
        """The next bytes, at most `size` of them unless it is negative; none at the end."""


@dataclasses.dataclass
class Tally:
    """What reading met and changed; it becomes the corpus's notes."""

    files: int = 0
    empty_files: int = 0
    byte_order_marks: int = 0
    crlf_line_ends: int = 0
    empty_documents: int = 0
    tables_as_text: list[str] = dataclasses.field(default_factory=list)  # names of tables that no column was taken of
    met: dict[tuple[str, str], tuple[int, str]] = dataclasses.field(
        default_factory=dict
    )  # what, how often, first where

    def meet(self, noun: str, what: str, place: str) -> None:
        """Count one thing more, such as ("row", "left out"), and keep where the first of them is."""
        number, first = self.met.get((noun, what), (0, place))
        self.met[noun, what] = number + 1, first


def check_encoding(encoding: str) -> str:
    """The canonical name of a text encoding. Raises SettingError for one that Python does not know."""
    try:
        "a".encode(encoding)  # refuses `hex`, `rot13` and the like, which `codecs.lookup` would accept
        codecs.getincrementaldecoder(encoding)
        return codecs.lookup(encoding).name
    except (LookupError, ValueError):
        raise SettingError(
            "`encoding` must be a text encoding that Python knows, such as utf-8, utf-16 or latin-1. "
            f"Received: {shown(encoding)}"
        ) from None


def iter_text(
    file: ByteStream, shown_name: str, encoding: str, tally: Tally, block_bytes: int = BLOCK_BYTES
) -> Iterator[str]:
    """Decode `file` piece by piece; pieces may be empty. A CorpusError calls it `shown_name`."""
    pieces = _decode(file, shown_name, encoding, block_bytes)
    return _unify_line_ends(_drop_byte_order_mark(pieces, tally), tally)


def _decode(file: ByteStream, shown_name: str, encoding: str, block_bytes: int) -> Iterator[str]:
    decoder = codecs.getincrementaldecoder(encoding)("strict")
    num_bytes = num_lines = 0
    block = None
    while block != b"":
        block = read_block(file, shown_name, block_bytes)
        num_bytes += len(block)
        state = decoder.getstate()
        try:
            text = decoder.decode(block, final=not block)
        except UnicodeDecodeError as error:
            # The decoder raises over the bytes that it still held plus this block: a suffix of what was read.
            bytes_from_error = len(error.object) - error.start
            decoder.setstate(state)
            valid = decoder.decode(block[: max(0, len(block) - bytes_from_error)])
            line = num_lines + valid.count("\n") + 1
            raise _invalid_byte(shown_name, encoding, error, num_bytes - bytes_from_error, line) from None
        except UnicodeError as error:
            raise _invalid(shown_name, encoding, error) from None
        num_lines += text.count("\n")
        yield text


def read_block(file: ByteStream, shown_name: str, block_bytes: int) -> bytes:
    """The next bytes of `file`, none at its end. Raises CorpusError that names it."""
    try:
        return file.read(block_bytes)
    except EOFError:
        raise CorpusError(f"{shown_name} is cut: its compressed data end too early. Copy it again, whole.") from None
    except (gzip.BadGzipFile, zlib.error) as error:
        raise CorpusError(f"{shown_name} is damaged: {shown(error)}. Compress or copy it again.") from None
    except OSError as error:
        raise unreadable(shown_name, error) from error


def check_pieces(pieces: Iterable[str], shown_name: str) -> Iterator[str]:
    """The same pieces. Raises CorpusError at half of a surrogate pair, which is not text.

    Only encodings such as utf-7 and unicode_escape let one through.
    """
    num_characters = 0
    for piece in pieces:
        if (place := find_surrogate(piece)) >= 0:
            raise CorpusError(
                f"{shown_name} holds half of a surrogate pair (U+{ord(piece[place]):04X} at character "
                f"{num_characters + place:,}). Convert it to UTF-8, and leave --encoding out."
            )
        num_characters += len(piece)
        yield piece


def find_surrogate(text: str) -> int:
    """Where the first half of a surrogate pair stands in `text`; -1 where there is none."""
    if text.isascii():
        return -1
    try:
        text.encode("utf-8")
        return -1
    except UnicodeEncodeError as error:
        return error.start


def unreadable(shown_name: str, error: OSError) -> CorpusError:
    """The error for a file that the system does not let us read."""
    reason = error.strerror or type(error).__name__
    return CorpusError(f"{shown_name} cannot be read: {reason}. Check the path and its permissions.")


def _invalid_byte(shown_name: str, encoding: str, error: UnicodeDecodeError, offset: int, line: int) -> CorpusError:
    if "BOM" in error.reason:
        return _invalid(shown_name, encoding, error)
    byte = error.object[error.start]
    looks_like_utf_16 = offset == 0 and byte in (0xFE, 0xFF)
    other = ("utf-16" if looks_like_utf_16 else "latin-1") if encoding == "utf-8" else "utf-8"
    return CorpusError(
        f"{shown_name} is not {encoding.upper()}: byte 0x{byte:02X} at offset {offset:,} (line {line:,}). "
        f"Try --encoding {other}."
    )


def _invalid(shown_name: str, encoding: str, error: UnicodeError) -> CorpusError:
    """The codecs utf-16 and utf-32 insist on a byte-order mark; rare ones give no place."""
    if encoding in ("utf-16", "utf-32"):
        return CorpusError(
            f"{shown_name} is not {encoding.upper()}: there is no byte-order mark at its start. "
            f"Try --encoding utf-8, or {encoding}-le or {encoding}-be."
        )
    return CorpusError(f"{shown_name} is not {encoding.upper()}: {shown(error)}. Try --encoding utf-8.")


def _drop_byte_order_mark(pieces: Iterable[str], tally: Tally) -> Iterator[str]:
    at_start = True
    for piece in pieces:
        if at_start and piece.startswith(BYTE_ORDER_MARK):
            tally.byte_order_marks += 1
            piece = piece[1:]
            at_start = False
        at_start = at_start and not piece
        yield piece


def _unify_line_ends(pieces: Iterable[str], tally: Tally) -> Iterator[str]:
    held = ""  # a CR at the end of a piece, whose LF may be the next piece's first character
    for piece in pieces:
        piece = held + piece
        held = "\r" if piece.endswith("\r") else ""
        piece = piece[: len(piece) - len(held)]
        if "\r" in piece:
            tally.crlf_line_ends += piece.count("\r\n")
            piece = piece.replace("\r\n", "\n")
        yield piece
    yield held
