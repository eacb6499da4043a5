"""Line charts as SVG, drawn by hand: axes with round numbers, a legend, and a title for every point.

Colours and dashes are classes of `chart.css`, so that a chart is read in light and dark, and in print. A chart is as
wide as its place: its letters are large enough on a phone.
"""

import itertools
import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

from textgen.pages.template import escape

WIDTH, HEIGHT = 460, 280
RIGHT, TOP, BOTTOM = 22, 14, 44
LETTER = 7.8  # width of a digit, at the size of `chart.css`
NUM_COLOURS = 6
MOST_POINTS = 1000  # of a line
MOST_TITLES = 120  # points that can be pointed at
LARGEST, SMALLEST = 1e12, 1e-12  # beyond these nothing is told apart in a picture


class Series(NamedTuple):
    """A line of a chart."""

    name: str
    points: Sequence[tuple[float, float]]  # x rises
    colour: int = 0
    is_dashed: bool = False
    marked: float | None = None  # the x of a point that is drawn larger


class Axis(NamedTuple):
    """What an axis shows."""

    label: str
    shown: Callable[[float], str]  # a number as its ticks and titles show it


def line_chart(title: str, series: Sequence[Series], x: Axis, y: Axis) -> str:
    """A figure of HTML: the title, the chart, and a legend where there are several lines.

    Args:
        title: plain text, as are the names of the series; both are escaped.
        series: those without a point are left out.
    """
    lines = [one._replace(points=thinned(one.points, MOST_POINTS, one.marked)) for one in series if one.points]
    every = [point for one in lines for point in one.points]
    x_ticks, y_ticks = (ticks([point[index] for point in every]) for index in (0, 1))
    left = 12 + LETTER * max((len(y.shown(value)) for value in y_ticks), default=1)
    to_x = _scale(x_ticks, left, WIDTH - RIGHT)
    to_y = _scale(y_ticks, HEIGHT - BOTTOM, TOP)
    drawn = [*_axes(x_ticks, y_ticks, to_x, to_y, left, x, y), *(_line(one, to_x, to_y) for one in lines)]
    drawn += [circle for one in lines for circle in _points(one, to_x, to_y, x, y)]
    told = f"{title}. {'; '.join(_told(one, x, y) for one in lines)}"
    return (
        f'<figure class="chart"><h3>{escape(title)}</h3>\n'
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(told)}">\n'
        + "\n".join(drawn)
        + f"\n</svg>\n{_legend(lines)}</figure>"
    )


def ticks(values: Sequence[float], most: int = 6) -> list[float]:
    """Round numbers at equal distances that enclose `values`, at most about `most`; two at least."""
    low, high = min(values, default=0.0), max(values, default=1.0)
    low, high = (min(max(value, -LARGEST), LARGEST) for value in (low, high))
    if high - low <= max(SMALLEST, 1e-9 * max(abs(low), abs(high))):
        spread = max(abs(low) / 10, SMALLEST * 10) if low else 1.0
        low, high = low - spread, high + spread
    rough = (high - low) / most
    size = 10.0 ** math.floor(math.log10(rough))
    step = next(size * factor for factor in (1, 2, 2.5, 5, 10) if size * factor >= rough)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [number * step for number in range(first, last + 1)]


def thinned(points: Sequence[tuple[float, float]], most: int, kept: float | None) -> list[tuple[float, float]]:
    """At most about `most` of the points at equal distances, with the last and the one at x = `kept`."""
    step = math.ceil(len(points) / most) or 1
    marked = next((i for i, p in enumerate(points) if p[0] == kept), 0)
    return [p for i, p in enumerate(points) if i % step == 0 or i in (marked, len(points) - 1)]


def _scale(marks: Sequence[float], start: float, end: float) -> Callable[[float], float]:
    low, high = marks[0], marks[-1]
    return lambda value: start + (min(max(value, low), high) - low) / (high - low) * (end - start)


def _axes(
    x_ticks: list[float],
    y_ticks: list[float],
    to_x: Callable[[float], float],
    to_y: Callable[[float], float],
    left: float,
    x: Axis,
    y: Axis,
) -> list[str]:
    found = [f'<text class="axis" x="{WIDTH - RIGHT}" y="{HEIGHT - 4}" text-anchor="end">{escape(x.label)}</text>']
    for value in y_ticks:
        place = to_y(value)
        found.append(f'<line class="grid" x1="{left:.1f}" x2="{WIDTH - RIGHT}" y1="{place:.1f}" y2="{place:.1f}"/>')
        text = f'<text class="tick y" x="{left - 6:.1f}" y="{place + 4.5:.1f}" text-anchor="end">'
        found.append(f"{text}{escape(y.shown(value))}</text>")
    width = LETTER * max(len(x.shown(value)) for value in x_ticks) + 10
    every = math.ceil(width * len(x_ticks) / (WIDTH - left - RIGHT))
    for value in x_ticks[::every]:
        text = f'<text class="tick x" x="{to_x(value):.1f}" y="{HEIGHT - BOTTOM + 19}" text-anchor="middle">'
        found.append(f"{text}{escape(x.shown(value))}</text>")
    return found


def _class(one: Series) -> str:
    return f"line series-{one.colour % NUM_COLOURS}{' dashed' if one.is_dashed else ''}"


def _line(one: Series, to_x: Callable[[float], float], to_y: Callable[[float], float]) -> str:
    places = " ".join(f"{to_x(a):.1f},{to_y(b):.1f}" for a, b in one.points)
    return f'<polyline class="{_class(one)}" points="{places}"/>'


def _points(one: Series, to_x: Callable[[float], float], to_y: Callable[[float], float], x: Axis, y: Axis) -> list[str]:
    found = []
    for a, b in thinned(one.points, MOST_TITLES, one.marked):
        kind = f"point series-{one.colour % NUM_COLOURS}"
        size = 5 if a == one.marked else 2.5
        title = f"{one.name}: {y.shown(b)} at {x.shown(a)} {x.label}"
        place = f'cx="{to_x(a):.1f}" cy="{to_y(b):.1f}" r="{size}"'
        found.append(f'<circle class="{kind}" {place}><title>{escape(title)}</title></circle>')
    return found


def _told(one: Series, x: Axis, y: Axis) -> str:
    """What a reader who does not see the line hears of it."""
    (a, b), (c, d) = one.points[0], one.points[-1]
    return f"{one.name} goes from {y.shown(b)} at {x.shown(a)} {x.label} to {y.shown(d)} at {x.shown(c)}"


def _legend(lines: Sequence[Series]) -> str:
    if len(lines) < 2:
        return ""
    items = (
        f'<li><svg viewBox="0 0 28 10" aria-hidden="true"><path class="{_class(one)}" d="M0 5h28"/></svg>'
        f"{escape(one.name)}</li>"
        for one in lines
    )
    return f'<ul class="legend">{"".join(itertools.islice(items, 40))}</ul>'
