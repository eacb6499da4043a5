"""Minutes into steps, and that measuring leaves no trace."""

import numpy as np
import pytest
from conftest import random_weights
from hypothesis import given
from hypothesis import strategies as st

from textgen.config import TrainingConfig
from textgen.model.language_model import build_model
from textgen.training import budget
from textgen.training.budget import MIN_STEPS, MIN_TIMED_STEPS, SAVING_SECONDS, Speed, rehearse, saving_share, steps_in
from textgen.training.request import new_plan
from textgen.training.step import TrainStep
from textgen.training.validation import Validation


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


@pytest.fixture(scope="module")
def rehearsed(tmp_path_factory):
    """A plan, a step and an evaluation after a rehearsal, and what the variables held before."""
    folder = tmp_path_factory.mktemp("budget")
    (folder / "novel.txt").write_text("the cat sat on the mat.\n" * 40)
    training = TrainingConfig(batch_size=2, sequence_length=8, dropout=0.2, weight_decay=0.1, ema=0.9, seed=3)
    shape = {"units": 6, "embedding_size": 4}
    plan = new_plan([folder / "novel.txt"], models_dir=folder, shape=shape, training=training)
    model = build_model(plan.model, 3)
    step = TrainStep(model, training, compile_with_xla=False)
    validate = Validation(model, plan.validation_ids, compile_with_xla=False)
    model.set_named_weights(random_weights(plan.model))
    _, state = step(plan.batches[0], step.zero_state(), 0.003, 0)  # so that the slots are not all zero
    before = variables_of(step)
    calls = []
    speed = rehearse(plan, Recorded(step, calls), Recorded(validate, calls), 0.0)
    return plan, step, state, before, speed, calls


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
    _, step, _, before, _, calls = rehearsed
    assert variables_of(step) == before
    steps = [variables for kind, variables in calls if kind is TrainStep]
    assert steps[-1] != before  # it did train meanwhile
    assert len(before) == len(step.model.variables) + 2 + 3 * len(step.model.trainable_variables)


def test_a_rehearsal_makes_a_few_steps_and_two_evaluations_and_says_how_long_they_take(rehearsed):
    speed, calls = rehearsed[4], [kind for kind, _ in rehearsed[5]]
    assert calls == [TrainStep] * (1 + MIN_TIMED_STEPS) + [Validation] * 2
    assert speed.seconds_per_step > 0
    assert speed.seconds_per_evaluation > 0


def test_after_a_rehearsal_a_run_goes_as_it_would_have_gone(rehearsed):
    plan, step, state, *_ = rehearsed
    other = TrainStep(build_model(plan.model, 3), plan.training, compile_with_xla=False)
    other.model.set_named_weights(random_weights(plan.model))
    other(plan.batches[0], other.zero_state(), 0.003, 0)
    for made in (step, other):
        made(plan.batches[1], state, 0.003, 1)
    found, expected = (made.model.named_weights() | made.slots() for made in (step, other))
    assert {name: v.numpy().tobytes() for name, v in found.items()} == {
        name: v.numpy().tobytes() for name, v in expected.items()
    }


def test_without_validation_an_evaluation_takes_no_time(rehearsed):
    plan, step, *_ = rehearsed
    speed = rehearse(plan, step, None, 0.0)
    assert speed.seconds_per_evaluation == 0


def test_a_larger_budget_is_rehearsed_for_its_share(rehearsed, monkeypatch):
    """With a clock on which every step takes a second, 3 % of 300 seconds are nine steps."""
    plan, step, *_ = rehearsed
    seconds = iter(range(10_000))
    monkeypatch.setattr(budget, "time", Clock(seconds))
    calls = []
    speed = rehearse(plan, Recorded(step, calls), None, 300.0)
    assert len(calls) == 1 + 9
    assert speed.seconds_per_step == 1


class Clock:
    def __init__(self, seconds):
        self.seconds = seconds

    def perf_counter(self):
        return next(self.seconds)
