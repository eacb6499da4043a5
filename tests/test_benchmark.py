"""`textgen benchmark` measures models as `textgen train` makes them."""

import pytest

from textgen import benchmark
from textgen.benchmark import TOKENS, VOCABULARY, measure
from textgen.cli import main
from textgen.config import ModelConfig, TrainingConfig
from textgen.recipe import Asked, Facts, fill

RATE = 100e9


@pytest.fixture
def measured(monkeypatch) -> list[tuple[ModelConfig, TrainingConfig]]:
    """What is measured, in place of measuring it."""
    measured = []
    monkeypatch.setattr(benchmark, "recurrent_rate", lambda: RATE)
    monkeypatch.setattr(benchmark, "_measure_one", lambda *configs: measured.append(configs))
    return measured


def test_every_size_has_the_settings_of_the_recipe_for_a_long_text(measured):
    training = TrainingConfig(batch_size=4)
    list(measure(training, [64, 300]))
    facts = Facts("char", TOKENS, VOCABULARY, RATE)
    recipes = [fill(Asked(ModelConfig(units=units), training), facts) for units in (64, 300)]
    assert measured == [(recipe.model, recipe.training) for recipe in recipes]
    assert [config.batch_size for _, config in measured] == [4, 4]


def test_a_number_that_is_measured_is_what_was_made(monkeypatch):
    """A real one, of a very small model."""
    monkeypatch.setattr(benchmark, "MEASURED_SECONDS", 0.0)
    (row,) = measure(TrainingConfig(batch_size=2, sequence_length=4), [3])
    assert (row.units, row.num_layers) == (3, ModelConfig().num_layers)
    assert min(row.training_tokens_per_second, row.sampling_tokens_per_second, row.seconds_to_compile) > 0


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--units", "0"], "--units must be at least 1. Received: 0"),
        (["--units", "64", "--batch-size", "0"], "--batch-size must be at least 1. Received: 0"),
        (["--units", "65536", "--batch-size", "65536"], "training needs about "),
    ],
)
def test_a_wrong_size_is_said_before_anything_is_measured(flags, said, measured, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["benchmark", *flags])
    printed = capsys.readouterr()
    assert (ended.value.code, printed.out, printed.err.count("\n")) == (2, "", 1)
    assert printed.err.startswith(f"textgen: {said}")
    assert measured == []
