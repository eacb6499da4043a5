"""The text that a model is measured on: in symbols that it knows, as token ids, and with its size in the units of the
figures.
"""

import math
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import numpy as np

from textgen.config import END_OF_DOCUMENT
from textgen.dataset import smallest_dtype
from textgen.errors import CorpusError
from textgen.tokenizers import Tokenizer
from textgen.tokenizers.normalizing import normalize_blocks
from textgen.tokenizers.unknown import nearest_known

DECODED_AT_ONCE = 1 << 18


class Figures(NamedTuple):
    """What the nats of a whole text come to."""

    nats_per_character: float
    bits_per_character: float
    word_perplexity: float  # exp(nats of the whole text / words)


class TokenizedText(NamedTuple):
    """A text as its model reads it."""

    token_ids: np.ndarray  # [N + 1]: the model's start token, then those of the text
    characters: int
    words: int  # reference words: between white space, and line ends

    def figures(self, nats: float) -> Figures:
        """The figures of a reading that took so many `nats` for all tokens together."""
        per_character = nats / self.characters
        perplexity = math.exp(min(700.0, nats / max(1, self.words)))
        return Figures(per_character, per_character / math.log(2), perplexity)


def tokenize(text: str | Iterable[str], tokenizer: Tokenizer) -> TokenizedText:
    """`text`, whole or in blocks, for a model that reads its start token first, so that every token is predicted.

    Raises CorpusError when it has fewer than two characters, TokenizerError at a symbol that the model does not know.
    """
    size = _Size()
    dtype = smallest_dtype(tokenizer.vocabulary_size)
    blocks = size.count([text] if isinstance(text, str) else text)
    parts = [part.astype(dtype) for part in tokenizer.encode_blocks(blocks)]
    if size.characters < 2:
        raise CorpusError(f"a text to evaluate needs at least two characters. Received: {size.characters}")
    token_ids = np.concatenate([np.array([tokenizer.start_id], dtype), *parts])
    return TokenizedText(token_ids, size.characters, size.words)


def readable_blocks(
    blocks: Iterable[str], tokenizer: Tokenizer, on_replaced: Callable[[dict[str, str]], None]
) -> Iterator[str]:
    """`blocks` in the model's normal form and in symbols that it knows; `on_replaced` hears of each other one once.

    Ends of documents stay where the model knows documents, and are line ends where it does not.
    """
    known, forms = set(tokenizer.symbols), {}
    for block in normalize_blocks(blocks, tokenizer.normalize):
        if tokenizer.eod_id is None:
            block = block.replace(END_OF_DOCUMENT, "\n")
        new = set(tokenizer.unknown_symbols(block)) - {END_OF_DOCUMENT} - set(forms)
        if new:
            forms |= {symbol: nearest_known(symbol, known) for symbol in sorted(new)}
            on_replaced({symbol: forms[symbol] for symbol in sorted(new)})
        yield block.translate({ord(symbol): form for symbol, form in forms.items()}) if forms else block


def text_of_ids(token_ids: np.ndarray, tokenizer: Tokenizer) -> Iterator[str]:
    """The text that `token_ids` [N] spell, in blocks, with ends of documents."""
    pieces = [*tokenizer.pieces]
    if tokenizer.eod_id is not None:
        pieces[tokenizer.eod_id] = END_OF_DOCUMENT
    for start in range(0, len(token_ids), DECODED_AT_ONCE):
        yield "".join([pieces[i] for i in token_ids[start : start + DECODED_AT_ONCE].tolist()])


class _Size:
    """Characters and reference words of a text that comes in blocks."""

    def __init__(self) -> None:
        self.characters = self.words = 0

    def count(self, blocks: Iterable[str]) -> Iterator[str]:
        """The same blocks, counted on their way."""
        ends_in_word = False
        for block in filter(None, blocks):
            text = block.replace(END_OF_DOCUMENT, "\n")
            self.characters += len(text)
            # A word that goes on from the block before was counted there.
            self.words += len(text.split()) - (ends_in_word and not text[0].isspace()) + text.count("\n")
            ends_in_word = not text[-1].isspace()
            yield block
