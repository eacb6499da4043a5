"""Whether a model has read a text: the same for any edition of the text, and not for quotations."""

import base64
import functools
import random
from unittest import mock

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from textgen import sketch as module
from textgen.config import END_OF_DOCUMENT
from textgen.errors import ModelError
from textgen.records import CorpusRecord
from textgen.sketch import MAX_HASHES, SHINGLE_WORDS, Sketch, Sketcher, has_read, overlap, read_before, sketch_of


@functools.cache
def prose(seed: int, num_words: int) -> str:
    """Words in sentences and lines, unlike those of any other seed."""
    draw = random.Random(seed)
    words = [f"{draw.choice('aeiou')}{draw.randrange(3000):x}" for _ in range(num_words)]
    return "".join(word + draw.choice([" ", " ", " ", ", ", ".\n", "\n", ' "', "'s "]) for word in words)


def hash_by_hand(words: list[str]) -> int:
    """The hash of one shingle, as the module's docstring has it."""
    shingle = 0
    for word in words:
        number = sum(2 * ord(letter) * module.POWER**i for i, letter in enumerate(word)) % 2**32
        mixed = number * module.MIX % 2**64
        shingle = (shingle * module.BASE + (mixed ^ mixed >> 32)) % 2**64
    return (shingle ^ shingle >> 32) * module.MIX % 2**64 >> 23


def record_of(text: str) -> CorpusRecord:
    return CorpusRecord(sketch=sketch_of([text]).to_text())


def words_of(*blocks: str) -> list[int]:
    """The hashes of all words."""
    found: list[int] = []
    with mock.patch.object(Sketcher, "_add_words", lambda self, words: found.extend(words.tolist())):
        sketcher = Sketcher()
        for block in blocks:
            sketcher.add(block)
        sketcher.finish()
    return found


# ---- the hash


def test_the_hash_is_the_documented_one():
    """Written down once, because models keep it: it must never change."""
    words = ["the", "quick", "brown", "fox", "jumps", "over", "the", "lazy"]
    assert hash_by_hand(words) == 1_896_795_500_415
    many = prose(0, 20_000).replace("'s", " s").replace('"', " ")
    plain = "".join(c if c.isalnum() else " " for c in many).split()
    found = {hash_by_hand(plain[i : i + SHINGLE_WORDS]) for i in range(len(plain) - SHINGLE_WORDS + 1)}
    expected = sorted(number for number in found if number < 2**32)
    assert sketch_of([many]).hashes.tolist() == expected
    assert 20 < len(expected) < 60  # of 20,000, one in 512


def test_an_ideograph_is_a_word_and_an_accent_is_none():
    assert len(words_of("漢字かな交じり a漢b")) == 8
    assert len(words_of("don't, don\u2019t")) == 4
    assert len(words_of("Cafe\u0301 na\u00efve co\u00adop 3rd x2")) == 5
    assert len(words_of("한국어 문장")) == len(words_of("ไทยภาษา ไทย")) == 2
    assert len(words_of(f"a{END_OF_DOCUMENT}b--c_d\n")) == 4
    assert len(set(words_of("\u00c9t\u00e9 e\u0301te\u0301 ete"))) == 1


# ---- the same text in another form


any_text = st.text("ab \u00e9e\u0301\u4e00\U00020000-", max_size=80)


