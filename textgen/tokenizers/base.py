"""The interface that every tokenizer keeps, whatever its pieces are."""

import abc
from collections.abc import Sequence
from typing import Any, Self

import numpy as np


class Tokenizer(abc.ABC):
    """Pieces of text and their ids; id `i` stands for `pieces[i]`."""

    level: str  # "char" or "word": what `--level` says, and what `--length` counts

    @property
    @abc.abstractmethod
    def pieces(self) -> Sequence[str]:
        """The text of every id; V strings."""

    @property
    def vocabulary_size(self) -> int:
        """V, the number of ids."""
        return len(self.pieces)

    @abc.abstractmethod
    def encode(self, text: str) -> np.ndarray:
        """Ids of `text`, int32 [N]. Raises TokenizerError at a symbol that the tokenizer does not know."""

    def decode(self, token_ids: Sequence[int] | np.ndarray) -> str:
        """The text of `token_ids`: their pieces, one after the other."""
        pieces = self.pieces
        return "".join([pieces[i] for i in np.asarray(token_ids).tolist()])

    @abc.abstractmethod
    def unknown_symbols(self, text: str) -> list[str]:
        """The distinct symbols of `text` that `encode` would refuse, in order of appearance."""

    @property
    @abc.abstractmethod
    def start_id(self) -> int:
        """What the model reads before it writes from an empty prompt; it is not part of the text."""

    @abc.abstractmethod
    def to_json(self) -> dict[str, Any]:
        """A description that `from_json` turns into an equal tokenizer."""

    @classmethod
    @abc.abstractmethod
    def from_json(cls, document: dict[str, Any]) -> Self:
        """The tokenizer of `document`. Raises TokenizerError when anything in it is unexpected."""
