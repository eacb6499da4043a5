"""Weights that follow the text: the formula, step by step, and what must hold of any model."""

import numpy as np
import pytest
import tensorflow as tf
from conftest import ALPHABET, make_stored_model, make_word_tokenizer, random_weights, slow
from whole_texts import surprisals

from textgen.config import DynamicConfig
from textgen.errors import SettingError, TextgenError
from textgen.evaluation.dynamic import EPSILON, MEMORY, dynamic_surprisals
from textgen.generation.numpy_engine import NumpyEngine
from textgen.model import language_model
from textgen.model.language_model import build_model
from textgen.tokenizers import CharacterTokenizer

MODELS = {
    "characters": make_stored_model(num_layers=1),
    "gru, tied, documents": make_stored_model("gru", tokenizer=CharacterTokenizer(ALPHABET, "\n"), tied=True),
    "rnn": make_stored_model("rnn", num_layers=1),
    "words of documents, tied": make_stored_model(tokenizer=make_word_tokenizer("\n"), tied=True, num_layers=1),
}
MODEL = MODELS["characters"].record.model
WEIGHTS = random_weights(MODEL, scale=0.3)


def some_ids(length: int, vocabulary_size: int = MODEL.vocabulary_size) -> np.ndarray:
    return np.random.default_rng(0).integers(0, vocabulary_size, size=length)


def followed(token_ids: np.ndarray, **settings) -> np.ndarray:
    config = DynamicConfig(**{f"dynamic_{name}": value for name, value in settings.items()})
    return dynamic_surprisals(token_ids, MODEL, WEIGHTS, config)


def static(token_ids: np.ndarray) -> np.ndarray:
    return surprisals(token_ids, NumpyEngine(MODEL, WEIGHTS))


def followed_by_formula(token_ids: np.ndarray, segment: int, rate: float, decay: float) -> list[float]:
    """One segment after the other, with the moves in NumPy and float64; the segments come out even."""
    model = build_model(MODEL)
    weights = {name: weight.astype(np.float64) for name, weight in WEIGHTS.items()}
    squares, state, nats = dict.fromkeys(weights, 0.0), model.zero_state(1), []
    for number, start in enumerate(range(0, len(token_ids) - 1, segment), 1):
        model.set_named_weights({name: weight.astype(np.float32) for name, weight in weights.items()})
        variables = {name: variable.value for name, variable in model.named_weights().items()}
        ids = np.int32(token_ids[start : start + segment + 1, None])
        with tf.GradientTape() as tape:
            losses, state = model.losses(ids[:-1], ids[1:], state)
            loss = tf.reduce_mean(losses)
        nats.extend(losses[:, 0].numpy().tolist())
        for name, gradient in tape.gradient(loss, variables).items():
            g = tf.convert_to_tensor(gradient).numpy().astype(np.float64)
            squares[name] = MEMORY * squares[name] + (1 - MEMORY) * g * g
            step = rate * g / (np.sqrt(squares[name] / (1 - MEMORY**number)) + EPSILON)
            weights[name] = weights[name] - step + decay * (WEIGHTS[name] - weights[name])
    return nats


# ---- the steps


def test_the_weights_move_as_the_formula_says():
    token_ids = some_ids(25)
    found = followed(token_ids, rate=0.01, segment=6, decay=0.2)
    np.testing.assert_allclose(found, followed_by_formula(token_ids, 6, 0.01, 0.2), rtol=1e-4)
    assert np.abs(found - static(token_ids))[6:].min() > 1e-3


@pytest.mark.parametrize(
    "name", ["gru, tied, documents", "words of documents, tied", *map(slow, ("characters", "rnn"))]
)
def test_without_a_rate_it_is_the_static_pass(name):
    model = MODELS[name]
    config, weights = model.record.model, random_weights(model.record.model, scale=0.3)
    token_ids = some_ids(100, config.vocabulary_size)
    if model.tokenizer.eod_id is not None:
        token_ids[::7] = model.tokenizer.eod_id
    found = dynamic_surprisals(token_ids, config, weights, DynamicConfig(dynamic_rate=0, dynamic_segment=16))
    expected = surprisals(token_ids, NumpyEngine(config, weights))
    assert found.mean() == pytest.approx(expected.mean(), abs=1e-6)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)


def test_a_vocabulary_too_large_to_be_scored_at_once_is_followed_alike(monkeypatch):
    token_ids = some_ids(40)
    expected = followed(token_ids, segment=8, rate=0.01)
    monkeypatch.setattr(language_model, "MAX_LOGITS", 4 * MODEL.vocabulary_size)
    np.testing.assert_allclose(followed(token_ids, segment=8, rate=0.01), expected, rtol=1e-4)


# ---- what must hold


def test_no_token_is_scored_by_weights_that_saw_it():
    """A token's own segment, and what stands before it, is as it would be with any other token there."""
    token_ids = some_ids(41)
    others = token_ids.copy()
    others[28] = (others[28] + 1) % MODEL.vocabulary_size
    one, other = (followed(ids, segment=8, rate=0.05) for ids in (token_ids, others))
    assert one[:27].tolist() == other[:27].tolist()  # the same text gives the same nats
    assert one[27] != other[27]
    np.testing.assert_allclose(one[:8], static(token_ids)[:8], rtol=0, atol=1e-5)


def test_a_text_that_repeats_itself_is_predicted_much_better():
    token_ids = np.tile(some_ids(20), 15)
    assert followed(token_ids, segment=10, rate=0.01).mean() < static(token_ids).mean() - 0.5


def test_a_text_shorter_than_a_segment_is_the_static_pass():
    token_ids = some_ids(3)
    np.testing.assert_allclose(followed(token_ids, rate=1.0), static(token_ids), rtol=0, atol=1e-5)


def test_progress_counts_up_to_the_end_and_the_weights_stay():
    told, before = [], {name: weight.copy() for name, weight in WEIGHTS.items()}
    config = DynamicConfig(dynamic_segment=8)
    dynamic_surprisals(some_ids(20), MODEL, WEIGHTS, config, lambda done, total: told.append((done, total)))
    assert told == [(8, 19), (16, 19), (19, 19)]
    for name, weight in before.items():
        np.testing.assert_array_equal(WEIGHTS[name], weight)


# ---- what makes no sense


def test_a_rate_that_ends_in_no_numbers_is_an_error_that_says_where():
    with pytest.raises(TextgenError, match=r"--dynamic-rate 1e\+38 is too large for this model: .* after 8 tokens"):
        followed(some_ids(40), segment=8, rate=1e38)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("dynamic_rate", -0.1, "`dynamic_rate` must be at least 0. Received: -0.1"),
        ("dynamic_rate", 1e39, "`dynamic_rate` must be at most 1e+38. Received: 1e+39"),
        ("dynamic_segment", 0, "`dynamic_segment` must be at least 1. Received: 0"),
        ("dynamic_decay", -0.1, "`dynamic_decay` must be at least 0. Received: -0.1"),
        ("dynamic_decay", 1.1, "`dynamic_decay` must be at most 1. Received: 1.1"),
    ],
)
def test_settings_out_of_range_are_refused(name, value, said):
    with pytest.raises(SettingError) as caught:
        DynamicConfig(**{name: value})
    assert str(caught.value) == said
