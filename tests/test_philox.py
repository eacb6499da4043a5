"""Counter-based random numbers, against the authors' known answers and against plain Python integers."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from textgen.generation import philox
from textgen.generation.philox import philox4x32, uniforms

WORD = 2**32
words = st.integers(0, WORD - 1)
seeds, samples = st.integers(0, 2**63 - 1), st.integers(0, WORD - 1)


def reference(counter: tuple[int, ...], key: tuple[int, ...]) -> list[int]:
    """Philox4x32-10 with Python's integers, as the paper's section 3.3 writes it."""
    left0, right0, left1, right1 = counter[1], counter[0], counter[3], counter[2]
    for round_number in range(10):
        k0 = (key[0] + round_number * 0x9E3779B9) % WORD
        k1 = (key[1] + round_number * 0xBB67AE85) % WORD
        high0, low0 = divmod(right0 * 0xD2511F53, WORD)
        high1, low1 = divmod(right1 * 0xCD9E8D57, WORD)
        right0, left0, right1, left1 = high1 ^ left0 ^ k0, low1, high0 ^ left1 ^ k1, low0
    return [right0, left0, right1, left1]


def reference_uniform(seed: int, sample: int, token: int) -> float:
    high, low, *_ = reference((token % WORD, token // WORD, seed // WORD, 0), (seed % WORD, sample))
    return (high * 2**21 + low // 2**11) / 2**53


# Random123, tests/kat_vectors: "philox4x32 10".
@pytest.mark.parametrize(
    ("counter", "key", "answer"),
    [
        ("00000000 00000000 00000000 00000000", "00000000 00000000", "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
        ("ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff", "408f276d 41c83b0e a20bc7c6 6d5451fd"),
        ("243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0", "d16cfe09 94fdcceb 5001e420 24126ea1"),
    ],
)
def test_philox_gives_the_answers_its_authors_publish(counter, key, answer):
    counter, key, answer = ([int(word, 16) for word in text.split()] for text in (counter, key, answer))
    assert philox4x32(np.array(counter, np.uint64), np.array(key, np.uint64)).tolist() == answer
    assert reference(tuple(counter), tuple(key)) == answer


@given(st.tuples(words, words, words, words), st.tuples(words, words))
def test_philox_agrees_with_plain_integers(counter, key):
    assert philox4x32(np.array(counter, np.uint64), np.array(key, np.uint64)).tolist() == reference(counter, key)


def test_many_counters_give_what_each_gives_alone_and_a_key_is_shared():
    counters = np.random.default_rng(0).integers(0, WORD, (3, 5, 4), np.uint64)
    key = np.array([1, 2], np.uint64)
    together = philox4x32(counters, key)
    assert together.shape == (3, 5, 4)
    for index in np.ndindex(3, 5):
        assert together[index].tolist() == reference(tuple(counters[index].tolist()), (1, 2))


@given(seeds, st.lists(samples, min_size=1, max_size=4), st.integers(0, 2**40), st.integers(1, 5))
def test_uniforms_are_the_first_53_bits_of_philox_of_seed_sample_and_token(seed, samples, first, count):
    drawn = uniforms(seed, np.array(samples), first, count)
    assert drawn.shape == (count, len(samples))
    assert drawn.dtype == np.float64
    expected = [[reference_uniform(seed, s, token) for s in samples] for token in range(first, first + count)]
    assert drawn.tolist() == expected


def test_the_first_number_of_seed_0_is_the_first_53_bits_of_the_first_known_answer():
    """A text made today is made again tomorrow: this may never change."""
    assert uniforms(0, np.array([0]), 0, 1).item() == (0x6627E8D5 << 21 | 0xE169C58D >> 11) / 2**53


@given(seeds, st.integers(0, 1000), st.integers(0, 20), st.integers(0, 20))
def test_a_sample_has_the_same_numbers_alone_and_among_many_and_from_any_start(seed, sample, skipped, more):
    alone = uniforms(seed, np.array([sample]), 0, skipped + more)[:, 0]
    among = uniforms(seed, np.arange(sample, sample + 50), skipped, more)[:, 0]
    assert np.array_equal(alone[skipped:], among)


@given(seeds, samples, st.integers(0, 2**40), st.integers(0, 62), st.integers(0, 31), st.integers(0, 40))
def test_every_bit_of_seed_sample_and_token_matters(seed, sample, token, seed_bit, sample_bit, token_bit):
    def number(seed: int, sample: int, token: int) -> float:
        return uniforms(seed, np.array([sample]), token, 1).item()

    here = number(seed, sample, token)
    assert here != number(seed ^ 1 << seed_bit, sample, token)
    assert here != number(seed, sample ^ 1 << sample_bit, token)
    assert here != number(seed, sample, token ^ 1 << token_bit)


@pytest.mark.parametrize(("word", "number"), [(0, 0.0), (WORD - 1, 1 - 2.0**-53), (WORD // 2, 0.5 + 2.0**-33)])
def test_the_smallest_number_is_0_and_the_largest_below_1(monkeypatch, word, number):
    monkeypatch.setattr(philox, "philox4x32", lambda counter, key: np.full(counter.shape, word, np.uint64))
    assert uniforms(0, np.array([0]), 0, 1).item() == number
    assert number < 1


def test_numbers_are_spread_evenly():
    drawn = uniforms(7, np.arange(100), 0, 1000)
    counts = np.histogram(drawn, bins=100, range=(0, 1))[0]
    chi_square = ((counts - 1000) ** 2 / 1000).sum()
    assert 50 < chi_square < 160  # 99 degrees of freedom: mean 99, standard deviation 14
    assert abs(np.corrcoef(drawn[:-1].ravel(), drawn[1:].ravel())[0, 1]) < 0.02
    assert abs(np.corrcoef(drawn[:, :-1].ravel(), drawn[:, 1:].ravel())[0, 1]) < 0.02
