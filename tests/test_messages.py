"""How things are said: in one harmless line, with plurals and near misses."""

import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from textgen.messages import LONGEST_SHOWN, counted, harmless, json_line, nearest, shown, visible

values = st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner))


@given(st.text())
def test_what_is_shown_is_one_printable_line_of_bounded_length(text):
    assert shown(text).isprintable()
    assert len(shown(text)) <= LONGEST_SHOWN
    if text.isprintable() and len(text) <= LONGEST_SHOWN:
        assert shown(text) == text


def test_very_long_text_is_cut():
    assert shown("x" * 1000) == "x" * (LONGEST_SHOWN - 1) + "…"


ODD = "\x00\t\n\x1b\x7f\x9b\u00ad\u061c\u200b\u200d\u200e\u2028\u202e\u2066\u2069\ufeff\udcff\U000e0041\U000e007f"
texts = st.text(st.sampled_from(ODD) | st.characters(), max_size=20)


@given(texts)
def test_visible_text_keeps_its_lines_and_nothing_in_it_moves_the_cursor_or_turns_the_direction(text):
    assert visible(text).count("\n") == text.count("\n")
    assert not [c for c in visible(text) if unicodedata.category(c) == "Cc" and c not in "\t\n"]
    assert not set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u2060\ufeff\U000e0041") & set(visible(text))


@given(texts)
def test_a_harmless_line_is_one_line_without_anything_that_shows_nothing(text):
    assert not set(ODD) & set(harmless(text))
    if text.isprintable():
        assert harmless(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "\u05e9\u05dc\u05d5\u05dd\u200f, (abc)\u200e!",
        "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
        "\u0995\u09cd\u200d\u09b7",
        "\u1780\u17b6\u200b\u1780",
        "\U0001f469\U0001f3fd\u200d\U0001f680 \u2764\ufe0f\u200d\U0001f525",
        "e\u0301 \u00e9 na\u00efve co\u00adoperate",
    ],
    ids=["Hebrew", "Persian", "Bengali", "Khmer", "emoji", "accents"],
)
def test_what_people_write_stays_readable_also_in_pieces(text):
    assert visible(text) == text
    assert "".join(visible(after, before) for before, after in zip(" " + text, text, strict=False)) == text


def test_what_hides_in_a_text_is_shown_as_an_escape():
    assert visible("rm\u200b\u200d \u202etxt.\u202c\U000e0041") == r"rm\u200b\u200d \u202etxt.\u202c\U000e0041"
    assert visible("\u0645\u200c\u200c\u200d") == "\u0645\u200c" + r"\u200c\u200d"
    assert harmless("a\u200eb\u00ad\n") == r"a\u200eb\xad" + "\u240a"


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
    assert nearest("tem", ["beams", "temperature"]) == "Did you mean temperature?"
    assert nearest("xyzzy", ["tale", "novel"]) == ""
    assert nearest("a.txt", ["xy.txt", "a.md", "ab"], lambda name: name.partition(".")[0]) == "Did you mean a.md or ab?"
    assert nearest("tal\x1b", ["tal\x1be"]) == r"Did you mean 'tal\x1be'?"
