"""Texts laid out for a screen: wrapped between words, side by side, shortened. Widths are columns of a terminal.

Texts are made harmless first, since that changes how wide they are.
"""

import itertools
import re
from collections.abc import Sequence

from textgen.messages import visible

GAP = 3  # columns between two texts
NARROWEST = 24  # a column of text; texts that had less stand one below another


def width_of(text: str) -> int:
    """How many columns `text` takes on one line."""
    from rich.cells import cell_len  # noqa: PLC0415  (only where something is laid out)

    return cell_len(text)


def fit(text: str, width: int) -> str:
    """`text` on one line of at most `width` columns, with an ellipsis where it is cut."""
    return text if width_of(text) <= width else _head(text, max(width - 1, 0)) + "…"


def fit_end(text: str, width: int) -> str:
    """The end of `text` in at most `width` columns, with an ellipsis where it is cut."""
    if width_of(text) <= width:
        return text
    begin = max(len(text) - 2 * width, 0)  # not all symbols that have no width
    while begin < len(text) and (width_of(text[begin:]) > width - 1 or not width_of(text[begin])):
        begin += 1  # also past what belongs to a symbol that is cut off
    return ("…" if width > 0 else "") + text[begin:]


def wrap(text: str, width: int, indent: str = "") -> list[str]:
    """Lines of at most `width` columns, broken between words where that can be. Its own lines stay lines.

    Args:
        indent: stands before what follows a break.
    """
    lines = []
    for line in text.expandtabs(4).split("\n"):
        current = ""
        for space, word in re.findall(r"(\s*)(\S+)", line):
            if not current or width_of(current + space + word) <= width:
                current += space + word
            else:
                lines.append(current)
                current = indent + word
            while width_of(current) > width:
                head = _head(current, width) or current[0]  # a symbol wider than all of it
                lines.append(head)
                current = current[len(head) :]
        lines.append(current)
    return lines


def numbered(label: str, lines: Sequence[str]) -> list[str]:
    """`lines` behind a label, the later ones indented."""
    return [(label if index == 0 else " " * width_of(label)) + line for index, line in enumerate(lines)]


def side_by_side(labels: Sequence[str], texts: Sequence[str], width: int) -> list[str]:
    """The lines of several texts under their labels, in columns, or one below another where those were too narrow."""
    texts = [visible(text).strip("\n").rstrip() for text in texts]
    column = (width + GAP) // len(texts) - GAP
    if column < NARROWEST:
        pairs = zip(labels, texts, strict=True)
        blocks = [[fit(label, width), *(f"  {line}" for line in wrap(text, width - 2))] for label, text in pairs]
        return [line for block in blocks for line in block]
    columns = [[fit(label, column), *wrap(text, column)] for label, text in zip(labels, texts, strict=True)]
    rows = itertools.zip_longest(*columns, fillvalue="")
    gap = " " * GAP
    return [gap.join(cell + " " * (column - width_of(cell)) for cell in row).rstrip() for row in rows]


def _head(text: str, width: int) -> str:
    """As much of the beginning of `text` as fits."""
    end = min(len(text), 2 * width)  # not all symbols that have no width
    while end and width_of(text[:end]) > width:
        end -= 1
    return text[:end]
