"""From a corpus to token ids on disk: what comes out, and what is refused before anything is written."""

import gzip
import hashlib
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prepared_corpora import LINES, NAMES, entries, folder, prepared_of  # noqa: F401 (folder is of every test)
from whole_texts import read_corpus, split_text, write

from textgen.config import END_OF_DOCUMENT, TextConfig
from textgen.dataset.split import DocumentDraw, Split
from textgen.errors import CorpusError, TokenizerError
from textgen.records import CorpusRecord
from textgen.sketch import sketch_of
from textgen.tokenizers import CharacterTokenizer, new_fitter
from textgen.tokenizers.normalizing import normalize_text

# ---- what comes out


def test_a_text_that_can_be_checked_by_eye():
    prepared = prepared_of(write("t.txt", "abcabcabca"), val_fraction=0.3)
    assert prepared.tokenizer.pieces == "abc"
    assert (prepared.train_ids.tolist(), prepared.validation_ids.tolist()) == ([0, 1, 2, 0, 1, 2, 0], [1, 2, 0])
    assert prepared.train_ids.dtype == np.uint8
    assert isinstance(prepared.train_ids, np.memmap)
    assert (prepared.characters, prepared.num_documents, prepared.num_validation_documents) == (10, 0, 0)
    assert prepared.sha256 == hashlib.sha256(b"abcabcabca").hexdigest()


def test_the_sketch_is_that_of_the_whole_text():
    text = " ".join(f"{n * n % 9973} bottles" for n in range(4000))
    expected = sketch_of([text]).to_text()
    assert len(expected) > 50
    assert prepared_of(write("t.txt", text)).sketch == prepared_of("t.txt").sketch == expected
    lines = text.replace("8 ", "8\n")
    assert prepared_of(write("lines.txt", lines), config=LINES.replace(normalize="casefold")).sketch == expected


def test_words_are_those_of_the_training_part_and_characters_those_of_all():
    text = "the cat sat, the cat ran. " * 9 + "the zebra, the zebra"
    prepared = prepared_of(write("t.txt", text), config=TextConfig(level="word"), val_fraction=0.08)
    assert {" cat", " sat", " ran"} <= set(prepared.tokenizer.words)
    assert not any("z" in word for word in prepared.tokenizer.words)
    assert "z" in prepared.tokenizer.symbols
    assert prepared.tokenizer.decode(prepared.validation_ids) == " the zebra, the zebra"
    everything = prepared_of("t.txt", config=TextConfig(level="word"), val_fraction=0)
    assert " zebra" in everything.tokenizer.words


def test_words_of_documents_for_validation_are_not_counted():
    texts = [f"{name} says {name}" for name in ("Ann", "Bob", "Cid", "Dee", "Eve")] * 3
    config = LINES.replace(level="word")
    prepared = prepared_of(write("t.txt", "\n".join(texts)), config=config, val_fraction=0.2, seed=1)
    drawn = DocumentDraw(15, Split(0.2, seed=1)).take(15)
    kept = [text for text, is_validation in zip(texts, drawn, strict=True) if not is_validation]
    fitter = new_fitter("word")
    fitter.add_symbols("".join(texts))
    fitter.add("".join(text + END_OF_DOCUMENT for text in kept))
    assert prepared.tokenizer.to_json() == fitter.finish(config).to_json()


def test_documents_that_can_be_checked_by_eye():
    texts, ids = ["ab", "b", "a", "abb", "bb"], [[0, 1, 2], [1, 2], [0, 2], [0, 1, 1, 2], [1, 1, 2]]
    prepared = prepared_of(write("t.txt", "\n".join(texts)), config=LINES, val_fraction=0.4, seed=0)
    drawn = np.flatnonzero(DocumentDraw(5, Split(0.4, seed=0)).take(5)).tolist()
    assert drawn == [2, 3]
    assert prepared.train_ids.tolist() == [*ids[0], *ids[1], *ids[4]]
    assert prepared.validation_ids.tolist() == [*ids[2], *ids[3]]
    assert (prepared.characters, prepared.num_documents, prepared.num_validation_documents) == (9, 5, 2)
    ended = "".join(text + END_OF_DOCUMENT for text in texts)
    assert prepared.sha256 == hashlib.sha256(ended.encode("utf-8", "surrogatepass")).hexdigest()


@settings(max_examples=40)
@given(
    texts=st.lists(st.text("abc é\n\u4e00\ufb01e\u0301", max_size=30), min_size=1, max_size=4),
    level=st.sampled_from(("char", "word")),
    normalize=st.sampled_from(("none", "nfc", "casefold")),
    kind=st.sampled_from(("whole", "file", "line", "blank-line")),
    val_fraction=st.sampled_from((0, 0.1, 0.5)),
    seed=st.integers(0, 3),
)
def test_the_parts_are_those_of_the_whole_text_in_memory(texts, level, normalize, kind, val_fraction, seed):
    """The text is put together, normalised, split and encoded the simple way."""
    files = [write(f"{i}.txt", "xyz abc " + text) for i, text in enumerate(texts)]
    config = TextConfig(level=level, normalize=normalize, documents=kind)
    text = normalize_text(read_corpus(files, config=config).text, normalize)
    if kind == "whole":
        train, validation = split_text(text, val_fraction)
        num_documents = 0
    else:
        documents = [document + END_OF_DOCUMENT for document in text.split(END_OF_DOCUMENT)[:-1]]
        num_documents = len(documents)
        drawn = DocumentDraw(num_documents, Split(val_fraction, seed)).take(num_documents)
        train, validation = (
            "".join(d for d, v in zip(documents, drawn, strict=True) if v == chosen) for chosen in (0, 1)
        )
    fitter = new_fitter(level)
    fitter.add_symbols(text)
    fitter.add(train)
    tokenizer = fitter.finish(config)
    prepared = prepared_of(*files, config=config, val_fraction=val_fraction, seed=seed)
    assert prepared.tokenizer.to_json() == tokenizer.to_json()
    np.testing.assert_array_equal(prepared.train_ids, tokenizer.encode(train))
    np.testing.assert_array_equal(prepared.validation_ids, tokenizer.encode(validation))
    assert prepared.characters == len(text) - num_documents
    assert prepared.num_documents == num_documents


