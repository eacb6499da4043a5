"""Stop strings in a stream, however it is cut into pieces."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from textgen.generation.stopping import StopScanner

# Few letters and many stop strings: most of them overlap each other and the ends of pieces.
few_letters = st.text("ab", max_size=20)
stops = st.lists(st.text("ab", min_size=1, max_size=5), min_size=1, max_size=4).map(tuple)


def cut(text: str, stop: tuple[str, ...]) -> tuple[str, bool]:
    """`text` before the stop string that is complete first (the longest of those), and whether there was one."""
    for end in range(len(text) + 1):
        found = [s for s in stop if text[:end].endswith(s)]
        if found:
            return text[: end - max(map(len, found))], True
    return text, False


def shown(pieces: list[str], stop: tuple[str, ...]) -> tuple[str, bool]:
    """What a reader of the stream sees, and whether it was stopped."""
    scanner = StopScanner(stop)
    text = ""
    for piece in pieces:
        text += scanner.feed(piece)
        if scanner.is_stopped:
            return text, True
    return text + scanner.finish(), False


@st.composite
def pieces_of(draw, texts=few_letters):
    """A text, cut anywhere."""
    text = draw(texts)
    cuts = sorted(draw(st.sets(st.integers(0, len(text)))) | {0, len(text)})
    return [text[a:b] for a, b in itertools.pairwise(cuts)]


def test_text_passes_until_the_stop_string_which_is_not_shown():
    scanner = StopScanner(["END"])
    assert [scanner.feed(piece) for piece in ("some ", "text E", "N", "D and more")] == ["some ", "text ", "", ""]
    assert scanner.is_stopped
    assert scanner.finish() == ""


def test_a_beginning_that_comes_to_nothing_is_shown_after_all():
    scanner = StopScanner(["END"])
    assert [scanner.feed(piece) for piece in ("E", "N", "X", "EN")] == ["", "", "ENX", ""]
    assert not scanner.is_stopped
    assert scanner.finish() == "EN"
    assert scanner.finish() == ""


def test_a_stop_string_may_begin_inside_a_failed_one():
    assert shown(list("aab"), ("ab",)) == ("a", True)
    assert shown(list("ababac"), ("abac",)) == ("ab", True)


@pytest.mark.parametrize("pieces", [["abcd"], list("abcd"), ["ab", "cd"], ["abc", "d"]])
def test_of_two_stop_strings_the_one_that_is_complete_first_counts(pieces):
    assert shown(pieces, ("bcd", "c")) == ("ab", True)
    assert shown(pieces, ("c", "bcd")) == ("ab", True)


@pytest.mark.parametrize("pieces", [["abcd"], list("abcd"), ["ab", "cd"]])
def test_of_two_that_are_complete_at_once_the_longer_counts(pieces):
    assert shown(pieces, ("c", "bc")) == ("a", True)


def test_without_stop_strings_everything_passes_at_once():
    scanner = StopScanner(())
    assert scanner.feed("text") == "text"
    assert scanner.finish() == ""
    assert not scanner.is_stopped


@settings(max_examples=300, deadline=None)
@given(pieces_of(), stops)
def test_the_stream_is_the_text_cut_at_the_first_stop_string_however_it_is_cut_into_pieces(pieces, stop):
    assert shown(pieces, stop) == cut("".join(pieces), stop)


@given(pieces_of(st.text()), st.lists(st.text(min_size=1, max_size=3), max_size=3).map(tuple))
def test_the_same_holds_for_any_text(pieces, stop):
    assert shown(pieces, stop) == cut("".join(pieces), stop)


@given(few_letters, stops)
def test_only_what_could_still_become_a_stop_string_is_held_back(text, stop):
    scanner = StopScanner(stop)
    for letter in text:
        scanner.feed(letter)
        if scanner.is_stopped:
            return
    beginnings = {s[:n] for s in stop for n in range(1, len(s))}
    longest = max((n for n in range(len(text) + 1) if text[len(text) - n :] in beginnings), default=0)
    assert len(scanner.finish()) == longest
