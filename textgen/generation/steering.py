"""What may be written next, decided token by token from what was written before.

A steering follows all rows of a batch. It acts as rule 1 of `sampling.py`: before the penalties and the filters, which
see only what it allows. Where it allows nothing, the text ends.
"""

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from textgen.generation.barred import Barred


class Steering(Protocol):
    """Decides which ids may follow. It is asked once before each token and told once after it."""

    def allowed(self) -> np.ndarray | None:
        """The ids that may be drawn next, bool [B, V]; None is all of them. Where a row has none, its text ends."""

    def advance(self, token_ids: np.ndarray) -> None:
        """Take note of the ids that were drawn, int [B]."""


class Together:
    """Several steerings as one: an id may be drawn where all of them allow it.

    Where that is no id that the model writes, the text of the row has ended, before the token that is drawn next:
    `ended` is bool [B].
    """

    def __init__(
        self,
        steerings: Sequence[Steering],
        num_rows: int,
        barred: Barred | None = None,
        recent: np.ndarray = np.zeros(0, np.int32),  # noqa: B008 (nobody changes it)
    ):
        """Args: barred: the ids that are not written in any case. recent: int [R], the latest ids before the text."""
        self.steerings, self.barred = steerings, barred
        self.ended = np.zeros(num_rows, bool)
        self._groups = np.full(num_rows, 0 if barred is None else barred.group_after(recent))

    def allowed(self) -> np.ndarray | None:
        """As in `Steering`, with at least one id in each row. What is drawn for a text that has ended means nothing."""
        masks = [mask for steering in self.steerings if (mask := steering.allowed()) is not None]
        if not masks:
            return None
        both = np.logical_and.reduce(masks)
        written = both
        if self.barred is not None:
            written = both.copy()
            for row, group in zip(written, self._groups, strict=True):
                row[self.barred.ids[group]] = False
        self.ended |= ~written.any(axis=-1)
        both[self.ended] = True
        return both

    def advance(self, token_ids: np.ndarray) -> None:
        """As in `Steering`."""
        if self.barred is not None:
            self._groups = self.barred.groups[token_ids]
        for steering in self.steerings:
            steering.advance(token_ids)
