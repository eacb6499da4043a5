"""Sources to one text: files, folders, stdin and catalogued corpora, joined in the order given.

What goes in: the arguments of the command line. What comes out: a `Corpus`, with the text, its hash and
what has been changed on the way. One newline is put after a file that does not end in one, if another
follows. An empty file that was named is an error; one that lies in a folder is passed over and noted.
"""

import dataclasses
import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from textgen.corpus.catalogue import CatalogueEntry
from textgen.corpus.decoding import Tally, check_encoding, iter_text
from textgen.corpus.names import shown
from textgen.corpus.sources import Document, Source, entry_source, resolve
from textgen.errors import CorpusError


@dataclasses.dataclass(frozen=True)
class Corpus:
    """A text to learn from, and where it comes from.

    `name` is the default name of a model of it. `sources` re-read it: absolute paths, catalogue names, or
    "-". `sha256` is of the text in UTF-8. `notes` are facts about the reading to show.
    """

    name: str
    sources: tuple[str, ...]
    text: str
    sha256: str
    notes: tuple[str, ...]


def read_corpus(sources: Sequence[str | Path], *, encoding: str = "utf-8", stdin: BinaryIO | None = None) -> Corpus:
    """Read files, folders (`*.txt` below them), `-` for stdin, or names of the catalogue, as one text.

    Args:
        sources: in the order wanted; an empty sequence is the starter corpus.
        encoding: of the files and of stdin; the catalogue's own texts are UTF-8 whatever is said here.
        stdin: the bytes that `-` stands for; the process's own when left out.

    Raises:
        CorpusError: something is missing, unreadable, empty or not in `encoding`.
        SettingError: `encoding` is not a text encoding that Python knows.
    """
    stated = check_encoding(encoding)
    arguments = [sources] if isinstance(sources, str | Path) else sources
    return _read(resolve([str(argument) for argument in arguments], stdin), stated)


def read_entry(entry: CatalogueEntry) -> Corpus:
    """Read a catalogued corpus, even where a file of the same name exists. Raises CorpusError."""
    return _read([entry_source(entry)], "utf-8")


def _read(sources: list[Source], encoding: str) -> Corpus:
    tally = Tally()
    text = "".join(_iter_joined(sources, encoding, tally))
    if not text or text.isspace():
        names = shown(", ".join(source.reference for source in sources))
        raise CorpusError(f"{names}: there is nothing but white space. Give a text to learn from.")
    return Corpus(
        name=sources[0].name,
        sources=tuple(source.reference for source in sources),
        text=text,
        sha256=_hash(text),
        notes=_notes(tally),
    )


def _iter_joined(sources: list[Source], encoding: str, tally: Tally) -> Iterator[str]:
    last = "\n"
    for source in sources:
        for document in source.documents:
            is_empty = True
            for piece in filter(None, _iter_document(document, encoding, tally)):
                if is_empty and last != "\n":
                    yield "\n"
                yield piece
                last, is_empty = piece[-1], False
            _count(document, source, is_empty, tally)


def _iter_document(document: Document, encoding: str, tally: Tally) -> Iterator[str]:
    with document.open() as file:
        yield from iter_text(file, document.shown_name, document.encoding or encoding, tally)


def _count(document: Document, source: Source, is_empty: bool, tally: Tally) -> None:
    if is_empty and not source.is_folder:
        raise CorpusError(f"{document.shown_name} is empty. Give a text to learn from.")
    tally.empty_files += is_empty
    tally.files += not is_empty


def _hash(text: str) -> str:
    try:
        return hashlib.sha256(text.encode("utf-8")).hexdigest()
    except UnicodeEncodeError as error:  # only from encodings such as utf-7 and unicode_escape
        half = ord(text[error.start])
        raise CorpusError(
            f"The text holds half of a surrogate pair (U+{half:04X} at character {error.start:,}). "
            "Convert it to UTF-8, and leave --encoding out."
        ) from None


def _notes(tally: Tally) -> tuple[str, ...]:
    facts = (
        (tally.files > 1 or tally.empty_files, _counted(tally.files, "file") + " read"),
        (tally.empty_files, _counted(tally.empty_files, "empty file") + " skipped"),
        (tally.byte_order_marks, _counted(tally.byte_order_marks, "byte-order mark") + " removed"),
        (tally.crlf_line_ends, _counted(tally.crlf_line_ends, "CRLF line end") + " turned into LF"),
    )
    return tuple(sentence for is_said, sentence in facts if is_said)


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
