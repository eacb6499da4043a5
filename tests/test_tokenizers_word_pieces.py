"""Cutting text into pieces, against the specification written out as a loop over characters."""

import unicodedata
from unittest import mock

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from textgen.config import END_OF_DOCUMENT
from textgen.tokenizers import text_blocks
from textgen.tokenizers.text_blocks import code_points
from textgen.tokenizers.word_classes import (
    APOSTROPHE,
    BLANK,
    END,
    IDEOGRAPH,
    LETTER,
    MARK,
    NUMBER,
    OTHER,
    SPACE,
    class_of,
    classes_of,
)
from textgen.tokenizers.word_pieces import PieceStream, find_pieces, hash_pieces, whole_pieces

# One or more of every class, so that any text of these has every kind of neighbour.
DENSE = "  \t\nab1.'\u2019!\u0301\u0308\u200d\u6625\u0e01\u0e35" + END_OF_DOCUMENT
dense_texts = st.text(st.sampled_from(DENSE), max_size=40)
long_runs = st.lists(st.tuples(st.sampled_from(DENSE), st.sampled_from([1, 2, 63, 64, 65, 130])), max_size=4).map(
    lambda runs: "".join(symbol * length for symbol, length in runs)
)
texts = st.one_of(dense_texts, long_runs, st.text())


def pieces_of(text: str) -> list[str]:
    return [piece for block in whole_pieces([text]) for piece in spelled_out(block)]


def spelled_out(block) -> list[str]:
    starts, lengths, _ = block.pieces
    return [block.text[start : start + length] for start, length in zip(starts, lengths, strict=True)]


def specified_pieces(text: str) -> list[str]:
    """The specification of `word.py`, character by character."""
    pieces: list[str] = []
    before = END  # the class of the character before, marks and apostrophes resolved
    for i, symbol in enumerate(text):
        raw = class_of(symbol)
        raw_before = class_of(text[i - 1]) if i else END
        raw_after = class_of(text[i + 1]) if i + 1 < len(text) else END
        own = raw
        if raw == MARK:
            own = OTHER if raw_before == END else before
        if raw == APOSTROPHE:
            own = LETTER if before == raw_after == LETTER else OTHER
        if raw == MARK:
            begins = raw_before == END
        elif raw == SPACE:
            begins = before != SPACE or raw_after in (LETTER, NUMBER, OTHER, APOSTROPHE)
        elif own in (IDEOGRAPH, END):
            begins = True
        else:
            begins = own != before and not (raw_before == SPACE and own in (LETTER, NUMBER, OTHER))
        if begins or not pieces or len(pieces[-1]) == 64:
            pieces.append("")
        pieces[-1] += symbol
        before = own
    return pieces


# ---- classes


@pytest.mark.parametrize(
    ("symbols", "expected"),
    [
        (" ", SPACE),
        ("\t\n\r\v\f\x1c\x85\u00a0\u2003\u2028\u3000", BLANK),
        ("aZ\u00e9\u00df\u0416\u05d0\u0639\uac00\u0905\u02b0\u00aa\ufb01", LETTER),
        ("0\u0661\u00b2\u00bd\u2167\u0e51", NUMBER),
        ("\u6625\u3042\u30ab\u30fc\u3005\u3007\u0e01\u0e81\u0f40\u1000\u1780\uff76\U00020000\uf900", IDEOGRAPH),
        ("\u0301\u0e35\u3099\ufe0f\u20e3\u093f\u200c\u200d", MARK),
        (
            '.,!?-_()"\u3002\u2014$+\u00a9\0\x1b\ufeff\u00ad\U0001f600\U0001f3fd\ufffe\ue000\U0010ffff\ud800',
            OTHER,
        ),
        ("'\u2019", APOSTROPHE),
        (END_OF_DOCUMENT, END),
    ],
)
def test_the_class_of_a_code_point(symbols, expected):
    assert {unicodedata.name(symbol, hex(ord(symbol))): class_of(symbol) for symbol in symbols} == {
        unicodedata.name(symbol, hex(ord(symbol))): expected for symbol in symbols
    }


def test_the_table_of_classes_is_the_class_of_every_code_point():
    points = np.arange(text_blocks.CODE_POINTS)
    expected = [class_of(chr(point)) for point in points]
    assert classes_of(points).tolist() == expected
    assert classes_of(points[::-1]).tolist() == expected[::-1]  # again, from the filled table


