"""Writing that leaves the old bytes or the new ones: under injected faults, real full disks and a real kill."""

import contextlib
import errno
import hashlib
import io
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from textgen import atomic_files

OLD, NEW = b"old bytes", b"new bytes, more of them"


class Faults:
    """Counts the calls to the operating system and lets one of them fail."""

    def __init__(self, failing: int):
        self.failing = failing
        self.calls: list[str] = []
        self.synced: list[int] = []  # inodes, "rename" as -1

    def __call__(self, name: str) -> None:
        self.calls.append(name)
        if len(self.calls) == self.failing:
            raise OSError(errno.ENOSPC, f"injected into {name}")

    @property
    def has_fired(self) -> bool:
        return len(self.calls) >= self.failing

    @property
    def has_renamed(self) -> bool:
        """Whether a rename was reached that did not fail."""
        done = self.calls[: self.failing - 1]
        return "replace" in done or "rename" in done

    @contextlib.contextmanager
    def installed(self, monkeypatch):
        with monkeypatch.context() as patch:
            for owner, name in [
                (tempfile, "mkstemp"),
                (tempfile, "mkdtemp"),
                *((os, name) for name in ("open", "fsync", "chmod", "replace", "rename")),
            ]:
                patch.setattr(owner, name, self._faulty(name, getattr(owner, name)))
            patch.setattr(os, "fdopen", lambda handle, mode: FaultyFile(self, handle, mode))
            yield self

    def _faulty(self, name, call):
        def faulty(*arguments, **options):
            self(name)
            if name in ("replace", "rename"):
                self.synced.append(-1)
            if name == "fsync":
                self.synced.append(os.fstat(arguments[0]).st_ino)
            return call(*arguments, **options)

        return faulty


class FaultyFile(io.BufferedWriter):
    """A file whose writes are counted; it closes without a fault, as the system would close it."""

    def __init__(self, faults: Faults, handle: int, mode: str):
        super().__init__(io.FileIO(handle, mode))
        self.faults = faults

    def write(self, content):
        self.faults("write")
        return super().write(content)

    def flush(self):
        if not self.closed:
            self.faults("flush")
        super().flush()


def names_in(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def every_fault(monkeypatch, action):
    """Run `action` again and again, its n-th call failing in round n, until it succeeds; yield after each failure."""
    for failing in range(1, 100):
        with Faults(failing).installed(monkeypatch) as faults:
            raised = False
            try:
                action()
            except OSError:
                raised = True
        assert raised == faults.has_fired, f"the calls were {faults.calls}, the failing one number {failing}"
        if not faults.has_fired:
            return
        yield faults
    raise AssertionError("the action never succeeds")


# ---- files


def test_a_file_is_replaced_whole_and_nothing_else_is_left(tmp_path):
    atomic_files.write_bytes(tmp_path / "file", OLD)
    atomic_files.write_bytes(tmp_path / "file", NEW)
    assert (tmp_path / "file").read_bytes() == NEW
    assert names_in(tmp_path) == ["file"]


def test_whatever_call_fails_the_old_bytes_stay_and_no_temporary_is_left(tmp_path, monkeypatch):
    path = tmp_path / "file"
    failed = []
    path.write_bytes(OLD)
    for faults in every_fault(monkeypatch, lambda: atomic_files.write_bytes(path, NEW)):
        assert names_in(tmp_path) == ["file"]
        assert path.read_bytes() == (NEW if faults.has_renamed else OLD)
        failed.append(faults.calls[faults.failing - 1])
        path.write_bytes(OLD)
    # The second flush is that of closing the file; the last two make the rename durable.
    assert failed == ["mkstemp", "open", "write", "flush", "fsync", "flush", "chmod", "replace", "open", "fsync"]
    assert path.read_bytes() == NEW


def test_a_new_file_that_fails_does_not_exist(tmp_path, monkeypatch):
    for faults in every_fault(monkeypatch, lambda: atomic_files.write_bytes(tmp_path / "file", NEW)):
        assert names_in(tmp_path) == (["file"] if faults.has_renamed else [])
        (tmp_path / "file").unlink(missing_ok=True)


def test_a_disk_that_is_really_full_leaves_the_old_bytes(tmp_path):
    """The limit on a file's size makes write() itself fail, as a full disk does."""
    path = tmp_path / "file"
    path.write_bytes(OLD)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            atomic_files.write_bytes(path, bytes(100_000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert path.read_bytes() == OLD
    assert names_in(tmp_path) == ["file"]


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, ValueError])
def test_an_interrupted_block_leaves_the_old_bytes(tmp_path, interruption):
    path = tmp_path / "file"
    path.write_bytes(OLD)

    def interrupted() -> None:
        with atomic_files.replacing_file(path) as file:
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
        "from textgen import atomic_files\n"
        "os.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"
        "atomic_files.write_bytes(pathlib.Path(sys.argv[1]), b'new')\n"
    )
    assert subprocess.run([sys.executable, "-c", program, path], check=False).returncode == -signal.SIGKILL
    assert path.read_bytes() == OLD
    temporary, name = names_in(tmp_path)
    assert name == "file"
    assert temporary.startswith(".file.")
    assert temporary.endswith(".tmp")


