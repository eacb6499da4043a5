"""A machine that becomes slower, or faster again, while a run of minutes goes on."""

import itertools
import re

import pytest
from conftest import slow
from hypothesis import given
from hypothesis import strategies as st
from test_progress import Screen, plan_of
from test_training_run import Watcher, ask_to_stop, resume
from test_training_run import corpus as corpus  # a fixture
from test_training_run import plan_of as run_of
from test_training_run import without_xla as without_xla

import textgen.training.loop
import textgen.training.run
from textgen.training.budget import (
    MIN_STEPS,
    MOST_OF_PLANNED,
    SAVING_SECONDS,
    WORTH_CUTTING,
    WORTH_RAISING,
    Speed,
    settle_again,
)
from textgen.training.run import Run
from textgen.training.schedule import FINAL_SHARE

SECONDS = 60.0  # the budget
PROMISED = 0.5  # seconds of a step, by the rehearsal
EVERY = 10  # steps between evaluations


class Clock:
    """Stands in for the module `time`; stands still until it is told otherwise."""

    now = 1000.0

    def perf_counter(self) -> float:
        return self.now


class SlowMachine(Watcher):
    """Lets each step take as long as `paces` says; notes every new number of steps."""

    def __init__(self, clock: Clock, paces, at: dict | None = None):
        super().__init__(at)
        self.clock, self.paces, self.settled = clock, iter(paces), []

    def stepped(self, step, epoch, loss, tokens_per_second):
        self.clock.now += next(self.paces)
        super().stepped(step, epoch, loss, tokens_per_second)

    def settled_again(self, total_steps, epochs):
        assert epochs > 0
        self.settled.append((self.steps[-1], total_steps))


@pytest.fixture
def clock(monkeypatch, without_xla) -> Clock:
    clock = Clock()
    for module in (textgen.training.loop, textgen.training.run):
        monkeypatch.setattr(module, "time", clock)
    monkeypatch.setattr(textgen.training.run.budget, "rehearse", lambda *_: Speed(PROMISED, 0.0))
    return clock


def train(clock, corpus, models_dir, paces, at: dict | None = None):
    plan = run_of(corpus, models_dir, minutes=SECONDS / 60, steps=None, sample_every=EVERY)
    machine = SlowMachine(clock, paces, at)
    run = Run(plan, machine)
    return run.train(), machine, run.plan.total_steps


# ---- how many


def test_the_steps_that_are_left_by_hand():
    """Of 1,000 steps 500 are made; 250 seconds are left."""
    assert settle_again(1000, 1000, 500, seconds_per_step=1.0, seconds_left=250) == 750
    assert settle_again(1000, 750, 500, seconds_per_step=0.4, seconds_left=250) == 1125
    assert settle_again(1000, 1000, 500, seconds_per_step=0.1, seconds_left=250) == 1250
    assert settle_again(1000, 750, 500, seconds_per_step=0.6, seconds_left=250) == 916


@pytest.mark.parametrize("change", [-1000 * WORTH_CUTTING, 0, 1000 * WORTH_RAISING])
def test_a_small_change_is_none(change):
    left = 900 + change - 500 + 0.5
    assert settle_again(1000, 900, 500, seconds_per_step=1.0, seconds_left=left) == 900
    beyond = 1.0 if change > 0 else -1.0
    if change:
        found = settle_again(1000, 900, 500, seconds_per_step=1.0, seconds_left=left + beyond)
        assert found == pytest.approx(900 + change + beyond)


@pytest.mark.parametrize("left", [-100.0, 0.0])
def test_when_the_time_is_over_so_is_the_run_but_not_before_its_first_steps(left):
    assert settle_again(1000, 1000, 600, 1.0, left) == 600
    assert settle_again(1000, 1000, 3, 1.0, left) == MIN_STEPS
    assert settle_again(5, 5, 3, 1.0, left) == 5


@given(st.integers(1, 10**6), st.data(), st.floats(1e-4, 100), st.floats(-100, 1e6))
def test_never_more_than_a_quarter_above_the_plan_nor_fewer_than_were_made(planned, data, pace, left):
    most = int(MOST_OF_PLANNED * planned)
    current = data.draw(st.integers(1, most))
    step = data.draw(st.integers(1, current))
    assert step <= settle_again(planned, current, step, pace, left) <= most


# ---- whole runs


