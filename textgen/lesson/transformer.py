"""A small Transformer, for comparison alone: causal attention in pre-norm blocks, and a cache of keys and values.

It is called as `LanguageModel` is by `TrainStep`, so both learn by the same steps. It has no state to carry: it sees
what stands in its window.

Source: Vaswani et al. 2017, "Attention Is All You Need"; the order of normalisation is Radford et al. 2019 (GPT-2),
with residual projections that begin smaller the more blocks there are; positions are rotations, Su et al. 2021,
"RoFormer", which take no parameters and have no longest text.
"""

from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from textgen.config import ModelConfig
from textgen.model.language_model import look_up

SLOWEST = 10_000.0  # steps in which the slowest pair of numbers turns by one radian; RoFormer's


class Shape(NamedTuple):
    """The size of a Transformer; E is a multiple of twice the heads."""

    vocabulary_size: int  # V
    embedding_size: int  # E
    num_blocks: int
    num_heads: int
    inner_size: int  # of the feed-forward part, 4 E usually

    def num_parameters(self) -> int:
        """Number of trainable numbers."""
        V, E, _, _, inner = self
        block = 2 * 2 * E + E * 3 * E + 3 * E + E * E + E + E * inner + inner + inner * E + E
        return V * E + self.num_blocks * block + 2 * E + E * V + V


class Cache(NamedTuple):
    """What is kept of a text that is being written: the keys and values of its last S tokens, as a ring."""

    held: list[list[tf.Tensor]]  # of each block its keys and values, [S, B, heads, E / heads]
    position: tf.Tensor  # int32 scalar, of the next token


