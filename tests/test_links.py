"""Links, pipes and foreign files about a model's directory: a run removes its own alone, and waits for nothing."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import make_stored_model, write_stored_model
from test_checkpoints import checkpoint_at

from textgen.errors import ModelError, TextgenError
from textgen.store import atomic, model_directory
from textgen.store.checkpoints import save_checkpoint
from textgen.store.lock import RunLock
from textgen.store.run_directory import recover, replacing
from textgen.training.plan import make_plan
from textgen.training.request import Request

WAYS = {"new": {}, "overwrite": {"overwrite": True}, "resume": {"resume": True}}


@pytest.fixture(autouse=True)
def in_time():
    """Whoever opens a pipe waits for ever; here for a minute."""

    def too_late(*_):
        pytest.fail("it waits")

    before = signal.signal(signal.SIGALRM, too_late)
    signal.alarm(60)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture
def models(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("novel.txt").write_text("the cat sat on a mat. " * 200)
    Path("models").mkdir()
    return Path("models")


@pytest.fixture
def precious(tmp_path) -> Path:
    """A place of the user's, where even the names are those that textgen uses."""
    path = tmp_path / "precious"
    for name in ("step-00000001", ".step-00000003.abc.tmp", "checkpoints/.step-00000003.abc.tmp", "step-00000004.0001"):
        (path / name).mkdir(parents=True)
        (path / name / "mine.txt").write_text("mine")
    for name in (".mine.tmp", ".config.json.abc.tmp", "mine.txt", ".checkpoints.7.tmp"):
        (path / name).write_text("mine")
    return path


def everything_in(path: Path) -> list[str]:
    return sorted(str(found.relative_to(path)) for found in path.rglob("*"))


def say(way: str, name: str = "w") -> str:
    """What a run says that cannot begin."""
    request = Request(Path("models"), ("novel.txt",), name=name, **WAYS[way])
    with RunLock() as lock, pytest.raises(TextgenError) as caught:
        make_plan(request, lock)
    return str(caught.value)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("linked", ["w", "w/checkpoints", "w/.config.json.abc.tmp", "w/.checkpoints.7.tmp"])
def test_nothing_is_removed_where_a_link_leads(models, precious, linked, way):
    (models / linked).parent.mkdir(exist_ok=True)
    (models / linked).symlink_to(precious)
    (models / "w" / "mine.txt").touch()  # so that it is no model, and not replaced
    before = everything_in(precious)
    assert say(way)
    assert everything_in(precious) == before
    assert (models / linked).is_symlink()
    assert os.listdir(models) == ["w"]


def test_a_model_is_not_followed_to_where_it_was_set_aside(models, precious):
    """Neither when it would come back, nor when it is no longer needed, nor when another is set aside."""
    (models / ".w.previous").symlink_to(precious)
    before = everything_in(precious)
    recover(models / "w")
    assert not os.path.lexists(models / "w")
    write_stored_model(models, make_stored_model(), "w")
    recover(models / "w")
    with pytest.raises(ModelError, match=r"\.w\.previous is in the way"), replacing(models / "w", overwrite=True):
        pass
    assert everything_in(precious) == before
    assert sorted(os.listdir(models)) == [".w.previous", "w"]


@pytest.mark.parametrize("swapped", ["w", "w/checkpoints"])
def test_a_directory_that_becomes_a_link_meanwhile_is_not_followed(models, precious, monkeypatch, swapped):
    """At the last moment before something in it would be removed."""
    (models / "w" / "checkpoints" / ".step-00000003.abc.tmp").mkdir(parents=True)
    before = everything_in(precious)
    seconds_untouched = atomic.seconds_untouched

    def swapping(path):
        if not os.path.islink(models / swapped):
            (models / swapped).rename("away")
            (models / swapped).symlink_to(precious)
        return seconds_untouched(path)

    monkeypatch.setattr(atomic, "seconds_untouched", swapping)
    recover(models / "w")
    assert os.path.islink(models / swapped)
    assert everything_in(precious) == before


@pytest.mark.parametrize("swapped", ["w", "w/checkpoints"])
def test_a_run_saves_nothing_where_a_link_leads(models, precious, swapped):
    save_checkpoint(models / "w", checkpoint_at(1))
    (models / swapped).rename("away")
    (models / swapped).symlink_to(precious)
    before = everything_in(precious)
    with pytest.raises(ModelError, match="cannot save a checkpoint in models/w/checkpoints: Not a directory"):
        save_checkpoint(models / "w", checkpoint_at(2))
    assert everything_in(precious) == before


