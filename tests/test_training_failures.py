"""Runs on a disk that fails: they go on where they can, and end in one line that says what to do where they cannot."""

import dataclasses
import errno
import itertools
import os
import re
import shutil
import signal
from pathlib import Path
from types import SimpleNamespace

import pytest
from conftest import make_stored_model, slow, trace_plainly, write_stored_model
from plans import (
    CHECKPOINT_EVERY,
    STEPS,
    metrics_of,
    plan_of,
    resume,
    resumed_plan,
    run_plan,
    what_no_clock_touches,
)
from system_calls import SystemCalls, failing
from watching import Watcher, ask_to_stop

import textgen.training.run
from textgen.errors import CheckpointError, CorpusError, ModelError
from textgen.store import model_directory
from textgen.store.checkpoints import load_newest
from textgen.store.lock import RunLock
from textgen.training.learner import Learner
from textgen.training.measuring import Speed
from textgen.training.signals import StopRequest

pytestmark = pytest.mark.usefixtures("without_xla", "signals_are_heard")


@pytest.fixture(scope="module")
def undisturbed(corpus, tmp_path_factory) -> dict:
    """What a run leaves that nothing happens to."""
    with pytest.MonkeyPatch.context() as patch:
        trace_plainly(patch)
        return what_no_clock_touches(run_plan(plan_of(corpus, tmp_path_factory.mktemp("undisturbed"))).path)


class Disk:
    """Full, from one step of a run to another."""

    def __init__(self, monkeypatch):
        self.patch = monkeypatch

    def fill(self, error: int = errno.ENOSPC) -> None:
        self.kept = os.replace
        self.patch.setattr(os, "replace", lambda *_: failing(error)())

    def empty(self) -> None:
        self.patch.setattr(os, "replace", self.kept)


@pytest.fixture
def disk(monkeypatch) -> Disk:
    return Disk(monkeypatch)


# ---- in the middle


@pytest.mark.parametrize(
    "error", [errno.ENOSPC, *map(slow, (errno.EACCES, errno.EROFS, errno.ENOENT))], ids=os.strerror
)
def test_a_checkpoint_that_cannot_be_saved_is_noted_and_tried_again(disk, undisturbed, corpus, tmp_path, error):
    watcher = Watcher({7: lambda: disk.fill(error), 20: disk.empty})
    result = run_plan(plan_of(corpus, tmp_path), watcher)
    where = f"cannot save a checkpoint in {tmp_path}/novel/checkpoints: {os.strerror(error)}"
    assert watcher.notes == [f"{where}. The run goes on; the next is due at step {step}" for step in (18, 24)]
    assert watcher.saved_steps == [0, 6, 24, 30]
    assert what_no_clock_touches(result.path) == undisturbed


def test_a_run_whose_directory_vanishes_makes_it_anew(undisturbed, corpus, tmp_path):
    watcher = Watcher({7: lambda: shutil.rmtree(tmp_path)})
    result = run_plan(plan_of(corpus, tmp_path / "models"), watcher)
    assert watcher.notes == []
    assert what_no_clock_touches(result.path) == undisturbed
    assert os.listdir(tmp_path) == ["models"]


def test_as_many_checkpoints_are_kept_as_the_settings_say(corpus, tmp_path):
    kept = {}
    watcher = Watcher({20: lambda: kept.update(dirs=model_directory.checkpoint_dirs(tmp_path / "novel"))})
    run_plan(plan_of(corpus, tmp_path, keep_checkpoints=3), watcher)
    assert [path.name for path in kept["dirs"]] == ["step-00000018", "step-00000012", "step-00000006"]


# ---- at the beginning and at the end


def test_a_run_that_cannot_save_before_its_first_step_leaves_nothing(disk, corpus, tmp_path):
    with RunLock() as lock:
        lock.acquire(tmp_path / "models" / "novel")
        disk.fill()
        with pytest.raises(CheckpointError, match=r"No space left on device\. Nothing was begun; make room there"):
            run_plan(plan_of(corpus, tmp_path / "models"))
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("at", [7, STEPS], ids=["a signal", "the last step"])
def test_a_run_that_cannot_save_at_the_end_says_how_to_go_on(disk, undisturbed, corpus, tmp_path, at):
    events = {at: disk.fill}
    if at < STEPS:
        events[at + 1] = ask_to_stop
    advice = f"Once that is mended: textgen train --resume --name novel --models-dir {tmp_path}"
    with pytest.raises(CheckpointError, match=rf"No space left on device\. {re.escape(advice)}$"):
        run_plan(plan_of(corpus, tmp_path), Watcher(events))
    disk.empty()
    last = 6 if at < STEPS else STEPS - CHECKPOINT_EVERY
    assert load_newest(tmp_path / "novel")[0].progress.step == last
    assert model_directory.load_model("novel", tmp_path).path.name == f"step-{last:08d}"
    assert what_no_clock_touches(resume(tmp_path)[0].path) == undisturbed


