"""The size of a model and its settings, from the corpus and the budget."""

import math

import pytest

from textgen.config import PRESET_NAMES, ModelConfig, TrainingConfig
from textgen.dataset import minimum_tokens
from textgen.errors import SettingError
from textgen.model_store import num_parameters
from textgen.sizing import (
    DECAY_PASSES,
    DECAY_STEPS,
    EMBEDDING_SIZE,
    FEW_STEPS,
    LEARNING_RATE,
    LONG_TEXT,
    MAX_DECAY,
    PRESETS,
    SMALL_BATCH,
    TRAINING_SHARE,
    Choice,
    operations_per_token,
    recurrent_rate,
    recurrent_weights,
    suit,
    tokens_per_second,
    weight_decay,
)

RATE = 180e9  # operations per second of an LSTM's steps in NumPy, on two cores


def suited(level: str = "char", num_tokens: int = 1_000_000, preset: str | None = None, given=None, **budget):
    return suit(level, num_tokens, 65, TrainingConfig(**{"minutes": None} | budget), RATE, Choice(given or {}, preset))


def test_two_minutes_on_two_cores_worked_by_hand():
    """4 gates of 256 from 64 and 256 numbers, and of 256 from 256 and 256; the next size would get too few tokens."""
    weights = 4 * 256 * (64 + 256) + 4 * 256 * (256 + 256)
    assert recurrent_weights(256, 64) == weights
    assert operations_per_token("char", 256, 65) == 6 * (weights + 256 * 65)
    found = suited(minutes=2.0)
    tokens = TRAINING_SHARE * 120 * 1.75 * RATE / (6 * (weights + 256 * 65))
    assert found.tokens == pytest.approx(tokens)
    assert (found.preset, found.shape) == ("medium", {"units": 256, "embedding_size": EMBEDDING_SIZE, "skip": True})
    decay = float(f"{1 / (0.012 * DECAY_PASSES * 1e6 / (16 * 64)):.2g}")
    expected = {"batch_size": 16, "dropout": 0.2, "learning_rate": 0.012, "weight_decay": decay, "activation_reg": 0}
    assert found.training == expected  # of 32 it would be 2,800 steps
    assert found.reason == f"{tokens / weights:.1f} tokens for each weight, {tokens / 1e6:.1f} passes"


def test_more_minutes_get_a_larger_model_and_never_a_smaller_one():
    found = [suited(num_tokens=10**7, minutes=minutes).preset for minutes in (0.01, 0.1, 0.5, 1, 2, 5, 15, 45, 300)]
    assert [PRESET_NAMES.index(preset) for preset in found] == sorted(map(PRESET_NAMES.index, found))
    assert (found[0], found[-1]) == ("tiny", "large")


@pytest.mark.parametrize(("larger", "smaller"), [("medium", "small"), ("large", "medium")])
def test_a_text_that_is_short_for_a_size_gets_a_smaller_one_however_long_it_is_trained(larger, smaller):
    enough = math.ceil(LONG_TEXT * recurrent_weights(PRESETS[larger].units, EMBEDDING_SIZE))
    assert suited(num_tokens=enough, epochs=50.0).preset == larger
    found = suited(num_tokens=enough - 1, epochs=50.0)
    assert found.preset == smaller
    assert found.reason.endswith("50.0 passes; the text is too short for more weights")
    assert suited(num_tokens=enough - 1, epochs=50.0, preset=larger).reason.endswith("50.0 passes")


def test_a_short_text_keeps_the_two_small_sizes_and_words_keep_all():
    assert suited(num_tokens=10_000, epochs=1000.0).preset == "small"
    assert suited("word", num_tokens=10_000, epochs=1000.0).preset == "medium"


def test_words_that_are_read_more_often_get_more_dropout_and_a_penalty():
    found = [suited("word", preset="small", epochs=epochs).training for epochs in (1.0, 12.0, 13.0, 41.0)]
    assert [training["dropout"] for training in found] == [0.2, 0.2, 0.3, 0.4]
    assert [training["activation_reg"] for training in found] == [0, 0, 2, 2]
    assert suited("char", preset="small", epochs=41.0).training["activation_reg"] == 0


def test_more_passes_over_the_text_get_more_dropout():
    found = [suited(num_tokens=n, minutes=2.0).training["dropout"] for n in (10**8, 2 * 10**6, 10**6, 2 * 10**5, 10**4)]
    assert found == [0.05, 0.1, 0.2, 0.3, 0.3]


