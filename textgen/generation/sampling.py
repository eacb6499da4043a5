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
6. Filters set weights to zero, in the order of SamplingConfig's fields (`filters.py`). Of equally likely ids they keep
   all or none.
7. The first id whose cumulative share, in id order, exceeds the uniform number is drawn.

That is the order of transformers, in `_get_logits_processor` of `generation/utils.py`: repetition penalty, no-repeat
n-grams, bad words, least length, what a prefix allows, temperature, top-k, top-p, min-p, typical. It was read there at
commit 000034a44ef8, which came after 4.49.
"""

import math
from collections.abc import Sequence

import numpy as np

from textgen.config import SamplingConfig
from textgen.generation.filters import GROUP, LOG_LEAST, active, filter_row, filter_weights

PENALTIES = {"repeat_penalty": 1.0, "presence_penalty": 0.0, "frequency_penalty": 0.0}  # and where they are off
MANY_IDS = 4096  # from so many on, rows are drawn one after the other, and ids by groups
ALL, NONE = slice(None), slice(0)
COLDEST = 1e-250  # a temperature below this one changes no weight, which are 0 and 1; dividing by it does not overflow


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
    if logits.shape[-1] >= MANY_IDS and len(logits) > 1:  # a row alone stays in the processor's cache
        return np.concatenate(
            [
                next_ids(
                    logits[row : row + 1],
                    uniform[row : row + 1],
                    config,
                    recent[row : row + 1],
                    None if barred is None else barred[row : row + 1],
                    None if allowed is None else allowed[row : row + 1],
                )
                for row in range(len(logits))
            ]
        )
    scores = penalised(logits.astype(np.float64), recent, config) if config.penalises else logits.astype(np.float64)
    is_all_free = allowed is None
    if barred is not None:  # rule 3
        for row, ids in enumerate(barred):
            if len(ids):
                scores[row][ids], is_all_free = -np.inf, False
    if allowed is not None:
        scores[~allowed] = -np.inf
    best = np.maximum.reduce(scores, axis=-1, keepdims=True)  # [B, 1]
    is_known = scores.shape[-1] >= MANY_IDS and allowed is None  # of few ids, looking at all takes less time
    infinite = (NONE if barred is None else barred[0]) if is_known else ALL
    if is_all_free or (has_some := best > -np.inf).all():
        return chosen(scores, best, uniform, config, infinite)
    scores[~has_some[:, 0]] = best[~has_some] = 0.0
    return np.where(has_some[:, 0], chosen(scores, best, uniform, config, infinite), -1)


def chosen(
    scores: np.ndarray, best: np.ndarray, uniform: np.ndarray, config: SamplingConfig, infinite: np.ndarray | slice
) -> np.ndarray:
    """The id of each row, int64 [B], by its scores, float64 [B, V], which are changed, and the best of them, [B, 1].

    Of many ids there is one row. `infinite` are the ids of each row whose scores are infinite, int [N]; ALL where that
    is not known.
    """
    if config.temperature == 0:  # rule 4
        return scores.argmax(axis=-1)
    scores -= best  # before the division: a tiny temperature must not make two infinities
    scores /= max(config.temperature, COLDEST)  # rule 5
    filters = active(config)  # rule 6
    needs_logs = "typical" in filters
    weights = np.exp(scores, out=None if needs_logs else scores)
    if needs_logs and isinstance(infinite, slice):
        np.maximum(scores[:, infinite], LOG_LEAST, out=scores[:, infinite])
    elif needs_logs:
        scores[:, infinite] = LOG_LEAST
    logs = scores if needs_logs else None
    if not filters or not np.isfinite(best).all():  # a damaged model's scores are no numbers; any id is as good
        return draw(weights, uniform)
    if weights.shape[-1] < MANY_IDS:
        return draw(filter_weights(weights, config, logs), uniform)
    ids, left = filter_row(weights[0], config, None if logs is None else logs[0])
    return ids[draw(left[None], uniform)]


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
