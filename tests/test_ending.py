"""Where texts begin and end: the start token, the length in units, the end of a document, a stop string."""

import itertools

import numpy as np
import pytest
from conftest import ALPHABET, make_word_tokenizer
from hypothesis import given, settings
from hypothesis import strategies as st

from textgen.config import END_OF_DOCUMENT, SamplingConfig
from textgen.generation.ending import Ending, StopScanner, with_start
from textgen.tokenizers import CharacterTokenizer, Tokenizer, WordTokenizer
from textgen.tokenizers.word_pieces import MAX_PIECE

LETTERS = CharacterTokenizer(ALPHABET)
NAMES = CharacterTokenizer(ALPHABET, "\n")
WORDS = make_word_tokenizer("\n")


def text_of(tokenizer, text: str, block: int = 1, **settings) -> tuple[str, str]:
    """What is shown of `text` when its tokens come `block` at a time, and why it ended."""
    ending = Ending(tokenizer, SamplingConfig(**settings))
    token_ids = tokenizer.encode(text)
    shown = [ending.feed(token_ids[i : i + block]) for i in range(0, len(token_ids), block)]
    return "".join(shown) + ending.finish(), ending.reason


def units(tokenizer: Tokenizer, token_ids) -> list[list[str]]:
    """The pieces of `token_ids`, unit by unit."""
    ending, found = Ending(tokenizer, SamplingConfig(length=len(token_ids) + 1, ignore_eod=True)), []
    for token_id in token_ids:
        ending.feed(np.array([token_id]))
        found += [[] for _ in range(ending.units - len(found))]
        found[-1].append(tokenizer.pieces[token_id])
    return found


# ---- where a text begins


@pytest.mark.parametrize(
    ("tokenizer", "token_ids", "read"),
    [
        (LETTERS, [5, 6], [5, 6]),
        (LETTERS, [], [LETTERS.start_id]),
        (NAMES, [5, 6], [NAMES.eod_id, 5, 6]),
        (NAMES, [], [NAMES.eod_id]),
    ],
    ids=["a text", "nothing", "a document", "nothing of a document"],
)
def test_the_start_is_read_before_documents_and_where_there_is_nothing_else(tokenizer, token_ids, read):
    found = with_start(np.array(token_ids, np.int32), tokenizer)
    assert found.tolist() == read
    assert found.dtype == np.int32


# ---- units of length


SPELLER = WordTokenizer(" '.13abc\u0301\u6625", [" ab", " 13"])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (" ab ab", [" ab", " ab"]),
        ("abc bca.", ["abc", " bca", "."]),
        (" ab acb ab", [" ab", " acb", " ab"]),
        ("a\u0301b 31 13", ["a\u0301b", " 31", " 13"]),
        ("  c", [" ", " c"]),
        ("..", [".", "."]),
        ("\u6625\u6625", ["\u6625", "\u6625"]),
        ("ca'ab", ["ca", "'", "ab"]),
        ("", []),
    ],
)
def test_a_spelled_word_is_one_unit(text, expected):
    assert ["".join(unit) for unit in units(SPELLER, SPELLER.encode(text))] == expected


def test_a_letter_after_a_word_begins_a_unit():
    token_ids = [SPELLER.pieces.index(" ab"), SPELLER.pieces.index("c"), SPELLER.pieces.index("a")]
    assert units(SPELLER, token_ids) == [[" ab"], ["c", "a"]]


def test_the_end_of_a_document_is_a_unit_of_its_own():
    tokenizer = WordTokenizer("ab", ["ab"], "\n")
    assert units(tokenizer, tokenizer.encode("a\udc00b\udc00")) == [["a"], [""], ["b"], [""]]


def test_every_character_is_a_unit():
    assert len(units(NAMES, NAMES.encode("a cat\n"))) == 6


# ---- where a text ends


@pytest.mark.parametrize("block", [1, 3, 100])
def test_a_character_model_writes_so_many_characters(block):
    assert text_of(LETTERS, "the cat sat", block, length=7) == ("the cat", "length")


def test_a_text_that_is_not_over_has_no_reason():
    assert text_of(LETTERS, "the cat", length=8) == ("the cat", "")


@pytest.mark.parametrize("block", [1, 3, 100])
@pytest.mark.parametrize(("least", "text"), [(0, ""), (1, "ta"), (3, "tat"), (4, "tatta")])
def test_a_stop_string_counts_only_behind_the_least_length(block, least, text):
    assert text_of(LETTERS, "tattat", block, stop=("t",), min_length=least)[0] == text


@pytest.mark.parametrize("block", [1, 3, 100])
def test_a_document_ends_the_text_and_what_comes_after_is_not_shown(block):
    assert text_of(NAMES, f"cat{END_OF_DOCUMENT}dog", block) == ("cat", "document")


