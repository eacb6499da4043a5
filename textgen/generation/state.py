"""The recurrent state after a text was read, small enough to keep one for every turn of a story."""

import dataclasses
from typing import Self

import numpy as np

MAX_RECENT = 4096  # the largest --repeat-last-n


@dataclasses.dataclass(frozen=True)
class Context:
    """What an engine knows after the last token of one stream. It is never changed in place."""

    hidden: np.ndarray  # float32 [L, H]
    memory: np.ndarray  # float32 [L, H]; an LSTM's memory cells, zeros for other cells
    logits: np.ndarray  # float32 [V], scores of the next token
    recent: np.ndarray  # int32, the latest token ids, at most MAX_RECENT, oldest first

    @classmethod
    def empty(cls, num_layers: int, units: int, vocabulary_size: int) -> Self:
        """Before the first token. Its logits mean nothing: a model reads at least one token before it writes."""
        state = np.zeros((num_layers, units), np.float32)
        return cls(state, state, np.zeros(vocabulary_size, np.float32), np.zeros(0, np.int32))

    def recent_rows(self, last_n: int, num_rows: int) -> np.ndarray:
        """The latest ids as equal rows, int32 [num_rows, last_n], filled up with -1 at the front."""
        row = np.full(last_n, -1, np.int32)
        kept = self.recent[-last_n:]
        row[last_n - len(kept) :] = kept
        return np.tile(row, (num_rows, 1))
