"""The interface of every tokenizer, and what all of them share: the characters.

At every level, each character of the training text has an id, in code point order from 0 on. Where the corpus is
documents, the last id is `<eod>`: it stands for END_OF_DOCUMENT, and its text is empty.
"""

import abc
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from typing import Any, ClassVar, Self

import numpy as np

from textgen.config import END_OF_DOCUMENT, NORMAL_FORMS
from textgen.errors import TokenizerError
from textgen.tokenizers.text_blocks import CODE_POINTS, WHOLE, Place, code_points

DOCUMENT_SEPARATORS = (None, "\n", "\n\n")
SURROGATES = range(0xD800, 0xE000)


class Tokenizer(abc.ABC):
    """Pieces of text and their ids; id `i` stands for `pieces[i]`."""

    level: ClassVar[str]  # "char" or "word": what `--level` says, and what `--length` counts
    type_name: ClassVar[str]  # what `to_json` calls it

    def __init__(self, symbols: str, document_separator: str | None = None, normalize: str = "none"):
        """Check and keep what tokenizers share.

        Args:
            symbols: every character that has an id, distinct and in code point order.
            document_separator: what is written between documents when text goes on; None exactly where there is no
                `<eod>`.
            normalize: the form that texts are brought to before they come here, one of NORMAL_FORMS.
        """
        if not 2 <= len(symbols) <= CODE_POINTS or list(symbols) != sorted(set(symbols)):
            raise TokenizerError(
                f"a {self.type_name} vocabulary holds at least two distinct symbols, sorted. Received: {symbols[:40]!r}"
            )
        if any(ord(s) in SURROGATES for s in symbols):
            raise TokenizerError(f"a {self.type_name} vocabulary cannot hold surrogates")
        if document_separator not in DOCUMENT_SEPARATORS:
            raise TokenizerError(
                f"a tokenizer's document_separator must be null, a newline or two. Received: {document_separator!r:.40}"
            )
        if normalize not in NORMAL_FORMS:
            raise TokenizerError(
                f"a tokenizer's normalize must be one of {', '.join(NORMAL_FORMS)}. Received: {normalize!r:.40}"
            )
        self.symbols = symbols
        self.document_separator = document_separator
        self.normalize = normalize

    @property
    @abc.abstractmethod
    def pieces(self) -> Sequence[str]:
        """The text of every id; V strings, that of `<eod>` empty."""

    @property
    def vocabulary_size(self) -> int:
        """V, the number of ids."""
        return len(self.pieces)

    @property
    def eod_id(self) -> int | None:
        """The id of `<eod>`, which is the last one; None where the corpus is one text."""
        return None if self.document_separator is None else self.vocabulary_size - 1

    @property
    def start_id(self) -> int:
        """What the model reads before it writes from an empty prompt; it is not part of the text.

        The end of the document before; else the newline, after which texts begin; else the first symbol.
        """
        return max(self.symbols.find("\n"), 0) if self.eod_id is None else self.eod_id

    def encode(self, text: str) -> np.ndarray:
        """Ids of `text`, int32 [N]; END_OF_DOCUMENT becomes `<eod>` where there is one.

        Raises:
            TokenizerError: at a symbol that the tokenizer does not know, naming it and its place.
        """
        return np.concatenate([np.zeros(0, np.int32), *self.encode_blocks([text])])

    @abc.abstractmethod
    def encode_blocks(self, blocks: Iterable[str], place: Place = WHOLE) -> Iterator[np.ndarray]:
        """The ids that `encode` gives for the whole of `blocks`, wherever they are cut, as int32 arrays.

        Args:
            place: of `blocks` in a text of which they are a part; see `word_pieces.cut_place`.
        """

    def decode(self, token_ids: Sequence[int] | np.ndarray, end: str = "") -> str:
        """The text of `token_ids`: their pieces, one after the other, with `end` for every `<eod>`."""
        pieces = [*self.pieces[:-1], end] if end and self.eod_id is not None else self.pieces
        return "".join([pieces[i] for i in np.asarray(token_ids).tolist()])

    def unknown_symbols(self, text: str) -> list[str]:
        """The distinct symbols of `text` that are no characters of the vocabulary, in order of appearance.

        NOTE: END_OF_DOCUMENT is always among them, though `encode` may know it: what people type ends no document.
        """
        return [symbol for symbol in dict.fromkeys(text) if symbol not in self._known]

    @property
    @abc.abstractmethod
    def continues(self) -> np.ndarray:
        """bool [V]: which tokens belong to the unit of `--length` that the token before them left open."""

    @property
    @abc.abstractmethod
    def continued(self) -> np.ndarray:
        """bool [V]: which tokens leave their unit open."""

    def to_json(self) -> dict[str, Any]:
        """A description that `from_json` turns into an equal tokenizer."""
        return {
            "type": self.type_name,
            "symbols": self.symbols,
            "document_separator": self.document_separator,
            "normalize": self.normalize,
        }

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> Self:
        """The tokenizer of `document`. Raises TokenizerError when anything in it is not as `to_json` writes it."""
        checked_document(document, {"symbols": str, "document_separator": (str, type(None)), "normalize": str}, cls)
        return cls(document["symbols"], document["document_separator"], document["normalize"])

    @cached_property
    def _known(self) -> frozenset[str]:
        return frozenset(self.symbols)

    @cached_property
    def _id_of_code_point(self) -> np.ndarray:
        """int32 [last known code point + 2]: the id of each code point, -1 where unknown."""
        known = code_points(self.symbols).astype(np.int64)
        ids = np.arange(len(known), dtype=np.int32)
        if self.eod_id is not None:
            known, ids = np.append(known, ord(END_OF_DOCUMENT)), np.append(ids, np.int32(self.eod_id))
        table = np.full(int(known.max()) + 2, -1, np.int32)
        table[known] = ids
        return table

    def _character_ids(self, points: np.ndarray, offset: int) -> np.ndarray:
        """The ids of characters, int32 [N]. `offset` is how many characters of the text are before, for the error."""
        table = self._id_of_code_point
        ids = table[np.minimum(points.astype(np.intp), len(table) - 1)]
        if ids.size and ids.min() < 0:
            place = int(np.argmax(ids < 0))
            unknown, position = chr(points[place]), offset + place
            raise TokenizerError(f"the model does not know {unknown!r} (character {position:,} of the text)")
        return ids


def checked_document(document: dict[str, Any], kinds: dict[str, Any], cls: type[Tokenizer]) -> None:
    """Raise TokenizerError unless `document` holds exactly the keys of `kinds` and "type", each of its kind."""
    keys = ["type", *kinds]
    is_exact = isinstance(document, dict) and set(document) == set(keys)
    if not is_exact or not all(isinstance(document[key], kind) for key, kind in kinds.items()):
        received = {str(k)[:40]: type(v).__name__ for k, v in list(document.items())[:10]}
        raise TokenizerError(f"a {cls.type_name} tokenizer holds exactly {', '.join(keys)}. Received: {received}")
