"""A model's directory while a run writes it: at every instant the old model or the new run can be loaded."""

import errno
import itertools
import os
import shutil
from pathlib import Path

import pytest
from conftest import make_stored_model, random_weights, write_stored_model
from system_calls import SystemCalls, failing
from test_checkpoints import checkpoint_at

from textgen.errors import ModelError, TextgenError
from textgen.store import manifest, model_directory
from textgen.store.checkpoints import save_checkpoint
from textgen.store.lock import RunLock
from textgen.store.run_directory import recover, replacing
from textgen.training.plan import make_plan
from textgen.training.request import Request

OLD = make_stored_model(seed=9)
NEW = random_weights(OLD.record.model, seed=5)


@pytest.fixture
def path(tmp_path) -> Path:
    (tmp_path / "models").mkdir()
    return tmp_path / "models" / "novel"


def begin(path: Path) -> None:
    save_checkpoint(path, checkpoint_at(0)._replace(best_weights=NEW))


def finish(path: Path) -> None:
    model_directory.write_model_files(path, OLD.record, OLD.tokenizer, NEW)
    (path / model_directory.METRICS).touch()
    (path / model_directory.SAMPLES).touch()
    manifest.seal(path, model_directory.MODEL_FILES)


def loaded(path: Path) -> str:
    """Which weights whoever names the model gets."""
    embedding = model_directory.load_model("novel", path.parent).weights["embedding"].tobytes()
    return {OLD.weights["embedding"].tobytes(): "old", NEW["embedding"].tobytes(): "new"}[embedding]


def write_over(path: Path) -> None:
    """What a run with --overwrite does to the disk."""
    with replacing(path, overwrite=True) as finished:
        begin(path)
        finish(path)
        finished()


def old_model(path: Path) -> None:
    write_stored_model(path.parent, OLD, "novel")


def old_model_that_a_run_was_to_replace(path: Path) -> None:
    """The run has a checkpoint, of other weights, and is itself overwritten."""
    old_model(path)
    path.rename(model_directory.set_aside_path(path))
    save_checkpoint(path, checkpoint_at(3)._replace(best_weights=OLD.weights))


@pytest.fixture(params=[old_model, old_model_that_a_run_was_to_replace])
def begun(request, path) -> Path:
    """What was there before: copied for each try, which takes less time than to write it."""
    request.param(path)
    return path


def test_whenever_a_run_that_overwrites_is_killed_a_whole_model_has_the_name(tmp_path, monkeypatch, begun):
    """From the n-th call on nothing has an effect any more, bringing back included."""
    found, recovered = [], []
    for number in itertools.count(1):
        path = tmp_path / str(number) / "novel"
        shutil.copytree(begun.parent, path.parent)
        with monkeypatch.context() as patch:
            calls = SystemCalls(number, failing(errno.EIO), for_good=True).install(patch)
            try:
                write_over(path)
            except (TextgenError, OSError):
                assert calls.has_acted
        found.append(loaded(path))
        recover(path)
        recovered.append(loaded(path))
        if not calls.has_acted:
            break
        assert path.is_dir()
        assert not [name for name in os.listdir(path.parent) if name.endswith(".tmp")]
    assert found == recovered == sorted(found, reverse=True)  # old, old ... new, new
    assert min(found.count("old"), found.count("new")) > 40
    assert os.listdir(path.parent) == ["novel"]


def what_beginning_says(path: Path) -> str:
    try:
        with replacing(path, overwrite=True):
            begin(path)
    except ModelError as problem:
        return str(problem)
    return ""


def test_whatever_call_fails_as_a_run_that_overwrites_begins_a_whole_model_has_the_name(tmp_path, monkeypatch, begun):
    failures = 0
    for number in itertools.count(1):
        path = tmp_path / str(number) / "novel"
        shutil.copytree(begun.parent, path.parent)
        with monkeypatch.context() as patch:
            calls = SystemCalls(number, failing(errno.ENOSPC)).install(patch)
            said = what_beginning_says(path)
        if said:
            failures += 1
            assert said.startswith(("cannot replace ", "cannot save a checkpoint in "))
            assert path.is_dir()
            assert loaded(path) == "old" or model_directory.checkpoint_dirs(path)
        else:
            assert loaded(path) == "new"
        if not calls.has_acted:
            break
    assert failures > 50


