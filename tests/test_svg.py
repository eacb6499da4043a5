"""Line charts: what is drawn agrees with the numbers behind it, and every text is escaped."""

import itertools
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_pages import contrast

from textgen.pages.svg import MOST_POINTS, MOST_TITLES, Axis, Series, line_chart, ticks
from textgen.pages.template import asset

X, Y = Axis("steps", lambda value: f"{value:g}"), Axis("", lambda value: f"{value:g}")


def drawn_points(figure: str, colour: int = 0) -> list[tuple[float, float]]:
    """The points of one colour, read off the picture with nothing but its ticks."""

    def read(kind: str, attribute: str) -> tuple[float, float, float]:
        marks = re.findall(rf'<text class="tick {kind}"[^>]* {attribute}="([\d.-]+)"[^>]*>([^<]+)<', figure)
        (place, value), *_, (other_place, other_value) = [(float(p), float(v.replace(",", ""))) for p, v in marks]
        return place, value, (other_value - value) / (other_place - place)

    x_place, x_value, x_scale = read("x", "x")
    y_place, y_value, y_scale = read("y", "y")
    circles = re.findall(rf'<circle class="point series-{colour}" cx="([\d.-]+)" cy="([\d.-]+)"', figure)
    return [
        (x_value + (float(cx) - x_place) * x_scale, y_value + (float(cy) + 4.5 - y_place) * y_scale)
        for cx, cy in circles
    ]


@pytest.mark.parametrize("scale", [1e-5, 1.0, 3e4])
def test_what_is_drawn_agrees_with_the_numbers_behind_it(scale):
    first = [(200.0 * i, scale * (1.3 + 2.2 / i)) for i in range(1, 13)]
    second = [(150.0 * i, scale * (1.1 + 2.0 / i)) for i in range(1, 9)]
    figure = line_chart("Loss", [Series("a", first), Series("b", second, 1)], X, Y)
    for points, colour in ((first, 0), (second, 1)):
        found = drawn_points(figure, colour)
        assert len(found) == len(points)
        for (x, y), (drawn_x, drawn_y) in zip(points, found, strict=True):
            assert drawn_x == pytest.approx(x, abs=2)
            assert drawn_y == pytest.approx(y, abs=0.005 * scale)
    assert "<title>a: 3.5 at 200 steps</title>" in line_chart("Loss", [Series("a", [(200.0, 3.5)])], X, Y)


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=0, max_size=9))
def test_ticks_enclose_what_can_be_told_apart_and_are_few(values):
    found = ticks(values)
    assert 2 <= len(found) <= 12
    assert all(one < other for one, other in itertools.pairwise(found))
    if values and max(map(abs, values)) <= 1e12:
        off = 1e-9 + 1e-6 * max(map(abs, values))
        assert found[0] - off <= min(values) <= max(values) <= found[-1] + off


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1.02, 3.48], [1, 1.5, 2, 2.5, 3, 3.5]),
        ([0, 4000], [0, 1000, 2000, 3000, 4000]),
        ([5.0], [4.4, 4.6, 4.8, 5.0, 5.2, 5.4, 5.6]),
    ],
)
def test_ticks_are_round_numbers(values, expected):
    assert ticks(values) == pytest.approx(expected)


def test_names_are_escaped_and_one_who_hears_the_page_is_told_where_each_line_goes():
    name = "<script>'\"&"
    figure = line_chart(name, [Series(name, [(1.0, 2.0), (3.0, 1.0)]), Series("b", [(1.0, 1.0)])], X, Y)
    assert "<script" not in figure
    assert "goes from 2 at 1 steps to 1 at 3" in figure
    assert figure.count("&lt;script&gt;") == 2 + 1 + 2 + 1  # the title twice, told, two points, the legend
    assert "style=" not in figure


def test_a_long_run_has_a_bounded_picture_with_its_best_point():
    points = [(float(i), 1.0 + (i % 7)) for i in range(100_000)]
    figure = line_chart("Loss", [Series("a", points, marked=77_777.0)], X, Y)
    assert len(re.search(r'points="([^"]*)"', figure)[1].split()) <= MOST_POINTS + 2
    assert figure.count("<circle") <= MOST_TITLES + 2
    assert re.findall(r'r="5"><title>([^<]*)<', figure) == [f"a: {1 + 77_777 % 7} at 77777 steps"]


def test_a_chart_without_a_point_is_still_a_chart():
    assert "<svg" in line_chart("Loss", [Series("a", [])], X, Y)


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_every_line_can_be_told_from_the_paper(scheme):
    page, chart = asset("page.css"), asset("chart.css")
    blocks = [re.findall(r":root \{(.*?)\}", css, re.DOTALL)[:2] for css in (page, chart)]
    colours = dict(re.findall(r"(--[\w-]+): (#\w+);", blocks[0][scheme] + blocks[1][scheme]))
    lines = [colours[name] for name in ("--accent", "--accent-2", *(f"--series-{i}" for i in range(2, 6)))]
    assert len(set(lines)) == 6
    assert min(contrast(line, colours["--paper"]) for line in lines) >= 3
