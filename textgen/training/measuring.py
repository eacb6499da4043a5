"""Minutes into a number of steps, by measuring this machine on this model.

The measured steps are a rehearsal: afterwards every variable is put back, so a run is a pure function of its step
count. `pace.py` corrects the count on the way.
"""

import dataclasses
import statistics
import time
from typing import NamedTuple

from textgen.store.checkpoints import CHECKPOINT_BYTES_PER_PARAMETER
from textgen.store.model_directory import num_parameters
from textgen.training.learner import Learner
from textgen.training.pace import MIN_STEPS
from textgen.training.plan import Plan
from textgen.training.reporting import Reporter

EVALUATIONS = 10  # in a run, unless --sample-every says otherwise ...
EVALUATION_SHARE = 0.12  # ... but no more than take this share of the time, and two at least
CHECKPOINT_SECONDS = 30
MIN_TIMED_STEPS = 5
REHEARSAL_SHARE = 0.03  # of the budget
LONGEST_REHEARSAL = 30.0  # seconds
SAVING_SECONDS = 1.0  # the last checkpoint and the model directory
PARAMETERS_PER_SECOND = 5_000_000  # of a model that writes at the end, and whose weights are rounded
SAVED_BYTES_PER_SECOND = 100e6  # writing, syncing and hashing a checkpoint of 140 MB took 1.4 seconds


class Speed(NamedTuple):
    """What a rehearsal measured."""

    seconds_per_step: float
    seconds_per_evaluation: float


class Measured(NamedTuple):
    """A plan whose number of steps is settled, and what computes it."""

    plan: Plan
    learner: Learner
    seconds_per_step: float
    seconds_per_evaluation: float | None = None  # None is unknown
    initial_loss: float | None = None  # of the model that the run begins with, nats per token
    deadline: float | None = None  # seconds of the run by which its last step should be done; None with fixed steps
    evaluations: int = EVALUATIONS
    most_steps: int | None = None  # that the text is worth, whatever the minutes pay for


def measure(plan: Plan, learner: Learner, started: float, reporter: Reporter) -> Measured:
    """Measure the speed, and turn minutes, if they are the budget, into a number of steps.

    Where training is much faster or slower than the recipe expected, the plan that comes back has another model.

    Args:
        started: `time.perf_counter()` when the command began; minutes are counted from there.
    """
    initial_loss = None
    if (parent := plan.parent) is not None:
        initial_loss = learner.validate() if learner.validate else None
        reporter.inherited(plan, parent, initial_loss)
    reporter.measuring()
    seconds = 60 * (plan.training.minutes or 0.0)
    speed = rehearse(plan, learner, seconds, has_evaluated=initial_loss is not None)
    tokens_per_second = plan.training.batch_size * plan.training.sequence_length / speed.seconds_per_step
    recipe = plan.recipe and plan.recipe.at_speed(tokens_per_second)
    if recipe is not None and recipe is not plan.recipe:
        plan = plan.by(recipe)
        reporter.planned_again(plan, tokens_per_second)
        learner = Learner(plan, team=learner.team)
        speed = rehearse(plan, learner, seconds)
    if plan.total_steps is not None:
        return Measured(plan, learner, *speed, initial_loss)
    final = 0.0
    if learner.validate and learner.validate_fully:
        final = speed.seconds_per_evaluation * learner.validate_fully.num_counted / learner.validate.num_counted
    final += num_parameters(plan.model) // PARAMETERS_PER_SECOND
    left = seconds - (time.perf_counter() - started)
    left *= 1 - saving_share(num_parameters(plan.model), CHECKPOINT_SECONDS)
    affordable = int(EVALUATION_SHARE * left / max(1e-9, speed.seconds_per_evaluation))
    evaluations = min(EVALUATIONS, max(2, affordable))
    steps = steps_in(left, speed, evaluations, final)
    most_steps = plan.recipe and plan.recipe.most_steps(plan.batches)
    plan = dataclasses.replace(plan, total_steps=steps if most_steps is None else min(steps, most_steps))
    plan = plan.by(plan.recipe.in_passes(plan.epochs)) if plan.recipe is not None else plan
    deadline = max(0.0, seconds - final - SAVING_SECONDS)
    return Measured(plan, learner, *speed, initial_loss, deadline, evaluations, most_steps)


def rehearse(plan: Plan, learner: Learner, budget_seconds: float, *, has_evaluated: bool = False) -> Speed:
    """Compile and time a few steps and one evaluation, then put every variable back.

    Args:
        has_evaluated: the evaluation is compiled already.
    """
    variables = learner.step.variables()
    before = [variable.numpy().copy() for variable in variables]
    seconds_per_step = _time_steps(plan, learner, min(LONGEST_REHEARSAL, REHEARSAL_SHARE * budget_seconds))
    seconds_per_evaluation = 0.0
    if learner.validate:
        if not has_evaluated:
            learner.validate()  # compiles
        begin = time.perf_counter()
        learner.validate()
        seconds_per_evaluation = time.perf_counter() - begin
    for variable, value in zip(variables, before, strict=True):
        variable.assign(value)
    return Speed(seconds_per_step, seconds_per_evaluation)


def _time_steps(plan: Plan, learner: Learner, budget_seconds: float) -> float:
    batches, step = plan.batches, learner.step
    _, state = step(batches[0], step.begin(step.zero_state()), 0.0, 0)  # compiles
    times: list[float] = []
    while len(times) < MIN_TIMED_STEPS or sum(times) < budget_seconds:
        begin = time.perf_counter()
        number = len(times) + 1
        loss, state = step(batches[number], state, plan.training.learning_rate, number)
        float(loss)  # waits for the device
        times.append(time.perf_counter() - begin)
    # The mean, not the median: a machine that is slow now and then is slow for the run too.
    return statistics.fmean(times)


def steps_in(seconds: float, speed: Speed, num_evaluations: int, final_evaluation_seconds: float) -> int:
    """How many steps fit in `seconds`, once evaluations and saving are paid for; at least MIN_STEPS."""
    fixed = num_evaluations * speed.seconds_per_evaluation + final_evaluation_seconds + SAVING_SECONDS
    return max(MIN_STEPS, int((seconds - fixed) / speed.seconds_per_step))


def saving_share(num_parameters: int, seconds_between: float) -> float:
    """Share of a run's time that checkpoints take, when one is due every so many seconds."""
    seconds = num_parameters * CHECKPOINT_BYTES_PER_PARAMETER / SAVED_BYTES_PER_SECOND
    return seconds / (seconds + seconds_between)
