"""Sources to one stream of text: files, folders, stdin and catalogued corpora, in the order given.

A `CorpusReader` reads them again and again in bounded memory. Where a corpus is many documents, each is followed by
END_OF_DOCUMENT; elsewhere one newline is put after a file that does not end in one, if another follows. An empty file
that was named is an error; one that lies in a folder is passed over and noted.
"""

import copy
import hashlib
import io
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import BinaryIO, Self

from textgen.config import END_OF_DOCUMENT, TextConfig
from textgen.corpus import columnar
from textgen.corpus.catalogue import CatalogueEntry
from textgen.corpus.decoding import BLOCK_BYTES, ByteStream, Tally, check_encoding, iter_text, read_block
from textgen.corpus.documents import documents_between, end_documents
from textgen.corpus.extracting import (
    Met,
    PeekedBytes,
    document_pieces,
    format_to_read,
    is_readable_as_text,
    note_lookalike,
)
from textgen.corpus.folders import ending_of
from textgen.corpus.formats import BY_ENDING, DocumentError
from textgen.corpus.formats.kept import KeptTexts
from textgen.corpus.misfits import AUTO, Decoding
from textgen.corpus.noting import notes_on_files, what_is_missing
from textgen.corpus.passing import PassingBytes
from textgen.corpus.rows import Rows
from textgen.corpus.sources import Source, SourceFile, entry_source, open_bytes, open_passing, resolve
from textgen.corpus.surrogates import check_pieces
from textgen.corpus.tables import TABLE_FORMATS, column_documents
from textgen.errors import CorpusError
from textgen.messages import Advance, shown, unwatched


class CorpusReader:
    """Sources that were found, and how to read them.

    `name` is the default name of a model of the corpus. `sources` re-read it: absolute paths, catalogue names, or "-".
    `left_out` says what of folders is not read. After a whole pass, `notes` are facts about the reading to show,
    `passed` is the fingerprint of the bytes read, and `encodings` are those of the files, in their order: a single one
    where all have the same.
    """

    def __init__(
        self, sources: Sequence[Source], config: TextConfig, encodings: Sequence[str] = (), hints: Sequence[str] = ()
    ):
        """Find out how to read the files; nothing is read yet.

        Args:
            sources: at least one, as `resolve` finds them.
            encodings: what was found when they were read before, as `encodings`; of use where `config` says "auto".
            hints: encodings that other texts of the user are in.
        """
        self.name = sources[0].name
        self.sources = tuple(source.reference for source in sources)
        self.config = config.replace(encoding=check_encoding(config.encoding))
        self.left_out = tuple(source.left_out for source in sources if source.left_out)
        self.notes: tuple[str, ...] = ()
        self.passed = ""
        self._kept = KeptTexts()
        self._files = [(file, source.is_folder) for source in sources for file in source.files]
        self.known = (
            tuple(encodings) if self.config.encoding == AUTO and len(encodings) in (1, len(self._files)) else ()
        )
        self.hints = tuple(hints)
        self._decodings = self._new_decodings()

    @property
    def is_public(self) -> bool:
        """Whether every user of this machine can read all of it."""
        return all(file.is_public for file, _ in self._files)

    def read_as(self, config: TextConfig) -> Self:
        """The same files, read in another way; standard input can be had only once."""
        other = copy.copy(self)
        other.config = config.replace(encoding=check_encoding(config.encoding))
        if (config.encoding, config.encoding_errors) != (self.config.encoding, self.config.encoding_errors):
            other._decodings = other._new_decodings()
        return other

    @property
    def encodings(self) -> tuple[str, ...]:
        """See the class; "auto" is one that is not known yet."""
        found = tuple(decoding.known for decoding in self._decodings)
        return found[:1] if len(set(found)) == 1 else found

    def _new_decodings(self) -> list[Decoding]:
        config = self.config
        known = (self.known * len(self._files) if len(self.known) == 1 else self.known) or ("",) * len(self._files)
        return [
            Decoding(
                file.encoding or config.encoding,
                config.encoding_errors,
                self.hints,
                found="" if file.encoding else encoding,
            )
            for (file, _), encoding in zip(self._files, known, strict=True)
        ]

    def blocks(self, progress: Advance = unwatched) -> Iterator[str]:
        """The text from its start to its end in blocks of about a megabyte, cut anywhere; every call reads anew.

        Args:
            progress: called with bytes of the files read, and bytes in all.

        Raises:
            CorpusError: a file is missing, unreadable, empty, damaged or not in the encoding; or there is no text.
        """
        pass_ = _Pass(self.config, self._kept, self.num_bytes(), progress)
        is_blank = True
        for block in pass_.blocks(self._files, self._decodings):
            is_blank = is_blank and not block.replace(END_OF_DOCUMENT, "").strip()
            yield block
        if is_blank:
            names = shown(", ".join(self.sources))
            if pass_.met.unread:
                raise CorpusError(f"{names}: nothing in it can be read. {pass_.met.unread[0]}")
            raise CorpusError(f"{names}: {what_is_missing(self.config.column, pass_.tally)}")
        self.notes, self.passed = (*notes_on_files(pass_.tally), *pass_.met.notes()), pass_.digest.hexdigest()

    def fingerprint(self, progress: Advance = unwatched) -> str:
        """SHA-256 over the bytes of all files and over how they are to be read, without decoding them."""
        total = self.num_bytes()
        digest, done = hashlib.sha256(), 0
        for file, _ in self._files:
            with file.open() as raw:
                passing = PassingBytes(raw)
                while read_block(passing, file.shown_name, BLOCK_BYTES):
                    progress(done + passing.num_bytes, total)
            done += passing.num_bytes
            digest.update(file.identity(passing))
        return digest.hexdigest()

    def num_bytes(self) -> int:
        """Bytes of all files on disk. Raises CorpusError when one cannot be opened."""
        return sum(file.num_bytes() for file, _ in self._files)


