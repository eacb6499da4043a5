"""One id per Unicode code point of the training text, in code point order.

A code point is not a grapheme: an emoji with joiners is several ids, and comes back as it went in. Lone surrogates are
not text (they have no UTF-8 form) and are refused.
"""

from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property

import numpy as np

from textgen.config import TextConfig
from textgen.tokenizers.base import Tokenizer
from textgen.tokenizers.extending import check_extensible
from textgen.tokenizers.fitting import SymbolFitter
from textgen.tokenizers.text_blocks import WHOLE, Place, code_points, regrouped


class CharacterTokenizer(Tokenizer):
    """Characters as ids."""

    level = "char"
    type_name = "character"

    @property
    def pieces(self) -> Sequence[str]:
        """The vocabulary, one symbol per id, and the empty string for `<eod>`."""
        return self.symbols if self.document_separator is None else (*self.symbols, "")

    @cached_property
    def vocabulary_size(self) -> int:
        """V, the number of ids."""
        return len(self.symbols) + (self.document_separator is not None)

    def encode_blocks(self, blocks: Iterable[str], place: Place = WHOLE) -> Iterator[np.ndarray]:
        """Ids of the whole of `blocks`, int32 arrays, one id per code point."""
        offset = place.offset
        for block in regrouped(blocks):
            yield self._character_ids(code_points(block), offset)
            offset += len(block)

    @cached_property
    def continues(self) -> np.ndarray:
        """bool [V], all False: every character is a unit of its own."""
        return np.zeros(self.vocabulary_size, bool)

    @property
    def continued(self) -> np.ndarray:
        """bool [V], all False."""
        return self.continues


class CharacterFitter(SymbolFitter):
    """Learns a character tokenizer from a stream of text."""

    @property
    def num_pieces(self) -> int:
        """How many ids the text has, `<eod>` aside."""
        return self.num_symbols

    def finish(self, config: TextConfig, base: Tokenizer | None = None) -> CharacterTokenizer:
        """The tokenizer of the text so far, and of all symbols of `base`.

        Raises:
            TokenizerError: for a text that teaches nothing, or a `base` of another kind.
        """
        if base is not None:
            check_extensible(base, config.level, config.normalize)
        return CharacterTokenizer(self.symbols(base), config.between_documents, config.normalize)
