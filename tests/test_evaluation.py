"""How well a model predicts a text: by hand, with a model that knows nothing, and against float64."""

import contextlib
import math
from types import SimpleNamespace

import numpy as np
import pytest
from conftest import make_stored_model, make_word_tokenizer, random_weights
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from reference_model import ReferenceModel
from whole_texts import surprisals

from textgen.config import END_OF_DOCUMENT
from textgen.errors import CorpusError, TokenizerError
from textgen.evaluation import evaluate, one_pass, readable_blocks, reading
from textgen.evaluation.one_pass import cross_entropy, windowed_loss
from textgen.evaluation.reading import text_of_ids
from textgen.evaluation.texts import tokenize
from textgen.generation.numpy_engine import NumpyEngine
from textgen.tokenizers import CharacterTokenizer

AB = CharacterTokenizer("ab")


class PairEngine:
    """Knows how likely each symbol is after each: `shares[previous][next]`. Its state counts the tokens it has read."""

    config = SimpleNamespace(num_layers=1, units=1, vocabulary_size=2)

    def __init__(self, shares: list[list[float]]):
        self.scores = np.log(np.float32(shares)) + 5  # logits need not be normalised
        self.starts: list[float] = []  # what the state was when a run began

    def run(self, token_ids, hidden, memory):
        self.starts.append(float(hidden[0, 0, 0]))
        hidden += len(token_ids)
        return np.float32(token_ids)[..., None]

    def logits(self, outputs):
        return self.scores[outputs[..., 0].astype(int)]

    def blas_threads(self, batch_size):
        return contextlib.nullcontext()


# After "a" comes "b" three times of four; after "b" either, equally often.
PAIRS = [[1 / 4, 3 / 4], [1 / 2, 1 / 2]]


def zero_engine(symbols: str) -> tuple[CharacterTokenizer, NumpyEngine]:
    """A network that has learnt nothing: all its weights are zero."""
    model = make_stored_model(symbols=symbols)
    return model.tokenizer, NumpyEngine(model.record.model, {n: np.zeros_like(w) for n, w in model.weights.items()})


def make_pair(cell: str, num_layers: int) -> tuple[NumpyEngine, ReferenceModel]:
    config = make_stored_model(cell, num_layers=num_layers).record.model
    weights = random_weights(config, scale=0.3)
    return NumpyEngine(config, weights), ReferenceModel(config, weights)


def some_ids(length: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 30, size=length).astype(np.int32)


# ---- by hand


def test_four_letters_make_four_predictions_after_the_start():
    """After the start, which is a: a, b, a, b with 1/4, 3/4, 1/2 and 3/4."""
    result = evaluate("abab", AB, PairEngine(PAIRS))
    nats = -(math.log(1 / 4) + 2 * math.log(3 / 4) + math.log(1 / 2))
    assert (result.characters, result.tokens, result.words) == (4, 4, 1)
    assert result.nats_per_character == pytest.approx(nats / 4, rel=1e-6)
    assert result.bits_per_character == pytest.approx(nats / 4 / math.log(2), rel=1e-6)
    assert result.word_perplexity == pytest.approx(math.exp(nats), rel=1e-6)
    assert result.nats_per_character_windows is None


def test_surprisals_are_those_of_every_token_after_the_first():
    found = surprisals(AB.encode("aabb"), PairEngine(PAIRS))
    np.testing.assert_allclose(found, np.log([4, 4 / 3, 2]), rtol=1e-6)
    assert found.dtype == np.float64


@pytest.mark.parametrize("symbols", ["ab", "abc", "\n ,.abcdefghijklmnopqrstuvwxyz"])
def test_a_model_that_knows_nothing_needs_exactly_log_v(symbols):
    tokenizer, engine = zero_engine(symbols)
    text = (symbols * 300)[:300]
    assert (surprisals(tokenizer.encode(text), engine) == np.log(len(symbols))).all()
    result = evaluate(text, tokenizer, engine)
    assert result.nats_per_character == pytest.approx(math.log(len(symbols)), rel=1e-14)
    assert result.bits_per_character == pytest.approx(math.log2(len(symbols)), rel=1e-14)
    assert result.nats_per_character_windows == pytest.approx(math.log(len(symbols)), rel=1e-14)


@pytest.mark.parametrize("text", ["", "a"])
def test_a_text_of_fewer_than_two_characters_predicts_nothing(text):
    with pytest.raises(CorpusError, match=f"at least two characters. Received: {len(text)}"):
        evaluate(text, AB, PairEngine(PAIRS))


def test_a_symbol_that_the_model_does_not_know_is_an_error():
    with pytest.raises(TokenizerError, match="does not know 'c'"):
        evaluate("abc", AB, PairEngine(PAIRS))


# ---- one pass


