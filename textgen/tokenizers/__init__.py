"""Text to token ids and back, without losing a character.

What goes in: any text whose symbols the tokenizer knows. What comes out: int32 ids, and from ids the same text:
`decode(encode(text)) == text`, where decoding is plain concatenation of pieces, so text can be streamed.

`base.py` is the interface, `character.py` the tokenizer of one id per Unicode code point, `unknown.py` what happens
to symbols a model has never seen, `graph.py` the same tokenizers as TensorFlow operations (the only file here that
imports TensorFlow; nothing imports it but the export).
"""

from typing import Any

from textgen.errors import TokenizerError
from textgen.tokenizers.base import Tokenizer
from textgen.tokenizers.character import CharacterTokenizer

__all__ = ["CharacterTokenizer", "Tokenizer", "tokenizer_from_json"]

TOKENIZERS: dict[str, type[Tokenizer]] = {"character": CharacterTokenizer}


def tokenizer_from_json(document: Any) -> Tokenizer:
    """The tokenizer that `Tokenizer.to_json` described. Anything else is a TokenizerError."""
    kind = document.get("type") if isinstance(document, dict) else None
    if not isinstance(kind, str) or kind not in TOKENIZERS:
        raise TokenizerError(f"a tokenizer's type must be one of {sorted(TOKENIZERS)}. Received: {kind!r}")
    return TOKENIZERS[kind].from_json(document)
