"""Directories whose files are listed in a manifest, and a strict reader for files of unknown origin.

The manifest holds the size and the SHA-256 of every other file and is written last, so a directory with a manifest is
complete. It holds no hash of itself. It is checked in another way: its bytes must be exactly those that `seal` writes
for what it says, so that a flipped bit either breaks that form or disagrees with a file.

Reading gives bytes and JSON values of the form that we write, or raises a ModelError that names the file. Only plain
files are opened, never a link, a pipe or a device. JSON is bounded in size and in the number of its values.

NOTE: a file that the manifest does not list makes the directory invalid, because it could be taken for a part of it.
Names that begin with a dot and DESKTOP_FILES are allowed: interrupted saves, locks, file managers and synchronisation
leave them. They are never opened.
"""

import collections
import errno
import hashlib
import io
import json
import math
import os
import re
import stat
from pathlib import Path
from typing import Any

from textgen import atomic_files
from textgen.errors import ModelError

MANIFEST = "manifest.json"
FORMAT = 3
MAX_MANIFEST_BYTES = 2**16
MAX_JSON_BYTES = 256 * 2**20  # a tokenizer of four million words fits; a bomb does not
MAX_JSON_VALUES = 2**23  # in memory a value takes some 100 bytes
FEW_VALUES_BYTES = 2**20  # a file this small cannot hold too many
MAX_DIGITS = 20  # more than any count has
ADVICE = "Restore it or train it again"
DESKTOP_FILES = ("thumbs.db", "desktop.ini")

STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
ESCAPED_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
SHA256 = re.compile(r"[0-9a-f]{64}")


def seal(directory: Path, names: tuple[str, ...]) -> None:
    """Write the manifest of the files `names`, which makes the directory complete. Raises OSError."""
    entries = {name: ((directory / name).stat().st_size, atomic_files.sha256_of(directory / name)) for name in names}
    atomic_files.write_bytes(directory / MANIFEST, _manifest_bytes(entries))


def verify(directory: Path, required: tuple[str, ...], beside: tuple[str, ...] = ()) -> dict[str, str]:
    """Compare every file with the manifest.

    Args:
        required: the files that it must hold, in the order in which they were sealed.
        beside: names that may lie there too; they are not opened.

    Returns:
        The SHA-256 of each file.

    Raises:
        ModelError: naming the first file that is missing, damaged, a link, or not listed.
    """
    entries = read_manifest(directory, required)
    for name, entry in entries.items():
        check_file(directory / name, *entry)
    for name in unexpected_names(directory, (MANIFEST, *required, *beside)):
        raise ModelError(f"{directory} holds {name!r}, which is no part of it. Move it elsewhere")
    return {name: sha256 for name, (_, sha256) in entries.items()}


def read_manifest(directory: Path, required: tuple[str, ...]) -> dict[str, tuple[int, str]]:
    """Size in bytes and SHA-256 of every file in `required`. Raises ModelError."""
    path = directory / MANIFEST
    document, content = _read_document(path, MAX_MANIFEST_BYTES, MAX_JSON_VALUES)
    files = document.get("files") if set(document) == {"files"} else None
    if not isinstance(files, dict) or set(files) != set(required):
        raise ModelError(f"{path} does not list exactly {', '.join(required)}")
    entries = {name: _manifest_entry(path, name, files[name]) for name in required}
    if _manifest_bytes(entries) != content:
        raise ModelError(f"{path} is damaged: it is not written as textgen writes it. {ADVICE}")
    return entries


def _manifest_entry(path: Path, name: str, entry: Any) -> tuple[int, str]:
    if isinstance(entry, dict) and set(entry) == {"bytes", "sha256"}:
        num_bytes, sha256 = entry["bytes"], entry["sha256"]
        if type(num_bytes) is int and isinstance(sha256, str) and SHA256.fullmatch(sha256):
            return num_bytes, sha256
    raise ModelError(f"{path} must give bytes and sha256 of {name}")


def _manifest_bytes(entries: dict[str, tuple[int, str]]) -> bytes:
    files = {name: {"bytes": num_bytes, "sha256": sha256} for name, (num_bytes, sha256) in entries.items()}
    return _document_bytes({"files": files})


def check_file(path: Path, num_bytes: int, sha256: str) -> None:
    """Raise ModelError unless the file at `path` has that size and SHA-256."""
    with open_plain(path) as file:
        size = os.fstat(file.fileno()).st_size
        if size != num_bytes:
            raise ModelError(f"{path} is damaged: {MANIFEST} says {num_bytes} bytes. Received: {size}. {ADVICE}")
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


