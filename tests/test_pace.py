"""How many steps a run of minutes makes on a machine that becomes slower, or faster again, while it goes on."""

import itertools
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from plans import RATE, plan_of, resume, run_plan
from watching import Watcher, ask_to_stop

from textgen.records import Progress
from textgen.training.measuring import SAVING_SECONDS, Speed
from textgen.training.pace import (
    MIN_STEPS,
    MOST_OF_PLANNED,
    WORTH_CUTTING,
    WORTH_RAISING,
    Pace,
    is_evaluation_due,
)
from textgen.training.schedule import FINAL_SHARE

EVERY = 10  # steps between evaluations
PROMISED = 0.5  # seconds of a step, by the rehearsal
PLANNED, DEADLINE = 100, 50.0

# ---- one evaluation


def settled(planned: int, total: int, step: int, seconds_per_step: float, seconds_left: float) -> int:
    """What is settled after steps that have all taken as long."""
    seconds = step * seconds_per_step
    return Pace(planned, deadline=seconds + seconds_left).settle(total, step, seconds)


def test_the_steps_that_are_left_by_hand():
    """Of 1,000 steps 500 are made; 250 seconds are left."""
    assert settled(1000, 1000, 500, seconds_per_step=1.0, seconds_left=250) == 750
    assert settled(1000, 750, 500, seconds_per_step=0.4, seconds_left=250) == 1125
    assert settled(1000, 1000, 500, seconds_per_step=0.1, seconds_left=250) == 1250
    assert settled(1000, 750, 500, seconds_per_step=0.6, seconds_left=250) == 916


@pytest.mark.parametrize("change", [-1000 * WORTH_CUTTING, 0, 1000 * WORTH_RAISING])
def test_a_small_change_is_none(change):
    left = 900 + change - 500 + 0.5
    assert settled(1000, 900, 500, seconds_per_step=1.0, seconds_left=left) == 900
    beyond = 1.0 if change > 0 else -1.0
    if change:
        found = settled(1000, 900, 500, seconds_per_step=1.0, seconds_left=left + beyond)
        assert found == pytest.approx(900 + change + beyond)


@pytest.mark.parametrize("left", [-100.0, 0.0])
def test_when_the_time_is_over_so_is_the_run_but_not_before_its_first_steps(left):
    assert settled(1000, 1000, 600, 1.0, left) == 600
    assert settled(1000, 1000, 3, 1.0, left) == MIN_STEPS
    assert settled(5, 5, 3, 1.0, left) == 5


@given(st.integers(1, 10**6), st.data(), st.floats(1e-4, 100), st.floats(-100, 1e6))
def test_never_more_than_a_quarter_above_the_plan_nor_fewer_than_were_made(planned, data, seconds_per_step, left):
    most = int(MOST_OF_PLANNED * planned)
    total = data.draw(st.integers(1, most))
    step = data.draw(st.integers(1, total))
    assert step <= settled(planned, total, step, seconds_per_step, left) <= most


def test_without_a_deadline_the_number_stays():
    assert Pace(100, deadline=None).settle(77, 10, 1e9) == 77


# ---- one evaluation after the other


def go(paces: Iterator[float], planned: int = PLANNED, deadline: float | None = DEADLINE):
    """Steps that take as long as `paces` says: how many are made, in how many seconds, and each new number."""
    pace, total, step, now, changes = Pace(planned, deadline), planned, 0, 0.0, []
    while step < total:
        now, step = now + next(paces), step + 1
        if step % EVERY == 0 and step < total:
            before, total = total, pace.settle(total, step, now)
            changes += [(step, total)] if total != before else []
    return step, now, changes


def test_steps_that_take_twice_as_long_are_half_as_many():
    assert go(itertools.repeat(2 * PROMISED)) == (50, 50.0, [(EVERY, 50)])