def test_the_end_of_a_document_can_be_ignored_and_is_a_separator_then():
    text = f"cat{END_OF_DOCUMENT}dog{END_OF_DOCUMENT}"
    assert text_of(NAMES, text, ignore_eod=True, length=5) == ("cat\nd", "length")
    assert text_of(make_word_tokenizer("\n\n"), text, ignore_eod=True, length=2) == ("cat\n\n", "length")


@pytest.mark.parametrize("block", [1, 4, 100])
def test_a_spelled_word_counts_once_however_its_letters_come(block):
    """ " zebra" is spelled: a space and five letters."""
    assert text_of(WORDS, " the zebra sat on the mat", block, length=3) == (" the zebra sat", "length")
    assert text_of(WORDS, " the zebra sat", block, length=2) == (" the zebra", "length")
    assert text_of(WORDS, " the zebra, yes", block, length=3) == (" the zebra,", "length")


def test_a_word_of_the_vocabulary_ends_the_text_without_another_token():
    ending = Ending(WORDS, SamplingConfig(length=2))
    assert ending.feed(WORDS.encode(" the cat")) == " the cat"
    assert ending.is_over


def test_a_word_that_is_spelled_for_ever_ends_at_the_longest_that_a_piece_can_be():
    ending = Ending(WORDS, SamplingConfig(length=2))
    shown = "".join(ending.feed(WORDS.encode("zq")) for _ in range(MAX_PIECE + 1))
    assert len(shown) == 2 * MAX_PIECE
    assert ending.reason == "length"


def test_a_stop_string_comes_before_a_later_length_and_after_an_earlier_one():
    assert text_of(LETTERS, "the cat sat", 100, length=10, stop=("cat",)) == ("the ", "stop")
    assert text_of(LETTERS, "the cat sat", 100, length=5, stop=("cat",)) == ("the c", "length")


@given(st.text(ALPHABET + END_OF_DOCUMENT, max_size=60), st.integers(1, 20), st.integers(1, 30), st.booleans())
def test_the_text_does_not_depend_on_how_its_tokens_come(text, block, length, ignore_eod):
    for tokenizer in (NAMES, WORDS):
        whole = text_of(tokenizer, text, max(1, len(text)), length=length, ignore_eod=ignore_eod)
        assert text_of(tokenizer, text, block, length=length, ignore_eod=ignore_eod) == whole


@given(st.lists(st.integers(0, WORDS.vocabulary_size - 2), max_size=60), st.integers(1, 30))
def test_lengths_are_those_that_the_tokenizer_counts(token_ids, length):
    ending = Ending(WORDS, SamplingConfig(length=length))
    shown = ending.feed(np.array(token_ids, np.int32)) + ending.finish()
    pairs = itertools.pairwise([0, *token_ids])
    begins = [place == 0 or not (WORDS.continued[a] and WORDS.continues[b]) for place, (a, b) in enumerate(pairs)]
    counted = itertools.accumulate(begins)
    assert shown == "".join(WORDS.pieces[i] for i, n in zip(token_ids, counted, strict=True) if n <= length)


# ---- stop strings in a stream, however it is cut into pieces

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


def streamed(pieces: list[str], stop: tuple[str, ...]) -> tuple[str, bool]:
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
    assert streamed(list("aab"), ("ab",)) == ("a", True)
    assert streamed(list("ababac"), ("abac",)) == ("ab", True)


@pytest.mark.parametrize("pieces", [["abcd"], list("abcd"), ["ab", "cd"], ["abc", "d"]])
def test_of_two_stop_strings_the_one_that_is_complete_first_counts(pieces):
    assert streamed(pieces, ("bcd", "c")) == ("ab", True)
    assert streamed(pieces, ("c", "bcd")) == ("ab", True)


@pytest.mark.parametrize("pieces", [["abcd"], list("abcd"), ["ab", "cd"]])
def test_of_two_that_are_complete_at_once_the_longer_counts(pieces):
    assert streamed(pieces, ("c", "bc")) == ("a", True)


def test_without_stop_strings_everything_passes_at_once():
    scanner = StopScanner(())
    assert scanner.feed("text") == "text"
    assert scanner.finish() == ""
    assert not scanner.is_stopped


@settings(max_examples=300, deadline=None)
@given(pieces_of(), stops)
def test_the_stream_is_the_text_cut_at_the_first_stop_string_however_it_is_cut_into_pieces(pieces, stop):
    assert streamed(pieces, stop) == cut("".join(pieces), stop)


@given(pieces_of(st.text()), st.lists(st.text(min_size=1, max_size=3), max_size=3).map(tuple))
def test_the_same_holds_for_any_text(pieces, stop):
    assert streamed(pieces, stop) == cut("".join(pieces), stop)


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
