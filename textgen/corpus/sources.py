"""From what the user typed to the documents that it stands for.

What goes in: a file, a folder, `-`, or a name of the catalogue. What comes out: a `Source`, whose documents
can be opened one after the other. A path that exists wins over a name of the catalogue.
"""

import contextlib
import dataclasses
import io
import itertools
import os
import stat
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import BinaryIO

from textgen.corpus import catalogue
from textgen.corpus.catalogue import CatalogueEntry
from textgen.corpus.decoding import unreadable
from textgen.corpus.download import cached_path
from textgen.corpus.names import model_name, nearest, shown
from textgen.errors import CorpusError

STDIN = "-"
NUM_NEIGHBOURS = 1000  # how many names of a folder are searched for the one that was meant


@dataclasses.dataclass(frozen=True)
class Document:
    """Bytes to read: their name in messages, how to open them, their encoding (None: as stated)."""

    shown_name: str
    open: Callable[[], AbstractContextManager[BinaryIO]]
    encoding: str | None = None


@dataclasses.dataclass(frozen=True)
class Source:
    """What one argument stands for: the model name it suggests, what re-reads it, and its documents."""

    name: str
    reference: str
    documents: tuple[Document, ...]
    is_folder: bool = False


def resolve(arguments: Sequence[str], stdin: BinaryIO | None = None) -> list[Source]:
    """The source of every argument; none means the starter corpus. Raises CorpusError."""
    if list(arguments).count(STDIN) > 1:
        raise CorpusError("'-' (stdin) is given more than once, but can be read only once. Give it once.")
    return [_resolve_one(argument, stdin) for argument in arguments or (catalogue.STARTER_NAME,)]


def entry_source(entry: CatalogueEntry) -> Source:
    """The source of a catalogue entry, in UTF-8; a download must be in the cache, whole."""
    if not entry.is_download:
        return Source(entry.name, entry.name, (_bytes_document(entry),))
    path = cached_path(entry)
    if path is None:
        raise CorpusError(f"{entry.name} is not on this machine yet. Run: textgen corpora fetch {entry.name}")
    return Source(entry.name, entry.name, (_file_document(path, encoding="utf-8"),))


def _resolve_one(argument: str, stdin: BinaryIO | None) -> Source:
    if argument == STDIN:
        return Source("stdin", STDIN, (Document("stdin", partial(_open_stdin, stdin)),))
    entries = {entry.name: entry for entry in catalogue.CATALOGUE}
    path = Path(argument)
    if not argument or not _exists(path):
        if argument in entries:
            return entry_source(entries[argument])
        raise _missing(argument, entries)
    _check_unicode(argument)
    absolute = os.path.abspath(path)
    if not path.is_dir():
        return Source(model_name(path.stem), absolute, (_file_document(path),))
    documents = tuple(_file_document(path / name) for name in _folder_names(path))
    if not documents:
        raise CorpusError(f"{shown(path)} holds no *.txt file. Name the files to read instead.")
    return Source(model_name(os.path.basename(absolute)), absolute, documents, is_folder=True)


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError as error:  # too long a name, or a folder on the way that is closed to us
        raise unreadable(shown(path), error) from error


def _check_unicode(argument: str) -> None:
    """A file name is remembered in JSON, so its bytes must be text."""
    try:
        argument.encode()
    except UnicodeEncodeError:
        raise CorpusError(f"The name of {shown(argument)} is not valid Unicode. Rename it.") from None


def _folder_names(folder: Path) -> list[str]:
    """POSIX relative paths of the `*.txt` files below `folder`, sorted; nothing hidden, no linked folders."""

    def stop(error: OSError):
        raise unreadable(shown(error.filename), error) from error

    names = []
    for parent, folders, files in os.walk(folder, onerror=stop):
        folders[:] = [name for name in folders if not name.startswith(".")]
        texts = [name for name in files if name.lower().endswith(".txt") and not name.startswith(".")]
        names += [Path(parent, name).relative_to(folder).as_posix() for name in texts]
    return sorted(names)


def _missing(argument: str, entries: dict[str, CatalogueEntry]) -> CorpusError:
    folder, name = os.path.split(argument)
    neighbours = []
    with contextlib.suppress(OSError, ValueError), os.scandir(folder or ".") as listing:
        visible = (entry.name for entry in listing if not entry.name.startswith("."))
        neighbours = sorted(os.path.join(folder, n) for n in itertools.islice(visible, NUM_NEIGHBOURS))
    hint = nearest(argument, [*neighbours, *entries]) if name else ""
    hint = hint or "Give a file, a folder, '-' for stdin, or a name that `textgen corpora list` shows."
    return CorpusError(f"{shown(argument) or repr(argument)} does not exist. {hint}")


def _file_document(path: Path, encoding: str | None = None) -> Document:
    return Document(shown(path), partial(_open_file, path), encoding)


def _open_file(path: Path) -> BinaryIO:
    """Open a regular file. NOTE: a device or a pipe could be endless, so it is refused."""
    try:
        if stat.S_ISREG(path.stat().st_mode):
            return path.open("rb")
    except OSError as error:
        raise unreadable(shown(path), error) from error
    raise CorpusError(f"{shown(path)} is not a regular file. Pipe its text into stdin and give '-' instead.")


def _bytes_document(entry: CatalogueEntry) -> Document:
    return Document(entry.name, lambda: io.BytesIO(catalogue.built_in_bytes(entry)), "utf-8")


@contextlib.contextmanager
def _open_stdin(stdin: BinaryIO | None) -> Iterator[BinaryIO]:
    if stdin is None and sys.stdin is None:
        raise CorpusError("stdin is closed. Pipe a text into it, or give a file.")
    yield sys.stdin.buffer if stdin is None else stdin
