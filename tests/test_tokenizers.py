"""Text to ids and back, and what becomes of symbols that a model has never seen."""

import json
import unicodedata
from unittest import mock

import numpy as np
import pytest
from hard_texts import HARD_TEXTS
from hypothesis import given
from hypothesis import strategies as st
from whole_texts import fit_characters

from textgen.config import END_OF_DOCUMENT, TextConfig
from textgen.errors import TokenizerError
from textgen.tokenizers import CharacterTokenizer, WordTokenizer, new_fitter, text_blocks, tokenizer_from_json
from textgen.tokenizers.unknown import (
    POLICIES,
    describe_replacements,
    join_accents,
    make_readable,
    nearest_known,
    trim_prompt,
)


def refused(text: str, policy: str, tokenizer: CharacterTokenizer) -> str:
    with pytest.raises(TokenizerError) as caught:
        make_readable(text, tokenizer, policy)
    return str(caught.value)


# ---- characters


def test_ids_are_positions_in_code_point_order():
    tokenizer = fit_characters("banana 🙂\n")
    assert tokenizer.pieces == "\n abn🙂"
    assert tokenizer.vocabulary_size == 6
    assert tokenizer.encode("nab 🙂").tolist() == [4, 2, 3, 1, 5]
    assert tokenizer.encode("nab 🙂").dtype == np.int32
    assert tokenizer.decode([4, 2, 3, 1, 5]) == "nab 🙂"
    assert tokenizer.level == "char"


@pytest.mark.parametrize("text", HARD_TEXTS.values(), ids=HARD_TEXTS)
def test_hard_text_comes_back_as_it_was(text):
    tokenizer = fit_characters([text, "ab"])
    assert len(tokenizer.encode(text)) == len(text)
    assert tokenizer.decode(tokenizer.encode(text)) == text


@given(st.text(), st.text())
def test_any_text_comes_back_and_decoding_is_concatenation(one, other):
    tokenizer = fit_characters([one, other, "ab"])
    assert tokenizer.decode(tokenizer.encode(one)) == one
    assert tokenizer.decode(tokenizer.encode(one)) + tokenizer.decode(tokenizer.encode(other)) == one + other
    assert np.array_equal(tokenizer.encode(one + other), [*tokenizer.encode(one), *tokenizer.encode(other)])


@given(st.text(min_size=2).filter(lambda text: len(set(text)) > 1))
def test_ids_agree_with_a_dictionary_of_sorted_symbols(text):
    id_of = {symbol: i for i, symbol in enumerate(sorted(set(text)))}
    assert fit_characters(text).encode(text).tolist() == [id_of[symbol] for symbol in text]


@given(st.text(), st.text(st.characters()))
def test_unknown_symbols_are_those_not_in_the_vocabulary_in_order_of_appearance(known, text):
    tokenizer = fit_characters([known, "ab"])
    expected = list(dict.fromkeys(symbol for symbol in text if symbol not in known + "ab"))
    assert tokenizer.unknown_symbols(text) == expected


@pytest.mark.parametrize("symbol", ["é", "A", "\0", "🙂", "\udc80", "\U0010ffff"])
def test_encoding_an_unknown_symbol_is_an_error_that_says_where(symbol):
    tokenizer = fit_characters("abc")
    with pytest.raises(TokenizerError) as caught:
        tokenizer.encode("abc" * 500 + symbol)
    assert str(caught.value) == f"the model does not know {symbol!r} (character 1,500 of the text)"


def test_a_surrogate_is_not_taken_for_the_question_mark_that_codecs_put_in_its_place():
    tokenizer = CharacterTokenizer("?ab\ufffd")
    assert tokenizer.unknown_symbols("a\udc80?") == ["\udc80"]
    assert make_readable("a\udc80?", tokenizer).text == "a?"


def test_the_empty_text_has_no_ids():
    tokenizer = fit_characters("ab")
    assert tokenizer.encode("").tolist() == []
    assert tokenizer.decode([]) == ""
    assert tokenizer.unknown_symbols("") == []


def test_a_text_begins_after_a_newline_or_else_after_the_first_symbol():
    assert CharacterTokenizer("\t\nab").start_id == 1
    assert CharacterTokenizer("ab").start_id == 0


