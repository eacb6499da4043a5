"""The numbers that describe a text, by hand and against plain counting."""

import dataclasses
import itertools
import math
from collections import Counter
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from textgen.corpus import describe, describing


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


@settings(max_examples=40)
@given(st.text(alphabet="ab \n\u4e00", min_size=2))
def test_the_floors_are_those_of_counting_in_plain_python(text):
    pairs, befores = Counter(itertools.pairwise(text)), Counter(text[:-1])
    bits = -sum(n * math.log2(n / befores[before]) for (before, _), n in pairs.items()) / (len(text) - 1)
    facts = describe(text)
    assert facts.bigram_bits == pytest.approx(bits, abs=1e-9)
    shares = [n / len(text) for n in Counter(text).values()]
    assert facts.unigram_bits == pytest.approx(-sum(p * math.log2(p) for p in shares), abs=1e-9)


# With a table so small, pairs are counted in both ways.
few_symbols_in_the_table = mock.patch.object(describing._PairCounts, "TABLE", 2)
BLOCKS = st.lists(st.text(alphabet="ab \n\udc00\u4e00", max_size=12), max_size=6)


@settings(max_examples=40)
@given(BLOCKS)
def test_a_text_in_blocks_is_described_as_the_whole(blocks):
    with few_symbols_in_the_table:
        pieces, whole = describe(blocks), describe("".join(blocks))
    assert pieces.bigram_bits == pytest.approx(whole.bigram_bits, abs=1e-9)  # summed in another order
    assert dataclasses.replace(pieces, bigram_bits=0.0) == dataclasses.replace(whole, bigram_bits=0.0)


def test_the_size_of_a_text_is_that_of_its_blocks_wherever_it_is_cut():
    size = describing.TextSize()
    for block in ("one t", "wo\n", "", " three\udc00", "fo", "ur"):
        size.add(block)
    assert (size.characters, size.words, size.line_ends, size.last) == (19, 4, 2, "r")


def test_more_symbols_than_the_table_of_pairs_holds_are_counted_all_the_same():
    symbols = "".join(map(chr, range(0x4E00, 0x4E00 + 3000)))
    text = symbols + symbols[::-1] + symbols
    pairs, befores = Counter(itertools.pairwise(text)), Counter(text[:-1])
    bits = -sum(n * math.log2(n / befores[before]) for (before, _), n in pairs.items()) / (len(text) - 1)
    assert describe([text[:5000], text[5000:]]).bigram_bits == pytest.approx(bits, abs=1e-9)


def test_rare_symbols_say_where_they_stand_first():
    facts = describe(["aaa bbb\naa", "\u2603b\n\u2603 ab\n", "bb\u20ac"])
    assert [(r.symbol, r.count, r.line, r.column) for r in facts.rarest[:3]] == [
        ("\u20ac", 1, 4, 3),
        (" ", 2, 1, 4),
        ("\u2603", 2, 2, 3),
    ]


def test_duplicate_and_longest_lines_are_found_across_blocks():
    facts = describe(["one\ntw", "o\none\n\n\nlong", "est of all\ntwo"])
    assert (facts.duplicate_lines, facts.longest_line, facts.longest_line_number) == (2, 14, 6)
    assert facts.lines == 7


def test_a_line_too_long_to_be_kept_is_no_duplicate(monkeypatch):
    monkeypatch.setattr(describing, "LONGEST_COMPARED", 8)
    facts = describe(["a" * 6, "a" * 6 + "\nshort\n" + "a" * 12 + "\nshort"])
    assert (facts.duplicate_lines, facts.longest_line) == (1, 12)
