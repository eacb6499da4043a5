"""`past.py` as tensors: what a loop carries from token to token so that the rules know the texts so far.

A part that no rule asks for is empty: (), where that is known while tracing, and else a tensor that nothing is done to.
"""

import functools
import operator
from typing import Any, NamedTuple, Self

import numpy as np
import tensorflow as tf

from textgen.generation.barred import Barred
from textgen.generation.graph_banning import GraphBanned
from textgen.generation.graph_sampling import Active, Rules, choose, penalised, without
from textgen.generation.sampling import PENALTIES
from textgen.generation.state import MAX_RECENT

Empty = tuple[()]


class GraphUnits(NamedTuple):
    """`Units` as tensors."""

    least: tf.Tensor  # int32
    is_eod: tf.Tensor  # bool [V]
    continues: tf.Tensor  # bool [V]
    continued: tf.Tensor  # bool [V]


class GraphBarred(NamedTuple):
    """`Barred` as tensors. A loop carries the group of each row's latest id."""

    groups: tf.Tensor  # int32 [V], the group of each id
    masks: tf.Tensor | Empty  # bool [G, V], the ids that do not follow each group; () where each may follow
    banned: GraphBanned | Empty = ()
    units: GraphUnits | Empty = ()

    @classmethod
    def of(cls, barred: Barred | None) -> Self | None:
        """The tensors of `barred`, where there is any."""
        if barred is None:
            return None
        ids = np.arange(len(barred.groups))
        masks: tf.Tensor | Empty = ()
        if any(map(len, barred.ids)):
            masks = tf.constant(np.stack([np.isin(ids, row) for row in barred.ids]))
        banned: GraphBanned | Empty = () if barred.banned is None else GraphBanned.of(barred.banned)
        units: GraphUnits | Empty = ()
        if barred.units is not None:
            least, eod_id, *open_ends = barred.units
            units = GraphUnits(tf.constant(least), tf.constant(ids == eod_id), *map(tf.constant, open_ends))
        return cls(tf.constant(barred.groups), masks, banned, units)


class Past(NamedTuple):
    """What is known of the text of each row."""

    group: tf.Tensor  # int32 [B], that of the latest id in `Barred`
    history: tf.Tensor = ()  # int32 [W, B], the latest ids, oldest first; -1 where there is none
    counts: tf.Tensor = ()  # int32 [B, V], how often each id is among the `repeat_last_n` latest
    streaks: tf.Tensor = ()  # int32 [W, B], how many ids of `history` that end there are the latest ids
    is_open: tf.Tensor = ()  # bool [B, P], as in `Banned`
    units: tf.Tensor = ()  # int32 [B], begun so far
    unit_is_open: tf.Tensor = ()  # bool [B]


