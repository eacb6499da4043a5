"""Logits and one uniform number in, the next token id out: every sampling rule, in one place.

Rules act in this order, each on what the one before left: barred ids, repeat penalty, temperature, top-k, top-p, min-p,
draw. All in float64, so that engines can differ only where a uniform number lies within rounding of a boundary.
`graph_sampling.py` holds the same rules as TensorFlow operations; a test compares the two for random settings.
"""

import math

import numpy as np

from textgen.config import SamplingConfig


def next_ids(
    logits: np.ndarray,
    uniform: np.ndarray,
    config: SamplingConfig,
    recent: np.ndarray,
    barred: np.ndarray | None = None,
) -> np.ndarray:
    """The next id of each row.

    Args:
        logits: float [B, V].
        uniform: float64 [B], in [0, 1).
        recent: int [B, R], the latest ids of each row, -1 where there is none.
        barred: int [N], ids that are not to be drawn, fewer than V; None is none.

    Returns:
        int64 [B]. Temperature 0 takes the likeliest (the first of equals) and ignores `uniform`.
    """
    scores = logits.astype(np.float64)
    if barred is not None:
        scores[:, barred] = -np.inf
    if config.repeat_penalty != 1:
        scores = repeat_penalty(scores, recent, config.repeat_penalty)
    if config.temperature == 0:
        return scores.argmax(axis=-1)
    scores -= scores.max(axis=-1, keepdims=True)  # first: the lowest temperatures overflow, then to -inf only
    with np.errstate(over="ignore"):
        scores /= config.temperature
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
    """Set to zero what top-k, top-p and min-p drop. Weights are float64 [B, V], not normalised."""
    num_ids = weights.shape[-1]
    if 0 < config.top_k < num_ids:
        weights = keep_top_k(weights, config.top_k)
    if config.top_p < 1:
        weights = keep_top_p(weights, config.top_p)
    if config.min_p > 0:
        weights = np.where(weights >= config.min_p * weights.max(axis=-1, keepdims=True), weights, 0.0)
    return weights


def keep_top_k(weights: np.ndarray, k: int) -> np.ndarray:
    """Keep the k largest of each row, and whatever equals the k-th."""
    threshold = np.sort(weights, axis=-1)[:, -k, None]
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


def draw(weights: np.ndarray, uniform: np.ndarray) -> np.ndarray:
    """The first id whose cumulative share, in id order, exceeds `uniform`; int64 [B]."""
    cumulative = np.cumsum(weights, axis=-1)
    target = uniform * cumulative[:, -1]
    token_ids = (cumulative <= target[:, None]).sum(axis=-1)
    # A product that rounds up to the whole sum would point past the end.
    return np.minimum(token_ids, (cumulative < cumulative[:, -1:]).sum(axis=-1))
