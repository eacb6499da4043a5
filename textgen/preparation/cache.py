"""Where prepared corpora are kept: directories in the user's cache, named by a hash of all that they depend on.

A directory gets its name when all of it is on disk, so one that is half-written is never found; and it is verified
whenever it is opened, so one that is damaged is made anew. What a killed process left is removed by a later one.
"""

import contextlib
import hashlib
import json
import os
import shutil
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

from textgen import atomic_files, sealed_files
from textgen.config import TextConfig
from textgen.corpus.download import CACHE_VARIABLE, cache_dir
from textgen.errors import CorpusError, TextgenError
from textgen.messages import shown
from textgen.preparation.entry import FILES, Prepared, open_entry, verify_entry
from textgen.records import installed_versions
from textgen.tokenizers import Tokenizer

PREPARED_FORMAT = 4  # goes up with every change of what an entry holds, or of how a vocabulary is chosen
NUM_KEPT = 10


def entry_path(
    fingerprint: str,
    config: TextConfig,
    val_fraction: float,
    seed: int,
    tokenizer: Tokenizer | None,
    base: Tokenizer | None = None,
) -> Path:
    """Where a corpus of that fingerprint lies, or would lie, when it is prepared in that way."""
    parts: dict[str, Any] = {
        "format": [PREPARED_FORMAT, sealed_files.FORMAT],
        "versions": [installed_versions()["textgen"], unicodedata.unidata_version],
        "fingerprint": fingerprint,
        "config": config.to_json(),
        "val_fraction": float(val_fraction),
        "seed": seed if config.has_documents else None,
        "tokenizer": None if tokenizer is None else tokenizer.to_json(),
    }
    if base is not None:
        parts["base"] = base.to_json()
    digest = hashlib.sha256(json.dumps(parts, sort_keys=True).encode())
    return cache_dir("prepared") / digest.hexdigest()[:32]


def find(path: Path) -> Prepared | None:
    """The entry at `path`, if it is there and whole."""
    try:
        verify_entry(path)
        prepared = open_entry(path)
    except (TextgenError, OSError):
        return None
    with contextlib.suppress(OSError):
        os.utime(path)  # the newest are kept
    return prepared


def make(path: Path, write: Callable[[Path], None]) -> Prepared:
    """The entry at `path`, whose files `write` puts into a directory.

    Raises:
        CorpusError: they cannot be written. Nothing half-written is left.
    """
    folder = path.parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _clean(folder, path)
        with atomic_files.replacing_directory(path) as directory:
            write(directory)
            sealed_files.seal(directory, FILES)
            return open_entry(directory)  # mapped files stay, whatever becomes of their names
    except OSError as problem:
        if (prepared := find(path)) is not None:  # another process has made the same, and was faster
            return prepared
        reason = problem.strerror or problem
        raise CorpusError(
            f"cannot keep the prepared corpus in {shown(folder)}: {reason}. Set {CACHE_VARIABLE} to a folder with room"
        ) from problem


def _clean(folder: Path, path: Path) -> None:
    """Remove what is damaged at `path`, what killed processes left, and all but the newest entries."""
    if path.exists() and find(path) is None:
        shutil.rmtree(path, ignore_errors=True)
    atomic_files.remove_abandoned(folder)
    whole = [entry for entry in folder.iterdir() if not entry.name.startswith(".")]
    for entry in sorted(whole, key=atomic_files.seconds_untouched)[NUM_KEPT - 1 :]:
        shutil.rmtree(entry, ignore_errors=True)
