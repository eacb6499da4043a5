"""What a writer has on the desk: a story by each name, which of them is being written, and what was there before.

Both are values. A change makes another desk and, in one step, another history, so that Ctrl-C finds the old one or the
new one.
"""

import dataclasses
from collections.abc import Mapping

from textgen.repl.story import Story

MAIN = "main"  # the name of the first story
MAX_BRANCHES = 100
MAX_NAME = 80  # characters


@dataclasses.dataclass(frozen=True, eq=False)
class Desk:
    """Stories by name, in the order in which they were made; the one called `name` is being written."""

    name: str = MAIN
    branches: Mapping[str, Story] = dataclasses.field(default_factory=lambda: {MAIN: Story()})

    @property
    def story(self) -> Story:
        """The story that is being written."""
        return self.branches[self.name]

    def with_story(self, story: Story, name: str | None = None) -> "Desk":
        """The desk with another story by that name, the present one if none is given, to go on with."""
        name = self.name if name is None else name
        return Desk(name, {**self.branches, name: story})

    def at(self, name: str) -> "Desk":
        """The desk with the story `name` to go on with."""
        return Desk(name, self.branches)


@dataclasses.dataclass(frozen=True, eq=False)
class History:
    """The desk as it is, as it was before each change, and as it was before changes were taken back."""

    present: Desk = dataclasses.field(default_factory=Desk)
    past: tuple[Desk, ...] = ()  # oldest first
    future: tuple[Desk, ...] = ()  # nearest last

    def changed(self, desk: Desk) -> "History":
        """After a change to `desk`."""
        return History(desk, (*self.past, self.present))

    def undone(self) -> "History":
        """With the last change taken back; there must be one."""
        return History(self.past[-1], self.past[:-1], (*self.future, self.present))

    def redone(self) -> "History":
        """With what was taken back done again; there must be something."""
        return History(self.future[-1], (*self.past, self.present), self.future[:-1])
