"""Shards: together they are the text, and what is found out about each alone is what is found out about the whole."""

import pickle

import numpy as np
import pytest
from hard_texts import HARD_TEXTS
from hypothesis import given, settings
from hypothesis import strategies as st

from textgen.config import END_OF_DOCUMENT, TextConfig
from textgen.dataset import shards
from textgen.dataset.shards import Shard, count, cut_shards, encode, split_shards
from textgen.dataset.split import DocumentDraw, Split
from textgen.errors import TokenizerError
from textgen.tokenizers import CharacterTokenizer, new_fitter, text_blocks, word_fitting, word_pieces
from textgen.tokenizers.text_blocks import Place
from textgen.tokenizers.word_fitting import Counted, WordFitter

PARTS = (
    "a",
    "b",
    "'",
    "\u2019",
    "\u0301",
    " ",
    "  ",
    "\n",
    "7",
    ".",
    "\u6625",
    "ab'a",
    " a" * 40,
    "a'" * 90,
    "\u0301" * 70,
)
DOCUMENTS = TextConfig(level="word", documents="line")


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Shards and blocks of some hundred characters; three characters are looked at for a simple place to cut."""
    monkeypatch.setattr(shards, "SHARD_CHARACTERS", 200)
    monkeypatch.setattr(text_blocks, "BLOCK_SIZE", 64)
    monkeypatch.setattr(word_pieces, "LOOKED_AT", 4)


def merged(found: list[dict]) -> WordFitter:
    fitter = new_fitter("word")
    for arrays in found:
        fitter.merge(Counted(**arrays))
    return fitter


def added(text: str) -> WordFitter:
    fitter = new_fitter("word")
    fitter.add(text)
    assert fitter.num_pieces > 0  # and so the text is over
    return fitter


def ids_of(found: list[dict], part: str) -> list[int]:
    return np.concatenate([arrays[part] for arrays in found]).tolist()


@settings(max_examples=30)
@given(parts=st.lists(st.sampled_from((*PARTS, END_OF_DOCUMENT)), min_size=5, max_size=80), repeated=st.integers(1, 10))
def test_the_words_of_shards_are_those_of_the_text(parts, repeated):
    text = "".join(part * repeated for part in parts)
    cut = list(cut_shards([text], "word"))
    assert "".join(shard.text for shard in cut) == text
    assert [shard.place.offset for shard in cut] == [0, *np.cumsum([len(shard.text) for shard in cut]).tolist()[:-1]]
    assert all(len(shard.text) < 200 + 2 * 64 + 130 for shard in cut)
    together, whole = merged([count(shard) for shard in cut]), added(text)
    assert (together._counts, together._alone) == (whole._counts, whole._alone)


@pytest.mark.parametrize("name", HARD_TEXTS)
@pytest.mark.parametrize("level", ["char", "word"])
def test_the_ids_of_shards_are_those_of_the_text(level, name):
    text = HARD_TEXTS[name] or "ab"
    text = text * max(1, 1500 // len(text)) + "end"
    config = TextConfig(level=level, documents="line")
    fitter = new_fitter(level)
    fitter.add(text)
    tokenizer = fitter.finish(config)
    found = [encode(shard, tokenizer) for shard in cut_shards(iter(text), level)]
    assert ids_of(found, "train") == tokenizer.encode(text).tolist()
    assert ids_of(found, "validation") == []


@pytest.mark.parametrize(
    "text",
    ["a" * 2000, "a'" * 1000, "\u0301" * 2000, " " * 2000, " \u0301" * 1000],
    ids=["letters", "apostrophes", "marks", "spaces", "marks on spaces"],
)
def test_a_text_without_a_place_to_cut_is_cut_where_a_piece_begins(text):
    text += " the end"
    fitter = added(text)
    tokenizer = fitter.finish(TextConfig(level="word"))
    cut = list(cut_shards([text], "word"))
    assert len(cut) > 6
    assert ids_of([encode(shard, tokenizer) for shard in cut], "train") == tokenizer.encode(text).tolist()
    assert merged([count(shard) for shard in cut])._counts == fitter._counts


def test_both_parts_are_those_that_are_drawn():
    documents = [f"{'word ' * (n % 60)}{n}" for n in range(90)]
    text = "".join(document + END_OF_DOCUMENT for document in documents)
    drawn = DocumentDraw(90, Split(0.3, seed=4)).take(90).tolist()
    parts = [
        "".join(d + END_OF_DOCUMENT for d, v in zip(documents, drawn, strict=True) if v == part) for part in (0, 1)
    ]
    cut = list(split_shards(iter([text]), "word", Split(0.3, seed=4), len(text) - 90, 90))
    assert len(cut) > 20
    tokenizer = added(text).finish(DOCUMENTS)
    found = [encode(shard, tokenizer) for shard in cut]
    for part, name in zip(parts, ("train", "validation"), strict=True):
        assert ids_of(found, name) == tokenizer.encode(part).tolist()
    assert merged([count(shard) for shard in cut])._counts == added(parts[0])._counts


def test_the_parts_of_one_text_are_cut_apart():
    text = "one word, two words; " * 50
    cut = list(split_shards(iter([text]), "word", Split(0.25), len(text), 0))
    border = int(0.75 * len(text))
    assert [shard.is_validation for shard in cut] == [b"\0" if s.place.offset < border else b"\1" for s in cut]
    assert border in [shard.place.offset for shard in cut]
    assert not any(len(count(shard)["counts"]) for shard in cut if shard.place.offset >= border)


def test_too_many_words_are_forgotten_after_whole_shards(monkeypatch):
    monkeypatch.setattr(word_fitting, "MAX_COUNTED", 100)
    text = "".join(f" the {n:07d} cat" for n in range(1000))
    fitter = merged([count(shard) for shard in cut_shards([text], "word")])
    assert fitter.num_pieces <= 100
    assert fitter._counts[" the"] == 1000


def test_an_unknown_symbol_is_named_with_its_place_in_the_text():
    cut = list(cut_shards(["ab" * 500 + "x" + "ab" * 100], "char"))
    for shard in cut[:5]:
        encode(shard, CharacterTokenizer("ab"))
    with pytest.raises(TokenizerError, match=r"does not know 'x' \(character 1,000 of the text\)"):
        encode(cut[5], CharacterTokenizer("ab"))


@pytest.mark.parametrize("text", ["plain", f"a{END_OF_DOCUMENT}\u6625\0", f"\0\1\2\3{END_OF_DOCUMENT}"], ids=ascii)
def test_a_shard_survives_pickling_and_keeps_its_digest(text):
    shard = Shard(text, b"\0\1", Place(7, 2, "x"))
    again = pickle.loads(pickle.dumps(shard))
    assert again == shard
    assert again.digest == shard.digest


def test_whatever_results_depend_on_changes_the_digest():
    place = Place(7, 2, "x")
    others = [
        ("tex", b"\0", place),
        ("text", b"\1", place),
        ("text", b"\0", Place(7, 3, "x")),
        ("text", b"\0", Place(7, 2, "y")),
    ]
    digests = {Shard(*parts).digest for parts in [("text", b"\0", place), *others]}
    assert len(digests) == 5
