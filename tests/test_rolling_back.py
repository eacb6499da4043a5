"""Runs that go back: to what, with which rate, and that nothing about it depends on interruptions."""

import math
from pathlib import Path

import numpy as np
import pytest
from conftest import slow
from faulty_runs import FULL, RATE, Notes, faulty_run, is_full, resume
from plans import STEPS, TEXT, metrics_of, plan_of, what_no_clock_touches, without_clock
from watching import Falling, ask_to_stop, crash, poison

import textgen.training.learner
from textgen.errors import TrainingError
from textgen.generation.generator import open_generator
from textgen.model.devices import Device
from textgen.records import MAX_ROLLBACKS
from textgen.store import model_directory
from textgen.store.checkpoints import load_newest
from textgen.training.learner import Learner
from textgen.training.results import SAMPLE
from textgen.training.schedule import learning_rate


@pytest.fixture(autouse=True)
def without_xla(monkeypatch):
    """The path of a GPU, without one: a plain graph, which is traced in a moment."""
    monkeypatch.setattr(
        textgen.training.learner, "choose_device", lambda cell: Device("GPU", False, "said by the test")
    )


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("corpus") / "novel.txt"
    path.write_text(TEXT)
    return path


def nan_at_full_rate(number, rate):
    return math.nan if number == 7 and is_full(number, rate) else None


# ---- going back


