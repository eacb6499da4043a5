"""Words as ids, and letters for the words that have none."""

from unittest import mock

import numpy as np
import pytest
from hard_texts import ALL_SYMBOLS, ENGLISH, HARD_TEXTS, mixed_texts
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from textgen.config import END_OF_DOCUMENT, TextConfig
from textgen.errors import TokenizerError
from textgen.tokenizers import CharacterTokenizer, Tokenizer, WordTokenizer, new_fitter, text_blocks, word, word_fitting
from textgen.tokenizers.word_pieces import whole_pieces

documents = st.lists(mixed_texts, max_size=4).map(lambda texts: "".join(text + END_OF_DOCUMENT for text in texts))


def fit(*blocks: str, vocabulary_size: int | None = None, **settings) -> WordTokenizer:
    fitter = new_fitter("word")
    for block in blocks:
        fitter.add(block)
    return fitter.finish(TextConfig(level="word", vocabulary_size=vocabulary_size, **settings))


def fit_all(*blocks: str, documents: str = "whole") -> WordTokenizer:
    """A tokenizer that has every word of the text."""
    fitter = new_fitter("word")
    for block in blocks:
        fitter.add(block)
    size = fitter.num_pieces + (documents != "whole")
    return fitter.finish(TextConfig(level="word", vocabulary_size=size, documents=documents))


def spelled(tokenizer: WordTokenizer, text: str) -> list[str]:
    return [tokenizer.pieces[i] for i in tokenizer.encode(text)]


# ---- encoding


def test_words_are_ids_and_other_words_are_spelled():
    tokenizer = WordTokenizer("\n .aceht", ["the", " cat", " the"])
    assert tokenizer.pieces == ("\n", " ", ".", "a", "c", "e", "h", "t", "the", " cat", " the")
    assert tokenizer.encode("the cat the hat.\n").tolist() == [8, 9, 10, 1, 6, 3, 7, 2, 0]
    assert tokenizer.encode("the cat").dtype == np.int32
    assert tokenizer.decode([8, 9, 10, 1, 6, 3, 7, 2, 0]) == "the cat the hat.\n"
    assert (tokenizer.level, tokenizer.vocabulary_size) == ("word", 11)


def test_only_whole_pieces_are_words():
    tokenizer = WordTokenizer(" .abc", ["ab", " ab", "..", "b c"])
    assert spelled(tokenizer, "ab abc ab. ... b c..") == [
        *("ab", " ", "a", "b", "c", " ab", ".", " ", ".", ".", ".", " ", "b", " ", "c", ".."),
    ]


def test_the_end_of_a_document_is_the_last_id_and_parts_words():
    tokenizer = WordTokenizer(" ab", ["ab", " ab"], document_separator="\n")
    assert tokenizer.encode("ab\udc00ab ab\udc00").tolist() == [3, 5, 3, 4, 5]
    assert tokenizer.decode([3, 5, 3, 4, 5]) == "abab ab"
    assert (tokenizer.eod_id, tokenizer.start_id, tokenizer.vocabulary_size) == (5, 5, 6)


def test_without_documents_a_text_begins_after_a_newline():
    assert WordTokenizer("\t\nab", ["ab"]).start_id == 1
    assert WordTokenizer("ab", ["ab"]).start_id == 0


def test_a_text_begins_after_what_its_paragraphs_begin_after():
    words = ["ab", "\n\n", "\n\n\n"]
    assert WordTokenizer("\nab", words).start_id == 0
    assert WordTokenizer("\nab", words, alone="\n").start_id == 0
    assert WordTokenizer("\nab", words, alone="a").start_id == 4
    assert WordTokenizer("\nab", ["ab"], alone="a").start_id == 0
    assert WordTokenizer("\nab", words, document_separator="\n", alone="a").start_id == 6
    assert fit("one day\n\none night\n\ntwo").pieces[fit("one day\n\none night\n\ntwo").start_id] == "\n\n"
    assert fit("one day\none night\ntwo").pieces[fit("one day\none night\ntwo").start_id] == "\n"


@pytest.mark.parametrize("symbol", ["\u00e9", "\0", "\udc00", "\U0010ffff"])
def test_encoding_an_unknown_symbol_is_an_error_that_says_where(symbol):
    tokenizer = WordTokenizer("abc", ["abc"])
    with pytest.raises(TokenizerError) as caught:
        tokenizer.encode("abc" * 500 + symbol)
    assert str(caught.value) == f"the model does not know {symbol!r} (character 1,500 of the text)"


def test_the_empty_text_has_no_ids():
    assert WordTokenizer("ab", ["ab"]).encode("").tolist() == []
    assert WordTokenizer("ab", []).encode("").tolist() == []


# ---- nothing is lost

EVERYTHING: dict[str, Tokenizer] = {
    "char": CharacterTokenizer(ALL_SYMBOLS),
    "word": WordTokenizer(ALL_SYMBOLS, fit_all(*HARD_TEXTS.values()).words),
}


