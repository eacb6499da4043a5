"""The keyboard and the screen, or plain lines where one of them is a file or a pipe.

Imported only where a session begins. Keys that are typed while text is written are not echoed: they wait in the
terminal and appear in the next line.
"""

import contextlib
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from prompt_toolkit import PromptSession
from prompt_toolkit.completion import CompleteEvent, Completer, Completion, PathCompleter
from prompt_toolkit.document import Document
from prompt_toolkit.history import FileHistory, History, InMemoryHistory
from prompt_toolkit.shortcuts import CompleteStyle

from textgen.messages import harmless
from textgen.repl.commands import COMMANDS, SETTINGS
from textgen.repl.session import CommandError
from textgen.store.private import private_directory
from textgen.store.state import state_dir

HISTORY = "repl_history"
DIM, PLAIN = "\x1b[2m", "\x1b[0m"


def is_terminal() -> bool:
    """Whether a person types the lines and reads the text."""
    return is_typed() and sys.stdout.isatty()


def is_typed() -> bool:
    """Whether a person types the lines."""
    return sys.stdin is not None and sys.stdin.isatty()


def show_notice(text: str) -> None:
    """Show a notice on standard error, dim on a terminal, so that the story stands out."""
    text = "\n".join(map(harmless, text.split("\n")))
    if sys.stderr.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb":
        text = f"{DIM}{text}{PLAIN}"
    print(text, file=sys.stderr, flush=True)


def line_reader() -> Callable[[str], str]:
    """The function that `Repl` reads lines with: an editor with history and completion, or plain lines."""
    if not is_terminal():
        return read_plain_line
    session: PromptSession[str] = PromptSession(
        history=open_history(state_dir() / HISTORY),
        completer=CommandCompleter(),
        complete_while_typing=False,
        complete_style=CompleteStyle.READLINE_LIKE,
    )
    return session.prompt


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


class CommandCompleter(Completer):
    """Completes commands, names of settings, and paths where a command takes a file."""

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterator[Completion]:
        """What the line before the cursor can become."""
        name, space, argument = document.text_before_cursor.partition(" ")
        if not name.startswith("/"):
            return
        completes = COMMANDS[name].completes if name in COMMANDS else ""
        if not space:
            yield from _words(COMMANDS, name)
        elif completes == "setting":
            yield from _words(SETTINGS, argument.replace("-", "_"))
        elif completes == "file":
            yield from PathCompleter(expanduser=True).get_completions(Document(argument), complete_event)


def _words(words: Iterable[str], typed: str) -> Iterator[Completion]:
    yield from (Completion(word, start_position=-len(typed)) for word in words if word.startswith(typed))


@contextlib.contextmanager
def quiet_keyboard() -> Iterator[None]:
    """Keep keys, and the ^C of Ctrl-C, out of text that is being written. The prompt shows them."""
    try:
        import termios  # noqa: PLC0415  (not on Windows)
    except ImportError:
        yield
        return
    if not is_terminal():
        yield
        return
    keyboard = sys.stdin.fileno()
    as_found = termios.tcgetattr(keyboard)
    quiet = list(as_found)
    quiet[3] &= ~(termios.ECHO | termios.ECHOCTL)
    termios.tcsetattr(keyboard, termios.TCSADRAIN, quiet)
    try:
        yield
    finally:
        termios.tcsetattr(keyboard, termios.TCSADRAIN, as_found)
