"""Minutes into a number of steps, by measuring this machine on this model.

The measured steps are a rehearsal: afterwards every variable is put back, so a run is a pure function of its step
count. The schedule needs that count before the first step. Where the machine turns out slower than it was then, the
count is cut on the way: a laptop that gets hot, or a neighbour that wakes up, would make the minutes a third longer.
Where it turns out faster, or recovers, the count is raised: minutes that were given are not left unused.
"""

import statistics
import time
from typing import NamedTuple

from textgen.training.plan import Plan
from textgen.training.step import TrainStep
from textgen.training.validation import Validation

MIN_TIMED_STEPS = 5
REHEARSAL_SHARE = 0.03  # of the budget
LONGEST_REHEARSAL = 30.0  # seconds
MIN_STEPS = 20  # below that, nothing is learned; a tiny budget is overrun instead
MOST_OF_PLANNED = 1.25  # of the steps; with more of them another size, dropout and decay would have been chosen
WORTH_CUTTING, WORTH_RAISING = 0.02, 0.05  # of the steps; what is less is not worth another schedule
SAVING_SECONDS = 1.0  # the last checkpoint and the model directory
SAVED_BYTES_PER_PARAMETER = 16  # the weights, two slots of the optimizer, and the best weights, float32
SAVED_BYTES_PER_SECOND = 100e6  # writing, syncing and hashing a checkpoint of 140 MB took 1.4 seconds


class Speed(NamedTuple):
    """What the rehearsal measured."""

    seconds_per_step: float
    seconds_per_evaluation: float


def rehearse(plan: Plan, step: TrainStep, evaluate: Validation | None, budget_seconds: float) -> Speed:
    """Compile and time a few steps and one evaluation, then put every variable back."""
    variables = step.variables()
    before = [variable.numpy().copy() for variable in variables]
    seconds_per_step = _time_steps(plan, step, min(LONGEST_REHEARSAL, REHEARSAL_SHARE * budget_seconds))
    seconds_per_evaluation = _time_evaluation(evaluate) if evaluate else 0.0
    for variable, value in zip(variables, before, strict=True):
        variable.assign(value)
    return Speed(seconds_per_step, seconds_per_evaluation)


def steps_in(seconds: float, speed: Speed, num_evaluations: int, final_evaluation_seconds: float) -> int:
    """How many steps fit in `seconds`, once evaluations and saving are paid for; at least MIN_STEPS."""
    fixed = num_evaluations * speed.seconds_per_evaluation + final_evaluation_seconds + SAVING_SECONDS
    return max(MIN_STEPS, int((seconds - fixed) / speed.seconds_per_step))


def settle_again(planned: int, current: int, step: int, seconds_per_step: float, seconds_left: float) -> int:
    """How many steps a run shall have, after `step` of them: as many as fit, up to a quarter more than planned.

    Args:
        planned: what the rehearsal promised.
        current: what the run has now.
        seconds_per_step: lately, evaluations and checkpoints included.
        seconds_left: until the last step should be done.
    """
    affordable = max(min(MIN_STEPS, planned), step + int(max(0.0, seconds_left) / seconds_per_step))
    found = min(int(MOST_OF_PLANNED * planned), affordable)
    return found if found - current > WORTH_RAISING * planned or current - found > WORTH_CUTTING * planned else current


def saving_share(num_parameters: int, seconds_between: float) -> float:
    """Share of a run's time that checkpoints take, when one is due every so many seconds."""
    seconds = num_parameters * SAVED_BYTES_PER_PARAMETER / SAVED_BYTES_PER_SECOND
    return seconds / (seconds + seconds_between)


def _time_steps(plan: Plan, step: TrainStep, budget_seconds: float) -> float:
    batches = plan.batches
    _, state = step(batches[0], step.zero_state(), 0.0, 0)  # compiles
    times: list[float] = []
    while len(times) < MIN_TIMED_STEPS or sum(times) < budget_seconds:
        begin = time.perf_counter()
        number = len(times) + 1
        loss, state = step(batches[number], state, plan.training.learning_rate, number)
        float(loss)  # waits for the device
        times.append(time.perf_counter() - begin)
    # The mean, not the median: a machine that is slow now and then is slow for the run too.
    return statistics.fmean(times)


def _time_evaluation(evaluate: Validation) -> float:
    evaluate()  # compiles
    begin = time.perf_counter()
    evaluate()
    return time.perf_counter() - begin