@pytest.mark.parametrize(("text", "found"), [("", "none"), ("aaa", "only 'a'"), ([], "none"), (["", "b", "b"], "'b'")])
def test_a_text_of_fewer_than_two_symbols_teaches_nothing(text, found):
    with pytest.raises(TokenizerError, match=f"at least two different characters .* found .*{found}"):
        fit_characters(text)


@pytest.mark.parametrize("symbols", ["", "a", "ba", "aab", "aa"])
def test_a_vocabulary_is_sorted_and_distinct(symbols):
    with pytest.raises(TokenizerError, match="distinct symbols, sorted"):
        CharacterTokenizer(symbols)


def test_a_vocabulary_holds_no_surrogates():
    with pytest.raises(TokenizerError, match="surrogates"):
        fit_characters("ab\ud800")


# ---- the end of a document

LINES = TextConfig(documents="line")


def test_the_end_of_a_document_is_the_last_id_and_has_no_text():
    fitter = new_fitter("char")
    fitter.add("ab\udc00c\udc00")
    tokenizer = fitter.finish(LINES)
    assert tokenizer.symbols == "abc"
    assert list(tokenizer.pieces) == ["a", "b", "c", ""]
    assert (tokenizer.vocabulary_size, tokenizer.eod_id, tokenizer.start_id) == (4, 3, 3)
    assert tokenizer.document_separator == "\n"
    assert tokenizer.encode("ab\udc00c\udc00").tolist() == [0, 1, 3, 2, 3]
    assert tokenizer.decode([0, 1, 3, 2, 3]) == "abc"


@pytest.mark.parametrize("level", ["char", "word"])
def test_there_is_an_end_wherever_there_are_documents_and_only_there(level):
    for documents, separator in {"whole": None, "file": "\n\n", "line": "\n", "blank-line": "\n\n"}.items():
        fitter = new_fitter(level)
        fitter.add("ab cd")
        tokenizer = fitter.finish(TextConfig(level=level, documents=documents))
        assert tokenizer.document_separator == separator
        assert tokenizer.eod_id == (None if separator is None else tokenizer.vocabulary_size - 1)


@pytest.mark.parametrize("level", ["char", "word"])
def test_an_end_is_unknown_where_there_are_no_documents_and_always_to_people(level):
    tokenizer = fit(level, "ab")
    with pytest.raises(TokenizerError, match=r"does not know '\\udc00'"):
        tokenizer.encode("ab" + END_OF_DOCUMENT)
    fitter = new_fitter(level)
    fitter.add("ab" + END_OF_DOCUMENT)
    with_documents = fitter.finish(TextConfig(level=level, documents="line"))
    assert with_documents.unknown_symbols("a\udc00b\udc01") == ["\udc00", "\udc01"]
    assert make_readable("a\udc00b", with_documents).text == "ab"


# ---- what both levels do


def fit(level: str, *blocks: str, **settings):
    fitter = new_fitter(level)
    for block in blocks:
        fitter.add(block)
    return fitter.finish(TextConfig(level=level, **settings))


def test_a_fitter_of_another_level_is_refused():
    with pytest.raises(TokenizerError, match=r"--level must be one of char, word\. Received: 'byte'"):
        new_fitter("byte")


@pytest.mark.parametrize("level", ["char", "word"])
@pytest.mark.parametrize(("text", "found"), [("", "none"), ("aaa", "only 'a'"), ("\n" + END_OF_DOCUMENT, "only")])
def test_a_stream_of_fewer_than_two_symbols_teaches_nothing(level, text, found):
    with pytest.raises(TokenizerError, match=f"at least two different characters .* found {found}"):
        fit(level, text)


@pytest.mark.parametrize("level", ["char", "word"])
def test_a_stream_with_half_a_surrogate_pair_is_refused(level):
    with pytest.raises(TokenizerError, match="cannot hold surrogates"):
        fit(level, "ab", "\ud800")


def test_a_fitter_counts_what_the_text_has():
    counts = {}
    for level in ("char", "word"):
        fitter = new_fitter(level)
        fitter.add("the cat, the")
        fitter.add(" hat\udc00")
        counts[level] = (fitter.num_symbols, fitter.num_pieces)
    assert counts == {"char": (7, 7), "word": (7, 11)}  # aceht, comma, space; "the", " cat", " the", " hat"


@pytest.mark.parametrize("level", ["char", "word"])
def test_the_form_of_the_text_is_kept(level):
    assert fit(level, "ab").normalize == "none"
    assert fit(level, "ab", normalize="nfkc").normalize == "nfkc"