def open_plain(path: Path) -> io.BufferedReader:
    """Open the plain file at `path` for reading. Raises ModelError for anything else; never waits for a pipe."""
    flags = os.O_RDONLY
    for name in ("O_NOFOLLOW", "O_NONBLOCK", "O_BINARY", "O_CLOEXEC"):  # as far as the system has them
        flags |= getattr(os, name, 0)
    try:
        if path.is_symlink():
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
        descriptor = os.open(path, flags)
    except FileNotFoundError:
        raise ModelError(f"{path} is missing") from None
    except OSError as problem:
        if problem.errno == errno.ELOOP:
            raise ModelError(f"{path} is a link, which is not followed. Put the file itself there") from None
        raise unreadable(path, problem) from None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise ModelError(f"{path} is not a plain file")
    return os.fdopen(descriptor, "rb")


def write_json(path: Path, document: dict[str, Any]) -> None:
    """Replace the file at `path` by `document`, in our format. Raises OSError."""
    atomic_files.write_bytes(path, _document_bytes(document))


def _document_bytes(document: dict[str, Any]) -> bytes:
    return atomic_files.to_json_bytes({"format": FORMAT, **document})


def read_json(path: Path, *, max_bytes: int = MAX_JSON_BYTES, max_values: int = MAX_JSON_VALUES) -> dict[str, Any]:
    """The document that `write_json` wrote to `path`, read strictly.

    Args:
        max_bytes: a larger file is refused unread.
        max_values: a file of more strings, numbers, lists and objects is refused before it takes many times its size.

    Raises:
        ModelError: the file is of another format, not UTF-8 or not JSON; or it holds a key twice, half of a surrogate
            pair, or a number that is not finite or has more than MAX_DIGITS digits.
    """
    return _read_document(path, max_bytes, max_values)[0]


def _read_document(path: Path, max_bytes: int, max_values: int) -> tuple[dict[str, Any], bytes]:
    with open_plain(path) as file:
        size = os.fstat(file.fileno()).st_size
        if size > max_bytes:
            raise ModelError(f"{path} is too large to be part of a model: more than {max_bytes:,} bytes")
        try:
            content = file.read(size)
        except OSError as problem:
            raise unreadable(path, problem) from None
    try:
        document = parse_json(content, max_values)
    except (ValueError, RecursionError) as problem:
        raise ModelError(f"{path} cannot be read: {problem}") from None
    if not isinstance(document, dict) or type(document.get("format")) is not int or document["format"] != FORMAT:
        raise ModelError(f"{path} is not of format {FORMAT}, the one that this version of textgen reads")
    del document["format"]
    return document, content


def parse_json(content: bytes, max_values: int = MAX_JSON_VALUES) -> Any:
    """The value of strict JSON in UTF-8. Raises ValueError or RecursionError; see `read_json`."""
    if len(content) > FEW_VALUES_BYTES and _num_values(content, max_values) > max_values:
        raise ValueError(f"it holds more than {max_values:,} values")
    document = json.loads(
        content.decode("utf-8"),
        object_pairs_hook=_object,
        parse_int=_whole_number,
        parse_float=_number,
        parse_constant=_no_number,
    )
    if ESCAPED_SURROGATE.search(content):
        try:
            json.dumps(document, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            raise ValueError("it holds surrogates, which are no text") from None
    return document


def _num_values(content: bytes, enough: int) -> int:
    """How many values there are, or some number that says whether there are more than `enough`."""
    at_most = 1 + _num_separators(content, 0, len(content))  # those in strings are counted too
    if at_most <= enough:
        return at_most
    number, end = 1, 0
    for string in STRING.finditer(content):
        number += _num_separators(content, end, string.start())
        end = string.end()
        if number > enough:
            return number
    return number + _num_separators(content, end, len(content))


def _num_separators(content: bytes, start: int, end: int) -> int:
    return sum(content.count(sign, start, end) for sign in (b",", b"[", b"{"))


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) != len(pairs):
        numbers = collections.Counter(key for key, _ in pairs)
        twice = next(key for key, number in numbers.items() if number > 1)
        raise ValueError(f"the key {twice!r:.40} stands in it twice")
    return document


def _whole_number(text: str) -> int:
    if len(text) > MAX_DIGITS:
        raise ValueError(f"a number has more than {MAX_DIGITS} digits")
    return int(text)


def _number(text: str) -> float:
    number = float(text)
    return number if math.isfinite(number) else _no_number(text)


def _no_number(text: str) -> float:
    raise ValueError(f"{text:.40} is no finite number")


def unreadable(path: Path, problem: OSError) -> ModelError:
    """What is said of a file or directory that the system cannot read."""
    return ModelError(f"{path} cannot be read: {problem.strerror or problem}")
