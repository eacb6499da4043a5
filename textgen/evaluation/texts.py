"""The text that a model is measured on: in symbols that it knows, as token ids, and with its size in the units of the
figures.
"""

import math
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import numpy as np

from textgen.config import END_OF_DOCUMENT
from textgen.corpus.describing import TextSize, has_words
from textgen.dataset.batches import smallest_dtype
from textgen.errors import CorpusError
from textgen.tokenizers import Tokenizer
from textgen.tokenizers.normalizing import normalize_blocks
from textgen.tokenizers.text_blocks import regrouped
from textgen.tokenizers.unknown import join_accents, make_readable, nearest_known, read_as, same_known


class Figures(NamedTuple):
    """The nats of a whole text, per unit of the text."""

    nats_per_character: float
    bits_per_character: float
    word_perplexity: float | None  # exp(nats of the whole text / words); None where no words stand between spaces


class TokenizedText(NamedTuple):
    """A text as its model reads it."""

    token_ids: np.ndarray  # [N + 1]: the model's start token, then those of the text
    characters: int
    words: int  # reference words: between white space, and line ends
    has_words: bool = True  # whether they are words

    def figures(self, nats: float) -> Figures:
        """The figures of the text when all of its tokens together take so many `nats`."""
        per_character = nats / self.characters
        perplexity = math.exp(min(700.0, nats / max(1, self.words))) if self.has_words else None
        return Figures(per_character, per_character / math.log(2), perplexity)


def tokenize(text: str | Iterable[str], tokenizer: Tokenizer) -> TokenizedText:
    """`text`, whole or in blocks, for a model that reads its start token first, so that every token is predicted.

    Raises CorpusError when it has fewer than two characters, TokenizerError at a symbol that the model does not know.
    """
    size = TextSize()

    def counted(blocks: Iterable[str]) -> Iterator[str]:
        for block in blocks:
            size.add(block)
            yield block

    dtype = smallest_dtype(tokenizer.vocabulary_size)
    blocks = counted([text] if isinstance(text, str) else text)
    parts = [part.astype(dtype) for part in tokenizer.encode_blocks(blocks)]
    if size.characters < 2:
        raise CorpusError(f"a text to evaluate needs at least two characters. Received: {size.characters}")
    token_ids = np.concatenate([np.array([tokenizer.start_id], dtype), *parts])
    is_spaced = has_words(size.characters, size.words, size.unspaced)
    return TokenizedText(token_ids, size.characters, size.words + size.line_ends, is_spaced)


def readable_blocks(
    blocks: Iterable[str],
    tokenizer: Tokenizer,
    on_replaced: Callable[[dict[str, str]], None],
    policy: str = "replace",
) -> Iterator[str]:
    """`blocks` in the model's normal form and in symbols that it knows.

    Ends of documents stay where the model knows documents, and are line ends where it does not.

    Args:
        on_replaced: called with each symbol that the model does not know, once, and what stands for it.
        policy: what happens to such symbols, one of `unknown.POLICIES`.

    Raises:
        TokenizerError: there is such a symbol, and the policy is "error".
    """
    known = set(tokenizer.symbols)
    forms: dict[str, str] = {}
    for block in regrouped(normalize_blocks(blocks, tokenizer.normalize)):
        if tokenizer.eod_id is None:
            block = block.replace(END_OF_DOCUMENT, "\n")
        unknown = set(tokenizer.unknown_symbols(block)) - {END_OF_DOCUMENT}
        if unknown:
            block, found = join_accents(block, known)
            unknown = set(tokenizer.unknown_symbols(block)) - {END_OF_DOCUMENT}
            if policy == "error":
                make_readable("".join(sorted(unknown)), tokenizer, policy)  # which raises where one has no form
            for symbol in sorted(unknown - set(forms)):
                nearest = nearest_known(symbol, known) if policy == "replace" else ""
                found[symbol] = same_known(symbol, known) or nearest
            if new := {symbol: form for symbol, form in found.items() if symbol not in forms}:
                forms |= new
                on_replaced(new)
        yield read_as(block, {symbol: forms[symbol] for symbol in unknown})
