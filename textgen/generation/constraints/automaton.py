"""Which characters may follow which in a text that matches, found as they are needed.

Where a text may stand is a set of items. Characters that no item tells apart are one class. Sets that were met, and
what follows them, are kept, and forgotten all together when they are many: a pattern such as `(.*a.{20})` has millions,
of which one text meets a few hundred.
"""

from collections.abc import Mapping

from textgen.generation.constraints.items import Items, members

MAX_BYTES = 64 * 2**20
NOWHERE = 0  # the number of the empty set


class Automaton:
    """Sets of items, by number, and the steps between them."""

    def __init__(self, items: Items, kinds: Mapping[str, int]):
        self.items = items
        alike: dict[frozenset[str], int] = {}  # the items that read the same characters
        for number, symbols in enumerate(items.reads):
            alike[symbols] = alike.get(symbols, 0) | 1 << number
        readers = dict.fromkeys(kinds, 0)  # the items that read each character
        for symbols, found in alike.items():
            for symbol in symbols:
                readers[symbol] |= found
        classes: dict[tuple[int, int], int] = {}
        self.class_of = {s: classes.setdefault((readers[s], kind), len(classes)) for s, kind in kinds.items()}
        self._classes = list(classes)  # for each class: the set of its readers, and its kind
        set_bytes = 200 + len(items.reads) // 8 + 8 * len(classes)
        self._most_sets = max(1000, MAX_BYTES // set_bytes)
        self.forget()

    def forget(self) -> None:
        """Forget all sets and their numbers."""
        self._sets: list[int] = []
        self._numbers: dict[int, int] = {}
        self._steps: list[list[int]] = []
        self.number_of(0)

    @property
    def is_full(self) -> bool:
        """Whether it is time to `forget`."""
        return len(self._sets) > self._most_sets

    def set_of(self, number: int) -> int:
        """The set of that number."""
        return self._sets[number]

    def number_of(self, found: int) -> int:
        """The number of a set."""
        number = self._numbers.setdefault(found, len(self._sets))
        if number == len(self._sets):
            self._sets.append(found)
            self._steps.append([-1] * len(self._classes))
        return number

    def step(self, number: int, class_number: int) -> int:
        """The set behind a character of that class, by its number; NOWHERE where none may stand there."""
        if (after := self._steps[number][class_number]) >= 0:
            return after
        readers, kind = self._classes[class_number]
        following, found = self.items.following, 0
        for item in members(self._sets[number] & readers):
            found |= following[item].get(kind, 0)
        after = self._steps[number][class_number] = self.number_of(found)
        return after

    def all_behind(self, found: int) -> set[int]:
        """The sets where a text may stand one character behind the set `found`."""
        number = self.number_of(found)
        return {self._sets[self.step(number, class_number)] for class_number in range(len(self._classes))}

    def read(self, found: int, text: str) -> int:
        """The set behind `text`, which begins where the set `found` stands; 0 where it cannot go on so."""
        number = self.number_of(found)
        for symbol in text:
            number = self.step(number, self.class_of[symbol]) if symbol in self.class_of else NOWHERE
        return self._sets[number]

    def may_end(self, found: int) -> bool:
        """Whether a text may end that stands at the set `found`."""
        return found & self.items.ends != 0
