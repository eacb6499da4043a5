"""How things are said: in one harmless line, with plurals and near misses."""

import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from textgen.messages import LONGEST_SHOWN, counted, json_line, nearest, shown, visible

values = st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner))


@given(st.text())
def test_what_is_shown_is_one_printable_line_of_bounded_length(text):
    assert shown(text).isprintable()
    assert len(shown(text)) <= LONGEST_SHOWN
    if text.isprintable() and len(text) <= LONGEST_SHOWN:
        assert shown(text) == text


def test_very_long_text_is_cut():
    assert shown("x" * 1000) == "x" * (LONGEST_SHOWN - 1) + "…"


@given(st.text())
def test_visible_text_keeps_its_lines_and_has_no_control_characters(text):
    assert len(visible(text)) == len(text)
    assert not [c for c in visible(text) if unicodedata.category(c) == "Cc" and c not in "\t\n"]


def test_control_characters_are_shown_as_pictures():
    assert visible("a\x1b[2J\x7f\x9b\tb\n") == "a\u241b[2J\u2421\ufffd\tb\n"


@given(values)
def test_a_json_line_is_printable_and_reads_back_as_the_same_value(value):
    assert json_line(value).isprintable()
    assert json.loads(json_line(value)) == value


def test_a_json_line_keeps_what_can_be_read():
    assert json_line({"é": "\u202e"}) == '{"é": "\\u202e"}'


@pytest.mark.parametrize(("number", "said"), [(0, "0 files"), (1, "1 file"), (2, "2 files"), (3000, "3,000 files")])
def test_a_number_goes_with_its_noun(number, said):
    assert counted(number, "file") == said


def test_near_names_are_asked_for_best_first_and_far_ones_are_not():
    assert nearest("novell", ["tale", "novel", "novels"]) == "Did you mean novel or novels?"
    assert nearest("tael", iter(["tale", "novel"])) == "Did you mean tale?"
    assert nearest("xyzzy", ["tale", "novel"]) == ""
    assert nearest("tal\x1b", ["tal\x1be"]) == r"Did you mean 'tal\x1be'?"
