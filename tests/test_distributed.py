"""Runs of several processes: the bytes that they make, and what becomes of them when one is killed or stuck."""

import contextlib
import json
import os
import shutil
import signal
import socket
import time

import pytest
from driven_runs import RESUME, Driver, assert_nothing_else, left_by, train
from fork_server import PLAINLY

from textgen.store import model_directory
from textgen.workers.channel import free_port

MEASURED = 6  # steps that are made before the run's first
TINY = ("--num-layers", "1", "--dropout", "0.2")


@pytest.fixture(scope="module")
def driver(tmp_path_factory):
    """Its runs are traced plainly."""
    driver = Driver(tmp_path_factory.mktemp("runs"))
    driver.environment |= {PLAINLY: "1"}
    return driver


def begin(driver: Driver, *more: str, kind: str = "characters", **events) -> int:
    """The exit status of a new run."""
    shutil.rmtree(driver.path, ignore_errors=True)
    driver.log.write_bytes(b"")
    return driver.run(*train(kind, *more), **events)


def errors(driver: Driver) -> list[str]:
    return [line for line in driver.said().splitlines() if line.startswith("textgen: ") or "Traceback" in line]


def at_step(number: int, what: str) -> list:
    return [["step", MEASURED + number, 0, what]]


def test_a_run_whose_worker_is_killed_ends_at_once_and_goes_on_to_the_same_bytes_by_others(driver):
    """Two workers by default; with plain graphs, since what XLA makes of a step is in test_shared_step.py."""
    status = begin(driver, *TINY, "--workers", "2", workers={1: at_step(15, "SIGKILL")})
    assert status == 1, driver.said()
    line = "textgen: worker 1 has ended, by SIGKILL. The run is saved up to its last checkpoint: textgen train --resume"
    assert [found[: len(line)] for found in errors(driver)] == [line]
    assert model_directory.checkpoint_dirs(driver.path)[0].name == "step-00000012"
    shutil.copytree(driver.path, driver.path.with_name("by one"))
    left = []
    for name, workers in (("novel", "2"), ("by one", "1")):
        assert driver.run("train", "--resume", "--name", name, "--workers", workers) == 0, driver.said()
        left.append(left_by(driver.path.with_name(name)))
    shutil.rmtree(driver.path.with_name("by one"))
    assert_nothing_else(driver.path)
    losses = [[row["validation_loss"] for row in found["metrics"]] for found in left]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "count", "more"),
    [("characters", 2, ()), ("words", 2, ()), ("documents", 2, ()), ("characters", 3, ()), ("words", 4, ())],
)
def test_compiled_runs_of_several_give_the_same_bytes_twice_and_two_those_of_one(kind, count, more, driver, tmp_path):
    """In 16 rows one process with two cores has two shards."""
    plain, driver.environment = driver.environment, {**driver.environment, PLAINLY: ""}
    rows = ("--batch-size", "16", "--cores", "2")
    try:
        assert begin(driver, *rows, "--workers", str(count), kind=kind) == 0, driver.said()
        found = left_by(driver.path)
        killed = begin(driver, *rows, "--workers", str(count), kind=kind, events=at_step(14, "SIGKILL"))
        assert killed == -signal.SIGKILL
        assert driver.run(*RESUME, "--workers", str(count)) == 0, driver.said()
        assert left_by(driver.path) == found
        assert begin(driver, *rows, kind=kind) == 0, driver.said()
        alone = left_by(driver.path)
    finally:
        driver.environment = plain
    if count == 2:
        assert alone == found
    losses = [[row["validation_loss"] for row in left["metrics"]] for left in (found, alone)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("who", "what", "status", "line"),
    [
        (1, "SIGSTOP", 1, "worker 1 has not answered for "),
        (1, "sleep", 1, "worker 1 has not come to the next step for 10 seconds"),
        (0, "sleep", 1, "the chief has not come to the next step for 10 seconds"),
        (1, "SIGTERM", 143, ""),
        (0, "SIGTERM", 143, ""),
        (0, "SIGKILL", -9, ""),
    ],
)
def test_whatever_happens_to_one_of_them_all_end_and_the_run_goes_on(who, what, status, line, driver):
    events = {"events": at_step(15, what)} if who == 0 else {"workers": {1: at_step(15, what)}}
    began = time.monotonic()
    assert begin(driver, *TINY, "--workers", "2", "--worker-timeout", "10", **events) == status, driver.said()
    assert time.monotonic() - began < 60
    assert [found.startswith(f"textgen: {line}") for found in errors(driver)] == [True] * bool(line)
    wait_until(lambda: not running(driver))
    assert driver.run(*RESUME, "--workers", "2") == 0, driver.said()
    assert_nothing_else(driver.path)


