"""How surprising each token of a text is, which rank it had, and what the model thought likelier.

The nats are those of `one_pass.py`, of the same pass: their sum is what `evaluate` reports.
"""

from collections.abc import Iterator
from functools import cached_property
from typing import NamedTuple

import numpy as np

from textgen.evaluation.one_pass import log_normalisers, outputs_in_blocks
from textgen.evaluation.texts import Figures, TokenizedText
from textgen.generation.numpy_engine import NumpyEngine
from textgen.messages import Advance, unwatched
from textgen.tokenizers import Tokenizer

NUM_LIKELIEST = 5
GROUP = 128  # ids whose largest score is looked at first, where there are many


class Scores(NamedTuple):
    """Of every token of a text, under what the model expected before it."""

    nats: np.ndarray  # float64 [N]
    ranks: np.ndarray  # int32 [N]: 1 where no token was likelier
    likeliest: np.ndarray  # int32 [N, K]: the ids of the likeliest tokens, the likeliest first
    probabilities: np.ndarray  # float32 [N, K], of these


class Place(NamedTuple):
    """A unit of a text: a symbol, or a word with all the pieces that spell it."""

    start: int  # its tokens
    stop: int
    line: int  # both from 1; the end of a document ends a line
    column: int
    text: str  # empty: the end of a document
    bits: float


class ScoredText:
    """A text with the scores of its tokens."""

    def __init__(self, tokens: TokenizedText, tokenizer: Tokenizer, scores: Scores):
        self.tokens, self.tokenizer, self.scores = tokens, tokenizer, scores
        self.token_ids = tokens.token_ids[1:]

    @property
    def figures(self) -> Figures:
        """Those of `evaluate`."""
        return self.tokens.figures(float(self.scores.nats.sum()))

    @property
    def total_bits(self) -> float:
        """The surprisal of the whole text."""
        return float(self.scores.nats.sum() / np.log(2))

    @cached_property
    def starts(self) -> np.ndarray:
        """The first tokens of all units, int64 [U]: words that are spelled have several tokens."""
        ids = self.token_ids.astype(np.int64)
        goes_on = self.tokenizer.continued[ids[:-1]] & self.tokenizer.continues[ids[1:]]
        return np.flatnonzero(np.append(True, ~goes_on))

    @cached_property
    def bits(self) -> np.ndarray:
        """The surprisal of every unit, float64 [U], the sum of its tokens'."""
        return np.add.reduceat(self.scores.nats, self.starts) / np.log(2)

    @cached_property
    def lines(self) -> np.ndarray:
        """The line of every unit, from 0, int64 [U]. A unit belongs to the line that it begins in."""
        ends = np.array([piece.count("\n") for piece in self.tokenizer.pieces])
        if self.tokenizer.eod_id is not None:
            ends[self.tokenizer.eod_id] = 1
        after = np.cumsum(ends[self.token_ids])
        return np.append(0, after[:-1])[self.starts]

    def line_bits(self) -> np.ndarray:
        """The surprisal of every line, float64; 0 of those without a unit of their own."""
        return np.bincount(self.lines, weights=self.bits)

    @cached_property
    def columns(self) -> np.ndarray:
        """The column of every unit, from 0, int64 [U]: the characters before it since its line began."""
        lengths = np.array([len(piece) for piece in self.tokenizer.pieces])[self.token_ids]
        before = (np.cumsum(lengths) - lengths)[self.starts]
        return before - before[np.searchsorted(self.lines, self.lines)]

    def places(self, units: np.ndarray | None = None) -> Iterator[Place]:
        """These units, int [...], or all."""
        pieces, ids = self.tokenizer.pieces, self.token_ids.tolist()
        chosen = slice(None) if units is None else units
        columns = (self.starts, np.append(self.starts[1:], len(ids)), self.lines + 1, self.columns + 1, self.bits)
        for start, stop, line, column, bits in zip(*(column[chosen].tolist() for column in columns), strict=True):
            yield Place(start, stop, line, column, "".join([pieces[i] for i in ids[start:stop]]), bits)

    def most_surprising(self, most: int = 10) -> list[Place]:
        """The most surprising units, the most surprising first."""
        return [*self.places(np.argsort(-self.bits, kind="stable")[:most])]

    def alternatives(self, token: int) -> list[tuple[str, float]]:
        """What the model thought likeliest in place of a token, and how likely."""
        texts = [self.tokenizer.pieces[i] for i in self.scores.likeliest[token]]
        return list(zip(texts, self.scores.probabilities[token].tolist(), strict=True))


def score_tokens(token_ids: np.ndarray, engine: NumpyEngine, progress: Advance = unwatched) -> Scores:
    """The scores of every token after the first, in one pass that carries the state from zero."""
    scores = empty_scores(len(token_ids) - 1, engine)
    for done in fill_scores(scores, token_ids, engine):
        progress(done, len(token_ids) - 1)
    return scores


def empty_scores(total: int, engine: NumpyEngine) -> Scores:
    """Room for those of `total` tokens."""
    most = min(NUM_LIKELIEST, engine.config.vocabulary_size)
    return Scores(
        np.empty(total), np.empty(total, np.int32), np.empty((total, most), np.int32), np.empty((total, most), "f4")
    )


def fill_scores(scores: Scores, token_ids: np.ndarray, engine: NumpyEngine) -> Iterator[int]:
    """Do the work of `score_tokens` block by block; after each, how many tokens are done."""
    most = scores.likeliest.shape[-1]
    for rows, outputs in outputs_in_blocks(token_ids, engine):
        logits = engine.logits(outputs)  # [T, V]
        normalisers = log_normalisers(logits)
        targets = token_ids[rows.start + 1 : rows.stop + 1].astype(np.int64)[:, None]
        reached = np.take_along_axis(logits, targets, axis=-1)
        scores.nats[rows] = normalisers - reached[:, 0]
        scores.ranks[rows] = [1 + np.count_nonzero(row) for row in logits > reached]  # with an axis NumPy is slow
        scores.likeliest[rows] = likeliest = likeliest_ids(logits, most)
        best = np.take_along_axis(logits, likeliest, axis=-1)
        scores.probabilities[rows] = np.exp(best - normalisers[:, None])
        yield rows.stop


def likeliest_ids(logits: np.ndarray, most: int) -> np.ndarray:
    """The ids of the `most` largest of `logits` [T, V], the largest first, int64 [T, most].

    Of many ids, the groups that hold the largest ones are found first: no other can hold one of the `most` largest. A
    group takes one of each so many ids, so that the largest of all groups are found side by side.
    """
    size = logits.shape[-1]
    if size <= 2 * most * GROUP:
        return _partitioned(logits, most)
    num_groups = size // GROUP
    groups = logits[:, : num_groups * GROUP].reshape(len(logits), GROUP, num_groups).max(axis=1)
    best = np.argpartition(groups, -most, axis=-1)[:, -most:]
    ids = (best[:, :, None] + np.arange(0, num_groups * GROUP, num_groups)).reshape(len(logits), -1)
    rest = np.broadcast_to(np.arange(num_groups * GROUP, size), (len(logits), size - num_groups * GROUP))
    ids = np.concatenate([ids, rest], axis=1)
    return np.take_along_axis(ids, _partitioned(np.take_along_axis(logits, ids, axis=-1), most), axis=-1)


def _partitioned(values: np.ndarray, most: int) -> np.ndarray:
    best = np.argpartition(values, -most, axis=-1)[:, -most:]
    order = np.argsort(-np.take_along_axis(values, best, axis=-1), axis=-1)
    return np.take_along_axis(best, order, axis=-1)
