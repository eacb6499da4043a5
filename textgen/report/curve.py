"""Curves of plain characters, which every terminal and every log can show."""

import itertools
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from textgen.messages import clock
from textgen.report.history import Run

HEIGHT = 12  # lines
NARROWEST, WIDEST = 24, 100  # columns
LETTERS = "abcdefghijklmnopqrstuvwxyz"


class Curve(NamedTuple):
    """A curve, and the character that draws it."""

    mark: str
    name: str
    points: Sequence[tuple[float, float]]  # x rises


def curves_of(runs: Sequence[Run]) -> list[Curve]:
    """Training and validation loss of one run, or the validation loss of several (else that of training)."""
    found = []
    for letter, run in zip(itertools.cycle(LETTERS), runs, strict=False):
        training = [(float(row.step), row.train_loss) for row in run.rows]
        validation = [(float(row.step), row.validation_loss) for row in run.rows if row.validation_loss is not None]
        if len(runs) > 1:
            what = "validation" if validation else "training"
            found.append(Curve(letter, f"{run.name} ({what})", validation or training))
            continue
        found.append(Curve(".", "training", training))
        found += [Curve("*", "validation", validation)] if validation else []
    return found


def drawn(curves: Sequence[Curve], width: int) -> Iterator[str]:
    """The curves in lines of at most `width` columns, with the axes that they share."""
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
    ends = f"{first:,.0f}", f"{last:,.0f}"
    yield f"{'':>{beside}}{ends[0]}{ends[1]:>{max(1, columns - len(ends[0]))}}"
    yield f"{'':>{beside}}{'steps':>{columns}}"


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


def times(run: Run) -> str:
    """How long a run took, and how far it came."""
    last = run.rows[-1]
    return f"{last.step:,} steps, {last.epoch:.1f} passes over the text in {clock(last.seconds)}"
