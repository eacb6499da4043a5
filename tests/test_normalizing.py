"""Text in Unicode's forms, against tensorflow_text, and in blocks."""

import unicodedata
from unittest import mock

import pytest
from conftest import slow
from hard_texts import ALL_SYMBOLS, SOME_SYMBOLS, mixed_texts
from hypothesis import example, given
from hypothesis import strategies as st

from textgen.config import END_OF_DOCUMENT
from textgen.errors import TokenizerError
from textgen.tokenizers import text_blocks
from textgen.tokenizers.normalizing import IGNORABLE, normalize_blocks, normalize_text, safe_cut

FORMS = ("none", "nfc", "nfkc", "casefold")
# What is composed, reordered, folded or left out.
CHANGING = "".join(
    symbol
    for symbol in ALL_SYMBOLS[:0x30000]
    if unicodedata.combining(symbol) or unicodedata.decomposition(symbol) or symbol.casefold() != symbol
) + "".join(chr(first) + chr(last) for first, last in IGNORABLE)
JAMO = "\u1100\u1161\u11a8\uac00\uac01"
changing_texts = st.text(st.sampled_from(CHANGING + JAMO + "aeio\u03b1<=" * 200), max_size=12)
known_texts = st.text(st.characters(exclude_categories=["Cs", "Cn"]))


@pytest.mark.parametrize(
    ("text", "nfc", "nfkc", "casefold"),
    [
        ("Caf\u00e9", "Caf\u00e9", "Caf\u00e9", "caf\u00e9"),
        ("Cafe\u0301", "Caf\u00e9", "Caf\u00e9", "caf\u00e9"),
        ("\ufb01ve \u00bd \uff21\u00b2", "\ufb01ve \u00bd \uff21\u00b2", "five 1\u20442 A2", "five 1\u20442 a2"),
        ("Stra\u00dfe \u1e9e", "Stra\u00dfe \u1e9e", "Stra\u00dfe \u1e9e", "strasse ss"),
        (
            "\u212b \u0130 \u03a3\u03c2",
            "\u00c5 \u0130 \u03a3\u03c2",
            "\u00c5 \u0130 \u03a3\u03c2",
            "\u00e5 i\u0307 \u03c3\u03c3",
        ),
        ("a\u00adb\u200dc\ufe0f\ufeff", "a\u00adb\u200dc\ufe0f\ufeff", "a\u00adb\u200dc\ufe0f\ufeff", "abc"),
        ("a\u0302\u0323", "\u1ead", "\u1ead", "\u1ead"),
        ("\u1100\u1161\u11a8", "\uac01", "\uac01", "\uac01"),
        ("A\udc00\u0301\udc00", "A\udc00\u0301\udc00", "A\udc00\u0301\udc00", "a\udc00\u0301\udc00"),
        ("IT'S\r\n\0", "IT'S\r\n\0", "IT'S\r\n\0", "it's\r\n\0"),
        ("", "", "", ""),
    ],
)
def test_a_text_has_these_forms(text, nfc, nfkc, casefold):
    assert [normalize_text(text, form) for form in FORMS] == [text, nfc, nfkc, casefold]


def test_another_form_is_refused():
    with pytest.raises(TokenizerError, match=r"--normalize must be one of none, nfc, nfkc, casefold.*'nfd'"):
        normalize_text("a", "nfd")


@pytest.mark.parametrize("form", FORMS)
@given(st.one_of(changing_texts, mixed_texts))
def test_a_form_of_a_form_is_the_form(form, text):
    once = normalize_text(text, form)
    assert normalize_text(once, form) == once


# ---- as tensorflow_text has it


def by_tensorflow_text(texts: list[str], form: str) -> list[str]:
    tensorflow_text = pytest.importorskip("tensorflow_text")
    strings = [text.encode() for text in texts]
    if form == "casefold":
        normalized = tensorflow_text.case_fold_utf8(strings)
    else:
        normalized = tensorflow_text.normalize_utf8(strings, form.upper())
    return [string.decode() for string in normalized.numpy()]


# By default those that change, and some of the others.
@pytest.mark.parametrize("symbols", [CHANGING + SOME_SYMBOLS, slow(ALL_SYMBOLS)], ids=len)
@pytest.mark.parametrize("form", FORMS[1:])
def test_every_code_point_that_this_python_knows_has_the_form_that_tensorflow_text_gives_it(form, symbols):
    theirs = by_tensorflow_text(list(symbols), form)
    differing = {s for s, their in zip(symbols, theirs, strict=True) if normalize_text(s, form) != their}
    assert {unicodedata.category(symbol) for symbol in differing} <= {"Cn"}


@pytest.mark.parametrize("form", FORMS[1:])
@given(st.lists(st.one_of(changing_texts, known_texts), min_size=1))
@example(["\u03b1\u0345\u0301", "\u0345\u0345", "\u1fb7\u0323", "\u0f71\u0f72\u0f74", "\u3164\u1100\u1160\u1161"])
def test_any_text_that_this_python_knows_has_the_form_that_tensorflow_text_gives_it(form, texts):
    texts = [text for text in texts if not any(unicodedata.category(symbol) == "Cn" for symbol in text)]
    assert [normalize_text(text, form) for text in texts] == by_tensorflow_text([*texts, ""], form)[:-1]


# ---- in blocks


@pytest.mark.parametrize("form", FORMS)
@given(st.lists(st.one_of(changing_texts, mixed_texts), max_size=6), st.integers(1, 20))
@example(["e", "\u0301"], 1)
@example(["\u1100", "\u1161", "\u11a8 ", "\uac00\u11a8"], 1)
@example(["\u03b1\u0345", "\u0301", END_OF_DOCUMENT, "\u0301"], 1)
def test_any_cuts_of_the_stream_give_the_same_text(form, blocks, size):
    with mock.patch.object(text_blocks, "BLOCK_SIZE", size):
        assert "".join(normalize_blocks(iter(blocks), form)) == normalize_text("".join(blocks), form)


@pytest.mark.parametrize("symbol", ["a", "\u6625", "\u0e01", "\u0436", "\U0001f600", END_OF_DOCUMENT])
def test_a_stream_without_marks_is_given_away_block_by_block(symbol, monkeypatch):
    monkeypatch.setattr(text_blocks, "BLOCK_SIZE", 100)
    lengths = [len(block) for block in normalize_blocks([symbol * 1000], "nfkc")]
    assert sum(lengths) == 1000
    assert max(lengths) < 2 * 100


@pytest.mark.parametrize(
    ("text", "cut"),
    [
        ("abc", 2),
        ("abe\u0301\u0323", 2),
        ("\u6625\u3099", 0),
        ("ab\udc00\u0301", 2),
        ("\u0436\u0439\u0301", 1),
        ("\u1100\u1161\u11a8", None),
        ("\u0301\u200d", None),
        ("a" + "\u0439" * 5000, 5000),
        ("", None),
    ],
)
def test_a_safe_cut_is_before_a_character_that_leaves_the_text_before_it_alone(text, cut):
    assert safe_cut(text) == cut
