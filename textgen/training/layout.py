"""How a run is laid out on a terminal: labels with their text beside them, a table that grows, samples in their shape.

Widths are columns of the terminal, of which a Chinese character or an emoji takes two.
"""

from collections.abc import Iterable
from typing import NamedTuple

from rich.cells import cell_len, chop_cells, set_cell_size

from textgen.messages import clock, visible
from textgen.records import Evaluated

LABEL, GAP = 10, 2
NARROWEST = 24  # of the text beside a label; in less, it stands below
INDENT, IN_FILES = "    ", " " * 12  # of a sample; in a file, where rows of the table stand around it
LONGEST_SAMPLE = 76  # columns of a line: longer ones are harder to read


class Column(NamedTuple):
    """A column of the table of evaluations."""

    heading: str
    width: int
    needs: int  # the width of a terminal that shows it


COLUMNS = (
    Column("time", 8, 0),
    Column("pass", 6, 32),
    Column("loss", 7, 52),
    Column("validation", 10, 44),
    Column("bits", 6, 0),
    Column("best", 5, 24),
)


def wrapped(text: str, width: int, ends: str = "") -> list[str]:
    """`text` in lines of `width` columns at most, cut between words alone; a longer word has a line of its own.

    Args:
        ends: what stands at the end of a line that goes on.
    """
    lines, room = [""], width - cell_len(ends)
    for word in text.split(" "):
        line = f"{lines[-1]} {word}" if lines[-1] else word
        if cell_len(line) > room and lines[-1]:
            lines[-1] += ends
            line = word
            lines.append(line)
        lines[-1] = line
    return lines


def labelled(label: str, text: str, width: int | None, ends: str = "") -> list[tuple[str, str]]:
    """Pairs of a label, or the blank in its place, and the text beside it.

    Args:
        width: of the terminal; None is a file, whose lines are as long as they like.
        ends: as in `wrapped`.
    """
    beside = LABEL + GAP
    if width is None:
        return [(f"{label:>{LABEL}}{' ' * GAP}", text)]
    if width - beside < NARROWEST:
        lines = [("  ", line) for line in wrapped(text, width - 2, ends)]
        return [(label, ""), *lines] if label else lines
    first, *more = wrapped(text, width - beside, ends)
    return [(f"{label:>{LABEL}}{' ' * GAP}", first), *((" " * beside, line) for line in more)]


def columns_in(width: int | None, *, validates: bool) -> list[Column]:
    """The columns that a terminal of that width shows, or a file (None)."""
    shown = [column for column in COLUMNS if width is None or column.needs <= width]
    return [column for column in shown if validates or column.heading in ("time", "pass", "loss")]


def heading(columns: Iterable[Column]) -> str:
    """The headings of the table."""
    return " ".join(f"{column.heading:>{column.width}}" for column in columns)


def figures(row: Evaluated, mark: str) -> dict[str, str]:
    """What the table shows of an evaluation, by heading.

    Args:
        mark: what stands in the column `best`.
    """
    has_loss = row.validation_loss is not None
    return {
        "time": clock(row.seconds),
        "pass": f"{row.epoch:.1f}",
        "loss": f"{row.train_loss:.3f}",
        "validation": f"{row.validation_loss:.3f}" if has_loss else "",
        "bits": "" if row.bits_per_character is None else f"{row.bits_per_character:.2f}",
        "best": mark if has_loss else "",
    }


def table_row(columns: Iterable[Column], row: Evaluated, mark: str) -> str:
    """A line of the table."""
    found = figures(row, mark)
    return " ".join(f"{found[column.heading]:>{column.width}}" for column in columns)


def sample_lines(sample: str, width: int | None, most: int) -> list[str]:
    """A sample in the shape in which it was written: its line breaks and indents, and one blank line for several.

    Args:
        width: of the terminal; None wraps nothing.
        most: lines; what is left out ends in an ellipsis.
    """
    lines: list[str] = []
    for line in visible(sample).expandtabs(4).split("\n"):
        line = line.rstrip()
        if line or (lines and lines[-1]):
            lines += [line] if width is None else _in_columns(line, max(8, min(width, LONGEST_SAMPLE) - len(INDENT)))
    while lines and not lines[-1]:
        lines.pop()
    if len(lines) > most:
        lines = [*lines[: most - 1], _shortened(lines[most - 1], width)]
    indent = IN_FILES if width is None else INDENT
    return [f"{indent}{line}".rstrip() for line in lines]


def _in_columns(line: str, width: int) -> list[str]:
    """A line of a sample, cut between words, and within one where it has more columns than there are."""
    indent = line[: len(line) - len(line.lstrip())][: width // 2]
    parts = wrapped(line[len(indent) :], width - len(indent))
    cut = [piece for part in parts for piece in chop_cells(part, width - len(indent)) or [""]]
    return [indent + piece for piece in cut]


def _shortened(line: str, width: int | None) -> str:
    room = None if width is None else max(8, min(width, LONGEST_SAMPLE) - len(INDENT)) - 2
    cut = line if room is None or cell_len(line) <= room else set_cell_size(line, room)
    return f"{cut.rstrip()} …"
