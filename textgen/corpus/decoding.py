"""Bytes to text: block by block, in the encoding that is named or found, with LF line ends.

A file becomes pieces of text. A leading byte-order mark is removed, as is the mark that DOS put at the end of a file;
CRLF and a lone CR become LF; NULs and other control characters stay, and are counted. A file whose encoding nobody has
named is read as UTF-8 as long as it is that. At the first byte that is not, the whole file is looked at (see
`detecting`), and then goes on in what it was found to be: what came before was ASCII, or UTF-8. A byte that does not
fit a known encoding ends the reading with an error that names its offset and its line, or is replaced or skipped, and
counted.
"""

import codecs
import dataclasses
import re
from collections.abc import Iterator
from typing import Protocol

from textgen.corpus import compression
from textgen.corpus.containers import check_no_container
from textgen.corpus.detecting import Found, Reopen, find, find_later, find_marked
from textgen.corpus.misfits import AUTO, ERRORS, MARK, MARK_ON, Decoding, invalid, unfit
from textgen.errors import CorpusError, SettingError
from textgen.messages import shown
from textgen.tokenizers.text_blocks import count_bytes

BLOCK_BYTES = 1 << 20
BYTE_ORDER_MARK = "\ufeff"
END_MARK = "\x1a"  # what DOS ended texts with, and CP/M filled their last record with
FROM_UTF_8 = re.compile(rb"\xc2[\x80-\x9f]")
C1 = re.compile("[\x80-\x9f]")


class ByteStream(Protocol):
    """What is read of a file that is open for reading."""

    def read(self, size: int = -1, /) -> bytes:
        """The next bytes, at most `size` of them unless it is negative; none at the end."""


@dataclasses.dataclass
class Oddity:
    """Something in the texts that is said: how often, and where first."""

    count: int = 0
    first: str = ""

    def add(self, count: int, first: str) -> None:
        """Count some more, of which the first stands at `first`."""
        self.first = self.first or first
        self.count += count


@dataclasses.dataclass
class Tally:
    """What reading met and changed; it becomes the corpus's notes."""

    files: int = 0
    empty_files: int = 0
    byte_order_marks: int = 0
    inner_marks: Oddity = dataclasses.field(default_factory=Oddity)  # byte-order marks that are not at the beginning
    end_marks: int = 0  # files that ended in some
    crlf_line_ends: int = 0
    cr_line_ends: int = 0
    mixed_line_ends: list[str] = dataclasses.field(default_factory=list)  # what is in each file that mixes them
    guesses: list[str] = dataclasses.field(default_factory=list)  # files that are not UTF-8, and what they read
    nuls: Oddity = dataclasses.field(default_factory=Oddity)
    c1_controls: Oddity = dataclasses.field(default_factory=Oddity)
    replaced: Oddity = dataclasses.field(default_factory=Oddity)  # bytes that do not fit the encoding
    skipped: Oddity = dataclasses.field(default_factory=Oddity)
    empty_documents: int = 0
    tables_as_text: list[str] = dataclasses.field(default_factory=list)  # names of tables that no column was taken of
    # What, how often, first where.
    met: dict[tuple[str, str], tuple[int, str]] = dataclasses.field(default_factory=dict)

    def meet(self, noun: str, what: str, place: str, times: int = 1) -> None:
        """Count so many things more, such as ("row", "left out"), and keep where the first of them is."""
        number, first = self.met.get((noun, what), (0, place))
        self.met[noun, what] = number + times, first


def check_encoding(encoding: str) -> str:
    """The canonical name of a text encoding. Raises SettingError for one that Python does not know."""
    if encoding == AUTO:
        return AUTO
    try:
        "a".encode(encoding)  # refuses `hex`, `rot13` and the like, which `codecs.lookup` would accept
        codecs.getincrementaldecoder(encoding)
        return codecs.lookup(encoding).name
    except (LookupError, ValueError):
        raise SettingError(
            "`encoding` must be auto or a text encoding that Python knows, such as utf-8, cp1252 or utf-16. "
            f"Received: {shown(encoding)}"
        ) from None


def iter_text(
    file: ByteStream,
    shown_name: str,
    encoding: str | Decoding,
    tally: Tally,
    block_bytes: int = BLOCK_BYTES,
    *,
    reopen: Reopen | None = None,
    is_text: bool = False,
) -> Iterator[str]:
    """Decode `file` piece by piece; pieces may be empty. A CorpusError calls it `shown_name`.

    Args:
        encoding: its name, or how to decode; at the end of the file that says what the encoding was.
        reopen: gives the bytes from the start again; needed where the encoding is to be found.
        is_text: whether it is wanted as text whatever it begins with, such as the marks of RTF.
    """
    decoding = Decoding(encoding) if isinstance(encoding, str) else encoding
    return _TextOfFile(file, shown_name, decoding, tally, block_bytes, reopen).pieces(is_text)


