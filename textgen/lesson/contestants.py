"""The four that are compared: what they are, how large, and how they write."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from textgen.config import ModelConfig
from textgen.lesson.transformer import Cache, Shape, Transformer
from textgen.model.language_model import LanguageModel, build_model
from textgen.store.model_directory import num_parameters

Model = LanguageModel | Transformer
State = Any  # the state of recurrent layers, or a `Cache`


class Size(NamedTuple):
    """An LSTM, whose number of parameters all get, and how a Transformer is divided."""

    units: int
    num_layers: int
    embedding_size: int
    num_blocks: int
    num_heads: int


def build(kind: str, vocabulary_size: int, size: Size, token_counts: np.ndarray, seed: int = 0) -> Model:
    """A model of that kind (`results.KINDS`), with freshly drawn weights.

    Args:
        token_counts: how often each id occurs, [V]. All begin by predicting these frequencies.
    """
    lstm = recurrent_shape("lstm", vocabulary_size, size)
    if kind == "transformer":
        return Transformer(transformer_shape(vocabulary_size, size, num_parameters(lstm)), seed, token_counts)
    return build_model(recurrent_shape(kind, vocabulary_size, size), seed, token_counts)


def recurrent_shape(cell: str, vocabulary_size: int, size: Size) -> ModelConfig:
    """Layers of `cell` with about as many parameters as the LSTM has."""
    lstm = ModelConfig(
        vocabulary_size=vocabulary_size,
        units=size.units,
        num_layers=size.num_layers,
        embedding_size=size.embedding_size,
        tied=False,
        skip=False,
    )
    candidates = (lstm.replace(cell=cell, units=units) for units in range(size.units, 4 * size.units))
    return min(candidates, key=lambda config: abs(num_parameters(config) - num_parameters(lstm)))


def transformer_shape(vocabulary_size: int, size: Size, parameters: int) -> Shape:
    """The shape nearest to so many parameters whose feed-forward part is about four times as wide as the rest."""
    step = 2 * size.num_heads
    shapes = (
        Shape(vocabulary_size, width, size.num_blocks, size.num_heads, 4 * width)
        for width in range(step, step * 200, step)
    )
    near = min(shapes, key=lambda shape: abs(shape.num_parameters() - parameters))
    of_one = near.num_blocks * (2 * near.embedding_size + 1)  # parameters of one inner unit in all blocks
    inner = near.inner_size + round((parameters - near.num_parameters()) / of_one)
    return near._replace(inner_size=max(1, inner))


def parameters_of(model: Model) -> int:
    """Number of trainable numbers."""
    return sum(int(np.prod(variable.shape)) for variable in model.trainable_variables)


def logits_of(model: Model, embedded: tf.Tensor) -> tf.Tensor:
    """Scores of the next token at every position, [B, T, V], of embedded tokens [B, T, E] after nothing."""
    if isinstance(model, Transformer):
        return model.logits_of(embedded)
    for layer in model.recurrent:
        embedded = layer(embedded)[0]
    return model.logits(embedded)


def begin(model: Model, places: int, position: int = 0) -> State:
    """What is kept of a text that is being written, when it begins.

    Args:
        places: how many tokens a Transformer looks back at.
        position: of the next token, where that is not the first: what it looks back at is then all zeros.
    """
    return model.cache(1, places, position) if isinstance(model, Transformer) else model.zero_state(1)


def kept_bytes(state: State) -> int:
    """What must be kept of a text in order to go on with it."""
    layers = state.held if isinstance(state, Cache) else state
    return sum(tensor.shape.num_elements() * tensor.dtype.size for layer in layers for tensor in layer)


def writer(model: Model, count: int, temperature: float, *, compiled: bool) -> Callable[..., tuple[tf.Tensor, State]]:
    """A function that writes `count` tokens: (first id [1], state, seed) to their ids [count], and the new state."""

    def advance(token_ids: tf.Tensor, state: State) -> tuple[tf.Tensor, State]:
        if isinstance(model, Transformer):
            return model.step(token_ids, state)
        logits, new_state = model(token_ids[:, None], state)
        return logits[:, 0], new_state

    @tf.function(jit_compile=compiled, autograph=False)
    def write(first: tf.Tensor, state: State, seed: tf.Tensor) -> tuple[tf.Tensor, State]:
        def step(number: tf.Tensor, last: tf.Tensor, state: State, written: tf.TensorArray) -> tuple:
            logits, state = advance(last, state)
            uniform = tf.random.stateless_uniform(logits.shape, tf.stack([seed, number]), minval=1e-9)
            last = tf.argmax(logits / temperature - tf.math.log(-tf.math.log(uniform)), -1, tf.int32)
            return number + 1, last, state, written.write(number, last[0])

        held = tf.TensorArray(tf.int32, count, element_shape=[])
        _, _, state, written = tf.while_loop(
            lambda number, *_: number < count, step, (tf.constant(0), first, state, held)
        )
        return written.stack(), state

    return write