def test_what_a_run_leaves_that_is_killed_before_its_first_checkpoint_is_in_nobodys_way(path):
    (path / model_directory.CHECKPOINTS / ".step-00000000.abc.tmp").mkdir(parents=True)
    recover(path)
    assert os.listdir(path.parent) == []


def test_files_that_are_no_run_s_stay(path):
    path.mkdir()
    (path / "chapter.txt").write_text("mine")
    recover(path)
    assert (path / "chapter.txt").read_text() == "mine"


def test_a_complete_model_loses_only_what_its_run_had_no_time_to_remove(path):
    old_model(path)
    before = sorted(os.listdir(path))
    save_checkpoint(path, checkpoint_at(3))
    shutil.copytree(path, model_directory.set_aside_path(path))
    (path / ".config.json.abc.tmp").touch()
    (path.parent / ".novel.123.tmp").mkdir()
    for other in (".novel.2.123.tmp", ".novels.123.tmp", ".other.previous"):
        (path.parent / other).mkdir()
    recover(path)
    assert sorted(os.listdir(path)) == before
    assert sorted(os.listdir(path.parent)) == [".novel.2.123.tmp", ".novels.123.tmp", ".other.previous", "novel"]


def test_a_directory_that_cannot_be_written_is_one_line(path, monkeypatch):
    old_model(path)
    save_checkpoint(path, checkpoint_at(3))
    with monkeypatch.context() as patch:
        SystemCalls(1, failing(errno.EROFS), for_good=True).install(patch)
        with pytest.raises(ModelError, match=r"cannot write in .*novel: Read-only file system"):
            recover(path)


# ---- what the user types then

NEW_RUN = Request(Path("models"), ("novel.txt",))
RESUMED_RUN = Request(Path("models"), name="novel", resume=True)


@pytest.fixture
def killed_at_once(path, monkeypatch) -> Path:
    """A run that was killed inside its first checkpoint."""
    (path / model_directory.CHECKPOINTS / ".step-00000000.abc.tmp").mkdir(parents=True)
    monkeypatch.chdir(path.parents[1])
    Path("novel.txt").write_text("the cat sat on a mat. " * 200)
    return path


def test_the_same_command_again_just_works(killed_at_once):
    with RunLock() as lock:
        plan = make_plan(NEW_RUN, lock)
        assert not plan.path.exists()
        write_over(killed_at_once)
    assert os.listdir("models") == ["novel"]


def test_resume_says_to_leave_it_out(killed_at_once):
    with RunLock() as lock, pytest.raises(ModelError) as caught:
        make_plan(RESUMED_RUN, lock)
    assert str(caught.value) == (
        "no model 'novel' in models. Make one with: textgen train. To begin a run, leave out --resume"
    )
    assert os.listdir("models") == []


def test_without_the_lock_nothing_is_changed(killed_at_once):
    before = sorted(killed_at_once.rglob("*"))
    with pytest.raises(ModelError, match="exists"):
        make_plan(NEW_RUN)
    with pytest.raises(ModelError, match=r"has no checkpoint to resume from\. To begin, leave out --resume"):
        make_plan(RESUMED_RUN)
    assert sorted(killed_at_once.rglob("*")) == before


def test_a_model_that_was_to_be_replaced_is_back_for_resume_too(killed_at_once):
    write_stored_model(Path("models"), OLD, ".novel.previous")
    assert loaded(killed_at_once) == "old"
    with RunLock() as lock, pytest.raises(ModelError, match="is finished; there is nothing to resume"):
        make_plan(RESUMED_RUN, lock)
    assert os.listdir("models") == ["novel"]
    assert loaded(killed_at_once) == "old"
