"""Which corpora this user has trained from: a model names its own, but a model may come from anybody.

For each there is an empty file in the user's state directory, called by a hash over the text's SHA-256 and the sources
that it is read from. So what a model names is opened only where this user has trained on that text from those sources,
also after the model was moved or renamed. Where a file is missing, or could not be written, the user has to name the
text.
"""

import contextlib
import hashlib
import json
import os
import sys
from pathlib import Path

from textgen.config import TextConfig
from textgen.corpus.catalogue import CATALOGUE
from textgen.corpus.reading import CorpusReader
from textgen.corpus.sources import STDIN, entry_source, resolve
from textgen.corpus.texts import IN_MEMORY
from textgen.errors import CorpusError
from textgen.messages import shown
from textgen.records import CorpusRecord
from textgen.store.manifest import SHA256
from textgen.store.private import private_directory
from textgen.store.state import state_dir

DIRECTORY = "trained_from"
NUM_KEPT = 1000  # the newest
LONGEST_NAMED = 100  # characters of the sources in an error


def remember(corpus: CorpusRecord) -> None:
    """Remember that this user trains from `corpus`; where that cannot be written, nothing happens."""
    path = _path_of(corpus)
    with contextlib.suppress(OSError), private_directory(path.parent):
        path.touch()
        known = [entry for entry in path.parent.iterdir() if SHA256.fullmatch(entry.name)]  # nobody else's
        for forgotten in sorted(known, key=lambda entry: entry.lstat().st_mtime_ns)[:-NUM_KEPT]:
            forgotten.unlink()


def reopen_corpus(corpus: CorpusRecord, config: TextConfig, *, model: str, advice: str) -> CorpusReader:
    """The corpus that a model names, found again; texts of the catalogue may be those of any model.

    Args:
        config: how it was read.
        model: the model's name.
        advice: how to name the text instead.

    Raises:
        CorpusError: this user has not trained from it, and nothing was opened; or something is missing; or somebody
            would have to type it again, or give texts again that were in memory.
    """
    if IN_MEMORY in corpus.sources:
        raise CorpusError(
            f"{shown(model)} learned from texts that were in memory and are not kept. In Python, give them again as "
            f"texts=[...]. {advice}"
        )
    entries = {entry.name: entry for entry in CATALOGUE}
    if not corpus.sources or not (set(corpus.sources) <= set(entries) or os.path.isfile(_path_of(corpus))):
        named = shown(", ".join(corpus.sources), LONGEST_NAMED) or "without a name"
        raise CorpusError(
            f"{shown(model)} names the corpus {named}, which is not opened: you have not trained from it here. {advice}"
        )
    if STDIN in corpus.sources and sys.stdin is not None and sys.stdin.isatty():
        raise CorpusError(f"{shown(model)} read standard input; pipe the same text in again. {advice}")
    sources = [
        entry_source(entries[source]) if source in entries else resolve([source], config)[0]
        for source in corpus.sources
    ]
    return CorpusReader(sources, config, corpus.encodings)


def _path_of(corpus: CorpusRecord) -> Path:
    key = json.dumps([corpus.sha256, *corpus.sources])
    return state_dir() / DIRECTORY / hashlib.sha256(key.encode()).hexdigest()
