"""Checkpoints on a disk that fails, of a process that is killed, with files that are damaged."""

import dataclasses
import errno
import itertools
import os
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from conftest import make_stored_model, random_weights
from system_calls import SystemCalls, failing

from textgen.errors import CheckpointError, ModelError, SettingError
from textgen.records import Evaluated, Progress
from textgen.store import manifest, model_directory
from textgen.store.checkpoints import Checkpoint, load_newest, save_checkpoint
from textgen.store.run_directory import recover

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
    return sorted(path.name for path in (run_dir / model_directory.CHECKPOINTS).iterdir())


# ---- round trip


def test_what_is_saved_comes_back_bit_for_bit(tmp_path):
    path = save_checkpoint(tmp_path, checkpoint_at(7))
    assert path == tmp_path / "checkpoints" / "step-00000007"
    assert sorted(p.name for p in path.iterdir()) == sorted([*model_directory.CHECKPOINT_FILES, manifest.MANIFEST])
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
    model = model_directory.load_model("novel", tmp_path)
    assert (model.name, model.is_finished) == ("novel", False)
    assert model.weights["embedding"].tobytes() == weights["embedding"].tobytes()


# ---- which one counts


def test_the_newest_is_loaded_and_only_the_newest_few_are_kept(tmp_path):
    for step in (1, 2, 9, 10, 100):  # the order of the numbers, not of the letters
        save_checkpoint(tmp_path, checkpoint_at(step))
        assert_whole(load_newest(tmp_path)[0], step)
    assert names_in(tmp_path) == ["step-00000010", "step-00000100"]
    save_checkpoint(tmp_path, checkpoint_at(101), keep=1)
    assert names_in(tmp_path) == ["step-00000101"]


@pytest.mark.parametrize("keep", [1, 2, 5])
def test_as_many_are_kept_as_are_wanted(tmp_path, keep):
    for step in range(1, 8):
        save_checkpoint(tmp_path, checkpoint_at(step), keep=keep)
        assert names_in(tmp_path) == [f"step-{kept:08d}" for kept in range(max(1, step - keep + 1), step + 1)]


def test_the_same_step_can_be_saved_again_and_again(tmp_path):
    save_checkpoint(tmp_path, checkpoint_at(5))
    for number in range(12):
        save_checkpoint(tmp_path, checkpoint_at(7)._replace(history=HISTORY * number))
        assert len(load_newest(tmp_path)[0].history) == len(HISTORY) * number
    assert names_in(tmp_path) == ["step-00000005", "step-00000007.0011"]
    save_checkpoint(tmp_path, checkpoint_at(8))
    assert names_in(tmp_path) == ["step-00000007.0011", "step-00000008"]


@pytest.mark.parametrize("keep", [1, 2])
def test_a_damaged_one_of_a_later_step_does_not_take_the_place_of_a_whole_one(tmp_path, keep):
    """A run that goes on from the one before it saves earlier steps than the damaged one's."""
    for step in (12, 18):
        save_checkpoint(tmp_path, checkpoint_at(step))
    truncate(tmp_path / "checkpoints" / "step-00000018" / model_directory.PROGRESS)
    save_checkpoint(tmp_path, checkpoint_at(14), keep=keep)
    assert names_in(tmp_path) == ["step-00000012", "step-00000014"][-keep:]
    assert load_newest(tmp_path)[1] == []