@pytest.mark.parametrize("level", ["char", "word"])
def test_the_place_of_an_unknown_symbol_is_counted_from_the_beginning_of_the_stream(level, monkeypatch):
    monkeypatch.setattr(text_blocks, "BLOCK_SIZE", 100)
    blocks = fit(level, "abc d").encode_blocks(["ab c" * 100, "cab" * 100 + "x" + "a" * 300])
    with pytest.raises(TokenizerError) as caught:
        list(blocks)
    assert str(caught.value) == "the model does not know 'x' (character 700 of the text)"


@given(st.lists(st.text(max_size=8), max_size=8), st.integers(1, 12))
def test_blocks_are_regrouped_without_losing_anything(blocks, size):
    with mock.patch.object(text_blocks, "BLOCK_SIZE", size):
        regrouped = list(text_blocks.regrouped(blocks))
    assert "".join(regrouped) == "".join(blocks)
    assert all(size <= len(block) < 2 * size for block in regrouped[:-1])
    assert all(0 < len(block) < 2 * size for block in regrouped)


# ---- JSON


@pytest.mark.parametrize("level", ["char", "word"])
@given(
    st.text(min_size=2).filter(lambda text: len(set(text)) > 1),
    st.sampled_from(["whole", "line", "blank-line"]),
    st.sampled_from(["none", "nfc", "nfkc", "casefold"]),
)
def test_a_tokenizer_comes_back_from_json(level, text, documents, normalize):
    tokenizer = fit(level, text, documents=documents, normalize=normalize)
    back = tokenizer_from_json(json.loads(json.dumps(tokenizer.to_json())))
    assert type(back) is type(tokenizer)
    assert back.to_json() == tokenizer.to_json()
    assert (list(back.pieces), back.eod_id) == (list(tokenizer.pieces), tokenizer.eod_id)


@pytest.mark.parametrize("text", [None, [], "character", {}, {"type": "bpe"}, {"type": ["character"]}, {"type": 1}])
def test_a_document_of_no_known_type_is_refused(text):
    with pytest.raises(TokenizerError, match=r"type must be one of \['character', 'word'\]"):
        tokenizer_from_json(text)


CHARACTERS = {"type": "character", "symbols": "ab", "document_separator": None, "normalize": "none"}
WORDS = {**CHARACTERS, "type": "word", "words": ["ab", "ba", "aab"]}


@pytest.mark.parametrize("document", [CHARACTERS, WORDS], ids=["character", "word"])
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"symbols": ["a", "b"]}, "tokenizer holds exactly"),
        ({"symbols": None}, "tokenizer holds exactly"),
        ({"symbols": "ba"}, "vocabulary holds at least two distinct symbols, sorted"),
        ({"symbols": "a"}, "vocabulary holds at least two distinct symbols, sorted"),
        ({"symbols": "ab\udc00"}, "vocabulary cannot hold surrogates"),
        ({"more": 1}, "tokenizer holds exactly"),
        ({1: 1}, "tokenizer holds exactly"),
        ({"normalize": None}, "tokenizer holds exactly"),
        ({"normalize": "nfd"}, "normalize must be one of none, nfc, nfkc, casefold"),
        ({"document_separator": 1}, "tokenizer holds exactly"),
        ({"document_separator": "\x1b[2J" * 100}, "document_separator must be null, a newline or two"),
    ],
)
def test_a_document_with_anything_unexpected_is_refused(document, changes, message):
    received = refused_document(document | changes)
    assert message in received
    assert "\n" not in received
    assert len(received) < 300


@pytest.mark.parametrize("document", [CHARACTERS, WORDS], ids=["character", "word"])
def test_a_document_that_lacks_something_is_refused(document):
    for key in set(document) - {"type"}:
        assert "tokenizer holds exactly" in refused_document({k: v for k, v in document.items() if k != key})


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("ab", "tokenizer holds exactly"),
        ({"ab": 1}, "tokenizer holds exactly"),
        (["ab", None], "have 2 to 64 characters each. Received: None"),
        (["ab", 7], "have 2 to 64 characters each. Received: 7"),
        (["ab", ["ba"]], "have 2 to 64 characters each. Received: list"),
        (["ab", {}], "have 2 to 64 characters each. Received: dict"),
        (["ab", ""], "have 2 to 64 characters each. Received: ''"),
        (["ab", "a"], "have 2 to 64 characters each. Received: 'a'"),
        (["ab", "ab" * 10**6], "have 2 to 64 characters each. Received: 'aba"),
        (["ab", "ba", "ab"], "holds every word once. Received twice: 'ab'"),
        (["ab", "ac"], "are made of its symbols. Received: 'c'"),
        (["ab", "a\udc00"], "are made of its symbols. Received: '\\udc00'"),
        (["ab", "a\n"], "are made of its symbols. Received: '\\n'"),
    ],
)
def test_words_that_no_text_can_have_are_refused(words, message):
    received = refused_document(WORDS | {"words": words})
    assert message in received
    assert "\n" not in received
    assert len(received) < 300


