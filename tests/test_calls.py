"""Steps in one call: where there are several, and that a run is the same as without."""

import dataclasses
import shutil

import pytest
from driven_runs import RESUME, Driver, assert_nothing_else, left_by, train
from fork_server import IN_CALLS
from plans import plan_of, run_plan
from watching import Watcher as Noting

from textgen.records import Progress
from textgen.store import model_directory
from textgen.training import calls
from textgen.training.calls import STEPS, steps_in_a_call
from textgen.training.reporting import Reporter
from textgen.training.signals import StopRequest
from textgen.training.step import TrainStep
from textgen.training.watching import Watcher

BEGUN = Progress(step=0, total_steps=100_000, evaluate_every=10_000, checkpoint_every=3_000)


@pytest.mark.parametrize(
    ("changes", "seconds", "expected"),
    [
        ({}, 0.005, STEPS),
        ({}, 0.02, 1),  # a signal would wait
        ({}, float("inf"), 1),  # nothing is known yet
        ({"step": 3_000 - STEPS}, 0.005, STEPS),
        ({"step": 3_001 - STEPS}, 0.005, 1),  # a checkpoint
        ({"step": 3_000}, 0.005, STEPS),
        ({"step": 10_001 - STEPS}, 0.005, 1),  # an evaluation
        ({"step": 100_000 - STEPS}, 0.005, STEPS),
        ({"step": 99_000, "total_steps": 99_001}, 0.005, 1),  # the end
        ({"total_steps": 10_000}, 0.005, 1),  # not worth tracing
    ],
)
def test_steps_are_made_together_where_nothing_happens_between_them(changes, seconds, expected):
    assert steps_in_a_call(dataclasses.replace(BEGUN, **changes), seconds) == expected


@pytest.mark.parametrize(
    ("progress", "reporter", "expected"), [(None, None, False), (print, None, True), (None, Reporter(), True)]
)
def test_what_may_stop_a_run_hears_of_every_step_before_the_next(progress, reporter, expected):
    assert Watcher(StopRequest(), progress, reporter).hears_every_step is expected


@pytest.mark.usefixtures("without_xla")
def test_a_run_in_calls_of_several_steps_ends_with_the_bytes_of_single_ones(corpus, tmp_path, monkeypatch):
    monkeypatch.setattr(calls, "STEPS", 4)
    monkeypatch.setattr(calls, "LONGEST_CALL", 1e9)
    several, made = TrainStep.several, []

    def counted(step, batches, *others):
        made.append(len(batches))
        return several(step, batches, *others)

    monkeypatch.setattr(TrainStep, "several", counted)
    monkeypatch.setattr(calls, "WORTH_TRACING", 0.0)
    left, watchers = [], []
    for hears_every_step in (False, True):
        made.clear()
        watchers.append(Noting())
        watchers[-1].hears_every_step = hears_every_step
        plan = plan_of(corpus, tmp_path / str(hears_every_step), steps=15, checkpoint_every=7)
        run_plan(plan, watchers[-1])
        assert (4 in made) != hears_every_step
        left.append((plan.path / model_directory.WEIGHTS).read_bytes())
    assert left[0] == left[1]
    assert watchers[0].steps == watchers[1].steps == list(range(1, 16))
    assert watchers[0].saved_steps == watchers[1].saved_steps


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["words", "characters"])
def test_compiled_runs_of_two_shards_in_calls_that_are_killed_or_stopped_end_with_those_bytes_too(kind, tmp_path):
    """Whatever the number of steps in a call, before and after."""
    driver, run = (
        Driver(tmp_path),
        train(kind, *["--batch-size", "16", "--cores", "2", "--dropout", "0.3", "--checkpoint-every", "8"]),
    )
    assert driver.run(*run) == 0, driver.said()
    expected = left_by(driver.path)
    shutil.rmtree(driver.path)
    for call, seconds, what, status in [(2, 0, "SIGKILL", -9), (4, 0.004, "SIGKILL", -9), (3, 0, "SIGTERM", 143)]:
        driver.environment[IN_CALLS] = "4"
        assert driver.run(*run, events=[["call", call, seconds, what]]) == status, driver.said()
        driver.environment[IN_CALLS] = "3"
        assert driver.run(*RESUME) == 0, driver.said()
        assert left_by(driver.path) == expected
        assert_nothing_else(driver.path)
        shutil.rmtree(driver.path)
