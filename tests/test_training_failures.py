"""Runs on a disk that fails: they go on where they can, and end in one line that says what to do where they cannot."""

import errno
import itertools
import os
import re
import shutil
import signal
from pathlib import Path
from types import SimpleNamespace

import pytest
from conftest import make_stored_model, slow, write_stored_model
from system_calls import SystemCalls, failing
from test_training_run import (
    CHECKPOINT_EVERY,
    STEPS,
    TEXT,
    Watcher,
    ask_to_stop,
    metrics_of,
    plan_of,
    resume,
    what_no_clock_touches,
)

import textgen.training.run
from textgen import model_store
from textgen.errors import CheckpointError, CorpusError, ModelError
from textgen.model.devices import Device
from textgen.training.budget import Speed
from textgen.training.checkpoints import load_newest
from textgen.training.lock import RunLock
from textgen.training.request import new_plan, resumed_plan
from textgen.training.run import Run
from textgen.training.stopping import StopRequest

pytestmark = pytest.mark.usefixtures("without_xla", "signals_are_heard")


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("corpus") / "novel.txt"
    path.write_text(TEXT)
    return path


@pytest.fixture
def without_xla(monkeypatch):
    monkeypatch.setattr(textgen.training.run, "choose_device", lambda cell: Device("GPU", False, "said by the test"))


