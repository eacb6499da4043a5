"""The delay task: a symbol is shown, and asked for so many tokens later.

Source: Hochreiter and Schmidhuber 1997, "Long Short-Term Memory", experiment 2 (long delays).
"""

from typing import NamedTuple

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


class Copying:
    """A symbol, so many blanks, a cue, and the symbol again; delays are drawn evenly up to the longest."""

    name = "copying"

    def __init__(self, longest: int = 100, choices: int = 8):
        self.symbols = "abcdefghijklmnopqrstuvwxyz"[:choices] + "?."  # the cue, the blank
        self.choices, self.longest = choices, longest
        self.distances = tuple(d for d in (2, 5, 10, 20, 30, 40, 50, 60, 70, 80, 90, 100) if d <= longest)

    def rows(self, draw: np.random.Generator, count: int) -> Rows:
        """So many rows, of distances from 2 to the longest."""
        return self._rows(draw, draw.integers(2, self.longest + 1, size=count))

    def rows_of(self, draw: np.random.Generator, count: int, distance: int) -> Rows:
        """So many rows of that distance."""
        return self._rows(draw, np.full(count, distance))

    def _rows(self, draw: np.random.Generator, distance: np.ndarray) -> Rows:
        count, everywhere = len(distance), np.arange(len(distance))
        token_ids = np.full((count, self.longest + 2), self.symbols.index("."), np.int32)
        shown = draw.integers(self.choices, size=count)
        token_ids[:, 0] = shown
        token_ids[everywhere, distance - 1] = self.symbols.index("?")
        token_ids[everywhere, distance] = shown
        return Rows(token_ids, distance.copy(), distance)
