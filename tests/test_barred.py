"""Which ids a word model does not write after which."""

import itertools

import numpy as np
import pytest
from conftest import make_stored_model
from hard_texts import HARD_TEXTS, mixed_texts
from hypothesis import assume, example, given, settings

from textgen.config import SamplingConfig
from textgen.errors import TokenizerError
from textgen.generation.barred import Barred
from textgen.generation.generator import open_generator
from textgen.tokenizers import CharacterTokenizer, Tokenizer, WordTokenizer
from textgen.tokenizers.word_classes import MARK, class_of
from textgen.tokenizers.word_pieces import MAX_PIECE, whole_pieces

WRITES_WORDS, SPELLS = SamplingConfig(), SamplingConfig(new_words=True)
LONG = "x" * MAX_PIECE


def follows(tokenizer: Tokenizer, before: str, config: SamplingConfig = WRITES_WORDS) -> set[str]:
    """The pieces that may be written after `before`."""
    barred = Barred.of(tokenizer, config)
    group = barred.group_after(np.array([0, tokenizer.pieces.index(before)]))
    return {piece for i, piece in enumerate(tokenizer.pieces) if i not in barred.ids[group]}


TOKENIZER = WordTokenizer("\n '.1Iabx\u0301", ["ab", " ab", " a\u0301", "..", " 1", LONG], "\n", alone="\n '.1I\u0301")
FREE = {"\n", " ", "'", ".", "1", "I", "\u0301", "ab", " ab", " a\u0301", "..", " 1", LONG, ""}
APART = FREE - {"I", "\u0301", "ab", LONG}


@pytest.mark.parametrize("before", ["\n", "'", ".", "1", "..", " 1", LONG, ""])
def test_whatever_stands_alone_may_follow_what_ends_in_no_letter_and_a_piece_that_was_cut(before):
    assert follows(TOKENIZER, before) == FREE
    assert follows(TOKENIZER, before, SPELLS) == set(TOKENIZER.pieces)


@pytest.mark.parametrize("before", ["I", "a", "ab", " ab", " a\u0301", "\u0301", " "])
def test_nothing_that_begins_with_a_letter_or_mark_follows_a_letter_or_the_space_of_a_word(before):
    assert follows(TOKENIZER, before) == APART


@pytest.mark.parametrize("before", ["ab", " ab", " a\u0301"])
def test_no_letter_follows_a_word_where_new_words_are_wanted(before):
    assert follows(TOKENIZER, before, SPELLS) == APART


@pytest.mark.parametrize("before", ["I", "a", "\u0301", " "])
def test_letters_but_no_words_follow_a_letter_where_new_words_are_wanted(before):
    assert follows(TOKENIZER, before, SPELLS) == set(TOKENIZER.pieces) - {"ab", LONG}


def test_before_the_first_token_and_after_the_end_of_a_document_everything_may_begin():
    barred = Barred.of(TOKENIZER, WRITES_WORDS)
    assert barred.group_after(np.zeros(0, np.int32)) == barred.group_after(np.array([0, TOKENIZER.eod_id])) == 0
    assert barred.ids[0].tolist() == TOKENIZER.spelling_ids.tolist()


@settings(max_examples=100, deadline=None)
@example("".join(HARD_TEXTS.values()))
@given(mixed_texts)
def test_no_text_has_a_sequence_that_is_barred(text):
    """Where each of its pieces has an id; and, if words may be spelled, where only some have one."""
    pieces = sorted({text for block in whole_pieces([text]) for text in cut(block)})
    symbols, words = "".join(sorted(set(text))), [piece for piece in pieces if len(piece) > 1]
    assume(len(symbols) > 1)
    kept = [word for place, word in enumerate(words) if place % 2 or len(word) == MAX_PIECE]
    for config, known in ((WRITES_WORDS, words), (SPELLS, words), (SPELLS, kept)):
        tokenizer = WordTokenizer(symbols, known)
        if barred := Barred.of(tokenizer, config):
            for before, after in itertools.pairwise(tokenizer.encode(text).tolist()):
                # What a mark stands on is not known, so it counts as one of a word.
                is_mark = {class_of(symbol) for symbol in tokenizer.pieces[before]} == {MARK}
                assert is_mark or after not in barred.ids[barred.groups[before]]


def cut(block) -> list[str]:
    starts = block.pieces.starts.tolist()
    return [block.text[start:end] for start, end in itertools.pairwise([*starts, len(block.text)])]


@pytest.mark.parametrize(
    ("tokenizer", "expected"),
    [
        (WordTokenizer("ab", ["ab", "ba"], alone=""), [[0, 1], [0, 1]]),  # words stick rather than be spelled
        (WordTokenizer("ab", ["ab"], "\n"), [[], [0, 1, 2]]),  # the document ends
        (WordTokenizer("ab", ["ab"]), None),
        (WordTokenizer("ab", [], alone=""), None),
    ],
)
def test_where_there_are_letters_only_something_is_left_to_write(tokenizer, expected):
    barred = Barred.of(tokenizer, WRITES_WORDS)
    assert (None if barred is None else [ids.tolist() for ids in barred.ids]) == expected
    generator = open_generator(make_stored_model(tokenizer=tokenizer))
    config = SamplingConfig(length=30, temperature=2, ignore_eod=True)
    assert generator.generate("", config)[0].finish_reason == "length"


def test_nothing_is_barred_for_a_model_of_characters():
    assert Barred.of(CharacterTokenizer(" ab"), WRITES_WORDS) is None


def test_words_that_are_only_read_are_not_written_unless_new_words_are_wanted():
    tokenizer = WordTokenizer(" abc", [" ab", " ac", " bc"], alone=" ", num_silent=2)
    silent = {tokenizer.pieces.index(" ac"), tokenizer.pieces.index(" bc")}
    for ids in Barred.of(tokenizer, SamplingConfig()).ids:
        assert silent <= set(ids.tolist())
    for ids in Barred.of(tokenizer, SamplingConfig(new_words=True)).ids:
        assert not silent & set(ids.tolist())
    assert tokenizer.encode(" ac").tolist() == [tokenizer.pieces.index(" ac")]


@pytest.mark.parametrize("silent", [-1, 4, True, None, "1", 1.0])
def test_a_number_of_silent_words_that_cannot_be_is_refused(silent):
    document = WordTokenizer(" abc", [" ab", " ac", " bc"]).to_json() | {"silent": silent}
    with pytest.raises(TokenizerError):
        WordTokenizer.from_json(document)
