"""From logits and one uniform number to the next token id. All in float64, so that two engines can differ only where a
uniform number lies within rounding of a boundary.

The rules act in this order, each on what the one before left. `graph_sampling.py` holds them as TensorFlow operations,
by these numbers; a test compares the two for random settings:

1. The repeat penalty divides the odds of every recent id.
2. The presence penalty is subtracted from the score of every recent id, the frequency penalty as often as it is recent.
3. Barred ids are not drawn: those that write a run of ids again, complete a banned text, end a document too early, do
   not follow the latest id, or that a steering does not allow. Where none is left there is no next id, which is -1.
4. Temperature 0 takes the likeliest id, the first of equals. The rules below are not asked.
5. The scores are divided by the temperature; their exponentials are the weights.
6. Filters set weights to zero, in the order of SamplingConfig's fields. Of equally likely ids they keep all or none.
7. The first id whose cumulative share, in id order, exceeds the uniform number is drawn.

That is the order of transformers, in `_get_logits_processor` of `generation/utils.py`: repetition penalty, no-repeat
n-grams, bad words, least length, what a prefix allows, temperature, top-k, top-p, min-p, typical. It was read there at
commit 000034a44ef8, which came after 4.49.
"""

import math
from collections.abc import Callable, Iterable, Sequence

import numpy as np

from textgen.config import FILTERS, SamplingConfig

PENALTIES = {"repeat_penalty": 1.0, "presence_penalty": 0.0, "frequency_penalty": 0.0}  # and where they are off
AS_NEAR = 1e-12  # nats: two ids may be equally near from two sides, and a rounding must not part them
MANY_IDS, GROUP = 4096, 128  # from so many on, ids are drawn by groups of so many
COLDEST = 1e-250  # a temperature below this one changes no weight, which are 0 and 1; dividing by it does not overflow
LEAST = float(np.finfo(np.float64).tiny)  # a weight that is less counts as so much: it has a logarithm


def next_ids(
    logits: np.ndarray,
    uniform: np.ndarray,
    config: SamplingConfig,
    recent: np.ndarray,
    barred: Sequence[np.ndarray] | None = None,
    allowed: np.ndarray | None = None,
) -> np.ndarray:
    """The next id of each row.

    Args:
        logits: float [B, V].
        uniform: float64 [B], in [0, 1).
        recent: int [B, R], the latest ids of each row, -1 where there is none.
        barred: for each row the ids that are not to be drawn, int [N]; None is none.
        allowed: bool [B, V], the ids that a steering allows; None is all.

    Returns:
        int64 [B], -1 where no id may be drawn.
    """
    scores = penalised(logits.astype(np.float64), recent, config) if config.penalises else logits.astype(np.float64)
    if barred is not None:  # rule 3
        for row, ids in enumerate(barred):
            if len(ids):
                scores[row][ids] = -np.inf
    if allowed is not None:
        scores[~allowed] = -np.inf
    best = np.maximum.reduce(scores, axis=-1, keepdims=True)  # [B, 1]
    if (barred is None and allowed is None) or (has_some := best > -np.inf).all():
        return chosen(scores, best, uniform, config)
    scores[~has_some[:, 0]] = best[~has_some] = 0.0
    return np.where(has_some[:, 0], chosen(scores, best, uniform, config), -1)


def chosen(scores: np.ndarray, best: np.ndarray, uniform: np.ndarray, config: SamplingConfig) -> np.ndarray:
    """The id of each row, int64 [B], by its scores, float64 [B, V], which are changed, and the best of them, [B, 1]."""
    if config.temperature == 0:  # rule 4
        return scores.argmax(axis=-1)
    scores -= best  # before the division: a tiny temperature must not make two infinities
    scores /= max(config.temperature, COLDEST)  # rule 5
    weights = filter_weights(np.exp(scores, out=scores), config)
    return draw(weights, uniform)


def penalised(scores: np.ndarray, recent: np.ndarray, config: SamplingConfig) -> np.ndarray:
    """`scores`, float64 [B, V], which may be changed, after all penalties for the ids in `recent`, int [B, R]."""
    num_ids = scores.shape[-1]
    if num_ids < MANY_IDS:
        return _lowered(scores, occurrences(recent, num_ids), config)
    places, counts = np.unique(_places(recent, num_ids), return_counts=True)
    scores = np.ascontiguousarray(scores)
    flat = scores.reshape(-1)
    flat[places] = _lowered(flat[places], counts, config)
    return scores


def _lowered(scores: np.ndarray, counts: np.ndarray, config: SamplingConfig) -> np.ndarray:
    """`scores` after all penalties for ids that are recent so often; arrays of one shape."""
    if config.repeat_penalty != 1:  # rule 1
        scores = repeat_penalty(scores, counts, config.repeat_penalty)
    if config.presence_penalty != 0:  # rule 2
        scores = scores - config.presence_penalty * (counts > 0)
    if config.frequency_penalty != 0:
        scores = scores - config.frequency_penalty * counts
    return scores


