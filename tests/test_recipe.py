"""The recipe: every setting that nobody has decided, from the corpus, the budget and the machine."""

import dataclasses
import math

import pytest
from conftest import model_config
from hypothesis import given, settings
from hypothesis import strategies as st

from textgen.config import PRESET_NAMES, STORAGES, SUITS, ModelConfig, TextConfig, TrainingConfig
from textgen.cores import available_cores
from textgen.corpus.catalogue import CATALOGUE, STARTER_NAME
from textgen.dataset.batches import minimum_tokens
from textgen.errors import SettingError
from textgen.recipe import (
    DECAY_PASSES,
    DECAY_STEPS,
    EMBEDDING_SIZE,
    FEW_STEPS,
    LONG_TEXT,
    MAX_DECAY,
    MINUTES,
    MISJUDGED,
    MOST_SCORED,
    NUM_SAMPLED,
    PRESETS,
    RATE_BY_STEPS,
    SMALL_BATCH,
    TRAINING_SHARE,
    Asked,
    Facts,
    Recipe,
    fill,
    operations_per_token,
    recurrent_rate,
    recurrent_weights,
    suited_level,
    tokens_per_second,
    weight_decay,
)
from textgen.schema import names_of
from textgen.store.model_directory import num_parameters

RATE = 180e9  # operations per second of an LSTM's steps in NumPy, on two cores
BUDGETS = ("minutes", "epochs", "steps")


def facts_of(level: str = "char", num_tokens: int = 1_000_000, num_ids: int = 65, **more) -> Facts:
    return Facts(level, num_tokens, num_ids, **{"operations_per_second": RATE} | more)


def filled(level: str = "char", num_tokens: int = 1_000_000, preset: str | None = None, **asked) -> Recipe:
    """The recipe for what is asked for: settings of the model and of the training."""
    shape = {name: asked.pop(name) for name in names_of(ModelConfig) if name in asked}
    return fill(Asked(ModelConfig(**shape), TrainingConfig(**asked), preset), facts_of(level, num_tokens))


# ---- what is decided, and what stays


def open_fields(config: type) -> list[dataclasses.Field]:
    """The fields whose default leaves the choice to the recipe."""
    return [field for field in dataclasses.fields(config) if field.default is None]


MODEL_VALUES = {
    "embedding_size": st.integers(1, 600),
    "units": st.integers(1, 600),
    "tied": st.booleans(),
    "skip": st.booleans(),
    "num_layers": st.integers(1, 4),
    "cell": st.sampled_from(["lstm", "gru", "rnn"]),
}
TRAINING_VALUES = {
    "batch_size": st.integers(1, 64),
    "learning_rate": st.floats(1e-6, 10),
    "dropout": st.floats(0, 0.9),
    "activation_reg": st.floats(0, 100),
    "weight_decay": st.floats(0, 10),
    "bias_rate": st.floats(0, 1000),
    "schedule": st.sampled_from(["one-cycle", "slanted", "constant"]),
    "num_sampled": st.integers(0, 2_000),
    "storage": st.sampled_from(STORAGES),
    "sequence_length": st.integers(1, 256),
    "cores": st.integers(1, 64),
    "seed": st.integers(0, 9),
}
BUDGET_VALUES = st.sampled_from(
    [{}, {"minutes": 0.01}, {"minutes": 30.0}, {"epochs": 3.0}, {"steps": 1}, {"steps": 10**6}]
)
OPEN = [field for config in (ModelConfig, TrainingConfig) for field in open_fields(config)]


def test_the_values_above_are_of_every_setting_that_is_left_open():
    assert {field.name for field in OPEN} - set(BUDGETS) <= MODEL_VALUES.keys() | TRAINING_VALUES.keys()


def some_of(values: dict[str, st.SearchStrategy]) -> st.SearchStrategy:
    """Any subset of the settings, each with a value."""
    return st.fixed_dictionaries({}, optional=values)


