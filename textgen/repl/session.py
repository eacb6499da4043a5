"""What can be done with a story: go on, write the last turn again, choose among ways to go on, go back, go forward.

Every continuation has the next sample number of the seed. So the same lines typed again give the same session, and no
two continuations in it use the same random numbers.
"""

import dataclasses
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from textgen.config import SamplingConfig
from textgen.errors import DeadEndError, TextgenError
from textgen.generation.alternatives import Alternatives, after_piece, alternatives
from textgen.generation.generator import Generator
from textgen.generation.sizes import check_samples
from textgen.generation.state import Context
from textgen.messages import counted
from textgen.repl.desk import Desk, History
from textgen.repl.reach import AS_SET, Reach
from textgen.repl.story import Passage, Reader, Story, Turn, common_beginning, join, last_words
from textgen.tokenizers.unknown import trim_prompt

if TYPE_CHECKING:
    from textgen.repl.session_file import SessionFile

LONG_TEXT = 20_000  # characters that take seconds to read
NARROW = 80  # columns, where nobody knows better


class CommandError(TextgenError):
    """Seen by a writer who asks for what cannot be done. The session goes on as it was."""


@dataclasses.dataclass(frozen=True, eq=False)
class Offer:
    """Ways to go on from the end of a story, to be chosen by number."""

    story: Story
    texts: tuple[str, ...]
    whole: tuple[bool, ...]  # whether each is; else it is the beginning of a longer piece
    is_turn: bool  # whether each is a whole turn that the model wrote; else it is the next piece, and the model goes on


@dataclasses.dataclass(frozen=True)
class ModelFacts:
    """Which model writes."""

    name: str = ""
    description: str = ""  # on one line, for `/status`
    sha256: str = ""  # of its weights


