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
from textgen.tokenizers.extending import former_ids, unused_words
from textgen.tokenizers.graph_word import graph_tokenizer
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


def test_what_stood_alone_in_the_first_text_stands_alone_if_it_does_so_once_in_the_new_one():
    base = fitted("a cat; a cat; I, I", level="word")
    assert base.alone == ";"
    assert fitted("I am. I am. (I)", base, level="word").alone == ".I"
    assert fitted("I am; I am. (I);", level="word").alone == "I"
    assert fitted("I am; I am. (I);", base, level="word").alone == ";I"


def test_words_that_the_text_does_not_use_stay_unless_they_are_names_or_need_a_symbol_that_it_never_has():
    old_text = "So it\u2019s Anna. Oh it\u2019s Anna. The sea and the dog; the sea and the dog; the cat. The cat. The"
    base = fitted(old_text, level="word")
    assert {" it\u2019s", " Anna", " The", " the", " sea", " and", " dog"} <= set(base.words)
    tokenizer = fitted("The hat and gods and this. The hat", base, level="word")
    words, num_silent = tokenizer.words, tokenizer.num_silent
    assert [tokenizer.pieces[i] for i in tokenizer.silent_ids] == list(words[-num_silent:])
    assert {" the", " sea", " dog", " hat"} <= set(words)
    assert {" it\u2019s", " Anna"} <= set(words[-num_silent:])  # which are read and not written


def test_unused_words_keep_their_order():
    words = [" one", " two", " Three", " three", " Anna", " x\u2019"]
    without_capitals = [" one", " three"], [" Three", " Anna", " x\u2019"]
    assert unused_words(words, {" two": 1}, set(" onetwhrx"), ()) == without_capitals
    assert unused_words(words, {" two": 1}, set(" onetwhrxTA"), ())[1] == [" Anna", " x\u2019"]


def test_a_letter_that_is_no_word_of_the_text_is_read_and_not_written():
    """However many letters the first text has alone; a form of the letter is enough, once is too little."""
    old_text = "a cat, p.m. p.m. (A) \u201cA\u201d\nA dog I A dog a cat; s. (s) t; d; (t) d;\nS; S; 7; (7)\n"
    base = fitted(old_text * 3, level="word")
    assert {" a", " p", " A", " I", " s", " t", " d"} <= set(base.words)
    assert set("AmSst7") <= set(base.alone)
    tokenizer = fitted("(A cat.) I see a dog; I see a cat. A t. (s) (m) m p (7)\n S", base, level="word")
    silent = tokenizer.words[-tokenizer.num_silent :]
    assert {" a", " I", " A"} <= set(tokenizer.words) - set(silent)
    assert {" p", " s", " t", " d"} <= set(silent)
    assert set("Am7") <= set(tokenizer.alone)
    assert not set("Sst") & set(tokenizer.alone)


def test_an_ideograph_stands_alone_if_it_does_so_once():
    base = fitted("世世界界 a cat a cat", level="word")
    assert fitted("世 a cat a cat", base, level="word").alone == "世"


def test_a_letter_that_mostly_begins_what_is_spelled_does_not_stand_alone():
    base = fitted("(S) a cat; (S) a dog;\n" * 9, level="word")
    assert "S" in base.alone
    assert "S" not in fitted("(S) a cat; (S)\nSara a cat;\nSally a cat;\nSusan a cat;\n", base, level="word").alone
    assert "S" in fitted("(S) a cat; (S)\nSara a cat;\nSally a cat;\n", base, level="word").alone


def test_a_vocabulary_size_counts_all_ids_and_takes_what_the_text_uses_first():
    base = fitted(OLD_TEXT, level="word", vocabulary_size=15)
    assert base.words == (" cat", " sat", " the")
    num_symbols = len({*OLD_TEXT, *NEW_TEXT})

    def words(num_words: int):
        return fitted(NEW_TEXT, base, level="word", vocabulary_size=num_symbols + num_words).words

    assert words(1) == (" Matte",)
    assert words(6) == (" cat", " the", " Matte", " auf", " der", " sa\u00df")  # all that occurs twice, or is known
    assert words(7) == (" cat", " sat", " the", " Matte", " auf", " der", " sa\u00df")  # what is known
    assert set(words(8)) == {*words(7), " K\u00e4fer"}  # what occurs once
    with pytest.raises(TokenizerError, match=rf"Give at least {num_symbols + 1}$"):
        words(0)
    with pytest.raises(TokenizerError, match=rf"and 9 different words\. Give at most {num_symbols + 9}$"):
        words(10)


def test_a_default_vocabulary_is_no_larger_for_a_base():
    assert choose_vocabulary_size(None, 90, DEFAULT_VOCABULARY_SIZE, 50) == 140
    assert choose_vocabulary_size(None, 90, 2 * DEFAULT_VOCABULARY_SIZE, DEFAULT_VOCABULARY_SIZE) == (
        DEFAULT_VOCABULARY_SIZE
    )


def test_a_text_of_documents_begins_with_a_model_of_one_text_and_the_other_way_round():
    base = fitted(OLD_TEXT, level="word")
    lines = fitted(NEW_TEXT, base, level="word", documents="line")
    assert lines.eod_id == lines.vocabulary_size - 1
    assert former_ids(lines, base)[-1] == -1
    assert former_ids(base, lines).min() >= -1
    again = fitted(OLD_TEXT, lines, level="word")
    assert again.eod_id is None
    assert set(former_ids(again, lines)) >= {0, 1}
    rows = fitted(NEW_TEXT, lines, level="word", documents="file")
    assert former_ids(rows, lines)[-1] == lines.eod_id


# ---- both


@pytest.mark.parametrize(
    ("base", "config"),
    [
        (CharacterTokenizer("ab"), {"level": "word"}),
        (WordTokenizer("ab", ["ab"]), {}),
        (CharacterTokenizer("ab"), {"normalize": "nfc"}),
    ],
)
def test_a_tokenizer_of_another_kind_is_not_extended(base, config):
    with pytest.raises(TokenizerError, match="is extended by one of the same level"):
        fitted("ab ab", base, **config)


@pytest.mark.parametrize("level", ["char", "word"])
@given(texts, texts)
def test_an_extended_tokenizer_reads_both_texts_and_comes_back_from_json(level, old_text, new_text):
    base = fitted(old_text, level=level)
    extended = fitted(new_text, base, level=level)
    for text in (old_text, new_text):
        assert extended.decode(extended.encode(text)) == text
    former = former_ids(extended, base)
    assert set(base.symbols) <= set(extended.symbols)
    assert len(set(former[former >= 0])) == np.count_nonzero(former >= 0)
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