@settings(max_examples=300)
@given(
    some_of(MODEL_VALUES),
    some_of(TRAINING_VALUES),
    BUDGET_VALUES,
    st.sampled_from([None, *PRESET_NAMES]),
    st.builds(
        facts_of,
        st.sampled_from(["char", "word"]),
        st.integers(2, 10**9),
        st.integers(2_001, 50_000),  # so many that no number of sampled ones is all of them
        begins_at=st.none() | st.floats(0, 2),
    ),
)
def test_what_is_given_stays_and_nothing_else_is_left_open(shape, training, budget, preset, facts):
    recipe = fill(Asked(ModelConfig(**shape), TrainingConfig(**training | budget), preset), facts)
    found = recipe.model.to_json() | recipe.training.to_json()
    assert {name: found[name] for name in shape | training | budget} == shape | training | budget
    assert {name for name in found if found[name] is None} == set(BUDGETS) - set(budget or {"minutes": MINUTES})
    assert recipe.model.vocabulary_size == facts.num_ids


@pytest.mark.parametrize("level", ["char", "word"])
@pytest.mark.parametrize("field", OPEN, ids=lambda field: field.name)
def test_every_setting_without_a_default_is_filled(field, level):
    """A field with the default None that the recipe does not know is found here."""
    recipe = filled(level)
    value = getattr(recipe.model if field.name in names_of(ModelConfig) else recipe.training, field.name)
    assert (value is None) == (field.name in ("epochs", "steps"))


@pytest.mark.parametrize("config", [ModelConfig, TrainingConfig])
def test_every_setting_with_a_default_has_it(config):
    """This is why help may show it."""
    recipe = filled()
    found = recipe.model if config is ModelConfig else recipe.training
    for field in dataclasses.fields(config):
        if field.default is not None and field.name != "vocabulary_size":
            assert getattr(found, field.name) == field.default


# ---- what help says of a setting without a default


def test_help_says_of_every_setting_that_is_decided_by_a_rule_that_it_suits_or_which():
    rules = {
        f.name: f.metadata["unset"] for config in (TextConfig, ModelConfig, TrainingConfig) for f in open_fields(config)
    }
    stated = {name: rule for name, rule in rules.items() if rule != SUITS}
    assert stated == {
        "level": "that of the model it begins with, else char; word for the starter corpus",
        "vocabulary_size": "30000, or all words that occur twice",  # see test_tokenizers_word_pieces.py
        "document_separator": "",
        "column": "",
        "include": "all that is text",
        "tied": "on for words, off for characters",
        "skip": "on for characters, off for words",
        "minutes": "2",
        "epochs": "",
        "steps": "",
        "num_sampled": "0 up to 4096 ids, else 1024, or 2048 to adapt a model that knows the text well",
        "schedule": "slanted to adapt a model of words that knows the text very well, else one-cycle",
        "bias_rate": "20 to adapt a model of words that knows the text well, else 1",
        "storage": "that of the model it begins with, else float32",
        "cores": "those there are when it begins",
    }


def test_the_rules_that_help_states_are_the_recipe_s(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "novel.txt").write_text("the cat")
    assert (suited_level([]), suited_level(["novel.txt"])) == ("word", "char")
    assert {entry.name for entry in CATALOGUE if suited_level([entry.name]) == "word"} == {STARTER_NAME}
    assert (MINUTES, MOST_SCORED, NUM_SAMPLED) == (2, 4096, 1024)
    words, characters = filled("word"), filled("char")
    assert (words.model.tied, characters.model.tied) == (True, False)
    assert (words.model.skip, characters.model.skip) == (False, True)
    assert words.training.minutes == characters.training.minutes == 2
    sampled = [fill(Asked(ModelConfig(), TrainingConfig()), facts_of("word", num_ids=n)) for n in (4096, 4097)]
    assert [recipe.training.num_sampled for recipe in sampled] == [0, 1024]


@pytest.mark.parametrize(("given_number", "settled"), [(0, 0), (5, 5), (64, 64), (65, 0), (9_999, 0)])
def test_a_sample_of_all_tokens_is_none(given_number, settled):
    """There are 65."""
    assert filled("word", num_sampled=given_number).training.num_sampled == settled


# ---- the rules


