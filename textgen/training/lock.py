"""One run at a time for each model: a lock file beside its directory, `saved_models/.NAME.lock`.

It holds the process id, and the system's lock on the open file, which is gone with the process: a file that a killed
process left is known for what it is, whoever has its process id by now. Where a disk has no locks (some network disks),
the process id alone decides.
"""

import contextlib
import os
from pathlib import Path

from textgen.atomic_files import make_directory, try_lock
from textgen.errors import ModelError, TrainingError


class RunLock:
    """A context manager that gives back what `acquire` took, if it took anything."""

    def __init__(self) -> None:
        self._path: Path | None = None
        self._descriptor = -1
        self._made: list[Path] = []

    def __enter__(self) -> "RunLock":
        return self

    def __exit__(self, *_exception: object) -> None:
        self.release()

    def acquire(self, model_path: Path) -> None:
        """Make this process the only one that writes the model at `model_path`, until `release`.

        Raises:
            TrainingError: another process writes it.
            ModelError: nothing can be written beside it.
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
        """Let others write the model. The directories made for the lock go too, when nothing came into them."""
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
                if not _is_at(descriptor, path):  # whoever held it has removed it just now
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
    """The process id in a lock file; 0 where there is none."""
    content = os.pread(descriptor, 20, 0).strip()
    return int(content) if content.isdigit() else 0


def _lives(process_id: int) -> bool:
    """Whether there is such a process, and it is not this one."""
    if process_id in (0, os.getpid()):
        return False
    try:
        os.kill(process_id, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        pass
    return True
