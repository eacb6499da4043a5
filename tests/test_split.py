"""The cut between what is learnt from and what is measured on."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from whole_texts import split_text

from textgen.dataset.split import DRAWN_AT_ONCE, DocumentDraw, Split
from textgen.errors import SettingError


def test_the_split_of_the_shakespeare_benchmark_is_the_usual_one():
    train, validation = split_text("x" * 1_115_394, 0.1)
    assert (len(train), len(validation)) == (1_003_854, 111_540)


def test_the_validation_part_is_the_end_and_decimal_fractions_are_exact():
    assert split_text("abcdefghij", 0.3) == ("abcdefg", "hij")
    assert split_text("abcdefghij", 0.9) == ("a", "bcdefghij")  # in floats, 10 * (1 - 0.9) is below 1
    assert split_text("abc", 0) == ("abc", "")


@given(st.text(), st.floats(0, 0.9))
def test_the_parts_are_the_text(text, fraction):
    train, validation = split_text(text, fraction)
    assert train + validation == text
    assert 0 <= len(validation) - fraction * len(text) < 1 + 1e-9


@pytest.mark.parametrize("fraction", [-0.1, 1.0, math.nan])
def test_a_fraction_outside_its_range_is_wrong_usage(fraction):
    with pytest.raises(SettingError, match="`val_fraction`"):
        Split(fraction)


def test_a_seed_is_not_negative():
    with pytest.raises(SettingError, match="`seed` must be at least 0"):
        Split(0.1, -1)


# ---- documents


@pytest.mark.parametrize(
    ("num_documents", "fraction", "expected"),
    [(32_033, 0.1, 3_203), (10, 0.0, 0), (10, 0.01, 1), (1, 0.5, 0), (0, 0.5, 0), (2, 0.9, 1), (10, 0.25, 2)],
)
def test_how_many_documents_are_for_validation(num_documents, fraction, expected):
    assert Split(fraction).num_validation_documents(num_documents) == expected


def test_which_documents_are_drawn_never_changes():
    """A model that is evaluated by a later version must not be evaluated on what it has learned."""
    assert np.flatnonzero(DocumentDraw(20, Split(0.25, seed=0)).take(20)).tolist() == [2, 3, 11, 13, 15]
    assert np.flatnonzero(DocumentDraw(20, Split(0.25, seed=1)).take(20)).tolist() == [2, 9, 16, 18, 19]


@given(st.integers(0, 400), st.floats(0, 0.9), st.integers(0, 2**31 - 1), st.lists(st.integers(0, 100), max_size=5))
def test_the_documents_that_are_drawn_are_the_smallest_numbers_however_they_are_asked_for(count, fraction, seed, sizes):
    split = Split(fraction, seed)
    num_validation = split.num_validation_documents(count)
    numbers = np.random.PCG64(seed).random_raw(count) if count else np.zeros(0, np.uint64)
    draw = DocumentDraw(count, split)
    taken = np.concatenate([draw.take(size) for size in (*sizes, count)])[:count]
    assert set(np.flatnonzero(taken)) == set(np.argsort(numbers)[:num_validation])


def test_the_exact_number_is_drawn_of_many_documents_all_over_the_corpus():
    count = 5 * DRAWN_AT_ONCE + 17
    split = Split(0.1, seed=3)
    taken = DocumentDraw(count, split).take(count)
    assert taken.sum() == split.num_validation_documents(count)
    shares = [part.mean() for part in np.array_split(taken, 20)]
    assert 0.09 < min(shares) < max(shares) < 0.11
