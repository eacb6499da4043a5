"""`philox.py` and `sampling.py` as TensorFlow operations: the same rules, in the same order, in float64.

Which rules act is known while a graph is traced (`TensorFlowEngine`: Python values, so that what is off costs nothing)
or comes with each request (the export: tensors); `Active` holds either, and `choose` treats both.
"""

import math
from collections.abc import Callable
from typing import NamedTuple, Self

import numpy as np
import tensorflow as tf

from textgen.config import SamplingConfig
from textgen.generation.philox import KEY_INCREMENTS, MULTIPLIERS, ROUNDS

_LOW = 0xFFFFFFFF


class Rules(NamedTuple):
    """The numbers of the sampling rules, as scalar tensors: changing them traces nothing again."""

    temperature: tf.Tensor  # float64
    top_k: tf.Tensor  # int32
    top_p: tf.Tensor  # float64
    min_p: tf.Tensor  # float64
    log_penalty: tf.Tensor  # float64, what the repeat penalty takes off a score

    @classmethod
    def of(cls, config: SamplingConfig) -> Self:
        """The rules of `config`."""
        numbers = (config.temperature, config.top_p, config.min_p, config.repeat_penalty)
        temperature, top_p, min_p, penalty = (tf.constant(n, tf.float64) for n in numbers)
        return cls(temperature, tf.constant(config.top_k), top_p, min_p, tf.math.log(penalty))


class Active(NamedTuple):
    """Which rules act: bool when that is known while tracing, a bool scalar tensor when it is not."""

    penalty: bool | tf.Tensor
    greedy: bool | tf.Tensor
    top: bool | tf.Tensor  # top-k or top-p

    @classmethod
    def of(cls, config: SamplingConfig, num_ids: int) -> Self:
        """What acts under `config` on a vocabulary of `num_ids`."""
        top = 0 < config.top_k < num_ids or config.top_p < 1
        return cls(config.repeat_penalty != 1, config.temperature == 0, top)


def choose(condition: bool | tf.Tensor, yes: Callable[[], tf.Tensor], no: Callable[[], tf.Tensor]) -> tf.Tensor:
    """`yes()` or `no()`: one of the two is traced when `condition` is known, else both."""
    if isinstance(condition, bool):
        return yes() if condition else no()
    return tf.cond(condition, yes, no)


def next_ids(
    logits: tf.Tensor,
    uniform: tf.Tensor,
    rules: Rules,
    active: Active,
    seen: tf.Tensor | None = None,
    barred: tf.Tensor | None = None,
) -> tf.Tensor:
    """The next id of each row; `sampling.next_ids`.

    Args:
        logits: float32 [B, V].
        uniform: float64 [B] or [1], in [0, 1).
        seen: bool [B, V], the ids that the repeat penalty is for; needed where it may act.
        barred: bool [V], the ids that are not to be drawn; None is none.

    Returns:
        int32 [B].
    """
    scores = tf.cast(logits, tf.float64)
    if barred is not None:
        scores = tf.where(barred, tf.constant(-math.inf, tf.float64), scores)
    if seen is not None:
        penalty = lambda: tf.where(seen, rules.log_penalty, tf.zeros([], tf.float64))  # noqa: E731
        scores = choose(active.penalty, lambda: scores - penalty(), lambda: scores)

    def drawn() -> tf.Tensor:
        # Subtracted before divided: a tiny temperature must not make two infinities.
        below_best = scores - tf.reduce_max(scores, axis=-1, keepdims=True)
        weights = tf.exp(below_best / rules.temperature)
        return draw(filter_weights(weights, rules, active), uniform)

    return choose(active.greedy, lambda: tf.argmax(scores, axis=-1, output_type=tf.int32), drawn)


def is_among(ids: np.ndarray, num_ids: int) -> tf.Tensor:
    """`ids`, int [N], as bool [V]."""
    return tf.constant(np.isin(np.arange(num_ids), ids))


def filter_weights(weights: tf.Tensor, rules: Rules, active: Active) -> tf.Tensor:
    """Set to zero what top-k, top-p and min-p drop; float64 [B, V], not normalised. `sampling.filter_weights`."""
    weights = choose(active.top, lambda: keep_top(weights, rules), lambda: weights)
    largest = tf.reduce_max(weights, axis=-1, keepdims=True)
    return tf.where(weights >= rules.min_p * largest, weights, tf.zeros_like(weights))