class Block(keras.layers.Layer):
    """`x + attention(norm(x))`, then `x + feed_forward(norm(x))`."""

    def __init__(self, shape: Shape, seed: int):
        super().__init__()
        E, self.num_heads = shape.embedding_size, shape.num_heads
        drawn = keras.initializers.GlorotUniform
        shrunk = keras.initializers.VarianceScaling
        share = 1 / (2 * shape.num_blocks)
        self.before_attention = keras.layers.LayerNormalization(epsilon=1e-5)
        self.project = keras.layers.Dense(3 * E, kernel_initializer=drawn(seed))
        self.join = keras.layers.Dense(E, kernel_initializer=shrunk(share, seed=seed + 1))
        self.before_inner = keras.layers.LayerNormalization(epsilon=1e-5)
        self.widen = keras.layers.Dense(shape.inner_size, activation="gelu", kernel_initializer=drawn(seed + 2))
        self.narrow = keras.layers.Dense(E, kernel_initializer=shrunk(share, seed=seed + 3))

    def call(
        self, inputs: tf.Tensor, held: list[tf.Tensor] | None = None, position: tf.Tensor | int = 0
    ) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """The block over [B, T, E], and the keys and values that it has seen.

        Args:
            held: those of a `Cache`, with T = 1; None sees the T inputs alone.
            position: of the first input.
        """
        B, T, E = inputs.shape
        parts = tf.reshape(self.project(self.before_attention(inputs)), [B, T, 3, self.num_heads, E // self.num_heads])
        queries, keys, values = tf.unstack(parts, axis=2)  # [B, T, heads, D]
        places = tf.cast(position, tf.float32) + np.arange(T, dtype=np.float32)
        queries, keys = turned(queries, places), turned(keys, places)
        seen = [tf.transpose(keys, [1, 0, 2, 3]), tf.transpose(values, [1, 0, 2, 3])]
        if held is not None:
            slot = tf.reshape(position % held[0].shape[0], [1, 1])
            seen = [tf.tensor_scatter_nd_update(old, slot, new) for old, new in zip(held, seen, strict=True)]
        scores = tf.einsum("bthd,sbhd->bhts", queries, seen[0]) / np.sqrt(E / self.num_heads)
        slots = np.arange(seen[0].shape[0], dtype=np.float32)
        is_past = slots[None] <= places[:, None]  # [T, S]; all of a ring that is full
        weights = tf.nn.softmax(tf.where(is_past, scores, -1e9))
        attended = tf.reshape(tf.einsum("bhts,sbhd->bthd", weights, seen[1]), [B, T, E])
        outputs = inputs + self.join(attended)
        return outputs + self.narrow(self.widen(self.before_inner(outputs))), seen


def turned(vectors: tf.Tensor, places: tf.Tensor) -> tf.Tensor:
    """[B, T, heads, D], each pair of numbers turned by an angle that grows with its place, float32 [T]."""
    half = vectors.shape[-1] // 2
    angles = places[:, None] * SLOWEST ** -(np.arange(half, dtype=np.float32) / half)
    cosine, sine = (function(angles)[None, :, None] for function in (tf.cos, tf.sin))
    first, second = vectors[..., :half], vectors[..., half:]
    return tf.concat([first * cosine - second * sine, first * sine + second * cosine], axis=-1)


class Transformer(keras.Model):
    """Predicts the next token from those in its window."""

    def __init__(self, shape: Shape, seed: int, token_counts: np.ndarray):
        """Args: token_counts: how often each id occurs, [V]; it begins by predicting these frequencies."""
        super().__init__(name="transformer")
        self.shape = shape
        # For `TrainStep`, which asks for no more of it than how many tokens there are.
        self.config = ModelConfig(vocabulary_size=shape.vocabulary_size, embedding_size=shape.embedding_size, units=1)
        uniform = keras.initializers.RandomUniform(-0.1, 0.1, seed=seed)
        self.embedding = keras.layers.Embedding(shape.vocabulary_size, shape.embedding_size, uniform)
        self.embedding.build()
        self.blocks = [Block(shape, seed + 1 + 4 * index) for index in range(shape.num_blocks)]
        self.norm = keras.layers.LayerNormalization(epsilon=1e-5)
        drawn = keras.initializers.RandomNormal(stddev=0.02, seed=seed + 1 + 4 * shape.num_blocks)
        self.output_layer = keras.layers.Dense(shape.vocabulary_size, kernel_initializer=drawn)
        self.logits_of(tf.zeros([1, 1, shape.embedding_size]))  # builds the layers
        self.output_layer.bias.assign(np.log((token_counts + 1) / np.sum(token_counts + 1)).astype(np.float32))
        self.built = True

    def logits_of(self, embedded: tf.Tensor) -> tf.Tensor:
        """Scores of the next token at every position, [B, T, V], of embedded tokens [B, T, E]."""
        for block in self.blocks:
            embedded, _ = block(embedded)
        return self.output_layer(self.norm(embedded))

    def losses(self, token_ids: tf.Tensor, targets: tf.Tensor, state: list, *_others: None) -> tuple[tf.Tensor, list]:
        """Nats of `targets` after each of `token_ids` (int32 [T, B] both), float32 [T, B], and the empty state."""
        embedded = look_up(tf.convert_to_tensor(self.embedding.embeddings), tf.transpose(token_ids))
        logits = self.logits_of(embedded)
        return tf.transpose(tf.nn.sparse_softmax_cross_entropy_with_logits(tf.transpose(targets), logits)), state

    def zero_state(self, _batch_size: int) -> list:
        """Nothing is carried from batch to batch."""
        return []

    def cache(self, batch_size: int, places: int, position: int = 0) -> Cache:
        """Of texts that are being written, for their last `places` tokens."""
        _, E, _, heads, _ = self.shape
        empty = tf.zeros([places, batch_size, heads, E // heads])
        return Cache([[empty, empty] for _ in self.blocks], tf.constant(position))

    def step(self, token_ids: tf.Tensor, cache: Cache) -> tuple[tf.Tensor, Cache]:
        """Scores [B, V] of what follows `token_ids`, int32 [B], and the cache with them."""
        outputs, held = tf.gather(self.embedding.embeddings, token_ids)[:, None], []
        for block, old in zip(self.blocks, cache.held, strict=True):
            outputs, new = block(outputs, old, cache.position)
            held.append(new)
        return self.output_layer(self.norm(outputs))[:, 0], Cache(held, cache.position + 1)