def test_pipes_are_not_opened_and_removed_only_with_the_model(models):
    (models / "w" / "checkpoints").mkdir(parents=True)
    pipes = [".x.tmp", ".config.json.abc.tmp", "checkpoints/.step-00000000.abc.tmp", "checkpoints/step-00000001"]
    for name in pipes:
        os.mkfifo(models / "w" / name)
    for way in ("new", "resume"):
        assert say(way)
    assert everything_in(models / "w") == sorted([*pipes, "checkpoints"])
    with replacing(models / "w", overwrite=True) as finished:
        finished()
    assert os.listdir(models) == []
    os.mkfifo(models / "checkpoints")
    atomic.remove_directory(models, "checkpoints")
    assert os.listdir(models) == ["checkpoints"]


def test_a_command_neither_waits_nor_removes(models, precious):
    (models / "w").mkdir()
    (models / "w" / "checkpoints").symlink_to(precious)
    os.mkfifo(models / "w" / ".x.tmp")
    before = everything_in(precious)
    command = [sys.executable, "-m", "textgen", "train", "--resume", "--name", "w", "--models-dir", "models"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
    assert "models/w/checkpoints is a link, which is not followed" in done.stderr
    assert everything_in(precious) == before


def test_only_what_a_run_makes_is_removed_in_its_directory(models):
    own = [".config.json.k3_x09ab.tmp", ".manifest.json.abc.tmp", "checkpoints/.step-00000003.0001.k3_x09ab.tmp"]
    others = [".notes.tmp", ".config.json.tmp", ".step-00000003.abc.tmp", "checkpoints/.config.json.abc.tmp"]
    for name in (*own, *others):
        (models / "w" / name).parent.mkdir(parents=True, exist_ok=True)
        (models / "w" / name).touch()
    recover(models / "w")
    assert everything_in(models / "w") == sorted([*others, "checkpoints"])


@pytest.mark.parametrize("name", ["notes.txt", "checkpoints/notes.txt"])
def test_a_directory_that_holds_something_else_is_not_replaced(models, name):
    write_stored_model(models, make_stored_model(), "w")
    (models / "w" / name).parent.mkdir(exist_ok=True)
    (models / "w" / name).write_text("mine")
    assert (
        say("overwrite")
        == f"models/w holds {name!r}, which is no part of a model. Move it elsewhere, or use another --name"
    )
    assert (models / "w" / name).read_text() == "mine"


def test_a_run_goes_on_in_the_directory_that_a_link_names_and_a_new_one_does_not_begin_there(models, tmp_path):
    save_checkpoint(tmp_path / "far" / "m", checkpoint_at(1))
    (tmp_path / "far" / "m" / ".config.json.abc.tmp").touch()
    (models / "n").symlink_to(tmp_path / "far" / "m")
    for way in ("new", "overwrite"):
        assert say(way, "n").startswith("models/n is a link")
    assert (tmp_path / "far" / "m" / ".config.json.abc.tmp").exists()
    with RunLock() as lock:
        lock.acquire(tmp_path / "far" / "m")
        assert f"is being trained by process {os.getpid()}" in say("resume", "n")
    assert not say("resume", "n").startswith("models/n")  # it is about the corpus, which these checkpoints do not name
    assert not (tmp_path / "far" / "m" / ".config.json.abc.tmp").exists()
    assert os.listdir(models) == ["n"]


def test_what_a_killed_save_left_is_removed_though_the_clock_was_set_back(models):
    left = models / "w" / "checkpoints" / ".step-00000000.abc.tmp"
    left.mkdir(parents=True)
    os.utime(left, (2**33, 2**33))
    recover(models / "w")
    assert os.listdir(models) == []


def test_many_damaged_checkpoints_are_not_all_named(models):
    for step in range(300):
        (models / "w" / "checkpoints" / f"step-{step:08d}").mkdir(parents=True)
    said = say("resume")
    assert "step-00000299" in said
    assert said.endswith("; and 297 more")
    assert len(said) < 600
    with pytest.raises(ModelError) as caught:
        model_directory.load_model("w", models)
    assert str(caught.value).endswith("; and 297 more")
