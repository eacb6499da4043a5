"""The sample of wrong tokens: how likely each is to be in it, and that it is a function of (seed, step)."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from textgen.model.negatives import (
    NegativeSampler,
    inclusion_probabilities,
)

counts_of_tokens = st.lists(st.integers(0, 10**9), min_size=2, max_size=60)


def zipf_counts(V: int = 50) -> np.ndarray:
    return 1000 // np.arange(1, V + 1)


def every_sample(sampler: NegativeSampler, V: int):
    """Each sample there is, with its probability: the sample changes only where a point passes the end of a token."""
    edges = np.unique(np.concatenate([[0.0, 1.0], np.cumsum(sampler.probabilities)[: V - 1] % 1]))
    for low, high in itertools.pairwise(edges):
        yield high - low, sampler.at((low + high) / 2 + np.arange(round(sampler.probabilities.sum())))


def test_probabilities_worked_by_hand():
    """Weights 8, 1, 1: of two tokens the first is certain, and one of the others comes with it."""
    assert inclusion_probabilities(np.array([7, 0, 0]), 2).tolist() == [1, 0.5, 0.5]
    assert inclusion_probabilities(np.array([7, 0, 0]), 1).tolist() == [0.8, 0.1, 0.1]


@given(counts_of_tokens, st.data())
def test_probabilities_sum_to_the_size_of_the_sample_and_follow_the_counts(counts, data):
    num_sampled = data.draw(st.integers(1, len(counts)))
    found = inclusion_probabilities(np.array(counts), num_sampled)
    assert found.sum() == pytest.approx(num_sampled)
    assert found.min() > 0
    assert found.max() <= 1
    order = np.argsort(counts, kind="stable")
    assert np.all(np.diff(found[order]) >= 0)
    uncertain = found < 1
    weights = np.array(counts, float) + 1
    ratios = (found / weights)[uncertain]
    np.testing.assert_allclose(ratios, ratios[:1].repeat(len(ratios)), rtol=1e-9)


def test_all_tokens_are_certain_when_all_are_sampled():
    sampler = NegativeSampler(zipf_counts(9), 9, seed=0)
    negatives = sampler.draw(5)
    assert negatives.token_ids.tolist() == list(range(9))
    assert negatives.log_probabilities.tolist() == [0] * 9


@given(counts_of_tokens, st.integers(0, 2**31 - 1), st.integers(0, 2**31 - 1), st.data())
def test_a_sample_holds_different_tokens_with_their_probabilities(counts, seed, step, data):
    num_sampled = data.draw(st.integers(1, len(counts)))
    sampler = NegativeSampler(np.array(counts), num_sampled, seed)
    token_ids, log_probabilities = sampler.draw(step)
    assert token_ids.dtype == np.int32
    assert log_probabilities.dtype == np.float32
    assert len(set(token_ids.tolist())) == len(token_ids) == num_sampled
    assert set(token_ids.tolist()) <= set(range(len(counts)))
    np.testing.assert_allclose(np.exp(log_probabilities), sampler.probabilities[token_ids], rtol=1e-5)


@pytest.mark.parametrize("num_sampled", [1, 7, 30, 49])
def test_each_token_is_in_as_many_samples_as_its_probability_says(num_sampled):
    sampler, found = NegativeSampler(zipf_counts(), num_sampled, seed=0), np.zeros(50)
    for probability, negatives in every_sample(sampler, 50):
        found[negatives.token_ids] += probability
    np.testing.assert_allclose(found, sampler.probabilities, atol=1e-9)


def test_the_steps_draw_evenly():
    """The mean over many steps is the probability within five standard errors, whatever the token."""
    sampler, found = NegativeSampler(zipf_counts(), 7, seed=3), np.zeros(50)
    for step in range(4000):
        found[sampler.draw(step).token_ids] += 1
    p = sampler.probabilities
    assert np.all(np.abs(found / 4000 - p) <= 5 * np.sqrt(p * (1 - p) / 4000))


def test_a_sample_is_a_pure_function_of_seed_and_step():
    first, again, other = (NegativeSampler(zipf_counts(), 7, seed) for seed in (1, 1, 2))
    again.draw(0)
    again.draw(8)
    drawn = [first.draw(step).token_ids.tolist() for step in range(20)]
    assert [again.draw(step).token_ids.tolist() for step in reversed(range(20))] == drawn[::-1]
    assert [other.draw(step).token_ids.tolist() for step in range(20)] != drawn
    assert len({tuple(sample) for sample in drawn}) > 10


def test_a_token_that_never_occurs_is_drawn_too():
    sampler = NegativeSampler(np.array([100, 100, 0, 100]), 2, seed=0)
    assert any(2 in sampler.draw(step).token_ids for step in range(200))
