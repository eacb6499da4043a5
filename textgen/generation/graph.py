"""The network as one compiled TensorFlow loop: for GPUs and for many samples at once.

It writes the text that `numpy_engine.py` writes. The loop writes a block of tokens per call. How many is a number of
the call, not of the trace, so the first block can be short and nothing is compiled twice.

NOTE: compiling takes about a second for each new batch size and each new set of settings that act.
"""

import contextlib
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from textgen.config import ModelConfig, SamplingConfig
from textgen.generation.barred import Barred
from textgen.generation.graph_network import Network, State, fold_weights
from textgen.generation.graph_philox import uniforms
from textgen.generation.graph_sampling import Active, GraphBarred, Rules, next_ids, rules_of
from textgen.generation.state import MAX_RECENT, Context
from textgen.generation.steering import Steering
from textgen.tensorflow_runtime import check_not_forked

READ_BLOCK = 512  # the longest run of tokens that one call reads
FIRST_BLOCK = 16  # text begins to stream after so many tokens; each block is twice the one before ...
WRITE_BLOCK = 256  # ... up to this
NEVER = -(2**30)  # where an id was last seen that was not


class Stream(NamedTuple):
    """What one block of writing leaves for the next."""

    state: State
    last_seen: tf.Tensor  # int32 [B, V], at which token an id was written last; the first to be written is token 0
    group: tf.Tensor  # int32 [B], that of the latest id in `Barred`


