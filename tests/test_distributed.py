"""Runs of several processes: the bytes that they make, and what becomes of them when one is killed or stuck."""

import shutil
import time

import pytest
from driven_runs import RESUME, Driver, left_by, train

# Of 16 rows, so that one process with two cores has two shards.
ROWS = ("--batch-size", "16", "--cores", "2")
KINDS = {
    "characters": train("characters", *ROWS),
    "words": train("words", *ROWS),
    "documents": train("documents", *ROWS),
}
MEASURED = 6  # steps that are made before the run's first


@pytest.fixture(scope="module")
def driver(tmp_path_factory):
    return Driver(tmp_path_factory.mktemp("runs"))


@pytest.fixture(scope="module")
def alone(driver):
    """What one process with two shards leaves, by the kind of the run."""
    made = {}

    def left(kind: str) -> dict:
        if kind not in made:
            assert driver.run(*KINDS[kind], "--overwrite") == 0, driver.said()
            made[kind] = left_by(driver.path)
        return made[kind]

    return left


def begin(driver: Driver, kind: str, *more: str, **events) -> int:
    """The exit status of a new run by that many workers."""
    shutil.rmtree(driver.path, ignore_errors=True)
    driver.log.write_bytes(b"")
    return driver.run(*KINDS[kind], *more, **events)


def errors(driver: Driver) -> list[str]:
    return [line for line in driver.said().splitlines() if line.startswith("textgen: ")]


def test_two_processes_make_the_bytes_of_one_with_two_shards_also_when_one_is_killed(driver, alone):
    kind = "characters"
    began = time.monotonic()
    status = begin(driver, kind, "--workers", "2", workers={1: [["step", MEASURED + 15, 0, "SIGKILL"]]})
    print(time.monotonic() - began, driver.said())
    assert status == 1
    line = "textgen: worker 1 has ended, by SIGKILL. The run is saved up to its last checkpoint: textgen train --resume"
    assert [found[: len(line)] for found in errors(driver)] == [line]
    assert driver.run(*RESUME, "--workers", "2") == 0, driver.said()
    assert left_by(driver.path) == alone(kind)
