"""Text on standard output: exact in files and pipes, harmless on a terminal.

A model can learn, or be made, to write control characters. A terminal shows them as pictures, so that no text moves the
cursor, renames the window or types for its reader.
"""

import io
import sys

from textgen.messages import visible


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