@pytest.mark.parametrize("num_layers", [1, 3])
@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_one_pass_agrees_with_the_float64_reference(cell, num_layers):
    engine, reference = make_pair(cell, num_layers)
    token_ids = some_ids(60)
    np.testing.assert_allclose(surprisals(token_ids, engine), reference.surprisals(token_ids), rtol=0, atol=1e-5)


@pytest.mark.parametrize("block", [1, 7, 59, 60])
def test_one_pass_carries_the_state_from_block_to_block(monkeypatch, block):
    engine, reference = make_pair("lstm", 2)
    token_ids = some_ids(60)
    monkeypatch.setattr(one_pass, "BLOCK", block)
    np.testing.assert_allclose(surprisals(token_ids, engine), reference.surprisals(token_ids), rtol=0, atol=1e-5)


def test_one_pass_begins_once_from_zero(monkeypatch):
    monkeypatch.setattr(one_pass, "BLOCK", 4)
    engine = PairEngine(PAIRS)
    surprisals(AB.encode("ab" * 5), engine)
    assert engine.starts == [0, 4, 8]


def test_progress_counts_up_to_the_end(monkeypatch):
    monkeypatch.setattr(one_pass, "BLOCK", 4)
    told = []
    evaluate("ab" * 5, AB, PairEngine(PAIRS), lambda done, total: told.append((done, total)))
    assert told == [(4, 10), (8, 10), (10, 10)]


# ---- random windows


def test_windows_need_257_tokens():
    engine = PairEngine(PAIRS)
    assert windowed_loss(AB.encode("a" * 256), engine) is None
    assert windowed_loss(AB.encode("a" * 257), engine) == pytest.approx(math.log(4), rel=1e-6)


def test_the_only_window_of_257_tokens_is_the_whole_text():
    engine, reference = make_pair("lstm", 1)
    token_ids = some_ids(257)
    expected = reference.surprisals(token_ids).mean()
    assert windowed_loss(token_ids, engine) == pytest.approx(expected, rel=1e-5)
    assert surprisals(token_ids, engine).mean() == pytest.approx(expected, rel=1e-5)


def test_every_window_begins_from_zero_and_all_positions_can_be_chosen(monkeypatch):
    engine, reference = make_pair("lstm", 2)
    token_ids = some_ids(12)
    monkeypatch.setattr(one_pass, "WINDOW", 8)
    by_start = [reference.surprisals(token_ids[start : start + 9]).mean() for start in range(4)]
    counts = np.bincount(np.random.default_rng(0).integers(4, size=512), minlength=4)
    assert counts.min() > 0
    assert windowed_loss(token_ids, engine) == pytest.approx(np.average(by_start, weights=counts), rel=1e-5)


