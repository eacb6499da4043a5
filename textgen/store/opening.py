"""Opening a text that a user or a model names: a file on a disk, never a pipe, a device or what the kernel makes up.

A file below /proc or /sys is regular by its mode, but its content is private to a process, endless or without a size.
"""

import errno
import io
import os
import stat
from pathlib import Path

MADE_UP = ("proc", "sys")  # file systems of the kernel, by the first part of a path


class SpecialFileError(OSError):
    """What is no file on a disk."""


def open_regular(path: Path) -> io.BufferedReader:
    """Open the file at `path` for reading; links are followed. Never waits, and never touches a device.

    Raises:
        SpecialFileError: it is a pipe, a socket, a device or a file that the kernel makes up.
        OSError: as `open`.
    """
    _check(path, os.stat(path))
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    try:
        _check(path, os.fstat(descriptor))  # another file may have come to stand there
    except OSError:
        os.close(descriptor)
        raise
    return os.fdopen(descriptor, "rb")


def _check(path: Path, status: os.stat_result) -> None:
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if not stat.S_ISREG(status.st_mode) or Path(os.path.realpath(path)).parts[1:2] in [(name,) for name in MADE_UP]:
        raise SpecialFileError(errno.EINVAL, "it is not a regular file")