def test_two_minutes_on_two_cores_worked_by_hand():
    """4 gates of 256 from 64 and 256 numbers, and of 256 from 256 and 256; the next size would get too few tokens."""
    weights = 4 * 256 * (64 + 256) + 4 * 256 * (256 + 256)
    assert recurrent_weights(256, 64) == weights
    assert operations_per_token("char", 256, 65) == 6 * (weights + 256 * 65)
    found = filled(minutes=2.0)
    tokens = TRAINING_SHARE * 120 * 1.75 * RATE / (6 * (weights + 256 * 65))
    assert found.tokens == pytest.approx(tokens)
    assert found.preset == "medium"
    shape = {"vocabulary_size": 65, "units": 256, "embedding_size": EMBEDDING_SIZE, "tied": False, "skip": True}
    assert found.model == ModelConfig(**shape)
    decay = float(f"{1 / (0.012 * DECAY_PASSES * 1e6 / (16 * 64)):.2g}")
    expected = {"batch_size": 16, "dropout": 0.2, "learning_rate": 0.012, "weight_decay": decay, "activation_reg": 0.0}
    expected |= {"bias_rate": 1.0, "schedule": "one-cycle", "storage": "float32", "cores": available_cores()}
    assert found.training == TrainingConfig(minutes=2.0, num_sampled=0, **expected)  # of 32 it would be 2,800 steps
    assert found.reason == f"{tokens / weights:.1f} tokens for each weight, {tokens / 1e6:.1f} passes"


def test_more_minutes_get_a_larger_model_and_never_a_smaller_one():
    found = [filled(num_tokens=10**7, minutes=minutes).preset for minutes in (0.01, 0.1, 0.5, 1, 2, 5, 15, 45, 300)]
    assert [PRESET_NAMES.index(preset) for preset in found] == sorted(map(PRESET_NAMES.index, found))
    assert (found[0], found[-1]) == ("tiny", "large")


@pytest.mark.parametrize(("larger", "smaller"), [("medium", "small"), ("large", "medium")])
def test_a_text_that_is_short_for_a_size_gets_a_smaller_one_however_long_it_is_trained(larger, smaller):
    enough = math.ceil(LONG_TEXT * recurrent_weights(PRESETS[larger].units, EMBEDDING_SIZE))
    assert filled(num_tokens=enough, epochs=50.0).preset == larger
    found = filled(num_tokens=enough - 1, epochs=50.0)
    assert found.preset == smaller
    assert found.reason.endswith("50.0 passes; the text is too short for more weights")
    assert filled(num_tokens=enough - 1, epochs=50.0, preset=larger).reason.endswith("50.0 passes")


def test_a_short_text_keeps_the_two_small_sizes_and_words_keep_all():
    assert filled(num_tokens=10_000, epochs=1000.0).preset == "small"
    assert filled("word", num_tokens=10_000, epochs=1000.0).preset == "medium"


def test_words_that_are_read_more_often_get_more_dropout_and_a_penalty():
    found = [filled("word", preset="small", epochs=epochs).training for epochs in (1.0, 12.0, 13.0, 41.0)]
    assert [training.dropout for training in found] == [0.2, 0.2, 0.3, 0.4]
    assert [training.activation_reg for training in found] == [0, 0, 2, 2]
    assert filled("char", preset="small", epochs=41.0).training.activation_reg == 0


def test_more_passes_over_the_text_get_more_dropout():
    found = [filled(num_tokens=n, minutes=2.0).training.dropout for n in (10**8, 2 * 10**6, 10**6, 2 * 10**5, 10**4)]
    assert found == [0.05, 0.1, 0.2, 0.3, 0.3]


