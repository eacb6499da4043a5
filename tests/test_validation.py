"""The validation loss: every target once, with the state that one pass over the text would have had."""

import math

import numpy as np
import pytest
import tensorflow as tf
from conftest import model_config, random_weights
from hypothesis import given, settings
from hypothesis import strategies as st
from whole_texts import surprisals

import textgen.training.validation
from textgen.generation.numpy_engine import NumpyEngine
from textgen.model.language_model import build_model
from textgen.training.validation import BLOCK, STREAMS, WARM_UP, Validation

V = 11


class Bigrams:
    """Stands for a model: the logits of the next token depend on the last one alone, by a table [V, V]."""

    def __init__(self, table: np.ndarray):
        self.table = tf.constant(table, tf.float32)
        self.config = model_config(vocabulary_size=len(table))

    def zero_state(self, batch_size):
        return [[tf.zeros([batch_size, 1])]]

    def losses(self, token_ids, targets, state):
        logits = tf.gather(self.table, token_ids)
        return tf.nn.sparse_softmax_cross_entropy_with_logits(targets, logits), state


def random_ids(num_tokens: int, dtype=np.uint8) -> np.ndarray:
    return np.random.default_rng(num_tokens).integers(V, size=num_tokens).astype(dtype)


def bigram_loss(table: np.ndarray, token_ids: np.ndarray) -> float:
    table = table.astype(np.float64)
    surprise = np.log(np.exp(table).sum(axis=1))[:, None] - table
    return float(surprise[token_ids[:-1], token_ids[1:]].mean())


# ---- every target once


@settings(max_examples=12, deadline=None)
@given(st.integers(2, 3000))
def test_every_target_counts_exactly_once(num_tokens):
    """In a bigram model each target has a loss of its own, whatever was read before."""
    table, token_ids = np.random.default_rng(1).normal(size=(V, V)) * 3, random_ids(num_tokens)
    validation = Validation(Bigrams(table), token_ids, compile_with_xla=False)
    assert validation() == pytest.approx(bigram_loss(table, token_ids), rel=1e-5)


@pytest.mark.parametrize(
    "num_tokens", [2, 3, BLOCK, BLOCK + 1, WARM_UP + 1, 2 * WARM_UP, 2 * WARM_UP + 1, 2 * WARM_UP + 2, 1025]
)
def test_no_target_is_lost_where_blocks_and_streams_meet(num_tokens):
    """The token ids are the positions, so a target is known by its loss."""
    token_ids = np.arange(num_tokens, dtype=np.int32)
    losses = 1 + np.random.default_rng(0).permutation(num_tokens - 1) / num_tokens
    table = np.zeros((num_tokens, num_tokens))
    # The loss of target i + 1 after i is log(1 + (V - 1) e^-x) for a logit x on it.
    table[np.arange(num_tokens - 1), np.arange(1, num_tokens)] = np.log(num_tokens - 1) - np.log(np.expm1(losses))
    validation = Validation(Bigrams(table), token_ids, compile_with_xla=False)
    assert validation() == pytest.approx(losses.mean(), rel=1e-5)


def test_limited_to_some_tokens_it_counts_the_beginning_of_every_stream():
    table, token_ids = np.random.default_rng(1).normal(size=(V, V)) * 3, random_ids(STREAMS * WARM_UP + 1)
    limited = Validation(Bigrams(table), token_ids, compile_with_xla=False).limited(STREAMS * 5)
    assert limited.num_counted == STREAMS * 5
    pieces = [token_ids[start : start + 6] for start in range(0, STREAMS * WARM_UP, WARM_UP)]
    assert limited() == pytest.approx(np.mean([bigram_loss(table, piece) for piece in pieces]), rel=1e-5)


def test_a_model_without_opinions_loses_the_logarithm_of_the_vocabulary():
    validation = Validation(Bigrams(np.zeros((V, V))), random_ids(1000), compile_with_xla=False)
    assert validation() == pytest.approx(math.log(V), rel=1e-6)


def test_a_long_text_is_read_in_as_many_streams_as_there_are_at_most():
    token_ids = random_ids(STREAMS * WARM_UP * 3)
    validation = Validation(Bigrams(np.zeros((V, V))), token_ids, compile_with_xla=False)
    assert validation.num_streams == STREAMS
    assert validation.num_targets == len(token_ids) - 1
    assert validation() == pytest.approx(math.log(V), rel=1e-5)


# ---- the state of one pass


def model_with_memory(cell: str):
    """Random weights; an LSTM whose forget gates are as open as they start, so that it remembers for a while."""
    config = model_config(vocabulary_size=V, cell=cell, embedding_size=5, units=8, num_layers=2)
    weights = random_weights(config, scale=0.3)
    if cell == "lstm":
        for index in range(2):
            weights[f"layers.{index}.bias"][8:16] = 1.0
    model = build_model(config)
    model.set_named_weights(weights)
    return model, NumpyEngine(config, weights)


@pytest.mark.parametrize(
    ("cell", "num_tokens", "xla"),
    [("lstm", 2, False), ("lstm", 300, False), ("lstm", 2500, True), ("gru", 1500, False), ("rnn", 1500, False)],
)
def test_the_loss_is_that_of_one_pass_with_the_numpy_engine(cell, num_tokens, xla):
    model, engine = model_with_memory(cell)
    token_ids = random_ids(num_tokens)
    expected = surprisals(token_ids, engine).mean()
    assert Validation(model, token_ids, compile_with_xla=xla)() == pytest.approx(expected, abs=1e-5)


def test_while_warming_up_a_large_vocabulary_is_not_scored(monkeypatch):
    model, engine = model_with_memory("lstm")
    token_ids = random_ids(2500)
    expected = surprisals(token_ids, engine).mean()
    monkeypatch.setattr(textgen.training.validation, "FEW_TOKENS", V - 1)
    validation = Validation(model, token_ids, compile_with_xla=True)
    scored = []
    block_loss = validation._block_loss
    validation._block_loss = lambda arrays, state: scored.append(arrays[2]) or block_loss(arrays, state)
    assert validation() == pytest.approx(expected, abs=1e-5)
    assert all(counted.any() for counted in scored)


def test_without_a_warm_up_it_would_not_be(monkeypatch):
    model, engine = model_with_memory("lstm")
    token_ids = random_ids(2500)
    validation = Validation(model, token_ids, compile_with_xla=False)
    monkeypatch.setattr(textgen.training.validation, "WARM_UP", 0)
    assert abs(validation() - surprisals(token_ids, engine).mean()) > 1e-4


def test_one_stream_is_exactly_the_one_pass():
    model, engine = model_with_memory("lstm")
    token_ids = random_ids(2 * WARM_UP)
    validation = Validation(model, token_ids, compile_with_xla=False)
    assert validation.num_streams == 1
    assert validation() == pytest.approx(surprisals(token_ids, engine).mean(), abs=1e-5)


def test_the_weights_of_the_moment_count():
    model, _ = model_with_memory("lstm")
    validation = Validation(model, random_ids(300), compile_with_xla=False)
    before = validation()
    assert validation() == before
    model.set_named_weights({name: array * 0 for name, array in model.get_named_weights().items()})
    assert validation() == pytest.approx(math.log(V), rel=1e-6)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32])
def test_ids_may_be_of_any_integer_type(dtype):
    table = np.random.default_rng(1).normal(size=(V, V))
    token_ids = random_ids(50, dtype)
    validation = Validation(Bigrams(table), token_ids, compile_with_xla=False)
    assert validation() == pytest.approx(bigram_loss(table, token_ids), rel=1e-5)