class _Pass:
    """One pass over the files: what it met, and what passed."""

    def __init__(self, config: TextConfig, kept: KeptTexts, total_bytes: int, progress: Advance):
        self.config = config
        self.kept = kept
        self.total_bytes = total_bytes
        self.progress = progress
        self.tally = Tally()
        self.met = Met()
        self.digest = hashlib.sha256()
        self.done_bytes = 0

    def blocks(self, files: Sequence[tuple[SourceFile, bool]], decodings: Sequence[Decoding]) -> Iterator[str]:
        last = "\n"
        for (file, is_in_folder), decoding in zip(files, decodings, strict=True):
            is_empty = True
            for block in filter(None, self._file_blocks(file, decoding, is_in_folder)):
                if is_empty and last != "\n" and not self.config.has_documents:
                    yield "\n"
                yield block
                last, is_empty = block[-1], False

    def _file_blocks(self, file: SourceFile, decoding: Decoding, is_in_folder: bool) -> Iterator[str]:
        column = self.config.column
        if column is not None and (kind := columnar.kind_of(file)):
            yield from self._columns(file, kind, column, decoding)
            return
        with open_passing(file) as (text_bytes, passing):
            yield from self._documents(file, self._pieces(file, decoding, text_bytes, passing, is_in_folder))
        self.done_bytes += passing.num_bytes
        self.digest.update(file.identity(passing))

    def _columns(self, file: SourceFile, kind: str, column: str, decoding: Decoding) -> Iterator[str]:
        rows = Rows(file.shown_name, self.config.bad_rows, self.tally, "row")
        with file.open() as raw:
            for block in columnar.column_documents(raw, kind, column, rows):
                self.progress(self.done_bytes + min(raw.tell(), self.total_bytes), self.total_bytes)
                yield block
            raw.seek(0)
            passing = PassingBytes(raw)
            while read_block(passing, file.shown_name, BLOCK_BYTES):
                pass  # only now, so that a change while it was read does not go unseen
        decoding.found = "utf-8"
        self.tally.files += 1
        self.done_bytes += passing.num_bytes
        self.digest.update(file.identity(passing))

    def _pieces(
        self, file: SourceFile, decoding: Decoding, text_bytes: ByteStream, passing: PassingBytes, is_in_folder: bool
    ) -> Iterator[str]:
        is_empty, num_unread = True, len(self.met.unread)
        stream = PeekedBytes(text_bytes, file.shown_name)
        kind = format_to_read(file, stream.head, self.config)
        if kind == "text":
            note_lookalike(file, stream.head, self.config, self.met, self.tally)
            pieces = iter_text(
                stream,
                file.shown_name,
                decoding,
                self.tally,
                reopen=partial(open_bytes, file),
                is_text=is_readable_as_text(stream.head, self.config),
            )
            if decoding.known not in (AUTO, "utf-8"):
                pieces = check_pieces(pieces, file.shown_name)
        else:
            pieces = document_pieces(kind, file, decoding, stream, passing, self.tally, self.kept, self.met)
        pieces = self._readable(pieces) if is_in_folder else pieces
        for piece in pieces:
            is_empty = is_empty and not piece
            self.progress(self.done_bytes + passing.num_bytes, self.total_bytes)
            yield piece
        if is_empty and not is_in_folder:
            raise CorpusError(f"{file.shown_name} is empty. Give a file that holds text.")
        self.tally.empty_files += is_empty and len(self.met.unread) == num_unread
        self.tally.files += not is_empty

    def _readable(self, pieces: Iterator[str]) -> Iterator[str]:
        """The pieces of a file in a folder; one that is no text, or damaged, has none, and is noted."""
        try:
            yield from pieces
        except DocumentError as error:
            self.met.unread.append(str(error))

    def _documents(self, file: SourceFile, pieces: Iterator[str]) -> Iterator[str]:
        column = self.config.column
        if column is not None:
            table_format = self.config.file_format if self.config.file_format in TABLE_FORMATS else file.file_format
            if table_format not in TABLE_FORMATS:
                next(pieces, "")  # what is no text says what it is
                endings = ", ".join(f".{name}" for name in TABLE_FORMATS[:-1])
                raise CorpusError(
                    f"{file.shown_name} is no {endings} or .{TABLE_FORMATS[-1]} file, so it has no columns. "
                    "Leave out --column, or say what it is: --file-format csv, tsv or jsonl."
                )
            rows = Rows(file.shown_name, self.config.bad_rows, self.tally)
            return column_documents(pieces, table_format, column, rows)
        if self.config.mark is not None:
            return documents_between(pieces, self.config.mark, file.shown_name, self.tally)
        return end_documents(pieces, self.config.documents, self.tally) if self.config.has_documents else pieces


