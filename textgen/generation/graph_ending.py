"""`ending.py` as TensorFlow operations, for all rows of a batch: the same rules, by the same numbers.

The graph has no rule 7: the caller of an exported model looks for stop strings in its text.
"""

from typing import NamedTuple, Self

import tensorflow as tf

from textgen.tokenizers import Tokenizer
from textgen.tokenizers.word_pieces import MAX_PIECE


class Tally(NamedTuple):
    """What is counted of each row."""

    units: tf.Tensor  # int32 [B], begun so far
    kept: tf.Tensor  # int64 [B], tokens of the text so far
    is_open: tf.Tensor  # bool [B], whether the last token left its unit open
    is_over: tf.Tensor  # bool [B]

    @classmethod
    def at_start(cls, batch_size: tf.Tensor) -> Self:
        """Before the first token."""
        no = tf.zeros([batch_size], tf.bool)
        return cls(tf.zeros([batch_size], tf.int32), tf.zeros([batch_size], tf.int64), no, no)


def with_start(prompt_ids: tf.RaggedTensor, tokenizer: Tokenizer) -> tuple[tf.Tensor, tf.Tensor]:
    """What a model reads of texts that begin with `prompt_ids`, int32 [B, (T)].

    Returns:
        int32 [B, T + 1], filled up with start tokens; and how many of each row are read, int32 [B], at least 1.
    """
    if tokenizer.eod_id is not None:  # rule 1
        starts = tf.fill([prompt_ids.nrows(), 1], tokenizer.start_id)
        prompt_ids = tf.concat([tf.RaggedTensor.from_tensor(starts), prompt_ids], axis=1)
    lengths = tf.cast(tf.maximum(prompt_ids.row_lengths(), 1), tf.int32)
    start_id = tokenizer.start_id
    return tf.pad(prompt_ids.to_tensor(start_id), [[0, 0], [0, 1]], constant_values=start_id), lengths


class Ends:
    """Where the texts of a tokenizer end."""

    def __init__(self, tokenizer: Tokenizer):
        self.eod_id = tokenizer.eod_id
        self.continues, self.continued = tokenizer.continues, tokenizer.continued  # bool [V]

    def after(self, tally: Tally, token_ids: tf.Tensor, length: tf.Tensor) -> Tally:
        """The tally after one more token of every row, int32 [B]; a text has at most `length` units, int32."""
        nothing, token_ids = token_ids < 0, tf.maximum(token_ids, 0)
        begins = ~(tally.is_open & tf.gather(tf.constant(self.continues), token_ids))  # rule 3
        units = tally.units + tf.cast(begins, tf.int32)
        ends_before = tally.is_over | (units > length)  # rule 4
        ends_before |= nothing  # rule 8
        if self.eod_id is not None:
            ends_before |= tf.equal(token_ids, self.eod_id)  # rule 2
        is_open = tf.gather(tf.constant(self.continued), token_ids)
        is_over = ends_before | (tf.equal(units, length) & ~is_open)  # rule 5
        return Tally(units, tally.kept + tf.cast(~ends_before, tf.int64), is_open, is_over)

    def want_more(self, tally: Tally, num_tokens: tf.Tensor, length: tf.Tensor) -> tf.Tensor:
        """Whether any row goes on after `num_tokens` tokens, bool."""
        within = tf.cast(num_tokens, tf.int64) < tf.cast(length, tf.int64) * MAX_PIECE  # rule 6
        return within & tf.reduce_any(~tally.is_over)
