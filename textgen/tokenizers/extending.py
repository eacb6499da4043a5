"""A tokenizer for a new text that begins with another one: what it keeps of it, and which of its ids are old ones.

Such a tokenizer is like any other: characters in code point order, words behind them, `<eod>` last. Nothing that reads
it needs to know how it was made. But ids move, and all that is kept by id has to move with them. NOTE: old words come
before new ones, so the words are not in the order of their frequency.

All characters stay. Of the words, those that the new text uses stay, and most others, so that a model does not lose a
language to a text of twenty pages. Two kinds of unused words go, because a writer would take them for a fault: words
with a character that the text never has, as “it’s” in a text that writes "it's"; and capitalised words that are never
written small, which are nearly all names of the texts before.
"""

from collections.abc import Collection, Sequence

import numpy as np

from textgen.errors import TokenizerError
from textgen.tokenizers.base import Tokenizer


def check_extensible(base: Tokenizer, level: str, normalize: str) -> None:
    """Raise TokenizerError unless a tokenizer of that kind can know the pieces of `base`, in the same sense."""
    if (base.level, base.normalize) != (level, normalize):
        raise TokenizerError(
            "a tokenizer is extended by one of the same level and normalize. "
            f"Received: {(level, normalize)} for {(base.level, base.normalize)}"
        )


def kept_unused(words: Sequence[str], used: Collection[str], symbols: Collection[str]) -> list[str]:
    """Those of a base's `words` that stay though the text does not use them, in their order.

    Args:
        used: the pieces of the text; a set or a dictionary.
        symbols: the characters of the text; likewise.
    """
    small = frozenset(word.lstrip(" ") for word in words if word == word.lower())
    kept: list[str] = []
    for word in words:
        is_name = word != word.lower() and word.lstrip(" ").lower() not in small
        if word not in used and not is_name and all(symbol in symbols for symbol in word):
            kept.append(word)
    return kept


def former_ids(tokenizer: Tokenizer, base: Tokenizer) -> np.ndarray:
    """The id that each piece of `tokenizer` has in `base`, int32 [V]; -1 where `base` does not have it."""
    ids = {piece: token_id for token_id, piece in enumerate(base.pieces)}
    return np.array([ids.get(piece, -1) for piece in tokenizer.pieces], np.int32)
