"""The tokenizers as TensorFlow operations, for whoever builds a graph: `graph_tokenizer` finds the right one."""

from textgen.errors import TokenizerError
from textgen.tokenizers.base import Tokenizer
from textgen.tokenizers.character import CharacterTokenizer
from textgen.tokenizers.graph_characters import GraphCharacterTokenizer
from textgen.tokenizers.graph_word import GraphWordTokenizer
from textgen.tokenizers.word import WordTokenizer

GRAPH_TOKENIZERS = {CharacterTokenizer: GraphCharacterTokenizer, WordTokenizer: GraphWordTokenizer}


def graph_tokenizer(tokenizer: Tokenizer) -> GraphCharacterTokenizer:
    """`tokenizer` as TensorFlow operations; its `tokenize` is `make_readable`, `trim_prompt` and `encode` in one.

    Raises:
        TokenizerError: for a tokenizer of another kind, or one that normalises where tensorflow_text is missing.
    """
    if type(tokenizer) not in GRAPH_TOKENIZERS:
        raise TokenizerError(f"a tokenizer of level {tokenizer.level!r} has no form as TensorFlow operations")
    return GRAPH_TOKENIZERS[type(tokenizer)](tokenizer)
