"""The word tokenizer as TensorFlow operations, against the one in Python: one specification, implemented twice."""

import functools

import pytest
import tensorflow as tf
from conftest import slow
from hard_texts import ALL_SYMBOLS, ENGLISH, HARD_TEXTS, SOME_SYMBOLS, mixed_texts
from hypothesis import example, given, settings
from hypothesis import strategies as st

from textgen.config import TextConfig
from textgen.tokenizers import CharacterTokenizer, Tokenizer, WordTokenizer, new_fitter
from textgen.tokenizers.graph_word import GraphWordTokenizer, graph_tokenizer
from textgen.tokenizers.unknown import make_readable, trim_prompt


def fit(*blocks: str, **settings) -> WordTokenizer:
    fitter = new_fitter("word")
    for block in blocks:
        fitter.add(block)
    return fitter.finish(TextConfig(level="word", **settings))


class Both:
    """A tokenizer in Python and, traced once, as a graph."""

    def __init__(self, tokenizer: Tokenizer):
        self.tokenizer, self.graph = tokenizer, graph_tokenizer(tokenizer)
        strings = tf.TensorSpec([None], tf.string)
        self.run = tf.function(self._run, input_signature=[strings], autograph=False)

    def _run(self, strings: tf.Tensor) -> tuple[tf.RaggedTensor, tf.Tensor]:
        token_ids = self.graph.tokenize(strings)
        return token_ids, self.graph.detokenize(token_ids)

    def check(self, texts: list[str]) -> None:
        """The graph gives Python's ids, and the text that they were read from."""
        token_ids, strings = self.run(tf.constant([text.encode() for text in texts], tf.string))
        prompts = [trim_prompt(make_readable(text, self.tokenizer).text, self.tokenizer) for text in texts]
        assert token_ids.to_list() == [self.tokenizer.encode(prompt).tolist() for prompt in prompts]
        assert [string.decode() for string in strings.numpy()] == prompts


@functools.cache
def both(name: str) -> Both:
    if name == "English":
        return Both(fit(ENGLISH, documents="line"))
    symbols = ALL_SYMBOLS if "all" in name else SOME_SYMBOLS
    if "characters" in name:
        return Both(CharacterTokenizer(symbols))
    return Both(WordTokenizer(symbols, fit(*HARD_TEXTS.values()).words))


MANY_SYMBOLS = [slow(name) for name in ("all characters", "all words")]


def test_a_hand_worked_prompt():
    tokenizer = WordTokenizer("\n .acefht", ["the", " cat", " the"])
    ragged = GraphWordTokenizer(tokenizer).tokenize(tf.constant(["the cat, the hat.\n ", "", " ", "caf\u00e9 the"]))
    assert ragged.dtype == tf.int32
    assert ragged.to_list() == [[9, 10, 11, 1, 7, 3, 8, 2, 0], [], [], [4, 3, 6, 5, 11]]


@pytest.mark.parametrize("name", ["characters", "words", "English", *MANY_SYMBOLS])
def test_hard_texts_are_read_as_python_reads_them(name):
    both(name).check(list(HARD_TEXTS.values()))
    for text in HARD_TEXTS.values():
        both(name).check([text])


@pytest.mark.parametrize("name", ["characters", "words", "English", *MANY_SYMBOLS])
@given(st.lists(mixed_texts, max_size=4))
@example([])
@example([""])
@example(["", " ", "\u0301a", "'", "a ", "b"])
def test_any_text_is_read_as_python_reads_it(name, texts):
    both(name).check(texts)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["all characters", "all words"])
@given(mixed_texts)
@settings(max_examples=10_000)
def test_ten_thousand_texts_are_read_as_python_reads_them_and_come_back(name, text):
    both(name).check([text])
    assert trim_prompt(make_readable(text, both(name).tokenizer).text, both(name).tokenizer) in (text, text[:-1])


@pytest.mark.parametrize("symbols", [SOME_SYMBOLS, slow(ALL_SYMBOLS)], ids=len)
@pytest.mark.parametrize("form", ["nfc", "nfkc", "casefold"])
def test_a_model_that_normalises_reads_hard_texts_as_python_reads_them(form, symbols):
    pytest.importorskip("tensorflow_text")
    texts = list(HARD_TEXTS.values())
    Both(WordTokenizer(symbols, fit(*texts).words, normalize=form)).check(texts)


def test_every_string_is_a_text_of_its_own():
    graph = GraphWordTokenizer(WordTokenizer(" 'ab\u0301", ["a'b", " b", "ab"]))
    alone = [graph.tokenize([text]).to_list()[0] for text in ("a'", "b", "\u0301b", "a", "b")]
    assert graph.tokenize(["a'", "b", "\u0301b", "a", "b"]).to_list() == alone


def test_words_are_spelled_out_and_the_end_of_a_document_is_not():
    graph = GraphWordTokenizer(WordTokenizer(" ab", ["ab", " ab"], document_separator="\n"))
    assert graph.detokenize(tf.constant([[3, 5, 4], [5, 5, 0]])).numpy().tolist() == [b"ab ab", b" "]
    assert graph.detokenize(tf.ragged.constant([[3, 5], [], [4]], dtype=tf.int32)).numpy().tolist() == [
        *(b"ab", b"", b" ab"),
    ]


def test_without_words_everything_is_spelled():
    graph = GraphWordTokenizer(WordTokenizer(" ab", []))
    assert graph.tokenize(["ab b"]).to_list() == [[1, 2, 0, 2]]


def test_it_is_the_same_in_a_saved_model(tmp_path):
    class Exported(tf.Module):
        def __init__(self, tokenizer: GraphWordTokenizer):
            super().__init__()
            self.tokenizer = tokenizer

        @tf.function(input_signature=[tf.TensorSpec([None], tf.string)], autograph=False)
        def round_trip(self, strings):
            return self.tokenizer.detokenize(self.tokenizer.tokenize(strings).to_tensor(self.tokenizer_end()))

        def tokenizer_end(self) -> int:
            return both("English").tokenizer.eod_id

    tf.saved_model.save(Exported(both("English").graph), tmp_path)
    loaded = tf.saved_model.load(tmp_path)
    prompts = ["It's 1,805 \u2014 don't you think?", "Prince Anna", ""]
    assert [string.decode() for string in loaded.round_trip(tf.constant(prompts)).numpy()] == prompts