class TensorFlowEngine:
    """Reads and writes token ids with a model's weights."""

    def __init__(self, config: ModelConfig, weights: dict[str, np.ndarray]):
        """Args: weights: float32, as `model_directory.weight_shapes(config)`."""
        self.config = config
        self.weights = {name: tf.constant(value) for name, value in fold_weights(config, weights).items()}
        self._read = tf.function(self._read_block, jit_compile=True, autograph=False)
        self._write = tf.function(self._write_block, jit_compile=True, autograph=False)

    def read(self, token_ids: np.ndarray, context: Context | None = None) -> Context:
        """The context after `token_ids` (int [T], may be empty), which follow `context`.

        Raises TextgenError in a process that was forked from the engine's.
        """
        check_not_forked()
        if context is None:
            context = Context.empty(self.config.num_layers, self.config.units, self.config.vocabulary_size)
        state, logits = _state_of(context, 1), tf.constant(context.logits[None])  # [1, V]
        token_ids = np.asarray(token_ids, np.int32)
        for start in range(0, len(token_ids), READ_BLOCK):
            block = token_ids[start : start + READ_BLOCK]
            padded = tf.constant(np.pad(block, (0, READ_BLOCK - len(block))))
            with _full_precision():
                state, logits = self._read(self.weights, state, padded, tf.constant(len(block)))
        recent = np.concatenate([context.recent, token_ids])[-MAX_RECENT:]
        hidden, memory = (np.concatenate([layer.numpy() for layer in layers]) for layers in state)
        return Context(hidden, memory, logits.numpy()[0], recent)

    def write(
        self,
        context: Context,
        config: SamplingConfig,
        samples: np.ndarray,
        barred: Barred | None = None,
        steering: Steering | None = None,
    ) -> Iterator[np.ndarray]:
        """Yield blocks of token ids without end, int32 [n, B].

        Args:
            context: what all samples continue; it is not changed.
            samples: int [B], the samples' numbers: each has its own random numbers.
            barred: ids that are not to be written; None is none.
            steering: of these samples, asked between two blocks of one token; None allows all ids.
        """
        rules, active = rules_of(config)
        seed, last_n = tf.constant(config.seed, tf.int64), tf.constant(config.repeat_last_n)
        stream, numbers = self._start(context, len(samples), barred), tf.constant(np.asarray(samples, np.int64))
        graph_barred = GraphBarred.of(barred)
        position, count = 0, 1 if steering is not None else FIRST_BLOCK
        while True:
            first = tf.constant(position, tf.int64)
            uniform = (seed, numbers, first)
            mask = None if steering is None else steering.allowed()
            allowed = None if mask is None else tf.constant(mask)
            with _full_precision():
                written, stream = self._write(
                    self.weights, stream, uniform, tf.constant(count), rules, last_n, graph_barred, allowed, active
                )
            token_ids = written.numpy()[:count]
            if steering is not None:
                steering.advance(token_ids[0])
            yield token_ids
            position += count
            count = 1 if steering is not None else min(2 * count, WRITE_BLOCK)

    def _start(self, context: Context, batch_size: int, barred: Barred | None) -> Stream:
        last_seen = np.full(self.config.vocabulary_size, NEVER, np.int32)
        last_seen[context.recent] = np.arange(-len(context.recent), 0)  # of equal ids, the latest stays
        group = 0 if barred is None else barred.group_after(context.recent)
        rows = tf.constant(np.tile(last_seen, (batch_size, 1)))
        return Stream(_state_of(context, batch_size), rows, tf.fill([batch_size], group))

    def _read_block(
        self, weights: dict[str, tf.Tensor], state: State, token_ids: tf.Tensor, count: tf.Tensor
    ) -> tuple[State, tf.Tensor]:
        """State and logits [1, V] after the first `count` of `token_ids` [READ_BLOCK]."""
        network = Network(self.config, weights)

        def step(t: tf.Tensor, state: State) -> tuple[tf.Tensor, State]:
            return t + 1, network.advance(token_ids[t][None], state)

        _, state = tf.while_loop(lambda t, _: t < count, step, (0, state))
        return state, network.logits(state)

    def _write_block(
        self,
        weights: dict[str, tf.Tensor],
        stream: Stream,
        uniform: tuple[tf.Tensor, tf.Tensor, tf.Tensor],
        count: tf.Tensor,
        rules: Rules,
        last_n: tf.Tensor,
        barred: GraphBarred | None,
        allowed: tf.Tensor | None,
        active: Active,
    ) -> tuple[tf.Tensor, Stream]:
        """Write `count` tokens of every row.

        Args:
            uniform: seed, samples [B] and number of the first token, int64.
            count: at most WRITE_BLOCK.
            last_n: how many recent tokens the repeat penalty looks at.
            allowed: bool [B, V], the ids that may be drawn, of a call for one token; None is all.

        Returns:
            int32 [WRITE_BLOCK, B], of which the first `count` rows are meant, and what the next call goes on from.
        """
        network = Network(self.config, weights)
        numbers = uniforms(*uniform, WRITE_BLOCK)  # [WRITE_BLOCK, B]
        first = tf.cast(uniform[2], tf.int32)
        written = tf.TensorArray(tf.int32, size=WRITE_BLOCK, element_shape=stream.last_seen.shape[:1])

        def step(t: tf.Tensor, stream: Stream, written: tf.TensorArray) -> tuple[tf.Tensor, Stream, tf.TensorArray]:
            seen = stream.last_seen >= first + t - last_n
            is_barred = None if barred is None else tf.gather(barred.masks, stream.group)
            if allowed is not None:
                is_barred = ~allowed if is_barred is None else is_barred | ~allowed
            token_ids = next_ids(network.logits(stream.state), numbers[t], rules, active, seen, is_barred)
            state = network.advance(token_ids, stream.state)
            last_seen = (
                mark_seen(stream.last_seen, token_ids, first + t) if active["repeat_penalty"] else stream.last_seen
            )
            group = stream.group if barred is None else tf.gather(barred.groups, token_ids)
            return t + 1, Stream(state, last_seen, group), written.write(t, token_ids)

        _, stream, written = tf.while_loop(lambda t, *_: t < count, step, (0, stream, written))
        return written.stack(), stream


def mark_seen(last_seen: tf.Tensor, token_ids: tf.Tensor, position: tf.Tensor) -> tf.Tensor:
    """`last_seen` [B, V] with `position` at each row's `token_ids` [B]."""
    is_token = tf.range(last_seen.shape[-1])[None] == token_ids[:, None]
    return tf.where(is_token, position, last_seen)


def _state_of(context: Context, batch_size: int) -> State:
    """`context` in every row."""
    layers = ([np.tile(row, (batch_size, 1)) for row in part] for part in (context.hidden, context.memory))
    return State(*(tuple(tf.constant(layer) for layer in part) for part in layers))


@contextlib.contextmanager
def _full_precision() -> Iterator[None]:
    """Keep a GPU from rounding the operands of matrix products to 11 bits (TF32), which would change the text."""
    allowed = tf.config.experimental.tensor_float_32_execution_enabled()
    tf.config.experimental.enable_tensor_float_32_execution(False)
    try:
        yield
    finally:
        tf.config.experimental.enable_tensor_float_32_execution(allowed)