def occurrences(recent: np.ndarray, num_ids: int) -> np.ndarray:
    """How often each id stands in each row of `recent`, int [B, R], in which -1 is none; int64 [B, V]."""
    counts = np.bincount(_places(recent, num_ids), minlength=len(recent) * num_ids)
    return counts.reshape(len(recent), num_ids)


def _places(recent: np.ndarray, num_ids: int) -> np.ndarray:
    """Where in a flat array of [B, V] the ids of `recent`, int [B, R], stand; int64 [N], as often as they occur."""
    places = np.arange(0, len(recent) * num_ids, num_ids)[:, None] + recent
    return places[recent >= 0]


def repeat_penalty(scores: np.ndarray, counts: np.ndarray, penalty: float) -> np.ndarray:
    """Divide the odds of every id that occurs by `penalty`, once however often that is.

    On the logits this subtracts log(penalty), which does not depend on where their zero lies.

    Source: the idea is Keskar et al. 2019, "CTRL", section 4.1, which divides the logits themselves.
    """
    return np.where(counts > 0, scores - math.log(penalty), scores)


def filter_weights(weights: np.ndarray, config: SamplingConfig) -> np.ndarray:
    """The weights that the filters leave. Weights are float64 [B, V], not normalised."""
    for name, field in FILTERS.items():  # rule 6
        number = getattr(config, name)
        if number != field.default:
            weights = KEEP[name](weights, number)
    return weights


def keep_top_k(weights: np.ndarray, k: int) -> np.ndarray:
    """Keep the k largest of each row, and whatever equals the k-th."""
    k = min(k, weights.shape[-1])
    if weights.shape[-1] >= MANY_IDS:
        return _only(weights, (np.flatnonzero(row >= _kth_of(row, k)) for row in weights))
    return np.where(weights >= np.sort(weights, axis=-1)[:, -k, None], weights, 0.0)


