"""The word tokenizer as TensorFlow operations. `word.py` is the specification.

The same steps as `word_pieces.py`, on the characters of a whole batch at once: flat arrays of N characters, in which
nothing looks beyond the beginning or the end of its own string. Only core operations, none of them a loop.
"""

import numpy as np
import tensorflow as tf

from textgen.errors import TokenizerError
from textgen.tokenizers.base import Tokenizer
from textgen.tokenizers.character import CharacterTokenizer
from textgen.tokenizers.graph_characters import GraphCharacterTokenizer
from textgen.tokenizers.word import WordTokenizer
from textgen.tokenizers.word_classes import APOSTROPHE, END, IDEOGRAPH, LETTER, MARK, OTHER, SPACE, classes_of
from textgen.tokenizers.word_pieces import MAX_PIECE


class GraphWordTokenizer(GraphCharacterTokenizer):
    """`WordTokenizer`, with the policy `replace` for unknown symbols, and `trim_prompt`."""

    def __init__(self, tokenizer: WordTokenizer):
        """Args: tokenizer: the tokenizer whose ids to give."""
        super().__init__(tokenizer)
        self.classes = classes_of(self.symbols).astype(np.int32)
        # An empty table is refused; an empty piece, which there is none of, makes sure that it is not.
        words = tf.constant(["", *tokenizer.words])
        word_ids = tf.concat([[-1], tf.range(len(tokenizer.words)) + len(self.symbols)], axis=0)
        # The table must be an attribute: it is how a SavedModel finds it.
        self.word_ids = tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(words, word_ids), -1)

    def tokenize(self, strings: tf.Tensor) -> tf.RaggedTensor:
        """Ids of `strings` [B], int32 [B, (T)]."""
        characters = self._trimmed(self.read_characters(strings))
        begins = find_pieces(characters.with_flat_values(tf.gather(self.classes, characters.flat_values)))
        piece = tf.cumsum(tf.cast(begins, tf.int32)) - 1  # [N], of every character
        word = tf.gather(self._look_up(characters.flat_values, begins), piece)  # int32 [N]
        token_ids = characters.with_flat_values(tf.where(word < 0, characters.flat_values, word))
        return tf.ragged.boolean_mask(token_ids, characters.with_flat_values(begins | (word < 0)))

    def _trimmed(self, characters: tf.RaggedTensor) -> tf.RaggedTensor:
        """Without a space at the end of a string."""
        is_space = tf.gather(self.classes, characters.flat_values) == SPACE
        is_kept = characters.with_flat_values(~(is_space & ends_of(characters)))
        return tf.ragged.boolean_mask(characters, is_kept)

    def _look_up(self, characters: tf.Tensor, begins: tf.Tensor) -> tf.Tensor:
        """The word that each piece is, int32 [P], -1 where it is none."""
        splits = tf.concat([positions_of(begins), [tf.size(characters)]], axis=0)
        pieces = tf.RaggedTensor.from_row_splits(tf.gather(self.symbols, characters), splits, validate=False)
        return self.word_ids.lookup(tf.strings.unicode_encode(pieces, "UTF-8"))


def graph_tokenizer(tokenizer: Tokenizer) -> GraphCharacterTokenizer:
    """`tokenizer` as TensorFlow operations; its `tokenize` is `make_readable`, `trim_prompt` and `encode` in one.

    Raises:
        TokenizerError: for a tokenizer of another kind, or one that normalises where tensorflow_text is missing.
    """
    if type(tokenizer) is WordTokenizer:
        return GraphWordTokenizer(tokenizer)
    if type(tokenizer) is CharacterTokenizer:
        return GraphCharacterTokenizer(tokenizer)
    raise TokenizerError(f"a tokenizer of level {tokenizer.level!r} has no form as TensorFlow operations")


def find_pieces(classes: tf.RaggedTensor) -> tf.Tensor:
    """Which characters begin a piece, bool [N]. `classes`: int32 [B, (N)]."""
    is_first, is_last, flat = begins_of(classes), ends_of(classes), classes.flat_values
    resolved = resolve(flat, is_first, is_last)
    is_mark = flat == MARK
    begins = (resolved != before(resolved, is_first, END)) | (resolved == IDEOGRAPH)
    joins = (resolved >= LETTER) & (resolved <= OTHER) & ~is_mark
    joined = (flat == SPACE) & after(joins, is_last, False)  # spaces that begin the piece of what is behind them
    begins = (begins & ~is_mark & ~before(joined, is_first, False)) | joined | is_first
    piece = tf.cumsum(tf.cast(begins, tf.int32)) - 1
    place = tf.range(tf.size(flat)) - tf.gather(positions_of(begins), piece)
    return begins | (place & (MAX_PIECE - 1) == 0)  # a power of two


def resolve(classes: tf.Tensor, is_first: tf.Tensor, is_last: tf.Tensor) -> tf.Tensor:
    """Give marks the class of what they stand on, and apostrophes that of letters or of others; int32 [N]."""
    is_base = (classes != MARK) | is_first
    bases = tf.gather(positions_of(is_base), tf.cumsum(tf.cast(is_base, tf.int32)) - 1)
    resolved = tf.gather(tf.where(classes == MARK, OTHER, classes), bases)  # a mark that is a base begins a string
    is_between = (before(resolved, is_first, END) == LETTER) & (after(classes, is_last, END) == LETTER)
    apostrophes = tf.where((classes == APOSTROPHE) & is_between, LETTER, OTHER)
    return tf.where(resolved == APOSTROPHE, apostrophes, resolved)


def begins_of(rows: tf.RaggedTensor) -> tf.Tensor:
    """Which values are the first of their row, bool [N]."""
    starts = tf.gather(rows.row_starts(), rows.value_rowids())
    return tf.range(tf.size(rows.flat_values, tf.int64)) == starts


def ends_of(rows: tf.RaggedTensor) -> tf.Tensor:
    """Which values are the last of their row, bool [N]."""
    limits = tf.gather(rows.row_limits(), rows.value_rowids())
    return tf.range(tf.size(rows.flat_values, tf.int64)) == limits - 1


def before(values: tf.Tensor, is_first: tf.Tensor, fill: int | bool) -> tf.Tensor:
    """Every value's predecessor, `fill` at the beginning of a row."""
    return tf.where(is_first, fill, tf.concat([[fill], values], axis=0)[:-1])


def after(values: tf.Tensor, is_last: tf.Tensor, fill: int | bool) -> tf.Tensor:
    """Every value's successor, `fill` at the end of a row."""
    return tf.where(is_last, fill, tf.concat([values, [fill]], axis=0)[1:])


def positions_of(is_true: tf.Tensor) -> tf.Tensor:
    """Where values are true, int32, ascending."""
    return tf.cast(tf.where(is_true)[:, 0], tf.int32)
