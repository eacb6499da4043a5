"""What commands that write a page share."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


def html_option(what: str) -> Decorator:
    """Adds `--html` as the parameter `html: str | None`."""
    return click.option("--html", metavar="FILE", help=f"Write {what} to FILE, as one page that needs no network.")


def write_page(file: str, page: str) -> None:
    """Write `page` to the file that was named, and say so. Raises TextgenError where it cannot be written."""
    from textgen.errors import TextgenError
    from textgen.messages import shown
    from textgen.store.output_file import write_file
    from textgen.streams import tell

    try:
        write_file(Path(file), page)
    except (OSError, ValueError) as problem:
        reason = getattr(problem, "strerror", None) or problem
        raise TextgenError(f"cannot write {shown(file)}: {reason}. Name a file that can be written") from None
    tell(f"textgen: wrote {shown(file)} ({len(page.encode('utf-8')) / 1e6:.1f} MB); open it in a browser")
