"""From what the user typed (a file, a folder, `-`, or a name of the catalogue) to the files that it stands for.

Every file can be opened again and again; standard input is kept for that. As its bytes are read they are counted and
hashed, which tells whether two passes have read the same. A path that exists wins over a name of the catalogue.
"""

import contextlib
import dataclasses
import io
import itertools
import os
import sys
import tempfile
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import IO, BinaryIO

from textgen.config import TextConfig
from textgen.corpus import catalogue
from textgen.corpus.catalogue import CatalogueEntry
from textgen.corpus.compression import MAGIC_BYTES, check_kind, decompressed, kind_of, uncompressed
from textgen.corpus.decoding import BLOCK_BYTES, ByteStream, read_block, unreadable
from textgen.corpus.download import cached_path
from textgen.corpus.folders import ending_of, find_files
from textgen.corpus.formats import BY_ENDING
from textgen.corpus.names import model_name
from textgen.corpus.passing import PassingBytes
from textgen.corpus.tables import TABLE_FORMATS
from textgen.errors import CorpusError
from textgen.messages import nearest, shown
from textgen.store.opening import SpecialFileError, open_regular
from textgen.store.private import is_readable_by_all

STDIN, STDIN_NAME = "-", "stdin"
NUM_NEIGHBOURS = 1000  # how many names of a folder are searched for the one that was meant
BYTES_IN_MEMORY = 1 << 24  # of standard input; more goes to a temporary file


@dataclasses.dataclass(frozen=True)
class SourceFile:
    """A file to read.

    `open` gives its bytes from the start, as often as it is called. `file_format` is what the name says: a format of
    tables, one of `formats.FORMATS`, or "text"; `ending` is the end of the name, without a dot. `encoding` is None
    where it is the one that the user states, and not the catalogue's. `path` is None where the text is the catalogue's
    or was piped in.
    """

    shown_name: str
    open: Callable[[], AbstractContextManager[IO[bytes]]]
    file_format: str = "text"
    is_compressed: bool = False
    encoding: str | None = None
    path: Path | None = None
    ending: str = ""

    @property
    def is_public(self) -> bool:
        """Whether every user of this machine can read the text. Of one that was piped in nobody knows."""
        return self.encoding is not None or (self.path is not None and is_readable_by_all(self.path))

    def num_bytes(self) -> int:
        """Bytes of the file on disk. Raises CorpusError when it cannot be opened."""
        with self.open() as file:
            return file.seek(0, os.SEEK_END)

    def identity(self, passing: PassingBytes) -> bytes:
        """All that the text of the file depends on beside the TextConfig, after its bytes have passed."""
        how = f"{self.file_format} {self.is_compressed} {self.encoding}"
        return f"{how} {passing.num_bytes} {passing.digest().hex()}\n".encode()


@contextlib.contextmanager
def open_passing(source_file: SourceFile) -> Iterator[tuple[ByteStream, PassingBytes]]:
    """The bytes of the text, decompressed, and the bytes of the file itself as they pass."""
    with source_file.open() as file:
        passing = PassingBytes(file)
        name = source_file.path.name if source_file.is_compressed and source_file.path else ""
        head = file.read(MAGIC_BYTES)
        file.seek(0)
        kind = kind_of(head, name)
        check_kind(kind, head, source_file.shown_name)
        yield decompressed(kind, passing, source_file.shown_name), passing


@contextlib.contextmanager
def open_bytes(source_file: SourceFile) -> Iterator[ByteStream]:
    """The bytes of the text, decompressed, once more beside a pass over them."""
    with open_passing(source_file) as (text_bytes, _):
        yield text_bytes


@dataclasses.dataclass(frozen=True)
class Source:
    """What one argument stands for: the model name it suggests, what re-reads it, and its files.

    `left_out` is a line about the files of a folder that are not read; empty where there are none.
    """

    name: str
    reference: str
    files: tuple[SourceFile, ...]
    is_folder: bool = False
    left_out: str = ""


def resolve(arguments: Sequence[str], config: TextConfig, stdin: BinaryIO | None = None) -> list[Source]:
    """The source of every argument; none means the starter corpus. Raises CorpusError.

    Of a folder, `config` says which files are read. Where a column is wanted, stdin is CSV.
    """
    if list(arguments).count(STDIN) > 1:
        raise CorpusError("'-' (stdin) is given more than once, but can be read only once. Give it once.")
    return [_resolve_one(argument, config, stdin) for argument in arguments or (catalogue.STARTER_NAME,)]


def suggested_name(arguments: Sequence[str]) -> str:
    """What a model of these sources is called. Raises CorpusError where the first of them is missing."""
    argument = arguments[0] if arguments else catalogue.STARTER_NAME
    if argument == STDIN:
        return STDIN_NAME
    return argument if _entry_named(argument) else _name_of(_existing(argument))


def references(arguments: Sequence[str]) -> tuple[str, ...]:
    """The reference of each argument's source. Raises CorpusError for a missing one."""
    names = arguments or (catalogue.STARTER_NAME,)
    return tuple(name if name == STDIN or _entry_named(name) else os.path.abspath(_existing(name)) for name in names)


def entry_source(entry: CatalogueEntry) -> Source:
    """The source of a catalogue entry, in UTF-8; a download must be in the cache, whole."""
    if entry.download is None:
        file = SourceFile(entry.name, lambda: io.BytesIO(catalogue.built_in_bytes(entry)), encoding="utf-8")
    elif path := cached_path(entry):
        file = _file_at(path, encoding="utf-8")
    else:
        raise CorpusError(f"{entry.name} is not on this machine yet. Run: textgen corpora fetch {entry.name}")
    return Source(entry.name, entry.name, (file,))