# ---- pieces


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("It's  3.5 km.\n", ["It's", " ", " 3", ".", "5", " km", ".", "\n"]),
        ("a b", ["a", " b"]),
        (" a", [" a"]),
        ("a ", ["a", " "]),
        ("a   b", ["a", "  ", " b"]),
        ("  ", ["  "]),
        (" \n  \n", [" ", "\n", "  ", "\n"]),
        ("\r\n\t\tx", ["\r\n\t\t", "x"]),
        (
            "if x:\n    return y_1  # no\n",
            ["if", " x", ":", "\n", "   ", " return", " y", "_", "1", " ", " #", " no", "\n"],
        ),
        ("don't rock\u2019n\u2019roll", ["don't", " rock\u2019n\u2019roll"]),
        ("'tis the boys' \"'em\"", ["'", "tis", " the", " boys", "'", " \"'", "em", '"']),
        ("a''b o' 1'2 a'1", ["a", "''", "b", " o", "'", " 1", "'", "2", " a", "'", "1"]),
        ("abc123", ["abc", "123"]),
        ("wait... what?!", ["wait", "...", " what", "?!"]),
        # Chinese, Japanese, Thai: a character is a piece, with its marks; a space before it is its own.
        ("\u6625\u7720\uff0c \u4e0dab", ["\u6625", "\u7720", "\uff0c", " ", "\u4e0d", "ab"]),
        ("\u304b\u3099\u30ab", ["\u304b\u3099", "\u30ab"]),
        ("\u0e01\u0e35\u0e2c\u0e32", ["\u0e01\u0e35", "\u0e2c", "\u0e32"]),
        ("\uc548\ub155 \ud558\uc138\uc694", ["\uc548\ub155", " \ud558\uc138\uc694"]),
        # Marks belong to what they stand on, also when that is a space.
        ("e\u0301a e\u0301", ["e\u0301a", " e\u0301"]),
        ("e\u0301't", ["e\u0301't"]),
        ("e'\u0301t", ["e", "'\u0301", "t"]),
        ("a \u0301b", ["a", " \u0301", "b"]),
        ("\u0301\u0301a", ["\u0301\u0301", "a"]),
        ("\u0301!", ["\u0301!"]),
        ("\U0001f469\u200d\U0001f467 \u2764\ufe0f", ["\U0001f469\u200d\U0001f467", " \u2764\ufe0f"]),
        ("1\ufe0f\u20e3", ["1\ufe0f\u20e3"]),
        # Documents.
        ("a\udc00\udc00 b\udc00", ["a", "\udc00", "\udc00", " b", "\udc00"]),
        ("a \udc00\u0301b", ["a", " ", "\udc00", "\u0301", "b"]),
        ("it\udc00's", ["it", "\udc00", "'", "s"]),
        # Long ones.
        ("x" * 64 + " y", ["x" * 64, " y"]),
        ("x" * 65, ["x" * 64, "x"]),
        (" " + "x" * 64, [" " + "x" * 63, "x"]),
        (" " * 66 + "x", [" " * 64, " ", " x"]),
        (" " * 65 + "x", [" " * 64, " x"]),
        ("x" * 64 + "'s", ["x" * 64, "'s"]),
        ("x" * 63 + "'" + "s" * 3, ["x" * 63 + "'", "sss"]),
        ("\u6625" + "\u0301" * 70, ["\u6625" + "\u0301" * 63, "\u0301" * 7]),
        ("\ufefftext\0\0", ["\ufeff", "text", "\0\0"]),
        ("", []),
    ],
)
def test_a_text_is_cut_into_these_pieces(text, expected):
    assert pieces_of(text) == expected
    assert specified_pieces(text) == expected


@given(texts)
def test_any_text_is_cut_as_specified(text):
    assert pieces_of(text) == specified_pieces(text)


@given(texts)
def test_pieces_cover_the_text_and_are_short(text):
    pieces = pieces_of(text)
    assert "".join(pieces) == text
    assert all(1 <= len(piece) <= 64 for piece in pieces)


@given(st.lists(texts, max_size=5), st.integers(1, 70))
def test_any_cuts_of_the_stream_give_the_same_pieces(blocks, size):
    with mock.patch.object(text_blocks, "BLOCK_SIZE", size):
        pieces = [piece for block in whole_pieces(blocks) for piece in spelled_out(block)]
    assert pieces == specified_pieces("".join(blocks))


@given(long_runs, st.integers(1, 5))
def test_a_stream_keeps_back_no_more_than_a_piece_and_a_character(text, size):
    stream, given_away = PieceStream(), 0
    for i in range(0, len(text), size):
        block = stream.add(text[i : i + size])
        given_away += len(block.text) if block else 0
        assert min(i + size, len(text)) - given_away <= 65
    last = stream.finish()
    assert given_away + (len(last.text) if last else 0) == len(text)
    assert stream.finish() is None


def test_a_finished_stream_begins_another_text():
    stream = PieceStream()
    stream.add("ab")
    stream.finish()
    stream.add("\u0301b")
    assert spelled_out(stream.finish()) == ["\u0301", "b"]


# ---- hashes


def hashes_of(text: str) -> list[int]:
    points = code_points(text)
    pieces = find_pieces(classes_of(points))
    return hash_pieces(points, pieces).tolist()


def test_a_piece_has_the_same_hash_wherever_it_stands():
    one, other = hashes_of("word1.2"), hashes_of("2.1word")
    assert one == other[::-1]
    assert len(set(one)) == 4


def test_the_hash_is_a_polynomial_of_the_characters():
    ratio = 0x9E3779B97F4A7C15
    expected = sum((ord(symbol) + 1) * ratio ** (i + 1) for i, symbol in enumerate("caf\u00e9")) % 2**64
    assert hashes_of("caf\u00e9") == [expected]


@given(st.lists(texts, max_size=5))
def test_different_pieces_have_different_hashes(blocks):
    text = "".join(blocks)
    hash_of = dict(zip(specified_pieces(text), hashes_of(text) if text else [], strict=True))
    assert len(set(hash_of.values())) == len(hash_of)
