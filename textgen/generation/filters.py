"""Which ids the filters of sampling keep: rule 6 of `sampling.py`.

Each filter is here twice. `KEEP` has those that set weights of a batch to zero. `KEPT` has those for one row of many
ids: they say which ids stay, and each after the first looks at those alone. A test compares the two.
"""

import functools
import math
from collections.abc import Callable

import numpy as np

from textgen.config import FILTERS, SamplingConfig

AS_NEAR = 1e-12  # nats: two ids may be equally near from two sides, and a rounding must not part them
GROUP = 128  # so many ids of a row are looked at as one first
DOT_IDS = 10_000  # OpenBLAS shares longer dot products among threads, which may wait for each other
FEW_PLACES = 512  # of so many, sorting the places takes no longer than sorting numbers
LEAST = float(np.finfo(np.float64).tiny)  # a weight that is less counts as so much: it has a logarithm
LOG_LEAST = math.log(LEAST)


def filter_weights(weights: np.ndarray, config: SamplingConfig, logs: np.ndarray | None = None) -> np.ndarray:
    """The weights that the filters leave. Weights are float64 [B, V], not normalised.

    `logs`, float64 [B, V], are their logarithms where these are at hand; of a weight of 0 it may be any number.
    """
    for name, number in active(config).items():
        weights = keep_typical(weights, number, logs) if name == "typical" else KEEP[name](weights, number)
    return weights


