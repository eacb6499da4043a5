"""Whether a model's documents are its own: counted by hand, with a generator that writes what it is told to."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from textgen.generation.generator import Completion
from textgen.preparation import Prepared, document_hash
from textgen.tokenizers import CharacterTokenizer
from textgen.training.origins import LONGEST, NUM_SAMPLES, Origins, contains, count_origins


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


def hashes_of(texts) -> np.ndarray:
    return np.sort(np.array([document_hash(text) for text in texts], np.uint64))


def prepared_of(training: tuple[str, ...], validation: tuple[str, ...]) -> Prepared:
    ids = np.zeros(0, np.uint8)
    num = len(training) + len(validation)
    hashes = hashes_of(training), hashes_of(validation)
    return Prepared(CharacterTokenizer("ab", "\n"), ids, ids, "", 9, num, len(validation), *hashes, ())


CORPUS = prepared_of(("Ann", "Bob", "Cid", "Twice"), ("Dee", "Eve", "Twice"))


def test_each_document_is_looked_up_in_both_parts():
    scribe = Scribe("Ann", "Bob", "Zoe", "Dee", "Ann", "Bo", "Annn")
    assert count_origins(scribe, CORPUS) == Origins(samples_new=3, samples_in_training=3, samples_in_validation=1)


def test_what_stands_in_both_parts_was_learned():
    assert count_origins(Scribe("Twice"), CORPUS) == Origins(samples_in_training=1)


def test_what_did_not_end_and_what_did_not_begin_is_no_document():
    assert count_origins(Scribe("Ann...", "Zoe...", ""), CORPUS) == Origins()


def test_a_corpus_without_a_validation_part_has_none_to_find():
    assert count_origins(Scribe("Ann", "Dee"), prepared_of(("Ann",), ())) == Origins(1, 1, 0)


def test_a_hundred_documents_are_drawn_as_the_model_has_learned_them():
    scribe = Scribe()
    count_origins(scribe, CORPUS)
    assert scribe.asked == ("", LONGEST, NUM_SAMPLES)
    assert NUM_SAMPLES == 100
    assert (LONGEST.temperature, LONGEST.ignore_eod) == (1.0, False)


@pytest.mark.parametrize("wanted", [[], [5], [0, 2**64 - 1]])
def test_nothing_is_in_an_empty_part(wanted):
    assert not contains(np.zeros(0, np.uint64), np.array(wanted, np.uint64)).any()


@given(st.sets(st.integers(0, 2**64 - 1)), st.lists(st.integers(0, 2**64 - 1)))
def test_what_is_contained_is_what_a_set_says(held, others):
    wanted = [*others, *held]
    found = contains(np.array(sorted(held), np.uint64), np.array(wanted, np.uint64))
    assert found.tolist() == [number in held for number in wanted]
