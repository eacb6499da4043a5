"""The character tokenizer as TensorFlow operations: strings to ids and back, inside an exported model.

Strings are UTF-8, of which invalid bytes are read as U+FFFD. Their ids are those that `make_readable` and `encode`
would give. Accents that the model has never seen join their letters, and other such symbols are replaced by their
nearest known form, both from tables, so that the graph holds no rule about Unicode.

tensorflow_text's `Tokenizer` and `Detokenizer` are the interface. Where it has no wheel (Windows), `tf.Module` stands
in for them. Only core operations are used, so an exported model does not need tensorflow_text, unless it normalises:
Unicode's normal forms are tensorflow_text's operations.
"""

from collections.abc import Collection
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from textgen.errors import TokenizerError
from textgen.tokenizers.base import Tokenizer
from textgen.tokenizers.form_tables import joining_pairs, known_forms
from textgen.tokenizers.text_blocks import CODE_POINTS, code_points

try:
    import tensorflow_text
    from tensorflow_text import Detokenizer as TextDetokenizer
    from tensorflow_text import Tokenizer as TextTokenizer
except ImportError:  # no wheel for this platform
    tensorflow_text = None

    class TextTokenizer(tf.Module):  # type: ignore[no-redef]  # one of the two is defined
        """Stands in for `tensorflow_text.Tokenizer`."""

    class TextDetokenizer(tf.Module):  # type: ignore[no-redef]
        """Stands in for `tensorflow_text.Detokenizer`."""


MOST_ACCENTS = 3  # of one letter that is one symbol with them
NO_PAIR = -1


class Rows(NamedTuple):
    """A list of rows of numbers; row `i` is `values[splits[i] : splits[i + 1]]`."""

    values: np.ndarray  # int32
    splits: np.ndarray  # int64 [num_rows + 1]

    @classmethod
    def of(cls, texts: Collection[str]) -> "Rows":
        """The code points of each text."""
        return cls(code_points("".join(texts)).astype(np.int32), np.cumsum([0, *map(len, texts)], dtype=np.int64))

    def tensor(self) -> tf.RaggedTensor:
        """As a constant of the graph that is being made."""
        return tf.RaggedTensor.from_row_splits(tf.constant(self.values), tf.constant(self.splits), validate=False)


class GraphCharacterTokenizer(TextTokenizer, TextDetokenizer):
    """`CharacterTokenizer`, with the policy `replace` for unknown symbols."""

    def __init__(self, tokenizer: Tokenizer):
        """Args: tokenizer: the tokenizer whose ids to give."""
        super().__init__(name=f"{tokenizer.type_name}_tokenizer")
        self.normalize = tokenizer.normalize
        if self.needs_tensorflow_text and tensorflow_text is None:
            raise TokenizerError(
                f"a model with --normalize {self.normalize} needs tensorflow_text, which this platform has no wheel of"
            )
        self.symbols = code_points(tokenizer.symbols).astype(np.int32)  # ascending
        forms = known_forms(tokenizer.symbols)
        self.readable = code_points("".join(forms)).astype(np.int32)  # ascending; every code point with a form
        # What each of `readable` becomes, and an empty row for what has no form.
        spelled_forms = Rows.of([*forms.values(), ""])
        ids = np.searchsorted(self.symbols, spelled_forms.values).astype(np.int32)
        self.forms = spelled_forms._replace(values=ids)
        self.spellings = Rows.of(tokenizer.pieces)  # the code points of each id
        pairs = sorted(joining_pairs(tokenizer.symbols).items())
        # Two neighbours as one number, ascending, and what they are together; last what no neighbours are.
        self.neighbours = np.array([*(pair for pair, _ in pairs), NO_PAIR], np.int64)
        self.together = np.array([*(one for _, one in pairs), 0], np.int32)

    @property
    def needs_tensorflow_text(self) -> bool:
        """Whether the graph holds operations of tensorflow_text, which must then be imported before it is loaded."""
        return self.normalize != "none"

    def tokenize(self, strings: tf.Tensor) -> tf.RaggedTensor:
        """Ids of `strings` [B], int32 [B, (T)]."""
        return self.read_characters(strings)

    def read_characters(self, strings: tf.Tensor) -> tf.RaggedTensor:
        """The ids of the characters that can be read of `strings` [B], int32 [B, (N)]."""
        strings = self._normalized(strings)
        code_points = tf.strings.unicode_decode(strings, "UTF-8", errors="replace", replacement_char=0xFFFD)
        code_points = self._join_accents(code_points)
        readable = tf.constant(self.readable)
        # An unknown code point leads to the empty row, wherever it would stand in `readable`.
        places = tf.searchsorted(readable, code_points.flat_values)
        is_known = tf.gather(tf.concat([readable, [-1]], axis=0), places) == code_points.flat_values
        rows = code_points.with_flat_values(tf.where(is_known, places, len(self.readable)))
        return tf.gather(self.forms.tensor(), rows).merge_dims(1, 2)

    def _join_accents(self, code_points: tf.RaggedTensor) -> tf.RaggedTensor:
        """`join_accents` of code points [B, (N)]: in each round the next accent of every letter joins it."""
        for _ in range(MOST_ACCENTS if len(self.neighbours) > 1 else 0):
            points, rows = code_points.flat_values, code_points.value_rowids()
            is_first = (tf.range(tf.size(points)) == 0) | (rows != _moved_on(rows))
            before = tf.where(is_first, 0, _moved_on(points))
            pairs = tf.cast(before, tf.int64) * CODE_POINTS + tf.cast(points, tf.int64)
            places = tf.searchsorted(tf.constant(self.neighbours[:-1]), pairs)
            joins = tf.gather(tf.constant(self.neighbours), places) == pairs
            together = tf.gather(tf.constant(self.together), places)
            is_joined = tf.concat([joins, [False]], 0)[1:]
            points = tf.where(is_joined, tf.concat([together, [0]], 0)[1:], points)
            code_points = tf.ragged.boolean_mask(
                code_points.with_flat_values(points), code_points.with_flat_values(~joins)
            )
        return code_points

    def _normalized(self, strings: tf.Tensor) -> tf.Tensor:
        if not self.needs_tensorflow_text:
            return strings
        if self.normalize == "casefold":
            return tensorflow_text.case_fold_utf8(strings)
        return tensorflow_text.normalize_utf8(strings, self.normalize.upper())

    def detokenize(self, token_ids: tf.Tensor | tf.RaggedTensor) -> tf.Tensor:
        """Strings [B] of `token_ids` [B, T], dense or ragged."""
        if not isinstance(token_ids, tf.RaggedTensor):
            token_ids = tf.RaggedTensor.from_tensor(token_ids)
        code_points = tf.gather(self.spellings.tensor(), token_ids)  # [B, (T), (characters)]
        return tf.strings.unicode_encode(code_points.merge_dims(1, 2), "UTF-8")


def _moved_on(values: tf.Tensor) -> tf.Tensor:
    """Each value of [N] in the place of the next one, and the first where it was."""
    return tf.concat([values[:1], values[:-1]], 0)
