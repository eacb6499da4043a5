"""Prompts, read as a corpus is: documents too, in any encoding that is found, LF line ends, no byte-order mark."""

import contextlib
import json
import sys
from collections.abc import Callable
from pathlib import Path

from textgen.errors import CorpusError, SettingError
from textgen.messages import shown
from textgen.store.opening import open_regular


def read_prompt(path: Path | None, max_bytes: int, notice: Callable[[str], None] = lambda note: None) -> str:
    """The text of the file `path`, or of standard input, as if it were a corpus.

    Args:
        notice: told what was found and changed, a line each.

    Raises:
        CorpusError: it cannot be read, or it is not clear what its bytes are.
        SettingError: it has more than `max_bytes` bytes.
    """
    # Only a prompt that comes from a file needs what reads files.
    from textgen.corpus.advising import no_flags  # noqa: PLC0415
    from textgen.corpus.noting import uncompressed  # noqa: PLC0415
    from textgen.corpus.reading import text_of  # noqa: PLC0415

    name = path or "standard input"
    try:
        with open_regular(path) if path else contextlib.nullcontext(sys.stdin.buffer) as file:
            content = file.read(max_bytes + 1)
    except (OSError, ValueError) as problem:  # ValueError: a path that holds NUL
        raise CorpusError(f"{name} cannot be read: {getattr(problem, 'strerror', None) or problem}") from None
    if len(content) <= max_bytes:
        content = uncompressed(content, shown(name), max_bytes + 1)
    if len(content) > max_bytes:
        raise SettingError(f"{name} is too large: expected at most {max_bytes:,} bytes. Give its end alone")
    with no_flags():
        text, notes = text_of(content, str(name))
    for note in notes:
        notice(note)
    return text


def read_prompts(path: Path | None, max_bytes: int, notice: Callable[[str], None] = lambda note: None) -> list[str]:
    """The prompts of a file: JSON lines with the field `prompt`, or lines of text; blank lines are none.

    Without a file, standard input is read.

    A file holds JSON lines where its name says so, .jsonl or .ndjson, or its first line is such an object.

    Raises what `read_prompt` raises, and CorpusError where there is no prompt, or a line without the field.
    """
    name, suffix = (shown(path), path.suffix.lower()) if path else ("standard input", "")
    lines = read_prompt(path, max_bytes, notice).split("\n")
    numbered = [(number, line) for number, line in enumerate(lines, start=1) if line and not line.isspace()]
    if not numbered:
        raise CorpusError(f"{name} holds no prompt. Give one on each line")
    if suffix not in (".jsonl", ".ndjson") and _prompt_of(numbered[0][1]) is None:
        return [line for _, line in numbered]
    prompts = []
    for number, line in numbered:
        prompt = _prompt_of(line)
        if prompt is None:
            raise CorpusError(f'line {number} of {name} is no object like {{"prompt": "Once"}}. Mend that line')
        prompts.append(prompt)
    return prompts


def _prompt_of(line: str) -> str | None:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return None
    prompt = found.get("prompt") if isinstance(found, dict) else None
    return clean_prompt(prompt) if isinstance(prompt, str) else None


def clean_prompt(text: str) -> str:
    """`text` that was given as text, cleaned as that of a file is."""
    return text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
