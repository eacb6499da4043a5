"""Text in a file that a user named: plain files are replaced whole, and what is no plain file is written to."""

import contextlib
import errno
import os
import stat
from pathlib import Path

from textgen.store import atomic


def write_file(path: Path, text: str) -> None:
    """Write `text` as UTF-8 where `path` leads.

    A plain file is replaced whole, in the place that a link leads to. What is no file stays and is written to, and so
    is a file that is standard output or standard error already: the text is added to it.

    Raises:
        OSError: it cannot be written, or is a pipe that nobody reads.
        ValueError: the path or the text has no bytes.
    """
    content = text.encode("utf-8")
    with contextlib.suppress(FileNotFoundError):  # none yet, or a link to none yet
        found = os.stat(path)
        if not stat.S_ISREG(found.st_mode) or _is_a_stream(found):
            _add(path, content)
            return
    with atomic.replacing_file(Path(os.path.realpath(path)), 0o666) as file:
        file.write(content)


def _is_a_stream(found: os.stat_result) -> bool:
    for descriptor in (1, 2):
        with contextlib.suppress(OSError):
            if os.path.samestat(found, os.fstat(descriptor)):
                return True
    return False


def _add(path: Path, content: bytes) -> None:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_NOCTTY | os.O_NONBLOCK)  # no wait for a reader
    except OSError as problem:
        if problem.errno == errno.ENXIO:
            raise OSError(errno.ENXIO, "nobody reads what is written there") from None
        raise
    os.set_blocking(descriptor, True)  # a slow reader is waited for
    with os.fdopen(descriptor, "wb", buffering=0) as file:
        while content:
            content = content[file.write(content) :]
