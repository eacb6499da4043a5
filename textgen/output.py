"""Text on standard output: exact in files and pipes, harmless on a terminal.

A model can learn, or be made, to write control characters. A terminal shows them as pictures, so that no text moves the
cursor, renames the window or types for its reader.
"""

import io
import json
import re
import sys
from typing import Any

UNPRINTABLE = re.compile(r"[^ -~]")

VISIBLE = {code: 0x2400 + code for code in range(0x20) if code not in (0x09, 0x0A)}
VISIBLE |= {0x7F: 0x2421, **dict.fromkeys(range(0x80, 0xA0), 0xFFFD)}


def prepare_output() -> None:
    """Let no symbol fail to print: UTF-8 in files and pipes, the terminal's own encoding on a terminal."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        if sys.stdout.isatty():
            sys.stdout.reconfigure(errors="replace")
        else:
            sys.stdout.reconfigure(encoding="utf-8")


def write_text(text: str) -> None:
    """Show a piece of text at once."""
    sys.stdout.write(visible(text) if sys.stdout.isatty() else text)
    sys.stdout.flush()


def visible(text: str) -> str:
    """`text` with a picture for every control character except tab and newline."""
    return text.translate(VISIBLE)


def json_line(document: Any) -> str:
    """`document` as JSON on one line, in which every character that cannot be printed is escaped."""
    return UNPRINTABLE.sub(_escaped, json.dumps(document, ensure_ascii=False))


def _escaped(match: re.Match) -> str:
    return match[0] if match[0].isprintable() else json.dumps(match[0])[1:-1]
