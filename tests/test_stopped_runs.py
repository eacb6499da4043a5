"""Whole commands that are stopped by signals, starved of disk or simply repeated: real processes, real model files."""

import json
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from commands import CLOSED, XLA_FLAGS
from conftest import slow
from driven_runs import RESUME, Driver, assert_nothing_else, left_by, train

from textgen.store import model_directory
from textgen.store.checkpoints import load_newest

pytestmark = pytest.mark.usefixtures("signals_are_heard")


@pytest.fixture(scope="module")
def driver(tmp_path_factory):
    return Driver(tmp_path_factory.mktemp("stopped"))


@pytest.fixture(scope="module")
def undisturbed(driver) -> dict:
    """What a run of words leaves that nothing happens to."""
    return finish(driver, *train("words"))


@pytest.fixture(autouse=True)
def no_models(driver):
    shutil.rmtree(driver.models_dir, ignore_errors=True)


def finish(driver: Driver, *arguments: str) -> dict:
    assert driver.run(*arguments) == 0, driver.said()
    assert_nothing_else(driver.path)
    return left_by(driver.path)


def real_process(driver: Driver, *arguments: str, **options) -> subprocess.Popen:
    """In which XLA compiles everything anew."""
    command = [sys.executable, "-m", "textgen", *arguments]
    environment = {name: value for name, value in driver.environment.items() if name != XLA_FLAGS}
    return subprocess.Popen(command, cwd=driver.folder, env=environment, stderr=subprocess.PIPE, **options)


def last_lines(driver: Driver, number: int = 1) -> list[str]:
    return [line.strip() for line in driver.said().splitlines()[-number:]]


def test_the_same_command_gives_the_same_bytes_again(driver, undisturbed):
    """In a process of its own, too: a fork of a process that has imported TensorFlow is no other."""
    assert finish(driver, *train("words")) == undisturbed
    shutil.rmtree(driver.path)
    with real_process(driver, *train("words")) as process:
        _, said = process.communicate()
    assert process.returncode == 0, said
    assert left_by(driver.path) == undisturbed


@pytest.mark.parametrize("name", ["SIGTERM", slow("SIGHUP")])
def test_a_signal_stops_the_run_within_two_steps_and_saves_it(driver, undisturbed, name):
    before = 6 + 10  # of the rehearsal, and of the run
    status = driver.run(*train("words"), events=[["step", before, 0, name]])
    assert status == 128 + signal.Signals[name]
    newest = load_newest(driver.path)[0]
    assert newest.progress.step in (10, 11)
    rows = [json.loads(line) for line in (driver.path / model_directory.METRICS).read_text().splitlines()]
    assert [row["step"] for row in rows] == [row.step for row in newest.history] == [10]
    assert last_lines(driver) == ["go on  textgen train --resume --name novel"]
    assert os.listdir(driver.models_dir) == ["novel"]
    assert finish(driver, *RESUME) == undisturbed


def test_ctrl_c_saves_the_run_though_it_ended_the_reader_of_its_log_too(driver, undisturbed):
    """As in `2>&1 | tee log`: what the evaluation says goes nowhere, and so does what the end says."""
    pipe = driver.folder / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDWR)  # so that the command finds a reader whenever it begins
    command = driver.start(*train("words"), "--json", log=pipe, events=[["step", 6 + 10, 0, "SIGINT"]])
    select.select([reader], [], [])
    os.close(reader)
    assert command.wait() == 130
    assert load_newest(driver.path)[0].progress.step in (10, 11)
    assert finish(driver, *RESUME) == undisturbed


@pytest.mark.parametrize("log", [Path("/dev/full"), slow(CLOSED)], ids=str)
def test_a_run_whose_log_cannot_be_written_goes_on_without_it(driver, undisturbed, log):
    assert driver.start(*train("words"), log=log).wait() == 0
    assert left_by(driver.path) == undisturbed


@pytest.mark.slow
def test_a_run_whose_terminal_is_gone_goes_on_without_it(driver, undisturbed):
    """Its bar is drawn by a thread, and every writing fails from its first line on."""
    ours, theirs = os.openpty()
    command = driver.start(*train("words"), log=Path(os.ttyname(theirs)))
    os.read(ours, 1)
    os.close(theirs)
    os.close(ours)
    assert command.wait() == 0
    assert left_by(driver.path) == undisturbed