@pytest.fixture(scope="module")
def recovered(corpus, tmp_path_factory) -> dict:
    """What a run leaves that went back once, at step 8, and was not interrupted."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(textgen.training.learner, "choose_device", lambda cell: Device("GPU", False, "said by the test"))
        watcher = Notes()
        run, train = faulty_run(plan_of(corpus, tmp_path_factory.mktemp("models")), watcher, nan_at_full_rate)
        path = train().path
    return {"watcher": watcher, "made": run.step.made, "path": path, "left": what_no_clock_touches(path)}


def test_a_run_that_recovers_makes_the_same_steps_again_at_half_the_rate(recovered):
    watcher = recovered["watcher"]
    assert watcher.notes == [
        "the loss is nan at step 8. Back to step 6 with half the learning rate, now 0.003 (attempt 1 of 3)"
    ]
    assert recovered["made"] == [(n, FULL[n]) for n in range(8)] + [
        (n, learning_rate(n, STEPS, RATE / 2)) for n in range(6, STEPS)
    ]
    assert watcher.steps == [*range(1, 8), *range(7, STEPS + 1)]
    assert watcher.saved_steps == [0, 6, 6, 12, 18, 24, 30]


def test_a_run_that_recovers_is_a_finished_model_that_says_what_was_asked(recovered):
    path = recovered["path"]
    record = model_directory.load_model("novel", path.parent).record
    assert record.training.learning_rate == RATE
    assert record.results.steps == record.results.total_steps == STEPS
    rows = metrics_of(path)
    assert [row["step"] for row in rows] == [10, 20, 30]
    assert [row["learning_rate"] for row in rows] == [learning_rate(n, STEPS, RATE / 2) for n in (9, 19, 29)]
    assert all(0 < row["train_loss"] < math.log(30) for row in rows)


INTERRUPTIONS = {
    "crash before": ({7: crash}, None),
    "stop before": ({7: ask_to_stop}, None),
    "crash between reading and writing": ({}, crash),
    "stop at the roll-back": ({}, ask_to_stop),
    "crash after": ({9: crash}, None),
    "stop after": ({9: ask_to_stop}, None),
    "crash later": ({13: crash}, None),
}


BY_DEFAULT = ("crash between reading and writing", "stop at the roll-back", "crash after")


@pytest.mark.parametrize("interruption", [*BY_DEFAULT, *map(slow, sorted(INTERRUPTIONS.keys() - BY_DEFAULT))])
def test_an_interrupted_run_ends_with_the_same_bytes(interruption, recovered, corpus, tmp_path):
    at, on_rolled_back = INTERRUPTIONS[interruption]
    watcher = Notes(at, on_rolled_back or (lambda: None))
    _, train = faulty_run(plan_of(corpus, tmp_path), watcher, nan_at_full_rate)
    if "crash" in interruption:
        with pytest.raises(RuntimeError):
            train()
    else:
        assert train().stopped_by is not None
    forgotten = interruption in ("crash before", "stop before", "crash between reading and writing")
    assert load_newest(tmp_path / "novel")[0].progress.rollbacks == (0 if forgotten else 1)
    _, train, watcher = resume(tmp_path, nan_at_full_rate)
    assert what_no_clock_touches(train().path) == recovered["left"]
    assert len(watcher.notes) == forgotten


def test_rows_and_best_weights_after_the_step_gone_back_to_are_made_again(corpus, tmp_path):
    def fault(number, rate):
        return math.inf if number == 11 and is_full(number, rate) else None

    watcher = Notes()
    _, train = faulty_run(plan_of(corpus, tmp_path, sample_every=5), watcher, fault)
    path = train().path
    assert watcher.notes[0].startswith("the loss is inf at step 12. Back to step 6 ")
    assert [row.step for row in watcher.rows] == [5, 10, 10, 15, 20, 25, 30]
    rows = [row.to_json() for row in watcher.rows]
    assert [without_clock(row) for row in metrics_of(path)] == [without_clock(rows[i]) for i in (0, 2, 3, 4, 5, 6)]
    rates = [row.learning_rate for row in watcher.rows[:3]]
    assert rates == [FULL[4], FULL[9], learning_rate(9, STEPS, RATE / 2)]


def test_a_validation_loss_that_is_no_number_goes_back(corpus, tmp_path):
    watcher = Notes()
    run, train = faulty_run(plan_of(corpus, tmp_path), watcher, lambda number, rate: None)
    run.validate, run.validate_fully = Falling(2.0, math.nan, 1.5, 1.6), Falling(1.5)
    results = train().results
    assert watcher.notes[0].startswith("the validation loss is nan at step 20. Back to step 18 ")
    assert [row.validation_loss for row in watcher.rows] == [2.0, 1.5, 1.6]
    assert results.best_step == 20


def poison_a_slot(run: Learner) -> None:
    variable = next(iter(run.step.slots().values()))
    variable.assign(variable.numpy() * np.inf + np.nan)


@pytest.mark.parametrize(("what", "step"), [slow(poison, 12), (poison_a_slot, 12), (poison, 10), slow(poison, STEPS)])
def test_weights_that_are_no_numbers_are_never_kept_though_the_loss_was(what, step, corpus, tmp_path):
    """`Notes.saved` looks at whatever is written."""
    times = [step]  # once
    watcher = Notes({step: lambda: times and what(run) is None and times.pop()})
    run, train = faulty_run(plan_of(corpus, tmp_path), watcher, lambda number, rate: None)
    run.validate, run.validate_fully = Falling(3.0, 2.0, 1.0, 1.0), Falling(1.0)
    path = train().path
    assert len(watcher.notes) == 1
    assert watcher.notes[0].startswith(f"the weights or the optimizer's slots are no longer finite at step {step}. ")
    weights = model_directory.load_model("novel", path.parent).weights
    assert all(np.isfinite(array).all() for array in weights.values())


def test_a_loss_that_explodes_goes_back_and_no_checkpoint_is_made_on_the_climb(corpus, tmp_path):
    def fault(number, rate):
        return 11.0 * 1.25 ** (number - 9) if number >= 9 and is_full(number, rate) else None

    watcher = Notes()
    _, train = faulty_run(plan_of(corpus, tmp_path), watcher, fault)
    assert train().results.steps == STEPS
    assert len(watcher.notes) == 1
    assert watcher.notes[0].startswith("the loss exploded at step 18: a mean of ")
    assert ". Back to step 6 with half the learning rate, now 0.003 " in watcher.notes[0]
    assert watcher.saved_steps == [0, 6, 6, 12, 18, 24, 30]  # 18 was passed over on the climb


def test_where_the_newest_checkpoint_is_damaged_the_one_before_is_gone_back_to(corpus, tmp_path):
    def damage():
        newest = model_directory.checkpoint_dirs(tmp_path / "novel")[0]
        (newest / model_directory.TRAINING_STATE).write_bytes(b"")

    def fault(number, rate):
        return math.nan if number == 14 and is_full(number, rate) else None

    watcher = Notes({14: damage})
    _, train = faulty_run(plan_of(corpus, tmp_path), watcher, fault)
    found = []
    watcher.on_rolled_back = lambda: setattr(
        watcher, "at", {8: lambda: found.extend(model_directory.checkpoint_dirs(tmp_path / "novel"))}
    )
    train()
    assert [directory.name for directory in found] == ["step-00000006.0001"]
    assert watcher.notes[0].startswith("checkpoint step-00000012 is damaged and not used: ")
    assert watcher.notes[1].startswith("the loss is nan at step 15. Back to step 6 ")
    assert watcher.saved_steps == [0, 6, 12, 6, 12, 18, 24, 30]


# ---- giving up


def test_after_three_attempts_the_run_ends_with_advice_and_can_be_sampled(corpus, tmp_path):
    watcher = Notes()
    _, train = faulty_run(plan_of(corpus, tmp_path), watcher, lambda number, rate: math.nan if number == 7 else None)
    message = (
        r"^the loss is nan at step 8, though the run went back 3 times, each with half the learning rate\. Train anew "
        r"with a lower --learning-rate, or with --clip-norm below 1; the last good checkpoint is kept and can be "
        r"sampled$"
    )
    with pytest.raises(TrainingError, match=message):
        train()
    assert [note.split(" with ")[1] for note in watcher.notes] == [
        f"half the learning rate, now {rate:g} (attempt {number} of 3)"
        for number, rate in enumerate((0.003, 0.0015, 0.00075), 1)
    ]
    checkpoint, problems = load_newest(tmp_path / "novel")
    assert (checkpoint.progress.step, checkpoint.progress.rollbacks, problems) == (6, MAX_ROLLBACKS, [])
    assert len(open_generator(model_directory.load_model("novel", tmp_path)).generate("", SAMPLE["char"])) == 1
    run, train, watcher = resume(tmp_path, lambda number, rate: math.nan if number == 7 else None)
    with pytest.raises(TrainingError, match=message):
        train()
    assert run.step.made == [(n, learning_rate(n, STEPS, RATE / 8)) for n in (6, 7)]
    assert watcher.notes == []