def check_round_trip(text: str) -> None:
    """For a model of all symbols, and for one of just this text."""
    for tokenizer in (EVERYTHING["char"], EVERYTHING["word"], fit_all(text, "ab", ENGLISH)):
        assert tokenizer.decode(tokenizer.encode(text)) == text


@pytest.mark.parametrize("text", HARD_TEXTS.values(), ids=HARD_TEXTS)
def test_hard_text_comes_back_as_it_was(text):
    check_round_trip(text)
    assert len(EVERYTHING["word"].encode(text)) < len(text) or len(text) < 20


@given(mixed_texts)
def test_any_text_comes_back_as_it_was(text):
    check_round_trip(text)


@pytest.mark.slow
@given(mixed_texts)
@settings(max_examples=10_000)
def test_ten_thousand_texts_come_back_as_they_were(text):
    check_round_trip(text)


@pytest.mark.parametrize("level", ["char", "word"])
@given(st.lists(mixed_texts, max_size=5), st.integers(1, 70))
def test_any_cuts_of_the_stream_give_the_same_ids(level, blocks, size):
    tokenizer = EVERYTHING[level]
    with mock.patch.object(text_blocks, "BLOCK_SIZE", size):
        streamed = [i for ids in tokenizer.encode_blocks(iter(blocks)) for i in ids.tolist()]
    assert streamed == tokenizer.encode("".join(blocks)).tolist()


@given(documents)
def test_documents_come_back_without_their_ends(text):
    tokenizer = fit(text, "ab", documents="line")
    token_ids = tokenizer.encode(text)
    assert tokenizer.decode(token_ids) == text.replace(END_OF_DOCUMENT, "")
    assert (token_ids == tokenizer.eod_id).sum() == text.count(END_OF_DOCUMENT)


def test_chinese_falls_back_to_characters_and_not_to_giant_words():
    tokenizer = fit(HARD_TEXTS["Chinese"] * 3)
    assert spelled(tokenizer, HARD_TEXTS["Chinese"])[:8] == list(HARD_TEXTS["Chinese"][:8])
    assert max(map(len, tokenizer.words)) == len(" Python")


# ---- fitting


def test_the_most_frequent_words_become_ids_the_most_frequent_first():
    tokenizer = fit("the\nthe cat the", " cat the hat the hat hat the a b", vocabulary_size=8 + 4)
    assert tokenizer.symbols == "\n abceht"
    assert tokenizer.words == (" the", " hat", " cat", "the")


def test_words_of_one_count_stand_in_code_point_order():
    assert fit_all("zz yy  ab").words == (" ab", " yy", "zz")


def test_one_character_is_no_word():
    assert fit_all("a b c. \u6625\u7720").words == (" b", " c")


@given(st.lists(mixed_texts, max_size=4), st.integers(1, 50))
def test_the_vocabulary_is_what_counting_in_a_loop_gives(blocks, size):
    text = "".join(blocks)
    counts: dict[str, int] = {}
    for block in whole_pieces([text]):
        for start, length in zip(block.pieces.starts, block.pieces.lengths, strict=True):
            piece = block.text[start : start + length]
            counts[piece] = counts.get(piece, 0) + 1
    expected = sorted((piece for piece in counts if len(piece) > 1), key=lambda piece: (-counts[piece], piece))
    assume(len(set(text)) > 1)
    with mock.patch.object(text_blocks, "BLOCK_SIZE", size):
        assert fit_all(*blocks).words == tuple(expected)


def test_the_vocabulary_has_thirty_thousand_ids_unless_the_text_has_fewer_or_needs_more():
    many = "".join(f" {chr(a)}{chr(b)}" for a in range(97, 123) for b in range(0x400, 0x400 + 1300))
    assert fit(many * 2).vocabulary_size == 30_000
    assert fit(many * 2, documents="line").vocabulary_size == 30_000
    assert fit("a cat").vocabulary_size == 4 + 1
    assert fit("".join(map(chr, range(0x4E00, 0x4E00 + 31_000))) + "ab").vocabulary_size == 31_002 + 1
    assert fit("\u6625\u7720").vocabulary_size == 2


def test_words_that_occur_once_are_spelled_unless_a_size_is_asked_for():
    text = " the cat sat on the mat by the cat"
    assert fit(text).words == (" the", " cat")
    assert fit(text, vocabulary_size=12 + 3).words == (" the", " cat", " by")


@pytest.mark.parametrize(
    ("size", "documents", "message"),
    [
        (4, "whole", "4 is too small: every character of the text has an id, which takes 4, .* Give at least 5"),
        (5, "line", "5 is too small: every character of the text has an id, which takes 5, .* Give at least 6"),
        (1, "whole", "1 is too small"),
        (7, "whole", r"7 is more than the text has: 4 characters and 2 different words\. Give at most 6"),
        (1_000_000, "whole", "1,000,000 is more than the text has"),
    ],
)
def test_a_vocabulary_size_that_the_text_does_not_allow_is_refused(size, documents, message):
    with pytest.raises(TokenizerError, match=f"--vocabulary-size {message}"):
        fit("at cat", vocabulary_size=size, documents=documents)


