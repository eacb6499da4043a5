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
from textgen.generation.graph_past import Follower, GraphBarred, Past
from textgen.generation.graph_philox import uniforms
from textgen.generation.graph_sampling import Active, Rules, chosen, rules_at, rules_of, without
from textgen.generation.numpy_engine import NumpyEngine
from textgen.generation.past import streaks_of
from textgen.generation.sampling import occurrences
from textgen.generation.state import MAX_RECENT, Context
from textgen.generation.steering import Steering
from textgen.tensorflow_runtime import check_not_forked

READ_BLOCK = 512  # the longest run of tokens that one call reads
FIRST_BLOCK = 16  # text begins to stream after so many tokens; each block is twice the one before ...
WRITE_BLOCK = 256  # ... up to this
LEAST_HISTORY = 256  # tokens that are remembered where any are; a longer history doubles, and compiles again


class Stream(NamedTuple):
    """What one block of writing leaves for the next."""

    state: State
    past: Past


class TensorFlowEngine:
    """Reads and writes token ids with a model's weights."""

    def __init__(self, config: ModelConfig, weights: dict[str, np.ndarray]):
        """Args: weights: float32, as `model_directory.weight_shapes(config)`."""
        self.config = config
        self._stored = weights
        self._numpy: NumpyEngine | None = None
        self.weights = {name: tf.constant(value) for name, value in fold_weights(config, weights).items()}
        self._read = tf.function(self._read_block, jit_compile=True, autograph=False)
        self._write = tf.function(self._write_block, jit_compile=True, autograph=False)

    def in_numpy(self) -> NumpyEngine:
        """The same network with NumPy."""
        if self._numpy is None:
            self._numpy = NumpyEngine(self.config, self._stored)
        return self._numpy

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
        """Yield blocks of token ids without end, int32 [n, B]; -1 where nothing may follow.

        Args:
            context: what all samples continue; it is not changed.
            samples: int [B], the samples' numbers: each has its own random numbers.
            barred: ids that are not to be written; None is none.
            steering: of these samples, asked between two blocks of one token; None allows all ids.
        """
        rules, active = rules_of(config)
        rules = {**rules, "repeat_last_n": tf.constant(config.repeat_last_n)}
        seed, graph_barred = tf.constant(config.seed, tf.int64), GraphBarred.of(barred)
        stream, numbers = self._start(context, config, len(samples), barred), tf.constant(np.asarray(samples, np.int64))
        position, count = 0, 1 if steering is not None else FIRST_BLOCK
        while True:
            if config.no_repeat_ngram:
                stream = Stream(stream.state, _with_room(stream.past, len(context.recent) + position + count))
            uniform = (seed, numbers, tf.constant(position, tf.int64))
            mask = None if steering is None else steering.allowed()
            allowed = None if mask is None else tf.constant(mask)
            with _full_precision():
                written, stream = self._write(
                    self.weights, stream, uniform, tf.constant(count), rules, graph_barred, allowed, active
                )
            token_ids = written.numpy()[:count]
            if steering is not None:
                steering.advance(token_ids[0])
            yield token_ids
            position += count
            count = 1 if steering is not None else min(2 * count, WRITE_BLOCK)

    def _start(self, context: Context, config: SamplingConfig, num_rows: int, barred: Barred | None) -> Stream:
        """What all rows go on from, with those parts of the past that the rules ask for."""
        group = tf.fill([num_rows], 0 if barred is None else barred.group_after(context.recent))
        parts: dict[str, tf.Tensor] = {}
        in_rows = lambda row: tf.constant(np.tile(row, (num_rows, 1)))  # noqa: E731
        if config.penalises or config.no_repeat_ngram:
            size = config.repeat_last_n if config.penalises else 0
            size = _room_for(max(size, len(context.recent) if config.no_repeat_ngram else 0))
            recent = context.recent_rows(size, 1)
            parts["history"] = tf.transpose(in_rows(recent))
            if config.penalises:
                counts = occurrences(recent[:, size - config.repeat_last_n :], self.config.vocabulary_size)
                parts["counts"] = in_rows(counts.astype(np.int32))
            if config.no_repeat_ngram:
                parts["streaks"] = tf.transpose(in_rows(streaks_of(recent[0], config.no_repeat_ngram)))
        if barred is not None and barred.banned is not None:
            parts["is_open"] = in_rows(barred.banned.open_after(context.recent))
        if barred is not None and barred.units is not None:
            parts |= {"units": tf.zeros([num_rows], tf.int32), "unit_is_open": tf.zeros([num_rows], tf.bool)}
        return Stream(_state_of(context, num_rows), Past(group, **parts))

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
        barred: GraphBarred | None,
        allowed: tf.Tensor | None,
        active: Active,
    ) -> tuple[tf.Tensor, Stream]:
        """Write `count` tokens of every row.

        Args:
            uniform: seed, samples [B] and number of the first token, int64.
            count: at most WRITE_BLOCK.
            allowed: bool [B, V], the ids that may be drawn, of a call for one token; None is all.

        Returns:
            int32 [WRITE_BLOCK, B], of which the first `count` rows are meant, and what the next call goes on from.
        """
        network = Network(self.config, weights)
        numbers = uniforms(*uniform, WRITE_BLOCK)  # [WRITE_BLOCK, B]
        first = tf.cast(uniform[2], tf.int32)
        written = tf.TensorArray(tf.int32, size=WRITE_BLOCK, element_shape=stream.past.group.shape)
        # Every part of the past that is kept is asked for.
        follower = Follower(rules, active, barred, self.config.vocabulary_size, asks=True)

        def step(t: tf.Tensor, stream: Stream, written: tf.TensorArray) -> tuple[tf.Tensor, Stream, tf.TensorArray]:
            scores = follower.scores(network.logits(stream.state), stream.past)
            if allowed is not None:
                scores = without(scores, ~allowed)
            token_ids = chosen(scores, numbers[t], *rules_at(first + t, rules, active))
            state = network.advance(tf.maximum(token_ids, 0), stream.state)
            return t + 1, Stream(state, follower.after(stream.past, token_ids)), written.write(t, token_ids)

        _, stream, written = tf.while_loop(lambda t, *_: t < count, step, (0, stream, written))
        return written.stack(), stream


def _room_for(num_tokens: int) -> int:
    """How many tokens of a history are kept of so many: a power of two, at most MAX_RECENT."""
    size = LEAST_HISTORY
    while size < min(num_tokens, MAX_RECENT):
        size *= 2
    return size


def _with_room(past: Past, num_tokens: int) -> Past:
    """`past` with a history of so many tokens."""
    more = [[_room_for(num_tokens) - len(past.history), 0], [0, 0]]
    if more[0][0] <= 0:
        return past
    return past._replace(history=tf.pad(past.history, more, constant_values=-1), streaks=tf.pad(past.streaks, more))


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
