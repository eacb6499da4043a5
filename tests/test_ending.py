"""Where texts end: the length in units, the end of a document, a stop string."""

import numpy as np
import pytest
from conftest import ALPHABET, make_word_tokenizer
from hypothesis import given
from hypothesis import strategies as st

from textgen.config import END_OF_DOCUMENT, SamplingConfig
from textgen.generation.ending import Ending
from textgen.tokenizers import CharacterTokenizer
from textgen.tokenizers.word_pieces import MAX_PIECE

LETTERS = CharacterTokenizer(ALPHABET)
NAMES = CharacterTokenizer(ALPHABET, "\n")
WORDS = make_word_tokenizer("\n")


def text_of(tokenizer, text: str, block: int = 1, **settings) -> tuple[str, str | None]:
    """What is shown of `text` when its tokens come `block` at a time, and why it ended."""
    ending = Ending(tokenizer, SamplingConfig(**settings))
    token_ids = tokenizer.encode(text)
    shown = [ending.feed(token_ids[i : i + block]) for i in range(0, len(token_ids), block)]
    return "".join(shown) + ending.finish(), ending.reason


@pytest.mark.parametrize("block", [1, 3, 100])
def test_a_character_model_writes_so_many_characters(block):
    assert text_of(LETTERS, "the cat sat", block, length=7) == ("the cat", "length")


def test_a_text_that_is_not_over_has_no_reason():
    assert text_of(LETTERS, "the cat", length=8) == ("the cat", None)


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
    begins = WORDS.count_units(np.array(token_ids, np.int64)).cumsum()
    kept = [piece for piece, n in zip((WORDS.pieces[i] for i in token_ids), begins, strict=True) if n <= length]
    assert shown == "".join(kept)
