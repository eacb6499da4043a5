"""The lock that lets one run at a time write a model."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import click.testing
import pytest
from conftest import make_stored_model, write_stored_model

import textgen
import textgen.store.lock
from textgen.cli.train import train
from textgen.errors import ModelError, TrainingError
from textgen.store.lock import RunLock

HOLDS = """
import sys, time
from pathlib import Path
from textgen.store.lock import RunLock
with RunLock() as lock:
    lock.acquire(Path(sys.argv[1]))
    print("held", flush=True)
    time.sleep(60)
"""
GONE = 2**22 + 1  # above every process id of Linux


@pytest.fixture
def model_path(tmp_path) -> Path:
    return tmp_path / "models" / "novel"


@pytest.fixture
def holder(model_path):
    """A process that holds the lock."""
    with subprocess.Popen([sys.executable, "-c", HOLDS, model_path], stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"held\n"
        yield process
        process.kill()


def refusal(model_path: Path) -> str:
    with RunLock() as lock, pytest.raises(TrainingError) as caught:
        lock.acquire(model_path)
    return str(caught.value)


def take(model_path: Path) -> int:
    """Take the lock and give it back; the process id that was in it."""
    with RunLock() as lock:
        lock.acquire(model_path)
        return holder_in(model_path)


def holder_in(model_path: Path) -> int:
    return int(model_path.with_name(".novel.lock").read_text().split()[0])


def leave_lock(model_path: Path, content: str) -> None:
    model_path.parent.mkdir()
    model_path.with_name(".novel.lock").write_text(content)


def test_a_second_run_is_told_which_process_is_the_first(model_path, holder):
    assert refusal(model_path) == (
        f"{model_path} is being trained by process {holder.pid}. "
        f"Wait for it, stop it (kill {holder.pid}), or use another --name"
    )
    assert holder_in(model_path) == holder.pid  # the refused one leaves it alone


def test_another_model_has_a_lock_of_its_own(model_path, holder):
    with RunLock() as lock:
        lock.acquire(model_path.with_name("novel.2"))
        assert sorted(os.listdir(model_path.parent)) == [".novel.2.lock", ".novel.lock"]


def test_the_lock_of_a_killed_process_is_taken_silently(model_path, holder):
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    assert os.listdir(model_path.parent) == [".novel.lock"]
    assert take(model_path) == os.getpid()


@pytest.mark.parametrize(
    "content",
    ["1\n", "", "nonsense", f"{os.getpid()}\n", f"{GONE}\n"],
    ids=["init", "empty", "nonsense", "this process", "a process that is gone"],
)
def test_a_file_that_nobody_holds_is_taken_whatever_is_in_it(model_path, content):
    """Process 1 lives: the number may be another process's by now."""
    leave_lock(model_path, content)
    assert take(model_path) == os.getpid()


def test_within_one_process_it_is_held_once(model_path):
    with RunLock() as lock:
        lock.acquire(model_path)
        assert f"process {os.getpid()}" in refusal(model_path)
    assert take(model_path) == os.getpid()


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, SystemExit])
def test_it_is_given_back_when_the_run_fails_and_leaves_no_directory_behind(model_path, error):
    def fail():
        with RunLock() as lock:
            lock.acquire(model_path)
            raise error

    with pytest.raises(error):
        fail()
    assert not model_path.parent.exists()


def test_what_came_into_the_directory_stays(model_path):
    with RunLock() as lock:
        lock.acquire(model_path)
        model_path.mkdir()
    assert os.listdir(model_path.parent) == ["novel"]


def test_a_lock_file_that_is_another_s_by_now_is_not_removed(model_path):
    """Somebody has deleted the models directory, and another run has begun there."""
    with RunLock() as lock:
        lock.acquire(model_path)
        model_path.with_name(".novel.lock").unlink()
        model_path.with_name(".novel.lock").write_text("7\n")
    assert model_path.with_name(".novel.lock").read_text() == "7\n"


