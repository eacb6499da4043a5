"""The tokenizer as TensorFlow operations, against the tokenizer in Python: one specification, implemented twice."""

import functools
import importlib.util
import sys
from collections.abc import Callable

import numpy as np
import pytest
import tensorflow as tf
from conftest import slow
from hard_texts import ALL_SYMBOLS, SOME_SYMBOLS
from hypothesis import example, given, settings
from hypothesis import strategies as st
from whole_texts import fit_characters

from textgen.errors import TokenizerError
from textgen.tokenizers import CharacterTokenizer, Tokenizer, form_tables, graph_characters
from textgen.tokenizers.graph_characters import GraphCharacterTokenizer
from textgen.tokenizers.graph_word import graph_tokenizer
from textgen.tokenizers.unknown import make_readable, nearest_known

ENGLISH = "".join(map(chr, range(32, 127))) + "\n"
VOCABULARIES = {
    "english": ENGLISH,
    "lower case": "abcdefghijklmnopqrstuvwxyz \n'",
    "composed": "abcde \u00e9\u00ea\u1ebf\u1ec7\ud55c\uad6d\uac01\u2019\u09cb\u1f83\u0439\u30c6\u30c7",
    "decomposed": "abcde \u0302\u0323\u0301\u1112\u1161\u11ab\u2014\u09c7\u0306\u0438",
    "both": "abcxi \u00e9\u00c9\u1ec7\u0301\u0323\u0438\u1161\ud558",
    "hard": "aefiks0123 \0\r\n\u00e9\u00df\u03c3\u1100\u1161"
    "\u200d\u2764\ufe0f\ufeff\ufffd\uffff\U0001f468\U0001f469\U0010ffff",
}
TEXTS = {name: fit_characters(symbols) for name, symbols in VOCABULARIES.items()}
GRAPHS = {name: GraphCharacterTokenizer(tokenizer) for name, tokenizer in TEXTS.items()}


def traced(graph: GraphCharacterTokenizer) -> tuple[Callable, Callable]:
    """What reads, and what reads and spells out; traced once, as in an export."""
    strings = tf.TensorSpec([None], tf.string)
    both = (graph.tokenize, lambda strings: graph.detokenize(graph.tokenize(strings)))
    return tuple(tf.function(function, input_signature=[strings], autograph=False) for function in both)


TRACED = {name: traced(graph) for name, graph in GRAPHS.items()}


def strings_of(texts: list[str]) -> tf.Tensor:
    return tf.constant([text.encode() for text in texts], tf.string)


def tokenize(name: str, texts: list[str]) -> list[list[int]]:
    return TRACED[name][0](strings_of(texts)).to_list()


def expected(name: str, text: str) -> list[int]:
    return TEXTS[name].encode(make_readable(text, TEXTS[name]).text).tolist()


def test_a_hand_worked_prompt():
    tokenizer = CharacterTokenizer(" acefinst")
    ragged = GraphCharacterTokenizer(tokenizer).tokenize(tf.constant(["caf\u00e9 \ufb01nest\u2603".encode(), b""]))
    assert ragged.dtype == tf.int32
    assert ragged.to_list() == [[2, 1, 4, 3, 0, 4, 5, 6, 3, 7, 8], []]  # cafe finest, the snowman skipped


@pytest.mark.parametrize("symbols", [SOME_SYMBOLS, slow(ALL_SYMBOLS)], ids=len)
def test_every_code_point_is_read_as_python_reads_it(symbols):
    tokenizer, known = TEXTS["hard"], set(TEXTS["hard"].pieces)
    forms = [nearest_known(symbol, known) for symbol in symbols]
    ragged = GRAPHS["hard"].tokenize(tf.constant([symbol.encode() for symbol in symbols]))
    assert np.array_equal(ragged.row_lengths(), [len(form) for form in forms])
    assert np.array_equal(ragged.flat_values, tokenizer.encode("".join(forms)))


@pytest.mark.parametrize("name", VOCABULARIES)
@given(st.lists(st.text(), max_size=4))
@settings(max_examples=60, deadline=None)
@example(
    [
        "\0a\0",
        "\ufeffa\ufeff",
        "a\r\n\r\nb",
        "\U0001f468\u200d\U0001f469\u200d\u2764\ufe0f",
        "Stra\u00dfe \u1e9e \u0130",
    ]
)
@example(
    [
        "e\u0301",
        "e\u0302\u0323\u0301",
        "\u0301",
        "E\u0301e",
        "\uff83\uff9e\uff85\uff9e",
        "\u1112\u1161\u11ab\u1100\u1161\u11a8",
        "\u09c7\u09be",
    ]
)
def test_any_text_is_read_as_python_reads_it(name, texts):
    assert tokenize(name, texts) == [expected(name, text) for text in texts]


@pytest.mark.parametrize("name", VOCABULARIES)
@given(st.data())
@settings(max_examples=40, deadline=None)
def test_known_text_comes_back_as_it_went_in(name, data):
    texts = data.draw(st.lists(st.text(alphabet=VOCABULARIES[name]), min_size=1, max_size=4))
    assert [string.decode() for string in TRACED[name][1](strings_of(texts)).numpy()] == texts


def test_dense_ids_are_spelled_out_row_by_row():
    token_ids = tf.constant([[0, 1, 2], [2, 2, 2]])
    assert GRAPHS["lower case"].detokenize(token_ids).numpy().tolist() == [b"\n '", b"'''"]


