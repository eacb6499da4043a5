"""A run as a person sees it: what will be done, a table that grows by a row an evaluation, a summary.

Everything goes to standard error. On a terminal the newest sample and a live line stand below the table. Where that is
none (a file, TERM=dumb) nothing moves: each row is followed by its sample.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from rich.console import Console, Group
from rich.live import Live
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from textgen.messages import harmless, in_words, visible
from textgen.records import Evaluated, ParentRecord
from textgen.schema import with_flags
from textgen.training import layout, sentences
from textgen.training.advice import resume_command, sample_command
from textgen.training.plan import Plan
from textgen.training.reporting import Reporter
from textgen.training.results import TrainingResult

if TYPE_CHECKING:
    from textgen.model.devices import Device

SHOWN_FROM_BYTES = 10_000_000
WORTH_SAYING = 0.1  # of the steps
WIDE_LINE = 60  # columns, from which the live line has all its figures
SAMPLE_LINES = 8
OTHER_LINES = 8  # of a terminal, that a sample leaves free
CONTINUED = " \\"  # at the end of a line of a command, which can be copied with those that follow


class TerminalReporter(Reporter):
    """Shows a run on standard error; a context manager that leaves the terminal as it was."""

    def __init__(self, console: Console | None = None, *, is_verbose: bool = False):
        """Args: is_verbose: show an engineer's figures in place of words."""
        self.console = console or Console(stderr=True, highlight=False)
        self.is_verbose = is_verbose
        self.is_live = self.console.is_terminal and not self.console.is_dumb_terminal
        self.bar = Progress(*self._bar_columns(), console=self.console)
        self._task: Any = None
        self._live: Live | None = None
        self._row: Evaluated | None = None  # the newest
        self._has_heading = False
        self._unit = sentences.UNITS["char"]
        self._total_epochs = 0.0
        self._preparing: Progress | None = None
        self._stages: dict[str, Any] = {}
        self._smoothed: float | None = None
        self._said_steps = 0
        self._flattered = ""  # what is said beside the last figure

    def __enter__(self) -> "TerminalReporter":
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    @property
    def width(self) -> int | None:
        """Columns of the terminal; None for a file, whose lines are as long as they like."""
        return self.console.width if self.console.is_terminal else None

    def preparing(self, stage: str, done: int, total: int) -> None:
        """A bar for each pass over the corpus; a small corpus is read before it would be seen."""
        if not self.is_live or total < SHOWN_FROM_BYTES:
            return
        if self._preparing is None:
            columns = (TextColumn("{task.description:>10}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
            self._preparing = Progress(*columns, console=self.console, transient=True)
            self._preparing.start()
        if stage not in self._stages:
            self._stages[stage] = self._preparing.add_task(stage, total=total)
        self._preparing.update(self._stages[stage], completed=done)

    def _stop_preparing(self) -> None:
        if self._preparing is not None:
            self._preparing.stop()
            self._preparing = None

    def begins(self, line: str) -> None:
        """A line before the corpus is read, which may take long."""
        self._say("begins", with_flags(line))

    def planned(self, plan: Plan) -> None:
        """The text and the model."""
        self._stop_preparing()
        self._unit = sentences.UNITS[plan.text.level]
        for note in plan.notes:
            self.noted(note)
        self._say("corpus", sentences.corpus_line(plan))
        self._flattered = sentences.read_before(plan)
        if self._flattered:
            self.noted(f"{self._flattered}, so the figures of this run are better than on a new text")
        self._say_model(plan)

    def _say_model(self, plan: Plan) -> None:
        for label, text in sentences.model_lines(plan, is_verbose=self.is_verbose):
            self._say(label, text)

    def placed(self, device: "Device") -> None:
        """Where it computes, to engineers and to those with a GPU."""
        if self.is_verbose or device.name != "CPU":
            self._say("device", sentences.device_line(device))

    def inherited(self, plan: Plan, parent: ParentRecord, loss: float | None) -> None:
        """The model that it begins with, and how well that one knows the text already."""
        self._say("before", sentences.parent_line(plan, parent, loss, is_verbose=self.is_verbose))

    def measuring(self) -> None:
        """While the step compiles and is timed."""
        self._say("budget", "measuring the speed of this machine ...")

    def planned_again(self, plan: Plan, tokens_per_second: float) -> None:
        """The other model that suits the speed of this machine better."""
        self._say("speed", f"{tokens_per_second:,.0f} tokens per second, which changes what is best:")
        self._say_model(plan)

    def would_start(self, plan: Plan, seconds_per_step: float | None) -> None:
        """The end of a dry run."""
        self._say_steps(plan, seconds_per_step)
        self._say("disk", sentences.disk_line(plan))
        self._say("", f"would be written to {plan.path}; nothing was")

    def _say_steps(self, plan: Plan, seconds_per_step: float | None, first_step: int = 0) -> None:
        line = sentences.steps_line(plan, seconds_per_step, first_step)
        if (recipe := plan.recipe) is not None:
            if plan.total_steps == recipe.most_steps(plan.batches):
                line += ", and no more: the text would be learned by heart"
            if self.is_verbose and recipe.facts.passes is not None and recipe.asked.training.learning_rate is None:
                line += f"; learning rate {plan.training.learning_rate:g} for so many"
        self._say("steps", line)

    def started(self, plan: Plan, first_step: int, seconds_per_step: float | None) -> None:
        """Start the live line."""
        total = self._said_steps = plan.total_steps or 0
        self._total_epochs = plan.epochs
        self._say_steps(plan, seconds_per_step, first_step)
        if self.is_live:
            self._task = self.bar.add_task("", total=total, completed=first_step, epoch="epoch 0.0", figures="")
            self._live = Live(console=self.console, refresh_per_second=5, get_renderable=self._below)
            self._live.start(refresh=True)

    def stepped(self, step: int, epoch: float, loss: float, tokens_per_second: float) -> None:
        """Move the live line."""
        self._smoothed = loss if self._smoothed is None else 0.95 * self._smoothed + 0.05 * loss
        if self._task is None:
            return
        if self.is_verbose:
            figures = f"loss {self._smoothed:.3f}"
            if self._row is not None and self._row.validation_loss is not None:
                figures += f"  val {self._row.validation_loss:.3f} ({self._row.bits_per_character:.2f} bits/char)"
            figures += f"  {tokens_per_second:,.0f} tok/s"
        else:
            figures = f"pass {epoch:.1f} of {self._total_epochs:.1f}"
            figures += f"   loss {self._smoothed:.2f}" if self.console.width >= WIDE_LINE else ""
        self.bar.update(self._task, completed=step, epoch=f"epoch {epoch:.1f}", figures=figures)

    def evaluated(self, row: Evaluated, is_best: bool) -> None:
        """A row of the table, or an engineer's line. The sample stands below it, on a terminal the newest alone."""
        self._row = row
        if self.is_verbose:
            line = sentences.evaluation_line(row, self._unit, is_best=is_best)
            self._print(*(Text(part, "bold") for part in ([line] if self.width is None else self._hanging(line))))
        else:
            columns = layout.columns_in(self.width, validates=row.validation_loss is not None)
            if not self._has_heading:
                self._print(Text(""), Text(layout.heading(columns), "bold"))
                self._has_heading = True
            mark = "*" if self.console.options.ascii_only else "✓"
            self._print(Text(layout.table_row(columns, row, mark if is_best else ""), "" if is_best else "dim"))
        if not self.is_live:
            self._print(*self._sample())

    def _hanging(self, line: str) -> list[str]:
        first, *more = layout.wrapped(line, self.console.width - 2)
        return [first, *(f"  {part}" for part in more)]

    def settled_again(self, total_steps: int, epochs: float) -> None:
        """A bar of another length; a line where the number is far from the one that was said last."""
        self._total_epochs = epochs
        if abs(total_steps - self._said_steps) > WORTH_SAYING * self._said_steps:
            passes = f"{epochs:.1f} passes over the text"
            self._say("steps", f"now {total_steps:,} ({passes}), to end in time at the speed of now")
            self._said_steps = total_steps
        if self._task is not None:
            self.bar.update(self._task, total=total_steps)

    def rolled_back(self, step: int, message: str) -> None:
        """A line of its own; the bar goes back, and forgets the losses that ran away."""
        self._smoothed = None
        if self._task is not None:
            self.bar.update(self._task, completed=step)
        super().rolled_back(step, message)

    def noted(self, message: str) -> None:
        """A line of its own."""
        text, width = harmless(message), self.width
        first, *more = [text] if width is None else layout.wrapped(text, width - len("note: "))
        self._print(Text.assemble(("note:", "yellow"), " ", first), *(Text(f"      {line}") for line in more))

    def finished(self, result: TrainingResult) -> None:
        """The summary, and what to type next."""
        self.close()
        results = result.results
        if self._row is not None:
            self._print(Text(""))
        if result.stopped_by is not None:
            self._say("stopped", f"at step {results.steps:,} of {results.total_steps:,}; everything is saved")
            self._say("go on", resume_command(result.path), ends=CONTINUED)
            return
        for label, text in sentences.result_lines(results, self._unit, self._flattered, is_verbose=self.is_verbose):
            self._say(label, text)
        if results.longest_copy:
            self._say("copies", sentences.copies_line(results), visible)
        self._say("model", str(result.path))
        self._say("sample it", sample_command(result.path), ends=CONTINUED)

    def close(self) -> None:
        """Take the bars away; the newest sample stays."""
        self._stop_preparing()
        self._task = None
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _bar_columns(self) -> tuple[ProgressColumn, ...]:
        figures, left = TextColumn("{task.fields[figures]}"), TimeRemainingColumn(compact=True)
        if self.is_verbose:
            epoch = TextColumn("[bold]{task.fields[epoch]}")
            return epoch, BarColumn(bar_width=None), MofNCompleteColumn(), figures, left
        bar = BarColumn(bar_width=None if self.console.width >= WIDE_LINE else 8)
        return TextColumn("[bold]{task.percentage:>3.0f}%"), bar, figures, left, TextColumn("left")

    def _below(self) -> Group:
        """What stands below the table: the newest sample, what its figure means, and the live line."""
        parts: list[Text | Progress] = []
        if self._row is not None:
            parts += [Text(""), *self._sample()]
            bits = self._row.bits_per_character
            if self._task is not None and bits is not None and not self.is_verbose:
                lines = layout.wrapped(in_words(bits), self.console.width - len(layout.INDENT))
                parts += [Text(""), *(Text(layout.INDENT + line) for line in lines)]
        if self._task is not None:
            parts += [Text(""), self.bar]
        return Group(*parts)

    def _sample(self) -> list[Text]:
        """The newest sample, as long as the terminal has room for it."""
        text, width = "" if self._row is None else self._row.sample, self.width
        most = min(SAMPLE_LINES, self.console.height - OTHER_LINES) if self.is_live else SAMPLE_LINES
        if most < 1:
            return []
        return [Text(line, "dim", no_wrap=True) for line in layout.sample_lines(text, width, most)]

    def _say(self, label: str, text: str, shown: Callable[[str], str] = harmless, ends: str = "") -> None:
        # As Text, not as markup: what a model writes or a folder is called may look like markup.
        pairs = layout.labelled(label, shown(text), self.width, ends)
        self._print(*(Text.assemble((left, "cyan"), right) for left, right in pairs))

    def _print(self, *lines: Text) -> None:
        for line in lines:
            line.rstrip()
            self.console.print(line, soft_wrap=True)