def test_a_machine_that_recovers_makes_more_of_the_steps_again():
    """After ten fast steps the slow ones still count, half."""
    steps, seconds, changes = go(itertools.chain([2.0] * EVERY, itertools.repeat(PROMISED)))
    assert changes == [(EVERY, 10 + 30 // 2), (2 * EVERY, 20 + int(25 / 1.25)), (3 * EVERY, 30 + 2 * 20)]
    assert (steps, seconds) == (70, DEADLINE)


def test_a_machine_that_keeps_its_promise_makes_the_steps_that_were_planned():
    assert go(itertools.repeat(PROMISED)) == (PLANNED, DEADLINE, [])


def test_a_machine_that_is_now_slower_now_faster_by_little_settles_once():
    """By the slower of two paces: what one interval takes is not given back by the next."""
    _, seconds, changes = go(itertools.cycle([1.06 * PROMISED] * EVERY + [0.96 * PROMISED] * EVERY))
    assert len(changes) == 1
    assert seconds <= DEADLINE


@pytest.mark.parametrize(("share", "steps"), [(0.1, 125), (0.7, 125), (0.9, 111)])
def test_a_machine_that_is_faster_makes_more_of_them_up_to_a_quarter(share, steps):
    made, seconds, changes = go(itertools.repeat(share * PROMISED))
    assert changes == [(EVERY, steps)]
    assert made == steps
    assert seconds <= DEADLINE


def test_after_going_back_it_is_measured_from_there():
    """The steps that were given up say nothing of the speed from now on."""
    pace = Pace(100, deadline=994.0)
    pace.restart(6, 900.0)
    assert pace.settle(100, 16, 910.0) == 100  # 84 steps of a second each, in 84
    pace.restart(6, 900.0)
    assert pace.settle(100, 16, 920.0) == 16 + 37  # of two seconds each, in 74


# ---- which steps are evaluated


def evaluated(total: int, every: int, *, is_asked_for: bool) -> list[int]:
    steps = (Progress(step=step, total_steps=total, evaluate_every=every) for step in range(1, total + 1))
    return [progress.step for progress in steps if is_evaluation_due(progress, is_asked_for=is_asked_for)]


@pytest.mark.parametrize(
    ("total", "expected"),
    [(174, [58, 116, 174]), (176, [58, 116, 176]), (188, [58, 116, 188]), (189, [58, 116, 174, 189]), (3, [3])],
)
def test_an_evaluation_just_before_the_last_one_is_left_out(total, expected):
    assert evaluated(total, 58, is_asked_for=False) == expected


def test_each_evaluation_that_was_asked_for_is_made():
    assert evaluated(176, 58, is_asked_for=True) == [58, 116, 174, 176]
    assert evaluated(3, 1, is_asked_for=False) == [1, 2, 3]


# ---- whole runs

SECONDS = 30.0  # the budget


class Clock:
    """Stands in for the module `time`; stands still until it is told otherwise."""

    now = 1000.0

    def perf_counter(self) -> float:
        return self.now


class SlowMachine(Watcher):
    """Lets each step take as long as `paces` says; notes every new number of steps."""

    def __init__(self, clock: Clock, paces: Iterator[float], at: dict | None = None):
        super().__init__(at)
        self.clock, self.paces, self.settled = clock, paces, []

    def stepped(self, step, epoch, loss, tokens_per_second):
        self.clock.now += next(self.paces)
        super().stepped(step, epoch, loss, tokens_per_second)

    def settled_again(self, total_steps, epochs):
        assert epochs > 0
        self.settled.append((self.steps[-1], total_steps))


@pytest.fixture
def clock(monkeypatch, without_xla) -> Clock:
    clock = Clock()
    for module in ("trainer", "measuring"):
        monkeypatch.setattr(f"textgen.training.{module}.time", clock)
    monkeypatch.setattr("textgen.training.measuring.rehearse", lambda *_, **__: Speed(PROMISED, 0.0))
    return clock


def train(clock, corpus, models_dir, paces, at: dict | None = None, **budget):
    budget = budget or {"minutes": SECONDS / 60}
    machine = SlowMachine(clock, paces, at)
    return run_plan(plan_of(corpus, models_dir, **budget), machine, started=clock.now), machine


def test_a_run_whose_steps_take_twice_as_long_ends_in_time_and_at_the_lowest_rate(clock, corpus, tmp_path):
    begin = clock.now
    result, machine = train(clock, corpus, tmp_path, itertools.repeat(2 * PROMISED))
    assert machine.plan.total_steps == int((SECONDS - SAVING_SECONDS) / PROMISED) - 1  # less a little for checkpoints
    assert machine.settled == [(EVERY, 29)]
    assert (result.results.steps, result.results.total_steps) == (29, 29)
    assert clock.now - begin <= SECONDS - SAVING_SECONDS
    assert machine.rows[-1].learning_rate == pytest.approx(FINAL_SHARE * RATE)
    assert machine.rows[-1].step == 29


def test_a_run_that_is_resumed_keeps_the_steps_that_it_had(clock, corpus, tmp_path):
    _, machine = train(clock, corpus, tmp_path, itertools.repeat(2 * PROMISED), {13: ask_to_stop})
    assert machine.settled == [(EVERY, 29)]
    clock.now += 1e6
    result, _ = resume(tmp_path)
    assert (result.results.steps, result.results.total_steps) == (29, 29)


def test_steps_that_were_asked_for_are_made_however_long_they_take(clock, corpus, tmp_path):
    result, machine = train(clock, corpus, tmp_path, itertools.repeat(1e6), steps=15)
    assert result.results.steps == 15
    assert machine.settled == []
