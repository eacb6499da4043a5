"""Tokenizers that know all that another one knows, and more: what they hold, and where old ids have gone."""

import json

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from textgen.config import TextConfig
from textgen.errors import TokenizerError
from textgen.tokenizers import CharacterTokenizer, Tokenizer, WordTokenizer, new_fitter, tokenizer_from_json
from textgen.tokenizers.extending import former_ids
from textgen.tokenizers.graph import graph_tokenizer
from textgen.tokenizers.unknown import make_readable, trim_prompt
from textgen.tokenizers.word_fitting import DEFAULT_VOCABULARY_SIZE, choose_vocabulary_size

OLD_TEXT = "the cat sat on the mat. the cat sat.\n"
NEW_TEXT = "Der Käfer saß auf der Matte. the cat saß auf der Matte.\n"
texts = st.text(st.sampled_from("abc AB'.\n1é世\u0301"), min_size=1).map(lambda text: "ab " + text)


def fitted(text: str, base: Tokenizer | None = None, **config) -> Tokenizer:
    config = TextConfig(**{"level": "char"} | config)
    fitter = new_fitter(config.level)
    fitter.add(text)
    return fitter.finish(config, base)


# ---- characters


def test_new_characters_take_their_place_in_code_point_order_and_old_ids_are_found_again():
    extended = fitted("bx\u00e9", CharacterTokenizer("acy"))
    assert extended.to_json() == CharacterTokenizer("abcxy\u00e9").to_json()
    assert former_ids(extended, CharacterTokenizer("acy")).tolist() == [0, -1, 1, -1, 2, -1]
    assert former_ids(extended, CharacterTokenizer("acy")).dtype == np.int32


def test_a_text_with_nothing_new_leaves_the_tokenizer_as_it_was():
    base = CharacterTokenizer("abcdef", "\n", "nfc")
    extended = fitted("fab", base, documents="line", normalize="nfc")
    assert extended.to_json() == base.to_json()
    assert former_ids(extended, base).tolist() == list(range(7))


def test_the_end_of_a_document_stays_the_last_id():
    base = CharacterTokenizer("ac", "\n")
    extended = fitted("bd", base, documents="line")
    assert extended.eod_id == extended.vocabulary_size - 1 == 4
    assert former_ids(extended, base).tolist() == [0, -1, 1, -1, 2]


# ---- words


def test_old_words_stay_before_new_ones_which_are_ordered_by_frequency():
    base = fitted(OLD_TEXT, level="word", vocabulary_size=15)
    assert base.words == (" cat", " sat", " the")
    extended = fitted(NEW_TEXT, base, level="word")
    assert extended.words == (*base.words, " Matte", " auf", " der", " sa\u00df")  # those that occur twice
    assert extended.symbols == "".join(sorted({*OLD_TEXT, *NEW_TEXT}))
    former = former_ids(extended, base)
    kept = [extended.pieces[i] for i in np.flatnonzero(former >= 0)]
    assert kept == [base.pieces[i] for i in former[former >= 0]] == list(base.pieces)


def test_what_stood_alone_in_either_text_stands_alone():
    base = fitted("a cat; a cat; I, I", level="word")
    assert base.alone == ";"
    assert fitted("I am. I am. (I)", base, level="word").alone == ".;I"


def test_a_vocabulary_size_counts_all_ids_of_the_extended_tokenizer():
    base = fitted(OLD_TEXT, level="word", vocabulary_size=15)
    num_must = len({*OLD_TEXT, *NEW_TEXT}) + 3
    assert fitted(NEW_TEXT, base, level="word", vocabulary_size=num_must).words == base.words
    assert fitted(NEW_TEXT, base, level="word", vocabulary_size=num_must + 1).words == (*base.words, " Matte")
    with pytest.raises(TokenizerError, match=rf"what the first model knows, .* Give at least {num_must}$"):
        fitted(NEW_TEXT, base, level="word", vocabulary_size=num_must - 1)
    with pytest.raises(TokenizerError, match=rf"and 6 different new words\. Give at most {num_must + 6}$"):
        fitted(NEW_TEXT, base, level="word", vocabulary_size=num_must + 7)


