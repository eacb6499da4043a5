"""Whether a model's documents are its own: counted by hand, with a generator that writes what it is told to."""

from unittest import mock

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from whole_texts import fit_characters

from textgen.config import END_OF_DOCUMENT, TextConfig
from textgen.dataset import Prepared
from textgen.generation.completion import Completion
from textgen.tokenizers import CharacterTokenizer, new_fitter
from textgen.training import novelty
from textgen.training.novelty import (
    LONGEST,
    NUM_SAMPLES,
    NUM_SEARCHED,
    SEARCHED,
    Copy,
    Origins,
    contained,
    count_origins,
    find_longest_copy,
)


class Scribe:
    """Writes the given documents; those that end in "..." are cut off at the length."""

    def __init__(self, *texts: str):
        self.texts = texts

    def generate(self, prompt, config, num_samples):
        self.asked = (prompt, config, num_samples)
        return [
            Completion("", text.removesuffix("..."), 1, i, "length" if text.endswith("...") else "document")
            for i, text in enumerate(self.texts)
        ]


def prepared_of(training: tuple[str, ...], validation: tuple[str, ...]) -> Prepared:
    tokenizer = CharacterTokenizer(fit_characters([*training, *validation, "ZAnobe"]).symbols, "\n")
    ids = [
        tokenizer.encode("".join(text + END_OF_DOCUMENT for text in part)).astype(np.uint8)
        for part in (training, validation)
    ]
    return Prepared(tokenizer, *ids, "", 9, len(training) + len(validation), len(validation), ())


CORPUS = prepared_of(("Ann", "Bob", "Cid", "Twice"), ("Dee", "Eve", "Twice"))


def test_each_document_is_looked_up_in_both_parts():
    scribe = Scribe("Ann", "Bob", "Zoe", "Dee", "Ann", "Bo", "Annn")
    assert count_origins(scribe, CORPUS) == Origins(samples_new=3, samples_in_training=3, samples_in_validation=1)


def test_what_stands_in_both_parts_was_learned():
    assert count_origins(Scribe("Twice"), CORPUS) == Origins(samples_in_training=1)


def test_what_did_not_end_and_what_did_not_begin_is_no_document():
    assert count_origins(Scribe("Ann...", "Zoe...", ""), CORPUS) == Origins()


def test_a_corpus_without_a_validation_part_has_none_to_find():
    assert count_origins(Scribe("Ann", "Dee"), prepared_of(("Ann",), ("Dee",))._replace(validation_ids=NO_IDS)) == (
        Origins(1, 1, 0)
    )


def test_a_hundred_documents_are_drawn_as_the_model_has_learned_them():
    scribe = Scribe()
    count_origins(scribe, CORPUS)
    assert scribe.asked == ("", LONGEST, NUM_SAMPLES)
    assert NUM_SAMPLES == 100
    assert (LONGEST.temperature, LONGEST.ignore_eod) == (1.0, False)


# ---- what it copies


def test_the_longest_run_is_searched_in_the_training_part_and_ends_where_documents_do():
    scribe = Scribe("Zoe and Ann", "Twin", "Eve\nDee")
    assert find_longest_copy(scribe, CORPUS) == Copy(3, "Ann", 22)
    assert scribe.asked == ("", SEARCHED["char"], NUM_SEARCHED)
    assert all(config.ignore_eod and config.temperature == 0.8 for config in SEARCHED.values())


def test_only_the_beginning_of_a_long_run_is_kept():
    text = "Zabob" * 50
    copy = find_longest_copy(Scribe(text + "A"), prepared_of((text,), ("A",)))
    assert copy == Copy(250, text[:200], 251)


# ---- the search

NO_IDS = np.zeros(0, np.uint8)


@pytest.mark.parametrize("token_ids", [NO_IDS, np.array([1, 2, 9], np.uint8)])
def test_nothing_is_contained_where_nothing_is(token_ids):
    assert contained([], token_ids).tolist() == []
    assert contained([np.array([9]), np.array([2, 9])], token_ids).tolist() == [False, False]


def test_a_part_of_a_document_is_not_the_document():
    token_ids = np.array([1, 2, 3, 9, 4, 9, 9], np.uint16)
    wanted = [[1, 2, 3, 9], [2, 3, 9], [1, 2, 9], [4, 9], [9], [3, 9, 4, 9]]
    assert contained([np.array(ids) for ids in wanted], token_ids).tolist() == [True, False, False, True, True, False]


documents = st.lists(st.lists(st.integers(0, 2), max_size=6), max_size=12)


@given(documents, documents, st.integers(1, 9))
def test_what_is_contained_is_what_a_set_says_wherever_blocks_end(corpus, others, size):
    token_ids = np.array([i for ids in corpus for i in (*ids, 3)], np.uint8)
    wanted = [*others, *corpus]
    with mock.patch.object(novelty, "READ_AT_ONCE", size):
        found = contained([np.array([*ids, 3], np.int32) for ids in wanted], token_ids)
    assert found.tolist() == [ids in corpus for ids in wanted]


texts = st.lists(st.text("ab '\u0301\u4e00", min_size=1, max_size=9), min_size=1, max_size=8)


@given(texts)
def test_a_document_of_words_has_the_same_ids_alone_as_among_others(corpus):
    stream = "".join(text + END_OF_DOCUMENT for text in ["ab ab ab", "b'b b'b", *corpus])
    fitter = new_fitter("word")
    fitter.add(stream)
    tokenizer = fitter.finish(TextConfig(level="word", documents="line"))
    alone = [tokenizer.encode(text + END_OF_DOCUMENT) for text in corpus]
    assert contained(alone, tokenizer.encode(stream)).all()
