"""Prepared corpora: directories in the user's cache, named by a hash of all that they depend on.

    train_ids, validation_ids     raw little-endian numbers of the smallest unsigned type
    tokenizer.json, facts.json    the vocabulary; hash, counts and notes of the text
    manifest.json                 size and SHA-256 of each file above
    .signature                    of the name and the manifest, written last

A directory gets its name when all of it is on disk, so one that is half-written is never found. It is verified
whenever it is opened, and made anew where it is damaged, or was not written by this user's textgen: a manifest can be
written by anybody. A later process removes what a killed one left. A text can be spelled out from its ids, so all of
this is closed to other users.
"""

import contextlib
import dataclasses
import hashlib
import hmac
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
from textgen.dataset.kept import remove_forgotten
from textgen.dataset.split import Split
from textgen.errors import CorpusError, TextgenError
from textgen.messages import shown
from textgen.records import installed_versions
from textgen.schema import Settings, setting
from textgen.store import atomic
from textgen.store.manifest import MANIFEST, seal, verify
from textgen.store.model_directory import TOKENIZER
from textgen.store.private import close_to_others, private_directory
from textgen.store.signature import signature_of
from textgen.store.strict_json import FORMAT, open_plain, read_json, write_json
from textgen.tokenizers import Tokenizer, tokenizer_from_json

PREPARED_FORMAT = 9  # goes up with every change of what an entry holds, or of how a vocabulary is chosen
NUM_KEPT = 10
ENTRY_NAME = re.compile(r"[0-9a-f]{32}")  # what an entry is called; nothing of another name is removed
TRAIN_IDS, VALIDATION_IDS, FACTS = "train_ids", "validation_ids", "facts.json"
FILES = (TRAIN_IDS, VALIDATION_IDS, TOKENIZER, FACTS)
SIGNATURE = ".signature"


@dataclasses.dataclass(frozen=True)
class Facts(Settings):
    """What is known of a prepared text beside its ids."""

    sha256: str = setting("", "SHA-256 of the whole text in UTF-8, normalised, END_OF_DOCUMENT included.")
    characters: int = setting(0, "Characters of the whole text, END_OF_DOCUMENT not counted.", minimum=0)
    num_documents: int = setting(0, "Documents of the whole corpus; 0 where it is one text.", minimum=0)
    num_validation_documents: int = setting(0, "Those of the validation part.", minimum=0)
    notes: tuple[str, ...] = setting((), "Facts about the reading to show.")
    encodings: tuple[str, ...] = setting((), "Those of the files; a single one where all have the same.")
    sketch: str = setting("", "Of the whole text, validation part included.")


class Prepared(NamedTuple):
    """A corpus, ready to be learned from; what has no comment is as in `Facts`."""

    tokenizer: Tokenizer
    train_ids: np.ndarray  # unsigned [N], memory-mapped
    validation_ids: np.ndarray  # unsigned [N], memory-mapped
    sha256: str
    characters: int
    num_documents: int
    num_validation_documents: int
    notes: tuple[str, ...]
    sketch: str = ""
    encodings: tuple[str, ...] = ()


class Entry(NamedTuple):
    """All that a prepared corpus depends on."""

    fingerprint: str
    config: TextConfig
    split: Split
    tokenizer: Tokenizer | None  # None learns one
    base: Tokenizer | None = None  # whose pieces the learned one keeps
    sha256: str | None = None  # of the text, where it is known; it follows from the others
    encodings: tuple[str, ...] = ()  # that the files are known to be in, where they are not to be found anew

    @property
    def path(self) -> Path:
        """Where the corpus lies, or would lie."""
        parts: dict[str, Any] = {
            "format": [PREPARED_FORMAT, FORMAT],
            "versions": [installed_versions()["textgen"], unicodedata.unidata_version],
            "fingerprint": self.fingerprint,
            "config": self.config.to_json(),
            "val_fraction": float(self.split.val_fraction),
            "seed": self.split.seed if self.config.has_documents else None,
            "tokenizer": None if self.tokenizer is None else self.tokenizer.to_json(),
            "base": None if self.base is None else self.base.to_json(),
            "encodings": list(self.encodings),
        }
        digest = hashlib.sha256(json.dumps(parts, sort_keys=True).encode())
        return cache_dir("prepared") / digest.hexdigest()[:32]


def find(entry: Entry) -> Prepared | None:
    """What is prepared for `entry`, if it is there, whole, and signed."""
    path = entry.path
    try:
        with open_plain(path / SIGNATURE) as file:
            if not hmac.compare_digest(file.read(100), _sign(path, path.name)):
                return None
        verify(path, FILES)
        prepared = _opened(path)
    except (TextgenError, OSError):
        return None
    if entry.sha256 not in (None, prepared.sha256):
        return None
    with contextlib.suppress(OSError):
        close_to_others(path.parent)
        os.utime(path)  # the newest are kept
    return prepared


def make(entry: Entry, tokenizer: Tokenizer, write: Callable[[Path], Facts]) -> Prepared:
    """Prepare `entry`.

    Args:
        write: writes the ids into a directory.

    Raises:
        CorpusError: it cannot be written. Nothing half-written is left.
    """
    folder = entry.path.parent
    try:
        with private_directory(folder):
            _clean(entry)
            with atomic.replacing_directory(entry.path) as directory:
                facts = write(directory)
                write_json(directory / TOKENIZER, tokenizer.to_json())
                write_json(directory / FACTS, facts.to_json())
                seal(directory, FILES)
                atomic.write_bytes(directory / SIGNATURE, _sign(directory, entry.path.name))
                return _opened(directory)  # mapped files stay, whatever becomes of their names
    except OSError as problem:
        if (prepared := find(entry)) is not None:  # another process has made the same, and was faster
            return prepared
        reason = problem.strerror or problem
        raise CorpusError(
            f"cannot keep the prepared corpus in {shown(folder)}: {reason}. Set {CACHE_VARIABLE} to a folder with room"
        ) from problem


def _opened(directory: Path) -> Prepared:
    """What lies in `directory`, which was verified or has just been written. Raises TextgenError or OSError."""
    tokenizer = tokenizer_from_json(read_json(directory / TOKENIZER))
    facts = Facts.from_json(read_json(directory / FACTS))
    train_ids, validation_ids = (
        open_token_ids(directory / name, tokenizer.vocabulary_size) for name in (TRAIN_IDS, VALIDATION_IDS)
    )
    return Prepared(tokenizer, train_ids, validation_ids, **vars(facts))


def _sign(directory: Path, name: str) -> bytes:
    """The signature of the entry `name`, whose manifest lies in `directory`. Raises OSError."""
    return signature_of(name, (directory / MANIFEST).read_bytes())


def _clean(entry: Entry) -> None:
    """Remove what is damaged at its path, what killed processes left, and all but the newest entries."""
    path = entry.path
    folder = path.parent
    if path.exists() and find(entry) is None:
        atomic.remove_directory(folder, path.name)
    atomic.remove_abandoned(folder, owned=atomic.temporaries_of(ENTRY_NAME.pattern))
    remove_forgotten(folder)
    whole = [other for other in folder.iterdir() if ENTRY_NAME.fullmatch(other.name)]
    for other in sorted(whole, key=atomic.seconds_untouched)[NUM_KEPT - 1 :]:
        with contextlib.suppress(OSError):
            atomic.remove_directory(folder, other.name)
