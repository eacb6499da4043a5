"""Text to token ids (int32) and back, without losing a character: `decode(encode(text)) == text`.

Decoding is plain concatenation of pieces, so text can be streamed.

    base              the interface
    character         one id per Unicode code point
    word              words, and the specification of what a word is
      word_classes    the class of each code point
      word_pieces     a text -> its words
      word_fitting    a text -> the vocabulary of its most frequent words
    fitting           the interface of what learns a vocabulary from a text
    text_blocks       text as arrays, and streams of text in blocks of one size
    normalizing       text -> its Unicode form, before it is encoded
    unknown           symbols that a model has never seen -> symbols that it knows
      look_alikes     what stands for what looks alike
    form_tables       the last two, and case, as tables, for exports
    extending         the ids of a tokenizer in one that knows more
    graph_characters  the character tokenizer as TensorFlow operations, for the export
    graph_word        the word tokenizer likewise; `graph_tokenizer`

Only the last two import TensorFlow, and only the export imports them.
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
