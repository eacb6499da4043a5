"""A run as a notebook shows it: one table of HTML that grows in its place, the newest sample, and how far the run is.

IPython is used where it runs already, and imported nowhere else.
"""

import html
import importlib
import sys
import time
from typing import Any

from textgen.messages import visible
from textgen.records import Evaluated
from textgen.training import layout, sentences
from textgen.training.plan import Plan
from textgen.training.reporting import Reporter
from textgen.training.results import TrainingResult

SECONDS = 0.5  # between two pictures
MOST_ROWS = 40  # of the newest evaluations


def reporter_here() -> "NotebookReporter | None":
    """What shows a run in the notebook whose kernel this process is; None where it is none."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None and hasattr(ipython, "get_ipython") else None
    if getattr(shell, "kernel", None) is None:  # none, or a terminal
        return None
    return NotebookReporter(importlib.import_module("IPython.display"))


class NotebookReporter(Reporter):
    """Shows a run in one output that is drawn anew."""

    def __init__(self, ipython_display: Any):
        """Args: ipython_display: the module `IPython.display`."""
        self._display = ipython_display
        self._handle: Any = None
        self._drawn = 0.0
        self._lines: list[str] = []  # before the table, and after it when the run has ended
        self._rows: list[tuple[Evaluated, bool]] = []
        self._step = self._total = 0
        self._unit = sentences.UNITS["char"]
        self._is_running = False

    def planned(self, plan: Plan) -> None:
        """The text and the model."""
        self._unit = sentences.UNITS[plan.text.level]
        self._lines = [sentences.corpus_line(plan)]
        self._lines += [f"{label}: {text}" for label, text in sentences.model_lines(plan, is_verbose=False)]
        self._draw()

    def started(self, plan: Plan, first_step: int, seconds_per_step: float | None) -> None:
        """The bar."""
        self._step, self._total, self._is_running = first_step, plan.total_steps or 0, True
        self._lines.append(f"steps: {sentences.steps_line(plan, seconds_per_step, first_step)}")
        self._draw()

    def stepped(self, step: int, _epoch: float, _loss: float, _tokens_per_second: float) -> None:
        """Move the bar, now and then."""
        self._step = step
        if time.monotonic() - self._drawn > SECONDS:
            self._draw()

    def evaluated(self, row: Evaluated, is_best: bool) -> None:
        """A row more, and another sample."""
        self._rows = [*self._rows, (row, is_best)][-MOST_ROWS:]
        self._draw()

    def settled_again(self, total_steps: int, _epochs: float) -> None:
        """A bar of another length."""
        self._total = total_steps

    def finished(self, result: TrainingResult) -> None:
        """The summary."""
        self._is_running = False
        if result.stopped_by is not None:
            self._lines.append(f"stopped at step {result.results.steps:,} of {result.results.total_steps:,}")
        else:
            lines = sentences.result_lines(result.results, self._unit, "", is_verbose=False)
            self._lines += [f"{label}: {text}" for label, text in lines]
        self._draw()

    def _draw(self) -> None:
        self._drawn = time.monotonic()
        page = self._display.HTML(self.to_html())
        if self._handle is None:
            self._handle = self._display.display(page, display_id=True)
        else:
            self._handle.update(page)

    def to_html(self) -> str:
        """What is shown now; texts and names are escaped."""
        parts = [f"<div>{html.escape(visible(line))}</div>" for line in self._lines]
        if self._is_running:
            parts.append(f'<progress value="{self._step}" max="{max(1, self._total)}" aria-label="steps"></progress>')
        if self._rows:
            parts += [self._table(), f"<pre>{html.escape(visible(self._rows[-1][0].sample.strip(chr(10))))}</pre>"]
        return "\n".join(parts)

    def _table(self) -> str:
        columns = layout.columns_in(None, validates=self._rows[-1][0].validation_loss is not None)
        headings = "".join(f'<th scope="col">{column.heading}</th>' for column in columns)
        losses = [row.validation_loss for row, _ in self._rows if row.validation_loss is not None]
        lines = []
        for row, is_best in self._rows:
            found = layout.figures(row, "✓" if is_best and row.validation_loss == min(losses, default=None) else "")
            lines.append("".join(f"<td>{found[column.heading]}</td>" for column in columns))
        body = "".join(f"<tr>{line}</tr>" for line in lines)
        return f"<table><thead><tr>{headings}</tr></thead><tbody>{body}</tbody></table>"