def test_whatever_call_fails_as_the_model_is_sealed_the_run_is_saved(corpus, tmp_path, monkeypatch):
    """The last step is done, and its checkpoint is on the disk."""
    run_plan(plan_of(corpus, tmp_path / "before"), Watcher({STEPS: ask_to_stop}))
    plan = resumed_plan(tmp_path / "before")
    checkpoint, learner = plan.begins, Learner(plan)
    learner.validate_fully = None
    trainer = SimpleNamespace(learner=learner, run=lambda stop: True, seconds=0.0, **checkpoint._asdict())
    failed = []
    for number in itertools.count(1):
        models_dir = Path(shutil.copytree(tmp_path / "before", tmp_path / str(number)))
        trainer.plan = dataclasses.replace(plan, path=models_dir / "novel")
        with monkeypatch.context() as patch:
            calls = SystemCalls(number, failing(errno.ENOSPC)).install(patch)
            said = what_sealing_says(trainer)
        model = model_directory.load_model("novel", models_dir)
        assert model.weights["embedding"].tobytes() == checkpoint.best_weights["embedding"].tobytes()
        assert not [path for path in (models_dir / "novel").rglob(".*.tmp") if said]
        if said:
            failed.append(calls.made[number - 1])
            assert said == (
                f"cannot write the model in {models_dir}/novel: No space left on device. The run is saved; "
                f"once that is mended: textgen train --resume --name novel --models-dir {models_dir}"
            )
        else:
            assert model.is_finished
        if not calls.has_acted:
            break
    assert set(failed) == {"open", "write", "flush", "fsync", "chmod", "replace"}
    assert len(failed) > 40


def what_sealing_says(trainer) -> str:
    try:
        with StopRequest() as stop:
            textgen.training.run._run_to_the_end(trainer, stop)
    except ModelError as problem:
        return str(problem)
    return ""


def test_whatever_call_fails_as_a_corpus_is_prepared_nothing_half_made_is_left(corpus, tmp_path, monkeypatch):
    said = set()
    for number in itertools.count(1):
        cache = tmp_path / str(number)
        monkeypatch.setenv("TEXTGEN_CACHE_DIR", str(cache))
        with monkeypatch.context() as patch:
            calls = SystemCalls(number, failing(errno.ENOSPC), cache).install(patch)
            try:
                plan_of(corpus, tmp_path / "models")
            except CorpusError as problem:
                said.add(str(problem).replace(str(cache), "CACHE"))
        assert [path for path in cache.rglob("*.tmp")] == []
        plan_of(corpus, tmp_path / "models")
        if not calls.has_acted:
            break
    assert said == {
        "cannot keep the prepared corpus in CACHE/prepared: No space left on device. "
        "Set TEXTGEN_CACHE_DIR to a folder with room"
    }
    assert number > 40


# ---- signals


@pytest.mark.parametrize(
    "number", [signal.SIGTERM, *map(slow, (signal.SIGINT, signal.SIGHUP))], ids=lambda number: number.name
)
def test_a_signal_in_the_last_evaluation_leaves_a_run_to_go_on_with(undisturbed, corpus, tmp_path, number):
    plan = plan_of(corpus, tmp_path)
    learner = Learner(plan)
    validate_fully = learner.validate_fully
    learner.validate_fully = lambda: os.kill(os.getpid(), number) or validate_fully()
    result = run_plan(plan, learner=learner)
    assert (result.stopped_by, result.results.steps) == (number, STEPS)
    assert not model_directory.load_model("novel", tmp_path).is_finished
    assert what_no_clock_touches(resume(tmp_path)[0].path) == undisturbed


def test_a_signal_while_the_speed_is_measured_leaves_nothing(corpus, tmp_path, monkeypatch):
    monkeypatch.setattr("textgen.training.measuring.rehearse", lambda *_, **__: os.kill(os.getpid(), signal.SIGTERM))
    write_stored_model(tmp_path, make_stored_model(), "novel")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(KeyboardInterrupt) as caught:
        run_plan(plan_of(corpus, tmp_path, overwrite=True))
    assert caught.value.exit_status == 143
    assert sorted(tmp_path.rglob("*")) == before


# ---- minutes


def test_minutes_are_turned_into_steps_once_for_a_run_however_often_it_is_stopped(corpus, tmp_path, monkeypatch):
    monkeypatch.setattr("textgen.training.measuring.rehearse", lambda *_, **__: Speed(0.5, 0.0))
    monkeypatch.setattr("textgen.training.pace.MOST_OF_PLANNED", 1)  # its steps take no time: it would make more
    plan = plan_of(corpus, tmp_path, minutes=0.5, steps=None, sample_every=0)
    stopped = Watcher({9: ask_to_stop})
    run_plan(plan, stopped)
    total = stopped.plan.total_steps
    assert 40 < total < 60
    monkeypatch.setattr("textgen.training.measuring.rehearse", lambda *_, **__: pytest.fail("it is measured again"))
    resume(tmp_path, {12: ask_to_stop})
    result, watcher = resume(tmp_path)
    assert watcher.steps == list(range(13, total + 1))
    assert result.results.total_steps == total
    by_steps = plan_of(corpus, tmp_path / "steps", steps=total, sample_every=0)
    by_steps = run_plan(by_steps, learner=Learner(by_steps))
    assert metrics_of(result.path)[-1]["validation_loss"] == metrics_of(by_steps.path)[-1]["validation_loss"]
    weights = [(path / model_directory.WEIGHTS).read_bytes() for path in (result.path, by_steps.path)]
    assert weights[0] == weights[1]
