"""Which characters may follow which in a text that matches, found as they are needed.

Where a text may stand is a set of items. Characters that no item tells apart are one class. Sets that were met, and
what follows them, are kept, and forgotten all together when they are many: a pattern such as `(.*a.{20})` has millions,
of which one text meets a few hundred.
"""

from collections.abc import Mapping

import numpy as np

from textgen.generation.constraints.items import Items, TooLargeError, members

MAX_BYTES = 64 * 2**20
MAX_FOLLOWED = 10_000_000  # items that are followed by a limited automaton: some two seconds
ITEMS_A_STEP = 4  # to which the rest of a step comes
NOWHERE = 0  # the number of the empty set
UNKNOWN = -1


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
        self._num_followed, self.is_limited = 0, False
        self._classes = list(classes)  # for each class: the set of its readers, and its kind
        self._most_sets = max(1000, MAX_BYTES // (200 + len(items.reads) // 8 + 4 * len(classes)))
        self.forget()

    @property
    def num_classes(self) -> int:
        """How many classes of characters there are."""
        return len(self._classes)

    @property
    def followed(self) -> float:
        """The share of MAX_FOLLOWED that was followed until now."""
        return self._num_followed / MAX_FOLLOWED

    def forget(self) -> None:
        """Forget all sets and their numbers."""
        self._sets: list[int] = []
        self._numbers: dict[int, int] = {}
        self._steps = np.full((64, len(self._classes)), UNKNOWN, np.int32)
        self.number_of(0)
        self._steps[NOWHERE] = NOWHERE

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
            if number == len(self._steps):
                self._steps = np.concatenate([self._steps, np.full_like(self._steps, UNKNOWN)])
        return number

    def step(self, number: int, class_number: int) -> int:
        """The set behind a character of that class, by its number; NOWHERE where no text may stand there."""
        after = int(self._steps[number, class_number])
        if after == UNKNOWN:
            readers, kind = self._classes[class_number]
            following, found, here = self.items.following, 0, self._sets[number] & readers
            self._num_followed += here.bit_count() + ITEMS_A_STEP
            if self.is_limited and self.followed > 1:
                raise TooLargeError
            for item in members(here):
                found |= following[item].get(kind, 0)
            after = self.number_of(found)
            self._steps[number, class_number] = after
        return after

    def steps(self, numbers: np.ndarray, classes: np.ndarray) -> np.ndarray:
        """`step` for many sets and classes, int32 [N]."""
        after = self._steps[numbers, classes]
        if (after == UNKNOWN).any():
            unknown = np.flatnonzero(after == UNKNOWN)
            pairs = np.unique(numbers[unknown].astype(np.int64) * self.num_classes + classes[unknown])
            for pair in pairs.tolist():
                self.step(*divmod(pair, self.num_classes))
            after = self._steps[numbers, classes]
        return after

    def all_behind(self, found: int) -> set[int]:
        """The sets where a text may stand one character behind the set `found`."""
        number = self.number_of(found)
        return {self._sets[self.step(number, class_number)] for class_number in range(self.num_classes)}

    def read(self, found: int, text: str) -> int:
        """The set behind `text`, which begins where the set `found` stands."""
        number = self.number_of(found)
        for symbol in text:
            number = self.step(number, self.class_of[symbol])
        return self._sets[number]

    def may_end(self, found: int) -> bool:
        """Whether a text may end that stands at the set `found`."""
        return found & self.items.ends != 0
