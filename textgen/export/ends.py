"""`generation/ending.py` as TensorFlow operations: which tokens of each row belong to its text.

What goes in: the token that each row has drawn. What comes out: how many tokens are kept, and whether the row is over.
Stop strings are left to the caller of an exported model.
"""

from typing import NamedTuple, Self

import numpy as np
import tensorflow as tf

from textgen.tokenizers import Tokenizer


class Progress(NamedTuple):
    """How far each row is."""

    units: tf.Tensor  # int32 [B], begun so far
    kept: tf.Tensor  # int64 [B], tokens of the text so far
    is_open: tf.Tensor  # bool [B], whether the last token's unit may go on
    is_over: tf.Tensor  # bool [B]

    @classmethod
    def at_start(cls, batch_size: tf.Tensor) -> Self:
        """Before the first token."""
        no = tf.zeros([batch_size], tf.bool)
        return cls(tf.zeros([batch_size], tf.int32), tf.zeros([batch_size], tf.int64), no, no)


class Ends(NamedTuple):
    """What a tokenizer knows of where texts begin and end."""

    start_id: int
    eod_id: int | None
    continues: np.ndarray  # bool [V], `Tokenizer.continues`
    continued: np.ndarray  # bool [V], `Tokenizer.continued`

    @classmethod
    def of(cls, tokenizer: Tokenizer) -> Self:
        """Of `tokenizer`."""
        return cls(tokenizer.start_id, tokenizer.eod_id, tokenizer.continues, tokenizer.continued)

    def after(self, progress: Progress, token_ids: tf.Tensor, length: tf.Tensor) -> Progress:
        """The progress after one more token of every row, int32 [B]; a text has at most `length` units."""
        begins = ~(progress.is_open & tf.gather(tf.constant(self.continues), token_ids))
        units = progress.units + tf.cast(begins, tf.int32)
        ends_before = progress.is_over | (units > length)
        if self.eod_id is not None:
            ends_before |= tf.equal(token_ids, self.eod_id)
        is_open = tf.gather(tf.constant(self.continued), token_ids)
        is_over = ends_before | (tf.equal(units, length) & ~is_open)
        return Progress(units, progress.kept + tf.cast(~ends_before, tf.int64), is_open, is_over)
