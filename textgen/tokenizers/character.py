"""One id per Unicode code point of the training text, in code point order.

Code points, not graphemes: an emoji with joiners is several ids, and comes back as it went in. Lone surrogates
are not text (they have no UTF-8 form) and are refused.
"""

from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Any, Self

import numpy as np

from textgen.errors import TokenizerError
from textgen.tokenizers.base import Tokenizer

CODE_POINTS = 0x110000


class CharacterTokenizer(Tokenizer):
    """Characters as ids."""

    level = "char"

    def __init__(self, symbols: str):
        """Args: symbols: the vocabulary, distinct and in code point order; id `i` is `symbols[i]`."""
        if len(symbols) < 2 or list(symbols) != sorted(set(symbols)):
            raise TokenizerError(
                f"a character vocabulary holds at least two distinct symbols, sorted. Received: {symbols[:40]!r}"
            )
        if any(0xD800 <= ord(s) <= 0xDFFF for s in symbols):
            raise TokenizerError("a character vocabulary cannot hold surrogates")
        self._symbols = symbols

    @classmethod
    def fit(cls, texts: str | Iterable[str]) -> Self:
        """The tokenizer that knows every symbol of `texts`."""
        symbols: set[str] = set()
        for text in [texts] if isinstance(texts, str) else texts:
            symbols.update(text)
        if len(symbols) < 2:
            found = f"only {symbols.pop()!r}" if symbols else "none"
            raise TokenizerError(f"a text needs at least two different characters to learn from; found {found}")
        return cls("".join(sorted(symbols)))

    @property
    def pieces(self) -> Sequence[str]:
        """The vocabulary, one symbol per id."""
        return self._symbols

    @cached_property
    def _id_of_code_point(self) -> np.ndarray:
        """int32 [last known code point + 2]: the id of each code point, -1 where unknown."""
        code_points = _code_points(self._symbols)
        table = np.full(int(code_points[-1]) + 2, -1, np.int32)
        table[code_points] = np.arange(len(code_points), dtype=np.int32)
        return table

    def encode(self, text: str) -> np.ndarray:
        """Ids of `text`, int32 [N], one per code point."""
        token_ids = self._lookup(text)
        if token_ids.size and token_ids.min() < 0:
            position = int(np.argmax(token_ids < 0))
            raise TokenizerError(f"the model does not know {text[position]!r} (character {position:,} of the text)")
        return token_ids

    def unknown_symbols(self, text: str) -> list[str]:
        """The distinct symbols of `text` that have no id, in order of appearance."""
        return list(dict.fromkeys(text[i] for i in np.flatnonzero(self._lookup(text) < 0)))

    def _lookup(self, text: str) -> np.ndarray:
        table = self._id_of_code_point
        return table[np.minimum(_code_points(text), len(table) - 1)]

    @property
    def start_id(self) -> int:
        """The newline, after which texts begin; the first symbol when there is no newline."""
        return max(self._symbols.find("\n"), 0)

    def to_json(self) -> dict[str, Any]:
        """`{"type": "character", "symbols": ...}`."""
        return {"type": "character", "symbols": self._symbols}

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> Self:
        """The tokenizer of `document`, which must hold exactly what `to_json` writes."""
        if set(document) != {"type", "symbols"} or not isinstance(document["symbols"], str):
            raise TokenizerError(f"a character tokenizer holds type and symbols. Received: {sorted(document)}")
        return cls(document["symbols"])


def _code_points(text: str) -> np.ndarray:
    """int64 [len(text)]; surrogates pass, so that they are reported as unknown and not as a codec's failure."""
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32).astype(np.int64)