class Follower(NamedTuple):
    """What the rules do to the scores of the next ids, and what they remember of each id that was drawn."""

    rules: Rules  # with the number `repeat_last_n`
    active: Active
    barred: GraphBarred | None
    num_ids: int
    asks: bool | tf.Tensor  # whether anything but the group of the latest id is to be known

    def scores(self, logits: tf.Tensor, past: Past) -> tf.Tensor:
        """The scores that penalties and bars leave of `logits`, float32 [B, V]; float64 [B, V]."""
        scores = tf.cast(logits, tf.float64)
        if self.barred is not None and is_there(self.barred.masks):
            scores = without(scores, tf.gather(self.barred.masks, past.group))
        return choose(self.asks, functools.partial(self._ruled, scores, past), functools.partial(tf.identity, scores))

    def after(self, past: Past, token_ids: tf.Tensor) -> Past:
        """The past of one more token of every row, int32 [B]; what follows the end of a row does not matter."""
        token_ids = tf.maximum(token_ids, 0)
        if self.barred is not None and is_there(self.barred.masks):
            past = past._replace(group=tf.gather(self.barred.groups, token_ids))
        return choose(self.asks, functools.partial(self._remembered, past, token_ids), lambda: past)

    def at_start(self, num_rows: tf.Tensor) -> Past:
        """The past of empty texts, with all parts. They are as large as is needed where anything is asked."""
        size = tf.where(self.asks, MAX_RECENT, 0)
        none, no_text = tf.zeros([num_rows], tf.int32), tf.zeros([size, num_rows], tf.int32)
        counts = tf.zeros([num_rows, self.num_ids], tf.int32)
        past = Past(none, no_text - 1, counts, no_text)
        if self.barred is not None and (banned := self.barred.banned):
            past = past._replace(is_open=tf.zeros([num_rows, tf.shape(banned.begins)[1]], tf.bool))
        if self.barred is not None and self.barred.units:
            past = past._replace(units=none, unit_is_open=tf.zeros([num_rows], tf.bool))
        return past

    def after_some(self, past: Past, token_ids: tf.Tensor, is_read: tf.Tensor) -> Past:
        """The past of one more token that is read, int32 [B], in the rows of `is_read`, bool [B]."""
        by_time = lambda new, old: tf.where(is_read, new, old)  # noqa: E731
        by_row = lambda new, old: tf.where(is_read[:, None], new, old)  # noqa: E731

        def read() -> Past:
            after = self._remembered(past, token_ids)
            return past._replace(
                history=by_time(after.history, past.history),
                counts=by_row(after.counts, past.counts),
                streaks=by_time(after.streaks, past.streaks),
                is_open=by_row(after.is_open, past.is_open),
            )

        if self.barred is not None and is_there(self.barred.masks):
            past = past._replace(group=by_time(tf.gather(self.barred.groups, token_ids), past.group))
        return choose(self.asks, read, lambda: past)

    def _ruled(self, scores: tf.Tensor, past: Past) -> tf.Tensor:
        if is_there(past.counts):
            scores = penalised(scores, past.counts, self.rules, self.active)
        if is_there(past.streaks):
            repeating = lambda: without(scores, self._repeating(past))  # noqa: E731
            scores = choose(self.active["no_repeat_ngram"], repeating, functools.partial(tf.identity, scores))
        if self.barred is not None and self.barred.banned:
            scores = without(scores, self.barred.banned.mask(past.is_open))
        if self.barred is not None and self.barred.units:
            is_early = past.units < self.barred.units.least
            scores = without(scores, is_early[:, None] & self.barred.units.is_eod)
        return scores

    def _repeating(self, past: Past) -> tf.Tensor:
        """The ids that would write a run of the history again, bool [B, V]."""
        size, num_rows = self.rules["no_repeat_ngram"], tf.shape(past.history)[1]
        slots = tf.range(tf.shape(past.history)[0])[:, None]
        before = tf.pad(past.streaks[:-1], [[1, 0], [0, 0]])  # [W, B], of what is before each id
        follows = (before >= size - 1) & (slots >= size - 1) & (past.history >= 0)
        cells = tf.maximum(past.history, 0) + self.num_ids * tf.range(num_rows)
        number = tf.math.unsorted_segment_sum(tf.cast(follows, tf.int32), cells, num_rows * self.num_ids)
        return tf.reshape(number > 0, [num_rows, self.num_ids])

    def _remembered(self, past: Past, token_ids: tf.Tensor) -> Past:
        if is_there(history := past.history):
            if is_there(past.counts):
                leaving = history[tf.shape(history)[0] - self.rules["repeat_last_n"]]
                ids = tf.range(self.num_ids)
                is_id = lambda row: tf.cast(tf.equal(ids, row[:, None]), tf.int32)  # noqa: E731
                past = past._replace(counts=past.counts + is_id(token_ids) - is_id(leaving))
            history = tf.concat([history[1:], token_ids[None]], axis=0)
            if is_there(past.streaks):
                streaks = tf.where(tf.equal(history, token_ids), past.streaks + 1, 0)
                # The latest id itself is no other that is equal.
                past = past._replace(streaks=tf.concat([streaks[:-1], tf.zeros_like(streaks[:1])], axis=0))
            past = past._replace(history=history)
        if self.barred is not None and self.barred.banned:
            past = past._replace(is_open=self.barred.banned.after(past.is_open, token_ids))
        if self.barred is not None and (units := self.barred.units):
            begins = tf.cast(~(past.unit_is_open & tf.gather(units.continues, token_ids)), tf.int32)
            past = past._replace(units=past.units + begins, unit_is_open=tf.gather(units.continued, token_ids))
        return past


def is_there(part: tf.Tensor | Empty) -> bool:
    """Whether a part is kept at all."""
    return not isinstance(part, tuple)


def penalises(active: Active) -> Any:
    """Whether recent ids are counted: a bool, or a bool tensor."""
    return functools.reduce(operator.or_, (active[name] for name in PENALTIES))
