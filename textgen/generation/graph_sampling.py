"""`sampling.py` as TensorFlow operations: the same rules, by the same numbers, in float64.

`TensorFlowEngine` knows which settings act while it traces its loop, so that one that is off costs nothing. In an
export this comes with each request. `Active` holds either, and `choose` takes both.
"""

import dataclasses
import functools
import itertools
import math
import operator
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Self

import numpy as np
import tensorflow as tf

from textgen.config import FILTERS, SamplingConfig
from textgen.generation.barred import Barred

Rules = Mapping[str, tf.Tensor]  # setting -> its number, a scalar tensor: changing it traces nothing again
Active = Mapping[str, bool | tf.Tensor]  # setting -> whether it acts: bool while tracing, else a bool scalar tensor

TYPES: dict[Any, tf.DType] = {int: tf.int32, float: tf.float64}
# The number at which a setting does not act. At temperature 0 nothing is drawn.
OFF = {"repeat_penalty": 1.0, "temperature": 0.0} | {name: field.default for name, field in FILTERS.items()}


def rules_of(config: SamplingConfig) -> tuple[Rules, Active]:
    """The settings of `config` that OFF names, and which of them act."""
    numbers = {name: getattr(config, name) for name in OFF}
    types = {field.name: field.type for field in dataclasses.fields(config)}
    return {name: tf.constant(number, TYPES[types[name]]) for name, number in numbers.items()}, acting(numbers)


def acting(numbers: Mapping[str, Any]) -> Active:
    """Which settings act, of those that OFF names; a bool for a Python number, a tensor for a tensor."""
    return {name: number != OFF[name] for name, number in numbers.items() if name in OFF}


def choose(condition: bool | tf.Tensor, yes: Callable[[], tf.Tensor], no: Callable[[], tf.Tensor]) -> tf.Tensor:
    """`yes()` or `no()`. Both are traced where `condition` is a tensor."""
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
    """The next id of each row.

    Args:
        logits: float32 [B, V].
        uniform: float64 [B] or [1], in [0, 1).
        seen: bool [B, V], the ids that the repeat penalty is for; None leaves it out.
        barred: bool [B, V], the ids that are not to be drawn; None is none.

    Returns:
        int32 [B].
    """
    scores = tf.cast(logits, tf.float64)
    if barred is not None:  # rule 1
        scores = tf.where(barred, tf.constant(-math.inf, tf.float64), scores)
    if seen is not None:  # rule 2
        penalty = lambda: tf.where(seen, tf.math.log(rules["repeat_penalty"]), tf.zeros([], tf.float64))  # noqa: E731
        scores = choose(active["repeat_penalty"], lambda: scores - penalty(), lambda: scores)

    def drawn() -> tf.Tensor:
        # Subtracted before divided: a tiny temperature must not make two infinities.
        below_best = scores - tf.reduce_max(scores, axis=-1, keepdims=True)
        weights = tf.exp(below_best / rules["temperature"])  # rule 4
        return draw(filter_weights(weights, rules, active), uniform)

    likeliest = lambda: tf.argmax(scores, axis=-1, output_type=tf.int32)  # noqa: E731
    return choose(active["temperature"], drawn, likeliest)  # rule 3


class GraphBarred(NamedTuple):
    """`Barred` as tensors. A loop carries the group of each row's latest id."""

    groups: tf.Tensor  # int32 [V], the group of each id
    masks: tf.Tensor  # bool [G, V], the ids that do not follow each group

    @classmethod
    def of(cls, barred: Barred | None) -> Self | None:
        """The tensors of `barred`, where there is any."""
        if barred is None:
            return None
        num_ids = np.arange(len(barred.groups))
        masks = np.stack([np.isin(num_ids, ids) for ids in barred.ids])
        return cls(tf.constant(barred.groups), tf.constant(masks))


def filter_weights(weights: tf.Tensor, rules: Rules, active: Active) -> tf.Tensor:
    """The weights that the filters leave, float64 [B, V], not normalised."""
    for keep, neighbours in itertools.groupby(FILTERS, key=KEEP.__getitem__):  # rule 5
        names = list(neighbours)
        acts = functools.reduce(operator.or_, (active[name] for name in names))
        kept = functools.partial(keep, weights, *(rules[name] for name in names))
        weights = choose(acts, kept, functools.partial(tf.identity, weights))
    return weights


def keep_top(weights: tf.Tensor, top_k: tf.Tensor, top_p: tf.Tensor) -> tf.Tensor:
    """Keep what top-k and then top-p keep, float64 [B, V].

    One sort serves both: dropping the smallest leaves the order of the rest.
    """
    num_ids = weights.shape[-1]
    best_first = tf.math.top_k(weights, num_ids).values
    k = tf.where((top_k > 0) & (top_k < num_ids), top_k, num_ids)
    least_of_k = tf.gather(best_first, k - 1, axis=-1)[:, None]
    best_first = tf.where(best_first >= least_of_k, best_first, tf.zeros_like(best_first))
    mass_before = tf.cumsum(best_first, axis=-1) - best_first
    mass = tf.reduce_sum(best_first, axis=-1, keepdims=True)
    num_kept = tf.reduce_sum(tf.cast(mass_before < top_p * mass, tf.int32), axis=-1)
    least_of_p = tf.gather(best_first, tf.maximum(num_kept, 1) - 1, axis=-1, batch_dims=1)[:, None]
    threshold = tf.where(top_p < 1, tf.maximum(least_of_k, least_of_p), least_of_k)
    return tf.where(weights >= threshold, weights, tf.zeros_like(weights))


def keep_min_p(weights: tf.Tensor, min_p: tf.Tensor) -> tf.Tensor:
    """Keep the ids that are at least `min_p` times as likely as the likeliest, float64 [B, V]."""
    largest = tf.reduce_max(weights, axis=-1, keepdims=True)
    return tf.where(weights >= min_p * largest, weights, tf.zeros_like(weights))


# What each filter of SamplingConfig does. Neighbours with one function are one step, which takes the numbers of both.
KEEP: dict[str, Callable[..., tf.Tensor]] = {"top_k": keep_top, "top_p": keep_top, "min_p": keep_min_p}


def draw(weights: tf.Tensor, uniform: tf.Tensor) -> tf.Tensor:
    """The first id whose cumulative share, in id order, exceeds `uniform`; int32 [B].

    NOTE: XLA sums in blocks, whose rounding may leave a cumulative sum a little below the one before it. Asking for a
    weight above zero keeps what was dropped from being drawn there.
    """
    num_ids = weights.shape[-1]
    ids = tf.range(num_ids)[None]
    cumulative = tf.cumsum(weights, axis=-1)
    exceeds = cumulative > uniform[:, None] * cumulative[:, -1:]  # rule 6
    last = tf.reduce_max(tf.where(weights > 0, ids, 0), axis=-1, keepdims=True)
    return tf.reduce_min(tf.where(exceeds & (weights > 0), ids, last), axis=-1)
