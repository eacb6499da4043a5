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
from typing import Any

import tensorflow as tf

from textgen.config import FILTERS, SamplingConfig
from textgen.generation.filters import AS_NEAR
from textgen.generation.sampling import COLDEST, PENALTIES

Rules = Mapping[str, tf.Tensor]  # setting -> its number, a scalar tensor: changing it traces nothing again
# Setting -> whether it acts: bool while tracing, else a bool scalar tensor; None where its numbers take turns.
Active = Mapping[str, bool | tf.Tensor | None]

TYPES: dict[Any, tf.DType] = {int: tf.int32, float: tf.float64}
# The number at which a setting does not act.
OFF = PENALTIES | {"no_repeat_ngram": 0} | {name: field.default for name, field in FILTERS.items()}


def rules_of(config: SamplingConfig) -> tuple[Rules, Active]:
    """The settings of `config` that OFF names and the temperatures, float64 [C]; and which of them act."""
    numbers = {name: getattr(config, name) for name in OFF}
    types = {field.name: field.type for field in dataclasses.fields(config)}
    rules = {name: tf.constant(number, TYPES[types[name]]) for name, number in numbers.items()}
    is_greedy = {number == 0 for number in config.temperatures}
    is_drawn = None if len(is_greedy) > 1 else not is_greedy.pop()
    return rules | {"temperature": tf.constant(config.temperatures, tf.float64)}, acting(numbers, is_drawn)


def acting(numbers: Mapping[str, Any], is_drawn: bool | None = None) -> Active:
    """Which settings act, of those that OFF names; a bool for a Python number, a tensor for a tensor.

    Args: is_drawn: whether the temperature acts.
    """
    return {name: number != OFF[name] for name, number in numbers.items() if name in OFF} | {"temperature": is_drawn}


def rules_at(position: tf.Tensor, rules: Rules, active: Active) -> tuple[Rules, Active]:
    """The same with the one temperature, float64, of the token at `position`, int32.

    NOTE: where a slice begins is a constant of XLA. With one in place of `gather` it compiles again at every position.
    """
    numbers = rules["temperature"]
    number = tf.gather(numbers, position % tf.size(numbers))
    acts = number > 0 if active["temperature"] is None else active["temperature"]
    return {**rules, "temperature": number}, {**active, "temperature": acts}


def choose(condition: bool | tf.Tensor | None, yes: Callable[[], Any], no: Callable[[], Any]) -> Any:
    """`yes()` or `no()`. Both are traced where `condition` is a tensor."""
    if isinstance(condition, bool):
        return yes() if condition else no()
    return tf.cond(condition, yes, no)


def next_ids(
    logits: tf.Tensor,
    uniform: tf.Tensor,
    rules: Rules,
    active: Active,
    counts: tf.Tensor | None = None,
    barred: tf.Tensor | None = None,
) -> tf.Tensor:
    """The next id of each row.

    Args:
        logits: float32 [B, V].
        uniform: float64 [B] or [1], in [0, 1).
        rules, active: of this token, as `rules_at` gives them.
        counts: int32 [B, V], how often each id is recent; None leaves the penalties out.
        barred: bool [B, V], the ids that are not to be drawn; None is none.

    Returns:
        int32 [B], -1 where no id may be drawn.
    """
    scores = tf.cast(logits, tf.float64)
    if counts is not None:
        scores = penalised(scores, counts, rules, active)
    if barred is not None:
        scores = without(scores, barred)
    return chosen(scores, uniform, rules, active)


def penalised(scores: tf.Tensor, counts: tf.Tensor, rules: Rules, active: Active) -> tf.Tensor:
    """`scores`, float64 [B, V], after all penalties for ids that occur, as often as `counts` says, int32 [B, V]."""
    occurs = lambda number: tf.where(counts > 0, number, tf.zeros([], tf.float64))  # noqa: E731
    each = {
        "repeat_penalty": lambda: occurs(tf.math.log(rules["repeat_penalty"])),  # rule 1
        "presence_penalty": lambda: occurs(rules["presence_penalty"]),  # rule 2
        "frequency_penalty": lambda: rules["frequency_penalty"] * tf.cast(counts, tf.float64),
    }
    for name, penalty in each.items():
        less = functools.partial(lambda scores, penalty: scores - penalty(), scores, penalty)
        scores = choose(active[name], less, functools.partial(tf.identity, scores))
    return scores


