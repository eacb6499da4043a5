"""A tokenizer that knows all pieces of another one, and more: which of its ids are old ones.

An extended tokenizer is like any other: characters in code point order, words behind them, `<eod>` last. Nothing that
reads it needs to know that it was extended. But ids move, and all that is kept by id has to move with them. NOTE: old
words come before new ones, so the words are not in the order of their frequency.
"""

import numpy as np

from textgen.errors import TokenizerError
from textgen.tokenizers.base import Tokenizer


def check_extensible(base: Tokenizer, level: str, document_separator: str | None, normalize: str) -> None:
    """Raise TokenizerError unless a tokenizer of that kind can know all pieces of `base`, in the same sense."""
    wanted = (level, document_separator, normalize)
    if (base.level, base.document_separator, base.normalize) != wanted:
        raise TokenizerError(
            "a tokenizer is extended by one of the same level, document_separator and normalize. "
            f"Received: {wanted} for {(base.level, base.document_separator, base.normalize)}"
        )


def former_ids(tokenizer: Tokenizer, base: Tokenizer) -> np.ndarray:
    """The id that each piece of `tokenizer` has in `base`, int32 [V]; -1 where `base` does not have it.

    Raises:
        TokenizerError: `tokenizer` lacks a piece of `base`.
    """
    ids = {piece: token_id for token_id, piece in enumerate(base.pieces)}
    former = np.array([ids.get(piece, -1) for piece in tokenizer.pieces], np.int32)
    if np.count_nonzero(former >= 0) != base.vocabulary_size:
        lost = next(piece for piece in base.pieces if piece not in set(tokenizer.pieces))
        raise TokenizerError(f"an extended tokenizer knows all that the first one does. Missing: {lost!r}")
    return former