def truncate(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def flip_a_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("damage", [truncate, flip_a_bit, Path.unlink], ids=["truncated", "a bit", "missing"])
@pytest.mark.parametrize("name", [*model_directory.CHECKPOINT_FILES, manifest.MANIFEST])
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
        truncate(path / model_directory.PROGRESS)
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
    document = json.loads((path / model_directory.PROGRESS).read_text())
    (path / model_directory.PROGRESS).write_text(json.dumps(document | change))
    manifest.seal(path, model_directory.CHECKPOINT_FILES)
    with pytest.raises(ModelError, match="step-00000001 is damaged"):
        load_newest(tmp_path)


def test_progress_is_checked_when_it_is_made():
    with pytest.raises(SettingError):
        Progress(step=-1)
    assert dataclasses.replace(Progress(), step=3).step == 3


# ---- a disk that fails


def failure_of(run_dir: Path, checkpoint: Checkpoint) -> str | None:
    """The message that saving fails with; None when it does not fail."""
    try:
        save_checkpoint(run_dir, checkpoint)
    except CheckpointError as problem:
        return str(problem)
    return None


def run_with_two_checkpoints(run_dir: Path) -> Path:
    for step in (1, 2):
        save_checkpoint(run_dir, checkpoint_at(step))
    return run_dir


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EACCES, errno.EROFS, errno.ENOENT], ids=os.strerror)
def test_whatever_call_fails_an_earlier_checkpoint_is_whole_and_nothing_half_made_is_left(tmp_path, monkeypatch, error):
    before = run_with_two_checkpoints(tmp_path / "before")
    failed = []
    for number in itertools.count(1):
        run_dir = Path(shutil.copytree(before, tmp_path / str(number)))
        with monkeypatch.context() as patch:
            calls = SystemCalls(number, failing(error)).install(patch)
            failure = failure_of(run_dir, checkpoint_at(3))
        checkpoint, problems = load_newest(run_dir)
        assert problems == []
        assert_whole(checkpoint, checkpoint.progress.step)
        if failure is None:
            assert checkpoint.progress.step == 3  # what failed was the removal of an old one, if anything
        else:
            assert failure == f"cannot save a checkpoint in {run_dir / 'checkpoints'}: {os.strerror(error)}"
            assert set(names_in(run_dir)) - {"step-00000003"} == {"step-00000001", "step-00000002"}
            failed.append(calls.made[number - 1])
        if not calls.has_acted:
            break
    assert set(failed) == {"open", "mkdir", "chmod", "write", "flush", "fsync", "replace", "rename"}
    assert len(failed) > 50


def test_a_run_directory_that_has_vanished_is_made_anew(tmp_path):
    shutil.rmtree(run_with_two_checkpoints(tmp_path / "novel"))
    save_checkpoint(tmp_path / "novel", checkpoint_at(3))
    assert_whole(load_newest(tmp_path / "novel")[0], 3)


def test_saving_where_a_file_is_in_the_way_is_refused(tmp_path):
    (tmp_path / "checkpoints").write_text("")
    with pytest.raises(ModelError, match="cannot save a checkpoint in"):
        save_checkpoint(tmp_path, checkpoint_at(1))


# ---- a process that is killed


@pytest.mark.parametrize("step", [2, 3], ids=["the same step", "another step"])
def test_when_a_process_is_killed_at_any_call_the_newest_is_whole(tmp_path, monkeypatch, step):
    """From the n-th call on nothing has an effect any more, clearing up included."""
    before = run_with_two_checkpoints(tmp_path / "before")
    found = []
    for number in itertools.count(1):
        run_dir = Path(shutil.copytree(before, tmp_path / str(number)))
        with monkeypatch.context() as patch:
            calls = SystemCalls(number, failing(errno.EIO), for_good=True).install(patch)
            failure_of(run_dir, checkpoint_at(step)._replace(history=()))
        checkpoint, problems = load_newest(run_dir)
        assert problems == []
        found.append((checkpoint.progress.step, len(checkpoint.history)))
        if not calls.has_acted:
            break
        recover(run_dir)
        assert all(re.fullmatch(r"step-\d{8}(\.\d{4})?", name) for name in names_in(run_dir))
        assert load_newest(run_dir)[1] == []
    first_new = found.index((step, 0))
    assert found == [(2, 2)] * first_new + [(step, 0)] * (len(found) - first_new)
    assert 50 < first_new < len(found) - 1  # an old one is removed call by call, after the new one is there