@pytest.fixture(scope="module")
def undisturbed(corpus, tmp_path_factory) -> dict:
    """What a run leaves that nothing happens to."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(textgen.training.run, "choose_device", lambda cell: Device("GPU", False, "said by the test"))
        return what_no_clock_touches(Run(plan_of(corpus, tmp_path_factory.mktemp("undisturbed"))).train().path)


class Listener(Watcher):
    """A watcher that keeps the notes."""

    def __init__(self, at: dict | None = None):
        super().__init__(at)
        self.notes = []

    def noted(self, message):
        self.notes.append(message)


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
    watcher = Listener({7: lambda: disk.fill(error), 20: disk.empty})
    result = Run(plan_of(corpus, tmp_path), watcher).train()
    where = f"cannot save a checkpoint in {tmp_path}/novel/checkpoints: {os.strerror(error)}"
    assert watcher.notes == [f"{where}. The run goes on; the next is due at step {step}" for step in (18, 24)]
    assert watcher.saved_steps == [0, 6, 24, 30]
    assert what_no_clock_touches(result.path) == undisturbed


def test_a_run_whose_directory_vanishes_makes_it_anew(undisturbed, corpus, tmp_path):
    watcher = Listener({7: lambda: shutil.rmtree(tmp_path)})
    result = Run(plan_of(corpus, tmp_path / "models"), watcher).train()
    assert watcher.notes == []
    assert what_no_clock_touches(result.path) == undisturbed
    assert os.listdir(tmp_path) == ["models"]


def test_as_many_checkpoints_are_kept_as_the_settings_say(corpus, tmp_path):
    kept = {}
    watcher = Watcher({20: lambda: kept.update(dirs=model_store.checkpoint_dirs(tmp_path / "novel"))})
    Run(plan_of(corpus, tmp_path, keep_checkpoints=3), watcher).train()
    assert [path.name for path in kept["dirs"]] == ["step-00000018", "step-00000012", "step-00000006"]


# ---- at the beginning and at the end


def test_a_run_that_cannot_save_before_its_first_step_leaves_nothing(disk, corpus, tmp_path):
    with RunLock() as lock:
        lock.acquire(tmp_path / "models" / "novel")
        disk.fill()
        with pytest.raises(CheckpointError, match=r"No space left on device\. Nothing was begun; make room there"):
            Run(plan_of(corpus, tmp_path / "models")).train()
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("at", [7, STEPS], ids=["a signal", "the last step"])
def test_a_run_that_cannot_save_at_the_end_says_how_to_go_on(disk, undisturbed, corpus, tmp_path, at):
    events = {at: disk.fill}
    if at < STEPS:
        events[at + 1] = ask_to_stop
    advice = f"Once that is mended: textgen train --resume --name novel --models-dir {tmp_path}"
    with pytest.raises(CheckpointError, match=rf"No space left on device\. {re.escape(advice)}$"):
        Run(plan_of(corpus, tmp_path), Watcher(events)).train()
    disk.empty()
    last = 6 if at < STEPS else STEPS - CHECKPOINT_EVERY
    assert load_newest(tmp_path / "novel")[0].progress.step == last
    assert model_store.load_model("novel", tmp_path).path.name == f"step-{last:08d}"
    assert what_no_clock_touches(resume(tmp_path)[0].path) == undisturbed


def test_whatever_call_fails_as_the_model_is_sealed_the_run_is_saved(corpus, tmp_path, monkeypatch):
    """The loop is over, its last checkpoint is on the disk."""
    Run(plan_of(corpus, tmp_path / "before"), Watcher({STEPS: ask_to_stop})).train()
    plan, checkpoint, _ = resumed_plan("novel", tmp_path / "before")
    run = Run(plan)
    run.validate_fully = None
    loop = SimpleNamespace(run=lambda stop: True, clock=0.0, **checkpoint._asdict())
    failed = []
    for number in itertools.count(1):
        models_dir = Path(shutil.copytree(tmp_path / "before", tmp_path / str(number)))
        run.plan = plan.__class__(**{**vars(plan), "path": models_dir / "novel"})
        with monkeypatch.context() as patch:
            calls = SystemCalls(number, failing(errno.ENOSPC)).install(patch)
            said = what_sealing_says(run, loop)
        model = model_store.load_model("novel", models_dir)
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


def what_sealing_says(run: Run, loop) -> str:
    try:
        with StopRequest() as stop:
            run._run_to_the_end(loop, stop)
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
                new_plan([corpus], models_dir=tmp_path / "models")
            except CorpusError as problem:
                said.add(str(problem).replace(str(cache), "CACHE"))
        assert [path for path in cache.rglob("*.tmp")] == []
        new_plan([corpus], models_dir=tmp_path / "models")
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
    run = Run(plan_of(corpus, tmp_path))
    validate_fully = run.validate_fully
    run.validate_fully = lambda: os.kill(os.getpid(), number) or validate_fully()
    result = run.train()
    assert (result.stopped_by, result.results.steps) == (number, STEPS)
    assert not model_store.load_model("novel", tmp_path).is_finished
    assert what_no_clock_touches(resume(tmp_path)[0].path) == undisturbed


def test_a_signal_while_the_speed_is_measured_leaves_nothing(corpus, tmp_path, monkeypatch):
    monkeypatch.setattr(textgen.training.run.budget, "rehearse", lambda *_: os.kill(os.getpid(), signal.SIGTERM))
    write_stored_model(tmp_path, make_stored_model(), "novel")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(KeyboardInterrupt) as caught:
        Run(plan_of(corpus, tmp_path, overwrite=True)).train(overwrite=True)
    assert caught.value.exit_status == 143
    assert sorted(tmp_path.rglob("*")) == before


# ---- minutes


def test_minutes_are_turned_into_steps_once_for_a_run_however_often_it_is_stopped(corpus, tmp_path, monkeypatch):
    monkeypatch.setattr(textgen.training.run.budget, "rehearse", lambda *_: Speed(0.5, 0.0))
    monkeypatch.setattr(textgen.training.run.budget, "MOST_OF_PLANNED", 1)  # its steps take no time: it would make more
    plan = plan_of(corpus, tmp_path, minutes=0.5, steps=None, sample_every=0)
    run = Run(plan, Watcher({9: ask_to_stop}))
    run.train()
    total = run.plan.total_steps
    assert 40 < total < 60
    monkeypatch.setattr(textgen.training.run.budget, "rehearse", lambda *_: pytest.fail("it is measured again"))
    resume(tmp_path, {12: ask_to_stop})
    result, watcher = resume(tmp_path)
    assert watcher.steps == list(range(13, total + 1))
    assert result.results.total_steps == total
    by_steps = Run(plan_of(corpus, tmp_path / "steps", steps=total, sample_every=0))
    by_steps.seconds_per_step = 1.0  # it need not be measured
    by_steps = by_steps.train()
    assert metrics_of(result.path)[-1]["validation_loss"] == metrics_of(by_steps.path)[-1]["validation_loss"]
    weights = [(path / model_store.WEIGHTS).read_bytes() for path in (result.path, by_steps.path)]
    assert weights[0] == weights[1]
