"""What a run takes from the model that it begins with: its settings, and weights for a vocabulary that has grown."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from conftest import ALPHABET, make_stored_model, make_word_tokenizer

from textgen.config import TextConfig, TrainingConfig
from textgen.errors import SettingError
from textgen.generation.numpy_engine import NumpyEngine
from textgen.records import CorpusRecord
from textgen.sketch import sketch_of
from textgen.store.model_directory import StoredModel, weight_shapes
from textgen.tokenizers import CharacterTokenizer, Tokenizer, WordTokenizer
from textgen.tokenizers.extending import former_ids
from textgen.training.init_from import initial_weights, parent_record
from textgen.training.request import Request, configs_of

WORDS = make_word_tokenizer("\n")
PARENTS = {
    "characters": make_stored_model(),
    "tied": make_stored_model("gru", tied=True),
    "words, documents": make_stored_model(tokenizer=WORDS, tied=True, embedding_size=12),
}
GROWN = {
    "characters": CharacterTokenizer("".join(sorted(ALPHABET + "É☃Z"))),
    "tied": CharacterTokenizer("".join(sorted(ALPHABET + "É☃Z"))),
    "words, documents": WordTokenizer("".join(sorted(ALPHABET + "É☃Z")), [*WORDS.words, " fez", "ÉÉ"], "\n"),
}


def with_text(parent: StoredModel, **text) -> StoredModel:
    record = dataclasses.replace(parent.record, text=parent.record.text.replace(**text))
    return parent._replace(record=record)


def configs(given: dict, parent: StoredModel, *sources: str):
    """How a text is read, the shape and the training, for a run that begins with `parent`."""
    return configs_of(Request(Path("models"), sources, settings=given), parent)


def grown_weights(parent: StoredModel, tokenizer: Tokenizer, counts=None, seed: int = 0) -> dict[str, np.ndarray]:
    counts = np.full(tokenizer.vocabulary_size, 10) if counts is None else counts
    return initial_weights(parent, tokenizer, counts, seed)


def token_rows(weights: dict[str, np.ndarray]) -> list[np.ndarray]:
    """Every array that has a row for each token, [V, D]."""
    return [weights["embedding"], *([weights["output.kernel"].T] if "output.kernel" in weights else [])]


# ---- settings


@pytest.mark.parametrize("name", PARENTS)
def test_shape_and_kind_of_text_are_the_parent_s_and_training_is_not(name):
    parent = PARENTS[name]
    text, shape, training = configs({"steps": 9}, parent)
    assert shape.replace(vocabulary_size=parent.record.model.vocabulary_size) == parent.record.model
    assert (text.level, text.normalize) == (parent.record.text.level, parent.record.text.normalize)
    assert text.between_documents == parent.tokenizer.document_separator
    assert training == TrainingConfig(steps=9)  # the rest is left open


def test_what_is_given_and_is_the_parent_s_own_is_no_contradiction():
    parent = PARENTS["tied"]
    given = {"cell": "gru", "units": 12, "tied": True, "level": "char", "learning_rate": 0.5, "dropout": 0.3}
    text, shape, training = configs(given, parent)
    assert (text.level, shape.cell, shape.tied) == ("char", "gru", True)
    assert (training.learning_rate, training.dropout) == (0.5, 0.3)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"level": "word"}, "`level=word` contradicts `init_from`: tiny has char"),
        ({"normalize": "nfc"}, "`normalize=nfc` contradicts `init_from`: tiny has none"),
        ({"cell": "rnn"}, "`cell=rnn` contradicts `init_from`: tiny has gru"),
        ({"units": 13}, "`units=13` contradicts `init_from`: tiny has 12"),
        ({"embedding_size": 9}, "`embedding_size=9` contradicts `init_from`: tiny has 8"),
        ({"num_layers": 1}, "`num_layers=1` contradicts `init_from`: tiny has 2"),
        ({"tied": False}, "`tied=False` contradicts `init_from`: tiny has True"),
        ({"forget_bias": 1.0}, "`forget_bias=1.0` contradicts `init_from`: tiny has its weights already"),
        ({"unigram_bias": False}, "`unigram_bias=False` contradicts `init_from`: tiny has its weights already"),
        (
            {"recurrent_initializer": "glorot"},
            "`recurrent_initializer=glorot` contradicts `init_from`: tiny has its weights already",
        ),
    ],
)
def test_a_setting_that_the_parent_does_not_have_is_refused_by_its_name(given, message):
    with pytest.raises(SettingError) as caught:
        configs(given, PARENTS["tied"])
    assert str(caught.value) == f"{message}. Leave it out, or train from nothing"


def test_documents_may_be_of_another_kind_than_the_parent_s():
    assert configs({"documents": "whole"}, PARENTS["words, documents"])[0] == TextConfig(level="word")
    assert configs({"documents": "line"}, PARENTS["tied"])[0] == TextConfig(level="char", documents="line")
    assert configs({"column": "a"}, PARENTS["tied"])[0] == TextConfig(level="char", column="a")


def test_a_shipped_model_s_documents_say_nothing_about_another_text(monkeypatch):
    monkeypatch.setattr("textgen.training.init_from.is_shipped", lambda path: True)
    assert configs({}, PARENTS["words, documents"])[0] == TextConfig(level="word")


def test_documents_are_the_parent_s_unless_something_is_said_of_them():
    lines, rows = PARENTS["words, documents"], with_text(PARENTS["words, documents"], documents="whole", column="a")
    assert configs({}, rows)[0] == TextConfig(level="word", column="a")
    for parent in (lines, rows):
        assert configs({"column": "b"}, parent)[0] == TextConfig(level="word", column="b")
        assert configs({"documents": "line"}, parent)[0] == TextConfig(level="word", documents="line")
        assert configs({"document_separator": "--"}, parent)[0] == TextConfig(level="word", document_separator="--")


def test_bad_rows_are_the_parent_s_where_its_column_is():
    parent = with_text(PARENTS["words, documents"], documents="whole", column="a", bad_rows="skip")
    assert configs({}, parent)[0] == TextConfig(level="word", column="a", bad_rows="skip")
    assert configs({"bad_rows": "error"}, parent)[0] == TextConfig(level="word", column="a")
    assert configs({"column": "b"}, parent)[0] == TextConfig(level="word", column="b")
    marked = with_text(PARENTS["words, documents"], documents="whole", document_separator="--")
    assert configs({}, marked)[0] == TextConfig(level="word", document_separator="--")


def test_the_encoding_and_the_vocabulary_size_are_the_new_text_s():
    parent = with_text(PARENTS["words, documents"], encoding="latin-1", vocabulary_size=50)
    assert configs({}, parent)[0] == TextConfig(level="word", documents="line")


# ---- weights


@pytest.mark.parametrize("name", PARENTS)
def test_old_tokens_keep_their_rows_and_other_weights_stay(name):
    parent, tokenizer = PARENTS[name], GROWN[name]
    weights = grown_weights(parent, tokenizer)
    config = parent.record.model.replace(vocabulary_size=tokenizer.vocabulary_size)
    assert {n: (w.shape, w.dtype) for n, w in weights.items()} == {
        n: (shape, np.dtype(np.float32)) for n, shape in weight_shapes(config).items()
    }
    former = former_ids(tokenizer, parent.tokenizer)
    for new, old in zip(token_rows(weights), token_rows(parent.weights), strict=True):
        assert np.array_equal(new[former >= 0], old[former[former >= 0]])
    assert np.array_equal(weights["output.bias"][former >= 0], parent.weights["output.bias"][former[former >= 0]])
    for layer in [n for n in weights if n.startswith("layers.") or n == "output.projection"]:
        assert np.array_equal(weights[layer], parent.weights[layer])


def test_the_parent_s_arrays_are_not_changed():
    parent = make_stored_model()
    before = {name: array.tobytes() for name, array in parent.weights.items()}
    grown = grown_weights(parent, GROWN["characters"])
    grown["embedding"][:] = 0
    assert {name: array.tobytes() for name, array in parent.weights.items()} == before


@pytest.mark.parametrize("name", PARENTS)
def test_old_tokens_are_as_likely_as_they_were_one_against_the_other(name):
    parent, tokenizer = PARENTS[name], GROWN[name]
    config = parent.record.model.replace(vocabulary_size=tokenizer.vocabulary_size)
    grown = NumpyEngine(config, grown_weights(parent, tokenizer))
    text = "the cat sat on a mat, and nothing went on."
    former = former_ids(tokenizer, parent.tokenizer)
    new_id = np.argsort(np.where(former < 0, 1000, former))[: parent.record.model.vocabulary_size]
    old_ids = parent.tokenizer.encode(text)
    expected = NumpyEngine(parent.record.model, parent.weights).read(old_ids).logits
    found = grown.read(new_id[old_ids]).logits[new_id]
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("symbol", "like"), [("Z", "z"), ("É", "e"), ("\u2019", "'"), ("ﬁ", "fi")])
def test_a_character_begins_like_its_known_form(symbol, like):
    parent = make_stored_model(symbols="".join(sorted(ALPHABET + "'")))
    tokenizer = CharacterTokenizer("".join(sorted(ALPHABET + "'" + symbol)))
    weights = grown_weights(parent, tokenizer)
    ids, old_ids = tokenizer.encode(symbol), parent.tokenizer.encode(like)
    for new, old in zip(token_rows(weights), token_rows(parent.weights), strict=True):
        np.testing.assert_allclose(new[ids[0]], old[old_ids].mean(axis=0), rtol=1e-6)


@pytest.mark.parametrize(("count", "factor"), [(4, 5 / 40), (39, 1), (9999, 1)])
def test_a_character_is_rarer_than_its_known_form_as_in_the_text_and_never_more_frequent(count, factor):
    parent, tokenizer = make_stored_model(), CharacterTokenizer("".join(sorted(ALPHABET + "Z")))
    counts = np.full(tokenizer.vocabulary_size, 39)
    counts[tokenizer.encode("Z")] = count
    bias = grown_weights(parent, tokenizer, counts)["output.bias"]
    capital, small = tokenizer.encode("Zz")
    assert bias[capital] - bias[small] == pytest.approx(np.log(factor), abs=1e-5)


def test_a_character_of_which_nothing_is_known_begins_like_the_mean_with_a_seeded_noise():
    parent, tokenizer = make_stored_model(), CharacterTokenizer("".join(sorted(ALPHABET + "☃☄")))
    first, same, other = (grown_weights(parent, tokenizer, seed=seed) for seed in (0, 0, 1))
    snowman, comet = tokenizer.encode("☃☄")
    for new, again, another, old in zip(*map(token_rows, (first, same, other, parent.weights)), strict=True):
        offset = (new[[snowman, comet]] - old.mean(axis=0)) / old.std(axis=0)
        assert 0 < np.abs(offset).max() < 0.5
        assert not np.allclose(new[snowman], new[comet])
        assert np.array_equal(new, again)
        assert not np.array_equal(new[snowman], another[snowman])


def test_its_bias_is_that_of_the_others_and_how_frequent_it_is_among_them():
    parent, tokenizer = make_stored_model(), CharacterTokenizer("".join(sorted(ALPHABET + "☃")))
    counts = np.full(tokenizer.vocabulary_size, 99)
    counts[tokenizer.encode("☃")] = 9
    bias = grown_weights(parent, tokenizer, counts)["output.bias"]
    old_bias = parent.weights["output.bias"].astype(np.float64)
    assert bias[tokenizer.encode("☃")[0]] == pytest.approx(old_bias.mean() + np.log(10 / 100), abs=1e-5)


def test_a_word_begins_like_the_characters_that_spelled_it_new_ones_among_them():
    parent, tokenizer = PARENTS["words, documents"], GROWN["words, documents"]
    counts = np.full(tokenizer.vocabulary_size, 99)
    counts[tokenizer.encode(" fez")] = 19
    weights = grown_weights(parent, tokenizer, counts)
    (fez,), (ee,) = tokenizer.encode(" fez"), tokenizer.encode("ÉÉ")
    embedding, old = weights["embedding"], parent.weights["embedding"]
    np.testing.assert_allclose(embedding[fez], old[[ALPHABET.index(s) for s in " fez"]].mean(axis=0), atol=1e-6)
    np.testing.assert_allclose(embedding[ee], embedding[tokenizer.symbols.index("É")], atol=1e-6)
    expected = parent.weights["output.bias"].mean(dtype=np.float64) + np.log(20 / 100)
    assert weights["output.bias"][fez] == pytest.approx(expected, abs=1e-5)


# ---- the record


@pytest.mark.parametrize(("name", "words_added"), [("characters", 0), ("words, documents", 2)])
def test_the_record_says_which_model_it_was_and_what_it_lacked(name, words_added):
    record = parent_record(PARENTS[name], GROWN[name], CorpusRecord(name="other"))
    assert (record.name, record.sha256) == ("tiny", "0" * 64)
    assert (record.symbols_added, record.words_added) == (3, words_added)
    assert record.read_before is None


def test_the_record_says_how_much_of_the_text_the_model_had_read_before():
    words = "".join(f"word{n} " for n in range(30_000))
    sketch = sketch_of([words]).to_text()
    parent = PARENTS["characters"]
    record = dataclasses.replace(parent.record, corpus=CorpusRecord(name="tiny", sketch=sketch))
    half = sketch_of([words[: len(words) // 2] + "".join(f"other{n} " for n in range(15_000))]).to_text()
    share = parent_record(parent._replace(record=record), GROWN["characters"], CorpusRecord(sketch=half)).read_before
    assert 0.3 < share < 0.7