def filter_row(
    row: np.ndarray, config: SamplingConfig, logs: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """What `filter_weights` leaves of one row, float64 [V]: ids, int64 [N] in order, and their weights, [N]."""
    ids = None
    for name, number in active(config).items():
        kept = typical_ids(row, number, logs) if name == "typical" else KEPT[name](row, number)
        row, ids = row[kept], kept if ids is None else ids[kept]
        logs = None if logs is None or name == "typical" else logs[kept]
    return np.arange(len(row)) if ids is None else ids, row


def active(config: SamplingConfig) -> dict[str, float]:
    """The filters that do something, in the order in which they act, with their numbers."""
    return {name: number for name, field in FILTERS.items() if (number := getattr(config, name)) != field.default}


def keep_top_k(weights: np.ndarray, k: int) -> np.ndarray:
    """Keep the k largest of each row, and whatever equals the k-th."""
    k = min(k, weights.shape[-1])
    return weights * (weights >= np.sort(weights, axis=-1)[:, -k, None])


def top_k_ids(row: np.ndarray, k: int) -> np.ndarray:
    """What `keep_top_k` keeps of a row: the k-th largest is not below the k-th of what is the largest of each group."""
    k = min(k, len(row))
    largest = row[: len(row) // GROUP * GROUP].reshape(-1, GROUP).max(axis=-1)
    if k > len(largest):
        return np.flatnonzero(row >= np.partition(row, -k)[-k])
    ids = np.flatnonzero(row >= np.sort(largest)[-k])
    large = row[ids]
    return ids[large >= np.partition(large, -k)[-k]]


def keep_top_p(weights: np.ndarray, top_p: float) -> np.ndarray:
    """Keep the smallest set of ids whose share of the sum reaches `top_p`, and whatever equals its least likely.

    Source: Holtzman et al. 2019, "The Curious Case of Neural Text Degeneration", section 3.1.
    """
    return weights * (weights >= _least_of(weights, top_p * weights.sum(axis=-1, keepdims=True)))


def top_p_ids(row: np.ndarray, top_p: float) -> np.ndarray:
    """What `keep_top_p` keeps of a row."""
    total = row.sum()
    ids, likely, _ = _likely(row, total, top_p * total)
    return ids[likely >= _least_of(likely, top_p * total)]


def _least_of(weights: np.ndarray, mass: np.ndarray) -> np.ndarray:
    """The least weight of the fewest that reach `mass`, [..., 1]; of weights [..., N]."""
    best_first = np.sort(weights, axis=-1)[..., ::-1]
    mass_before = np.cumsum(best_first, axis=-1) - best_first
    num_kept = (mass_before < mass).sum(axis=-1, keepdims=True)
    return np.take_along_axis(best_first, np.maximum(num_kept, 1) - 1, axis=-1)


def _likely(row: np.ndarray, total: float, mass: float) -> tuple[np.ndarray, np.ndarray, float]:
    """The ids of a row without unlikely ones that `mass` does not need, their weights, and what the others are below.

    Of many few are left as a rule, so that there is less to put in order.
    """
    ids = np.flatnonzero(row >= (total - mass) / len(row))
    likely = row[ids]
    least = (likely.sum() - mass) / len(likely)
    is_likely = likely >= least
    return ids[is_likely], likely[is_likely], least


def keep_min_p(weights: np.ndarray, min_p: float) -> np.ndarray:
    """Keep the ids that are at least `min_p` times as likely as the likeliest."""
    return weights * (weights >= min_p * weights.max(axis=-1, keepdims=True))


def min_p_ids(row: np.ndarray, min_p: float) -> np.ndarray:
    """What `keep_min_p` keeps of a row."""
    return np.flatnonzero(row >= min_p * row.max())


def keep_typical(weights: np.ndarray, mass: float, logs: np.ndarray | None = None) -> np.ndarray:
    """Keep the ids whose surprise is nearest to the expected one, as many as reach this share of the sum.

    Those stay that are as near as the last that it needs, within rounding. `logs` are as in `filter_weights`; what a
    filter has set to zero may have kept its own.

    Source: Meister et al. 2023, "Locally Typical Sampling", equation 6.
    """
    logs = _logarithms(weights) if logs is None else logs
    # What would normalise the logarithms is in the expected one, too.
    distance = logs - (np.vecdot(weights, logs) / np.add.reduce(weights, axis=-1))[:, None]
    nearest_first = _nearest_first(np.abs(distance, out=distance))
    rows = _counting(0, weights.size, weights.shape[-1])  # where they begin in flat arrays, which are read faster
    if len(weights) > 1:
        nearest_first += rows[:, None]
    reached = weights.take(nearest_first).cumsum(axis=-1)
    is_enough = reached >= mass * reached[:, -1:]
    last = distance.take(nearest_first.take(is_enough.argmax(axis=-1) + rows))[:, None]
    return weights * (distance <= last + AS_NEAR)


def typical_ids(row: np.ndarray, mass: float, logs: np.ndarray | None = None) -> np.ndarray:
    """What `keep_typical` keeps of a row: unlikely ids, without which there is enough, are most often too far."""
    logs = _logarithms(row) if logs is None else logs
    total = np.einsum("v->", row)
    with np.errstate(invalid="ignore"):
        expected, enough = _sum_of_products(row, logs) / total, mass * total
    if not math.isfinite(expected):  # a damaged model's scores
        logs = np.maximum(logs, LOG_LEAST)
        expected = _sum_of_products(row, logs) / total
    least = 16 * (total - enough) / len(row)  # as a rule what is less likely is not needed either
    ids = (row >= least).nonzero()[0]
    likely = row.take(ids)
    if likely.sum() < enough:
        ids, likely, least = _likely(row, total, enough)
    while True:
        distance = np.abs(logs.take(ids) - expected)
        nearest_first = distance.argsort()
        reached = likely.take(nearest_first).cumsum()
        last = distance[nearest_first[reached.searchsorted(min(enough, reached[-1]))]] + AS_NEAR
        if least <= 0 or last < expected - math.log(least):  # than which the others are further
            return ids[distance <= last]
        ids, likely, least = np.arange(len(row)), row, 0.0


def _sum_of_products(row: np.ndarray, logs: np.ndarray) -> float:
    return sum(row[at : at + DOT_IDS].dot(logs[at : at + DOT_IDS]) for at in range(0, len(row), DOT_IDS))


def _logarithms(weights: np.ndarray) -> np.ndarray:
    return np.log(np.maximum(weights, LEAST))


def _nearest_first(distance: np.ndarray) -> np.ndarray:
    """The ids of each row by distance, float64 [B, V]; those that are as near, within rounding, in any order.

    Of more than a few, the lowest bits of the distances make room for the id: sorting numbers takes a third of the time
    that sorting places does.
    """
    if distance.size <= FEW_PLACES:
        return distance.argsort(axis=-1)
    ids = (1 << (distance.shape[-1] - 1).bit_length()) - 1
    bits = distance.view(np.int64) & ~ids
    bits |= _counting(0, distance.shape[-1], 1)
    bits.view(np.float64).sort(axis=-1)
    bits &= ids
    return bits


@functools.lru_cache(64)
def _counting(start: int, stop: int, step: int) -> np.ndarray:
    """`np.arange`, which takes as long as a sum of a row; not to be changed."""
    return np.arange(start, stop, step)


# What each filter of SamplingConfig does; weights [B, V] and its number in, weights out.
KEEP: dict[str, Callable[..., np.ndarray]] = {
    "top_k": keep_top_k,
    "top_p": keep_top_p,
    "min_p": keep_min_p,
    "typical": keep_typical,
}
# Which ids each of them keeps of one row of many: weights [V] and its number in, ids out, int64 [N] in order.
KEPT: dict[str, Callable[..., np.ndarray]] = {
    "top_k": top_k_ids,
    "top_p": top_p_ids,
    "min_p": min_p_ids,
    "typical": typical_ids,
}