def test_the_rarest_words_are_forgotten_when_there_are_too_many(monkeypatch):
    monkeypatch.setattr(word_fitting, "MAX_COUNTED", 100)
    monkeypatch.setattr(text_blocks, "BLOCK_SIZE", 64)
    fitter = new_fitter("word")
    for i in range(1000):
        fitter.add(f" the {i:07d} cat")
    assert fitter.num_pieces < 10 + 20 + 102
    assert fitter.finish(TextConfig(level="word", vocabulary_size=21)).words[:2] == (" cat", " the")


def test_equally_rare_words_are_forgotten_from_the_last_on():
    counts = {"ab": 1, "cd": 3, "ef": 1, "gh": 2, "ij": 1}
    assert word_fitting.without_the_rarest(counts, 3) == {"ab": 1, "cd": 3, "gh": 2}


# ---- hashes that collide


@pytest.mark.parametrize("modulus", [1, 2, 7])
def test_colliding_hashes_change_no_id(modulus, monkeypatch):
    text = "".join(HARD_TEXTS.values())
    tokenizer = fit_all(text)
    expected = tokenizer.encode(text)
    monkeypatch.setattr(word, "hash_pieces", colliding(modulus))
    clashing = WordTokenizer(tokenizer.symbols, tokenizer.words)
    assert clashing.encode(text).tolist() == expected.tolist()
    assert max(expected) >= len(tokenizer.symbols)


@pytest.mark.parametrize("modulus", [1, 7])
def test_words_learned_with_colliding_hashes_lose_nothing(modulus, monkeypatch):
    monkeypatch.setattr(word_fitting, "hash_pieces", colliding(modulus))
    text = "".join(HARD_TEXTS.values())
    tokenizer = fit_all(text)
    assert 1 <= len(tokenizer.words) <= modulus
    assert tokenizer.decode(tokenizer.encode(text)) == text


def colliding(modulus: int):
    right = word.hash_pieces
    return lambda *arguments: (right(*arguments) % np.uint64(modulus)) << np.uint64(40)  # apart in the first bits


def test_hashes_that_differ_in_their_last_bits_alone_are_told_apart(monkeypatch):
    right = word.hash_pieces
    text = "".join(HARD_TEXTS.values())
    expected = fit_all(text)
    for module in (word, word_fitting):
        monkeypatch.setattr(module, "hash_pieces", lambda *arguments: right(*arguments) >> np.uint64(32))
    tokenizer = fit_all(text)
    assert tokenizer.to_json() == expected.to_json()
    assert tokenizer.encode(text).tolist() == expected.encode(text).tolist()


# ---- what stands alone, and what only spells


def test_letters_that_were_twice_pieces_stand_alone_and_the_others_only_spell():
    tokenizer = fit_all('I, a cat, met "I" and a bat. Oh, I! 7 of 7 or 8 (O')
    assert tokenizer.alone == ",I"
    spelling = {tokenizer.pieces[i] for i in tokenizer.spelling_ids}
    assert spelling == set(tokenizer.symbols) - set(tokenizer.alone)
    assert tokenizer.spelling_ids.dtype == np.int32


@pytest.mark.parametrize("cut", [1, 7, 20])
def test_what_stands_alone_does_not_depend_on_how_the_text_comes(cut):
    text = "I am, and I was. \n\t\u6625\u6625 x y x" * 3
    fitter = new_fitter("word")
    for start in range(0, len(text), cut):
        fitter.add(text[start : start + cut])
    assert fitter.finish(TextConfig(level="word")).alone == fit_all(text).alone


def test_where_nothing_else_is_left_to_write_letters_may_be():
    assert WordTokenizer("ab", [], alone="").spelling_ids.tolist() == []
    assert WordTokenizer("ab", ["ab"], alone="").spelling_ids.tolist() == [0, 1]
    assert WordTokenizer("ab", [], "\n", alone="").spelling_ids.tolist() == []
    assert WordTokenizer("ab", ["ab"]).spelling_ids.tolist() == []


def test_a_model_that_does_not_say_what_stands_alone_may_write_everything():
    document = WordTokenizer(" ab", ["ab"], alone=" ").to_json()
    assert document["alone"] == " "
    assert WordTokenizer.from_json(document).spelling_ids.tolist() == [1, 2]
    del document["alone"]
    assert WordTokenizer.from_json(document).spelling_ids.tolist() == []


@pytest.mark.parametrize("alone", ["ba", "aa", "c", "abc"])
def test_only_symbols_stand_alone_each_once_and_sorted(alone):
    with pytest.raises(TokenizerError, match="what stands alone are symbols"):
        WordTokenizer(" ab", ["ab"], alone=alone)


def test_the_end_of_a_document_neither_goes_on_with_a_unit_nor_leaves_one_open():
    tokenizer = WordTokenizer("ab", ["ab"], "\n")
    assert not tokenizer.continues[tokenizer.eod_id]
    assert not tokenizer.continued[tokenizer.eod_id]