@pytest.mark.parametrize("budget", [{"epochs": 8.0}, {"steps": 4_000_000 // (32 * 64)}])
def test_passes_and_steps_are_a_budget_too(budget):
    found = suited(num_tokens=500_000, given={"units": 256}, **budget)
    assert found.tokens == pytest.approx(4e6, rel=1e-3)
    assert (found.preset, found.training["dropout"]) == ("medium", 0.2)


def test_the_rule_is_tokens_for_each_weight():
    weights = recurrent_weights(256, EMBEDDING_SIZE)
    just_enough, too_few = (PRESETS["medium"].tokens_per_weight * weights / 1e6 * share for share in (1.001, 0.999))
    assert suited(epochs=just_enough).preset == "medium"
    assert suited(epochs=too_few).preset == "small"


@pytest.mark.parametrize("preset", PRESET_NAMES)
def test_a_preset_that_is_asked_for_is_taken(preset):
    found = suited(preset=preset, minutes=0.1)
    assert (found.preset, found.shape["units"]) == (preset, PRESETS[preset].units)


def test_a_preset_that_does_not_exist_is_refused():
    with pytest.raises(SettingError, match=r"--preset must be one of tiny, small, medium, large\. Received: 'huge'"):
        suited(preset="huge", minutes=1.0)


def test_units_that_are_given_are_reckoned_with():
    found = suited(given={"units": 300}, minutes=2.0)
    assert (found.preset, found.shape["units"]) == ("medium", 300)
    assert found.tokens < suited(minutes=2.0).tokens


def test_a_batch_size_that_is_given_counts_in_a_budget_of_steps():
    assert suited(given={"batch_size": 8, "sequence_length": 16}, steps=100).tokens == 100 * 8 * 16


def test_words_have_embeddings_as_wide_as_their_layers_and_no_larger_model_than_was_measured():
    found = suited("word", minutes=1000.0)
    assert (found.preset, found.shape) == ("medium", {"units": 256, "embedding_size": 256})
    assert (found.training["batch_size"], found.training["learning_rate"]) == (16, 0.006)


@pytest.mark.parametrize("num_tokens", [128, 200, 600, 2111, 2112, 10**6])
def test_a_short_text_is_cut_into_as_few_streams_as_it_fills(num_tokens):
    batch_size = suited(num_tokens=num_tokens, preset="medium", minutes=1000.0).training["batch_size"]
    assert minimum_tokens(batch_size, 64) <= num_tokens
    assert batch_size == 32 or minimum_tokens(2 * batch_size, 64) > num_tokens


def test_the_speed_is_a_share_of_the_machines():
    assert tokens_per_second("char", PRESETS["large"], 65, 2 * RATE) == pytest.approx(
        2 * tokens_per_second("char", PRESETS["large"], 65, RATE)
    )


def test_the_rate_is_that_of_this_machine():
    assert 1e6 < recurrent_rate(units=32, rounds=2) < 1e15
    assert recurrent_rate(units=256, rounds=20) > 2 * recurrent_rate(
        units=8, rows=1, rounds=20
    )  # which is mostly calls


def test_the_weights_that_are_reckoned_with_are_those_of_the_layers():
    config = ModelConfig(vocabulary_size=65, units=256, embedding_size=64)
    others = 65 * 64 + 256 * 65 + 65 + 2 * 4 * 256  # embedding, output, biases
    assert recurrent_weights(256, 64) == num_parameters(config) - others


def test_a_budget_of_few_steps_is_spent_on_smaller_ones():
    operations = operations_per_token("char", 256, 65)
    minutes = FEW_STEPS * 32 * 64 * operations / (TRAINING_SHARE * 60 * PRESETS["medium"].share * RATE)
    assert suited(preset="medium", minutes=1.01 * minutes).training["batch_size"] == 32
    assert suited(preset="medium", minutes=0.99 * minutes).training["batch_size"] == SMALL_BATCH
    assert suited(preset="medium", steps=FEW_STEPS - 1).training["batch_size"] == 32


def test_few_steps_get_a_higher_learning_rate():
    limit = LEARNING_RATE[0][0]
    for level in ("char", "word"):
        found = [suited(level, preset="large", steps=n).training for n in (10, limit, limit + 1, 10**6)]
        assert [training["learning_rate"] for training in found] == [0.012, 0.012, 0.006, 0.006]


@pytest.mark.parametrize("preset", PRESET_NAMES)
def test_characters_of_a_long_text_get_the_higher_rate_in_long_runs_too(preset):
    enough = math.ceil(LONG_TEXT * recurrent_weights(PRESETS[preset].units, EMBEDDING_SIZE))
    found = [suited(num_tokens=n, preset=preset, steps=10**6).training for n in (enough - 1, enough)]
    assert [training["learning_rate"] for training in found] == [0.006, 0.012]
    assert suited("word", num_tokens=10**9, preset=preset, steps=10**6).training["learning_rate"] == 0.006


def test_the_learning_rate_counts_the_steps_of_the_batch_size_that_is_given():
    """Eight times the streams make an eighth of the steps."""
    passes = 2 * LEARNING_RATE[0][0] * 16 * 64 / 1e6
    assert suited("word", preset="small", epochs=passes).training["learning_rate"] == 0.006
    assert suited("word", preset="small", epochs=passes, given={"batch_size": 128}).training["learning_rate"] == 0.012


@pytest.mark.parametrize(("batch_size", "rate"), [(8, 0.006), (32, 0.006), (32, 0.02)])
def test_left_alone_a_weight_shrinks_by_e_in_the_same_number_of_passes(batch_size, rate):
    given = {"batch_size": batch_size, "learning_rate": rate}
    decay = suited(given=given, epochs=10.0).training["weight_decay"]
    steps = DECAY_PASSES * 1e6 / (batch_size * 64)
    assert (1 - decay * rate) ** steps == pytest.approx(math.exp(-1), rel=0.06)  # of two digits


def test_the_decay_of_a_short_text_leaves_a_weight_some_steps():
    assert weight_decay(0.5, 0.01) == weight_decay(DECAY_STEPS / DECAY_PASSES, 0.01) == 1 / (0.01 * DECAY_STEPS)
    assert weight_decay(0.5, 1e-9) == MAX_DECAY
