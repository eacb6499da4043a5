"""Text to ids and back, and what becomes of symbols that a model has never seen."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from textgen.errors import TokenizerError
from textgen.tokenizers import CharacterTokenizer, tokenizer_from_json
from textgen.tokenizers.unknown import (
    PLAIN_PUNCTUATION,
    describe_replacements,
    make_readable,
    nearest_known,
)

HARD_TEXTS = {
    "NUL": "\0a\0",
    "byte order mark": "\ufefftext\ufeff",
    "emoji joiners": "👩\u200d👩\u200d👧\u200d👦 and 🏳️\u200d🌈",
    "combining marks, not composed": "e\u0301 é ﬁ ½",
    "line ends": "a\r\nb\rc\nd\u2028e\u0085f",
    "right to left": "שלום \u202eabc\u202c مرحبا",
    "the last code point": "\U0010ffff\U0010fffe\uffff\ue000",
    "around the surrogates": "\ud7ff\ue000",
}


def refused(text: str, policy: str, tokenizer: CharacterTokenizer) -> str:
    with pytest.raises(TokenizerError) as caught:
        make_readable(text, tokenizer, policy)
    return str(caught.value)


# ---- characters


def test_ids_are_positions_in_code_point_order():
    tokenizer = CharacterTokenizer.fit("banana 🙂\n")
    assert tokenizer.pieces == "\n abn🙂"
    assert tokenizer.vocabulary_size == 6
    assert tokenizer.encode("nab 🙂").tolist() == [4, 2, 3, 1, 5]
    assert tokenizer.encode("nab 🙂").dtype == np.int32
    assert tokenizer.decode([4, 2, 3, 1, 5]) == "nab 🙂"
    assert tokenizer.level == "char"


@pytest.mark.parametrize("text", HARD_TEXTS.values(), ids=HARD_TEXTS)
def test_hard_text_comes_back_as_it_was(text):
    tokenizer = CharacterTokenizer.fit([text, "ab"])
    assert len(tokenizer.encode(text)) == len(text)
    assert tokenizer.decode(tokenizer.encode(text)) == text


@given(st.text(), st.text())
def test_any_text_comes_back_and_decoding_is_concatenation(one, other):
    tokenizer = CharacterTokenizer.fit([one, other, "ab"])
    assert tokenizer.decode(tokenizer.encode(one)) == one
    assert tokenizer.decode(tokenizer.encode(one)) + tokenizer.decode(tokenizer.encode(other)) == one + other
    assert np.array_equal(tokenizer.encode(one + other), [*tokenizer.encode(one), *tokenizer.encode(other)])


@given(st.text(min_size=2).filter(lambda text: len(set(text)) > 1))
def test_ids_agree_with_a_dictionary_of_sorted_symbols(text):
    id_of = {symbol: i for i, symbol in enumerate(sorted(set(text)))}
    assert CharacterTokenizer.fit(text).encode(text).tolist() == [id_of[symbol] for symbol in text]


@given(st.text(), st.text(st.characters()))
def test_unknown_symbols_are_those_not_in_the_vocabulary_in_order_of_appearance(known, text):
    tokenizer = CharacterTokenizer.fit([known, "ab"])
    expected = list(dict.fromkeys(symbol for symbol in text if symbol not in known + "ab"))
    assert tokenizer.unknown_symbols(text) == expected


@pytest.mark.parametrize("symbol", ["é", "A", "\0", "🙂", "\udc80", "\U0010ffff"])
def test_encoding_an_unknown_symbol_is_an_error_that_says_where(symbol):
    tokenizer = CharacterTokenizer.fit("abc")
    with pytest.raises(TokenizerError) as caught:
        tokenizer.encode("abc" * 500 + symbol)
    assert str(caught.value) == f"the model does not know {symbol!r} (character 1,500 of the text)"


def test_a_surrogate_is_not_taken_for_the_question_mark_that_codecs_put_in_its_place():
    tokenizer = CharacterTokenizer("?ab\ufffd")
    assert tokenizer.unknown_symbols("a\udc80?") == ["\udc80"]
    assert make_readable("a\udc80?", tokenizer).text == "a?"


def test_the_empty_text_has_no_ids():
    tokenizer = CharacterTokenizer.fit("ab")
    assert tokenizer.encode("").tolist() == []
    assert tokenizer.decode([]) == ""
    assert tokenizer.unknown_symbols("") == []


def test_a_text_begins_after_a_newline_or_else_after_the_first_symbol():
    assert CharacterTokenizer("\t\nab").start_id == 1
    assert CharacterTokenizer("ab").start_id == 0


@pytest.mark.parametrize(("text", "found"), [("", "none"), ("aaa", "only 'a'"), ([], "none"), (["", "b", "b"], "'b'")])
def test_a_text_of_fewer_than_two_symbols_teaches_nothing(text, found):
    with pytest.raises(TokenizerError, match=f"at least two different characters .* found .*{found}"):
        CharacterTokenizer.fit(text)


@pytest.mark.parametrize("symbols", ["", "a", "ba", "aab", "aa"])
def test_a_vocabulary_is_sorted_and_distinct(symbols):
    with pytest.raises(TokenizerError, match="distinct symbols, sorted"):
        CharacterTokenizer(symbols)


def test_a_vocabulary_holds_no_surrogates():
    with pytest.raises(TokenizerError, match="surrogates"):
        CharacterTokenizer.fit("ab\ud800")


# ---- JSON


@given(st.text(min_size=2).filter(lambda text: len(set(text)) > 1))
def test_a_tokenizer_comes_back_from_json(text):
    tokenizer = CharacterTokenizer.fit(text)
    back = tokenizer_from_json(json.loads(json.dumps(tokenizer.to_json())))
    assert isinstance(back, CharacterTokenizer)
    assert back.pieces == tokenizer.pieces


@pytest.mark.parametrize("text", [None, [], "character", {}, {"type": "bpe"}, {"type": ["character"]}, {"type": 1}])
def test_a_document_of_no_known_type_is_refused(text):
    with pytest.raises(TokenizerError, match=r"type must be one of \['character'\]"):
        tokenizer_from_json(text)


@pytest.mark.parametrize(
    "changes", [{"symbols": ["a", "b"]}, {"symbols": None}, {"symbols": "ba"}, {"symbols": "a"}, {"more": 1}]
)
def test_a_document_with_anything_unexpected_is_refused(changes):
    with pytest.raises(TokenizerError, match=r"a character (tokenizer|vocabulary) holds"):
        tokenizer_from_json({"type": "character", "symbols": "ab"} | changes)


def test_a_document_without_symbols_is_refused():
    with pytest.raises(TokenizerError, match=r"holds type and symbols. Received: \['type'\]"):
        tokenizer_from_json({"type": "character"})


# ---- symbols that a model has never seen

LOWER = "\n \"'-./0123456789abcdefghijklmnopqrstuvwxyz"
UPPER = LOWER.upper()
BOTH = "".join(sorted(set(LOWER + UPPER)))


@pytest.mark.parametrize(
    ("known", "symbol", "form"),
    [
        (LOWER, "é", "e"),
        (LOWER, "É", "e"),
        (LOWER + "é", "É", "é"),
        (UPPER, "é", "E"),
        (BOTH, "É", "E"),
        (BOTH + "É", "é", "É"),
        (LOWER, "Q", "q"),
        (UPPER, "q", "Q"),
        # A letter that is several: small where the model knows small ones.
        (LOWER, "ß", "ss"),
        (BOTH, "ß", "ss"),
        (UPPER, "ß", "SS"),
        (BOTH, "ﬁ", "fi"),
        (BOTH, "ﬃ", "ffi"),
        (UPPER, "ﬁ", "FI"),
        (BOTH, "ſ", "s"),
        ("fx", "ﬁ", "f"),
        # Compatibility forms.
        (LOWER, "…", "..."),
        (LOWER, "²", "2"),
        (LOWER, "½", "1/2"),
        (LOWER, "\u00a0", " "),
        (LOWER, "Ａ", "a"),
        ("ab\u0301e", "é", "e\u0301"),
        # What typographers write.
        (LOWER, "\u2018", "'"),
        (LOWER, "\u2019", "'"),
        (LOWER, "\u201c", '"'),
        (LOWER, "\u201d", '"'),
        (LOWER, "«", '"'),
        (LOWER, "\u2033", '"'),
        (LOWER, "\u2013", "-"),
        (LOWER, "\u2014", "-"),
        (LOWER, "\u2011", "-"),
        (LOWER, "\t", " "),
        ("'ab", "\u2033", "''"),
        ("ab", "\u2019", ""),
        # Nothing is near.
        (LOWER, "☃", ""),
        (LOWER, "🙂", ""),
        (LOWER, "\0", ""),
        (LOWER, "\ufeff", ""),
        (LOWER, "\u200d", ""),
        (LOWER, "\udc80", ""),
        ("ab", "é", ""),
    ],
)
def test_an_unknown_symbol_gives_way_to_the_nearest_known_form(known, symbol, form):
    assert nearest_known(symbol, set(known)) == form


@pytest.mark.parametrize("symbol", PLAIN_PUNCTUATION)
def test_typographic_punctuation_gives_way_to_plain_punctuation(symbol):
    assert nearest_known(symbol, set("ab'\"-/ ")) == PLAIN_PUNCTUATION[symbol]


@given(st.characters(), st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_what_stands_for_a_symbol_is_known(symbol, known):
    assert set(nearest_known(symbol, set(known))) <= set(known)


def test_the_rules_are_applied_to_a_whole_prompt():
    tokenizer = CharacterTokenizer.fit("it was a cafe'\"-")
    prompt = make_readable("It was a café\u2014\u201ccafé\u201d ☃", tokenizer)
    assert prompt.text == 'it was a cafe-"cafe" '
    assert prompt.replaced == {"I": "i", "é": "e", "\u2014": "-", "\u201c": '"', "\u201d": '"', "☃": ""}


def test_a_known_prompt_is_left_alone_under_every_policy():
    tokenizer = CharacterTokenizer.fit("abc é")
    for policy in ("replace", "skip", "error"):
        assert make_readable("abc é", tokenizer, policy) == ("abc é", {})


def test_the_policy_skip_leaves_out_what_is_unknown():
    assert make_readable("aéb☃", CharacterTokenizer.fit("abe"), "skip") == ("ab", {"é": "", "☃": ""})


def test_the_policy_error_names_the_symbols():
    assert refused("aéb☃é", "error", CharacterTokenizer.fit("abe")) == (
        "the model has never seen 'é' '☃'. Change the prompt, or use --on-unknown replace"
    )


def test_the_policy_error_names_ten_symbols_at_most():
    message = refused("".join(map(chr, range(0x400, 0x500))), "error", CharacterTokenizer("ab"))
    assert message.count("'") == 20


@pytest.mark.parametrize("text", ["", "a", "é"])
def test_a_policy_of_another_name_is_refused_whatever_the_text(text):
    assert refused(text, "ignore", CharacterTokenizer("ab")) == (
        "--on-unknown must be one of replace, skip, error. Received: 'ignore'"
    )


@given(st.text(st.characters()))
def test_a_readable_prompt_can_be_encoded(text):
    tokenizer = CharacterTokenizer(LOWER)
    prompt = make_readable(text, tokenizer)
    assert tokenizer.decode(tokenizer.encode(prompt.text)) == prompt.text
    assert list(prompt.replaced) == tokenizer.unknown_symbols(text)


def test_replacements_are_described_in_one_line():
    assert describe_replacements({"é": "e", "☃": ""}) == "the model has never seen 'é' (read as 'e'), '☃' (skipped)"
    many = dict.fromkeys("абвгдежзиклм", "")
    assert describe_replacements(many).endswith("'и' (skipped), 'к' (skipped) and 2 more")
    assert "\n" not in describe_replacements({"\n": " ", "\u2028": " "})