def test_ragged_ids_are_spelled_out_row_by_row():
    token_ids = tf.ragged.constant([[0, 1], [], [2, 2, 2]], dtype=tf.int32)
    assert GRAPHS["lower case"].detokenize(token_ids).numpy().tolist() == [b"\n ", b"", b"'''"]


def test_the_end_of_a_document_has_no_text():
    tokenizer = graph_tokenizer(CharacterTokenizer("ab", document_separator="\n"))
    assert tokenizer.tokenize(["ab", ""]).to_list() == [[0, 1], []]
    assert tokenizer.detokenize(tf.constant([[0, 2, 1], [2, 2, 2]])).numpy().tolist() == [b"ab", b""]


def test_a_space_at_the_end_of_a_prompt_stays():
    assert tokenize("lower case", ["ab "]) == [TEXTS["lower case"].encode("ab ").tolist()]


# ---- normal forms


@pytest.mark.parametrize("symbols", [SOME_SYMBOLS, slow(ALL_SYMBOLS)], ids=len)
@pytest.mark.parametrize("form", ["nfc", "nfkc", "casefold"])
@given(st.lists(st.text(st.characters(exclude_categories=["Cs", "Cn"])), max_size=4))
@settings(max_examples=60)
@example(["Stra\u00dfe \ufb01 \u212b e\u0301 \u00bd \u1e9e\u0130", "\u200dA\u00adb\ufe0f"])
def test_any_text_is_normalised_as_python_normalises_it(form, symbols, texts):
    pytest.importorskip("tensorflow_text")
    tokenizer, _, read = normalising(form, symbols)
    ids = [tokenizer.encode(make_readable(text, tokenizer).text).tolist() for text in texts]
    assert read(strings_of(texts)).to_list() == ids


@functools.cache
def normalising(form: str, symbols: str = SOME_SYMBOLS) -> tuple[CharacterTokenizer, GraphCharacterTokenizer, Callable]:
    tokenizer = CharacterTokenizer(symbols, normalize=form)
    graph = graph_tokenizer(tokenizer)
    return tokenizer, graph, traced(graph)[0]


def test_only_a_model_that_normalises_needs_tensorflow_text():
    assert not GRAPHS["english"].needs_tensorflow_text
    assert normalising("nfc")[1].needs_tensorflow_text


def test_a_model_that_normalises_is_refused_where_tensorflow_text_is_missing(monkeypatch):
    monkeypatch.setattr(graph_characters, "tensorflow_text", None)
    with pytest.raises(TokenizerError) as caught:
        graph_tokenizer(CharacterTokenizer("ab", normalize="nfkc"))
    assert str(caught.value) == (
        "a model with --normalize nfkc needs tensorflow_text, which this platform has no wheel of"
    )


def test_bytes_that_are_not_utf8_are_unknown_symbols():
    strings = tf.constant([b"a\xffb", b"\xed\xa0\x80c", b"d\xe2\x82"])
    assert GRAPHS["lower case"].detokenize(GRAPHS["lower case"].tokenize(strings)).numpy().tolist() == [
        b"ab",
        b"c",
        b"d",
    ]
    read_as = GRAPHS["hard"].detokenize(GRAPHS["hard"].tokenize(strings))
    assert read_as.numpy()[0].decode() == "a\ufffd"


def test_an_empty_batch_stays_empty():
    assert GRAPHS["english"].tokenize(tf.constant([], tf.string)).to_list() == []


def test_tensorflow_texts_classes_are_the_interface():
    tensorflow_text = pytest.importorskip("tensorflow_text")
    tokenizer = graph_tokenizer(TEXTS["english"])
    assert isinstance(tokenizer, tensorflow_text.Tokenizer)
    assert isinstance(tokenizer, tensorflow_text.Detokenizer)
    assert tokenizer.split(["ab"]).to_list() == tokenizer.tokenize(["ab"]).to_list()


def test_without_tensorflow_text_it_works_all_the_same(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow_text", None)
    spec = importlib.util.spec_from_file_location("graph_without_text", graph_characters.__file__)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    tokenizer = module.GraphCharacterTokenizer(TEXTS["english"])
    assert tokenizer.detokenize(tokenizer.tokenize(["caf\u00e9"])).numpy().tolist() == [b"cafe"]
    assert isinstance(tokenizer, tf.Module)


def test_a_tokenizer_without_a_graph_form_is_refused():
    class OtherTokenizer(CharacterTokenizer):
        level = "other"

    assert issubclass(OtherTokenizer, Tokenizer)
    with pytest.raises(TokenizerError, match="'other'"):
        graph_tokenizer(OtherTokenizer("ab"))


def test_the_pairs_are_those_that_join_and_no_letter_is_an_accent_too():
    pairs = form_tables.letters_and_accents()
    assert ("e", "\u0301", "\u00e9") in pairs
    assert ("\u00ea", "\u0323", "\u1ec7") in pairs  # not in canonical order
    assert ("\ud558", "\u11ab", "\ud55c") in pairs
    firsts, seconds = ({pair[place] for pair in pairs} for place in (0, 1))
    assert not firsts & seconds  # so the order in which neighbours join does not matter


@given(st.text(st.sampled_from("eEioxIO\u00ea\u0302\u0323\u0301\u0306\u1112\u1161\u11ab\ud558 \u0438"), max_size=9))
@settings(max_examples=100)
@example("e\u0301")
def test_accents_join_letters_as_in_python(text):
    """Those of their own string alone."""
    texts = [text, text[::-1], *text]
    for name in ("composed", "decomposed", "both"):
        assert tokenize(name, texts) == [expected(name, text) for text in texts]
