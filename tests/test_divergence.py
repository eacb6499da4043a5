"""What counts as a loss that runs away, in numbers that were measured, and in runs that are normal or are not."""

import math
import random
from pathlib import Path

import numpy as np
import pytest
from commands import run
from conftest import slow
from faulty_runs import Notes
from fork_server import PLAINLY
from plans import TEXT, plan_of, run_plan

import textgen.training.learner
from textgen.errors import SettingError
from textgen.model.devices import Device
from textgen.records import MAX_ROLLBACKS, Progress
from textgen.store.checkpoints import Checkpoint
from textgen.training.divergence import (
    EXPLOSION,
    SUSPICION,
    DivergenceError,
    check_explosion,
    check_finite,
    check_tensors,
    is_suspicious,
    updated_mean,
)


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


# ---- what counts


def test_the_mean_begins_at_a_uniform_guess_and_takes_a_tenth_of_every_loss():
    mean = updated_mean(None, 2.0, 50)
    assert mean == pytest.approx(0.9 * math.log(50) + 0.2)
    assert updated_mean(mean, 1.0, 50) == pytest.approx(0.9 * mean + 0.1)


@pytest.mark.parametrize("vocabulary_size", [2, 65, 30_000])
def test_an_explosion_is_a_mean_far_above_a_uniform_guess(vocabulary_size):
    guess = math.log(vocabulary_size)
    check_explosion(guess + EXPLOSION - 0.01, vocabulary_size, 7)
    with pytest.raises(DivergenceError, match=r"^the loss exploded at step 1,007: a mean of .* nats, where"):
        check_explosion(guess + EXPLOSION + 0.01, vocabulary_size, 1007)
    assert not is_suspicious(None, vocabulary_size)
    assert not is_suspicious(guess + SUSPICION - 0.01, vocabulary_size)
    assert is_suspicious(guess + SUSPICION + 0.01, vocabulary_size)


def steps_until_found(losses, vocabulary_size: int = 65) -> int | None:
    mean = None
    for step, loss in enumerate(losses, 1):
        mean = updated_mean(mean, loss, vocabulary_size)
        try:
            check_explosion(mean, vocabulary_size, step)
        except DivergenceError:
            return step
    return None


def test_losses_that_were_measured_are_told_apart():
    rate_10 = [4.2, 26.9, 43.5, 63.0, 92.0, 130.0]
    rate_1_and_it_comes_back = [4.2, 4.6, 8.6, 11.8, 11.1, 10.1, 12.4, 14.7, 13.0, 11.1, 10.2, 10.3, 11.1, 10.2, 8.7]
    other_symbols = [2.4] * 500 + [27.4, 17.3] + [16.0] * 100  # from one batch to the next, one short stream
    noise = [random.Random(0).uniform(0.2, 2.0) * math.log(65) for _ in range(10_000)]
    assert steps_until_found(rate_10) in range(3, 7)
    for normal in (rate_1_and_it_comes_back, other_symbols, noise):
        assert steps_until_found(normal) is None
    assert steps_until_found([2.0] * 50 + [190.0]) is None
    assert steps_until_found([2.0] * 50 + [250.0]) == 51


@pytest.mark.parametrize("loss", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_is_named(loss):
    check_finite("loss", 1e30, 8)
    with pytest.raises(DivergenceError, match=rf"^the loss is {loss} at step 8$"):
        check_finite("loss", loss, 8)
    tensors = [np.zeros(3, np.float32), np.float32([1, 3e38, 3e38])]
    check_tensors(tensors, 8)
    with pytest.raises(DivergenceError, match="no longer finite at step 8"):
        check_tensors([*tensors, np.float32([[0, loss]])], 8)


@pytest.mark.parametrize("rollbacks", [-1, MAX_ROLLBACKS + 1, 0.5])
def test_a_count_of_rollbacks_that_cannot_be_is_refused(rollbacks):
    with pytest.raises(SettingError):
        Progress(rollbacks=rollbacks)


# ---- what is normal

NORMAL = {
    "characters": {},
    "a GRU": {"cell": "gru"},
    "a plain RNN": {"cell": "rnn"},
    "words, some of them compared": {"level": "word", "vocabulary_size": 24, "tied": True, "num_sampled": 12},
    "lines": {"documents": "line"},
    "one short stream, a fast rate": {"batch_size": 1, "sequence_length": 4, "learning_rate": 0.05, "clip_norm": 0.0},
}


BY_DEFAULT = ("words, some of them compared", "one short stream, a fast rate")


@pytest.mark.parametrize("kind", [*BY_DEFAULT, *map(slow, sorted(NORMAL.keys() - BY_DEFAULT))])
def test_a_normal_run_never_goes_back(kind, corpus, tmp_path):
    plan = plan_of(corpus, tmp_path, **{"steps": 200, "sample_every": 100, "checkpoint_every": 50} | NORMAL[kind])
    watcher, means = Notes(), []
    watcher.saved = lambda path, step: means.append(Checkpoint.read(path).progress.loss_mean)
    run_plan(plan, watcher)
    assert watcher.notes == []
    assert watcher.steps == list(range(1, 201))
    assert all(mean < math.log(plan.model.vocabulary_size) for mean in means[1:])
    assert len(means) == 5


# ---- what is not


def test_a_real_explosion_on_the_command_line(corpus, tmp_path):
    options = ["--cell", "gru", "--units", "256", "--steps", "100", "--batch-size", "4", "--sequence-length", "16"]
    rate = ["--learning-rate", "10", "--clip-norm", "0", "--models-dir", tmp_path]
    done = run("train", corpus, *options, *rate, cwd=tmp_path, **{PLAINLY: "1"})
    said = done.stderr.decode()
    assert done.returncode == 1, said
    assert done.stdout == b""
    assert "Traceback" not in said
    assert "Warning" not in said
    notes = [line for line in said.splitlines() if line.startswith("note: ")]
    assert [note.partition("now ")[2] for note in notes] == [
        "5 (attempt 1 of 3)",
        "2.5 (attempt 2 of 3)",
        "1.25 (attempt 3 of 3)",
    ]
    assert all("the loss exploded at step " in note for note in notes)
    last = said.splitlines()[-1]
    assert "the loss exploded at step " in last
    assert "Train anew with a lower --learning-rate, or with --clip-norm 1; the last good checkpoint is kept" in last
    sampled = run("sample", "novel", "-n", "20", "--models-dir", tmp_path, cwd=tmp_path)
    assert (sampled.returncode, sampled.stdout != b"") == (0, True), sampled.stderr