def test_the_bytes_are_on_disk_before_the_rename_and_the_rename_before_the_end(tmp_path, monkeypatch):
    with Faults(1000).installed(monkeypatch) as faults:
        atomic_files.write_bytes(tmp_path / "file", NEW)
    assert faults.synced == [(tmp_path / "file").stat().st_ino, -1, tmp_path.stat().st_ino]


@pytest.mark.parametrize("umask", [0o022, 0o077])
def test_permissions_are_those_of_any_new_file_and_directory(tmp_path, umask):
    before = os.umask(umask)
    try:
        atomic_files.write_bytes(tmp_path / "file", NEW)
        with atomic_files.new_directory(tmp_path / "directory"):
            pass
    finally:
        os.umask(before)
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o666 & ~umask
    assert (tmp_path / "directory").stat().st_mode & 0o777 == 0o777 & ~umask


# ---- JSON


def test_json_is_indented_utf_8_with_a_final_newline(tmp_path):
    atomic_files.write_json(tmp_path / "file", {"é": [1]})
    assert (tmp_path / "file").read_bytes() == '{\n  "é": [\n    1\n  ]\n}\n'.encode()
    assert json.loads((tmp_path / "file").read_bytes()) == {"é": [1]}


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_a_number_that_json_does_not_have_is_refused_and_the_old_bytes_stay(tmp_path, number):
    (tmp_path / "file").write_bytes(OLD)
    with pytest.raises(ValueError, match="not JSON compliant"):
        atomic_files.write_json(tmp_path / "file", {"loss": number})
    assert (tmp_path / "file").read_bytes() == OLD
    assert names_in(tmp_path) == ["file"]


# ---- directories


def fill(path: Path) -> None:
    with atomic_files.new_directory(path) as temporary:
        (temporary / "one").write_bytes(b"1")
        (temporary / "inner").mkdir()
        (temporary / "inner" / "two").write_bytes(b"2")


def test_a_directory_appears_whole_whatever_call_fails(tmp_path, monkeypatch):
    path = tmp_path / "directory"
    failed = []
    for faults in every_fault(monkeypatch, lambda: fill(path)):
        assert names_in(tmp_path) == (["directory"] if faults.has_renamed else [])
        failed.append(faults.calls[faults.failing - 1])
        if path.exists():
            (path / "inner" / "two").unlink()
            (path / "inner").rmdir()
            (path / "one").unlink()
            path.rmdir()
    assert {"mkdtemp", "chmod", "fsync", "rename"} <= set(failed)
    assert names_in(path) == ["inner", "one"]
    assert (path / "inner" / "two").read_bytes() == b"2"


def test_every_file_of_a_directory_is_on_disk_before_the_rename(tmp_path, monkeypatch):
    with Faults(1000).installed(monkeypatch) as faults:
        fill(tmp_path / "directory")
    before = set(faults.synced[: faults.synced.index(-1)])
    inside = {path.stat().st_ino for path in [tmp_path / "directory", *(tmp_path / "directory").rglob("*")]}
    assert before == inside
    assert faults.synced[-1] == tmp_path.stat().st_ino


def test_a_directory_that_exists_is_not_replaced(tmp_path):
    fill(tmp_path / "directory")
    with pytest.raises(OSError, match="directory"), atomic_files.new_directory(tmp_path / "directory") as temporary:
        (temporary / "other").write_bytes(b"")
    assert names_in(tmp_path / "directory") == ["inner", "one"]
    assert names_in(tmp_path) == ["directory"]


def test_a_digest_is_that_of_the_whole_file(tmp_path):
    content = os.urandom(1_000_001)
    (tmp_path / "file").write_bytes(content)
    assert atomic_files.sha256_of(tmp_path / "file") == hashlib.sha256(content).hexdigest()
