"""Line after line: a slash begins a command, anything else is text.

Ctrl-C stops what is being written or read. It does not end the program while somebody types.
"""

from collections.abc import Callable

from textgen.config import SamplingConfig
from textgen.errors import SettingError, TextgenError
from textgen.generation.generator import Generator
from textgen.messages import unescape
from textgen.repl.commands import run_command
from textgen.repl.session import Session

PROMPT = "> "


class Repl:
    """Read a line, answer it, until there are no more."""

    def __init__(
        self,
        generator: Generator,
        config: SamplingConfig,
        *,
        read_line: Callable[[str], str],
        write: Callable[[str], None],
        notice: Callable[[str], None],
        model: str = "",
        is_typed: bool = True,
    ):
        """Make a session that has not begun.

        Args:
            read_line: shows the prompt it is given and returns a line without its newline. It raises EOFError at
                the end, and KeyboardInterrupt at Ctrl-C.
            write, notice, model: as in `Session`.
            is_typed: whether somebody types the lines. If not, Ctrl-C between two lines ends the program.
        """
        self.session = Session(generator, config, write=write, notice=notice, model=model)
        self.read_line = read_line
        self.is_typed = is_typed

    def run(self) -> None:
        """Answer lines until `/exit` or the end of the input."""
        while not self.session.is_over:
            try:
                line = self.read_line(PROMPT)
            except EOFError:
                return
            except KeyboardInterrupt:
                if not self.is_typed:
                    raise
                self.session.notice("Ctrl-C stops a text that is being written; Ctrl-D or /exit leaves")
                continue
            except TextgenError as problem:
                self._refuse(problem)
                continue
            self.answer(line)

    def answer(self, line: str) -> None:
        """Do what one line says. If it cannot be done, one notice says why, and the story is as it was."""
        line = line.encode("utf-8", "replace").decode("utf-8")  # half a surrogate pair, from a pasted text
        try:
            if line.startswith("/") and not line.startswith("//"):
                run_command(self.session, line)
            else:
                self.session.continue_with(unescape(line.removeprefix("/")))
        except TextgenError as problem:
            self._refuse(problem)
        except KeyboardInterrupt:
            self.session.notice("stopped; the story is as it was")

    def _refuse(self, problem: TextgenError) -> None:
        message = str(problem).replace("`", "") if isinstance(problem, SettingError) else str(problem)
        self.session.notice(" ".join(message.split()))
