"""Directories whose files are listed in a manifest.

The manifest holds the size and the SHA-256 of every other file and is written last, so a directory with a manifest is
complete. It holds no hash of itself. It is checked in another way: its bytes must be exactly those that `seal` writes
for what it says, so that a flipped bit either breaks that form or disagrees with a file.

NOTE: a file that the manifest does not list makes the directory invalid, because it could be taken for a part of it.
Names that begin with a dot and DESKTOP_FILES are allowed: interrupted saves, locks, file managers and synchronisation
leave them. They are never opened.
"""

import hashlib
import os
import re
from pathlib import Path
from typing import Any

from textgen.errors import ModelError
from textgen.store import atomic
from textgen.store.strict_json import MAX_JSON_VALUES, document_bytes, open_plain, read_document, unreadable

MANIFEST = "manifest.json"
MAX_MANIFEST_BYTES = 2**16
ADVICE = "Restore it or train it again"
DESKTOP_FILES = ("thumbs.db", "desktop.ini")
SHA256 = re.compile(r"[0-9a-f]{64}")


def seal(directory: Path, names: tuple[str, ...]) -> None:
    """Write the manifest of the files `names`, which makes the directory complete. Raises OSError."""
    entries = {name: ((directory / name).stat().st_size, atomic.sha256_of(directory / name)) for name in names}
    atomic.write_bytes(directory / MANIFEST, manifest_bytes(entries))


def verify(
    directory: Path, required: tuple[str, ...], beside: tuple[str, ...] = (), unread: tuple[str, ...] = ()
) -> dict[str, str]:
    """Compare every file with the manifest.

    Args:
        required: the files that it must hold, in the order in which they were sealed.
        beside: names that may lie there too; they are not opened.
        unread: files that the manifest may list after them. Only their size is compared; who reads one compares its
            SHA-256.

    Returns:
        The SHA-256 of each file.

    Raises:
        ModelError: naming the first file that is missing, damaged, a link, or not listed.
    """
    entries = read_manifest(directory, required, unread)
    for name, entry in entries.items():
        check_file(directory / name, *entry, size_alone=name in unread)
    for name in unexpected_names(directory, (MANIFEST, *entries, *beside)):
        raise ModelError(f"{directory} holds {name!r}, which is no part of it. Move it elsewhere")
    return {name: sha256 for name, (_, sha256) in entries.items()}


def read_manifest(
    directory: Path, required: tuple[str, ...], optional: tuple[str, ...] = ()
) -> dict[str, tuple[int, str]]:
    """Size in bytes and SHA-256 of every file in `required`, and of those in `optional` that it lists.

    Raises ModelError.
    """
    path = directory / MANIFEST
    document, content = read_document(path, MAX_MANIFEST_BYTES, MAX_JSON_VALUES)
    files = document.get("files") if set(document) == {"files"} else None
    if not isinstance(files, dict) or set(files).difference(optional) != set(required):
        raise ModelError(f"{path} does not list exactly {', '.join(required)}")
    names = (*required, *(name for name in optional if name in files))
    entries = {name: _manifest_entry(path, name, files[name]) for name in names}
    if manifest_bytes(entries) != content:
        raise ModelError(f"{path} is damaged: it is not written as textgen writes it. {ADVICE}")
    return entries


def _manifest_entry(path: Path, name: str, entry: Any) -> tuple[int, str]:
    if isinstance(entry, dict) and set(entry) == {"bytes", "sha256"}:
        num_bytes, sha256 = entry["bytes"], entry["sha256"]
        if type(num_bytes) is int and isinstance(sha256, str) and SHA256.fullmatch(sha256):
            return num_bytes, sha256
    raise ModelError(f"{path} must give bytes and sha256 of {name}")


def manifest_bytes(entries: dict[str, tuple[int, str]]) -> bytes:
    """A manifest of files whose size and SHA-256 are given by name."""
    files = {name: {"bytes": num_bytes, "sha256": sha256} for name, (num_bytes, sha256) in entries.items()}
    return document_bytes({"files": files})


def check_file(path: Path, num_bytes: int, sha256: str, *, size_alone: bool = False) -> None:
    """Raise ModelError unless the file at `path` has that size and SHA-256; with `size_alone` it is not read."""
    with open_plain(path) as file:
        size = os.fstat(file.fileno()).st_size
        if size != num_bytes:
            raise ModelError(f"{path} is damaged: {MANIFEST} says {num_bytes} bytes. Received: {size}. {ADVICE}")
        if size_alone:
            return
        try:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as problem:
            raise unreadable(path, problem) from None
        if found != sha256:
            raise ModelError(f"{path} is damaged: its SHA-256 is not the one in {MANIFEST}. {ADVICE}")


def unexpected_names(directory: Path, expected: tuple[str, ...]) -> list[str]:
    """Names in `directory` that are neither in `expected` nor left alone, sorted. Raises ModelError."""
    try:
        names = sorted(set(os.listdir(directory)).difference(expected))
    except OSError as problem:
        raise unreadable(directory, problem) from None
    return [name for name in names if not is_left_alone(name)]


def is_left_alone(name: str) -> bool:
    """Whether a file of that name may lie in a sealed directory without being a part of it."""
    return name.startswith(".") or name.lower() in DESKTOP_FILES