def test_a_full_vocabulary_takes_no_more_words_unless_it_is_asked_to():
    full = DEFAULT_VOCABULARY_SIZE + 5
    assert choose_vocabulary_size(None, full, 100, 50, num_kept=full - 30) == full
    assert choose_vocabulary_size(None, DEFAULT_VOCABULARY_SIZE - 20, 100, 50, num_kept=9) == DEFAULT_VOCABULARY_SIZE
    assert choose_vocabulary_size(full + 40, full, 100, 50, num_kept=full - 30) == full + 40


# ---- both


@pytest.mark.parametrize(
    ("base", "config"),
    [
        (CharacterTokenizer("ab"), {"level": "word"}),
        (WordTokenizer("ab", ["ab"]), {}),
        (CharacterTokenizer("ab"), {"documents": "line"}),
        (CharacterTokenizer("ab", "\n"), {"documents": "file"}),
        (CharacterTokenizer("ab"), {"normalize": "nfc"}),
    ],
)
def test_a_tokenizer_of_another_kind_is_not_extended(base, config):
    with pytest.raises(TokenizerError, match="is extended by one of the same level"):
        fitted("ab ab", base, **config)


def test_a_tokenizer_that_lacks_something_is_no_extension():
    with pytest.raises(TokenizerError, match="Missing: 'c'"):
        former_ids(CharacterTokenizer("abd"), CharacterTokenizer("abc"))
    with pytest.raises(TokenizerError, match="Missing: 'ca'"):
        former_ids(WordTokenizer("abc", ["ab"]), WordTokenizer("abc", ["ab", "ca"]))


@pytest.mark.parametrize("level", ["char", "word"])
@given(texts, texts)
def test_an_extended_tokenizer_reads_both_texts_and_comes_back_from_json(level, old_text, new_text):
    base = fitted(old_text, level=level)
    extended = fitted(new_text, base, level=level)
    for text in (old_text, new_text):
        assert extended.decode(extended.encode(text)) == text
    former = former_ids(extended, base)
    assert sorted(former[former >= 0]) == list(range(base.vocabulary_size))
    assert all(base.pieces[old] == extended.pieces[new] for new, old in enumerate(former) if old >= 0)
    restored = tokenizer_from_json(json.loads(json.dumps(extended.to_json())))
    assert restored.pieces == extended.pieces
    assert restored.encode(new_text).tolist() == extended.encode(new_text).tolist()


EXTENDED = {
    "char": fitted(NEW_TEXT, fitted(OLD_TEXT)),
    "word": fitted(NEW_TEXT, fitted(OLD_TEXT, level="word", vocabulary_size=15), level="word"),
    "char, documents": fitted(NEW_TEXT, fitted(OLD_TEXT, documents="line"), documents="line"),
    "word, documents": fitted(
        NEW_TEXT, fitted(OLD_TEXT, level="word", documents="line"), level="word", documents="line"
    ),
}
GRAPHS = {name: graph_tokenizer(tokenizer) for name, tokenizer in EXTENDED.items()}


@pytest.mark.parametrize("name", EXTENDED)
@given(st.lists(st.text(st.sampled_from(OLD_TEXT + NEW_TEXT + "QÉ☃")) | st.just(NEW_TEXT), min_size=1, max_size=3))
@settings(max_examples=25)
def test_in_the_graph_an_extended_tokenizer_gives_the_same_ids_and_texts(name, prompts):
    tokenizer, graph = EXTENDED[name], GRAPHS[name]
    readable = [trim_prompt(make_readable(prompt, tokenizer).text, tokenizer) for prompt in prompts]
    ids = graph.tokenize(tf.constant([prompt.encode() for prompt in prompts]))
    assert ids.to_list() == [tokenizer.encode(text).tolist() for text in readable]
    assert graph.detokenize(ids).numpy().tolist() == [text.encode() for text in readable]
