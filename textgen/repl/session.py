"""What can be done with a story: go on, write the last turn again, go back, go forward.

Every continuation has the next sample number of the seed. So the same lines typed again give the same session, and no
two continuations in it use the same random numbers.
"""

import dataclasses
from collections.abc import Callable

from textgen.config import SamplingConfig
from textgen.errors import TextgenError
from textgen.generation.generator import Generator
from textgen.generation.state import Context
from textgen.repl.story import Passage, Reader, Story, Turn, join, last_words
from textgen.tokenizers.unknown import trim_prompt


class CommandError(TextgenError):
    """Seen by a writer who asks for what cannot be done. The session goes on as it was."""


class Session:
    """A story that is being written, its settings, and every earlier state of the story."""

    def __init__(
        self,
        generator: Generator,
        config: SamplingConfig,
        *,
        write: Callable[[str], None],
        notice: Callable[[str], None],
        model: str,
    ):
        """Begin with an empty story.

        Args:
            write: takes generated text, piece by piece, and shows each at once.
            notice: takes one or more lines that are not text of the story, without the last newline.
            model: what `/status` says about the model.
        """
        self.generator = generator
        self.reader = Reader(generator.read)
        self.config = config
        self.write = write
        self.notice = notice
        self.model = model
        self.story = Story()
        self.past: list[Story] = []  # what /undo goes back to, oldest first
        self.future: list[Story] = []  # what /redo goes forward to, nearest last
        self.next_sample = 0
        self.is_over = False

    def continue_with(self, line: str) -> None:
        """Add `line` to the story, joined as a writer would, and let the model go on."""
        self.append(trim_prompt(join(self.story.text, line), self.generator.tokenizer))

    def append(self, given: str) -> None:
        """Add `given` to the story exactly, and let the model go on."""
        before = self.story.end
        prompted = Passage(given, before) if given or before is None else before
        self._write_turn(self.story, Turn(given, "", before, prompted))

    def read(self, text: str) -> None:
        """Add `text` to the story, joined as a line would be, and write nothing."""
        given, before = join(self.story.text, text), self.story.end
        self._change_when_read(self.story.add(Turn(given, "", before, Passage(given, before))))

    def regenerate(self) -> None:
        """Write the last turn again, with the next sample number."""
        if self.story.earlier is None or self.story.last is None:
            raise CommandError("nothing to write again: the story is empty")
        self._write_turn(self.story.earlier, self.story.last)

    def cut(self, length: int) -> None:
        """Keep the first `length` characters of the story."""
        self._change_when_read(self.story.cut(length))

    def change(self, story: Story) -> None:
        """Go on with `story`; `undo` brings back the one before."""
        self.past.append(self.story)
        self.future.clear()
        self.story = story

    def undo(self) -> None:
        """Take back the last change of the story."""
        if not self.past:
            raise CommandError("nothing to undo: this is the start")
        self.future.append(self.story)
        self.story = self.past.pop()

    def redo(self) -> None:
        """Do again what `undo` took back."""
        if not self.future:
            raise CommandError("nothing to redo: no change was taken back, or another has come since")
        self.past.append(self.story)
        self.story = self.future.pop()

    def say_where(self) -> None:
        """Tell the end of the story."""
        text = self.story.text
        self.notice(f"the story ends: {last_words(text)}" if text else "the story is empty")

    def _change_when_read(self, story: Story) -> None:
        """Go on with `story` once its end is read, which Ctrl-C or an unknown symbol may end."""
        if story.end is not None:
            self.reader.context(story.end)
        self.change(story)

    def _write_turn(self, earlier: Story, turn: Turn) -> None:
        """Let the model write after `turn.given`, and make that the story's last turn."""
        written, is_stopped = self._write(self.reader.context(turn.prompted))
        if written or turn.given:
            self.change(earlier.add(dataclasses.replace(turn, written=written)))
        if is_stopped:
            self.notice(f"stopped; the story keeps the {len(written):,} characters written")
        elif not written:
            self.notice(f"the model wrote nothing: {self._why_nothing()}")

    def _why_nothing(self) -> str:
        if self.generator.tokenizer.eod_id is None or self.config.ignore_eod:
            return "the text that stops it came first" if self.config.stop else "no token is left that may follow"
        return "for it the text ends here. Type how it goes on, or /set ignore_eod on"

    def _write(self, context: Context) -> tuple[str, bool]:
        """What the model wrote and showed, and whether Ctrl-C ended it."""
        sample, self.next_sample = self.next_sample, self.next_sample + 1
        pieces: list[str] = []
        is_stopped = False
        try:
            for piece in self.generator.write(context, self.config, sample=sample):
                pieces.append(piece)
                self.write(piece)
        except KeyboardInterrupt:
            is_stopped = True
        written = "".join(pieces)
        if written and not written.endswith("\n"):
            self.write("\n")
        return written, is_stopped
