"""Text to token ids and back, without losing a character.

What goes in: any text whose symbols the tokenizer knows. What comes out: int32 ids, and from ids the same text:
`decode(encode(text)) == text`, where decoding is plain concatenation of pieces, so text can be streamed.

`base.py` is the interface. `character.py` is the tokenizer of one id per Unicode code point, `word.py` that of words,
with its specification (`word_classes.py` and `word_pieces.py` carry it out, `word_fitting.py` counts). `normalizing.py`
brings text to a Unicode form before it comes here. `unknown.py` is what happens to symbols a model has never seen,
`extending.py` says how the ids of a tokenizer lie in one that knows more.
`graph.py`, `graph_characters.py` and `graph_word.py` are the same tokenizers as TensorFlow operations, the only files
here that import TensorFlow; nothing imports them but the export.
"""

from typing import Any

from textgen.errors import TokenizerError
from textgen.tokenizers.base import Tokenizer
from textgen.tokenizers.character import CharacterFitter, CharacterTokenizer
from textgen.tokenizers.fitting import SymbolFitter
from textgen.tokenizers.word import WordTokenizer
from textgen.tokenizers.word_fitting import WordFitter

__all__ = ["CharacterTokenizer", "SymbolFitter", "Tokenizer", "WordTokenizer", "new_fitter", "tokenizer_from_json"]

TOKENIZERS: dict[str, type[Tokenizer]] = {cls.type_name: cls for cls in (CharacterTokenizer, WordTokenizer)}
FITTERS: dict[str, type[SymbolFitter]] = {"char": CharacterFitter, "word": WordFitter}


def new_fitter(level: str) -> SymbolFitter:
    """What learns a tokenizer of that level, "char" or "word": `add` it every block of a text, then `finish`."""
    if level not in FITTERS:
        raise TokenizerError(f"--level must be one of {', '.join(FITTERS)}. Received: {level!r}")
    return FITTERS[level]()


def tokenizer_from_json(document: Any) -> Tokenizer:
    """The tokenizer that `Tokenizer.to_json` described. Anything else is a TokenizerError."""
    kind = document.get("type") if isinstance(document, dict) else None
    if not isinstance(kind, str) or kind not in TOKENIZERS:
        raise TokenizerError(f"a tokenizer's type must be one of {sorted(TOKENIZERS)}. Received: {kind!r:.40}")
    return TOKENIZERS[kind].from_json(document)
