"""Texts that a Python program has in memory, read as if each stood in a file of its own.

They are not kept anywhere: a model made of them names them IN_MEMORY, and whoever wants to go on or to measure it on
its own text gives them again.
"""

import functools
import hashlib
import io
from collections.abc import Iterable, Iterator
from contextlib import nullcontext

from textgen.config import END_OF_DOCUMENT, TextConfig
from textgen.corpus.decoding import BYTE_ORDER_MARK, C1, END_MARK, Tally, iter_text
from textgen.corpus.documents import documents_between, end_documents
from textgen.corpus.noting import notes_on_bytes
from textgen.corpus.reading import CorpusReader
from textgen.corpus.sources import Source, SourceFile
from textgen.corpus.surrogates import find_surrogate
from textgen.corpus.tables import TABLE_FORMATS
from textgen.errors import CorpusError
from textgen.messages import Advance, counted, unwatched

NAME = "texts"  # what a model of them is called
IN_MEMORY = "(texts in memory)"  # among a model's sources; no path, which would be absolute, and no catalogue name
ENCODING = "utf-8"  # what a record says of texts that need no decoding
BLOCK_CHARACTERS = 1 << 20


class TextsReader(CorpusReader):
    """Several texts as a corpus; see `CorpusReader`.

    Where the corpus has documents, each text is cut as a file would be: `documents=file` leaves it whole, and so does a
    column, of which it is a cell.
    """

    def __init__(self, texts: Iterable[str], config: TextConfig):
        """Args: texts: at least one. Raises CorpusError at half of a surrogate pair, which is not text."""
        super().__init__([Source(NAME, IN_MEMORY, ())], config.replace(encoding=ENCODING))
        self._texts = tuple(texts)
        for number, text in enumerate(self._texts, 1):
            _check_text(text, f"text {number:,}")

    @property
    def is_public(self) -> bool:
        """Of a text that was in memory nobody knows who may read it."""
        return False

    def blocks(self, progress: Advance = unwatched) -> Iterator[str]:
        """As `CorpusReader.blocks`; progress is in characters."""
        total, done, tally = sum(map(len, self._texts)), 0, Tally()
        is_blank = True
        for block in self._gathered(tally):
            is_blank = is_blank and not block.replace(END_OF_DOCUMENT, "").strip()
            done = min(total, done + len(block))
            progress(done, total)
            yield block
        if is_blank:
            raise CorpusError("the texts hold nothing but white space. Give a text that holds more.")
        self.notes, self.passed = _notes(tally), self._fingerprint

    def fingerprint(self, progress: Advance = unwatched) -> str:
        """SHA-256 over the texts, and over where each ends."""
        return self._fingerprint

    @functools.cached_property
    def _fingerprint(self) -> str:
        digest = hashlib.sha256(IN_MEMORY.encode())
        for text in self._texts:
            content = text.encode()
            digest.update(b"%d\n" % len(content))
            digest.update(content)
        return digest.hexdigest()

    def _gathered(self, tally: Tally) -> Iterator[str]:
        """Blocks of about a megabyte, of pieces that may be short."""
        held: list[str] = []
        num_characters = 0
        for piece in self._pieces(tally):
            held.append(piece)
            num_characters += len(piece)
            if num_characters >= BLOCK_CHARACTERS:
                yield "".join(held)
                held, num_characters = [], 0
        if held:
            yield "".join(held)

    def _pieces(self, tally: Tally) -> Iterator[str]:
        kind = "file" if self.config.column is not None else self.config.documents
        last = "\n"
        for number, given in enumerate(self._texts, 1):
            text = _unified(given, f"text {number:,}", tally)
            if not text:
                tally.empty_files += 1
            elif self.config.mark is not None:
                yield from documents_between(iter(_sliced(text)), self.config.mark, f"text {number:,}", tally)
            elif kind == "whole":
                yield from ["" if last.endswith("\n") else "\n", *_sliced(text)]
                last = text
            else:
                yield from end_documents(_sliced(text), kind, tally)


def text_reader(text: str, config: TextConfig, table_format: str = "") -> CorpusReader:
    """`text` read as a file that holds it.

    Args:
        table_format: of the file, where the config has a column of it.

    Raises:
        CorpusError: it holds half of a surrogate pair.
    """
    _check_text(text, "the text")
    file_format = table_format if table_format in TABLE_FORMATS else "text"
    # Its encoding is stated, as that of a catalogued text.
    file = SourceFile("the text", lambda: nullcontext(io.BytesIO(text.encode())), file_format, encoding=ENCODING)
    return CorpusReader([Source(NAME, IN_MEMORY, (file,))], config.replace(encoding=ENCODING))


def _check_text(text: str, name: str) -> None:
    if (place := find_surrogate(text)) >= 0:
        where = f"U+{ord(text[place]):04X} at character {place:,}"
        raise CorpusError(f"{name} holds half of a surrogate pair ({where}), which is not text. Leave it out.")


def _unified(text: str, shown_name: str, tally: Tally) -> str:
    """`text` as it leaves a file: LF line ends, no byte-order mark; what is odd in it is counted."""
    is_odd = "\r" in text or "\0" in text or BYTE_ORDER_MARK in text or text.endswith(END_MARK)
    if is_odd or (not text.isascii() and C1.search(text)):
        return "".join(iter_text(io.BytesIO(text.encode()), shown_name, ENCODING, tally, is_text=True))
    return text


def _sliced(text: str) -> list[str]:
    return [text[start : start + BLOCK_CHARACTERS] for start in range(0, len(text), BLOCK_CHARACTERS)]


def _notes(tally: Tally) -> tuple[str, ...]:
    facts = (
        (tally.empty_files, counted(tally.empty_files, "empty text") + " skipped"),
        (tally.empty_documents, counted(tally.empty_documents, "empty document") + " skipped"),
        *((True, note) for note in notes_on_bytes(tally)),
    )
    return tuple(sentence for is_said, sentence in facts if is_said)
