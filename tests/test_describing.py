"""The numbers that describe a text, by hand and against plain counting."""

import itertools
import math
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from textgen.corpus import describe


def test_a_text_of_three_letters_is_described_by_hand():
    """`aab`: H(1/3, 2/3) = log2(3) - 2/3; after an `a` comes `a` or `b`, one bit."""
    facts = describe("aab")
    assert (facts.characters, facts.symbols, facts.lines, facts.words) == (3, 2, 1, 1)
    assert facts.unigram_bits == pytest.approx(math.log2(3) - 2 / 3)
    assert facts.bigram_bits == pytest.approx(1.0)
    assert facts.most_common == (("a", 2), ("b", 1))


def test_lines_words_and_ties_are_counted_as_people_do():
    facts = describe("to be\nor not\n\u20ac 5")
    assert (facts.lines, facts.words, facts.most_common[:2]) == (3, 6, ((" ", 3), ("o", 3)))
    assert [symbol for symbol, _ in describe("zyxwvutsrqponmlkjihgfedcba").most_common] == list("abcdefghij")
    assert describe("abab\n" * 2).bigram_bits < describe("abab\n" * 2).unigram_bits


@pytest.mark.parametrize("text", ["", "z"])
def test_texts_without_uncertainty_have_floors_of_zero(text):
    assert (describe(text).unigram_bits, describe(text).bigram_bits) == (0.0, 0.0)


@given(st.text(alphabet="ab \n\u4e00", min_size=2))
def test_the_floors_are_those_of_counting_in_plain_python(text):
    pairs, befores = Counter(itertools.pairwise(text)), Counter(text[:-1])
    bits = -sum(n * math.log2(n / befores[before]) for (before, _), n in pairs.items()) / (len(text) - 1)
    facts = describe(text)
    assert facts.bigram_bits == pytest.approx(bits, abs=1e-9)
    shares = [n / len(text) for n in Counter(text).values()]
    assert facts.unigram_bits == pytest.approx(-sum(p * math.log2(p) for p in shares), abs=1e-9)
