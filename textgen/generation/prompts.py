"""A prompt from a file: UTF-8, read whole, as a corpus is read."""

import contextlib
import sys
from pathlib import Path

from textgen.errors import CorpusError, SettingError
from textgen.store.opening import open_regular


def read_prompt(path: Path | None, max_bytes: int) -> str:
    """The text of the UTF-8 file `path`, or of standard input: LF line ends, no byte-order mark.

    Raises:
        CorpusError: it cannot be read, or is not UTF-8.
        SettingError: it has more than `max_bytes` bytes.
    """
    name = path or "standard input"
    try:
        with open_regular(path) if path else contextlib.nullcontext(sys.stdin.buffer) as file:
            content = file.read(max_bytes + 1)
    except (OSError, ValueError) as problem:  # ValueError: a path that holds NUL
        raise CorpusError(f"{name} cannot be read: {getattr(problem, 'strerror', None) or problem}") from None
    if len(content) > max_bytes:
        raise SettingError(f"{name} is too large: expected at most {max_bytes:,} bytes. Give its end alone")
    try:
        return content.decode("utf-8").removeprefix("\ufeff").replace("\r\n", "\n")
    except UnicodeDecodeError as problem:
        line = content.count(b"\n", 0, problem.start) + 1
        where = f"byte 0x{content[problem.start]:02X} at offset {problem.start:,} (line {line:,})"
        raise CorpusError(f"{name} is not UTF-8: {where}") from None
