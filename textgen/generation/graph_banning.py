"""`banning.py` as TensorFlow operations, for texts that come with a request: the same rules, by the same numbers."""

import functools
import sys
from typing import NamedTuple, Self

import tensorflow as tf

from textgen.generation.banning import Banned, Spelled, is_capital
from textgen.tokenizers import Tokenizer


class GraphBanned(NamedTuple):
    """`Banned` as tensors."""

    holds: tf.Tensor  # bool [V]
    completes: tf.Tensor  # bool [P, V]
    begins: tf.Tensor  # bool [V, P]
    goes_on: tf.Tensor  # bool [V, P]
    lengths: tf.Tensor  # int32 [V]

    @classmethod
    def of(cls, banned: Banned) -> Self:
        """The tensors of `banned`."""
        return cls(*(tf.constant(getattr(banned, name)) for name in cls._fields))

    def after(self, is_open: tf.Tensor, token_ids: tf.Tensor) -> tf.Tensor:
        """`is_open`, bool [B, P], after one more token of each row, int32 [B]."""
        before = tf.range(tf.shape(is_open)[1])[None] - tf.gather(self.lengths, token_ids)[:, None]
        was_open = tf.gather(is_open, tf.maximum(before, 0), axis=1, batch_dims=1)
        return tf.gather(self.begins, token_ids) | (tf.gather(self.goes_on, token_ids) & was_open)  # rule 5

    def mask(self, is_open: tf.Tensor) -> tf.Tensor:
        """The ids that are banned while the texts at the places of `is_open`, bool [B, P], are open; bool [B, V]."""
        number = tf.matmul(tf.cast(is_open, tf.float32), tf.cast(self.completes, tf.float32))
        return self.holds | (number > 0)


class Places(NamedTuple):
    """All characters of all banned texts, in one row."""

    fits: tf.Tensor  # bool [U + 1, P], which characters of `Spelled` stand there
    place: tf.Tensor  # int32 [P], of a character in its text
    left: tf.Tensor  # int32 [P], characters of the text after it


def tables(texts: tf.Tensor, tokenizer: Tokenizer) -> GraphBanned:
    """The tables of banned `texts`, string [K], for a model that writes one document; P is 0 where there are none."""
    spelled = Spelled.of(tokenizer)
    fits, place, left = places_of(texts, spelled)
    num_ids, num_places = tokenizer.vocabulary_size, tf.size(place)
    from_left, to_right = tf.constant(spelled.from_left), tf.constant(spelled.to_right)  # [V, C]
    num_columns = tf.where(num_places > 0, spelled.from_left.shape[1], 0)
    lengths, is_last = tf.constant(spelled.lengths), tf.equal(left, 0)
    none = tf.zeros([num_ids, num_places], tf.bool)

    def begin(column: tf.Tensor, begins: tf.Tensor, holds: tf.Tensor) -> tuple[tf.Tensor, ...]:
        is_begun = tf.concat([begins[:, -1:], begins[:, :-1]], axis=1) | tf.equal(place, 0)
        begins = tf.gather(fits, to_right[:, column]) & is_begun
        return column + 1, begins, holds | tf.reduce_any(begins & is_last, axis=1)  # rule 4

    def go_on(column: tf.Tensor, goes_on: tf.Tensor, completes: tf.Tensor) -> tuple[tf.Tensor, ...]:
        is_there = (column < lengths)[:, None]
        next_place = tf.minimum(tf.range(num_places) + column + 1, num_places - 1)
        fits_next = tf.gather(tf.gather(fits, next_place, axis=1), from_left[:, column])
        goes_on &= ~is_there | (fits_next & (left > column))
        return column + 1, goes_on, completes | (is_there & goes_on & tf.equal(left, column + 1))

    is_column = lambda column, *_: column < num_columns  # noqa: E731
    _, begins, holds = tf.while_loop(is_column, begin, (0, none, tf.zeros([num_ids], tf.bool)))
    _, goes_on, completes = tf.while_loop(is_column, go_on, (0, ~none, none))
    before = tf.range(num_places)[None] - lengths[:, None]
    goes_on = tf.gather(goes_on, tf.maximum(before, 0), axis=1, batch_dims=1) & (place >= lengths[:, None])
    if tokenizer.eod_id is not None:  # rule 6
        is_text = tf.range(num_ids) < tokenizer.eod_id
        holds, completes = holds & is_text, completes & is_text[:, None]
    return GraphBanned(holds, tf.transpose(completes), begins & ~is_last, goes_on & ~is_last, lengths)


def places_of(texts: tf.Tensor, spelled: Spelled) -> Places:
    """The places of all `texts`, string [K]."""
    points = tf.strings.unicode_decode(texts, "UTF-8")
    symbols, rows = points.flat_values, points.value_rowids()  # [N]
    starts, sizes = (tf.cast(tf.gather(x, rows), tf.int32) for x in (points.row_starts(), points.row_lengths()))
    index = tf.range(tf.size(symbols))
    at = lambda place: tf.gather(symbols, tf.clip_by_value(place, 0, tf.size(symbols) - 1))  # noqa: E731
    is_ = lambda place, symbol: tf.equal(at(place), ord(symbol))  # noqa: E731
    is_set = (sizes >= 3) & is_(starts, "[") & is_(starts + sizes - 1, "]")  # rule 1
    is_negated = is_set & (sizes >= 4) & is_(starts + 1, "^")
    place, begin = index - starts, 1 + tf.cast(is_negated, tf.int32)
    is_range = is_set & is_(index, "-") & (place > begin) & (place < sizes - 2)
    lower = tf.where(is_range, tf.minimum(at(index - 1), at(index + 1)), symbols)
    upper = tf.where(is_range, tf.maximum(at(index - 1), at(index + 1)), symbols)
    is_first = ~is_set | tf.equal(place, begin)  # rule 2
    number = tf.cumsum(tf.cast(is_first, tf.int32)) - 1  # [N], of the place that a character belongs to
    num_places = tf.reduce_sum(tf.cast(is_first, tf.int32))
    is_said = ~is_set | ((place >= begin) & (place < sizes - 1))
    num_capitals = tf.gather(tf.math.unsorted_segment_sum(_is_capital(symbols), rows, tf.size(texts)), rows)
    is_exact = (num_capitals > 0) | is_negated  # rule 3
    within = lambda characters: (characters >= lower[:, None]) & (characters <= upper[:, None])  # noqa: E731
    fits = tf.where(is_exact[:, None], within(tf.constant(spelled.points)), within(tf.constant(spelled.small)))
    fits = tf.cast(fits & is_said[:, None], tf.int32)  # [N, U]
    found = tf.math.unsorted_segment_sum(fits, tf.maximum(number, 0), num_places) > 0  # [P, U]
    found = tf.not_equal(found, tf.boolean_mask(is_negated, is_first)[:, None])
    own_place = tf.boolean_mask(tf.where(is_set, 0, place), is_first)
    own_size = tf.boolean_mask(tf.where(is_set, 1, sizes), is_first)
    return Places(tf.transpose(tf.pad(found, [[0, 0], [0, 1]])), own_place, own_size - 1 - own_place)


def _is_capital(points: tf.Tensor) -> tf.Tensor:
    """1 for a capital, 0 for any other code point."""
    capitals = tf.constant(_capitals(), tf.int32)
    nearest = tf.minimum(tf.searchsorted(capitals, points), len(_capitals()) - 1)
    return tf.cast(tf.equal(tf.gather(capitals, nearest), points), tf.int32)


@functools.cache
def _capitals() -> list[int]:
    return [point for point in range(sys.maxunicode + 1) if is_capital(chr(point))]
