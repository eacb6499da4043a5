"""Fetching catalogued corpora into the user's cache.

What goes in: a catalogue entry. What comes out: the path of a file whose size and SHA-256 are the
catalogued ones, or a DownloadError and a cache without that file. A cached file is hashed each time it is
asked for, so a damaged one is never read.
"""

import hashlib
import http.client
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import platformdirs

from textgen.atomic_files import remove_abandoned, replacing_file, sha256_of
from textgen.corpus.catalogue import CatalogueEntry
from textgen.corpus.connection import BASE_URL_VARIABLE, choose_base_url, explain, open_url
from textgen.errors import DownloadError
from textgen.messages import shown

CACHE_VARIABLE = "TEXTGEN_CACHE_DIR"
TIMEOUT_SECONDS = 30.0
BLOCK_BYTES = 1 << 16

Progress = Callable[[int, int], None]


def cache_dir(part: str = "corpora") -> Path:
    """The folder `part` in the user's cache of textgen, or in the one that TEXTGEN_CACHE_DIR names."""
    stated = os.environ.get(CACHE_VARIABLE)
    root = Path(stated) if stated else platformdirs.user_cache_path("textgen", appauthor=False)
    return root / part


def cached_path(entry: CatalogueEntry) -> Path | None:
    """Where the entry lies in the cache, if it is there and is what the catalogue says; else None."""
    path = _path_of(entry)
    try:
        is_whole = path.stat().st_size == entry.bytes and sha256_of(path) == entry.sha256
    except OSError:
        return None
    return path if is_whole else None


def fetch(
    entry: CatalogueEntry,
    *,
    base_url: str | None = None,
    progress: Progress | None = None,
    timeout_seconds: float = TIMEOUT_SECONDS,
) -> Path:
    """The cached file of a download; it is fetched if it is missing or damaged.

    Args:
        entry: a download of the catalogue.
        base_url: what the entry's path follows; None means the environment's, else GitHub's.
        progress: called with (bytes so far, bytes in all) as they arrive; not called for a cached file.
        timeout_seconds: how long the server may stay silent, or below 1,000 bytes per second.

    Raises:
        DownloadError: it did not arrive whole and as catalogued. Nothing new is left in the cache.
    """
    if not entry.is_download:
        raise DownloadError(f"{entry.name} is built in: there is nothing to fetch.")
    path = cached_path(entry)
    if path is not None:
        return path
    path = _path_of(entry)
    url = choose_base_url(base_url) + entry.url_path
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        remove_abandoned(path.parent)
        with replacing_file(path) as file:
            _receive(entry, url, file.write, progress, timeout_seconds)
    except OSError as error:
        raise DownloadError(
            f"{shown(path)} cannot be written: {error.strerror or error}. Set {CACHE_VARIABLE} to a folder."
        ) from error
    return path


def _path_of(entry: CatalogueEntry) -> Path:
    return cache_dir() / f"{entry.name}.txt"


def _receive(
    entry: CatalogueEntry,
    url: str,
    write: Callable[[bytes], object],
    progress: Progress | None,
    timeout_seconds: float,
) -> None:
    digest = hashlib.sha256()
    received = 0
    for block in _blocks(url, entry.bytes + 1, timeout_seconds):
        write(block)
        digest.update(block)
        received += len(block)
        if progress is not None:
            progress(min(received, entry.bytes), entry.bytes)
    _check_arrival(entry, url, received, digest.hexdigest())


def _blocks(url: str, max_bytes: int, timeout_seconds: float) -> Iterator[bytes]:
    """The first `max_bytes` of the body, as they arrive; the rest stays unread."""
    try:
        with open_url(url, timeout_seconds) as response:
            while max_bytes and (block := response.read1(min(BLOCK_BYTES, max_bytes))):
                max_bytes -= len(block)
                yield block
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise explain(url, error, timeout_seconds) from error


def _check_arrival(entry: CatalogueEntry, url: str, received: int, sha256: str) -> None:
    if received < entry.bytes:
        raise DownloadError(f"{shown(url)} ended after {received:,} of {entry.bytes:,} bytes. Run the command again.")
    if received > entry.bytes:
        problem = f"is longer than the {entry.bytes:,} bytes of the catalogue"
    elif sha256 != entry.sha256:
        problem = f"has the SHA-256 {sha256}, not {entry.sha256}"
    else:
        return
    raise DownloadError(f"{shown(url)} {problem}, so it was thrown away. Check --base-url and {BASE_URL_VARIABLE}.")