def open_corpus(
    sources: Sequence[str | Path] | str | Path,
    config: TextConfig,
    *,
    stdin: BinaryIO | None = None,
    encodings: Sequence[str] = (),
    hints: Sequence[str] = (),
) -> CorpusReader:
    """Find files, folders, `-` for stdin, or names of the catalogue; nothing is read yet.

    Args:
        sources: in the order wanted; an empty sequence is the starter corpus. Of folders, all that is text is read, or
            the tables where a column is wanted; `.gz` and `.zst` of each too.
        config: encoding, format, documents, separator, column, bad rows, and which files of folders. The catalogue's
            own texts are read as UTF-8 in any case.
        stdin: the bytes that `-` stands for; the process's own when left out.
        encodings: what was found when the files were read before.
        hints: encodings that other texts of the user are in.

    Raises:
        CorpusError: something is missing.
        SettingError: the encoding is not a text encoding that Python knows.
    """
    check_encoding(config.encoding)
    arguments = [sources] if isinstance(sources, str | Path) else sources
    found = resolve([str(argument) for argument in arguments], config, stdin)
    return CorpusReader(found, config, encodings, hints)


def open_entry(entry: CatalogueEntry) -> CorpusReader:
    """A catalogued corpus, even where a file of the same name exists. Raises CorpusError when it is not here."""
    return CorpusReader([entry_source(entry)], TextConfig())


def text_of(content: bytes, name: str) -> tuple[str, list[str]]:
    """The text that a file of that name with this content would give as a corpus, and its notes. Raises CorpusError."""
    if not content:
        return "", []
    file_format = BY_ENDING.get(ending_of(name), "text")
    file = SourceFile(shown(name), lambda: nullcontext(io.BytesIO(content)), file_format, ending=ending_of(name))
    pass_ = _Pass(TextConfig(), KeptTexts(), len(content), unwatched)
    text = "".join(pass_.blocks([(file, False)], [Decoding(AUTO)]))
    pass_.tally.tables_as_text.clear()
    pass_.met.lookalikes.clear()  # there are no flags that would read it otherwise
    return text, [*notes_on_files(pass_.tally), *pass_.met.notes()]
