"""From logits and one uniform number to the next token id. All in float64, so that two engines can differ only where a
uniform number lies within rounding of a boundary.

The rules act in this order, each on what the one before left. `graph_sampling.py` holds them as TensorFlow operations,
by these numbers; a test compares the two for random settings:

1. Barred ids are not drawn, nor those that a steering does not allow. `barred.py` says which ids are barred, from the
   latest id of a row.
2. The repeat penalty divides the odds of every recent id.
3. Temperature 0 takes the likeliest id, the first of equals. The rules below are not asked.
4. The scores are divided by the temperature; their exponentials are the weights.
5. Filters set weights to zero, in the order of SamplingConfig's fields. Of equally likely ids they keep all or none.
6. The first id whose cumulative share, in id order, exceeds the uniform number is drawn.
"""

import math
from collections.abc import Callable, Sequence

import numpy as np

from textgen.config import FILTERS, SamplingConfig


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
        barred: for each row the ids that are not to be drawn, int [N], fewer than V; None is none.
        allowed: bool [B, V], the ids that a steering allows; None is all.

    Returns:
        int64 [B].
    """
    scores = logits.astype(np.float64)
    if barred is not None:  # rule 1
        for row, ids in zip(scores, barred, strict=True):
            row[ids] = -np.inf
    if allowed is not None:
        scores[~allowed] = -np.inf
    if config.repeat_penalty != 1:  # rule 2
        scores = repeat_penalty(scores, recent, config.repeat_penalty)
    if config.temperature == 0:  # rule 3
        return scores.argmax(axis=-1)
    scores -= scores.max(axis=-1, keepdims=True)  # first: the lowest temperatures overflow, then to -inf only
    with np.errstate(over="ignore"):
        scores /= config.temperature  # rule 4
    weights = filter_weights(np.exp(scores, out=scores), config)
    return draw(weights, uniform)


def repeat_penalty(scores: np.ndarray, recent: np.ndarray, penalty: float) -> np.ndarray:
    """Divide the odds of every id in `recent` by `penalty`, once however often it stands there.

    On the logits this subtracts log(penalty), which does not depend on where their zero lies.

    Source: the idea is Keskar et al. 2019, "CTRL", section 4.1, which divides the logits themselves.
    """
    rows, columns = np.nonzero(recent >= 0)
    scores = scores.copy()
    seen = np.zeros(scores.shape, bool)
    seen[rows, recent[rows, columns]] = True
    scores[seen] -= math.log(penalty)
    return scores


def filter_weights(weights: np.ndarray, config: SamplingConfig) -> np.ndarray:
    """The weights that the filters leave. Weights are float64 [B, V], not normalised."""
    for name, field in FILTERS.items():  # rule 5
        number = getattr(config, name)
        if number != field.default:
            weights = KEEP[name](weights, number)
    return weights


def keep_top_k(weights: np.ndarray, k: int) -> np.ndarray:
    """Keep the k largest of each row, and whatever equals the k-th."""
    threshold = np.sort(weights, axis=-1)[:, -min(k, weights.shape[-1]), None]
    return np.where(weights >= threshold, weights, 0.0)


def keep_top_p(weights: np.ndarray, top_p: float) -> np.ndarray:
    """Keep the smallest set of ids whose share of the sum reaches `top_p`, and whatever equals its least likely.

    Source: Holtzman et al. 2019, "The Curious Case of Neural Text Degeneration", section 3.1.
    """
    best_first = np.sort(weights, axis=-1)[:, ::-1]  # [B, V]
    mass_before = np.cumsum(best_first, axis=-1) - best_first
    num_kept = (mass_before < top_p * best_first.sum(axis=-1, keepdims=True)).sum(axis=-1, keepdims=True)
    threshold = np.take_along_axis(best_first, np.maximum(num_kept, 1) - 1, axis=-1)
    return np.where(weights >= threshold, weights, 0.0)


def keep_min_p(weights: np.ndarray, min_p: float) -> np.ndarray:
    """Keep the ids that are at least `min_p` times as likely as the likeliest."""
    return np.where(weights >= min_p * weights.max(axis=-1, keepdims=True), weights, 0.0)


# What each filter of SamplingConfig does; weights [B, V] and its number in, weights out.
KEEP: dict[str, Callable[..., np.ndarray]] = {"top_k": keep_top_k, "top_p": keep_top_p, "min_p": keep_min_p}


def draw(weights: np.ndarray, uniform: np.ndarray) -> np.ndarray:
    """The first id whose cumulative share, in id order, exceeds `uniform`; int64 [B]."""
    cumulative = np.cumsum(weights, axis=-1)  # rule 6
    target = uniform * cumulative[:, -1]
    token_ids = (cumulative <= target[:, None]).sum(axis=-1)
    # A product that rounds up to the whole sum would point past the end.
    return np.minimum(token_ids, (cumulative < cumulative[:, -1:]).sum(axis=-1))
