"""From the bytes of one file to its text, where the file is a document and not text already.

What a file is, its first bytes say where they can; else its name. A text that looks like something else is read as it
is, and noted with the flag that reads it otherwise. In a folder, a document that cannot be read is left out and noted.
"""

import dataclasses
import io
from collections.abc import Iterator
from contextlib import nullcontext
from functools import partial

from textgen.config import TextConfig
from textgen.corpus.containers import ARCHIVES, container_of
from textgen.corpus.controls import count_in_document
from textgen.corpus.decoding import BLOCK_BYTES, ByteStream, Tally, iter_text, read_block
from textgen.corpus.formats import FORMATS, LARGEST_DOCUMENT, DocumentError, Extract, extract
from textgen.corpus.formats.archives import format_of, what_ole_is
from textgen.corpus.formats.kept import KeptTexts
from textgen.corpus.formats.page_encoding import (
    believed_encoding,
    declared_encoding,
    declared_name,
    without_tags,
    words_of,
)
from textgen.corpus.formats.telling import HEAD_BYTES, TABLES, is_text, looks_like
from textgen.corpus.misfits import AUTO, Decoding
from textgen.corpus.passing import PassingBytes
from textgen.corpus.pieces import piece_of
from textgen.corpus.sources import SourceFile
from textgen.corpus.surrogates import check_pieces
from textgen.corpus.tables import TABLE_FORMATS
from textgen.messages import counted

# Names that say what a text is, however it begins.
SURE_ENDINGS: tuple[str, ...] = (
    "md",
    "markdown",
    "mdx",
    "rst",
    "tex",
    "js",
    "jsx",
    "ts",
    "tsx",
    "vue",
    "svelte",
    "php",
)
SURE_ENDINGS += ("xsl", "xslt", "css", "yaml", "yml")
MOST_NAMED = 3  # documents that have a note of their own


@dataclasses.dataclass
class Met:
    """The documents of a pass, and what was taken for text; it becomes notes."""

    read: list[tuple[str, Extract]] = dataclasses.field(default_factory=list)  # what is said of each, before its facts
    unread: list[str] = dataclasses.field(default_factory=list)  # why
    lookalikes: dict[tuple[str, str], list[str]] = dataclasses.field(default_factory=dict)

    def notes(self) -> Iterator[str]:
        """A sentence for each, of many a sentence for all."""
        for name, found in self.read[:MOST_NAMED]:
            yield f"{name}: {found.facts()}"
        if others := self.read[MOST_NAMED:]:
            num_characters = sum(len(found.text) for _, found in others)
            yield f"{counted(len(others), 'other document')}: {counted(num_characters, 'character')} of text"
        for reason in self.unread[:MOST_NAMED]:
            yield f"left out: {reason}"
        if len(self.unread) > MOST_NAMED:
            yield f"{counted(len(self.unread) - MOST_NAMED, 'other document')} that cannot be read left out"
        for (what, way), names in self.lookalikes.items():
            them = f" and {counted(len(names) - 1, 'other file')} look" if len(names) > 1 else " looks"
            are = "they are" if len(names) > 1 else "it is"
            yield f"{names[0]}{them} like {what}, and {are} read as plain text; {way}"


class PeekedBytes:
    """Bytes of which the first can be looked at before they are read."""

    def __init__(self, stream: ByteStream, shown_name: str):
        self._stream = stream
        self.head = self._ahead = read_block(stream, shown_name, HEAD_BYTES)

    def read(self, size: int = -1, /) -> bytes:
        """As of a binary file."""
        if not self._ahead:
            return self._stream.read(size)
        ahead, self._ahead = self._ahead, b""
        if 0 <= size < len(ahead):
            ahead, self._ahead = ahead[:size], ahead[size:]
        return ahead


def format_to_read(file: SourceFile, head: bytes, config: TextConfig) -> str:
    """What a file is read as: "text", a document's format, or a container that its whole content tells more of."""
    if config.column is not None or file.encoding is not None:  # a table, or a text of the catalogue
        return "text"
    container = container_of(head)
    if container in (*ARCHIVES, "doc", "pdf", "rtf") and not is_readable_as_text(head, config):
        return container
    if config.file_format != "auto":
        return config.file_format
    return file.file_format if file.file_format in FORMATS else "text"


def is_readable_as_text(head: bytes, config: TextConfig) -> bool:
    """Whether a file is a document whose marks are letters, and is wanted as it stands."""
    return config.file_format == "text" and config.column is None and container_of(head) in ("rtf", "ps")


