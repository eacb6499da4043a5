"""Curves of plain characters, which every terminal and every log can show."""

import itertools
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from textgen.report.history import Run

HEIGHT = 12  # lines
NARROWEST, WIDEST = 24, 100  # columns
LETTERS = "abcdefghijklmnopqrstuvwxyz"


class Curve(NamedTuple):
    """A curve, and the character that draws it."""

    mark: str
    name: str
    points: Sequence[tuple[float, float]]  # x rises


def curves_of(run: Run) -> list[Curve]:
    """Training and validation loss by step."""
    training = [(float(row.step), row.train_loss) for row in run.rows]
    validation = [(float(row.step), row.validation_loss) for row in run.rows if row.validation_loss is not None]
    return [Curve(".", "training", training)] + ([Curve("*", "validation", validation)] if validation else [])


def compared(runs: Sequence[Run]) -> list[Curve]:
    """Bits per character on the validation part by minute, of those runs that validated."""
    found = []
    for letter, run in zip(LETTERS, runs, strict=False):
        points = [(row.seconds / 60, row.bits_per_character) for row in run.rows if row.bits_per_character is not None]
        found += [Curve(letter, run.name, points)] if points else []
    return found


def drawn(curves: Sequence[Curve], width: int, what: str) -> Iterator[str]:
    """The curves in lines of at most `width` columns, with the axes that they share.

    Args:
        what: the unit of x.
    """
    width = max(NARROWEST, min(WIDEST, width))
    every = [point for curve in curves for point in curve.points]
    (first, last), (low, high) = ((min(values), max(values)) for values in zip(*every, strict=True))
    labels = [f"{high + (low - high) * line / (HEIGHT - 1):.3f}" for line in range(HEIGHT)]
    labels = [label if line % 4 == 0 or line == HEIGHT - 1 else "" for line, label in enumerate(labels)]
    beside = max(map(len, labels)) + 2
    columns = max(8, width - beside - 1)
    cells = [[" "] * columns for _ in range(HEIGHT)]
    for curve in curves:
        for column, value in _sampled(curve.points, first, last, columns):
            line = round((high - value) / (high - low) * (HEIGHT - 1)) if high > low else HEIGHT // 2
            cells[line][column] = curve.mark
    for label, line in zip(labels, cells, strict=True):
        yield f"{label:>{beside - 2}} |{''.join(line)}".rstrip()
    yield f"{'':>{beside - 2}} +{'-' * columns}"
    digits = 0 if what == "steps" else 1
    begin, end = f"{first:,.{digits}f}", f"{last:,.{digits}f} {what}"
    yield f"{'':>{beside}}{begin}{end:>{max(1, columns - len(begin))}}"


def _sampled(
    points: Sequence[tuple[float, float]], first: float, last: float, columns: int
) -> Iterator[tuple[int, float]]:
    """Columns that the points and the straight lines between them pass, with the value in each."""
    per_column = (last - first) / (columns - 1) or 1.0
    yield from ((round((x - first) / per_column), value) for x, value in points)
    for (x, value), (next_x, next_value) in itertools.pairwise(points):
        begin, end = round((x - first) / per_column), round((next_x - first) / per_column)
        for column in range(begin + 1, end):
            yield column, value + (next_value - value) * (column - begin) / (end - begin)
