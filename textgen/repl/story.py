"""A story as turns: what the writer gave, what the model wrote, and where the network stands between them.

Nothing here changes in place. A story is a value, so going back is keeping the old one. What the model wrote is read
when the story goes on, not before, so that a stopped turn is in the story at once.
"""

import dataclasses
import functools
import re
import unicodedata
from collections.abc import Callable

from textgen.generation.state import Context
from textgen.repl.reach import AS_SET, Reach, count_words

Read = Callable[[str, Context | None], Context]
CONTEXTS_KEPT = 64  # each up to 20 KB for characters, 150 KB for many words

# What stands close to the word before it, and after which a word stands close.
CLOSING_MARKS = ",.;:!?)]}\u2026\u2019\u201d\u00bb\u2014"
OPENING_MARKS = "([{\u2018\u201c\u00ab\u2014"

# The end of a sentence: its mark and closing quotes before white space; the full-width marks, which no space
# follows; or a blank line, for texts without full stops. Possessive, so that a megabyte of dots is quick.
SENTENCE_END = re.compile(
    r"(?<![.!?\u2026])[.!?\u2026]++[\"'\u2019\u201d\u00bb)\]*_]*+(?=\s|$)"
    r"|[\u3002\uff01\uff1f]++[\u2019\u201d\u300d\u300f\uff09]*+"
    r"|\S(?=\n[ \t]*+\n)"
)


@dataclasses.dataclass(frozen=True, eq=False)
class Passage:
    """Text that the network reads in one go, after another passage or as the beginning."""

    text: str
    previous: "Passage | None" = None


class Reader:
    """Reads passages, and remembers where the network stood after the latest of them.

    Older ones are read again, exactly as they were, when somebody goes back to them. So memory does not grow with the
    number of turns.
    """

    def __init__(self, read: Read):
        self.read = read
        self._contexts: dict[Passage, Context] = {}  # the least recently used first

    def num_unread(self, passage: Passage) -> int:
        """How many characters are read to know where the network stands after `passage`."""
        return sum(len(place.text) for place in self._unread(passage)[0])

    def context(self, passage: Passage) -> Context:
        """Where the network stands after `passage`."""
        unread, place = self._unread(passage)
        context: Context | None = None
        if place is not None:
            self._contexts[place] = context = self._contexts.pop(place)  # it is the latest now
        for place in reversed(unread):
            self._contexts[place] = context = self.read(place.text, context)
            if len(self._contexts) > CONTEXTS_KEPT:
                del self._contexts[next(iter(self._contexts))]
        return self._contexts[passage]

    def _unread(self, passage: Passage) -> tuple[list[Passage], Passage | None]:
        """The passages up to this one that are to be read, the last first, and the one that is remembered, if any."""
        unread: list[Passage] = []
        place: Passage | None = passage
        while place is not None and place not in self._contexts:
            unread.append(place)
            place = place.previous
        return unread, place


@dataclasses.dataclass(frozen=True, eq=False)
class Turn:
    """One step of the story: three places in it, of which each follows the one before or is the same."""

    before: Passage | None  # where the turn begins; None before anything is read
    prompted: Passage  # up to what was given
    after: Passage  # where it ends
    reach: Reach = AS_SET  # how far the model was to go on

    @classmethod
    def make(cls, before: Passage | None, given: str, written: str = "", reach: Reach = AS_SET) -> "Turn":
        """A turn in which the writer gave one text and the model wrote another."""
        prompted = Passage(given, before) if given or before is None else before
        return cls(before, prompted, Passage(written, prompted) if written else prompted, reach)

    def with_written(self, written: str) -> "Turn":
        """The turn in which the model wrote another text."""
        return dataclasses.replace(self, after=Passage(written, self.prompted) if written else self.prompted)

    @functools.cached_property
    def given(self) -> str:
        """What came from the writer, with what joins it to the text before."""
        return _text_between(self.before, self.prompted)

    @functools.cached_property
    def written(self) -> str:
        """What came from the model."""
        return _text_between(self.prompted, self.after)

    @property
    def text(self) -> str:
        """The whole turn."""
        return self.given + self.written


