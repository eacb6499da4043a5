"""The line that is typed and the screen, or plain lines where one of them is a file or a pipe.

Imported only where a session begins. What was typed is bold and what the model wrote is plain, so that both are easy to
read on any background; notices are dim. NO_COLOR and TERM=dumb leave all of it plain.
"""

import contextlib
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TextIO

from prompt_toolkit import PromptSession
from prompt_toolkit.history import FileHistory, History, InMemoryHistory
from prompt_toolkit.key_binding import KeyBindings
from prompt_toolkit.styles import Style

from textgen.messages import visible
from textgen.repl.completion import CommandCompleter, complete
from textgen.repl.keyboard import is_terminal
from textgen.repl.layout import wrap
from textgen.repl.page import Page
from textgen.repl.session import NARROW, CommandError, Session
from textgen.repl.showing import status_line
from textgen.store.private import private_directory
from textgen.store.state import state_dir
from textgen.streams import text_writer

HISTORY = "repl_history"
BOLD, DIM, PLAIN = "\x1b[1m", "\x1b[2m", "\x1b[0m"
STYLED = {"": "bold", "prompt": "nobold", "bottom-toolbar": "nobold noreverse dim"}
UNSTYLED = {"bottom-toolbar": "noreverse"}
MENU_LINES = 6  # below the line, while there is something to choose
LEAST_COLUMNS = 10


def columns() -> int:
    """How wide the screen is now; where there is none, as wide as $COLUMNS says."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):  # no terminal, or none any more
            if width := os.get_terminal_size(stream.fileno()).columns:
                return max(width, LEAST_COLUMNS)
    return max(shutil.get_terminal_size((NARROW, 24)).columns, LEAST_COLUMNS)


def show_notice(text: str) -> None:
    """Show a notice on standard error, dim on a terminal, so that the story stands out."""
    _print_lines(text, DIM)


def show_lines(text: str) -> None:
    """Show lines on standard error that are to be read and chosen from."""
    _print_lines(text, "")


def _print_lines(text: str, style: str) -> None:
    lines = visible(text).split("\n")
    if sys.stderr.isatty():
        width = columns()
        lines = [part for line in lines for part in wrap(line, width, indent="  ")]
    text = "\n".join(lines)
    print(f"{style}{text}{PLAIN}" if style and _is_styled(sys.stderr) else text, file=sys.stderr, flush=True)


def story_writer() -> Callable[[str], None]:
    """A function that shows text of the story on standard output, each piece at once; on a screen in whole words."""
    if not sys.stdout.isatty() or os.environ.get("TERM") == "dumb":
        return text_writer()
    page = Page(columns)

    def write(piece: str) -> None:
        sys.stdout.write(page.place(piece))
        sys.stdout.flush()

    return write


def typed_writer(write: Callable[[str], None]) -> Callable[[str], None]:
    """A function that shows what a writer typed with `write`, bold where standard output is a terminal."""

    def write_typed(text: str) -> None:
        style = text and _is_styled(sys.stdout)
        if style:
            sys.stdout.write(BOLD)
        write(text)
        if style:
            sys.stdout.write(PLAIN)
            sys.stdout.flush()

    return write_typed


def _is_styled(stream: TextIO) -> bool:
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def line_reader(session: Session) -> Callable[[str], str]:
    """The function that `Repl` reads lines with: an editor with history and completion, or plain lines.

    Enter ends the line, Alt-Enter goes on in a new one. A pasted text stays together, whatever lines it has.
    """
    if not is_terminal():
        return read_plain_line
    completer = CommandCompleter(lambda: session.desk.branches)
    keys = KeyBindings()
    keys.add("escape", "enter")(lambda event: event.current_buffer.insert_text("\n"))
    keys.add("tab")(lambda event: complete(event.current_buffer, completer))
    editor: PromptSession[str] = PromptSession(
        history=open_history(state_dir() / HISTORY),
        completer=completer,
        complete_while_typing=False,
        reserve_space_for_menu=MENU_LINES,
        key_bindings=keys,
        prompt_continuation=lambda width, _number, _is_soft: " " * width,
        bottom_toolbar=lambda: status_line(session, columns()),
        style=Style.from_dict(STYLED if _is_styled(sys.stdout) else UNSTYLED),
    )
    return editor.prompt


def read_plain_line(_prompt: str) -> str:
    """The next line of standard input, UTF-8 whatever the locale. No prompt is shown."""
    line = b"" if sys.stdin is None else sys.stdin.buffer.readline()
    if not line:
        raise EOFError
    try:
        return line.decode("utf-8").removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError as problem:
        byte = line[problem.start]
        raise CommandError(
            f"a line is not UTF-8: byte 0x{byte:02X} at its offset {problem.start:,}; passed over"
        ) from None


def open_history(path: Path) -> History:
    """Lines typed in earlier sessions, or in this one alone where the file cannot be written."""
    try:
        if path.exists() and not path.is_file():  # a pipe would be waited for
            return InMemoryHistory()
        with private_directory(path.parent), path.open("a+") as file:
            os.chmod(file.fileno(), 0o600)
    except OSError:
        return InMemoryHistory()
    return _LenientHistory(str(path))


class _LenientHistory(FileHistory):
    """A history file whose disk may fill up while the session goes on."""

    def store_string(self, string: str) -> None:
        with contextlib.suppress(OSError, UnicodeError):
            super().store_string(string)
