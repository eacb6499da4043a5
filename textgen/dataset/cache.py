"""Prepared corpora: directories in the user's cache, named by a hash of all that they depend on.

    train_ids, validation_ids     raw little-endian numbers of the smallest unsigned type
    tokenizer.json, facts.json    the vocabulary; hash, counts and notes of the text
    manifest.json                 size and SHA-256 of each file above, written last

A directory gets its name when all of it is on disk, so one that is half-written is never found. It is verified
whenever it is opened, and one that is damaged is made anew. A later process removes what a killed one left.
"""

import contextlib
import hashlib
import json
import os
import re
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from textgen.config import TextConfig
from textgen.corpus.download import CACHE_VARIABLE, cache_dir
from textgen.dataset.batches import open_token_ids
from textgen.dataset.split import Split
from textgen.errors import CorpusError, TextgenError
from textgen.messages import shown
from textgen.records import installed_versions
from textgen.store import atomic
from textgen.store.manifest import seal, verify
from textgen.store.model_directory import TOKENIZER
from textgen.store.strict_json import FORMAT, read_json, write_json
from textgen.tokenizers import Tokenizer, tokenizer_from_json

PREPARED_FORMAT = 7  # goes up with every change of what an entry holds, or of how a vocabulary is chosen
NUM_KEPT = 10
ENTRY = re.compile(r"[0-9a-f]{32}")  # what an entry is called; nothing of another name is removed
TRAIN_IDS, VALIDATION_IDS, FACTS = "train_ids", "validation_ids", "facts.json"
FILES = (TRAIN_IDS, VALIDATION_IDS, TOKENIZER, FACTS)


class Prepared(NamedTuple):
    """A corpus, ready to be learned from."""

    tokenizer: Tokenizer
    train_ids: np.ndarray  # unsigned [N], memory-mapped
    validation_ids: np.ndarray  # unsigned [N], memory-mapped
    sha256: str  # of the whole text in UTF-8, normalised, END_OF_DOCUMENT included
    characters: int  # of the whole text, END_OF_DOCUMENT not counted
    num_documents: int  # of the whole corpus; 0 where it is one text
    num_validation_documents: int
    notes: tuple[str, ...]  # facts about the reading to show
    sketch: str = ""  # of the whole text, validation part included


def entry_path(
    fingerprint: str, config: TextConfig, split: Split, tokenizer: Tokenizer | None, base: Tokenizer | None = None
) -> Path:
    """Where a corpus of that fingerprint lies, or would lie, when it is prepared in that way."""
    parts: dict[str, Any] = {
        "format": [PREPARED_FORMAT, FORMAT],
        "versions": [installed_versions()["textgen"], unicodedata.unidata_version],
        "fingerprint": fingerprint,
        "config": config.to_json(),
        "val_fraction": float(split.val_fraction),
        "seed": split.seed if config.has_documents else None,
        "tokenizer": None if tokenizer is None else tokenizer.to_json(),
        "base": None if base is None else base.to_json(),
    }
    digest = hashlib.sha256(json.dumps(parts, sort_keys=True).encode())
    return cache_dir("prepared") / digest.hexdigest()[:32]


def find(path: Path) -> Prepared | None:
    """The entry at `path`, if it is there and whole."""
    try:
        verify(path, FILES)
        prepared = _opened(path)
    except (TextgenError, OSError):
        return None
    with contextlib.suppress(OSError):
        os.utime(path)  # the newest are kept
    return prepared


def make(path: Path, tokenizer: Tokenizer, write: Callable[[Path], dict[str, Any]]) -> Prepared:
    """Make the entry at `path`.

    Args:
        write: writes the ids into a directory, and returns the other fields of `Prepared`.

    Raises:
        CorpusError: it cannot be written. Nothing half-written is left.
    """
    folder = path.parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _clean(folder, path)
        with atomic.replacing_directory(path) as directory:
            facts = write(directory)
            write_json(directory / TOKENIZER, tokenizer.to_json())
            write_json(directory / FACTS, facts)
            seal(directory, FILES)
            return _opened(directory)  # mapped files stay, whatever becomes of their names
    except OSError as problem:
        if (prepared := find(path)) is not None:  # another process has made the same, and was faster
            return prepared
        reason = problem.strerror or problem
        raise CorpusError(
            f"cannot keep the prepared corpus in {shown(folder)}: {reason}. Set {CACHE_VARIABLE} to a folder with room"
        ) from problem


def _opened(directory: Path) -> Prepared:
    """What lies in `directory`, which was verified or has just been written. Raises TextgenError or OSError."""
    document, facts = (read_json(directory / name) for name in (TOKENIZER, FACTS))
    tokenizer = tokenizer_from_json(document)
    train_ids, validation_ids = (
        open_token_ids(directory / name, tokenizer.vocabulary_size) for name in (TRAIN_IDS, VALIDATION_IDS)
    )
    return Prepared(tokenizer, train_ids, validation_ids, **facts | {"notes": tuple(facts["notes"])})


def _clean(folder: Path, path: Path) -> None:
    """Remove what is damaged at `path`, what killed processes left, and all but the newest entries."""
    if path.exists() and find(path) is None:
        atomic.remove_directory(folder, path.name)
    atomic.remove_abandoned(folder, owned=atomic.temporaries_of(ENTRY.pattern))
    whole = [entry for entry in folder.iterdir() if ENTRY.fullmatch(entry.name)]
    for entry in sorted(whole, key=atomic.seconds_untouched)[NUM_KEPT - 1 :]:
        with contextlib.suppress(OSError):
            atomic.remove_directory(folder, entry.name)
