"""The likeliest ways to go on to the end of the next piece, with their probabilities.

With characters a piece goes up to the next white space, and takes the white space before it along: "It was" goes on
with " a", ",", "n't". In writing without spaces it is one character. With words it is what `--length` counts: one id,
or the letters of a word that is spelled.

The search is best first (Dijkstra's, on logarithms): a way is never likelier than its beginning, so the first whole
pieces that come up are the likeliest of all. Probabilities are the model's own: temperature, penalties and filters do
not act on them.
"""

import heapq
import itertools
import math
from typing import Any, NamedTuple

import numpy as np

from textgen.generation.engines import Engine
from textgen.generation.state import Context
from textgen.tokenizers import Tokenizer
from textgen.tokenizers.text_blocks import code_points
from textgen.tokenizers.word_classes import BLANK, IDEOGRAPH, SPACE, classes_of

MOST = 50  # pieces that are searched for
MAX_STEPS = 300  # of the network: half a second with a large vocabulary


class Alternative(NamedTuple):
    """One way to go on."""

    text: str
    probability: float  # that the text goes on with exactly this piece
    is_whole: bool = True  # False: the search ended before the piece did, and the probability is that of its beginning


class Alternatives(NamedTuple):
    """The ways to go on, the likeliest first, and how probable it is that the document ends instead."""

    pieces: list[Alternative]
    end: float


class _Rules(NamedTuple):
    """Where a piece ends, for each id."""

    closes: np.ndarray  # bool [V]: the piece is whole with it
    ends: np.ndarray  # bool [V]: a piece that has begun is whole before it
    begins: np.ndarray  # bool [V]: from it on, something of the piece is there; white space before it is not enough
    never: np.ndarray  # bool [V]: no part of a piece; it ends even white space

    @classmethod
    def of(cls, tokenizer: Tokenizer) -> "_Rules":
        is_eod = np.arange(tokenizer.vocabulary_size) == (-1 if tokenizer.eod_id is None else tokenizer.eod_id)
        if tokenizer.level == "word":
            return cls(~tokenizer.continued, ~tokenizer.continues | is_eod, ~is_eod, is_eod)
        classes = classes_of(code_points(tokenizer.symbols))
        classes = np.append(classes, classes[: int(is_eod.any())])  # `<eod>` is none of them; it is told apart below
        is_space, is_ideograph = np.isin(classes, (SPACE, BLANK)), classes == IDEOGRAPH
        return cls(is_ideograph & ~is_eod, is_space | is_ideograph | is_eod, ~is_space & ~is_eod, is_eod)


class _Place(NamedTuple):
    """A beginning, and what may follow it, the likeliest first."""

    token_ids: tuple[int, ...]
    context: Context
    has_begun: bool
    following: np.ndarray  # int [N]
    costs: np.ndarray  # float64 [N]: minus the logarithm of the probability of the beginning with what follows


def alternatives(engine: Engine, tokenizer: Tokenizer, context: Context, count: int) -> Alternatives:
    """The `count` likeliest pieces after `context`.

    There are fewer where the model knows no more. A search that takes more than MAX_STEPS steps of the network gives
    beginnings for the rest.
    """
    rules, steps, order = _Rules.of(tokenizer), 0, itertools.count()
    # (cost, order, ids, None) is a whole piece. (cost, order, rank, place) is the likeliest of what may follow a place
    # that was not looked at yet, so that a place has one entry and not one for each id.
    queue: list[tuple[float, int, Any, _Place | None]] = []

    def open_place(token_ids: tuple[int, ...], context: Context, has_begun: bool, cost: float) -> None:
        costs = cost - _log_probabilities(context.logits)
        over = rules.ends if has_begun else rules.never
        whole = -float(np.logaddexp.reduce(-costs[over], initial=-np.inf))
        if token_ids and math.isfinite(whole):
            heapq.heappush(queue, (whole, next(order), token_ids, None))
        following = _cheapest(np.where(over, np.inf, costs), count + MAX_STEPS)
        if len(following):
            place = _Place(token_ids, context, has_begun, following, costs[following])
            heapq.heappush(queue, (float(place.costs[0]), next(order), 0, place))

    open_place((), context, False, 0.0)
    found: dict[str, Alternative] = {}
    while queue and len(found) < count:
        cost, _, rank, place = heapq.heappop(queue)
        if place is None:
            _add(found, tokenizer.decode(rank), cost, is_whole=True)
            continue
        if rank + 1 < len(place.following):
            heapq.heappush(queue, (float(place.costs[rank + 1]), next(order), rank + 1, place))
        token_id = int(place.following[rank])
        token_ids = (*place.token_ids, token_id)
        if rules.closes[token_id] or steps == MAX_STEPS:
            _add(found, tokenizer.decode(token_ids), cost, is_whole=bool(rules.closes[token_id]))
            continue
        steps += 1
        read = engine.read(np.array([token_id], np.int32), place.context)
        open_place(token_ids, read, place.has_begun or bool(rules.begins[token_id]), cost)
    end = 0.0 if tokenizer.eod_id is None else float(np.exp(_log_probabilities(context.logits)[tokenizer.eod_id]))
    return Alternatives(list(found.values()), end)


def after_piece(tokenizer: Tokenizer, text: str) -> np.ndarray | None:
    """The ids behind which the piece `text` is over, bool [V]: with any other it would go on. None is all of them."""
    rules, token_ids = _Rules.of(tokenizer), tokenizer.encode(text)
    if rules.closes[token_ids[-1]]:
        return None
    over = rules.ends if rules.begins[token_ids].any() else rules.never
    return over if over.any() else None


def _add(found: dict[str, Alternative], text: str, cost: float, *, is_whole: bool) -> None:
    """Take note of a piece. One that is spelled in two ways is one piece."""
    before = found[text].probability if text in found else 0.0
    found[text] = Alternative(text, before + math.exp(-cost), is_whole)


def _log_probabilities(logits: np.ndarray) -> np.ndarray:
    """float64 [V]."""
    scores = logits.astype(np.float64)
    scores -= scores.max()
    return scores - np.log(np.exp(scores).sum())


def _cheapest(costs: np.ndarray, most: int) -> np.ndarray:
    """The ids of the `most` least finite costs, the least first, of equals the smaller id."""
    ids = np.argpartition(costs, most)[:most] if most < len(costs) else np.arange(len(costs))
    ids = ids[np.isfinite(costs[ids])]
    return ids[np.lexsort((ids, costs[ids]))]