def without(scores: tf.Tensor, barred: tf.Tensor) -> tf.Tensor:
    """`scores`, float64 [B, V], of which those of `barred`, bool [B, V], cannot be drawn."""
    return tf.where(barred, tf.constant(-math.inf, tf.float64), scores)  # rule 3


def chosen(scores: tf.Tensor, uniform: tf.Tensor, rules: Rules, active: Active) -> tf.Tensor:
    """The id of each row, int32 [B], by its scores, float64 [B, V]; -1 where all are minus infinity."""
    best = tf.reduce_max(scores, axis=-1, keepdims=True)

    def drawn() -> tf.Tensor:
        # Subtracted before divided: a tiny temperature must not make two infinities.
        weights = tf.exp((scores - best) / tf.maximum(rules["temperature"], COLDEST))  # rule 5
        return draw(filter_weights(weights, rules, active), uniform)

    likeliest = lambda: tf.argmax(scores, axis=-1, output_type=tf.int32)  # noqa: E731
    token_ids = choose(active["temperature"], drawn, likeliest)  # rule 4
    return tf.where(best[:, 0] > -math.inf, token_ids, -1)


def filter_weights(weights: tf.Tensor, rules: Rules, active: Active) -> tf.Tensor:
    """The weights that the filters leave, float64 [B, V], not normalised."""
    for keep, neighbours in itertools.groupby(FILTERS, key=KEEP.__getitem__):  # rule 6
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


def keep_typical(weights: tf.Tensor, mass: tf.Tensor) -> tf.Tensor:
    """Keep the ids whose surprise is nearest to the expected one, as many as reach this share, float64 [B, V]."""
    shares = weights / tf.reduce_sum(weights, axis=-1, keepdims=True)
    surprise = -tf.math.log(tf.where(shares > 0, shares, tf.ones_like(shares)))
    expected = tf.reduce_sum(shares * surprise, axis=-1, keepdims=True)
    distance = tf.abs(surprise - expected)  # wherever the dropped stand, they weigh nothing
    further, nearest_first = tf.math.top_k(-distance, weights.shape[-1])
    ordered = tf.gather(shares, nearest_first, axis=-1, batch_dims=1)
    num_kept = tf.reduce_sum(tf.cast(tf.cumsum(ordered, axis=-1) - ordered < mass, tf.int32), axis=-1)
    last = -tf.gather(further, tf.maximum(num_kept, 1) - 1, axis=-1, batch_dims=1)[:, None]
    return tf.where(distance <= last + AS_NEAR, weights, tf.zeros_like(weights))


# What each filter of SamplingConfig does. Neighbours with one function are one step, which takes the numbers of both.
KEEP: dict[str, Callable[..., tf.Tensor]] = {
    "top_k": keep_top,
    "top_p": keep_top,
    "min_p": keep_min_p,
    "typical": keep_typical,
}


def draw(weights: tf.Tensor, uniform: tf.Tensor) -> tf.Tensor:
    """The first id whose cumulative share, in id order, exceeds `uniform`; int32 [B].

    NOTE: XLA sums in blocks, whose rounding may leave a cumulative sum a little below the one before it. Asking for a
    weight above zero keeps what was dropped from being drawn there.
    """
    num_ids = weights.shape[-1]
    ids = tf.range(num_ids)[None]
    cumulative = tf.cumsum(weights, axis=-1)
    exceeds = cumulative > uniform[:, None] * cumulative[:, -1:]  # rule 7
    last = tf.reduce_max(tf.where(weights > 0, ids, 0), axis=-1, keepdims=True)
    return tf.reduce_min(tf.where(exceeds & (weights > 0), ids, last), axis=-1)
