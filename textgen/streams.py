"""Standard output and standard error: texts and paths exact in files and pipes, everything harmless on a terminal.

What is written on standard output is what was asked for, so a command ends where it cannot be written. Standard error
is only about it: where that cannot be written, because its disk is full, its reader is gone or its terminal is closed,
the command goes on without it.
"""

import errno
import io
import os
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TextIO

from textgen.messages import harmless, visible

BOLD, PLAIN = "\x1b[1;33m", "\x1b[0m"


class OutputError(Exception):
    """Standard output cannot be written. It ends the command, a session of many inputs too, so it is no TextgenError.

    `is_wanted` is False where a reader (head, say) has all that it wanted, about which there is nothing to say.
    """

    def __init__(self, problem: OSError):
        super().__init__(
            f"standard output cannot be written: {problem.strerror}. Send it to a file or a pipe with room"
        )
        self.is_wanted = problem.errno != errno.EPIPE


class _Stream(io.RawIOBase):
    """The bytes of standard output or error. What follows a failure of standard output is dropped."""

    def __init__(self, raw: Any, *, is_wanted: bool):
        self.raw, self.is_wanted, self.has_failed = raw, is_wanted, False

    def write(self, data: Any) -> int:
        """The number of bytes that were written, or dropped."""
        if self.has_failed:
            return len(data)
        try:
            while (written := self.raw.write(data)) is None:  # a pipe that does not wait, and is full
                import select  # noqa: PLC0415

                select.select((), (self,), ())
        except OSError as problem:
            if self.is_wanted:
                self.has_failed = True
                raise OutputError(problem) from problem
            return len(data)
        return int(written)

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return int(self.raw.fileno())

    def isatty(self) -> bool:
        return bool(self.raw.isatty())


def take_streams() -> None:
    """Let standard output fail with OutputError alone, standard error never, and no symbol fail to print.

    Of the three streams, one that is closed is opened again, so that no other file gets its number and with it
    whatever libraries print: an input that is empty, an output that fails, an error that goes nowhere. Streams that a
    program has put in the place of its own stay as they are.
    """
    for number, flags in enumerate((os.O_RDONLY, os.O_RDONLY, os.O_WRONLY)):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, flags), True)  # it gets the lowest number that is free
    sys.stdin = sys.stdin or open(0, encoding="utf-8", closefd=False)  # noqa: SIM115
    if (out := sys.stdout) is None or out is sys.__stdout__:
        # On a terminal in its own encoding; elsewhere in UTF-8, in which the names of files are the bytes they were.
        encoding, errors = (out.encoding, "replace") if out and out.isatty() else ("utf-8", "surrogateescape")
        sys.stdout = _stream(1, out, encoding, errors, is_wanted=True)
    if (err := sys.stderr) is None or err is sys.__stderr__:
        sys.stderr = _stream(2, err, err.encoding if err else "utf-8", "backslashreplace", is_wanted=False)


def _stream(number: int, found: TextIO | None, encoding: str, errors: str, *, is_wanted: bool) -> TextIO:
    raw = io.FileIO(number, "w", closefd=False) if found is None else getattr(found.buffer, "raw", found.buffer)
    buffer = io.BufferedWriter(_Stream(raw, is_wanted=is_wanted))
    return io.TextIOWrapper(buffer, encoding, errors, line_buffering=found is None or bool(found.line_buffering))


def text_writer() -> Callable[[str], None]:
    """A function that shows a text on standard output, piece by piece and each at once."""
    last = ""

    def write(piece: str) -> None:
        nonlocal last
        sys.stdout.write(visible(piece, last) if sys.stdout.isatty() else piece)
        sys.stdout.flush()
        last = piece[-1:] or last

    return write


def shows_styles() -> bool:
    """Whether standard output is a terminal that shows bold text, and its user wants that."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def painter() -> Callable[[str, str], None]:
    """As `text_writer`, for pieces behind the escape sequences of their styles; "" is none.

    Styles end before a line end, since a terminal would fill the rest of the line with a colour.
    """
    last = ""

    def write(piece: str, style: str) -> None:
        nonlocal last
        shown = visible(piece, last) if sys.stdout.isatty() else piece
        sys.stdout.write("\n".join(f"{style}{line}{PLAIN}" if style and line else line for line in shown.split("\n")))
        sys.stdout.flush()
        last = piece[-1:] or last

    return write


def write_painted(parts: Iterable[tuple[str, str]]) -> None:
    """Show texts on standard output, each in its style, as `painter` does."""
    write = painter()
    for text, style in parts:
        write(text, style)


def write_lines(lines: Iterable[str]) -> None:
    """Show lines of a result on standard output."""
    sys.stdout.write("".join(f"{harmless(line)}\n" for line in lines))
    sys.stdout.flush()


def write_line(line: str) -> None:
    """Show one line of a result on standard output."""
    write_lines([line])


def write_path(path: str | Path) -> None:
    """Show a path on standard output; a program that reads it finds the file."""
    if sys.stdout.isatty():
        path = harmless(path)
    sys.stdout.write(f"{path}\n")
    sys.stdout.flush()


def tell(message: str) -> None:
    """Show a line on standard error."""
    print(harmless(message), file=sys.stderr, flush=True)
