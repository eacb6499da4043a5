"""Line after line: a slash begins a command, anything else is text.

Ctrl-C stops what is being written or read. It does not end the program while somebody types.
"""

import re
from collections.abc import Callable

from textgen.errors import SettingError, TextgenError
from textgen.messages import unescape
from textgen.repl.commands import run_command
from textgen.repl.session import Session

PROMPT = "> "


class Repl:
    """Read a line, answer it, until there are no more."""

    def __init__(self, session: Session, read_line: Callable[[str], str], *, is_typed: bool = True):
        """Args:

        read_line: shows the prompt it is given and returns a line without its newline, or several where they came
            together. It raises EOFError at the end, and KeyboardInterrupt at Ctrl-C.
        is_typed: whether somebody types the lines. If not, Ctrl-C between two lines ends the program.
        """
        self.session = session
        self.read_line = read_line
        self.is_typed = is_typed

    def run(self) -> None:
        """Answer lines until `/exit` or the end of the input."""
        while True:
            try:
                self._answer_lines()
                return
            except KeyboardInterrupt:
                if not self.is_typed:
                    raise
                self.session.notice("Ctrl-C stops a text that is being written; Ctrl-D or /exit leaves")

    def _answer_lines(self) -> None:
        while not self.session.is_over:
            offer = self.session.offer
            try:
                line = self.read_line(f"1-{len(offer.texts)}{PROMPT}" if offer and offer.texts else PROMPT)
            except EOFError:
                return
            except TextgenError as problem:
                self._refuse(problem)
                continue
            self.answer(line)
            self._keep()

    def answer(self, line: str) -> None:
        """Do what one line says. If it cannot be done, one notice says why, and the story is as it was."""
        line = line.encode("utf-8", "replace").decode("utf-8")  # half a surrogate pair, from a pasted text
        try:
            if line.startswith("/") and not line.startswith("//"):
                run_command(self.session, line)
            elif self.session.offer and re.fullmatch("[0-9]{1,9}", line):
                self.session.choose(int(line))
            else:
                self.session.continue_with(unescape(line.removeprefix("/")))
        except TextgenError as problem:
            self._refuse(problem)
        except KeyboardInterrupt:
            self.session.notice("stopped; the story is as it was")

    def _keep(self) -> None:
        """Write the session to its file, if it has one. What is not kept now is kept after the next line."""
        try:
            if self.session.file:
                self.session.file.keep(self.session)
        except TextgenError as problem:
            self._refuse(problem)
        except KeyboardInterrupt:
            self.session.notice("stopped before the session was kept; it is kept after the next line")

    def _refuse(self, problem: TextgenError) -> None:
        message = str(problem).replace("`", "") if isinstance(problem, SettingError) else str(problem)
        self.session.notice(" ".join(message.split()))