def test_the_windows_are_512_the_same_every_time():
    engine = PairEngine(PAIRS)
    token_ids = AB.encode("aab" * 200)
    assert windowed_loss(token_ids, engine) == windowed_loss(token_ids, engine)
    assert engine.starts == [0.0] * (2 * 512 // one_pass.WINDOWS_AT_ONCE)


def test_the_two_protocols_differ_where_the_start_of_a_text_is_hard():
    """Forty characters that are hard to guess: each counts once in the pass, and few windows see them."""
    text = "a" * 40 + "ab" * 500
    result = evaluate(text, AB, PairEngine(PAIRS))
    assert result.nats_per_character_windows < result.nats_per_character


# ---- cross entropy


def test_cross_entropy_of_large_logits_does_not_overflow():
    logits = np.float32([[1000, 0], [-3e38, 3e38], [0, 0]])
    np.testing.assert_allclose(cross_entropy(logits, np.array([1, 1, 0])), [1000, 0, math.log(2)])


@given(arrays.arrays(np.float32, (3, 4, 5), elements=st.floats(-50, 50, width=32)))
def test_the_probabilities_behind_cross_entropy_add_up_to_one(logits):
    nats = [cross_entropy(logits, np.full((3, 4), token_id)) for token_id in range(5)]
    np.testing.assert_allclose(np.exp(-np.array(nats)).sum(axis=0), np.ones((3, 4)), rtol=1e-12)
    assert np.min(nats) >= 0


# ---- words, documents, blocks


def test_reference_words_are_between_white_space_and_line_ends():
    tokenizer, engine = zero_engine("\n ab")
    result = evaluate(["ab  a\nb", "b a b\n", "\n", "a"], tokenizer, engine)
    assert (result.characters, result.words) == (15, 6 + 3)
    assert result.word_perplexity == pytest.approx(4 ** (15 / 9), rel=1e-12)


@pytest.mark.parametrize(
    "text",
    [
        "\u5929\u5730\u5c71\u6c34\u3002\n" * 5,
        "\u304b\u306a \u304b\u306a\n" * 5,
        "\u0e01\u0e32\u0e23 " * 9,
        "acgt" * 50 + "\n",
        "\n\n \n",
    ],
)
def test_a_text_without_words_between_its_spaces_has_no_word_perplexity(text):
    tokenizer, engine = zero_engine("".join(sorted(set(text))) if len(set(text)) > 1 else "\n a")
    result = evaluate(text, tokenizer, engine)
    assert result.word_perplexity is None
    assert result.nats_per_character == pytest.approx(math.log(len(tokenizer.symbols)))


@pytest.mark.parametrize(
    "text",
    [
        "qanortumik aallarpoq ",
        "\ud55c\uad6d\uc5b4 \ubb38\uc7a5\n",
        "\u0639\u0644\u0649 \u0628\u0627\u0628 ",
        "caf\u00e9 \u5929\u5730 is a word ",
    ],
)
def test_words_are_words_in_every_script_that_has_spaces(text):
    assert tokenize(text * 5, CharacterTokenizer("".join(sorted(set(text))))).has_words


@given(st.lists(st.text(alphabet="ab \n", max_size=9), min_size=1, max_size=5))
def test_a_text_in_blocks_is_measured_as_the_whole(blocks):
    tokenizer, engine = zero_engine("\n ab")
    text = "".join(blocks)
    if len(text) < 2:
        return
    result = evaluate(blocks, tokenizer, engine)
    assert result == evaluate(text, tokenizer, engine)
    assert result.words == len(text.split()) + text.count("\n")


def test_a_word_model_shares_its_nats_out_over_characters_and_words():
    """A model that knows nothing: log V for each of " the", " cat", " ", "s", "o", "." and the newline."""
    model = make_stored_model(tokenizer=make_word_tokenizer())
    zeros = NumpyEngine(model.record.model, {n: np.zeros_like(w) for n, w in model.weights.items()})
    text = " the cat so.\n"
    result = evaluate(text, model.tokenizer, zeros)
    nats = 7 * math.log(model.tokenizer.vocabulary_size)
    assert (result.tokens, result.characters, result.words) == (7, 13, 4)
    assert result.nats_per_character == pytest.approx(nats / 13, rel=1e-12)
    assert result.word_perplexity == pytest.approx(math.exp(nats / 4), rel=1e-12)
    assert result.nats_per_character_windows is None


def test_the_end_of_a_document_is_predicted_and_counts_as_a_line_end():
    tokenizer = CharacterTokenizer("ab", "\n")
    model = make_stored_model(tokenizer=tokenizer)
    zeros = NumpyEngine(model.record.model, {n: np.zeros_like(w) for n, w in model.weights.items()})
    result = evaluate(f"ab{END_OF_DOCUMENT}b{END_OF_DOCUMENT}", tokenizer, zeros)
    assert (result.tokens, result.characters, result.words) == (5, 5, 4)
    assert result.nats_per_character == pytest.approx(math.log(3), rel=1e-12)


def test_unknown_symbols_are_replaced_and_said_once_and_ends_of_documents_stay():
    told = []
    tokenizer = CharacterTokenizer("abe", "\n")
    blocks = [f"a\u00e9{END_OF_DOCUMENT}", "b\u00e9\u2603"]
    assert list(readable_blocks(blocks, tokenizer, told.append)) == [f"ae{END_OF_DOCUMENT}be"]
    assert told == [{"\u00e9": "e", "\u2603": ""}]  # a folder has many small files, which are said of together


def test_where_a_model_knows_no_documents_their_ends_are_line_ends():
    assert list(readable_blocks([f"a{END_OF_DOCUMENT}b"], CharacterTokenizer("\nab"), print)) == ["a\nb"]


@pytest.mark.parametrize("separator", [None, "\n"])
def test_ids_give_back_the_text_that_they_stand_for(separator, monkeypatch):
    monkeypatch.setattr(reading, "DECODED_AT_ONCE", 3)
    tokenizer = make_word_tokenizer(separator)
    text = " the cat sat on" + ("" if separator is None else END_OF_DOCUMENT + "a mat" + END_OF_DOCUMENT)
    assert "".join(text_of_ids(tokenizer.encode(text), tokenizer)) == text


def test_a_large_vocabulary_is_measured_in_small_blocks(monkeypatch):
    model = make_stored_model()
    engine = NumpyEngine(model.record.model, model.weights)
    expected = surprisals(some_ids(60), engine)
    sizes = []
    logits = engine.logits
    monkeypatch.setattr(engine, "logits", lambda outputs: (sizes.append(len(outputs)), logits(outputs))[1])
    monkeypatch.setattr(one_pass, "BLOCK_LOGITS", 5 * engine.config.vocabulary_size)
    np.testing.assert_allclose(surprisals(some_ids(60), engine), expected, rtol=1e-5)
    assert max(sizes) == 5