def _text_between(begin: Passage | None, end: Passage) -> str:
    texts: list[str] = []
    place: Passage | None = end
    while place is not None and place is not begin:
        texts.append(place.text)
        place = place.previous
    return "".join(reversed(texts))


@dataclasses.dataclass(frozen=True, eq=False)
class Story:
    """A text in turns: the last one, and the story before it. An empty story has neither."""

    earlier: "Story | None" = None
    last: Turn | None = None

    @property
    def turns(self) -> list[Turn]:
        """All turns, oldest first."""
        return [last for _, last in self._stages()]

    @property
    def text(self) -> str:
        """The whole story."""
        return "".join(turn.text for turn in self.turns)

    @functools.cached_property
    def num_words(self) -> int:
        """How many words it has."""
        return count_words(self.text)

    @property
    def end(self) -> Passage | None:
        """Where the story ends; None while nothing was read."""
        return self.last.after if self.last else None

    def add(self, turn: Turn) -> "Story":
        """The story with one more turn."""
        return Story(self, turn)

    def cut(self, length: int) -> "Story":
        """The first `length` characters of the story.

        Its last turn counts as given, so that writing it again goes on from the cut. Only the text between the nearest
        earlier passage and the cut is read again.
        """
        if length <= 0:
            return Story()
        for earlier, last in self._stages():
            if length <= len(last.text):
                return earlier.add(_cut_turn(last, length))
            length -= len(last.text)
        return self

    def _stages(self) -> list[tuple["Story", Turn]]:
        """Every turn, oldest first, with the story before it."""
        stages, story = [], self
        while story.earlier is not None and story.last is not None:
            stages.append((story.earlier, story.last))
            story = story.earlier
        return stages[::-1]


def _cut_turn(turn: Turn, length: int) -> Turn:
    num_written = length - len(turn.given)
    if num_written == len(turn.written):
        end = turn.after
    elif num_written >= 0:
        end = Passage(turn.written[:num_written], turn.prompted)
    else:
        end = Passage(turn.given[:length], turn.before)
    return Turn(turn.before, end, end)


def common_beginning(text: str, other: str) -> int:
    """How many characters two texts begin with alike, up to where a word ends in both."""
    place, most = 0, min(len(text), len(other))
    for step in (4096, 64, 1):  # compared in blocks, which is quick
        while place < most and text[place : place + step] == other[place : place + step]:
            place += step
    place = min(place, most)
    if all(place == len(t) or t[place].isspace() for t in (text, other)):
        return place
    head = text[:place]
    if head != head.rstrip():
        return len(head.rstrip())
    before_last_word = head.rsplit(maxsplit=1)[:-1]
    return len(before_last_word[0]) if before_last_word else 0


def join(before: str, line: str) -> str:
    """`line` with the space that a writer would put between it and the text `before`.

    There is none where one side has white space already, at the start, beside marks that stand close to a word, and in
    full-width writing, which has no spaces between words.
    """
    if not before or not line:
        return line
    left, right = before[-1], line[0]
    is_close = right in CLOSING_MARKS or left in OPENING_MARKS
    is_wide = any(unicodedata.east_asian_width(symbol) in "WF" for symbol in (left, right))
    return line if left.isspace() or right.isspace() or is_close or is_wide else " " + line


def sentence_ends(text: str) -> list[int]:
    """Where each finished sentence ends, closing quotes included."""
    return [match.end() for match in SENTENCE_END.finditer(text)]


def start_of_last_sentences(text: str, count: int) -> int:
    """Where the last `count` sentences begin, just after the end of the one before; 0 when there are no more.

    The last sentence may be unfinished. White space before it goes with it.
    """
    end_of_text = len(text.rstrip())
    ends = [end for end in sentence_ends(text) if end < end_of_text]
    return ends[-count] if count <= len(ends) else 0


def last_words(text: str, most: int = 60) -> str:
    """The end of `text` on one line, for people."""
    shown = text[-most:].replace("\n", "\\n")
    return "\u2026" + shown if len(text) > most else shown


def first_words(text: str, most: int = 60) -> str:
    """The beginning of `text` on one line, for people."""
    shown = text[:most].replace("\n", "\\n")
    return shown + "\u2026" if len(text) > most else shown