@pytest.mark.parametrize("level", ["char", "word"])
@pytest.mark.parametrize("kind", ["whole", "line"])
def test_a_text_of_many_blocks_is_encoded_as_one(level, kind):
    lines = [f"{i:x} beads\n" for i in range(300_000)]
    config = TextConfig(level=level, documents=kind)
    prepared = prepared_of(write("long.txt", "".join(lines)), config=config)
    drawn = DocumentDraw(len(lines), Split(0.1)).take(len(lines))
    if kind == "whole":
        parts = split_text("".join(lines), 0.1)
    else:
        ended = [line.replace("\n", END_OF_DOCUMENT) for line in lines]
        parts = ["".join(line for line, v in zip(ended, drawn, strict=True) if v == chosen) for chosen in (0, 1)]
    for token_ids, part in zip((prepared.train_ids, prepared.validation_ids), parts, strict=True):
        np.testing.assert_array_equal(token_ids, prepared.tokenizer.encode(part))


def test_a_document_that_case_folding_leaves_empty_is_none():
    prepared = prepared_of(write("t.txt", "A\n\u00ad\nB\n"), config=LINES.replace(normalize="casefold"), val_fraction=0)
    assert prepared.train_ids.tolist() == [0, 2, 1, 2]
    assert prepared.num_documents == 2


def test_a_model_that_there_is_keeps_its_ids():
    tokenizer = CharacterTokenizer("abcz")
    prepared = prepared_of(write("t.txt", "zab"), tokenizer=tokenizer, val_fraction=0)
    assert prepared.train_ids.tolist() == [3, 0, 1]
    with pytest.raises(TokenizerError, match="does not know 'd'"):
        prepared_of(write("other.txt", "abcd"), tokenizer=tokenizer)
    assert len(entries()) == 1


def test_a_text_other_than_the_expected_one_is_refused_before_it_is_encoded():
    sha256, other = hashlib.sha256(b"abc").hexdigest(), CorpusRecord(sha256="0" * 64)
    message = (
        rf"^the corpus t is not the one this run began with \(SHA-256 {sha256[:12]}, expected 000000000000\). "
        "Restore it, or train a new model$"
    )
    with pytest.raises(CorpusError, match=message):
        prepared_of(write("t.txt", "abc"), tokenizer=CharacterTokenizer("xyz"), expected=other)
    assert entries() == []
    prepared_of("t.txt", expected=CorpusRecord(sha256=sha256))
    with pytest.raises(CorpusError, match=message):  # found in the cache
        prepared_of("t.txt", expected=other)


def test_a_column_of_a_compressed_table_is_prepared():
    Path("t.csv.gz").write_bytes(gzip.compress(b'id,text\n1,"ab\nb"\n2,\n3,ba\n'))
    prepared = prepared_of("t.csv.gz", config=TextConfig(level="char", column="text"), val_fraction=0)
    assert prepared.tokenizer.decode(prepared.train_ids) == "ab\nbba"
    assert prepared.num_documents == 2
    assert prepared.notes[0] == "1 empty document skipped"
    assert prepared.notes[1].startswith("1 row with a line end inside its quotes")


# ---- what is refused, and leaves nothing


@pytest.mark.parametrize(
    ("content", "error", "message"),
    [
        ("", CorpusError, "t.txt is empty"),
        (" \n\t", CorpusError, "nothing but white space"),
        ("aaaa", TokenizerError, "at least two different characters to learn from; found only 'a'"),
        ("a" * 3_000_000, TokenizerError, "at least two different characters"),
        (b"x" * 3_000_000 + b"\n\xff" + b"y" * 3_000_000, CorpusError, r"byte 0xFF at offset 3,000,001 \(line 2\)"),
    ],
    ids=["empty", "white space", "one symbol", "one symbol, long", "invalid byte"],
)
@pytest.mark.parametrize("level", ["char", "word"])
def test_a_corpus_that_teaches_nothing_leaves_no_trace(content, error, message, level):
    write("t.txt", content)
    with pytest.raises(error, match=message):
        prepared_of("t.txt", config=TextConfig(level=level))
    assert not os.path.exists("cache")


def test_lines_of_one_repeated_symbol_are_refused():
    with pytest.raises(TokenizerError, match="at least two different characters"):
        prepared_of(write("t.txt", "aa\na\n"), config=LINES)


@pytest.mark.parametrize("changing", ["checking", "reading"])
def test_a_file_that_changes_while_it_is_read_is_refused_and_not_kept(changing):
    def change(stage: str, done: int, total: int) -> None:
        if stage == changing:
            write("t.txt", NAMES[::-1])

    write("t.txt", NAMES)
    with pytest.raises(CorpusError, match="the corpus t changed while it was read"):
        prepared_of("t.txt", progress=change)
    assert entries() == []
