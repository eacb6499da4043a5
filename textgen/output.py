"""Text on standard output: exact in files and pipes, harmless on a terminal.

What surprises: a model can learn, or be made, to write control characters; on a terminal they are shown as pictures, so
that no text moves the cursor, renames the window or types for its reader.
"""

import sys

from textgen.messages import visible


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
