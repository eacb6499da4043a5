"""The tokenizers as TensorFlow operations: strings to ids and back, inside an exported model.

What goes in: UTF-8 strings, of which invalid bytes are read as U+FFFD. What comes out: the ids that `make_readable` and
`encode` would give, and from ids the same text. Symbols that the model has never seen are replaced by their nearest
known form, from a table made once, so that no rule about Unicode has to be in the graph.

tensorflow_text's `Tokenizer` and `Detokenizer` are the interface. Where it has no wheel (Windows), `tf.Module` stands
in for them; only core operations are used, so an exported model never needs it.
"""

import functools
import unicodedata
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from textgen.errors import TokenizerError
from textgen.tokenizers.base import Tokenizer
from textgen.tokenizers.character import CODE_POINTS, CharacterTokenizer
from textgen.tokenizers.unknown import PLAIN_PUNCTUATION, nearest_known

try:
    from tensorflow_text import Detokenizer as TextDetokenizer
    from tensorflow_text import Tokenizer as TextTokenizer
except ImportError:  # no wheel for this platform

    class TextTokenizer(tf.Module):
        """Stands in for `tensorflow_text.Tokenizer`."""

    class TextDetokenizer(tf.Module):
        """Stands in for `tensorflow_text.Detokenizer`."""


SURROGATES = range(0xD800, 0xE000)
HANGUL_SYLLABLES = range(0xAC00, 0xD7A4)  # decomposed by a formula that unicodedata.decomposition leaves out


class Forms(NamedTuple):
    """Every code point that a model can read, and how: row `i` is the ids of `code_points[i]`."""

    code_points: np.ndarray  # int32 [F], ascending
    row_splits: np.ndarray  # int64 [F + 1], where each row begins in `token_ids`
    token_ids: np.ndarray  # int32


class GraphCharacterTokenizer(TextTokenizer, TextDetokenizer):
    """`CharacterTokenizer`, with the policy `replace` for unknown symbols."""

    def __init__(self, tokenizer: CharacterTokenizer):
        """Args: tokenizer: the tokenizer whose ids to give."""
        super().__init__(name="character_tokenizer")
        self.forms = known_forms(tokenizer)
        self.symbols = np.array([ord(symbol) for symbol in tokenizer.pieces], np.int32)  # [V]

    def tokenize(self, strings: tf.Tensor) -> tf.RaggedTensor:
        """Ids of `strings` [B], int32 [B, (T)]."""
        code_points = tf.strings.unicode_decode(strings, "UTF-8", errors="replace", replacement_char=0xFFFD)
        known = tf.constant(self.forms.code_points)
        # One past the end of `known`, and whatever stands where an unknown code point would, leads to the empty row.
        places = tf.searchsorted(known, code_points.flat_values)
        is_known = tf.gather(tf.concat([known, [-1]], axis=0), places) == code_points.flat_values
        rows = code_points.with_flat_values(tf.where(is_known, places, len(self.forms.code_points)))
        return tf.gather(self._table(), rows).merge_dims(1, 2)

    def _table(self) -> tf.RaggedTensor:
        """The rows of `forms`, and an empty one behind them."""
        _, row_splits, token_ids = self.forms
        splits = np.append(row_splits, row_splits[-1])
        return tf.RaggedTensor.from_row_splits(tf.constant(token_ids), tf.constant(splits), validate=False)

    def detokenize(self, token_ids: tf.Tensor | tf.RaggedTensor) -> tf.Tensor:
        """Strings [B] of `token_ids` [B, T], dense or ragged."""
        return tf.strings.unicode_encode(tf.gather(tf.constant(self.symbols), token_ids), "UTF-8")


def known_forms(tokenizer: CharacterTokenizer) -> Forms:
    """What stands for each code point under the policy `replace`, as ids; code points without a form are left out."""
    known = set(tokenizer.pieces)
    symbols = sorted(known.union(symbols_with_forms()))
    forms = {symbol: form for symbol in symbols if (form := nearest_known(symbol, known))}
    lengths = [len(form) for form in forms.values()]
    return Forms(
        np.array([ord(symbol) for symbol in forms], np.int32),
        np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        tokenizer.encode("".join(forms.values())),
    )


@functools.cache
def symbols_with_forms() -> tuple[str, ...]:
    """Every symbol for which `nearest_known` may find something else: with a case, a decomposition, a plain form."""
    found = set(PLAIN_PUNCTUATION)
    for code_point in range(CODE_POINTS):
        symbol = chr(code_point)
        if symbol.lower() != symbol or symbol.upper() != symbol or unicodedata.decomposition(symbol):
            found.add(symbol)
    return tuple(found.difference(map(chr, SURROGATES)).union(map(chr, HANGUL_SYLLABLES)))


GRAPH_TOKENIZERS = {CharacterTokenizer: GraphCharacterTokenizer}


def graph_tokenizer(tokenizer: Tokenizer) -> GraphCharacterTokenizer:
    """`tokenizer` as TensorFlow operations."""
    if type(tokenizer) not in GRAPH_TOKENIZERS:
        raise TokenizerError(f"a tokenizer of level {tokenizer.level!r} has no form as TensorFlow operations")
    return GRAPH_TOKENIZERS[type(tokenizer)](tokenizer)