@pytest.mark.parametrize("budget", [{"epochs": 8.0}, {"steps": 4_000_000 // (32 * 64)}])
def test_passes_and_steps_are_a_budget_too(budget):
    found = filled(num_tokens=500_000, units=256, **budget)
    assert found.tokens == pytest.approx(4e6, rel=1e-3)
    assert (found.preset, found.training.dropout) == ("medium", 0.2)


def test_the_rule_is_tokens_for_each_weight():
    weights = recurrent_weights(256, EMBEDDING_SIZE)
    just_enough, too_few = (PRESETS["medium"].tokens_per_weight * weights / 1e6 * share for share in (1.001, 0.999))
    assert filled(epochs=just_enough).preset == "medium"
    assert filled(epochs=too_few).preset == "small"


@pytest.mark.parametrize("preset", PRESET_NAMES)
def test_a_preset_that_is_asked_for_is_taken(preset):
    found = filled(preset=preset, minutes=0.1)
    assert (found.preset, found.model.units) == (preset, PRESETS[preset].units)


def test_a_preset_that_does_not_exist_is_refused():
    with pytest.raises(SettingError, match=r"`preset` must be one of tiny, small, medium, large\. Received: 'huge'"):
        filled(preset="huge", minutes=1.0)


def test_units_that_are_given_are_a_size_of_their_own():
    found = filled(units=300, minutes=2.0)
    assert (found.preset, found.model.units) == ("medium", 300)
    assert found.tokens < filled(minutes=2.0).tokens


def test_a_batch_size_that_is_given_counts_in_a_budget_of_steps():
    assert filled(batch_size=8, sequence_length=16, steps=100).tokens == 100 * 8 * 16


def test_words_have_embeddings_as_wide_as_their_layers_and_no_larger_model_than_was_measured():
    found = filled("word", minutes=1000.0)
    assert (found.preset, found.model.units, found.model.embedding_size) == ("medium", 256, 256)
    assert (found.training.batch_size, found.training.learning_rate) == (16, 0.006)


@pytest.mark.parametrize("num_tokens", [128, 200, 600, 2111, 2112, 10**6])
def test_a_short_text_is_cut_into_as_few_streams_as_it_fills(num_tokens):
    batch_size = filled(num_tokens=num_tokens, preset="medium", minutes=1000.0).training.batch_size
    assert minimum_tokens(batch_size, 64) <= num_tokens
    assert batch_size == 32 or minimum_tokens(2 * batch_size, 64) > num_tokens


def test_the_speed_is_a_share_of_the_machines():
    once, twice = (
        tokens_per_second(PRESETS["large"], facts_of(operations_per_second=share * RATE)) for share in (1, 2)
    )
    assert twice == pytest.approx(2 * once)


def test_the_rate_is_that_of_this_machine():
    assert 1e6 < recurrent_rate(units=32, rounds=2) < 1e15
    assert recurrent_rate(units=256, rounds=20) > 2 * recurrent_rate(
        units=8, rows=1, rounds=20
    )  # which is mostly calls


def test_the_weights_that_count_are_those_of_the_layers():
    config = model_config(vocabulary_size=65, units=256, embedding_size=64)
    others = 65 * 64 + 256 * 65 + 65 + 2 * 4 * 256  # embedding, output, biases
    assert recurrent_weights(256, 64) == num_parameters(config) - others


def test_a_budget_of_few_steps_is_spent_on_smaller_ones():
    operations = operations_per_token("char", 256, 65)
    minutes = FEW_STEPS * 32 * 64 * operations / (TRAINING_SHARE * 60 * PRESETS["medium"].share * RATE)
    assert filled(preset="medium", minutes=1.01 * minutes).training.batch_size == 32
    assert filled(preset="medium", minutes=0.99 * minutes).training.batch_size == SMALL_BATCH
    assert filled(preset="medium", steps=FEW_STEPS - 1).training.batch_size == 32


def test_few_steps_get_a_higher_learning_rate():
    limit = RATE_BY_STEPS[0][0]
    for level in ("char", "word"):
        found = [filled(level, preset="large", steps=n).training for n in (10, limit, limit + 1, 10**6)]
        assert [training.learning_rate for training in found] == [0.012, 0.012, 0.006, 0.006]


@pytest.mark.parametrize("preset", PRESET_NAMES)
def test_characters_of_a_long_text_get_the_higher_rate_in_long_runs_too(preset):
    enough = math.ceil(LONG_TEXT * recurrent_weights(PRESETS[preset].units, EMBEDDING_SIZE))
    found = [filled(num_tokens=n, preset=preset, steps=10**6).training for n in (enough - 1, enough)]
    assert [training.learning_rate for training in found] == [0.006, 0.012]
    assert filled("word", num_tokens=10**9, preset=preset, steps=10**6).training.learning_rate == 0.006


def test_the_learning_rate_counts_the_steps_of_the_batch_size_that_is_given():
    """Eight times the streams make an eighth of the steps."""
    passes = 2 * RATE_BY_STEPS[0][0] * 16 * 64 / 1e6
    assert filled("word", preset="small", epochs=passes).training.learning_rate == 0.006
    assert filled("word", preset="small", epochs=passes, batch_size=128).training.learning_rate == 0.012


@pytest.mark.parametrize(("batch_size", "rate"), [(8, 0.006), (32, 0.006), (32, 0.02)])
def test_left_alone_a_weight_shrinks_by_e_in_the_same_number_of_passes(batch_size, rate):
    given = {"batch_size": batch_size, "learning_rate": rate}
    decay = filled(**given, epochs=10.0).training.weight_decay
    steps = DECAY_PASSES * 1e6 / (batch_size * 64)
    assert (1 - decay * rate) ** steps == pytest.approx(math.exp(-1), rel=0.06)  # of two digits


def test_the_decay_of_a_short_text_leaves_a_weight_some_steps():
    assert weight_decay(0.5, 0.01) == weight_decay(DECAY_STEPS / DECAY_PASSES, 0.01) == 1 / (0.01 * DECAY_STEPS)
    assert weight_decay(0.5, 1e-9) == MAX_DECAY


@pytest.mark.parametrize(
    ("begins_at", "passes", "num_tokens", "rate"),
    [
        (0.5, 1, 50_000, 0.003),
        (0.5, 3, 50_000, 0.002),
        (0.5, 4, 50_000, 0.002),
        (0.5, 8, 50_000, 0.001),
        (0.5, 16, 50_000, 0.0005),
        (0.5, 80, 50_000, 0.0005),
        (0.5, 8, 5_000, 0.0005),  # a diary
        (0.8, 3, 50_000, 0.003),
        (0.8, 12, 50_000, 0.002),
        (0.8, 60, 5_000, 0.002),
    ],
)
def test_the_more_often_a_known_text_is_read_the_gentler_is_the_rate(begins_at, passes, num_tokens, rate):
    facts = facts_of(begins_at=begins_at)._replace(num_tokens=num_tokens)
    asked = Asked(ModelConfig(), TrainingConfig(epochs=float(passes)))
    assert fill(asked, facts).training.learning_rate == pytest.approx(rate)


def test_the_rate_follows_the_passes_that_the_minutes_were_measured_to_pay_for():
    model = ModelConfig(units=512, embedding_size=256)
    recipe = fill(Asked(model, TrainingConfig(minutes=1.0)), facts_of("word", begins_at=0.5))
    quick, slow = recipe.in_passes(8.0), recipe.in_passes(2.0)
    assert (quick.training.learning_rate, slow.training.learning_rate) == (0.001, 0.003)
    assert quick.training == slow.training.replace(learning_rate=0.001)
    assert quick.model == slow.model == recipe.model
    given = fill(Asked(model, TrainingConfig(minutes=1.0, learning_rate=0.004)), facts_of("word", begins_at=0.5))
    assert given.in_passes(8.0).training == given.training
    for budget, begins_at in ((TrainingConfig(epochs=3.0), 0.5), (TrainingConfig(minutes=1.0), None)):
        other = fill(Asked(model, budget), facts_of("word", begins_at=begins_at))
        assert other.in_passes(8.0) is other


@pytest.mark.parametrize(("begins_at", "num_sampled"), [(0.5, 2048), (0.8, 2048), (0.9, 1024), (None, 1024)])
def test_a_text_that_is_known_well_is_taught_with_more_words_a_step(begins_at, num_sampled):
    facts = facts_of("word", num_ids=30_000, begins_at=begins_at)
    asked = Asked(ModelConfig(), TrainingConfig(epochs=3.0))
    assert fill(asked, facts).training.num_sampled == num_sampled
    assert fill(asked, facts._replace(num_ids=MOST_SCORED)).training.num_sampled == 0


@pytest.mark.parametrize(
    ("level", "begins_at", "bias_rate"),
    [("word", 0.5, 20.0), ("word", 0.9, 1.0), ("word", None, 1.0), ("char", 0.5, 1.0)],
)
def test_how_often_words_occur_is_learned_sooner_where_a_model_knows_the_text_well(level, begins_at, bias_rate):
    facts = facts_of(level, begins_at=begins_at)
    assert fill(Asked(ModelConfig(), TrainingConfig(epochs=3.0)), facts).training.bias_rate == bias_rate
    asked = Asked(ModelConfig(), TrainingConfig(epochs=3.0, bias_rate=2.0))
    assert fill(asked, facts).training.bias_rate == 2.0


@pytest.mark.parametrize(
    ("level", "begins_at", "schedule"),
    [
        ("word", 0.5, "slanted"),
        ("word", 0.7, "one-cycle"),
        ("word", 0.9, "one-cycle"),
        ("word", None, "one-cycle"),
        ("char", 0.5, "one-cycle"),
    ],
)
def test_the_rate_rises_for_longer_where_a_model_knows_the_text_very_well(level, begins_at, schedule):
    facts = facts_of(level, begins_at=begins_at)
    assert fill(Asked(ModelConfig(), TrainingConfig(epochs=3.0)), facts).training.schedule == schedule
    asked = Asked(ModelConfig(), TrainingConfig(epochs=3.0, schedule="constant"))
    assert fill(asked, facts).training.schedule == "constant"


def test_what_a_trained_model_knows_does_not_fade_unless_that_is_asked_for():
    facts = facts_of(begins_at=0.5)
    asked = Asked(ModelConfig(units=128, embedding_size=64), TrainingConfig())
    assert fill(asked, facts).training.weight_decay == 0
    assert fill(asked, facts._replace(begins_at=None)).training.weight_decay > 0
    assert fill(asked._replace(training=TrainingConfig(weight_decay=0.5)), facts).training.weight_decay == 0.5


# ---- another speed than was expected


def at_share_of_speed(recipe: Recipe, share: float) -> Recipe:
    return recipe.at_speed(share * recipe.tokens_per_second)


def test_a_speed_that_is_about_right_changes_nothing():
    recipe = filled(minutes=5.0)
    assert recipe.preset == "medium"
    for share in (1 / MISJUDGED + 0.01, 1.0, MISJUDGED - 0.01):
        assert at_share_of_speed(recipe, share) is recipe


def test_a_tenth_of_the_speed_gets_what_a_machine_of_a_tenth_gets():
    recipe = filled(minutes=5.0)
    slow = at_share_of_speed(recipe, 0.1)
    expected = fill(recipe.asked, facts_of(operations_per_second=0.1 * RATE))
    assert expected.preset == "small"
    assert (slow.model, slow.training, slow.preset) == (expected.model, expected.training, "small")
    assert recipe.preset == "medium"  # and is as it was


def test_what_was_given_stays_whatever_the_speed():
    recipe = filled(minutes=5.0, dropout=0.33, batch_size=8)
    slow = at_share_of_speed(recipe, 0.1)
    assert slow.model.units < recipe.model.units
    assert (slow.training.dropout, slow.training.batch_size) == (0.33, 8)
    preset = filled(minutes=5.0, preset="medium")
    assert at_share_of_speed(preset, 0.001).model == preset.model


@pytest.mark.parametrize("budget", [{"steps": 500}, {"epochs": 2.0}])
def test_a_budget_of_steps_or_passes_does_not_ask_for_the_speed(budget):
    recipe = filled(**budget)
    assert at_share_of_speed(recipe, 1e-6) is recipe


def test_a_model_that_has_learned_already_stays_what_it_is():
    facts = facts_of(begins_at=0.5)
    recipe = fill(Asked(ModelConfig(units=256, embedding_size=64), TrainingConfig(minutes=5.0)), facts)
    assert at_share_of_speed(recipe, 1e-3) is recipe


def test_where_everything_is_given_no_speed_changes_anything():
    recipe = filled(minutes=5.0)
    asked = Asked(recipe.model, recipe.training)
    assert at_share_of_speed(fill(asked, recipe.facts), 1e-3).model == recipe.model
