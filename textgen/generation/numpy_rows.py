"""The states of texts that the NumPy engine writes side by side: each can begin and end at any token."""

from typing import TYPE_CHECKING

import numpy as np

from textgen.generation.few_rows import is_striped
from textgen.generation.state import Context

if TYPE_CHECKING:
    from textgen.generation.numpy_engine import NumpyEngine


class Rows:
    """States and scores of `size` rows, in buffers for `most` that are made once."""

    logits: np.ndarray  # float32 [B, V], scores of the next token of each row

    def __init__(self, engine: "NumpyEngine", most: int):
        self.engine, self._most = engine, most
        shape, L, H = engine.config, engine.config.num_layers, engine.config.units
        self._embedding_size = 0 if engine.is_folded else shape.embedding_size
        # [B, E + L * H]: the embedding unless it is folded, then layer after layer, so that a layer's input stands
        # before its own state.
        self._all_values = np.zeros((most, self._embedding_size + L * H), np.float32)
        self._all_memory = np.zeros((L, most, H), np.float32)
        self._all_logits = np.zeros((most, shape.vocabulary_size), np.float32)
        self.resize(0)

    def resize(self, size: int) -> None:
        """Let there be `size` rows; new ones hold nothing of worth until they are `put`."""
        self._values, self.logits = self._all_values[:size], self._all_logits[:size]
        self._memory = [memory[:size] for memory in self._all_memory]
        self._cells = [cell.prepared(size) for cell in self.engine.cells]
        self._stripes = self.engine.output_stripes if is_striped(self.engine.output_kernel, size) else None

    def put(self, rows: slice, context: Context) -> None:
        """The texts in `rows` go on after `context`."""
        self._all_values[rows, self._embedding_size :] = context.hidden.reshape(1, -1)
        self._all_memory[:, rows] = context.memory[:, None]
        self._all_logits[rows] = context.logits

    def copy(self, source: int, target: int) -> None:
        """The text in the row `target` goes on as that in `source`."""
        self._all_values[target] = self._all_values[source]
        self._all_memory[:, target] = self._all_memory[:, source]
        self._all_logits[target] = self._all_logits[source]

    def advance(self, token_ids: np.ndarray) -> None:
        """Let the network read an id for each row, int [B]."""
        engine, H = self.engine, self.engine.config.units
        looked_up = engine.table.take(token_ids, axis=0)
        projected = looked_up if engine.is_folded else None
        if not engine.is_folded:
            self._values[:, : self._embedding_size] = looked_up
        begin, end = 0, self._embedding_size
        for cell, memory in zip(self._cells, self._memory, strict=True):
            end += H
            cell.step(projected, self._values[:, begin:end], self._values[:, end - H : end], memory)
            projected, begin = None, end - H  # the layer above reads this one's hidden state, and its own beside it
        features = self._values[:, -engine.config.features :]  # the last layer's hidden state, or all layers'
        if engine.output_projection is not None:
            features = features @ engine.output_projection
        if self._stripes is not None:
            self._stripes.product(features, self.logits)
        else:
            np.dot(features, engine.output_kernel, out=self.logits)
        self.logits += engine.output_bias
