"""Texts in which what comes next was settled long ago, and how far back that was.

What goes in: a random generator. What comes out: rows of token ids with one token that has to be remembered, the place
where it is asked for, and the distance between the two.

`Copying` shows a symbol, then blanks, then a cue, and asks for the symbol. `EmbeddedReber` asks for the second symbol
of a string once more just before its end; between them lies a string of a smaller grammar.

Source: Hochreiter and Schmidhuber 1997, "Long Short-Term Memory", experiments 1 (embedded Reber grammar) and 2 (long
delays); the grammar is Reber 1967, "Implicit learning of artificial grammars".
"""

from typing import NamedTuple, Protocol

import numpy as np


class Rows(NamedTuple):
    """Some texts. A row ends in padding, which is a token of its own."""

    token_ids: np.ndarray  # int32 [B, T + 1]
    asked: np.ndarray  # int [B]: token_ids[b, asked[b]] is what must be remembered
    distance: np.ndarray  # int [B]: so many tokens before, the row showed it

    def inputs(self) -> np.ndarray:
        """What a model reads, int32 [B, T]."""
        return self.token_ids[:, :-1]

    def targets(self) -> np.ndarray:
        """What it has to predict, int32 [B, T]."""
        return self.token_ids[:, 1:]

    def select(self, chosen: np.ndarray) -> "Rows":
        """The rows that `chosen` (bool [B] or places) names."""
        return Rows(*(array[chosen] for array in self))


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


class Copying:
    """A symbol, so many blanks, a cue, and the symbol again; delays are drawn evenly up to the longest."""

    name = "copying"

    def __init__(self, longest: int = 100, choices: int = 8):
        self.symbols = "abcdefghijklmnopqrstuvwxyz"[:choices] + "?."  # the cue, the blank
        self.choices, self.longest = choices, longest
        self.distances = tuple(d for d in (2, 5, 10, 20, 30, 40, 50, 60, 70, 80, 90, 100) if d <= longest)

    def rows(self, draw: np.random.Generator, count: int) -> Rows:
        return self._rows(draw, draw.integers(2, self.longest + 1, size=count))

    def rows_of(self, draw: np.random.Generator, count: int, distance: int) -> Rows:
        return self._rows(draw, np.full(count, distance))

    def _rows(self, draw: np.random.Generator, distance: np.ndarray) -> Rows:
        count, everywhere = len(distance), np.arange(len(distance))
        token_ids = np.full((count, self.longest + 2), self.symbols.index("."), np.int32)
        shown = draw.integers(self.choices, size=count)
        token_ids[:, 0] = shown
        token_ids[everywhere, distance - 1] = self.symbols.index("?")
        token_ids[everywhere, distance] = shown
        return Rows(token_ids, distance.copy(), distance)


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
