"""Checkpoints on a disk that fails, in a process that is killed, with files that are damaged."""

import dataclasses
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from conftest import make_stored_model, random_weights

from textgen import model_store
from textgen.errors import ModelError, SettingError
from textgen.training.checkpoints import KEEP, Checkpoint, Progress, load_newest, save_checkpoint
from textgen.training.reporting import Evaluated

MODEL = make_stored_model()
HISTORY = (
    Evaluated(step=1, epoch=0.1, learning_rate=0.003, train_loss=1 / 3, validation_loss=2 / 3, sample='é "\n\x00'),
    Evaluated(step=2, epoch=0.2, train_loss=0.1 + 0.2, validation_loss=None, bits_per_character=None),
)


def checkpoint_at(step: int) -> Checkpoint:
    """A checkpoint whose every tensor says which step it is of."""
    progress = Progress(step, total_steps=100, best_step=step, best_loss=1 / (step + 3), loss_sum=0.1 * step)
    weights = {name: np.full_like(array, step) for name, array in MODEL.weights.items()}
    training = {"model.embedding": np.full((3, 4), step, np.float32), "state.0.0": np.float32([[step]])}
    return Checkpoint(MODEL.record, MODEL.tokenizer, progress, HISTORY, weights, training)


def assert_whole(checkpoint: Checkpoint, step: int) -> None:
    expected = checkpoint_at(step)
    assert checkpoint.record == expected.record
    assert checkpoint.tokenizer.pieces == expected.tokenizer.pieces
    assert checkpoint.progress == expected.progress
    assert checkpoint.history == expected.history
    for found, tensors in (
        (checkpoint.best_weights, expected.best_weights),
        (checkpoint.training, expected.training),
    ):
        assert {name: array.tobytes() for name, array in found.items()} == {
            name: array.tobytes() for name, array in tensors.items()
        }


def names_in(run_dir: Path) -> list[str]:
    return sorted(path.name for path in (run_dir / model_store.CHECKPOINTS).iterdir())


# ---- round trip


def test_what_is_saved_comes_back_bit_for_bit(tmp_path):
    path = save_checkpoint(tmp_path, checkpoint_at(7))
    assert path == tmp_path / "checkpoints" / "step-00000007"
    assert sorted(p.name for p in path.iterdir()) == sorted([*model_store.CHECKPOINT_FILES, model_store.MANIFEST])
    checkpoint, problems = load_newest(tmp_path)
    assert_whole(checkpoint, 7)
    assert problems == []


def test_odd_floats_survive(tmp_path):
    training = {"state.0.0": np.float32([[np.nan, -0.0, np.inf, 1e-45]])}
    save_checkpoint(tmp_path, checkpoint_at(1)._replace(training=training))
    found = load_newest(tmp_path)[0].training["state.0.0"]
    assert found.tobytes() == training["state.0.0"].tobytes()


def test_an_unfinished_run_loads_as_the_model_that_is_the_best_so_far(tmp_path):
    weights = random_weights(MODEL.record.model, seed=5)
    save_checkpoint(tmp_path / "novel", checkpoint_at(7)._replace(best_weights=weights))
    model = model_store.load_model("novel", tmp_path)
    assert (model.name, model.is_finished) == ("novel", False)
    assert model.weights["embedding"].tobytes() == weights["embedding"].tobytes()


# ---- which one counts


def test_the_newest_is_loaded_and_only_the_newest_few_are_kept(tmp_path):
    for step in (1, 2, 9, 10, 100):  # the order of the numbers, not of the letters
        save_checkpoint(tmp_path, checkpoint_at(step))
        assert_whole(load_newest(tmp_path)[0], step)
    assert names_in(tmp_path) == ["step-00000010", "step-00000100"]
    assert KEEP == 2
    save_checkpoint(tmp_path, checkpoint_at(101), keep=1)
    assert names_in(tmp_path) == ["step-00000101"]


def test_the_same_step_can_be_saved_again(tmp_path):
    save_checkpoint(tmp_path, checkpoint_at(7))
    save_checkpoint(tmp_path, checkpoint_at(7)._replace(history=()))
    assert load_newest(tmp_path)[0].history == ()


