"""Directories that are sealed by a manifest, and their files, read as what a stranger may have written.

What goes in: a path. What comes out: bytes and JSON values that are such as we write them, or a ModelError that names
the file. Only plain files are opened, never a link, a pipe or a device; and no JSON is read whose size has no bound.

The manifest holds the size and the SHA-256 of every other file. Nothing holds its own, so it must be byte for byte what
`seal` writes: whatever bit is flipped in it, it is not that, or it does not fit the files.

NOTE: what a directory holds besides is refused, lest it pass for a part of it. Left alone are DESKTOP_FILES and names
that begin with a dot: an interrupted save, a lock, what file managers and synchronisation leave. None is ever opened.
"""

import errno
import hashlib
import json
import math
import os
import re
import stat
from pathlib import Path
from typing import Any, BinaryIO

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
    """Write the manifest of the files `names`: from now on the directory counts as complete."""
    entries = {name: ((directory / name).stat().st_size, atomic_files.sha256_of(directory / name)) for name in names}
    atomic_files.write_bytes(directory / MANIFEST, _manifest_bytes(entries))


def verify(directory: Path, required: tuple[str, ...], beside: tuple[str, ...] = ()) -> dict[str, str]:
    """Compare every file with the manifest.

    Args:
        required: the files it must hold, in the order in which they were sealed.
        beside: what may lie there too, and is not looked at.

    Returns:
        The SHA-256 of each file.

    Raises:
        ModelError: naming the first file that is missing, damaged, a link, or no part of the directory.
    """
    entries = read_manifest(directory, required)
    for name, entry in entries.items():
        check_file(directory / name, *entry)
    for name in unexpected_names(directory, (MANIFEST, *required, *beside)):
        raise ModelError(f"{directory} holds {name!r}, which is no part of it. Move it elsewhere")
    return {name: sha256 for name, (_, sha256) in entries.items()}


def read_manifest(directory: Path, required: tuple[str, ...]) -> dict[str, tuple[int, str]]:
    """Size in bytes and SHA-256 of every file of `required`. Raises ModelError."""
    path = directory / MANIFEST
    document, content = _read_document(path, MAX_MANIFEST_BYTES, MAX_JSON_VALUES)
    files = document.get("files") if set(document) == {"format", "files"} else None
    if not isinstance(files, dict) or set(files) != set(required):
        raise ModelError(f"{path} does not list exactly {', '.join(required)}")
    entries = {name: _manifest_entry(path, name, files[name]) for name in required}
    if _manifest_bytes(entries) != content:
        raise ModelError(f"{path} is damaged: it is not written as textgen writes it. {ADVICE}")
    return entries


def _manifest_entry(path: Path, name: str, entry: Any) -> tuple[int, str]:
    if not isinstance(entry, dict) or set(entry) != {"bytes", "sha256"}:
        raise ModelError(f"{path} must give bytes and sha256 of {name}")
    num_bytes, sha256 = entry["bytes"], entry["sha256"]
    if type(num_bytes) is not int or not isinstance(sha256, str) or not SHA256.fullmatch(sha256):
        raise ModelError(f"{path} must give bytes and sha256 of {name}")
    return num_bytes, sha256


def _manifest_bytes(entries: dict[str, tuple[int, str]]) -> bytes:
    files = {name: {"bytes": num_bytes, "sha256": sha256} for name, (num_bytes, sha256) in entries.items()}
    return atomic_files.to_json_bytes({"format": FORMAT, "files": files})


def check_file(path: Path, num_bytes: int, sha256: str) -> None:
    """Raise ModelError unless the file at `path` has that size and SHA-256."""
    with open_plain(path) as file:
        size = os.fstat(file.fileno()).st_size
        if size != num_bytes:
            raise ModelError(f"{path} is damaged: {MANIFEST} says {num_bytes} bytes. Received: {size}. {ADVICE}")
        if _digest(file, path) != sha256:
            raise ModelError(f"{path} is damaged: its SHA-256 is not the one in {MANIFEST}. {ADVICE}")


def _digest(file: BinaryIO, path: Path) -> str:
    try:
        return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as problem:
        raise _unreadable(path, problem) from None


def unexpected_names(directory: Path, expected: tuple[str, ...]) -> list[str]:
    """What lies in `directory` and belongs neither to it nor to those who may leave things there. Raises ModelError."""
    try:
        names = sorted(set(os.listdir(directory)).difference(expected))
    except OSError as problem:
        raise _unreadable(directory, problem) from None
    return [name for name in names if not is_left_alone(name)]


def is_left_alone(name: str) -> bool:
    """Whether a file of that name may lie in a sealed directory without being a part of it."""
    return name.startswith(".") or name.lower() in DESKTOP_FILES


def open_plain(path: Path) -> BinaryIO:
    """The file at `path`, open for reading. Raises ModelError unless it is a plain file; never waits for a pipe."""
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
        raise _unreadable(path, problem) from None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise ModelError(f"{path} is not a plain file")
    return os.fdopen(descriptor, "rb")


def read_json(path: Path, *, max_bytes: int = MAX_JSON_BYTES, max_values: int = MAX_JSON_VALUES) -> dict[str, Any]:
    """The JSON object in a file of our format, read strictly.

    Args:
        max_bytes: a larger file is refused unread.
        max_values: one of more strings, numbers, lists and objects is refused before it becomes many times as large.

    Raises:
        ModelError: it is not UTF-8, not JSON, or holds a key twice, a number that is not finite or has more than
            MAX_DIGITS digits, or half of a surrogate pair.
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
            raise _unreadable(path, problem) from None
    try:
        document = parse_json(content, max_values)
    except (ValueError, RecursionError) as problem:
        raise ModelError(f"{path} cannot be read: {problem}") from None
    if not isinstance(document, dict) or type(document.get("format")) is not int or document["format"] != FORMAT:
        raise ModelError(f"{path} is not of format {FORMAT}, the one that this version of textgen reads")
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
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))
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


def _unreadable(path: Path, problem: OSError) -> ModelError:
    return ModelError(f"{path} cannot be read: {problem.strerror or problem}")