def note_lookalike(file: SourceFile, head: bytes, config: TextConfig, met: Met, tally: Tally) -> None:
    """Note a text that looks like what nobody has said it is, and a table of which no column is taken."""
    if config.column is not None:
        return
    is_named = file.ending in SURE_ENDINGS or file.encoding is not None
    found = looks_like(head) if config.file_format == "auto" and not is_named else None
    if file.file_format in TABLE_FORMATS and (found is None or found[0] in TABLES):
        tally.tables_as_text.append(file.shown_name)
    elif found:
        met.lookalikes.setdefault(found, []).append(file.shown_name)


def document_pieces(
    kind: str, file: SourceFile, decoding: Decoding, stream: PeekedBytes, passing: PassingBytes, tally: Tally,
    kept: KeptTexts, met: Met,
) -> Iterator[str]:  # fmt: skip
    """The text of a document, in blocks; nothing where the file is empty.

    Args:
        kind: as `format_to_read` gives it.
        passing: the bytes of the file as they lie there, which tell whether its text is kept.

    Raises:
        DocumentError: it cannot be read.
    """
    data = _whole(stream, file.shown_name)
    if not data:
        return
    key = f"{kind} {file.file_format} ".encode() + passing.digest()
    found = kept.find(key)
    is_binary = found is not None
    if found is None:
        kind = _known(kind, file, data)
        content = data if FORMATS[kind].is_binary else _decoded(kind, file, decoding, data, tally)
        try:
            found = extract(kind, content, file.shown_name)
        except DocumentError as problem:
            if file.file_format == kind:
                raise
            raise DocumentError(f"{problem} It was read as {FORMATS[kind].title}.") from None
        if file.file_format != kind:
            found = found._replace(parts=f"read as {FORMATS[kind].title}: {found.parts}")
        is_binary = FORMATS[kind].is_binary
        if is_binary:  # the others are read in a moment
            kept.keep(key, found)
    decoding.found = decoding.found or "utf-8"  # of a binary document, so that nobody asks again
    met.read.append((file.shown_name, found))
    if is_binary:
        count_in_document(found.text, file.shown_name, tally)
    for start in range(0, len(found.text), BLOCK_BYTES):
        yield found.text[start : start + BLOCK_BYTES]


def _whole(stream: PeekedBytes, shown_name: str) -> bytes:
    blocks: list[bytes] = []
    num_bytes = 0
    while block := read_block(stream, shown_name, BLOCK_BYTES):
        num_bytes += len(block)
        if num_bytes <= LARGEST_DOCUMENT:  # what is more passes, to be counted
            blocks.append(block)
    if num_bytes > LARGEST_DOCUMENT:
        raise DocumentError(f"{shown_name} is a document of more than {LARGEST_DOCUMENT:,} bytes. Save its text alone.")
    return b"".join(blocks)


def _known(kind: str, file: SourceFile, data: bytes) -> str:
    """The format of a document, by its content. Raises DocumentError where that is not what the name says."""
    if kind in ARCHIVES and container_of(data) in ARCHIVES:
        named = FORMATS[file.file_format].title if file.file_format in FORMATS else ""
        return format_of(data, file.shown_name, named)
    if kind == "doc":
        raise what_ole_is(data, file.shown_name)
    if kind == file.file_format and FORMATS[kind].is_binary and container_of(data[:HEAD_BYTES]) is None:
        raise _misnamed(kind, file, data[:HEAD_BYTES])
    return kind


def _misnamed(kind: str, file: SourceFile, head: bytes) -> DocumentError:
    if found := looks_like(head):
        advice = f"It looks like {found[0]}; {found[1]}."
    elif is_text(head):
        advice = "It looks like plain text; --file-format text reads it as it is."
    else:
        advice = "It is damaged. Copy it again, whole."
    return DocumentError(f"{file.shown_name} is not {FORMATS[kind].title}, whatever its name says. {advice}")


def _decoded(kind: str, file: SourceFile, decoding: Decoding, data: bytes, tally: Tally) -> str:
    """The text of a document that is made of text, in the encoding that was named, is declared in it, or is found."""
    used = decoding
    if kind == "html" and decoding.known == AUTO and declared_encoding(data) not in (None, "utf-16"):
        if believed := believed_encoding(data, may_misfit=decoding.errors != "strict"):
            used = Decoding(believed, decoding.errors)
            if believed != "utf-8":
                used.piece = piece_of(words_of(data).decode(believed, "replace"))
        else:
            decoding.declared = declared_name(data)
    told = partial(without_tags, data) if kind == "html" else lambda: data  # what tells the encoding
    pieces = iter_text(io.BytesIO(data), file.shown_name, used, tally, reopen=lambda: nullcontext(io.BytesIO(told())))
    text = "".join(check_pieces(pieces, file.shown_name))
    decoding.found, decoding.piece = used.found, used.piece
    return text
