"""Text on standard output: exact in files and pipes, harmless on a terminal.

What surprises: a model can learn, or be made, to write control characters; on a terminal they are shown as pictures, so
that no text moves the cursor, renames the window or types for its reader.
"""

import json
import re
import sys
from typing import Any

UNPRINTABLE = re.compile(r"[^ -~]")

VISIBLE = {code: 0x2400 + code for code in range(0x20) if code not in (0x09, 0x0A)}
VISIBLE |= {0x7F: 0x2421, **dict.fromkeys(range(0x80, 0xA0), 0xFFFD)}


def prepare_output() -> None:
    """Let no symbol of a story fail to print: UTF-8 in files and pipes, a terminal's own encoding there."""
    if sys.stdout.isatty():
        sys.stdout.reconfigure(errors="replace")
    else:
        sys.stdout.reconfigure(encoding="utf-8")


def write_text(text: str) -> None:
    """Show a piece of text at once."""
    sys.stdout.write(visible(text) if sys.stdout.isatty() else text)
    sys.stdout.flush()


def visible(text: str) -> str:
    """`text` with control characters, but tab and newline, as their pictures."""
    return text.translate(VISIBLE)


def json_line(document: Any) -> str:
    """`document` as JSON on one line, with whatever is no printable character escaped: harmless, and the same value."""
    return UNPRINTABLE.sub(_escaped, json.dumps(document, ensure_ascii=False))


def _escaped(match: re.Match) -> str:
    return match[0] if match[0].isprintable() else json.dumps(match[0])[1:-1]
