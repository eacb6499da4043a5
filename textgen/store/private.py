"""What is for its owner alone, and who can read a file.

A text may be private, and so is what was made of it: token ids, a vocabulary, what was typed, and that it was read.
"""

import contextlib
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path

OWNER_ONLY = 0o700
# What private directories hold: entries by their hashes, and the parts of the state and the cache.
OURS = re.compile(r"[0-9a-f]{32}|[0-9a-f]{64}|prepared|trained_from|repl_history|signing_key|\..+\.tmp")


@contextlib.contextmanager
def private_directory(path: Path) -> Iterator[None]:
    """Make the directory `path` if it is missing; what the block writes into it is closed to others.

    The directory is closed to them, too, unless it holds what textgen does not name so: it may be a home directory that
    somebody named, or one that a link leads to.

    NOTE: the block runs with the process's umask at 077, which other threads share.

    Raises:
        OSError: it cannot be made, or belongs to somebody else.
    """
    path.mkdir(mode=OWNER_ONLY, parents=True, exist_ok=True)
    if all(OURS.fullmatch(name) for name in os.listdir(path)):
        close_to_others(path)
    before = os.umask(0o077)
    try:
        yield
    finally:
        os.umask(before)


def close_to_others(directory: Path) -> None:
    """Let nobody but its owner into `directory`. Raises OSError."""
    if stat.S_IMODE(os.stat(directory).st_mode) != OWNER_ONLY:
        os.chmod(directory, OWNER_ONLY)


def is_readable_by_all(path: Path) -> bool:
    """Whether every user of this machine can read the file at `path`: it and all directories above it are open."""
    real = Path(os.path.realpath(path))
    try:
        is_open = os.stat(real).st_mode & stat.S_IROTH
        return bool(is_open) and all(os.stat(parent).st_mode & stat.S_IXOTH for parent in real.parents)
    except OSError:
        return False
