"""Texts in which what comes next was settled long ago, and how far back that was.

What goes in: a random generator. What comes out: rows of token ids with one token that has to be remembered, the place
where it is asked for, and the distance between the two.

The other such text is `Copying` of `textgen.lesson.delays`. `EmbeddedReber` asks for the second symbol of a string once
more just before its end; between them lies a string of a smaller grammar.

Source: Hochreiter and Schmidhuber 1997, "Long Short-Term Memory", experiment 1 (embedded Reber grammar); the grammar is
Reber 1967, "Implicit learning of artificial grammars".
"""

from typing import Protocol

import numpy as np

from textgen.lesson.delays import Rows


class Task(Protocol):
    """A kind of text."""

    name: str
    symbols: str  # one for each token id
    distances: tuple[int, ...]  # at which memory is measured: each stands for those up to the next one

    def rows(self, draw: np.random.Generator, count: int) -> Rows:
        """So many rows, of distances as the task has them."""
        ...

    def rows_of(self, draw: np.random.Generator, count: int, distance: int) -> Rows:
        """So many rows of about that distance."""
        ...


# From each state, which symbol may follow and where it leads; None is the end.
REBER: dict[int, dict[str, int | None]] = {
    0: {"B": 1},
    1: {"T": 2, "P": 3},
    2: {"S": 2, "X": 4},
    3: {"T": 3, "V": 5},
    4: {"X": 3, "S": 6},
    5: {"P": 4, "V": 6},
    6: {"E": None},
}


class EmbeddedReber:
    """`B`, `T` or `P`, a string of the Reber grammar, the same `T` or `P`, `E`: one string in a row."""

    name = "embedded Reber grammar"
    symbols = "BTPSXVE."  # the last one pads
    distances = (6, 8, 10, 12, 15, 20, 25, 30)

    def __init__(self, longest: int = 40):
        self.longest = longest  # of a whole string; the grammar's longer ones, 1 in 2,000, are left out

    def string(self, draw: np.random.Generator) -> str:
        """One string, up to the longest."""
        while True:
            border, inner, state = "TP"[draw.integers(2)], "", 0
            while state is not None:
                following = list(REBER[state])
                symbol = following[draw.integers(len(following))]
                inner, state = inner + symbol, REBER[state][symbol]
            if len(inner) + 4 <= self.longest:
                return f"B{border}{inner}{border}E"

    def rows(self, draw: np.random.Generator, count: int) -> Rows:
        return self._rows([self.string(draw) for _ in range(count)])

    def rows_of(self, draw: np.random.Generator, count: int, distance: int) -> Rows:
        place = self.distances.index(distance)
        below = self.distances[place + 1] if place + 1 < len(self.distances) else self.longest
        found: list[str] = []
        while len(found) < count:
            string = self.string(draw)
            if distance <= len(string) - 3 < below:
                found.append(string)
        return self._rows(found)

    def _rows(self, strings: list[str]) -> Rows:
        token_ids = np.full((len(strings), self.longest + 1), self.symbols.index("."), np.int32)
        for row, string in zip(token_ids, strings, strict=True):
            row[: len(string)] = [self.symbols.index(symbol) for symbol in string]
        asked = np.array([len(string) - 2 for string in strings])
        return Rows(token_ids, asked, asked - 1)


def legal_symbols(string: str) -> list[set[str]]:
    """What the embedded grammar allows after each symbol of `string` but the last, from what came before it."""
    border, inner = string[1], string[2:-2]
    allowed, state = [{"T", "P"}, {"B"}], 0
    for symbol in inner:
        state = REBER[state][symbol]
        allowed.append({border} if state is None else set(REBER[state]))
    return [*allowed, {"E"}]