def truncate(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def flip_a_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("damage", [truncate, flip_a_bit, Path.unlink], ids=["truncated", "a bit", "missing"])
@pytest.mark.parametrize("name", [*model_store.CHECKPOINT_FILES, model_store.MANIFEST])
def test_a_damaged_newest_is_named_and_the_one_before_used(tmp_path, name, damage):
    for step in (1, 2):
        save_checkpoint(tmp_path, checkpoint_at(step))
    damage(tmp_path / "checkpoints" / "step-00000002" / name)
    checkpoint, problems = load_newest(tmp_path)
    assert_whole(checkpoint, 1)
    assert len(problems) == 1
    assert problems[0].startswith("checkpoint step-00000002 is damaged and not used: ")
    assert name in problems[0]


def test_when_all_are_damaged_each_is_named(tmp_path):
    for step in (1, 2):
        path = save_checkpoint(tmp_path, checkpoint_at(step))
        truncate(path / model_store.PROGRESS)
    with pytest.raises(ModelError) as caught:
        load_newest(tmp_path)
    assert str(caught.value).index("step-00000002") < str(caught.value).index("step-00000001")


def test_a_run_without_checkpoints_says_so(tmp_path):
    with pytest.raises(ModelError, match="has no checkpoint to resume from"):
        load_newest(tmp_path)


@pytest.mark.parametrize("change", [{"step": -1}, {"step": "7"}, {"unheard_of": 1}, {"history": None}, {"format": 99}])
def test_progress_that_makes_no_sense_is_refused_even_when_its_hash_is_right(tmp_path, change):
    import json

    path = save_checkpoint(tmp_path, checkpoint_at(1))
    document = json.loads((path / model_store.PROGRESS).read_text())
    (path / model_store.PROGRESS).write_text(json.dumps(document | change))
    model_store.seal(path, model_store.CHECKPOINT_FILES)
    with pytest.raises(ModelError, match="step-00000001 is damaged"):
        load_newest(tmp_path)


def test_progress_is_checked_when_it_is_made():
    with pytest.raises(SettingError):
        Progress(step=-1)
    assert dataclasses.replace(Progress(), step=3).step == 3


# ---- a disk that fails


class FailsAt:
    """Stands for a function of `os` and fails at one of its calls."""

    def __init__(self, function, number: int):
        self.function, self.number, self.calls = function, number, 0

    def __call__(self, *arguments, **options):
        self.calls += 1
        if self.calls == self.number:
            raise OSError(28, "No space left on device")
        return self.function(*arguments, **options)


def failure_of(run_dir: Path, checkpoint: Checkpoint) -> str | None:
    """The message that saving fails with; None when it does not fail."""
    try:
        save_checkpoint(run_dir, checkpoint)
    except ModelError as problem:
        return str(problem)
    return None


@pytest.mark.parametrize("name", ["fsync", "replace", "rename", "mkdir", "open"])
def test_a_failure_at_any_moment_leaves_a_whole_checkpoint_and_nothing_else(tmp_path, monkeypatch, name):
    number = failures = 0
    while True:
        number += 1
        run_dir = tmp_path / str(number)
        save_checkpoint(run_dir, checkpoint_at(1))
        with monkeypatch.context() as patch:
            failing = FailsAt(getattr(os, name), number)
            patch.setattr(os, name, failing)
            failure = failure_of(run_dir, checkpoint_at(2))
        assert failure in (None, f"cannot save a checkpoint in {run_dir / 'checkpoints'}: No space left on device")
        failures += failure is not None
        checkpoint, problems = load_newest(run_dir)
        assert problems == []
        assert_whole(checkpoint, checkpoint.progress.step)
        assert set(names_in(run_dir)) <= {"step-00000001", "step-00000002"}
        assert "step-00000001" in names_in(run_dir)
        if failing.calls < number:
            break
    assert failures >= 1
    assert_whole(checkpoint, 2)


def test_saving_where_a_file_is_in_the_way_is_refused(tmp_path):
    (tmp_path / "checkpoints").write_text("")
    with pytest.raises(ModelError, match="cannot save a checkpoint in"):
        save_checkpoint(tmp_path, checkpoint_at(1))


# ---- a process that is killed

SAVES_FOR_EVER = """
import itertools, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from test_checkpoints import checkpoint_at
from textgen.training.checkpoints import load_newest, save_checkpoint
run_dir = Path(sys.argv[1])
first = load_newest(run_dir)[0].progress.step + 1
print("begins", flush=True)
for step in itertools.count(first):
    save_checkpoint(run_dir, checkpoint_at(step))
"""


def kill_while_saving(run_dir: Path, seconds: float) -> None:
    command = [sys.executable, "-c", SAVES_FOR_EVER, str(run_dir), str(Path(__file__).parent)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"begins\n"
        time.sleep(seconds)
        process.send_signal(signal.SIGKILL)


def check_kills(run_dir: Path, kills: int) -> None:
    draw = random.Random(0)
    save_checkpoint(run_dir, checkpoint_at(1))
    steps = [1]
    for _ in range(kills):
        kill_while_saving(run_dir, draw.uniform(0.05, 0.25))
        checkpoint, problems = load_newest(run_dir)
        assert problems == []
        assert_whole(checkpoint, checkpoint.progress.step)
        steps.append(checkpoint.progress.step)
    assert steps == sorted(steps)
    assert steps[-1] > 1


def test_a_kill_at_any_moment_leaves_a_whole_checkpoint(tmp_path):
    check_kills(tmp_path, kills=2)


@pytest.mark.soak
def test_a_hundred_kills_leave_a_whole_checkpoint(tmp_path):
    check_kills(tmp_path, kills=100)