def keep_top(weights: tf.Tensor, rules: Rules) -> tf.Tensor:
    """Keep what top-k and then top-p keep, float64 [B, V]; `sampling.keep_top_k` and `sampling.keep_top_p`.

    One sort serves both: dropping the smallest leaves the order of the rest.
    """
    num_ids = weights.shape[-1]
    best_first = tf.math.top_k(weights, num_ids).values
    k = tf.where((rules.top_k > 0) & (rules.top_k < num_ids), rules.top_k, num_ids)
    least_of_k = tf.gather(best_first, k - 1, axis=-1)[:, None]
    best_first = tf.where(best_first >= least_of_k, best_first, tf.zeros_like(best_first))
    mass_before = tf.cumsum(best_first, axis=-1) - best_first
    mass = tf.reduce_sum(best_first, axis=-1, keepdims=True)
    num_kept = tf.reduce_sum(tf.cast(mass_before < rules.top_p * mass, tf.int32), axis=-1)
    least_of_p = tf.gather(best_first, tf.maximum(num_kept, 1) - 1, axis=-1, batch_dims=1)[:, None]
    threshold = tf.where(rules.top_p < 1, tf.maximum(least_of_k, least_of_p), least_of_k)
    return tf.where(weights >= threshold, weights, tf.zeros_like(weights))


def draw(weights: tf.Tensor, uniform: tf.Tensor) -> tf.Tensor:
    """The first id whose cumulative share, in id order, exceeds `uniform`; int32 [B]. `sampling.draw`.

    NOTE: XLA sums in blocks, whose rounding may leave a cumulative sum a little below the one before it. Asking for a
    weight above zero keeps what was dropped from being drawn there.
    """
    num_ids = weights.shape[-1]
    ids = tf.range(num_ids)[None]
    cumulative = tf.cumsum(weights, axis=-1)
    exceeds = cumulative > uniform[:, None] * cumulative[:, -1:]
    last = tf.reduce_max(tf.where(weights > 0, ids, 0), axis=-1, keepdims=True)
    return tf.reduce_min(tf.where(exceeds & (weights > 0), ids, last), axis=-1)


def philox4x32(counter: tuple[tf.Tensor, ...], key: tuple[tf.Tensor, ...]) -> tuple[tf.Tensor, ...]:
    """Four random words for each counter; `philox.philox4x32`.

    Args:
        counter: four int64 tensors, each 0 to 2**32 - 1.
        key: two of the same kind; all shapes broadcast.

    Returns:
        Four int64 tensors, each 0 to 2**32 - 1.

    NOTE: a product of two words has 64 bits, so as int64 it may come out negative; shifts then fill with ones, which
    the mask takes away again.
    """
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(ROUNDS):
        product0, product1 = c0 * MULTIPLIERS[0], c2 * MULTIPLIERS[1]
        c0, c1, c2, c3 = (
            _xor(_xor(_high(product1), c1), k0),
            _and(product1, _LOW),
            _xor(_xor(_high(product0), c3), k1),
            _and(product0, _LOW),
        )
        k0, k1 = _and(k0 + KEY_INCREMENTS[0], _LOW), _and(k1 + KEY_INCREMENTS[1], _LOW)
    return c0, c1, c2, c3


def uniforms(seed: tf.Tensor, samples: tf.Tensor, first: tf.Tensor, count: int | tf.Tensor) -> tf.Tensor:
    """Uniform numbers in [0, 1) for tokens `first` to `first + count - 1` of each sample; `philox.uniforms`.

    Args:
        seed, first: int64 scalars, not negative.
        samples: int64 [B], each below 2**32.

    Returns:
        float64 [count, B].
    """
    tokens = first + tf.range(tf.cast(count, tf.int64), dtype=tf.int64)[:, None]  # [count, 1]
    zero = tf.zeros([], tf.int64)
    counter = (_and(tokens, _LOW), _high(tokens), _high(seed), zero)
    word0, word1, _, _ = philox4x32(counter, (_and(seed, _LOW), samples[None]))
    bits = tf.bitwise.bitwise_or(tf.bitwise.left_shift(word0, _int64(21)), tf.bitwise.right_shift(word1, _int64(11)))
    return tf.cast(bits, tf.float64) * 2.0**-53


def _int64(number: int) -> tf.Tensor:
    return tf.constant(number, tf.int64)


def _and(words: tf.Tensor, mask: int) -> tf.Tensor:
    return tf.bitwise.bitwise_and(words, _int64(mask))


def _xor(words: tf.Tensor, others: tf.Tensor) -> tf.Tensor:
    return tf.bitwise.bitwise_xor(words, others)


def _high(products: tf.Tensor) -> tf.Tensor:
    """The high 32 of 64 bits."""
    return _and(tf.bitwise.right_shift(products, _int64(32)), _LOW)
