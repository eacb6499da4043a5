"""A story to a file, and a file's text into a story. What goes wrong is one line."""

import os
from collections.abc import Callable
from pathlib import Path

from textgen.generation.prompts import read_prompt
from textgen.repl.session import CommandError
from textgen.store.output_file import write_file

# A few chapters. NumPy reads 5,000 to 20,000 characters a second, and a model soon forgets what it read.
MAX_READ_BYTES = 256 * 2**10


def save_text(name: str, text: str, *, may_replace: bool) -> Path:
    """Write `text` as UTF-8 to the file `name`, as `store.output_file.write_file`. Raises CommandError."""
    path = path_of(name, "/save")
    if os.path.isdir(path):
        raise CommandError(f"{path} is not a file")
    if os.path.lexists(path) and not may_replace:
        raise CommandError(f"{path} exists. /save! {name} replaces it")
    try:
        write_file(path, text)
    except (OSError, ValueError) as problem:
        raise CommandError(f"{path} cannot be written: {getattr(problem, 'strerror', None) or problem}") from None
    return path


def load_text(name: str, notice: Callable[[str], None]) -> str:
    """The text of the file `name`; `notice` is told how. Raises CommandError, or what `read_prompt` raises."""
    path = path_of(name, "/read")
    if os.path.exists(path) and not os.path.isfile(path):
        raise CommandError(f"{path} is not a file")
    text = read_prompt(path, MAX_READ_BYTES, notice)
    if not text:
        raise CommandError(f"{path} is empty")
    return text


def path_of(name: str, command: str) -> Path:
    """The path of a file that is named, or of none yet."""
    if not name:
        raise CommandError(f"{command} expects the name of a file")
    try:
        return Path(name).expanduser()
    except RuntimeError:
        raise CommandError(f"{name} names no home directory") from None
