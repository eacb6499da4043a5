"""The calls by which files are written, counted; one of them can be made to fail, or to be the last of its process."""

import builtins
import io
import os
from collections.abc import Callable
from pathlib import Path

NAMES = ("open", "mkdir", "rmdir", "unlink", "chmod", "fsync", "rename", "replace")


class SystemCalls:
    """Stands between the writer and `os`.

    Args:
        act: what happens at call `number`, before it is made; at a write, after half of it.
        for_good: every later call acts too: nothing that the writer does has an effect any more, as if it were killed.
        inside: only calls about what lies in this directory count; None counts all.
    """

    def __init__(
        self,
        number: int = 0,
        act: Callable[[], None] = lambda: None,
        inside: Path | None = None,
        *,
        for_good: bool = False,
    ):
        self.number, self.act, self.for_good = number, act, for_good
        self.inside = None if inside is None else _real(inside)
        self.made: list[str] = []
        self.synced: list[int] = []  # inodes; a rename is -1

    def install(self, patch) -> "SystemCalls":
        """Take the place of the functions of `os`; `patch` is pytest's or has its `setattr`."""
        for name in NAMES:
            patch.setattr(os, name, self._counted(name, getattr(os, name)))
        fdopen, io_open = os.fdopen, io.open
        patch.setattr(
            io, "open", lambda path, mode="r", *more, **options: self._opened(path, mode, io_open, *more, **options)
        )
        patch.setattr(os, "fdopen", lambda handle, mode: self._file(handle, mode, fdopen))
        return self

    @property
    def has_acted(self) -> bool:
        return 0 < self.number <= len(self.made)

    def count(self, name: str) -> None:
        self.made.append(name)
        if len(self.made) == self.number or (self.for_good and self.has_acted):
            self.act()

    def _counted(self, name: str, call: Callable) -> Callable:
        def counted(*arguments, **options):
            if self._concerns(arguments[0], options.get("dir_fd", options.get("src_dir_fd"))) and not (
                name == "open" and _reads(*arguments)
            ):
                self.count(name)
                if name in ("rename", "replace"):
                    self.synced.append(-1)
                if name == "fsync":
                    self.synced.append(os.fstat(arguments[0]).st_ino)
            return call(*arguments, **options)

        return counted

    def _concerns(self, subject, dir_fd: int | None) -> bool:
        if self.inside is None:
            return True
        descriptor = subject if dir_fd is None else dir_fd
        path = f"/proc/self/fd/{descriptor}" if isinstance(descriptor, int) else os.fspath(descriptor)
        return _real(path).startswith(self.inside)

    def _file(self, handle: int, mode: str, fdopen: Callable):
        if mode == "rb" or not self._concerns(handle, None):
            return fdopen(handle, mode)
        return CountedFile(self, handle, mode)

    def _opened(self, path, mode: str, call: Callable, *more, **options):
        if mode != "wb" or not self._concerns(path, None):
            return call(path, mode, *more, **options)
        self.count("open")
        return CountedFile(self, path, mode)


def _real(path: str | Path) -> str:
    """The path without links; that it is looked at here is not noted."""
    asking.append(True)
    try:
        return os.path.realpath(path)
    finally:
        asking.pop()


def _reads(path, flags: int, *_mode) -> bool:
    """Whether a file is opened to read it; a directory is opened to make what is in it durable."""
    return not flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT) and not os.path.isdir(path)


class CountedFile(io.BufferedWriter):
    """A file whose writes are counted; a write that is the last has put half of its bytes on the disk."""

    def __init__(self, calls: SystemCalls, handle: int | Path, mode: str):
        super().__init__(io.FileIO(handle, mode))
        self.calls = calls

    def write(self, content):
        half = len(content) // 2
        super().write(content[:half])
        if len(self.calls.made) + 1 == self.calls.number:
            super().flush()
        self.calls.count("write")
        super().write(content[half:])
        return len(content)

    def flush(self):
        if not self.closed:
            self.calls.count("flush")
        super().flush()


USES = ("open", "stat", "lstat", "scandir", "listdir", "mkdir", "rename", "replace", "unlink", "remove", "rmdir")
MOVED = ("src_dir_fd", "dst_dir_fd")
asking: list[bool] = []  # while these functions themselves look at a path


def note_paths(patch, note: Callable[[str], None]) -> None:
    """Call `note` with the absolute path, links not followed in its last part, of whatever is used by its path."""

    def noted(call: Callable, dir_fds: tuple[str, ...] = ("",)) -> Callable:
        def function(*arguments, **options):
            for subject, dir_fd in zip(arguments, dir_fds, strict=False):
                if isinstance(subject, str | bytes | os.PathLike) and not asking:
                    handle = options.get("dir_fd", options.get(dir_fd))
                    base = os.getcwd() if handle is None else os.readlink(f"/proc/self/fd/{handle}")
                    note(os.path.normpath(os.path.join(base, os.fsdecode(subject))))
            return call(*arguments, **options)

        return function

    for name in USES:
        patch.setattr(os, name, noted(getattr(os, name), MOVED if name in ("rename", "replace") else ("",)))
    patch.setattr(io, "open", noted(io.open))
    patch.setattr(builtins, "open", noted(builtins.open))


def failing(error: int) -> Callable[[], None]:
    """An act: the system says no, with this number."""

    def fail():
        raise OSError(error, os.strerror(error))

    return fail
