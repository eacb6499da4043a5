"""A story to a file and a file's text into a story; what goes wrong is one line for the writer."""

from pathlib import Path

from textgen import atomic_files
from textgen.repl.errors import CommandError

# A few chapters. NumPy reads 5,000 to 20,000 characters a second, and a model soon forgets what it read.
MAX_READ_BYTES = 256 * 2**10


def save_text(name: str, text: str, *, may_replace: bool) -> Path:
    """Write `text` as UTF-8 to the file `name`, whole or not at all. Raises CommandError."""
    path = _path(name, "/save")
    try:
        if path.exists() and not path.is_file():
            raise CommandError(f"{path} is not a file")
        if path.exists() and not may_replace:
            raise CommandError(f"{path} exists. /save! {name} replaces it")
        atomic_files.write_bytes(path, text.encode("utf-8"))
    except (OSError, ValueError) as problem:
        raise CommandError(f"{path} cannot be written: {_reason(problem)}") from None
    return path


def load_text(name: str) -> str:
    """The text of the UTF-8 file `name`, LF line ends, no byte-order mark. Raises CommandError."""
    path = _path(name, "/read")
    content = _load_bytes(path)
    try:
        text = content.decode("utf-8").removeprefix("\ufeff").replace("\r\n", "\n")
    except UnicodeDecodeError as problem:
        byte, line = content[problem.start], content.count(b"\n", 0, problem.start) + 1
        where = f"byte 0x{byte:02X} at offset {problem.start:,} (line {line:,})"
        raise CommandError(f"{path} is not UTF-8: {where}") from None
    if not text:
        raise CommandError(f"{path} is empty")
    return text


def _load_bytes(path: Path) -> bytes:
    try:
        if path.exists() and not path.is_file():
            raise CommandError(f"{path} is not a file")
        with path.open("rb") as file:
            content = file.read(MAX_READ_BYTES + 1)
    except (OSError, ValueError) as problem:
        raise CommandError(f"{path} cannot be read: {_reason(problem)}") from None
    if len(content) > MAX_READ_BYTES:
        raise CommandError(f"{path} is too large: expected at most {MAX_READ_BYTES:,} bytes. Give it the end alone")
    return content


def _path(name: str, command: str) -> Path:
    if not name:
        raise CommandError(f"{command} expects the name of a file")
    try:
        return Path(name).expanduser()
    except RuntimeError:
        raise CommandError(f"{name} names no home directory") from None


def _reason(problem: Exception) -> str:
    return getattr(problem, "strerror", None) or str(problem)
