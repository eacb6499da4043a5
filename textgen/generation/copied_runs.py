"""Which characters of a text are copied: those of runs that stand in another text, found as the text is written.

At every character the longest end of the text is known that stands in the index (`window`). A run is as long as it can
be: neither the character before it nor the one behind it can be added. So two runs may overlap.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from textgen.store.copy_index import CopyIndex

MARKED_FROM = 20  # characters, about four words: shorter runs are in any text of the same kind
MARKS = ("\u27e6", "\u27e7")  # around what is copied, in plain text


class CopiedRun(NamedTuple):
    """Characters `start` to `end`, that excluded, which stand in the other text from its character `place` on."""

    start: int
    end: int
    place: int


class CopyFinder:
    """Follows a text."""

    def __init__(self, index: CopyIndex, at_least: int = MARKED_FROM):
        """Args: at_least: characters of a run that counts."""
        self.index, self.at_least = index, at_least
        self.runs: list[CopiedRun] = []  # those that have ended
        self._window = bytearray()  # the longest end of the text that stands in the index
        self._length = 0  # its characters
        self._place = 0  # where it stands
        self._position = 0  # characters so far
        self._held = ""  # the last of them, of which it is not known yet whether they are copied

    def feed(self, text: str) -> Iterator[tuple[str, bool]]:
        """What is certain now: pieces of the text, and whether each is copied."""
        for character in text:
            self._add(character)
            self._held += character
            free = len(self._held) - self._length
            if free > 0:
                yield self._held[:free], False
                self._held = self._held[free:]
            if self._length >= self.at_least:
                yield self._held, True
                self._held = ""

    def read(self, prompt: str) -> None:
        """Follow a text that stands before; its own runs do not count, nor is it given back."""
        for character in prompt:
            self._add(character)
        self.runs.clear()

    def finish(self) -> Iterator[tuple[str, bool]]:
        """The rest of the text, which has ended."""
        if self._held:
            yield self._held, False
        self._keep_run()
        self._window, self._length, self._held = bytearray(), 0, ""

    def _add(self, character: str) -> None:
        added = character.encode("utf-8", "surrogatepass")
        if not (self._window and self.index.text.startswith(added, self._place + len(self._window))):
            place = self.index.find(bytes(self._window) + added)
            if place is None:
                self._keep_run()
                self._position += 1
                self._shorten(self._window.decode("utf-8", "surrogatepass") + character)
                return
            self._place = place
        self._window += added
        self._length += 1
        self._position += 1

    def _shorten(self, text: str) -> None:
        """Let the window be the longest end of `text`, which itself stands nowhere, that stands somewhere."""
        least, most = 0, len(text) - 1
        while least < most:
            length = (least + most + 1) // 2
            place = self.index.find(text[len(text) - length :].encode("utf-8", "surrogatepass"))
            if place is None:
                most = length - 1
            else:
                least, self._place = length, place
        self._window = bytearray(text[len(text) - least :].encode("utf-8", "surrogatepass"))
        self._length = least

    def _keep_run(self) -> None:
        if self._length >= self.at_least:
            place = self.index.find(bytes(self._window))
            before = self.index.characters_before(self._place if place is None else place)
            self.runs.append(CopiedRun(self._position - self._length, self._position, before))


def marked(pieces: Iterable[str], finder: CopyFinder) -> Iterator[tuple[str, bool]]:
    """The text of `pieces`, and which of it is copied."""
    for piece in pieces:
        yield from finder.feed(piece)
    yield from finder.finish()


def copied_runs(prompt: str, completion: str, index: CopyIndex, at_least: int = MARKED_FROM) -> list[CopiedRun]:
    """The runs that end in `completion`, in characters of both texts together."""
    finder = CopyFinder(index, at_least)
    finder.read(prompt)
    for _ in marked([completion], finder):
        pass
    return [run for run in finder.runs if run.end > len(prompt)]


def with_marks(pieces: Iterable[tuple[str, bool]]) -> Iterator[str]:
    """What is copied between MARKS."""
    was_copied = False
    for piece, is_copied in pieces:
        if is_copied != was_copied:
            yield MARKS[was_copied]
        yield piece
        was_copied = is_copied
    if was_copied:
        yield MARKS[1]
