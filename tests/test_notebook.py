"""A run in a notebook: one table that is drawn anew, and nothing where there is no notebook."""

import dataclasses
import sys
import types

import pytest
from screens import shown_plan
from test_terminal import RESULTS, ROW, result_of

from textgen.training.notebook import NotebookReporter, reporter_here
from textgen.training.watching import reporter_of


class Display(types.ModuleType):
    """Stands for `IPython.display`: what was shown, and what took its place."""

    def __init__(self):
        super().__init__("IPython.display")
        self.shown: list[str] = []
        self.updates: list[str] = []

    def HTML(self, text):  # noqa: N802
        return text

    def display(self, page, display_id):
        assert display_id
        self.shown.append(page)
        return types.SimpleNamespace(update=self.updates.append)


@pytest.fixture
def kernel(monkeypatch) -> Display:
    """IPython, in a kernel."""
    ipython, display = types.ModuleType("IPython"), Display()
    ipython.get_ipython = lambda: types.SimpleNamespace(kernel=object())
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setitem(sys.modules, "IPython.display", display)
    return display


def test_without_ipython_or_in_its_terminal_nothing_is_shown_and_nothing_imported(kernel, monkeypatch):
    sys.modules["IPython"].get_ipython = lambda: types.SimpleNamespace()
    assert reporter_here() is reporter_of(None, None) is None
    monkeypatch.delitem(sys.modules, "IPython")
    assert reporter_here() is None
    assert "IPython" not in sys.modules


def test_a_run_is_one_output_that_is_drawn_anew(kernel):
    reporter = reporter_of(None, None)
    reporter.planned(shown_plan())
    reporter.started(shown_plan(), 0, 0.03)
    for number, loss in enumerate((1.9, 1.7, 1.8), 1):
        reporter.stepped(100 * number, 0.5 * number, 1.5, 30_000.0)
        row = dataclasses.replace(ROW, step=100 * number, validation_loss=loss, sample=f"\n<b>verse</b>\n  {number}")
        reporter.evaluated(row, loss < 1.9)
    last = kernel.updates[-1]
    assert (len(kernel.shown), last.count("<table>"), last.count("<tr>"), last.count("✓")) == (1, 1, 4, 1)
    assert "<td>1.700</td><td>2.47</td><td>✓</td>" in last
    assert '<progress value="300" max="4000"' in last
    assert "<pre>&lt;b&gt;verse&lt;/b&gt;\n  3</pre>" in last
    reporter.finished(result_of(RESULTS))
    assert "<progress" not in kernel.updates[-1]
    assert "lower is better" in kernel.updates[-1]


def test_many_evaluations_do_not_make_a_long_page(kernel):
    reporter = NotebookReporter(kernel)
    for number in range(500):
        reporter.evaluated(dataclasses.replace(ROW, step=number), True)
    assert len(kernel.updates[-1]) < 10_000
