"""The interface of every fitter, which learns a tokenizer from a stream of text, and what all of them share."""

import abc

import numpy as np

from textgen.config import END_OF_DOCUMENT, TextConfig
from textgen.errors import TokenizerError
from textgen.tokenizers.base import Tokenizer
from textgen.tokenizers.text_blocks import CODE_POINTS, code_points


class SymbolFitter(abc.ABC):
    """Takes a text block by block, cut anywhere; `finish` makes the tokenizer of all of it."""

    def __init__(self) -> None:
        self._is_seen = np.zeros(CODE_POINTS, bool)

    def add(self, block: str) -> None:
        """Learn from the next block of the text."""
        self.add_symbols(block)

    def add_symbols(self, block: str) -> None:
        """Learn which characters a block holds, and nothing else of it; it may be any part of the text."""
        self._is_seen[code_points(block).astype(np.intp)] = True

    @abc.abstractmethod
    def finish(self, config: TextConfig, base: Tokenizer | None = None) -> Tokenizer:
        """The tokenizer of the text so far; with `base`, one that also has all pieces of that one."""

    @property
    @abc.abstractmethod
    def num_pieces(self) -> int:
        """How many ids the text has, `<eod>` aside."""

    @property
    def num_symbols(self) -> int:
        """How many different characters the text has, END_OF_DOCUMENT aside."""
        return int(self._is_seen.sum()) - bool(self._is_seen[ord(END_OF_DOCUMENT)])

    def symbols(self, base: Tokenizer | None = None) -> str:
        """The different characters of the text and of `base`, sorted. Raises TokenizerError for a text of only one."""
        symbols = "".join(map(chr, np.flatnonzero(self._is_seen))).replace(END_OF_DOCUMENT, "")
        if len(symbols) < 2:
            found = f"only {symbols!r}" if symbols else "none"
            raise TokenizerError(f"a text needs at least two different characters to learn from; found {found}")
        return symbols if base is None else "".join(sorted({*symbols, *base.symbols}))
