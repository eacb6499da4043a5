"""What commands that write a page share."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


def html_option(what: str) -> Decorator:
    """Adds `--html` as the parameter `html: str | None`."""
    return click.option("--html", metavar="FILE", help=f"Write {what} to FILE, as one page that needs no network.")


def check_page(file: str) -> None:
    """Raise TextgenError where a page could not be written to that file, before there is one."""
    import os
    import stat
    import tempfile

    try:
        path = os.path.realpath(file)
        mode = os.stat(path).st_mode if os.path.lexists(path) else stat.S_IFREG
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(0, "Is a directory")
        if stat.S_ISREG(mode):
            with tempfile.TemporaryFile(dir=os.path.dirname(path)):  # where `write_file` writes
                pass
        elif not os.access(path, os.W_OK):
            raise PermissionError(0, "Permission denied")
    except (OSError, ValueError) as problem:
        raise _unwritable(file, problem) from None


def _unwritable(file: str, problem: Exception) -> Exception:
    from textgen.errors import TextgenError
    from textgen.messages import shown

    reason = getattr(problem, "strerror", None) or problem
    return TextgenError(f"cannot write {shown(file)}: {reason}. Name a file that can be written")


def write_page(file: str, page: str) -> None:
    """Write `page` to the file that was named, and say so. Raises TextgenError where it cannot be written."""
    from textgen.messages import shown
    from textgen.store.output_file import write_file
    from textgen.streams import tell

    try:
        write_file(Path(file), page)
    except (OSError, ValueError) as problem:
        raise _unwritable(file, problem) from None
    tell(f"textgen: wrote {shown(file)} ({len(page.encode('utf-8')) / 1e6:.1f} MB); open it in a browser")
