"""Notebooks (.ipynb): the sources of the cells of code and of Markdown, each a paragraph; no outputs, no raw cells."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

from textgen.corpus.formats import DocumentError, Extract
from textgen.corpus.formats.markup import joined
from textgen.messages import counted, shown

READ = ("markdown", "code", "heading")


def extract(text: str, shown_name: str) -> Extract:
    """The text of an .ipynb, of any version of the format. Raises DocumentError."""
    try:
        notebook = json.loads(text)
    except (ValueError, RecursionError) as error:
        reason = shown(error, 80)
        raise DocumentError(f"{shown_name} is no notebook: {reason}. --file-format text reads it as it is.") from None
    sources = [source for source in _sources(notebook, READ) if source.strip()]
    num_raw = sum(bool(source.strip()) for source in _sources(notebook, ("raw",)))
    left_out = f", {counted(num_raw, 'raw cell')} left out" if num_raw else ""
    return Extract(joined(sources), counted(len(sources), "cell") + left_out)


def _sources(notebook: Any, kinds: Sequence[str]) -> Iterator[str]:
    for cell in _cells(notebook):
        if isinstance(cell, dict) and cell.get("cell_type") in kinds:
            source = cell.get("source", cell.get("input", ""))
            lines = source if isinstance(source, list) else [source]
            yield "".join(line for line in lines if isinstance(line, str))


def _cells(notebook: Any) -> list[Any]:
    """Those of version 4, and before it those of all worksheets."""
    if not isinstance(notebook, dict):
        return []
    sheets = notebook.get("worksheets")
    holders = [notebook, *(sheets if isinstance(sheets, list) else [])]
    lists = [holder.get("cells") for holder in holders if isinstance(holder, dict)]
    return [cell for cells in lists if isinstance(cells, list) for cell in cells]
