"""One run at a time for each model: a lock file beside its directory, `saved_models/.NAME.lock`.

The run keeps the file open and locked; the file's content is the process id, for the error message. The system releases
the lock when the process ends, so a file that a killed process left does not lock anything, even when its process id is
in use again. Where a disk has no locks (some network disks), the process id alone decides.
"""

import contextlib
import os
from pathlib import Path

from textgen.errors import ModelError, TrainingError
from textgen.store.atomic import make_directory, try_lock


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
        models_dir = model_path.parent
        self._made = [directory for directory in (models_dir, *models_dir.parents) if not directory.exists()]
        try:
            make_directory(models_dir)
            self._open(models_dir / f".{model_path.name}.lock", model_path)
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
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o644)
            try:
                holder = _process_id_in(descriptor)
                is_ours = try_lock(descriptor)
                if is_ours is False or (is_ours is None and _lives(holder)):
                    who = f"process {holder}" if holder else "another process"
                    how = f" (kill {holder})" if holder else ""
                    raise TrainingError(
                        f"{model_path} is being trained by {who}. Wait for it, stop it{how}, or use another --name"
                    )
                if not _is_at(descriptor, path):  # the holder has removed it just now
                    continue
                os.ftruncate(descriptor, 0)
                os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
                self._path, self._descriptor = path, descriptor
            finally:
                if self._path is None:
                    os.close(descriptor)


def _is_at(descriptor: int, path: Path) -> bool:
    """Whether `path` still names the open file."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _process_id_in(descriptor: int) -> int:
    """The process id in a lock file, or 0."""
    content = os.pread(descriptor, 20, 0).strip()
    return int(content) if content.isdigit() else 0


def _lives(process_id: int) -> bool:
    """Whether another process has this id."""
    if process_id in (0, os.getpid()):
        return False
    try:
        os.kill(process_id, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        pass
    return True