def running(driver: Driver) -> list[str]:
    """The processes that work in the driver's folder."""
    found = []
    for process in filter(str.isdecimal, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            if os.readlink(f"/proc/{process}/cwd") == str(driver.folder):
                found.append(process)
    return found


def wait_until(condition, seconds: float = 30) -> None:
    ends = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < ends
        time.sleep(0.1)


def of_cluster(driver: Driver, addresses: list[str], index: int, *arguments: str, **events):
    """A command of one process of a cluster, as Kubernetes would start it."""
    config = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}}
    before, driver.environment = driver.environment, {**driver.environment, "TF_CONFIG": json.dumps(config)}
    try:
        return driver.start(*arguments, log=driver.folder / f"log {index}", **events)
    finally:
        driver.environment = before


@pytest.mark.slow
def test_a_cluster_trains_and_the_chief_alone_prints_and_reads(driver):
    shutil.rmtree(driver.path, ignore_errors=True)
    addresses = [f"localhost:{free_port()}", f"127.0.0.1:{free_port()}"]
    chief = of_cluster(driver, addresses, 0, *train("characters", *TINY))
    worker = of_cluster(driver, addresses, 1, "train", "there is no such file.txt")
    assert (chief.wait(), worker.wait()) == (0, 0), (chief.errors.read_text(), worker.errors.read_text())
    assert "30 steps" in chief.errors.read_text()
    assert worker.errors.read_text() == ""
    assert_nothing_else(driver.path)


@pytest.mark.slow
@pytest.mark.parametrize("missing", [0, 1])
def test_one_of_a_cluster_that_never_comes_ends_the_other(missing, driver):
    shutil.rmtree(driver.path, ignore_errors=True)
    addresses = [f"localhost:{free_port()}", f"127.0.0.1:{free_port()}"]
    command = of_cluster(driver, addresses, 1 - missing, *train("characters", *TINY, "--worker-timeout", "3"))
    began = time.monotonic()
    assert command.wait() == 1
    assert time.monotonic() - began < 30
    said = command.errors.read_text().splitlines()[-1]
    line = f"worker 1 ({addresses[1]}) has not come within 3 seconds. Start all 2 at once"
    if missing == 0:
        line = f"the chief at {addresses[0]} cannot be reached within 3 seconds: Connection refused"
    assert said.startswith(f"textgen: {line}")
    assert not driver.path.exists()


@pytest.mark.parametrize(
    ("arguments", "variable", "status", "line"),
    [
        (("--workers", "0"), None, 2, "`workers` must be at least 1. Received: 0"),
        (("--workers", "2", "--worker-timeout", "0"), None, 2, "`worker_timeout` must be at least 1. Received: 0.0"),
        (("--workers", "5", *TINY), None, 2, "a batch of 4 rows cannot be cut over 5 workers. Raise `batch_size`, or"),
        ((), "{", 2, "TF_CONFIG is not JSON: "),
        (
            (),
            '{"cluster": {"worker": ["a:1", "b:2"]}, "task": {"type": "worker", "index": 2}}',
            2,
            "TF_CONFIG says that ",
        ),
        ((), '{"cluster": {"worker": ["a:1", "b:PORT"]}, "task": {"type": "worker", "index": 1}}', 1, "worker 1 (b:"),
        (
            (),
            '{"cluster": {"worker": ["a:PORT", "b:1"]}, "task": {"type": "worker", "index": 0}}',
            1,
            "the chief cannot ",
        ),
    ],
)
def test_what_cannot_be_is_one_line_before_anything_is_begun(arguments, variable, status, line, driver):
    shutil.rmtree(driver.path, ignore_errors=True)
    driver.log.write_bytes(b"")
    with socket.create_server(("", 0)) as taken:
        plain = driver.environment
        if variable is not None:
            variable = variable.replace("PORT", str(taken.getsockname()[1]))
            driver.environment = {**plain, "TF_CONFIG": variable}
        try:
            assert driver.run(*train("characters", *arguments)) == status
        finally:
            driver.environment = plain
    flags = line.replace("`workers`", "--workers").replace("`worker_timeout`", "--worker-timeout")
    assert errors(driver)[-1].startswith(f"textgen: {flags.replace('`batch_size`', '--batch-size')}")
    assert len(errors(driver)) == 1
    assert not driver.path.exists()