@given(any_text, st.lists(st.integers(0, 80), max_size=6).map(sorted), st.integers(1, 9))
def test_a_text_has_the_same_words_wherever_it_is_cut(text, cuts, size):
    blocks = [text[start:end] for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    whole = words_of(text)
    with mock.patch.object(module, "AT_ONCE", size):
        assert words_of(*blocks) == whole


@pytest.mark.parametrize("size", [1000, 4096, 300_000])
def test_cuts_change_no_hash(size):
    text = prose(1, 30_000)
    whole = sketch_of([text])
    assert len(whole.hashes) > 30
    sketcher = Sketcher()
    for i in range(0, len(text), size):
        sketcher.add(text[i : i + size])
    assert sketcher.finish().to_text() == whole.to_text()


EDITIONS = {
    "capitals": str.upper,
    "curly quotes": lambda text: text.replace("'", "\u2019").replace('"', "\u201c"),
    "other line ends": lambda text: " \r\n".join(text.split()),
    "documents": lambda text: text.replace("\n", END_OF_DOCUMENT),
    "accents": lambda text: text.replace("a", "a\u0301"),
    "accents composed": lambda text: text.replace("a", "\u00e1"),
    "hyphenation": lambda text: text.replace("1", "\u00ad1"),
}


@pytest.mark.parametrize("name", EDITIONS)
def test_an_edition_has_the_sketch_of_the_text(name):
    text = prose(2, 10_000)
    edition = EDITIONS[name](text)
    assert edition != text
    assert sketch_of([edition]).to_text() == sketch_of([text]).to_text() != ""


# ---- what a model has read


def test_the_share_of_a_text_that_was_read_is_found():
    corpus = record_of("".join(prose(seed, 20_000) for seed in range(3)))
    chapter, new = prose(1, 20_000)[:60_000], prose(9, 20_000)
    assert read_before(corpus, record_of(chapter)) == 1
    assert read_before(corpus, record_of(new)) is None
    share = read_before(corpus, record_of(chapter + new))
    assert share == pytest.approx(len(chapter) / len(chapter + new), abs=0.15)


def test_quotations_are_not_reading():
    classic, own = prose(1, 20_000), prose(9, 40_000)
    quotation = classic[5000:5800]
    text = quotation.join(own[i : i + 50_000] for i in range(0, len(own), 50_000))
    assert read_before(record_of(classic), record_of(text)) is None


@pytest.mark.parametrize(
    ("shared", "compared", "is_read"), [(0, 0, False), (2, 2, False), (3, 3, True), (3, 60, True), (3, 61, False)]
)
def test_a_few_hashes_or_a_small_share_are_chance(shared, compared, is_read):
    assert has_read(shared, compared) is is_read


def test_without_a_sketch_nobody_knows():
    known = record_of(prose(1, 20_000))
    assert read_before(CorpusRecord(), known) is read_before(known, CorpusRecord()) is None


def test_of_very_many_hashes_the_smallest_are_kept_and_compared(monkeypatch):
    text, other = prose(0, 40_000), prose(5, 40_000)
    every = sketch_of([text]).hashes.tolist()
    monkeypatch.setattr(module, "MAX_HASHES", 50)
    kept = sketch_of([text])
    assert kept.hashes.tolist() == every[:50] != every
    assert kept.threshold == every[49]
    assert overlap(kept, sketch_of([other]))[0] == 0
    half = Sketch(np.array([*kept.hashes[:10], 2**32 - 1], np.uint32))
    assert overlap(kept, half) == (10, 10)  # of the last one it cannot tell


# ---- as a string


@given(st.sets(st.integers(0, 2**32 - 1), max_size=50))
def test_a_sketch_comes_back_from_its_string(numbers):
    text = Sketch(np.array(sorted(numbers), np.uint32)).to_text()
    assert Sketch.from_text(text).hashes.tolist() == sorted(numbers)
    assert base64.b64decode(text) == b"".join(number.to_bytes(4, "little") for number in sorted(numbers))


def encoded(*numbers: int) -> str:
    return base64.b64encode(np.array(numbers, "<u4").tobytes()).decode()


BAD = {
    "unsorted": encoded(2, 1),
    "twice": encoded(1, 1),
    "three bytes": "AAAA",
    "no base64": "AAAAA*==",
    "beyond ASCII": "é",
    "spaces": encoded(1) + "\n",
    "unpadded": encoded(1).rstrip("="),
    "bits that are not used": "AQAAAB==",
    "too many": encoded(*range(MAX_HASHES + 1)),
}


@pytest.mark.parametrize("name", BAD)
def test_what_was_not_written_as_a_sketch_is_refused(name):
    with pytest.raises(ModelError, match=r"^the sketch of a corpus must be base64 of up to 40,000 sorted numbers"):
        Sketch.from_text(BAD[name])
    assert len(Sketch.from_text(encoded(*range(MAX_HASHES))).hashes) == MAX_HASHES
