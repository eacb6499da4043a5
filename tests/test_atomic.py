"""Writing that leaves the old bytes or the new ones: under injected faults, real full disks and a real kill."""

import contextlib
import errno
import hashlib
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from system_calls import SystemCalls, failing

from textgen.store import atomic

OWNED = atomic.temporaries_of("[a-z]+")
OLD, NEW = b"old bytes", b"new bytes, more of them"


def names_in(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def every_fault(monkeypatch, action):
    """Run `action` again and again, its n-th call failing in round n, until it succeeds; yield after each failure."""
    for number in range(1, 100):
        raised = False
        with monkeypatch.context() as patch:
            calls = SystemCalls(number, failing(errno.ENOSPC)).install(patch)
            try:
                action()
            except OSError:
                raised = True
        assert raised == calls.has_acted, f"the calls were {calls.made}, the failing one number {number}"
        if not calls.has_acted:
            return
        yield calls
    raise AssertionError("the action never succeeds")


def has_renamed(calls: SystemCalls) -> bool:
    """Whether a rename was reached that did not fail."""
    return bool({"replace", "rename"} & set(calls.made[: calls.number - 1]))


# ---- files


def test_a_file_is_replaced_whole_and_nothing_else_is_left(tmp_path):
    atomic.write_bytes(tmp_path / "file", OLD)
    atomic.write_bytes(tmp_path / "file", NEW)
    assert (tmp_path / "file").read_bytes() == NEW
    assert names_in(tmp_path) == ["file"]


def test_whatever_call_fails_the_old_bytes_stay_and_no_temporary_is_left(tmp_path, monkeypatch):
    path = tmp_path / "file"
    failed = []
    path.write_bytes(OLD)
    for calls in every_fault(monkeypatch, lambda: atomic.write_bytes(path, NEW)):
        assert names_in(tmp_path) == ["file"]
        assert path.read_bytes() == (NEW if has_renamed(calls) else OLD)
        failed.append(calls.made[calls.number - 1])
        path.write_bytes(OLD)
    # The second flush is that of closing the file; the last two make the rename durable.
    assert failed == ["open", "write", "flush", "fsync", "flush", "chmod", "replace", "open", "fsync"]
    assert path.read_bytes() == NEW


def test_a_new_file_that_fails_does_not_exist(tmp_path, monkeypatch):
    for calls in every_fault(monkeypatch, lambda: atomic.write_bytes(tmp_path / "file", NEW)):
        assert names_in(tmp_path) == (["file"] if has_renamed(calls) else [])
        (tmp_path / "file").unlink(missing_ok=True)


def test_a_disk_that_is_really_full_leaves_the_old_bytes(tmp_path):
    """The limit on a file's size makes write() itself fail, as a full disk does."""
    path = tmp_path / "file"
    path.write_bytes(OLD)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            atomic.write_bytes(path, bytes(100_000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert path.read_bytes() == OLD
    assert names_in(tmp_path) == ["file"]


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, ValueError])
def test_an_interrupted_block_leaves_the_old_bytes(tmp_path, interruption):
    path = tmp_path / "file"
    path.write_bytes(OLD)

    def interrupted() -> None:
        with atomic.replacing_file(path) as file:
            file.write(NEW)
            raise interruption

    with pytest.raises(interruption):
        interrupted()
    assert path.read_bytes() == OLD
    assert names_in(tmp_path) == ["file"]


def test_a_process_killed_before_the_rename_leaves_the_old_bytes_and_a_hidden_temporary(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(OLD)
    program = (
        "import os, pathlib, signal, sys\n"
        "from textgen.store import atomic\n"
        "os.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"
        "atomic.write_bytes(pathlib.Path(sys.argv[1]), b'new')\n"
    )
    assert subprocess.run([sys.executable, "-c", program, path], check=False).returncode == -signal.SIGKILL
    assert path.read_bytes() == OLD
    temporary, name = names_in(tmp_path)
    assert name == "file"
    assert temporary.startswith(".file.")
    assert temporary.endswith(".tmp")


def test_the_bytes_are_on_disk_before_the_rename_and_the_rename_before_the_end(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        calls = SystemCalls().install(patch)
        atomic.write_bytes(tmp_path / "file", NEW)
    assert calls.synced == [(tmp_path / "file").stat().st_ino, -1, tmp_path.stat().st_ino]


@pytest.mark.parametrize("umask", [0o022, 0o077])
def test_permissions_are_those_of_any_new_file_and_directory(tmp_path, umask):
    tmp_path.chmod(0o755)
    before = os.umask(umask)
    try:
        atomic.write_bytes(tmp_path / "file", NEW)
        with atomic.replacing_directory(tmp_path / "directory"):
            pass
    finally:
        os.umask(before)
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o666 & ~umask
    assert (tmp_path / "directory").stat().st_mode & 0o777 == 0o777 & ~umask


def test_a_file_is_open_to_those_to_whom_its_directory_is(tmp_path):
    for mode, of_file in ((0o700, 0o600), (0o750, 0o640), (0o755, 0o644)):
        tmp_path.chmod(mode)
        atomic.write_bytes(tmp_path / "file", NEW)
        assert (tmp_path / "file").stat().st_mode & 0o777 == of_file


# ---- JSON


def test_json_is_indented_utf_8_with_a_final_newline():
    assert atomic.to_json_bytes({"é": [1]}) == '{\n  "é": [\n    1\n  ]\n}\n'.encode()


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_a_number_that_json_does_not_have_is_refused(number):
    with pytest.raises(ValueError, match="not JSON compliant"):
        atomic.to_json_bytes({"loss": number})


# ---- directories


def fill(path: Path, *, overwrite: bool = False) -> None:
    with atomic.replacing_directory(path, overwrite=overwrite) as temporary:
        (temporary / "one").write_bytes(b"1")
        (temporary / "inner").mkdir()
        (temporary / "inner" / "two").write_bytes(b"2")


def test_a_directory_appears_whole_whatever_call_fails(tmp_path, monkeypatch):
    path = tmp_path / "directory"
    failed = []
    for calls in every_fault(monkeypatch, lambda: fill(path)):
        assert names_in(tmp_path) == (["directory"] if has_renamed(calls) else [])
        failed.append(calls.made[calls.number - 1])
        if path.exists():
            (path / "inner" / "two").unlink()
            (path / "inner").rmdir()
            (path / "one").unlink()
            path.rmdir()
    assert {"mkdir", "chmod", "fsync", "rename"} <= set(failed)
    assert names_in(path) == ["inner", "one"]
    assert (path / "inner" / "two").read_bytes() == b"2"


def test_every_file_of_a_directory_is_on_disk_before_the_rename(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        calls = SystemCalls().install(patch)
        fill(tmp_path / "directory")
    before = set(calls.synced[: calls.synced.index(-1)])
    inside = {path.stat().st_ino for path in [tmp_path / "directory", *(tmp_path / "directory").rglob("*")]}
    assert before == inside
    assert calls.synced[-1] == tmp_path.stat().st_ino


def test_a_directory_that_exists_is_not_replaced(tmp_path):
    fill(tmp_path / "directory")
    with (
        pytest.raises(OSError, match="directory"),
        atomic.replacing_directory(tmp_path / "directory") as temporary,
    ):
        (temporary / "other").write_bytes(b"")
    assert names_in(tmp_path / "directory") == ["inner", "one"]
    assert names_in(tmp_path) == ["directory"]


def test_a_directory_is_replaced_whole_or_stands_as_it_was_whatever_call_fails(tmp_path, monkeypatch):
    """A failure to delete the old one is no error: it stays as a temporary."""
    path = tmp_path / "directory"
    failed = []
    for number in range(1, 100):
        shutil.rmtree(path, ignore_errors=True)
        path.mkdir()
        (path / "old").write_bytes(OLD)
        raised = False
        with monkeypatch.context() as patch:
            calls = SystemCalls(number, failing(errno.ENOSPC)).install(patch)
            try:
                fill(path, overwrite=True)
            except OSError:
                raised = True
        if not calls.has_acted:
            break
        failed.append(calls.made[number - 1])
        is_replaced = calls.made[: number - 1].count("rename") == 2  # the old one made room, the new one took it
        assert names_in(path) == (["inner", "one"] if is_replaced else ["old"])
        hidden = [name for name in names_in(tmp_path) if name != "directory"]
        assert raised == (not hidden)
        for name in hidden:
            assert atomic.temporaries_of("directory").fullmatch(name)
            shutil.rmtree(tmp_path / name)
    assert failed.count("rename") == 2
    assert {"unlink", "rmdir", "fsync"} < set(failed)


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, ValueError])
def test_an_interrupted_block_leaves_the_directory_that_stood_there(tmp_path, interruption):
    fill(tmp_path / "directory")

    def interrupted() -> None:
        with atomic.replacing_directory(tmp_path / "directory", overwrite=True) as temporary:
            (temporary / "other").write_bytes(b"")
            raise interruption

    with pytest.raises(interruption):
        interrupted()
    assert names_in(tmp_path / "directory") == ["inner", "one"]
    assert names_in(tmp_path) == ["directory"]


def test_a_digest_is_that_of_the_whole_file(tmp_path):
    content = os.urandom(1_000_001)
    (tmp_path / "file").write_bytes(content)
    assert atomic.sha256_of(tmp_path / "file") == hashlib.sha256(content).hexdigest()


# ---- directories that are made and removed


def test_a_directory_and_what_is_above_it_are_made_durably(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        calls = SystemCalls().install(patch)
        atomic.make_directory(tmp_path / "above" / "directory")
    assert set(calls.synced) == {(tmp_path / "above").stat().st_ino, tmp_path.stat().st_ino}
    atomic.make_directory(tmp_path / "above" / "directory")
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="File exists"):
        atomic.make_directory(tmp_path / "file")


def test_no_reader_sees_half_of_a_directory_that_is_removed(tmp_path, monkeypatch):
    for number in range(1, 100):
        path = tmp_path / str(number) / "directory"
        path.parent.mkdir()
        fill(path)
        with monkeypatch.context() as patch:
            calls = SystemCalls(number, failing(errno.EIO), for_good=True).install(patch)
            with contextlib.suppress(OSError):
                atomic.remove_directory(path.parent, path.name)
        if not calls.has_acted:
            break
        if path.exists():
            assert names_in(path) == ["inner", "one"]
    assert names_in(path.parent) == []
    assert number > 3


def test_a_directory_can_be_removed_where_an_earlier_try_got_stuck(tmp_path):
    for _ in range(2):
        fill(tmp_path / "directory")
        (tmp_path / f".directory.{os.getpid()}.tmp").mkdir(exist_ok=True)
        atomic.remove_directory(tmp_path, "directory")
        assert names_in(tmp_path) == []


# ---- what killed processes leave

HOLDS = """
import pathlib, sys, time
from textgen.store import atomic
path = pathlib.Path(sys.argv[1])
with atomic.replacing_file(path / "file"), atomic.replacing_directory(path / "directory"):
    print("writing", flush=True)
    time.sleep(60)
"""


def test_what_a_living_process_writes_is_left_alone_and_what_a_killed_one_wrote_is_removed(tmp_path):
    """However long nothing was written: the process may have been asleep with its laptop."""
    for name in (".mine", "file.tmp", "file"):
        (tmp_path / name).touch()
    with subprocess.Popen([sys.executable, "-c", HOLDS, tmp_path], stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"writing\n"
        temporaries = {name for name in names_in(tmp_path) if name.startswith(".") and name.endswith(".tmp")}
        atomic.remove_abandoned(tmp_path, owned=OWNED, seconds=0)
        left = temporaries & set(names_in(tmp_path))
        process.kill()
    assert len(temporaries) == 2
    assert left == temporaries
    atomic.remove_abandoned(tmp_path, owned=OWNED)
    assert temporaries < set(names_in(tmp_path))  # it is not an hour old
    atomic.remove_abandoned(tmp_path, owned=OWNED, seconds=0)
    assert names_in(tmp_path) == [".mine", "file", "file.tmp"]


def test_where_a_disk_has_no_locks_age_decides(tmp_path, monkeypatch):
    monkeypatch.setattr(atomic, "fcntl", None)
    for name, age in ((".a.old.tmp", 2 * atomic.ABANDONED_SECONDS), (".a.young.tmp", 10)):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (time.time() - age,) * 2)
    atomic.remove_abandoned(tmp_path, owned=OWNED)
    assert names_in(tmp_path) == [".a.young.tmp"]
    with atomic.replacing_file(tmp_path / "file") as file:
        file.write(NEW)
    assert (tmp_path / "file").read_bytes() == NEW
