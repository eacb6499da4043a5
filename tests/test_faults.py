"""Runs that are killed again and again, at any moment, end with the bytes of runs that were never stopped.

Real processes and real SIGKILLs. The moments are drawn by a seeded generator, among them moments between and inside
the writes of a checkpoint, of the model and of the prepared corpus. By default two kinds of run are killed twice, with
`-m slow` all kinds seven times; `pytest -m soak tests/test_faults.py -s` kills 200 times and prints a table, which
TEXTGEN_SOAK_KILLS and TEXTGEN_SOAK_SEED cut into pieces.
"""

import collections
import os
import random
import shutil
import signal

import pytest
from conftest import slow
from driven_runs import RESUME, RUNS, Driver, assert_nothing_else, left_by, train

from textgen.store import manifest, model_directory
from textgen.store.checkpoints import load_newest

MOMENTS = ("writing", "writing", "writing", "step", "step", "evaluation", "sealing", "start", "preparing")
MOST = {"writing": 150, "sealing": 70, "preparing": 40, "step": 12, "evaluation": 2, "start": 1}
KILLS_OF_A_RUN = 8


@pytest.fixture(scope="module")
def driver(tmp_path_factory):
    return Driver(tmp_path_factory.mktemp("faults"))


class Journey:
    """One run, killed and gone on with until it is finished."""

    def __init__(self, driver: Driver, kind: str, draw: random.Random):
        self.driver, self.kind, self.draw = driver, kind, draw
        self.newest_step, self.total_steps = -1, None
        self.table: collections.Counter = collections.Counter()

    def go(self, kills: int) -> None:
        """Kill it up to so many times."""
        arguments, is_finished = train(self.kind), False
        while not is_finished:
            kill = self._draw_kill() if self.table.total() < kills else None
            if kill and kill[0] == "preparing":
                self.driver.forget_corpora()
            status = self.driver.run(*arguments, events=[kill] if kill else [])
            assert status in (0, -signal.SIGKILL), (status, kill, arguments, self.driver.said())
            is_finished = self._check_what_is_left()
            if status:
                state = "complete" if is_finished else "resumed" if self.newest_step >= 0 else "begun anew"
                self.table[kill[0], state] += 1
            arguments = RESUME if self.newest_step >= 0 else train(self.kind)
        if status:  # the model is complete, but not everything else may have been removed
            assert self.driver.run(*RESUME) == 1
            assert "is finished; there is nothing to resume" in self.driver.said()
        assert_nothing_else(self.driver.path)

    def _draw_kill(self) -> tuple:
        moment = self.draw.choice(MOMENTS)
        seconds = {"start": 1.5, "step": 0.003}.get(moment, 0.0)
        return moment, self.draw.randint(1, MOST[moment]), self.draw.uniform(0, seconds), "SIGKILL"

    def _check_what_is_left(self) -> bool:
        """It can be loaded, and is no older than what was left before. Whether the run is finished."""
        path = self.driver.path
        if (path / manifest.MANIFEST).exists():
            return model_directory.load_model("novel", path.parent).is_finished
        if model_directory.checkpoint_dirs(path):
            checkpoint, problems = load_newest(path)
            progress = checkpoint.progress
            assert problems == []
            assert progress.step >= self.newest_step
            assert self.total_steps in (None, progress.total_steps)
            self.newest_step, self.total_steps = progress.step, progress.total_steps
            assert not model_directory.load_model("novel", path.parent).is_finished
        else:
            assert self.newest_step == -1
        return False


def kill_again_and_again(driver: Driver, kinds: list[str], kills: int, draw: random.Random) -> collections.Counter:
    """Runs of each kind in turn, until so many kills are made; what each leaves is compared."""
    table: collections.Counter = collections.Counter()
    expected: dict = {}
    while table.total() < kills:
        for kind in kinds:
            journey = Journey(driver, kind, draw)
            journey.go(min(kills - table.total(), KILLS_OF_A_RUN))
            table += journey.table
            left = left_by(driver.path)
            shutil.rmtree(driver.path)
            run = kind, left["results"]["total_steps"]
            if run not in expected:
                expected[run] = never_stopped(driver, *run)
            assert left == expected[run]
    return table


def never_stopped(driver: Driver, kind: str, total_steps: int) -> dict:
    """What a run of that kind leaves that comes to its end at once; minutes are as many steps as they came to."""
    arguments = [*train(kind)]
    if "--minutes" in arguments:
        at = arguments.index("--minutes")
        arguments[at : at + 2] = ["--steps", str(total_steps)]
    assert driver.run(*arguments) == 0, driver.said()
    left = left_by(driver.path)
    shutil.rmtree(driver.path)
    return left


@pytest.mark.parametrize(("kind", "kills"), [("characters", 2), ("minutes", 2), *(slow(kind, 7) for kind in RUNS)])
def test_a_run_that_is_killed_at_any_moment_ends_with_the_bytes_of_one_that_was_not(driver, kind, kills):
    assert kill_again_and_again(driver, [kind], kills, random.Random(kind)).total() == kills


@pytest.mark.soak
def test_two_hundred_kills_change_no_byte(driver):
    kills, seed = (int(os.environ.get(f"TEXTGEN_SOAK_{name}", value)) for name, value in (("KILLS", 200), ("SEED", 0)))
    table = kill_again_and_again(driver, list(RUNS), kills, random.Random(seed))
    print(f"\n{'killed while':<14}{'what was left':<14}{'times':>6}")
    for (moment, state), number in sorted(table.items()):
        print(f"{moment:<14}{state:<14}{number:>6}")
    assert table.total() == kills
