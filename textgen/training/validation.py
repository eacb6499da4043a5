"""The loss on text that the model does not learn from, with the state carried over the whole text.

To use all cores, the text is cut into streams that are read side by side. So that a stream does not start cold, it
first reads the WARM_UP tokens before it, uncounted. For a model that has learned from text the result is that of one
pass; a model that never forgets would need a longer warm-up.
"""

import copy
from typing import Self

import numpy as np
import tensorflow as tf

from textgen.model.language_model import LanguageModel
from textgen.model.recurrent import State
from textgen.model.shards import cut, join, num_shards

STREAMS = 32
BLOCK = 128  # tokens of a stream per call
WARM_UP = 256  # a multiple of BLOCK
FEW_TOKENS = 4096  # in a vocabulary: scoring them while warming up costs less than compiling a reading without scores


class Validation:
    """Callable: mean nats per token of the model's current weights on a fixed text."""

    def __init__(
        self, model: LanguageModel, token_ids: np.ndarray, *, compile_with_xla: bool, cores: int | None = None
    ):
        """Args: token_ids: any integer type [N], N >= 2; cores: to compute for; None is those there are."""
        self.model = model
        self._shard_loss = tf.function(self._loss_of, jit_compile=compile_with_xla, autograph=False)
        self._shard_state = tf.function(self._state_after, jit_compile=compile_with_xla, autograph=False)
        self._block_loss = tf.function(self._sum_of_shards, autograph=False)
        self._read = tf.function(self._states_of_shards, autograph=False)
        self.token_ids = token_ids
        self.num_targets = len(token_ids) - 1
        self.num_streams = max(1, min(STREAMS, self.num_targets // WARM_UP))
        self.num_shards = num_shards(self.num_streams, cores) if compile_with_xla else 1
        self.stream_length = -(-self.num_targets // self.num_streams)
        self.counted_length = self.stream_length  # of each stream

    def limited(self, most_tokens: int) -> Self:
        """The same on the first part of every stream: about `most_tokens` from all over the text."""
        other = copy.copy(self)
        other.counted_length = min(self.stream_length, -(-most_tokens // self.num_streams))
        return other

    @property
    def num_counted(self) -> int:
        """How many predictions the mean is of; all N - 1 unless it is limited."""
        lengths = self.num_targets - np.arange(self.num_streams) * self.stream_length  # the last may be shorter
        return int(np.clip(lengths, 0, self.counted_length).sum())

    def __call__(self) -> float:
        """Mean nats over the predictions that count."""
        state = self.model.zero_state(self.num_streams)
        total = 0.0
        for start in range(-WARM_UP, self.counted_length, BLOCK):
            if start == 0:
                # The first stream has nothing before it: its text begins here, from a zero state.
                keep = np.ones((self.num_streams, 1), np.float32)
                keep[0] = 0
                state = [[tensor * keep for tensor in layer] for layer in state]
            arrays = self._block(start)
            if start < 0 and self.model.config.vocabulary_size > FEW_TOKENS:
                state = self._read(arrays[0], state)
                continue
            loss, state = self._block_loss(arrays, state)
            total += float(loss)
        return total / self.num_counted

    def _block(self, start: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Inputs and targets int32 [BLOCK, S], and which of them count, float32 [BLOCK, S]."""
        offset = start + np.arange(BLOCK)[:, None]
        positions = offset + np.arange(self.num_streams) * self.stream_length
        counted = (offset >= 0) & (offset < self.counted_length) & (positions < self.num_targets)
        inputs = self.token_ids[np.clip(positions, 0, self.num_targets - 1)].astype(np.int32)
        targets = self.token_ids[np.clip(positions + 1, 0, self.num_targets)].astype(np.int32)
        return inputs, targets, counted.astype(np.float32)

    def _sum_of_shards(self, arrays: tuple[tf.Tensor, ...], state: State) -> tuple[tf.Tensor, State]:
        shards = cut(self.num_shards, arrays, state)
        sums, states = zip(*(self._shard_loss(*parts, part) for parts, part in shards), strict=True)
        return tf.add_n(sums), join(states)

    def _states_of_shards(self, inputs: tf.Tensor, state: State) -> State:
        return join([self._shard_state(*arrays, part) for arrays, part in cut(self.num_shards, (inputs,), state)])

    def _loss_of(
        self, inputs: tf.Tensor, targets: tf.Tensor, counted: tf.Tensor, state: State
    ) -> tuple[tf.Tensor, State]:
        losses, state = self.model.losses(inputs, targets, state)
        return tf.reduce_sum(losses * counted), state

    def _state_after(self, inputs: tf.Tensor, state: State) -> State:
        return self.model.losses(inputs, inputs, state)[1]  # what only the losses need is never computed
