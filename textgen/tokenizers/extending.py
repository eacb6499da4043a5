"""A tokenizer for a new text that begins with another one: what it keeps of it, and which of its ids are old ones.

Such a tokenizer is like any other: characters in code point order, words behind them, `<eod>` last. Nothing that reads
it needs to know how it was made. But ids move, and all that is kept by id has to move with them. NOTE: old words come
before new ones, so the words are not in the order of their frequency.

All characters and words stay as far as there is room, so that a model does not lose a language to a text of twenty
pages. But of the words that the new text does not use, some are only read and never written, because a writer would
take them for a fault: words with a character that the text never has, as “it’s” in a text that writes "it's"; and
capitalised words that are never written small, which are nearly all names of the texts before; and single letters, as
" p" of "p.m.", that are no words of the new text.
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


def unused_words(
    words: Sequence[str], used: Collection[str], symbols: Collection[str], letters: Collection[str]
) -> tuple[list[str], list[str]]:
    """Those of a base's `words` that the text does not use, in their order: what may be written, and what is only read.

    Args:
        used: the pieces of the text; a set or a dictionary.
        symbols: the characters of the text; likewise.
        letters: those that are words of the text, in whatever form; likewise.
    """
    small = frozenset(word.lstrip(" ") for word in words if word == word.lower())
    written: list[str] = []
    silent: list[str] = []
    for word in words:
        if word not in used:
            is_name = word != word.lower() and word.lstrip(" ").lower() not in small
            is_foreign = not all(symbol in symbols for symbol in word)
            is_noise = is_letter(word) and word[-1] not in letters
            (silent if is_name or is_foreign or is_noise else written).append(word)
    return written, silent


def is_letter(word: str) -> bool:
    """Whether a piece is a single letter, with the space before it or without."""
    return len(word.lstrip(" ")) == 1 and word[-1].isalpha()


def former_ids(tokenizer: Tokenizer, base: Tokenizer) -> np.ndarray:
    """The id that each piece of `tokenizer` has in `base`, int32 [V]; -1 where `base` does not have it."""
    ids = {piece: token_id for token_id, piece in enumerate(base.pieces)}
    return np.array([ids.get(piece, -1) for piece in tokenizer.pieces], np.int32)
