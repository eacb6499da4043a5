"""Fetching catalogued corpora into the user's cache.

A file is in the cache only when its size and SHA-256 are the catalogued ones. It is hashed again each time it is asked
for, so a damaged one is never read.
"""

import hashlib
import http.client
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import platformdirs

from textgen.corpus.catalogue import CatalogueEntry
from textgen.corpus.connection import BASE_URL_VARIABLE, SILENCE_SECONDS, choose_base_url, explain, open_url
from textgen.errors import DownloadError
from textgen.messages import shown
from textgen.store.atomic import remove_abandoned, replacing_file, sha256_of, temporaries_of

CACHE_VARIABLE = "TEXTGEN_CACHE_DIR"
# A file must be here after SILENCE_SECONDS and its size by this: eleven minutes for the largest of the catalogue. The
# slowest mobile networks (GPRS) manage about as much.
MIN_BYTES_PER_SECOND = 5000
BLOCK_BYTES = 1 << 16

Progress = Callable[[int, int], None]


def cache_dir(part: str = "corpora") -> Path:
    """The folder `part` in the user's cache of textgen, or in the one that TEXTGEN_CACHE_DIR names."""
    stated = os.environ.get(CACHE_VARIABLE)
    root = Path(stated) if stated else platformdirs.user_cache_path("textgen", appauthor=False)
    return root / part


def cached_path(entry: CatalogueEntry) -> Path | None:
    """The entry's file in the cache; None where it is missing or not as catalogued."""
    path = _path_of(entry)
    try:
        is_whole = (
            entry.download is not None
            and path.stat().st_size == entry.download.bytes
            and sha256_of(path) == entry.download.sha256
        )
    except OSError:
        return None
    return path if is_whole else None


def fetch(
    entry: CatalogueEntry,
    *,
    base_url: str | None = None,
    progress: Progress | None = None,
    timeout_seconds: float | None = None,
) -> Path:
    """The cached file of a download; it is fetched if it is missing or damaged.

    Args:
        entry: a download of the catalogue.
        base_url: what the entry's path follows; None means the environment's, else GitHub's.
        progress: called with (bytes so far, bytes in all) as they arrive; not called for a cached file.
        timeout_seconds: for the whole answer; None allows for MIN_BYTES_PER_SECOND.

    Raises:
        DownloadError: it did not arrive whole and as catalogued. Nothing new is left in the cache.
    """
    download = entry.download
    if download is None:
        raise DownloadError(f"{entry.name} is built in: there is nothing to fetch.")
    cached = cached_path(entry)
    if cached is not None:
        return cached
    path = _path_of(entry)
    url = choose_base_url(base_url) + download.url_path
    if timeout_seconds is None:
        timeout_seconds = SILENCE_SECONDS + download.bytes / MIN_BYTES_PER_SECOND
    digest, received = hashlib.sha256(), 0
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        remove_abandoned(path.parent, owned=temporaries_of(r"[a-z0-9-]+\.txt"))
        with replacing_file(path) as file:
            for block in _blocks(url, download.bytes + 1, timeout_seconds):
                file.write(block)
                digest.update(block)
                received += len(block)
                if progress is not None:
                    progress(min(received, download.bytes), download.bytes)
            if received < download.bytes:
                sizes = f"{received:,} of {download.bytes:,} bytes"
                raise DownloadError(f"{shown(url)} ended after {sizes}. Run the command again.")
            if received > download.bytes:
                raise _other_file(url, f"is longer than the {download.bytes:,} bytes of the catalogue")
            if digest.hexdigest() != download.sha256:
                raise _other_file(url, f"has the SHA-256 {digest.hexdigest()}, not {download.sha256}")
    except OSError as error:
        raise DownloadError(
            f"{shown(path)} cannot be written: {error.strerror or error}. Set {CACHE_VARIABLE} to a folder."
        ) from error
    return path


def _path_of(entry: CatalogueEntry) -> Path:
    return cache_dir() / f"{entry.name}.txt"


def _blocks(url: str, max_bytes: int, timeout_seconds: float) -> Iterator[bytes]:
    """The first `max_bytes` of the body, as they arrive; the rest stays unread. Raises DownloadError."""
    try:
        with open_url(url, timeout_seconds) as response:
            while max_bytes and (block := response.read1(min(BLOCK_BYTES, max_bytes))):
                max_bytes -= len(block)
                yield block
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise explain(url, error, timeout_seconds) from error


def _other_file(url: str, problem: str) -> DownloadError:
    return DownloadError(f"{shown(url)} {problem}, so it was thrown away. Check --base-url and {BASE_URL_VARIABLE}.")