class Session:
    """A story that is being written, its branches, its settings, and every earlier state of them."""

    def __init__(
        self,
        generator: Generator,
        config: SamplingConfig,
        *,
        write: Callable[[str], None],
        notice: Callable[[str], None],
        model: ModelFacts,
        write_typed: Callable[[str], None] | None = None,
        show: Callable[[str], None] | None = None,
        columns: Callable[[], int] = lambda: NARROW,
    ):
        """Begin with an empty story.

        Args:
            write: takes generated text, piece by piece, and shows each at once.
            notice: takes one or more lines that are not text of the story, without the last newline.
            write_typed: takes text that the writer gave, where the story is shown again; `write` if not given.
            show: takes lines to be read and chosen from; `notice` if not given.
            columns: how wide the screen is now.
        """
        self.generator = generator
        self.reader = Reader(generator.read)
        self.config = config
        self.write = write
        self.write_typed = write_typed or write
        self.notice = notice
        self.show = show or notice
        self.columns = columns
        self.model = model
        self.history = History()
        self.next_sample = 0
        self.tokens_per_second: float | None = None  # of the last turn
        self.is_over = False
        self.file: SessionFile | None = None  # where it is kept
        self._offer: Offer | None = None
        self._reasons: list[str] = []  # why texts ended, not yet told

    @property
    def desk(self) -> Desk:
        """The stories."""
        return self.history.present

    @property
    def story(self) -> Story:
        """The story that is being written."""
        return self.desk.story

    @property
    def offer(self) -> Offer | None:
        """What can be chosen from, as long as the story ends where it was made."""
        return self._offer if self._offer and self._offer.story is self.story else None

    def continue_with(self, line: str, reach: Reach = AS_SET) -> None:
        """Add `line` to the story, joined as a writer would, and let the model go on."""
        self.append(trim_prompt(join(self.story.text, line), self.generator.tokenizer), reach)

    def append(self, given: str, reach: Reach = AS_SET, chosen: str = "") -> None:
        """Add `given` to the story exactly, and let the model go on. What was `chosen` of it is shown first."""
        self._write_turn(self.story, Turn.make(self.story.end, given, reach=reach), chosen)

    def read(self, text: str) -> None:
        """Add `text` to the story, joined as a line would be, and write nothing."""
        self._change_when_read(self.story.add(Turn.make(self.story.end, join(self.story.text, text))))

    def rewrite(self, text: str) -> bool:
        """Make `text` the story, which keeps the beginning that both have. Returns whether anything changed."""
        before = self.story.text
        if text == before:
            return False
        begin = common_beginning(before, text)
        story = self.story.cut(begin) if begin < len(before) else self.story
        if rest := text[len(story.text) :]:
            story = story.add(Turn.make(story.end, rest))
        self._change_when_read(story)
        return True

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
        self.change_desk(self.desk.with_story(story))

    def change_desk(self, desk: Desk) -> None:
        """Go on with `desk`; `undo` brings back the one before."""
        self.history = self.history.changed(desk)

    def undo(self) -> None:
        """Take back the last change."""
        if not self.history.past:
            raise CommandError("nothing to undo: this is the start")
        self.history = self.history.undone()

    def redo(self) -> None:
        """Do again what `undo` took back."""
        if not self.history.future:
            raise CommandError("nothing to redo: no change was taken back, or another has come since")
        self.history = self.history.redone()

    def say_where(self) -> None:
        """Tell the end of the story, and its name where there are several."""
        text, others = self.story.text, len(self.desk.branches) > 1
        which = f"the story {self.desk.name}" if others else "the story"
        self.notice(f"{which} ends: {last_words(text)}" if text else f"{which} is empty")

    def next_pieces(self, count: int) -> Alternatives:
        """The likeliest next pieces, which can then be chosen."""
        story, turn = self.story, Turn.make(self.story.end, "")
        generator = self.generator
        found = alternatives(generator.engine, generator.tokenizer, self._context(turn.prompted), count)
        texts, whole = tuple(piece.text for piece in found.pieces), tuple(piece.is_whole for piece in found.pieces)
        self._offer = Offer(story, texts, whole, is_turn=False)
        return found

    def variants(self, count: int) -> tuple[str, ...]:
        """So many next turns, written side by side, which can then be chosen. Each has its own sample number.

        Those that come to a dead end are left out. Raises DeadEndError where all of them do.
        """
        config = self.config.replace(endless=False, ignore_eod=self.config.passes_ends, beams=1)
        check_samples(self.generator.tokenizer, config, count)
        story, turn = self.story, Turn.make(self.story.end, "")
        context = self._context(turn.prompted)
        first, self.next_sample = self.next_sample, self.next_sample + count
        problems: list[DeadEndError] = []
        numbers = range(first, first + count)
        try:
            texts = self.generator.variants(context, config, numbers, lambda _, problem: problems.append(problem))
        finally:
            self._tell_reasons()
        if not texts:
            raise problems[0]
        if problems:
            self.notice(f"{len(problems)} of {count} ways to go on came to a place where the rules allow nothing more")
        self._offer = Offer(story, tuple(texts), (True,) * len(texts), is_turn=True)
        return self._offer.texts

    def choose(self, number: int) -> None:
        """Go on with what is offered under `number`, from 1 on."""
        offer = self.offer
        if offer is None or not 1 <= number <= len(offer.texts):
            most = len(offer.texts) if offer else 0
            raise CommandError(f"1 to {most} can be chosen. A number that is text is typed with a space before it")
        text = offer.texts[number - 1]
        if not offer.is_turn:
            self.append(text, Reach(after_piece=offer.whole[number - 1]), chosen=text)
        elif text:
            self.change(self.story.add(Turn.make(self.story.end, "", text)))
            self.write(text if text.endswith("\n") else text + "\n")
        else:
            self.notice(f"nothing to add: {self._why_nothing()}")

    def ended(self, reason: str) -> None:
        """Take why the text that is being written ended. It is told behind its line."""
        self._reasons.append(reason)

    def _tell_reasons(self) -> None:
        reasons, self._reasons = self._reasons, []
        for reason in dict.fromkeys(reasons):
            self.notice(reason)

    def _context(self, passage: Passage) -> Context:
        """Where the network stands after `passage`. What takes long to read is told before."""
        num_unread = self.reader.num_unread(passage)
        if num_unread > LONG_TEXT:
            self.notice(f"reading {counted(num_unread, 'character')}; Ctrl-C stops it")
        return self.reader.context(passage)

    def _change_when_read(self, story: Story) -> None:
        """Go on with `story` once its end is read, which Ctrl-C or an unknown symbol may end."""
        if story.end is not None:
            self._context(story.end)
        self.change(story)

    def _write_turn(self, earlier: Story, turn: Turn, chosen: str = "") -> None:
        """Let the model write after `turn.given`, and make that the story's last turn."""
        self._check_uncut(turn.reach)
        written, is_stopped = self._write(turn, chosen)
        if written or turn.given:
            self.change(earlier.add(turn.with_written(written)))
        if is_stopped:
            self.notice(f"stopped; the story keeps the {len(written):,} characters written")
        elif not written:
            self.notice(f"the model wrote nothing: {self._why_nothing()}")
        elif turn.reach.is_missed_by(written):
            self.notice(f"{turn.reach.to!r:.60} did not come within {len(written):,} characters")

    def _check_uncut(self, reach: Reach) -> None:
        """Raise CommandError where a text would be cut that has to be something as a whole."""
        wanted = {name: "off" for name in ("must_include", "regex") if getattr(self.config, name)}
        wanted |= {"beams": "1"} if self.config.beams > 1 else {}
        if reach.cuts and wanted:
            names, off = " and ".join(wanted), " and ".join(f"/set {name} {value}" for name, value in wanted.items())
            raise CommandError(
                f"/words and /to cut a text, and with {names} it must stay whole. {off} first, or go on without them"
            )

    def _why_nothing(self) -> str:
        if self.generator.tokenizer.eod_id is None or self.config.passes_ends:
            return "the text that stops it came first" if self.config.stop else "no token is left that may follow"
        return "for it the text ends here. Type how it goes on, or /set ignore_eod on"

    def _write(self, turn: Turn, chosen: str) -> tuple[str, bool]:
        """What the model wrote and showed after `turn.given`, and whether Ctrl-C ended it.

        What was `chosen` is shown once the settings let the model go on.
        """
        context, reach = self._context(turn.prompted), turn.reach
        sample, self.next_sample = self.next_sample, self.next_sample + 1
        pieces: list[str] = []
        is_stopped, shown, begun = False, "", time.perf_counter()
        tokenizer = self.generator.tokenizer
        config = reach.settings(self.config, tokenizer.level)
        first = after_piece(tokenizer, turn.given) if reach.after_piece else None
        try:
            writing = reach.limit(self.generator.write(context, config, sample=sample, first=first))
            shown = self._show_chosen(chosen)
            for piece in writing:
                pieces.append(piece)
                self.write(piece)
        except KeyboardInterrupt:
            is_stopped, shown = True, shown or self._show_chosen(chosen)
        finally:  # also where the rules leave nothing more
            written = "".join(pieces)
            if shown + written and not (shown + written).endswith("\n"):
                self.write("\n")
            self._tell_reasons()
        seconds = time.perf_counter() - begun
        text = written.replace(tokenizer.document_separator or "\0", "")  # which need not be among the symbols
        self.tokens_per_second = len(tokenizer.encode(text)) / seconds if text else None
        return written, is_stopped

    def _show_chosen(self, text: str) -> str:
        if text:
            self.write_typed(text)
        return text