def test_a_word_tokenizer_may_have_no_words():
    assert tokenizer_from_json(WORDS | {"words": []}).encode("abba").tolist() == [0, 1, 1, 0]


def refused_document(document) -> str:
    with pytest.raises(TokenizerError) as caught:
        tokenizer_from_json(document)
    return str(caught.value)


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


@pytest.mark.parametrize(
    ("known", "written", "read"),
    [
        ("don't", "don\u00b4t don`t don\u2018t don\u2019t don\u2032t", "don't" * 5),
        ('"a', "\u201ca\u201d\u201ea\u00aba\u00bb\u300ca\u300d", '"a""a"a""a"'),
        ("a-", "a\u2013a\u2014a\u2212a\u2011a", "a-a-a-a-a"),
        ("a. ", "a\u2026a\u00a0a\u2009a\u202fa\u3000a\ta", "a...a a a a a a"),
        ("fligae", "\ufb01\ufb02\u00e6", "fiflae"),
        ("oeLl", "\u0153\u0152\u0141\u0142", "oeoeLl"),
        # The other way: what is typed is plain, and the model knows what printers use.
        ("don\u2019t", "don't don`t", "don\u2019tdon\u2019t"),
        ("\u201ca\u201d", 'a" \u00abAA\u00bb', "a\u201c\u201caa\u201d"),
        ("a\u2014", "a-a\u2013a", "a\u2014a\u2014a"),
        ("\u5929\u3002\uff0c\uff1f\uff11\u3000", "\u5929, 1? .", "\u5929\uff0c\u3000\uff11\uff1f\u3000\u3002"),
        # A symbol that is known stays what it is.
        ("a'\u2019\u00b4 ", "a' a\u2019 a\u00b4", "a' a\u2019 a\u00b4"),
    ],
)
def test_look_alikes_stand_for_each_other_before_a_symbol_is_left_out(known, written, read):
    assert make_readable(written, fit_characters(known)).text == read


VIETNAMESE, KOREAN = "ti\u1ebfng Vi\u1ec7t \u01b0\u1edbc", "\ud55c\uad6d\uc5b4 \uac00"


@pytest.mark.parametrize("text", [VIETNAMESE, KOREAN, "\u0439\u0451 caf\u00e9", "\u0929\u0931 \u1f83", "\u304c\u30d7"])
@pytest.mark.parametrize("forms", [("NFC", "NFD"), ("NFD", "NFC")], ids=" ".join)
@pytest.mark.parametrize("policy", POLICIES)
def test_a_prompt_in_another_normal_form_is_read_whole(text, forms, policy):
    own, others = (unicodedata.normalize(form, text) for form in forms)
    prompt = make_readable(others, fit_characters(own + "xy"), policy)
    assert prompt.text == own
    assert "normal form that the model knows" in describe_replacements(prompt.replaced)
    assert "never seen" not in describe_replacements(prompt.replaced)


def test_an_accent_that_the_model_knows_joins_a_letter_that_it_does_not_know():
    """Yoruba in composed form has accents that stand apart, on letters that have no symbol with both of theirs."""
    tokenizer = fit_characters("o\u0323l\u0323 \u0301\u00e9\u0144")
    for policy in ("replace", "skip", "error"):
        assert make_readable("ol\u0323e\u0301 n\u0301", tokenizer, policy).text == "ol\u0323\u00e9 \u0144"
    assert make_readable("o\u0301E\u0301", tokenizer).text == "o\u0301\u00e9"  # what it knows stays as it is