def test_a_file_that_its_holder_removes_at_that_moment_is_made_anew(model_path, monkeypatch):
    leave_lock(model_path, "7\n")
    try_lock, names = textgen.store.lock.try_lock, []

    def removed_meanwhile(descriptor):
        if not names:
            model_path.with_name(".novel.lock").unlink()
        names.append(descriptor)
        return try_lock(descriptor)

    monkeypatch.setattr(textgen.store.lock, "try_lock", removed_meanwhile)
    assert take(model_path) == os.getpid()
    assert len(names) == 2


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (f"{os.getppid()} {textgen.store.lock._started(os.getppid())}\n", f"process {os.getppid()}."),
        (f"{os.getppid()}\n", "another process."),
        (f"{os.getppid()} 7@another-boot\n", ""),
        (f"{GONE}\n", ""),
        (f"{os.getpid()}\n", ""),
    ],
    ids=["the parent", "of an older version", "its id again", "a process that is gone", "this process"],
)
def test_where_a_disk_has_no_locks_the_process_decides(model_path, monkeypatch, content, told):
    """One's own is a stale one: in a container every run may have the same. Only a process that holds it is named."""
    monkeypatch.setattr(textgen.store.lock, "try_lock", lambda descriptor: None)
    leave_lock(model_path, content)
    if told:
        assert told in refusal(model_path)
    else:
        assert take(model_path) == os.getpid()


def test_a_process_of_another_container_is_not_to_be_killed(model_path, holder):
    """Its id is another process's here."""
    model_path.with_name(".novel.lock").write_text(f"{os.getppid()} 7@another-boot\n")
    assert refusal(model_path) == (
        f"{model_path} is being trained by another process. Wait for it, stop it, or use another --name"
    )


def test_a_link_to_the_directory_is_locked_with_it(model_path, holder, tmp_path):
    model_path.mkdir()
    for link in (model_path.with_name("linked"), tmp_path / "far"):
        link.symlink_to(model_path)
        assert f"{link} is being trained by process {holder.pid}." in refusal(link)
    assert sorted(os.listdir(tmp_path)) == ["far", "models"]
    assert sorted(os.listdir(model_path.parent)) == [".novel.lock", "linked", "novel"]


def test_a_pipe_in_the_place_of_the_lock_is_not_waited_for(model_path):
    model_path.parent.mkdir()
    os.mkfifo(model_path.with_name(".novel.lock"))
    with RunLock() as lock, pytest.raises(ModelError, match=r"\.novel\.lock is not a plain file"):
        lock.acquire(model_path)


def test_a_models_directory_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "models").write_text("")
    with RunLock() as lock, pytest.raises(ModelError, match=r"cannot write models in .*models: "):
        lock.acquire(tmp_path / "models" / "novel")


def test_a_link_in_the_place_of_the_lock_is_not_followed(model_path, tmp_path):
    model_path.parent.mkdir()
    model_path.with_name(".novel.lock").symlink_to(tmp_path / "precious")
    with RunLock() as lock, pytest.raises(ModelError, match="cannot write models in"):
        lock.acquire(model_path)
    assert not (tmp_path / "precious").exists()


def test_it_imports_nothing_heavy():
    script = "import sys; sys.modules['numpy'] = sys.modules['rich'] = None; import textgen.store.lock"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


# ---- the command


@pytest.fixture
def model(tmp_path, monkeypatch) -> Path:
    """A model of the name that `textgen train novel.txt` takes."""
    (tmp_path / "novel.txt").write_text("the cat sat on a mat. " * 100)
    monkeypatch.chdir(tmp_path)
    return write_stored_model(tmp_path / "saved_models", make_stored_model(), "novel")


@pytest.mark.parametrize("flags", [("novel.txt", "--overwrite"), ("--resume", "--name", "novel")], ids=" ".join)
def test_a_command_is_refused_before_it_changes_anything(model, flags):
    (model / "checkpoints").mkdir()
    (model / "checkpoints" / ".step-00000001.abc.tmp").write_text("another's")
    with RunLock() as lock:
        lock.acquire(model)
        before = sorted(model.rglob("*"))
        done = click.testing.CliRunner().invoke(train, flags)
    assert isinstance(done.exception, TrainingError)
    assert f"is being trained by process {os.getpid()}" in str(done.exception)
    assert sorted(model.rglob("*")) == before
    assert os.listdir(model.parent) == ["novel"]


def test_a_dry_run_takes_none(model, monkeypatch):
    seen = []
    monkeypatch.setattr("textgen.training.run.carry_out", lambda *a, **k: seen.append(os.listdir(model.parent)))
    with RunLock() as lock:
        lock.acquire(model)
        done = click.testing.CliRunner().invoke(train, ["novel.txt", "--overwrite", "--dry-run"])
    assert done.exception is None
    done = click.testing.CliRunner().invoke(train, ["novel.txt", "--overwrite"])
    assert [sorted(names) for names in seen] == [[".novel.lock", "novel"]] * 2
    assert os.listdir(model.parent) == ["novel"]


def test_the_python_interface_is_refused_too(model):
    with RunLock() as lock:
        lock.acquire(model)
        with pytest.raises(TrainingError, match=f"is being trained by process {os.getpid()}"):
            textgen.train("novel.txt", overwrite=True, steps=1)
