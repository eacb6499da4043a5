"""How well the pretrained model reads a text before a step: what is compared, and what that decides."""

import io
import math
from pathlib import Path

import numpy as np
import pytest
from conftest import make_stored_model, make_word_tokenizer, write_stored_model

from textgen import pretrained
from textgen.config import TextConfig
from textgen.corpus import open_corpus
from textgen.corpus.describing import describe
from textgen.errors import ModelError
from textgen.evaluation import evaluate
from textgen.generation.numpy_engine import NumpyEngine
from textgen.pretrained import NAME, Reading
from textgen.store import shipped
from textgen.store.model_directory import StoredModel

WORDS = make_stored_model(tokenizer=make_word_tokenizer("\n"), tied=True, embedding_size=12)
TEXT = "the cat sat on a mat, and the dog sat on the cat. "


def read(text: str, model: StoredModel = WORDS, **config) -> Reading:
    reader = open_corpus(["-"], TextConfig(level="word", **config), stdin=io.BytesIO(text.encode()))
    return pretrained.read(model, reader)


def test_a_short_text_is_read_whole_and_its_bits_are_those_of_evaluate():
    found = read(TEXT)
    expected = evaluate(TEXT, WORDS.tokenizer, NumpyEngine(WORDS.record.model, WORDS.weights))
    assert found.bits == pytest.approx(expected.bits_per_character, rel=1e-4)
    assert found.floor == describe(TEXT).bigram_bits


def test_a_long_text_is_read_in_passages_from_all_over_it(monkeypatch):
    monkeypatch.setattr(pretrained, "READ_CHARACTERS", 40_000)
    one, other = TEXT * 400, "a dog, a dog, " * 1_428
    mixed = read(one + other + "!" * 10**6)
    assert min(read(one).bits, read(other).bits) < mixed.bits < max(read(one).bits, read(other).bits)


def test_what_the_model_does_not_know_costs_many_bits():
    alone = read(TEXT * 3)
    lost = read(TEXT * 3 + "世" * 150)
    assert lost.bits == pytest.approx((alone.bits * 150 + pretrained.UNKNOWN_BITS * 150) / 300, rel=0.05)
    assert read("世界" * 500).bits > 15


@pytest.mark.parametrize(("bits", "floor", "suits"), [(1.5, 3.3, True), (3.1, 3.3, True), (3.2, 3.3, False)])
def test_a_model_suits_a_text_that_it_reads_below_the_floor(bits, floor, suits):
    assert Reading(bits, floor).suits == suits


def test_an_even_model_reads_each_text_at_the_logarithm_of_its_vocabulary():
    flat = WORDS._replace(weights={name: np.zeros_like(value) for name, value in WORDS.weights.items()})
    tokens = len(WORDS.tokenizer.encode(TEXT))
    expected = tokens * math.log2(WORDS.tokenizer.vocabulary_size) / len(TEXT)
    assert read(TEXT, flat).bits == pytest.approx(expected)


def test_a_missing_model_is_named_with_the_way_to_go_on_without_it():
    with pytest.raises(ModelError, match=r"^the pretrained model english is missing .* --init-from none$"):
        pretrained.load()


def test_a_damaged_model_is_named_with_the_way_to_go_on_without_it(tmp_path, monkeypatch):
    monkeypatch.setattr(shipped, "PACKAGE", tmp_path / "textgen")
    path = write_stored_model(tmp_path / "saved_models", WORDS, NAME)
    assert pretrained.load().name == NAME
    weights = path / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    with pytest.raises(ModelError, match=r"^the pretrained model is damaged: .*weights.* --init-from none$") as caught:
        pretrained.load()
    assert "\n" not in str(caught.value)
    assert Path(path).name in str(caught.value)
