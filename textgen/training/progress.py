"""A run as a person sees it: what will be done, a live bar, an evaluation and a sample now and then, a summary.

Everything goes to standard error. Where that is not a terminal there is no bar, one line per evaluation instead.
"""

import math
import shlex
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from textgen.model_store import default_models_dir
from textgen.output import visible
from textgen.training.plan import Plan
from textgen.training.reporting import Evaluated, Reporter

SAMPLE_CHARACTERS = 200


class TerminalReporter(Reporter):
    """Shows a run on standard error; a context manager that leaves the terminal as it was."""

    def __init__(self, console: Console | None = None):
        self.console = console or Console(stderr=True, highlight=False)
        self.bar = Progress(
            TextColumn("[bold]{task.fields[epoch]}"),
            BarColumn(bar_width=None),
            MofNCompleteColumn(),
            TextColumn("{task.fields[figures]}"),
            TimeRemainingColumn(compact=True),
            console=self.console,
        )
        self._task: Any = None
        self._validation: float | None = None
        self._smoothed: float | None = None

    def __enter__(self) -> "TerminalReporter":
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def planned(self, plan: Plan) -> None:
        """The text and the model."""
        for note in plan.notes:
            self.noted(note)
        sizes = f"{len(plan.train_ids):,} to learn from, {len(plan.validation_ids):,} to validate on"
        self._say("corpus", f"{plan.corpus.name}: {plan.corpus.characters:,} characters ({sizes})")
        m, t = plan.model, plan.training
        cell = {"lstm": "LSTM", "gru": "GRU", "rnn": "plain RNN"}[m.cell]
        shape = f"{m.num_layers} x {m.units} {cell}, embedding {m.embedding_size}"
        self._say("model", f"{shape}, vocabulary {m.vocabulary_size:,}, {plan.num_parameters:,} parameters")
        rate = f"learning rate {t.learning_rate:g}, dropout {t.dropout:g}, seed {t.seed}"
        self._say("training", f"batches of {t.batch_size} x {t.sequence_length}, {rate}")

    def placed(self, device) -> None:
        """Where it computes."""
        cudnn = "cuDNN is used" if device.cudnn else "cuDNN is not used"
        self._say("device", f"{device.name}; {cudnn}: {device.reason}")

    def measuring(self) -> None:
        """While the step compiles and is timed."""
        self._say("budget", "measuring the speed of this machine ...")

    def would_start(self, plan: Plan, seconds_per_step: float | None) -> None:
        """The end of a dry run."""
        self._say(
            "steps",
            f"{plan.total_steps:,} ({plan.epochs:.1f} epochs){_duration_note(plan, seconds_per_step)}",
        )
        self._say("", f"would be written to {plan.path}; nothing was")

    def started(self, plan: Plan, first_step: int, seconds_per_step: float | None) -> None:
        """Start the bar."""
        total = plan.total_steps or 0
        begin = f", from step {first_step:,} on" if first_step else ""
        self._say("steps", f"{total:,} ({plan.epochs:.1f} epochs){begin}{_duration_note(plan, seconds_per_step)}")
        if self.console.is_terminal:
            self._task = self.bar.add_task("", total=total, completed=first_step, epoch="epoch 0.0", figures="")
            self.bar.start()

    def stepped(self, step: int, epoch: float, loss: float, tokens_per_second: float) -> None:
        """Move the bar."""
        self._smoothed = loss if self._smoothed is None else 0.95 * self._smoothed + 0.05 * loss
        if self._task is None:
            return
        figures = f"loss {self._smoothed:.3f}"
        if self._validation is not None:
            figures += f"  val {self._validation:.3f} ({self._validation / math.log(2):.2f} bits/char)"
        figures += f"  {tokens_per_second:,.0f} tok/s"
        self.bar.update(self._task, completed=step, epoch=f"epoch {epoch:.1f}", figures=figures)

    def evaluated(self, row: Evaluated, is_best: bool) -> None:
        """One line of figures, and a sample."""
        self._validation = row.validation_loss
        line = f"step {row.step:,}  epoch {row.epoch:.1f}  loss {row.train_loss:.3f}"
        if row.validation_loss is not None:
            line += f"  validation {row.validation_loss:.3f} nats, {row.bits_per_character:.2f} bits per character"
        self.console.print(Text.assemble((line, "bold"), "" if is_best else "  (not the best)"), soft_wrap=True)
        sample = visible(" ".join(row.sample[:SAMPLE_CHARACTERS].split()))
        self.console.print(Text(f"  {sample}", "dim"), soft_wrap=not self.console.is_terminal)

    def noted(self, message: str) -> None:
        """A line of its own."""
        self.console.print(Text.assemble(("note:", "yellow"), " ", message), soft_wrap=True)

    def finished(self, result) -> None:
        """The summary, and what to type next."""
        self.close()
        results, name = result.results, shlex.quote(result.name)
        if result.stopped_by is not None:
            self._say("stopped", f"at step {results.steps:,} of {results.total_steps:,}; everything is saved")
            self._say("go on", f"textgen train --resume --name {name}{_models_dir_flag(result.path)}")
            return
        loss = results.validation_loss
        figures = f"{results.steps:,} steps, {results.epochs:.1f} epochs, {results.seconds:.0f} s"
        self._say("done", f"{figures}, {results.tokens_per_second:,.0f} tokens per second")
        if loss is not None:
            bits = f"{results.validation_bits_per_character:.3f} bits per character"
            best = "" if results.best_step == results.steps else f", best at step {results.best_step:,}"
            self._say("validation", f"{loss:.4f} nats per character, {bits}{best}")
        self._say("model", str(result.path))
        self._say("sample it", f"textgen sample {name}{_models_dir_flag(result.path)}")

    def close(self) -> None:
        """Take the bar away."""
        if self._task is not None:
            self.bar.stop()
            self._task = None

    def _say(self, label: str, text: str) -> None:
        # As Text, not as markup: what a model writes or a folder is called may look like markup.
        self.console.print(Text.assemble((f"{label:>10}", "cyan"), "  ", text), soft_wrap=True)


def _duration_note(plan: Plan, seconds_per_step: float | None) -> str:
    if seconds_per_step is None:
        return ""
    return f", about {plan.total_steps * seconds_per_step / 60:.1f} minutes of training"


def _models_dir_flag(path: Path) -> str:
    """` --models-dir DIR` where the model is not where commands look for it."""
    return "" if path.parent == default_models_dir() else f" --models-dir {shlex.quote(str(path.parent))}"
