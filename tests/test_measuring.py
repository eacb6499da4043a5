"""Minutes into steps, another model where the speed is not the expected one, and that measuring leaves no trace."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest
from conftest import make_stored_model, random_weights, trace_plainly
from hypothesis import given
from hypothesis import strategies as st
from plans import plan_of
from screens import shown_plan
from watching import Watcher

from textgen.adapting import MOST_PASSES
from textgen.config import ModelConfig, TrainingConfig
from textgen.recipe import PRESETS, Asked, Facts, Recipe, fill
from textgen.store.model_directory import num_parameters
from textgen.training import measuring
from textgen.training.learner import Learner
from textgen.training.measuring import (
    CHECKPOINT_SECONDS,
    EVALUATIONS,
    MIN_TIMED_STEPS,
    SAVING_SECONDS,
    Measured,
    Speed,
    measure,
    rehearse,
    saving_share,
    steps_in,
)
from textgen.training.pace import MIN_STEPS, Pace
from textgen.training.plan import Plan
from textgen.training.step import TrainStep
from textgen.training.validation import Validation

# ---- steps of a budget


def test_two_minutes_by_hand():
    """120 s, less ten evaluations of a second, a final one of nine, and one for saving: 100 s of 20 ms each."""
    assert SAVING_SECONDS == 1
    assert steps_in(120, Speed(0.02, 1.0), num_evaluations=10, final_evaluation_seconds=9) == 5000


def test_a_step_that_does_not_fit_is_not_begun():
    assert steps_in(101.99, Speed(1.0, 0.0), 10, 0) == 100


@pytest.mark.parametrize("seconds", [-5, 0, 1, 10])
def test_a_budget_that_is_spent_already_still_gives_a_few_steps(seconds):
    assert steps_in(seconds, Speed(1.0, 10.0), 10, 10.0) == MIN_STEPS


@given(st.floats(0, 1e5), st.floats(1e-4, 100), st.floats(0, 100), st.integers(0, 20), st.floats(0, 100))
def test_the_steps_fill_the_budget_and_do_not_overrun_it(seconds, per_step, per_evaluation, evaluations, final):
    steps = steps_in(seconds, Speed(per_step, per_evaluation), evaluations, final)
    fixed = evaluations * per_evaluation + final + SAVING_SECONDS
    assert steps >= MIN_STEPS
    if steps > MIN_STEPS:
        assert fixed + steps * per_step <= seconds * (1 + 1e-9)
        assert fixed + (steps + 1) * per_step > seconds * (1 - 1e-9)


def test_checkpoints_of_a_large_model_take_their_share_of_the_time():
    """8.75 million parameters are 140 MB, 1.4 seconds; every 30 seconds that is 1.4 of 31.4."""
    assert saving_share(8_750_000, 30) == pytest.approx(1.4 / 31.4)
    assert saving_share(0, 30) == 0


# ---- a plan into another plan


class Listener(Watcher):
    """Notes what is said while a run is measured."""

    def __init__(self):
        super().__init__()
        self.said = []

    def inherited(self, plan, parent, loss):
        self.said.append(("inherited", parent.name, loss))

    def measuring(self):
        self.said.append("measuring")

    def planned_again(self, plan, tokens_per_second):
        self.said.append(("planned again", plan.model.units, round(tokens_per_second)))


class FakeLearner:
    """Of a plan; its validation gives 1.5 nats."""

    def __init__(self, plan: Plan | None, num_counted: int = 100, num_counted_fully: int = 100, *, team=None):
        self.plan, self.team = plan, team
        self.validate, self.validate_fully = lambda: 1.5, lambda: 1.5
        self.validate.num_counted, self.validate_fully.num_counted = num_counted, num_counted_fully


class Machine:
    """A machine on which rehearsals are as fast as they are told to be, on a clock that stands still."""

    def __init__(self, patch: pytest.MonkeyPatch):
        self.speeds, self.rehearsed, self.listener = [], [], Listener()
        patch.setattr(measuring, "rehearse", self.rehearse)
        patch.setattr(measuring, "Learner", FakeLearner)
        patch.setattr(measuring, "time", SimpleNamespace(perf_counter=lambda: 1000.0))

    def rehearse(
        self, plan: Plan, learner: FakeLearner, budget_seconds: float, *, has_evaluated: bool = False
    ) -> Speed:
        assert learner.plan in (plan, None)
        self.rehearsed.append((plan.model.units, budget_seconds))
        self.has_evaluated = has_evaluated
        return self.speeds.pop(0)

    def measure(
        self, plan: Plan, *speeds: Speed, started: float = 1000.0, learner: FakeLearner | None = None
    ) -> Measured:
        self.speeds += speeds
        return measure(plan, learner or FakeLearner(plan), started, self.listener)


@pytest.fixture
def machine(monkeypatch) -> Machine:
    return Machine(monkeypatch)


def recipe_of(begins_at: float | None = None, **asked) -> Recipe:
    """For a million characters, on a machine of 180 billion operations per second."""
    model = ModelConfig(**{name: asked.pop(name) for name in ("units", "embedding_size") if name in asked})
    return fill(Asked(model, TrainingConfig(**asked)), Facts("char", 1_000_000, 65, 180e9, begins_at))


def plan_with(recipe: Recipe, **more) -> Plan:
    return dataclasses.replace(shown_plan(), total_steps=None, **more).by(recipe)


def seconds_at(plan: Plan, share: float) -> float:
    """Of a step, at so much of the speed that the recipe expects."""
    positions = plan.training.batch_size * plan.training.sequence_length
    return positions / (share * plan.recipe.tokens_per_second)


def test_a_model_that_begins_trained_makes_no_more_steps_than_the_text_is_worth(machine):
    recipe = recipe_of(begins_at=0.5, minutes=20.0, units=256, embedding_size=64)
    plan = plan_with(recipe)
    worth = plan.batches.steps_for(MOST_PASSES)
    quick, sluggish = Speed(0.0001, 0.01), Speed(2400 / worth, 0.01)
    measured = machine.measure(plan, quick, started=1000.0, learner=FakeLearner(plan, 100, 100))
    assert (measured.plan.total_steps, measured.most_steps) == (worth, worth)
    assert Pace(worth, measured.deadline, measured.most_steps).most_steps == worth
    assert measured.plan.training.learning_rate == 0.001
    measured = machine.measure(plan, sluggish, started=1000.0, learner=FakeLearner(plan, 100, 100))
    assert measured.plan.total_steps < worth
    assert 0.001 < measured.plan.training.learning_rate <= 0.002
    steps = plan_with(recipe_of(begins_at=0.5, steps=10 * worth, units=256, embedding_size=64))
    assert steps.recipe.most_steps(plan.batches) is None


def test_evaluations_take_no_more_than_their_share_of_the_time_and_there_are_two_at_least(machine):
    plan = plan_with(recipe_of(minutes=1.0))
    for seconds, least, most in ((0.1, EVALUATIONS, EVALUATIONS), (1.5, 3, 5), (40.0, 2, 2)):
        speed = Speed(0.01, seconds_per_evaluation=seconds)
        measured = machine.measure(plan, speed, started=1000.0, learner=FakeLearner(plan, 100, 100))
        assert least <= measured.evaluations <= most


def test_minutes_become_steps_in_another_plan_and_the_plan_stays_as_it_was(machine):
    """Ten seconds were spent on planning, the last evaluation takes nine times as long as the others."""
    plan = plan_with(recipe_of(minutes=2.0))
    before = dataclasses.replace(plan)
    speed = Speed(seconds_at(plan, 1.0), seconds_per_evaluation=0.5)
    measured = machine.measure(plan, speed, started=990.0, learner=FakeLearner(plan, 100, 900))
    share = saving_share(num_parameters(plan.model), CHECKPOINT_SECONDS)
    steps = steps_in(110 * (1 - share), speed, EVALUATIONS, 9 * 0.5)
    assert steps > 1000
    assert measured.plan == dataclasses.replace(plan, total_steps=steps)
    assert (measured.seconds_per_step, measured.deadline) == (speed.seconds_per_step, 120 - 9 * 0.5 - SAVING_SECONDS)
    assert (measured.initial_loss, measured.evaluations) == (None, EVALUATIONS)
    assert plan == before
    assert plan.total_steps is None
    assert machine.rehearsed == [(plan.model.units, 120.0)]
    assert machine.listener.said == ["measuring"]


def test_without_a_validation_part_no_time_is_kept_for_it(machine):
    plan = plan_with(recipe_of(minutes=2.0))
    learner = SimpleNamespace(plan=plan, validate=None, validate_fully=None)
    measured = machine.measure(plan, Speed(seconds_at(plan, 1.0), 0.0), learner=learner)
    assert measured.deadline == 120 - SAVING_SECONDS


@pytest.mark.parametrize("budget", [{"steps": 500}, {"epochs": 2.0}])
def test_steps_and_passes_are_only_timed(machine, budget):
    plan = dataclasses.replace(plan_with(recipe_of(**budget)), total_steps=500)
    learner = FakeLearner(plan)
    measured = machine.measure(plan, Speed(1e6, 0.5), learner=learner)
    assert measured == Measured(plan, learner, seconds_per_step=1e6, seconds_per_evaluation=0.5)
    assert machine.rehearsed == [(plan.model.units, 0.0)]


def test_a_slow_machine_gets_the_smaller_model_and_the_steps_of_a_second_rehearsal(machine):
    """It is a hundred times as slow as expected."""
    plan = plan_with(recipe_of(minutes=5.0))
    measured = machine.measure(plan, Speed(seconds_at(plan, 0.01), 0.0), Speed(1.0, 0.0))
    tiny = PRESETS["tiny"].units
    assert machine.rehearsed == [(PRESETS["medium"].units, 300.0), (tiny, 300.0)]
    assert machine.listener.said == ["measuring", ("planned again", tiny, round(plan.recipe.tokens_per_second / 100))]
    assert measured.learner.plan.model == measured.plan.model == measured.plan.recipe.model
    assert (measured.plan.model.units, plan.model.units) == (tiny, PRESETS["medium"].units)
    assert 200 < measured.plan.total_steps < 300  # of a second each, less saving


@pytest.mark.parametrize("share", [0.7, 1.0, 1.4])
def test_about_the_expected_speed_changes_no_setting(machine, share):
    plan = plan_with(recipe_of(minutes=5.0))
    learner = FakeLearner(plan)
    measured = machine.measure(plan, Speed(seconds_at(plan, share), 0.0), learner=learner)
    assert len(machine.rehearsed) == 1
    assert (measured.plan.model, measured.plan.training) == (plan.model, plan.training)
    assert measured.learner is learner


def test_a_model_to_begin_with_is_asked_what_it_knows_and_stays_what_it_is(machine):
    recipe = recipe_of(begins_at=0.5, minutes=5.0, units=256, embedding_size=64)
    plan = plan_with(recipe, begins=make_stored_model(symbols="ab"))
    measured = machine.measure(plan, Speed(seconds_at(plan, 0.01), 0.0))
    assert machine.listener.said == [("inherited", "tiny", 1.5), "measuring"]
    assert measured.initial_loss == 1.5
    assert machine.has_evaluated
    assert measured.plan.model == plan.model


# ---- a rehearsal


@pytest.fixture(scope="module")
def rehearsed(corpus, tmp_path_factory):
    """A plan and its learner after a rehearsal, and what the variables held before."""
    with pytest.MonkeyPatch.context() as patch:
        trace_plainly(patch)
        plan = plan_of(corpus, tmp_path_factory.mktemp("models"), weight_decay=0.1, ema=0.9)
        learner = begun(plan)
    step, validate, calls = learner.step, learner.validate, []
    _, state = step(plan.batches[0], step.zero_state(), 0.003, 0)  # so that the slots are not all zero
    before = variables_of(step)
    learner.step, learner.validate = Recorded(step, calls), Recorded(validate, calls)
    speed = rehearse(plan, learner, 0.0)
    learner.step, learner.validate = step, validate
    return SimpleNamespace(plan=plan, learner=learner, state=state, before=before, speed=speed, calls=calls)


def begun(plan: Plan) -> Learner:
    learner = Learner(plan)
    learner.model.set_named_weights(random_weights(plan.model))
    return learner


class Recorded:
    """A callable that notes its calls, and is otherwise what it stands for."""

    def __init__(self, original, calls: list):
        self.original, self.calls = original, calls

    def __call__(self, *arguments):
        result = self.original(*arguments)
        self.calls.append((type(self.original), variables_of(self.original)))
        return result

    def __getattr__(self, name):
        return getattr(self.original, name)


def variables_of(step) -> list[bytes]:
    variables = step.variables() if hasattr(step, "variables") else step.model.variables
    return [np.asarray(variable).tobytes() for variable in variables]


def test_a_rehearsal_puts_every_variable_back_bit_for_bit(rehearsed):
    step = rehearsed.learner.step
    assert variables_of(step) == rehearsed.before
    steps = [variables for kind, variables in rehearsed.calls if kind is TrainStep]
    assert steps[-1] != rehearsed.before  # it did train meanwhile
    assert len(rehearsed.before) == len(step.model.variables) + 2 + 3 * len(step.model.trainable_variables)


def test_a_rehearsal_makes_a_few_steps_and_two_evaluations_and_says_how_long_they_take(rehearsed):
    assert [kind for kind, _ in rehearsed.calls] == [TrainStep] * (1 + MIN_TIMED_STEPS) + [Validation] * 2
    assert rehearsed.speed.seconds_per_step > 0
    assert rehearsed.speed.seconds_per_evaluation > 0


def test_a_rehearsal_evaluates_once_where_the_evaluation_is_compiled_already(rehearsed, monkeypatch):
    calls = []
    monkeypatch.setattr(rehearsed.learner, "validate", Recorded(rehearsed.learner.validate, calls))
    assert rehearse(rehearsed.plan, rehearsed.learner, 0.0, has_evaluated=True).seconds_per_evaluation > 0
    assert [kind for kind, _ in calls] == [Validation]


@pytest.mark.usefixtures("without_xla")
def test_after_a_rehearsal_a_run_goes_as_it_would_have_gone(rehearsed):
    plan, other = rehearsed.plan, begun(rehearsed.plan).step
    other(plan.batches[0], other.zero_state(), 0.003, 0)
    for made in (rehearsed.learner.step, other):
        made(plan.batches[1], rehearsed.state, 0.003, 1)
    found, expected = (made.model.named_weights() | made.slots() for made in (rehearsed.learner.step, other))
    assert {name: v.numpy().tobytes() for name, v in found.items()} == {
        name: v.numpy().tobytes() for name, v in expected.items()
    }


def test_without_validation_an_evaluation_takes_no_time(rehearsed):
    learner = SimpleNamespace(step=rehearsed.learner.step, validate=None)
    assert rehearse(rehearsed.plan, learner, 0.0).seconds_per_evaluation == 0


def test_a_larger_budget_is_rehearsed_for_its_share(rehearsed, monkeypatch):
    """With a clock on which every step takes a second, 3 % of 300 seconds are nine steps."""
    seconds, calls = iter(range(10_000)), []
    monkeypatch.setattr(measuring, "time", SimpleNamespace(perf_counter=lambda: next(seconds)))
    learner = SimpleNamespace(step=Recorded(rehearsed.learner.step, calls), validate=None)
    speed = rehearse(rehearsed.plan, learner, 300.0)
    assert len(calls) == 1 + 9
    assert speed.seconds_per_step == 1