def _kth_of(row: np.ndarray, k: int) -> np.ndarray:
    """The k-th largest of many weights, [V]. It is not below the k-th largest of what is the largest of each group."""
    largest = row[: len(row) // GROUP * GROUP].reshape(-1, GROUP).max(axis=-1)
    if k <= len(largest):
        row = row[row >= np.sort(largest)[-k]]
    return np.partition(row, -k)[-k]


def keep_top_p(weights: np.ndarray, top_p: float) -> np.ndarray:
    """Keep the smallest set of ids whose share of the sum reaches `top_p`, and whatever equals its least likely.

    Source: Holtzman et al. 2019, "The Curious Case of Neural Text Degeneration", section 3.1.
    """
    mass = top_p * weights.sum(axis=-1, keepdims=True)
    if weights.shape[-1] >= MANY_IDS:
        rows = zip(weights, mass, strict=True)
        return _only(weights, (np.flatnonzero(row >= _least_of(_likely(row, m)[0], m)) for row, m in rows))
    return np.where(weights >= _least_of(weights, mass), weights, 0.0)


def _least_of(weights: np.ndarray, mass: np.ndarray) -> np.ndarray:
    """The least weight of the fewest that reach `mass`, [..., 1]; of weights [..., N]."""
    best_first = np.sort(weights, axis=-1)[..., ::-1]
    mass_before = np.cumsum(best_first, axis=-1) - best_first
    num_kept = (mass_before < mass).sum(axis=-1, keepdims=True)
    return np.take_along_axis(best_first, np.maximum(num_kept, 1) - 1, axis=-1)


def _likely(row: np.ndarray, mass: np.ndarray) -> tuple[np.ndarray, float]:
    """The weights of a row, [V], without small ones that `mass` does not need; and a number that none is below.

    Of many few are left as a rule, so that there is less to put in order.
    """
    for _ in range(2):
        least = (row.sum() - mass.item()) / len(row)
        row = row[row >= least]
    return row, least


def _only(weights: np.ndarray, kept: Iterable[np.ndarray]) -> np.ndarray:
    """The weights of the ids that are kept, int [N] of each row; few of many are written faster than all."""
    left = np.zeros_like(weights)
    for row, source, ids in zip(left, weights, kept, strict=True):
        row[ids] = source[ids]
    return left


def keep_min_p(weights: np.ndarray, min_p: float) -> np.ndarray:
    """Keep the ids that are at least `min_p` times as likely as the likeliest."""
    return np.where(weights >= min_p * weights.max(axis=-1, keepdims=True), weights, 0.0)


def keep_typical(weights: np.ndarray, mass: float) -> np.ndarray:
    """Keep the ids whose surprise is nearest to the expected one, as many as reach this share of the sum.

    Those stay that are as near as the last that it needs, within rounding.

    Source: Meister et al. 2023, "Locally Typical Sampling", equation 6.
    """
    if weights.shape[-1] >= MANY_IDS:
        room = np.empty_like(weights[0])  # for every row, so that memory is asked for once
        return _only(weights, (_typical_ids(row, mass, room) for row in weights))
    total = weights.sum(axis=-1)
    distance, expected = _logarithms(weights, total)
    distance -= expected[:, None]
    nearest_first = _nearest_first(np.abs(distance, out=distance))
    if len(weights) > 1:  # places in flat arrays, which are read faster
        nearest_first += np.arange(0, weights.size, weights.shape[-1])[:, None]
    reached = weights.take(nearest_first).cumsum(axis=-1)
    is_enough = reached >= np.minimum(mass * total, reached[:, -1])[:, None]  # the sums may be rounded otherwise
    last = distance.take(nearest_first[np.arange(len(weights)), is_enough.argmax(axis=-1)])[:, None]
    return np.where(distance <= last + AS_NEAR, weights, 0.0)


def _logarithms(
    weights: np.ndarray, total: np.ndarray, room: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """The logarithms of weights [..., V] and the expected one, [...]; what would normalise them is in both."""
    logs = np.maximum(weights, LEAST, out=room)
    np.log(logs, out=logs)
    return logs, np.einsum("...v,...v->...", weights, logs) / total


def _nearest_first(distance: np.ndarray) -> np.ndarray:
    """The ids of each row by distance, float64 [B, V]; those that are as near, within rounding, by id.

    Distances are not negative, so that their bits, read as whole numbers, are in the same order. The lowest bits make
    room for the id: sorting numbers takes a third of the time that sorting places does.
    """
    ids = (1 << (distance.shape[-1] - 1).bit_length()) - 1
    bits = distance.view(np.int64) & ~ids | np.arange(distance.shape[-1])
    bits.sort(axis=-1)
    return bits & ids


def _typical_ids(row: np.ndarray, mass: float, room: np.ndarray) -> np.ndarray:
    """Which of many ids are kept, int [N]. Unlikely ones, without which there is enough, are most often too far."""
    total = row.sum()
    logs, expected = _logarithms(row, total, room)
    _, least = _likely(row, mass * total)
    while True:
        ids = np.flatnonzero(row >= least)
        distance = np.abs(logs[ids] - expected)
        nearest_first = distance.argsort()
        reached = row[ids[nearest_first]].cumsum()
        last = distance[nearest_first[(reached >= min(mass * total, reached[-1])).argmax()]] + AS_NEAR
        if least <= 0 or last < expected - math.log(least):  # than which the others are further
            return ids[distance <= last]
        least = 0.0


# What each filter of SamplingConfig does; weights [B, V] and its number in, weights out.
KEEP: dict[str, Callable[..., np.ndarray]] = {
    "top_k": keep_top_k,
    "top_p": keep_top_p,
    "min_p": keep_min_p,
    "typical": keep_typical,
}


def draw(weights: np.ndarray, uniform: np.ndarray) -> np.ndarray:
    """The first id whose cumulative share, in id order, exceeds `uniform`; int64 [B]."""
    if weights.shape[-1] >= MANY_IDS:
        return _draw_of_many(weights, uniform)
    cumulative = np.cumsum(weights, axis=-1)  # rule 7
    return (cumulative > _targets(cumulative, uniform)[:, None]).argmax(axis=-1)


def _targets(cumulative: np.ndarray, uniform: np.ndarray) -> np.ndarray:
    total = cumulative[:, -1]
    # A product that rounds up to the whole sum would point past the end.
    return np.minimum(uniform * total, np.nextafter(total, 0))


def _draw_of_many(weights: np.ndarray, uniform: np.ndarray) -> np.ndarray:
    """`draw` by the sums of groups, and then within a group: adding up in order takes one number after the other."""
    num_rows, num_ids = weights.shape
    num_whole = num_ids // GROUP * GROUP
    sums = weights[:, :num_whole].reshape(num_rows, -1, GROUP).sum(axis=-1)
    cumulative = np.cumsum(np.column_stack([sums, weights[:, num_whole:].sum(axis=-1)]), axis=-1)
    target = _targets(cumulative, uniform)
    groups = (cumulative > target[:, None]).argmax(axis=-1)
    ids = np.empty(num_rows, np.int64)
    for row, group in enumerate(groups.tolist()):
        part = weights[row, group * GROUP : (group + 1) * GROUP]
        begins = cumulative[row, group - 1] if group else 0.0
        exceeds = begins + np.cumsum(part) > target[row]
        # Both sums are rounded, so that within the group none may exceed what its own sum does.
        inside = exceeds.argmax() if exceeds.any() else np.flatnonzero(part)[-1]
        ids[row] = group * GROUP + inside
    return ids