class _TextOfFile:
    """One pass over one file."""

    def __init__(
        self,
        file: ByteStream,
        shown_name: str,
        decoding: Decoding,
        tally: Tally,
        block_bytes: int,
        reopen: Reopen | None,
    ):
        self.file, self.shown_name, self.decoding, self.tally = file, shown_name, decoding, tally
        self.block_bytes, self.reopen = block_bytes, reopen
        self.num_bytes = self.num_lines = self.num_crlf = self.num_cr = 0
        self.offset = 0  # bytes of a mark before those
        self.held = ""  # a CR at the end of a piece, whose LF may be the next piece's first character
        self.num_end_marks = 0  # the same of end marks, behind which there may be more
        self.first_bad = ""  # where the first byte stands that does not fit, once there is one
        self.is_ascii = self.is_at_start = True  # so far

    def pieces(self, is_text: bool) -> Iterator[str]:
        decoding = self.decoding
        block = read_block(self.file, self.shown_name, self.block_bytes)
        if not is_text:
            check_no_container(block, self.shown_name)
        if decoding.encoding == AUTO and len(block) > len(codecs.BOM_UTF8) and block.startswith(codecs.BOM_UTF8):
            block, self.is_at_start = block[len(codecs.BOM_UTF8) :], False
            self.offset, self.tally.byte_order_marks = len(codecs.BOM_UTF8), self.tally.byte_order_marks + 1
        if decoding.known == AUTO:
            self._take(find_marked(block, self.shown_name))
        self._begin("utf-8" if decoding.known == AUTO else decoding.known)
        while True:
            if self.num_bytes and self.is_ascii and decoding.known == AUTO:
                self._take(find_later(block, self.shown_name, self.num_lines + 1))
            self.num_bytes += len(block)
            text = self._decoded(block, not block)
            self.is_ascii = self.is_ascii and text.isascii()
            yield self._cleaned(text, block)
            if not block:
                break
            block = read_block(self.file, self.shown_name, self.block_bytes)
        if self.held:
            self.num_cr, self.num_lines = self.num_cr + 1, self.num_lines + 1
            yield END_MARK * self.num_end_marks + "\n"
            self.num_end_marks = 0
        self._finish()

    def _begin(self, encoding: str, errors: str = "strict") -> None:
        self.encoding = encoding
        self.decoder = codecs.getincrementaldecoder(encoding)(errors)

    def _take(self, found: Found | None) -> None:
        if found:
            self.decoding.found, self.decoding.piece, self.decoding.num_strays = found
            self._begin(found.encoding)

    def _decoded(self, block: bytes, is_last: bool) -> str:
        state = self.decoder.getstate()
        try:
            return self.decoder.decode(block, is_last)
        except UnicodeDecodeError as error:
            # The decoder raises over the bytes that it still held plus this block: a suffix of what was read.
            bytes_from_error = len(error.object) - error.start
            self.decoder.setstate(state)
            valid = self.decoder.decode(block[: max(0, len(block) - bytes_from_error)])
            line = self.num_lines + _unified(self.held + valid).count("\n") + 1
            byte, offset = error.object[error.start], self.offset + self.num_bytes - bytes_from_error
            where = f"byte 0x{byte:02X} at offset {offset:,} (line {line:,})"
            if self.decoding.encoding == AUTO and self.encoding == "utf-8" and self._found_another(where):
                return self._decoded(state[0] + block, is_last)
            if self.decoding.errors == "strict":
                raise unfit(error, self.shown_name, self.encoding, self.decoding, where) from None
            self.first_bad = where
            self._begin(self.encoding, ERRORS)
            self.decoder.setstate(state)
            return self.decoder.decode(block, is_last)
        except UnicodeError as error:
            raise invalid(self.shown_name, self.encoding, error) from None

    def _found_another(self, where: str) -> bool:
        """Whether the file is found to be in another encoding than UTF-8, in which its reading goes on."""
        decoding = self.decoding
        if decoding.num_strays or self.reopen is None:
            return False
        found = find(self.reopen, self.shown_name, where, decoding.hints)
        if found.encoding != "utf-8" and not self.is_ascii:
            raise CorpusError(
                f"{self.shown_name} is UTF-8 before {where}, and {found.encoding} after it reads “{found.piece}”. "
                f"Give --encoding {found.encoding}, or --encoding utf-8 --encoding-errors replace."
            )
        self._take(found)
        return found.encoding != "utf-8"

    def _suspects(self, text: str, block: bytes) -> tuple[bool, bool, bool]:
        """Whether CR, NUL and C1 controls may be in `text`; the bytes of UTF-8 tell it four times as fast."""
        if self.encoding != "utf-8":
            return "\r" in text, "\0" in text, not text.isascii()
        may_hold_c1 = not text.isascii() and (
            (b"\xc2" in block and FROM_UTF_8.search(block) is not None) or "\x80" <= text[0] <= "\x9f"
        )
        return b"\r" in block, b"\0" in block, may_hold_c1

    def _cleaned(self, text: str, block: bytes) -> str:
        has_cr, has_nul, may_hold_c1 = self._suspects(text, block)
        has_own_line_ends = self.encoding == "utf-8" and not (self.held or has_cr)  # those of the block, unchanged
        if self.is_at_start and text:
            self.is_at_start = False
            if text[0] == BYTE_ORDER_MARK:
                self.tally.byte_order_marks += 1
                text = text[1:]
        if not text.isascii() and BYTE_ORDER_MARK in text:
            place = self._place(text, text.index(BYTE_ORDER_MARK))
            self.tally.inner_marks.add(text.count(BYTE_ORDER_MARK), place)
        if self.first_bad and (MARK in text or MARK_ON in text):
            text = self._without_marks(text)
        if self.held or has_cr:
            text = self.held + text
            self.held = "\r" if text.endswith("\r") else ""
            text = text[: len(text) - len(self.held)]
            num_crlf = text.count("\r\n")
            self.num_crlf += num_crlf
            self.num_cr += text.count("\r") - num_crlf
            text = _unified(text)
        if has_nul:
            self.tally.nuls.add(text.count("\0"), self._place(text, text.index("\0")))
        if may_hold_c1 and (controls := list(C1.finditer(text))):
            place = self._place(text, controls[0].start())
            self.tally.c1_controls.add(len(controls), f"{place} (U+{ord(controls[0][0]):04X})")
        self.num_lines += count_bytes(block, b"\n") if has_own_line_ends else text.count("\n")
        return self._without_end_marks(text)

    def _without_end_marks(self, text: str) -> str:
        """`text` behind the end marks that were held, without those at its own end."""
        if self.num_end_marks and text:
            text, self.num_end_marks = END_MARK * self.num_end_marks + text, 0
        if not text.endswith(END_MARK):
            return text
        kept = text.rstrip(END_MARK)
        self.num_end_marks = len(text) - len(kept)
        return kept

    def _place(self, text: str, position: int) -> str:
        return f"line {self.num_lines + text.count(chr(10), 0, position) + 1:,} of {self.shown_name}"

    def _without_marks(self, text: str) -> str:
        is_replaced = self.decoding.errors == "replace"
        oddity = self.tally.replaced if is_replaced else self.tally.skipped
        oddity.add(text.count(MARK) + text.count(MARK_ON), f"{self.shown_name}, {self.first_bad}")
        return text.replace(MARK, "\ufffd" if is_replaced else "").replace(MARK_ON, "")

    def _finish(self) -> None:
        decoding, tally = self.decoding, self.tally
        decoding.found = self.encoding
        tally.end_marks += self.num_end_marks > 0
        tally.crlf_line_ends += self.num_crlf
        tally.cr_line_ends += self.num_cr
        kinds = {"CRLF": self.num_crlf, "CR": self.num_cr, "LF": self.num_lines - self.num_crlf - self.num_cr}
        if len(met := [f"{number:,} {kind}" for kind, number in kinds.items() if number]) > 1:
            tally.mixed_line_ends.append(f"{self.shown_name} mixes line ends: {', '.join(met)}")
        if decoding.piece:
            though = f", though it declares {decoding.declared}" if decoding.declared else ""
            tally.guesses.append(f"{self.shown_name}: read as {self.encoding}{though}: {decoding.piece}")


def _unified(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


def read_block(file: ByteStream, shown_name: str, block_bytes: int) -> bytes:
    """The next bytes of `file`, none at its end. Raises CorpusError that names it."""
    try:
        return file.read(block_bytes)
    except EOFError:
        raise CorpusError(f"{shown_name} is cut: its compressed data end too early. Copy it again, whole.") from None
    except compression.DAMAGED as error:
        raise CorpusError(f"{shown_name} is damaged: {shown(error)}. Compress or copy it again.") from None
    except OSError as error:
        raise unreadable(shown_name, error) from error


def unreadable(shown_name: str, error: OSError) -> CorpusError:
    """The error for a file that the system does not let us read."""
    reason = error.strerror or type(error).__name__
    return CorpusError(f"{shown_name} cannot be read: {reason}. Check the path and its permissions.")
