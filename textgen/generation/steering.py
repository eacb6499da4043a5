"""What may be written next, decided token by token from what was written before.

A steering follows all rows of a batch. It acts in rule 3 of `sampling.py`: the filters see only what it allows.
"""

from collections.abc import Sequence
from typing import Protocol

import numpy as np


class Steering(Protocol):
    """Decides which ids may follow. It is asked once before each token and told once after it."""

    def allowed(self) -> np.ndarray | None:
        """The ids that may be drawn next, bool [B, V], at least one in each row; None is all of them."""

    def advance(self, token_ids: np.ndarray) -> None:
        """Take note of the ids that were drawn, int [B], -1 in a row whose text has ended for want of one."""


class Together:
    """Several steerings as one: an id may be drawn where all of them allow it."""

    def __init__(self, steerings: Sequence[Steering]):
        self.steerings = steerings

    def allowed(self) -> np.ndarray | None:
        """As in `Steering`."""
        masks = [mask for steering in self.steerings if (mask := steering.allowed()) is not None]
        return np.logical_and.reduce(masks) if masks else None

    def advance(self, token_ids: np.ndarray) -> None:
        """As in `Steering`."""
        for steering in self.steerings:
            steering.advance(token_ids)


class First:
    """Only some ids may be the first of each text; behind it all are allowed."""

    def __init__(self, first: np.ndarray, number: int):
        """Args: first: bool [V], at least one; number: of texts."""
        self._allowed: np.ndarray | None = np.tile(first, (number, 1))

    def allowed(self) -> np.ndarray | None:
        """As in `Steering`."""
        return self._allowed

    def advance(self, token_ids: np.ndarray) -> None:
        """As in `Steering`."""
        self._allowed = None