def test_accents_that_are_typed_in_any_order_or_half_apart_join_their_letter():
    composed = fit_characters(VIETNAMESE)
    assert (
        make_readable("e\u0302\u0323 e\u0323\u0302 \u00ea\u0323 \u1eb9\u0302", composed).text
        == "\u1ec7 \u1ec7 \u1ec7 \u1ec7"
    )
    half = fit_characters("\u00ea\u0323 \u00ea\u0301")
    assert make_readable("\u1ec7\u1ebf", half).text == "\u00ea\u0323\u00ea\u0301"
    assert make_readable("E\u0301", fit_characters("ab\u00e9")) == ("\u00e9", {"\u00c9": "\u00e9"})  # in the other case
    full = fit_characters("データパガタハ")
    assert make_readable("ﾃﾞｰﾀ ﾊﾟｶﾞ", full).text == "データパガ"
    assert make_readable("ﾀﾟ", full).text == "タ"
    assert make_readable("e\u0301\u0323\u0301", fit_characters("abe")).text == "e"
    assert make_readable("\u0301a", fit_characters("abe")) == ("a", {"\u0301": ""})
    with pytest.raises(TokenizerError, match="never seen '\u2603'"):
        make_readable("e\u0301\u2603", fit_characters("ab\u00e9"), "error")


@given(st.characters(), st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_what_stands_for_a_symbol_is_known(symbol, known):
    assert set(nearest_known(symbol, set(known))) <= set(known)


def test_the_rules_are_applied_to_a_whole_prompt():
    tokenizer = fit_characters("it was a cafe'\"-")
    prompt = make_readable("It was a café\u2014\u201ccafé\u201d ☃", tokenizer)
    assert prompt.text == 'it was a cafe-"cafe" '
    assert prompt.replaced == {"I": "i", "é": "e", "\u2014": "-", "\u201c": '"', "\u201d": '"', "☃": ""}


def test_a_known_prompt_is_left_alone_under_every_policy():
    tokenizer = fit_characters("abc é")
    for policy in ("replace", "skip", "error"):
        assert make_readable("abc é", tokenizer, policy) == ("abc é", {})


def test_the_policy_skip_leaves_out_what_is_unknown():
    assert make_readable("aéb☃", fit_characters("abe"), "skip") == ("ab", {"é": "", "☃": ""})


def test_the_policy_error_names_the_symbols():
    assert refused("aéb☃é", "error", fit_characters("abe")) == (
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


def test_a_prompt_is_brought_to_the_form_of_the_model_first():
    tokenizer = CharacterTokenizer(" aefginst", normalize="casefold")
    assert make_readable("\u212bNGSTE \ufb01t\u200d\u00e9", tokenizer) == (
        "angste fite",
        {"\u00e5": "a", "\u00e9": "e"},
    )
    assert make_readable("Fit", CharacterTokenizer("FIfit", normalize="none")).text == "Fit"


def test_a_word_model_knows_the_symbols_that_it_spells_with():
    tokenizer = WordTokenizer(" abc", ["abc", " abc"])
    assert make_readable("abc caf\u00e9 b", tokenizer) == ("abc ca b", {"f": "", "\u00e9": ""})


@pytest.mark.parametrize(
    ("prompt", "words", "characters"),
    [("a ", "a", "a "), ("a  ", "a ", "a  "), (" ", "", " "), ("", "", ""), ("a\n", "a\n", "a\n"), (" a", " a", " a")],
)
def test_the_space_behind_a_prompt_belongs_to_the_next_word(prompt, words, characters):
    assert trim_prompt(prompt, WordTokenizer("\n a", [])) == words
    assert trim_prompt(prompt, CharacterTokenizer("\n a")) == characters


@given(st.text(st.characters()))
def test_a_readable_prompt_can_be_encoded(text):
    tokenizer = CharacterTokenizer(LOWER)
    prompt = make_readable(text, tokenizer)
    assert tokenizer.decode(tokenizer.encode(prompt.text)) == prompt.text
    assert list(prompt.replaced) == tokenizer.unknown_symbols(join_accents(text, set(tokenizer.symbols))[0])


def test_replacements_are_described_in_one_line():
    assert describe_replacements({"é": "e", "☃": ""}) == "the model has never seen 'é' (read as 'e'), '☃' (skipped)"
    many = dict.fromkeys("абвгдежзиклм", "")
    assert describe_replacements(many).endswith("'и' (skipped), 'к' (skipped) and 2 more")
    assert "\n" not in describe_replacements({"\n": " ", "\u2028": " "})
