"""A size that was chosen from a guess of the machine's speed is chosen again where training turns out otherwise."""

import dataclasses

import pytest
from test_progress import Screen

import textgen.training.budget
import textgen.training.run
from textgen import sizing
from textgen.config import TrainingConfig
from textgen.model.devices import Device
from textgen.sizing import PRESETS, Choice
from textgen.training.budget import Speed
from textgen.training.plan import MISJUDGED
from textgen.training.reporting import Reporter
from textgen.training.request import new_plan
from textgen.training.run import Run

TEXT = "".join(
    f"{n} sheep were counted, and then {n * 7 % 101} more.\n" for n in range(18_000)
)  # long enough for `medium`
RATE = 100e9


@pytest.fixture(autouse=True)
def machine(monkeypatch):
    """One of known speed, by NumPy."""
    monkeypatch.setattr(sizing, "recurrent_rate", lambda: RATE)


def plan_of(tmp_path, given: dict | None = None, preset: str | None = None, **budget):
    (tmp_path / "sheep.txt").write_text(TEXT)
    training = TrainingConfig(**{"minutes": 5.0} | budget | (given or {}))
    return new_plan(
        [tmp_path / "sheep.txt"], models_dir=tmp_path, training=training, choice=Choice(given or {}, preset)
    )


def test_a_speed_that_is_about_right_changes_nothing(tmp_path):
    plan = plan_of(tmp_path)
    assert plan.suited.preset == "medium"
    for share in (1 / MISJUDGED + 0.01, 1.0, MISJUDGED - 0.01):
        assert plan.at_speed(share * plan.suited.tokens_per_second) is plan


def test_a_tenth_of_the_speed_gets_the_model_that_a_machine_of_a_tenth_gets(tmp_path, monkeypatch):
    plan = plan_of(tmp_path)
    slow = plan.at_speed(plan.suited.tokens_per_second / 10)
    monkeypatch.setattr(sizing, "recurrent_rate", lambda: RATE / 10)
    expected = plan_of(tmp_path)
    assert expected.suited.preset == "small"
    assert (slow.model, slow.training, slow.suited.preset) == (expected.model, expected.training, "small")
    assert slow.model != plan.model


def test_what_was_given_stays_whatever_the_speed(tmp_path):
    plan = plan_of(tmp_path, given={"dropout": 0.33, "batch_size": 8})
    slow = plan.at_speed(plan.suited.tokens_per_second / 10)
    assert slow.model.units < plan.model.units
    assert (slow.training.dropout, slow.training.batch_size) == (0.33, 8)
    preset = plan_of(tmp_path, preset="medium")
    assert preset.at_speed(preset.suited.tokens_per_second / 1000).model == preset.model


@pytest.mark.parametrize("budget", [{"minutes": None, "steps": 500}, {"minutes": None, "epochs": 2.0}])
def test_a_budget_of_steps_or_passes_does_not_ask_for_the_speed(tmp_path, budget):
    plan = plan_of(tmp_path, **budget)
    assert plan.at_speed(1.0) is plan


def test_settings_that_nobody_left_open_stay(tmp_path):
    plan = dataclasses.replace(plan_of(tmp_path), suited=None)
    assert plan.at_speed(1.0) is plan


def test_a_run_on_a_slow_machine_trains_the_smaller_model_and_says_so(tmp_path, monkeypatch):
    """The first rehearsal is a hundred times as slow as reckoned; the steps are those of the second."""
    monkeypatch.setattr(textgen.training.run, "choose_device", lambda cell: Device("GPU", False, "said by the test"))
    plan = plan_of(tmp_path)
    positions = plan.training.batch_size * plan.training.sequence_length
    slow = Speed(100 * positions / plan.suited.tokens_per_second, 0.0)
    rehearsed, told = [], []

    def rehearse(plan, step, evaluate, budget_seconds):
        rehearsed.append((plan.model.units, step.model.config.units))
        return slow if len(rehearsed) == 1 else Speed(1.0, 0.0)

    class Listener(Reporter):
        def planned_again(self, plan, tokens_per_second):
            told.append((plan.model.units, tokens_per_second))

    monkeypatch.setattr(textgen.training.budget, "rehearse", rehearse)
    run = Run(plan, Listener())
    run.measure()
    tiny = PRESETS["tiny"].units
    assert rehearsed == [(PRESETS["medium"].units,) * 2, (tiny, tiny)]
    assert told == [(tiny, pytest.approx(plan.suited.tokens_per_second / 100))]
    assert run.model.config == run.plan.model
    assert (run.plan.model.units, run.step.config) == (tiny, run.plan.training)
    assert 200 < run.plan.total_steps < 300  # of a second each, less evaluations and saving


def test_a_run_at_the_speed_that_was_reckoned_with_rehearses_once(tmp_path, monkeypatch):
    monkeypatch.setattr(textgen.training.run, "choose_device", lambda cell: Device("GPU", False, "said by the test"))
    plan, rehearsed = plan_of(tmp_path), []
    positions = plan.training.batch_size * plan.training.sequence_length

    def rehearse(*arguments):
        rehearsed.append(arguments)
        return Speed(positions / plan.suited.tokens_per_second, 0.0)

    monkeypatch.setattr(textgen.training.budget, "rehearse", rehearse)
    run = Run(plan)
    run.measure()
    assert len(rehearsed) == 1
    assert run.plan.model == plan.model


def test_the_terminal_shows_the_other_model(tmp_path):
    plan, screen = plan_of(tmp_path), Screen()
    slow = plan.at_speed(plan.suited.tokens_per_second / 10)
    screen.reporter.planned_again(slow, 3_456.7)
    lines = screen.lines
    assert lines[0] == "     speed  3,457 tokens per second, which changes what is best:"
    assert lines[1].startswith("      size  small: the budget pays for ")
    assert lines[2].startswith("     model  2 x 128 LSTM")
    assert lines[3].startswith("  training  batches of 16 x 64")