def test_a_stopped_run_is_sampled_where_it_is_best_and_that_changes_no_byte_of_its_end(driver, undisturbed):
    """Before its first evaluation, and again between two of them."""
    assert driver.run(*train("words"), events=[["step", 6 + 7, 0, "SIGTERM"]]) == 143
    newest, _ = load_newest(driver.path)
    first = model_directory.load_model("novel", driver.models_dir)
    assert all(array.tobytes() == newest.training[f"model.{name}"].tobytes() for name, array in first.weights.items())
    results = first.record.results
    assert (results.best_step, results.steps, newest.progress.best_loss) == (newest.progress.step,) * 2 + (None,)
    assert results.validation_loss > 0
    assert driver.run(*RESUME, events=[["step", 9, 0, "SIGTERM"]]) == 143
    newest, _ = load_newest(driver.path)
    results = model_directory.load_model("novel", driver.models_dir).record.results
    (evaluated,) = newest.history
    assert newest.progress.best_loss == evaluated.validation_loss
    assert results.validation_loss < evaluated.validation_loss  # this text is learned at every step
    assert results.best_step == newest.progress.step > evaluated.step
    assert finish(driver, *RESUME) == undisturbed


@pytest.mark.parametrize("call", [20, slow(75)], ids=lambda number: f"call {number}")
def test_a_second_signal_ends_it_at_once_and_an_earlier_checkpoint_is_whole(driver, undisturbed, call):
    """It comes in the middle of the save that the first one asked for."""
    events = [["step", 6 + 10, 0, "SIGTERM"], ["writing", call, 0, "SIGINT"]]
    assert driver.run(*train("words"), events=events) == 130
    checkpoint, problems = load_newest(driver.path)
    assert problems == []
    assert checkpoint.progress.step == (8 if call < 70 else 10)
    assert finish(driver, *RESUME) == undisturbed


@pytest.mark.parametrize(("moment", "number"), [("preparing", 20), ("step", 3)], ids=["preparing", "measuring"])
def test_a_signal_before_the_first_step_is_one_line_and_leaves_nothing(driver, moment, number):
    driver.forget_corpora()
    assert driver.run(*train("words"), events=[[moment, number, 0, "SIGTERM"]]) == 143
    assert last_lines(driver) == ["textgen: stopped before a step was made; nothing has changed"]
    assert "Traceback" not in driver.said()
    assert not driver.models_dir.exists()
    assert list((driver.folder / "cache").rglob("*.tmp")) == []


def test_ctrl_c_during_the_import_of_tensorflow_is_one_line_and_leaves_nothing(driver):
    with real_process(driver, *train("words")) as process:
        while b"     model  " not in process.stderr.readline():
            pass  # the import comes next
        process.send_signal(signal.SIGINT)
        assert process.stderr.read() == b"textgen: stopped before a step was made; nothing has changed\n"
    assert process.returncode == 130
    assert not driver.models_dir.exists()


def test_the_second_of_two_commands_is_refused_and_the_first_goes_on(driver, undisturbed):
    first = driver.start(*train("words"), log=driver.folder / "log of the first")
    while "     model  " not in first.errors.read_text():
        time.sleep(0.01)
    assert driver.run(*train("words")) == 1
    assert last_lines(driver) == [
        f"textgen: {driver.path} is being trained by process {first.number}. "
        f"Wait for it, stop it (kill {first.number}), or use another --name"
    ]
    assert first.wait() == 0
    assert left_by(driver.path) == undisturbed
    assert_nothing_else(driver.path)


def test_a_disk_that_is_full_for_a_while_costs_checkpoints_and_not_the_run(driver, undisturbed):
    """The limit on a file's size makes write() itself fail, as a full disk does."""
    events = [["step", 6 + 7, 0, "full"], ["step", 8, 0, "room"]]
    assert driver.run(*train("words"), events=events) == 0, driver.said()
    notes = [line for line in driver.said().splitlines() if line.startswith("note:")]
    where = f"note: cannot save a checkpoint in {driver.path}/checkpoints: File too large"
    assert notes == [f"{where}. The run goes on; the next is due at step {step}" for step in (12, 16)]
    assert_nothing_else(driver.path)
    assert left_by(driver.path) == undisturbed


@pytest.mark.slow  # by default test_training_failures.py has a disk that stays full, in one process
def test_a_disk_that_stays_full_ends_in_one_line_and_the_run_goes_on_when_there_is_room(driver, undisturbed):
    assert driver.run(*train("words"), events=[["step", 6 + 7, 0, "full"]]) == 1
    assert "Once that is mended: textgen train --resume --name novel" in last_lines(driver)[0]
    assert "Traceback" not in driver.said()
    assert load_newest(driver.path)[0].progress.step == 4
    assert not model_directory.load_model("novel", driver.models_dir).is_finished
    assert finish(driver, *RESUME) == undisturbed
