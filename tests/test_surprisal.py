"""How surprising each token is: the nats of `evaluate`, ranks and what was likelier, words that are spelled."""

import math

import numpy as np
import pytest
from conftest import ALPHABET, make_stored_model, make_word_tokenizer
from test_evaluation import AB, PAIRS, PairEngine

from textgen.config import END_OF_DOCUMENT
from textgen.evaluation import evaluate, tokenize
from textgen.evaluation.surprisal import ScoredText, likeliest_ids, score_tokens
from textgen.generation.numpy_engine import NumpyEngine
from textgen.tokenizers import CharacterTokenizer

TEXT = "the cat sat on a mat,\n\nand zebras sat on the dog.\nthe end" + " the cat sat" * 9
MODELS = {
    "characters": make_stored_model(),
    "documents": make_stored_model(tokenizer=CharacterTokenizer(ALPHABET, "\n\n")),
    "words": make_stored_model(tokenizer=make_word_tokenizer()),
    "word documents": make_stored_model(tokenizer=make_word_tokenizer("\n")),
    "gru": make_stored_model("gru"),
    "rnn with skips": make_stored_model("rnn", skip=True),
    "layers that are read ahead": make_stored_model(units=256, symbols="".join(map(chr, range(32, 2000))) + "\u2028"),
}


def scored(model, text: str) -> ScoredText:
    tokens = tokenize(text, model.tokenizer)
    engine = NumpyEngine(model.record.model, model.weights)
    return ScoredText(tokens, model.tokenizer, score_tokens(tokens.token_ids, engine))


@pytest.mark.parametrize("name", MODELS)
def test_the_bits_of_all_units_are_those_of_evaluate(name):
    model = MODELS[name]
    text = TEXT.replace("\n", " ") if "ahead" in name else TEXT
    text = text.replace("\n\n", END_OF_DOCUMENT) if "documents" in name else text
    found, engine = scored(model, text), NumpyEngine(model.record.model, model.weights)
    expected = evaluate(text, model.tokenizer, engine)
    assert found.total_bits == pytest.approx(expected.bits_per_character * expected.characters, rel=1e-9)
    assert found.bits.sum() == pytest.approx(found.total_bits, rel=1e-9)
    assert found.line_bits().sum() == pytest.approx(found.total_bits, rel=1e-9)
    assert found.figures[:3] == (expected.nats_per_character, expected.bits_per_character, expected.word_perplexity)
    assert "".join(place.text for place in found.places()) == text.replace(END_OF_DOCUMENT, "")
    assert found.bits.min() >= 0
    assert (found.scores.probabilities.sum(axis=1) <= 1 + 1e-5).all()


def test_ranks_and_probabilities_by_hand():
    scores = score_tokens(tokenize("abab", AB).token_ids, PairEngine(PAIRS))  # after "a": 1/4, 3/4; after "b": 1/2, 1/2
    np.testing.assert_allclose(np.exp(-scores.nats), [1 / 4, 3 / 4, 1 / 2, 3 / 4], rtol=1e-6)
    assert scores.ranks.tolist() == [2, 1, 1, 1]
    assert scores.likeliest[0].tolist() == [1, 0]
    np.testing.assert_allclose(scores.probabilities[0], [3 / 4, 1 / 4], rtol=1e-6)


@pytest.mark.parametrize("size", [5, 6, 1280, 1281, 1408, 5000])
def test_the_likeliest_of_many_are_those_that_sorting_finds(size):
    logits = np.random.default_rng(size).normal(size=(40, size)).astype(np.float32)
    logits[0, -5:] = 9 + np.arange(5)  # the last ids, beyond the last whole group
    logits[1, :5] = 9
    found = likeliest_ids(logits, 5)
    np.testing.assert_array_equal(found[2:], np.argsort(-logits, axis=1)[2:, :5])
    assert found[0].tolist() == [size - 1 - i for i in range(5)]
    assert set(found[1].tolist()) == set(range(5))


def test_a_word_that_is_spelled_has_the_bits_of_its_pieces():
    found = scored(MODELS["words"], TEXT)
    places = {place.text: place for place in found.places()}
    zebras = places[" zebras"]
    assert (zebras.line, zebras.column, zebras.stop - zebras.start) == (3, 4, 7)
    nats = found.scores.nats[zebras.start : zebras.stop]
    assert zebras.bits == pytest.approx(nats.sum() / math.log(2))
    assert places[" cat"].stop - places[" cat"].start == 1
    best = found.most_surprising(3)
    assert [place.bits for place in best] == sorted((place.bits for place in found.places()), reverse=True)[:3]


def test_the_end_of_a_document_ends_a_line():
    found = scored(MODELS["documents"], f"ab{END_OF_DOCUMENT}c")
    assert [(place.text, place.line, place.column) for place in found.places()] == [
        ("a", 1, 1),
        ("b", 1, 2),
        ("", 1, 3),
        ("c", 2, 1),
    ]