def test_a_run_whose_steps_take_twice_as_long_ends_in_time_and_at_the_lowest_rate(clock, corpus, tmp_path):
    begin = clock.now
    result, machine, planned = train(clock, corpus, tmp_path, itertools.repeat(2 * PROMISED))
    assert planned == int((SECONDS - SAVING_SECONDS) / PROMISED) - 1 == 117  # less a little for checkpoints
    assert machine.settled == [(EVERY, 59)]
    assert (result.results.steps, result.results.total_steps) == (59, 59)
    assert clock.now - begin <= SECONDS - SAVING_SECONDS
    peak = run_of(corpus, tmp_path / "other").training.learning_rate
    assert machine.rows[-1].learning_rate == pytest.approx(FINAL_SHARE * peak)
    assert machine.rows[-1].step == 59


def test_a_machine_that_recovers_makes_more_of_the_steps_again(clock, corpus, tmp_path):
    paces = itertools.chain([2.0] * EVERY, itertools.repeat(PROMISED))
    begin = clock.now
    result, machine, _ = train(clock, corpus, tmp_path, paces)
    # After ten fast steps the slow ones still count, half.
    assert machine.settled == [(EVERY, 10 + 39 // 2), (2 * EVERY, 20 + int(34 / 1.25)), (3 * EVERY, 30 + 2 * 29)]
    assert result.results.steps == 88
    assert clock.now - begin <= SECONDS - SAVING_SECONDS


def test_a_machine_that_keeps_its_promise_makes_the_steps_that_were_planned(clock, corpus, tmp_path):
    result, machine, planned = train(clock, corpus, tmp_path, itertools.repeat(PROMISED))
    assert machine.settled == []
    assert result.results.steps == planned


def test_a_machine_that_is_now_slower_now_faster_by_little_settles_once(clock, corpus, tmp_path):
    """By the slower of two paces: what one interval takes is not given back by the next."""
    unsteady = itertools.cycle([1.06 * PROMISED] * EVERY + [0.96 * PROMISED] * EVERY)
    begin = clock.now
    _, machine, _ = train(clock, corpus, tmp_path, unsteady)
    assert len(machine.settled) == 1
    assert clock.now - begin <= SECONDS - SAVING_SECONDS


@pytest.mark.parametrize("share", [0.7, slow(0.1), slow(0.9)])
def test_a_machine_that_is_faster_makes_more_of_them_up_to_a_quarter(clock, corpus, tmp_path, share):
    begin = clock.now
    result, machine, planned = train(clock, corpus, tmp_path, itertools.repeat(share * PROMISED))
    assert [step for step, _ in machine.settled] == [EVERY]
    expected = min(int(MOST_OF_PLANNED * planned), int((SECONDS - SAVING_SECONDS) / (share * PROMISED)))
    assert result.results.steps == result.results.total_steps == pytest.approx(expected, abs=1)
    assert clock.now - begin <= SECONDS - SAVING_SECONDS
    assert machine.rows[-1].learning_rate == pytest.approx(
        FINAL_SHARE * run_of(corpus, tmp_path / "other").training.learning_rate
    )


def test_a_run_that_is_resumed_keeps_the_steps_that_it_had(clock, corpus, tmp_path):
    _, machine, _ = train(clock, corpus, tmp_path, itertools.repeat(2 * PROMISED), {13: ask_to_stop})
    assert machine.settled == [(EVERY, 59)]
    clock.now += 1e6
    result, _ = resume(tmp_path)
    assert (result.results.steps, result.results.total_steps) == (59, 59)


def test_steps_that_were_asked_for_are_made_however_long_they_take(clock, corpus, tmp_path):
    machine = SlowMachine(clock, itertools.repeat(1e6))
    run = Run(run_of(corpus, tmp_path, steps=30, sample_every=EVERY), machine)
    assert run.train().results.steps == 30
    assert machine.settled == []


def test_a_terminal_has_a_line_for_a_large_change_and_the_bar_for_every_one():
    screen = Screen(terminal=True)
    screen.reporter.planned(plan_of())
    screen.reporter.started(plan_of(), 0, 0.5)
    planned = plan_of().total_steps
    for share in (0.92, 0.8, 0.75, 0.83, 1.0):
        screen.reporter.settled_again(int(share * planned), 2.5)
        assert screen.reporter.bar.tasks[0].total == int(share * planned)
    screen.reporter.close()
    said = re.findall(r"now ([\d,]+) \(2.5 epochs\)", "\n".join(screen.lines))
    assert said == [f"{int(0.8 * planned):,}", f"{planned:,}"]


def test_a_terminal_shows_the_new_number_in_a_line_and_in_the_bar():
    screen = Screen(terminal=True)
    screen.reporter.planned(plan_of())
    screen.reporter.started(plan_of(), 0, 0.5)
    screen.reporter.settled_again(1_234, 2.5)
    assert screen.reporter.bar.tasks[0].total == 1_234
    screen.reporter.close()
    assert any("now 1,234 (2.5 epochs), to end in time at the speed of now" in line for line in screen.lines)
