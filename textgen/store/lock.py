"""One run at a time for each model: a lock file beside its directory, `saved_models/.NAME.lock`.

The lock is the directory's: where a link leads to it, the file lies beside the directory itself. The run keeps the file
open and locked. The file holds the process id, for the error message, and when the process was started. The system
releases the lock when the process ends, so a file that a killed process left does not lock anything. Where a disk has
no locks (some network disks), the process decides, if it still lives; one that has its id by now was started at another
time, which Linux tells.
"""

import contextlib
import errno
import os
import re
import stat
from pathlib import Path

from textgen.errors import ModelError, TrainingError
from textgen.store.atomic import make_directory, try_lock
from textgen.store.strict_json import open_plain


class RunLock:
    """A context manager that releases the lock at its end, if `acquire` was called."""

    def __init__(self) -> None:
        self._path: Path | None = None
        self._descriptor = -1
        self._made: list[Path] = []

    def __enter__(self) -> "RunLock":
        return self

    def __exit__(self, *_exception: object) -> None:
        self.release()

    def acquire(self, model_path: Path) -> None:
        """Lock the model at `model_path` for this process until `release`.

        Raises:
            TrainingError: another process holds the lock.
            ModelError: the lock file cannot be written.
        """
        path = lock_path(model_path)
        models_dir = path.parent
        self._made = [directory for directory in (models_dir, *models_dir.parents) if not directory.exists()]
        try:
            make_directory(models_dir)
            self._open(path, model_path)
        except OSError as problem:
            self.release()
            raise ModelError(f"cannot write models in {models_dir}: {problem.strerror or problem}") from problem

    def release(self) -> None:
        """Release the lock, and remove the directories that were made for it and are still empty."""
        if self._path is not None:
            with contextlib.suppress(OSError):
                if _is_at(self._descriptor, self._path):
                    self._path.unlink()
            os.close(self._descriptor)
            self._path = None
        for directory in self._made:
            with contextlib.suppress(OSError):
                directory.rmdir()
        self._made = []

    def _open(self, path: Path, model_path: Path) -> None:
        while self._path is None:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK, 0o644)
            try:
                if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                    raise OSError(errno.EINVAL, f"{path} is not a plain file. Remove it")
                holder, started = _holder_in(descriptor)
                is_ours = try_lock(descriptor)
                if is_ours is False or (is_ours is None and _lives(holder, started)):
                    is_it = holder and _started(holder) == started  # or its id is that of an innocent one here
                    who, how = (f"process {holder}", f" (kill {holder})") if is_it else ("another process", "")
                    raise TrainingError(
                        f"{model_path} is being trained by {who}. Wait for it, stop it{how}, or use another --name"
                    )
                if not _is_at(descriptor, path):  # the holder has removed it just now
                    continue
                os.ftruncate(descriptor, 0)
                os.pwrite(descriptor, f"{os.getpid()} {_started(os.getpid())}\n".encode(), 0)
                self._path, self._descriptor = path, descriptor
            finally:
                if self._path is None:
                    os.close(descriptor)


def lock_path(model_path: Path) -> Path:
    """The lock file of the model at `model_path`: beside the directory that a link leads to."""
    directory = Path(os.path.realpath(model_path)) if model_path.is_symlink() else model_path
    return directory.with_name(f".{directory.name}.lock")


def is_running(model_path: Path) -> bool:
    """Whether another process trains the model at `model_path`, as its lock file says.

    The lock itself is not tried: that would take it away, for an instant, from a run that begins.
    """
    try:
        with open_plain(lock_path(model_path)) as file:
            return _lives(*_holder_in(file.fileno()))
    except ModelError:
        return False


def _is_at(descriptor: int, path: Path) -> bool:
    """Whether `path` still names the open file."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _holder_in(descriptor: int) -> tuple[int, str]:
    """The process id in a lock file, or 0, and when that process was started, where the file says it."""
    process_id, _, started = os.pread(descriptor, 100, 0).decode("ascii", "replace").strip().partition(" ")
    return (int(process_id) if re.fullmatch("[0-9]{1,19}", process_id) else 0), started


def _started(process_id: int) -> str:
    """When a process was started: in clock ticks since which start of the machine; nothing where that is not known."""
    with contextlib.suppress(OSError, IndexError):
        of_process = Path(f"/proc/{process_id}/stat").read_text(errors="replace").rpartition(")")[2].split()
        of_machine = Path("/proc/sys/kernel/random/boot_id").read_text()
        return f"{of_process[19]}@{of_machine.strip()}"  # the 22nd field of proc(5), behind a name in brackets
    return ""


def _lives(process_id: int, started: str) -> bool:
    """Whether the process of that id, another than this one, lives; it is not one that was started at another time."""
    if process_id in (0, os.getpid()) or (started and _started(process_id) not in ("", started)):
        return False
    try:
        os.kill(process_id, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        pass
    return True
