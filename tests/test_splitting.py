"""The cut between what is learnt from and what is measured on."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from textgen.corpus import split_text
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
    with pytest.raises(SettingError, match="--val-fraction"):
        split_text("text", fraction)
