"""What a user should know of a word model's vocabulary before it is trained."""

import numpy as np

from textgen.dataset import Prepared
from textgen.dataset.batches import count_token_ids
from textgen.messages import counted
from textgen.tokenizers.word import WordTokenizer

FEW = 0.25  # of the text's characters; of prose as long as an article it is more than half
MOST_COUNTED = 1 << 22  # tokens


def notes_on(prepared: Prepared) -> tuple[str, ...]:
    """That hardly anything of the text is words of the vocabulary, where that is so of a word model."""
    tokenizer = prepared.tokenizer
    if not isinstance(tokenizer, WordTokenizer):
        return ()
    lengths = np.array([len(piece) for piece in tokenizer.pieces])
    characters = count_token_ids(prepared.train_ids[:MOST_COUNTED], tokenizer.vocabulary_size) * lengths
    share = characters[len(tokenizer.symbols) :].sum() / max(1, characters.sum())
    if share >= FEW:
        return ()
    words = f"the vocabulary has {counted(len(tokenizer.words), 'word')}"
    cover = f"which {'covers' if len(tokenizer.words) == 1 else 'cover'} {share:.1%} of the text's characters"
    return (f"{words}, {cover}; the rest is spelled. --level char suits such a text",)
