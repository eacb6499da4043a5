"""A strict reader for files of unknown origin: plain files alone, and JSON of the form that we write.

Never a link, a pipe or a device is opened. JSON is bounded in size and in the number of its values. Whatever is wrong
is a ModelError that names the file.
"""

import collections
import errno
import io
import json
import math
import os
import re
import stat
from pathlib import Path
from typing import Any

from textgen.errors import FormatError, ModelError
from textgen.store import atomic

FORMAT = 3
MAX_JSON_BYTES = 256 * 2**20  # a tokenizer of four million words fits; a bomb does not
MAX_JSON_VALUES = 2**23  # in memory a value takes some 100 bytes
FEW_VALUES_BYTES = 2**20  # a file this small cannot hold too many
MAX_DIGITS = 20  # more than any count has

STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
ESCAPED_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


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
    atomic.write_bytes(path, document_bytes(document))


def document_bytes(document: dict[str, Any]) -> bytes:
    """`document` as a file of our format."""
    return atomic.to_json_bytes({"format": FORMAT, **document})


def read_json(path: Path, *, max_bytes: int = MAX_JSON_BYTES, max_values: int = MAX_JSON_VALUES) -> dict[str, Any]:
    """The document that `write_json` wrote to `path`, read strictly.

    Args:
        max_bytes: a larger file is refused unread.
        max_values: a file of more strings, numbers, lists and objects is refused before it takes many times its size.

    Raises:
        ModelError: the file is of another format, not UTF-8 or not JSON; or it holds a key twice, half of a surrogate
            pair, or a number that is not finite or has more than MAX_DIGITS digits.
    """
    return read_document(path, max_bytes, max_values)[0]


def read_document(path: Path, max_bytes: int, max_values: int) -> tuple[dict[str, Any], bytes]:
    """A document and the bytes of its file, as `read_json`."""
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
    found = document.get("format") if isinstance(document, dict) else None
    if type(found) is int and 0 < found != FORMAT:
        raise FormatError(path, found, FORMAT)
    if type(found) is not int or found != FORMAT:
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
