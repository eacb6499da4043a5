"""The continuous cache: by hand, against a loop in float64, and what must hold of any mixture."""

import numpy as np
import pytest
from conftest import make_stored_model, make_word_tokenizer, random_weights
from whole_texts import cached_surprisals, surprisals

from textgen.config import CacheConfig
from textgen.errors import SettingError
from textgen.evaluation import neural_cache, one_pass
from textgen.evaluation.neural_cache import NeuralCache
from textgen.generation.numpy_engine import NumpyEngine

V = 30


def make_engine(cell: str = "lstm", **shape) -> NumpyEngine:
    config = make_stored_model(cell, **shape).record.model
    return NumpyEngine(config, random_weights(config, scale=0.3))


def some_ids(length: int, vocabulary_size: int = V, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, vocabulary_size, size=length)


def cached_by_loop(token_ids: np.ndarray, engine: NumpyEngine, config: CacheConfig) -> list[float]:
    """The formula, one token and one remembered position at a time."""
    states = np.zeros((2, engine.config.num_layers, 1, engine.config.units), np.float32)
    outputs = engine.run(token_ids[:-1, None], *states)[:, 0].astype(np.float64)
    hiddens = outputs[:, -engine.config.units :]  # of the last layer
    nats = []
    for t, (model_nats, target) in enumerate(zip(surprisals(token_ids, engine), token_ids[1:], strict=True)):
        masses = np.zeros(engine.config.vocabulary_size)
        for i in range(max(0, t - config.cache_size), t):
            masses[token_ids[i + 1]] += np.exp(config.cache_theta * hiddens[t] @ hiddens[i])
        weight = config.cache_weight if t else 0.0
        share = masses[target] / masses.sum() if t else 0.0
        nats.append(-np.log((1 - weight) * np.exp(-model_nats) + weight * share))
    return nats


# ---- by hand


@pytest.mark.parametrize("cuts", [[], [1], [2], [1, 2, 3]], ids=str)
@pytest.mark.parametrize("rows", [1, 2, 256])
def test_four_tokens_two_of_which_are_remembered(monkeypatch, cuts, rows):
    """Theta is log 2, so two states h and k score 2 to the power of h k; the model gives either token 1/2."""
    monkeypatch.setattr(neural_cache, "ROWS", rows)
    cache = NeuralCache(CacheConfig(cache_size=2, cache_theta=np.log(2), cache_weight=0.25), units=1)
    hiddens, targets = np.float32([[1], [2], [1], [3]]), np.uint8([0, 1, 0, 1])
    nats = np.full(4, np.log(2))
    parts = zip(*(np.split(array, cuts) for array in (hiddens, targets, nats)), strict=True)
    found = np.exp(-np.concatenate([cache.read(*part) for part in parts]))
    shares = [0, 2 / (2 + 4), 64 / (64 + 8)]  # of the second, third and fourth token; the first has no cache
    np.testing.assert_allclose(found, [0.5, *(0.75 * 0.5 + 0.25 * share for share in shares)], rtol=1e-6)


@pytest.mark.parametrize("size", [1, 7, 39, 1000])
@pytest.mark.parametrize(
    ("cell", "shape"), [("lstm", {}), ("gru", {"tied": True}), ("rnn", {"num_layers": 1}), ("lstm", {"skip": True})]
)
def test_it_is_the_formula(monkeypatch, cell, shape, size):
    monkeypatch.setattr(one_pass, "BLOCK", 16)
    monkeypatch.setattr(neural_cache, "ROWS", 5)
    engine, token_ids = make_engine(cell, **shape), some_ids(60)
    config = CacheConfig(cache_size=size, cache_theta=1.5, cache_weight=0.3)
    found = cached_surprisals(token_ids, engine, config)
    np.testing.assert_allclose(found, cached_by_loop(token_ids, engine, config), rtol=1e-5)


def test_a_word_model_of_documents_remembers_words_and_ends():
    model = make_stored_model(tokenizer=make_word_tokenizer("\n"), tied=True)
    engine = NumpyEngine(model.record.model, model.weights)
    token_ids = some_ids(50, model.tokenizer.vocabulary_size)
    token_ids[::5] = model.tokenizer.eod_id
    config = CacheConfig(cache_size=20)
    found = cached_surprisals(token_ids, engine, config)
    np.testing.assert_allclose(found, cached_by_loop(token_ids, engine, config), rtol=1e-5)


# ---- what must hold


@pytest.mark.parametrize("length", [1, 2, 30])
@pytest.mark.parametrize("theta", [0, 0.3, 1000])
def test_the_probabilities_of_all_tokens_add_up_to_one(length, theta):
    engine, before = make_engine(), some_ids(length)
    config = CacheConfig(cache_size=10, cache_theta=theta, cache_weight=0.4)
    last = [cached_surprisals(np.append(before, token_id), engine, config)[-1] for token_id in range(V)]
    assert np.exp(-np.array(last)).sum() == pytest.approx(1, rel=1e-6)


@pytest.mark.parametrize("changed", [1, 20, 39])
def test_it_never_looks_ahead(changed):
    engine, token_ids, config = make_engine(), some_ids(40), CacheConfig(cache_weight=0.5)
    others = token_ids.copy()
    others[changed] = (others[changed] + 1) % V
    one, other = (cached_surprisals(ids, engine, config) for ids in (token_ids, others))
    assert one[: changed - 1].tolist() == other[: changed - 1].tolist()
    assert one[changed - 1] != other[changed - 1]


def test_without_weight_it_changes_nothing():
    engine, token_ids = make_engine(), some_ids(40)
    found = cached_surprisals(token_ids, engine, CacheConfig(cache_weight=0))
    assert found.tolist() == surprisals(token_ids, engine).tolist()


def test_a_text_that_repeats_itself_is_predicted_better():
    engine, token_ids = make_engine(), np.tile(some_ids(20), 10)
    config = CacheConfig(cache_weight=0.5)
    assert cached_surprisals(token_ids, engine, config).mean() < surprisals(token_ids, engine).mean() - 0.2


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("cache_size", 0, "`cache_size` must be at least 1. Received: 0"),
        ("cache_theta", -0.1, "`cache_theta` must be at least 0. Received: -0.1"),
        ("cache_theta", float("nan"), "`cache_theta` must be a finite number. Received: nan"),
        ("cache_weight", -0.1, "`cache_weight` must be at least 0. Received: -0.1"),
        ("cache_weight", 1.0, "`cache_weight` must be at most 0.99. Received: 1.0"),
    ],
)
def test_settings_that_make_no_sense_are_refused(name, value, said):
    with pytest.raises(SettingError) as caught:
        CacheConfig(**{name: value})
    assert str(caught.value) == said