def level_of(arguments: Sequence[str]) -> str | None:
    """The level that the catalogue gives these sources: that of an entry alone, else None."""
    entries = [_entry_named(argument) for argument in arguments or (catalogue.STARTER_NAME,)]
    return entries[0].level if len(entries) == 1 and entries[0] else None


def _entry_named(argument: str) -> CatalogueEntry | None:
    """The catalogue entry that an argument stands for; None where it is a path, or nothing."""
    entry = next((entry for entry in catalogue.CATALOGUE if entry.name == argument), None)
    return None if entry is None or _exists(Path(argument)) else entry


def _resolve_one(argument: str, config: TextConfig, stdin: BinaryIO | None) -> Source:
    if argument == STDIN:
        file_format = "csv" if config.column is not None else "text"
        return Source(STDIN_NAME, STDIN, (SourceFile(STDIN_NAME, SpooledInput(stdin).open, file_format),))
    if entry := _entry_named(argument):
        return entry_source(entry)
    path = _existing(argument)
    absolute = os.path.abspath(path)
    if not path.is_dir():
        return Source(_name_of(path), absolute, (_file_at(path),))
    names, left_out = find_files(path, config)
    files = tuple(_file_at(path / name) for name in names)
    return Source(_name_of(path), absolute, files, is_folder=True, left_out=left_out)


def _existing(argument: str) -> Path:
    """The path that an argument names. Raises CorpusError where there is nothing, or it cannot be remembered."""
    path = Path(argument)
    if not argument or not _exists(path):
        raise _missing(argument)
    try:
        argument.encode()  # it is remembered in JSON
    except UnicodeEncodeError:
        raise CorpusError(f"The name of {shown(argument)} is not valid Unicode. Rename it.") from None
    return path


def _name_of(path: Path) -> str:
    """What a model of a file or folder is called."""
    return model_name(os.path.basename(os.path.abspath(path)) if path.is_dir() else Path(uncompressed(path.name)).stem)


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError as error:  # too long a name, or a folder on the way that is closed to us
        raise unreadable(shown(path), error) from error


def _missing(argument: str) -> CorpusError:
    folder, name = os.path.split(argument)
    neighbours = []
    with contextlib.suppress(OSError, ValueError), os.scandir(folder or ".") as listing:
        visible = (entry.name for entry in listing if not entry.name.startswith("."))
        neighbours = sorted(os.path.join(folder, n) for n in itertools.islice(visible, NUM_NEIGHBOURS))
    known = [*neighbours, *(entry.name for entry in catalogue.CATALOGUE)]
    hint = nearest(argument, known, without=_stem) if name else ""
    hint = hint or "Give a file, a folder, '-' for stdin, or a name that `textgen corpora list` shows."
    return CorpusError(f"{shown(argument) or repr(argument)} does not exist. {hint}")


def _stem(path: str) -> str:
    return os.path.splitext(os.path.basename(path))[0]


def _file_at(path: Path, encoding: str | None = None) -> SourceFile:
    return named_file(path, partial(_open_file, path), encoding)


def named_file(path: Path, open_: Callable[[], AbstractContextManager[IO[bytes]]], encoding: str | None) -> SourceFile:
    """The file that `open_` opens, to be read as one that lies at `path`."""
    ending = ending_of(path.name)
    file_format = ending if ending in TABLE_FORMATS else BY_ENDING.get(ending, "text")
    is_compressed = uncompressed(path.name) != path.name
    return SourceFile(shown(path), open_, file_format, is_compressed, encoding, path, ending)


def _open_file(path: Path) -> BinaryIO:
    try:
        return open_regular(path)
    except SpecialFileError:
        raise CorpusError(
            f"{shown(path)} is not a regular file. Pipe its text into stdin and give '-' instead."
        ) from None
    except OSError as error:
        raise unreadable(shown(path), error) from error


class SpooledInput:
    """Standard input, which can be read once, kept so that it can be read again.

    It is in memory up to BYTES_IN_MEMORY, and beyond that in a temporary file without a name.
    """

    def __init__(self, stdin: BinaryIO | None = None):
        """Args: stdin: the bytes to read; the process's own standard input when left out."""
        self._stdin = stdin
        self._file: IO[bytes] | None = None

    @contextlib.contextmanager
    def open(self) -> Iterator[IO[bytes]]:
        """The bytes from the start; the first call reads standard input. Raises CorpusError.

        It may be opened while it is open: who opened it first goes on where it was.
        """
        if self._file is None:
            self._file = self._spool()
        place = self._file.tell()
        self._file.seek(0)
        try:
            yield self._file
        finally:
            if not self._file.closed:
                self._file.seek(place)

    def _spool(self) -> IO[bytes]:
        if self._stdin is None and sys.stdin is None:
            raise CorpusError("stdin is closed. Pipe a text into it, or give a file.")
        stdin = sys.stdin.buffer if self._stdin is None else self._stdin
        file = tempfile.SpooledTemporaryFile(BYTES_IN_MEMORY)  # noqa: SIM115 - lives as long as this object
        weakref.finalize(self, file.close)
        while block := read_block(stdin, "stdin", BLOCK_BYTES):
            try:
                file.write(block)
            except OSError as error:
                reason = error.strerror or error
                raise CorpusError(f"cannot keep stdin in {tempfile.gettempdir()}: {reason}. Set TMPDIR.") from error
        return file
