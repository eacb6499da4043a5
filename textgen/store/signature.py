"""What this user's textgen wrote, told from what anybody may have written: a manifest can be made for any content.

The signature is an HMAC-SHA256 (RFC 2104) under a random key that lies in the user's state directory, for its owner
alone. Where no key can be kept, it serves until the process ends.
"""

import contextlib
import functools
import hmac
import os
import secrets
from pathlib import Path

from textgen.store import atomic
from textgen.store.opening import open_regular
from textgen.store.private import private_directory
from textgen.store.state import state_dir

KEY = "signing_key"
KEY_BYTES = 32


def signature_of(name: str, content: bytes) -> bytes:
    """What signs `content` under that name: 64 hexadecimal digits."""
    return hmac.digest(_key(state_dir() / KEY), name.encode() + b"\0" + content, "sha256").hex().encode()


@functools.cache
def _key(path: Path) -> bytes:
    """The key at `path`, which is made where there is none."""
    try:
        if (known := _read(path)) is None:
            known = _made(path)
    except OSError:
        known = None
    return known or secrets.token_bytes(KEY_BYTES)


def _made(path: Path) -> bytes | None:
    """A new key at `path`, or that of a process or thread that was faster. Raises OSError."""
    with private_directory(path.parent):
        if os.path.lexists(path):  # and is no key
            atomic.write_bytes(path, secrets.token_bytes(KEY_BYTES))
        else:
            new = path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")
            atomic.write_bytes(new, secrets.token_bytes(KEY_BYTES))
            try:
                os.link(new, path)  # which replaces none, as renaming would
            except FileExistsError:
                pass
            except OSError:  # a disk without links
                os.rename(new, path)
            with contextlib.suppress(FileNotFoundError):
                os.unlink(new)
    return _read(path)


def _read(path: Path) -> bytes | None:
    """The key, or None where the file is missing or holds something else. Raises OSError where it is no file."""
    try:
        with open_regular(path) as file:
            content = file.read(KEY_BYTES + 1)
    except FileNotFoundError:
        return None
    return content if len(content) == KEY_BYTES else None
