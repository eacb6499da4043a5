"""A run as a person sees it: what will be done, a live bar, an evaluation and a sample now and then, a summary.

Everything goes to standard error. Where that is not a terminal there is no bar, one line per evaluation instead.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from textgen.cells import CELLS
from textgen.memory import LARGE_BYTES, in_gb
from textgen.messages import counted, harmless, visible
from textgen.records import Evaluated, ParentRecord, ResultRecord
from textgen.schema import with_flags
from textgen.store.checkpoints import CHECKPOINT_BYTES_PER_PARAMETER
from textgen.store.model_directory import num_parameters
from textgen.store.tensors import BYTES_PER_NUMBER
from textgen.training.advice import resume_command, sample_command
from textgen.training.needs import needed_bytes
from textgen.training.plan import Plan
from textgen.training.reporting import Reporter
from textgen.training.results import TrainingResult

if TYPE_CHECKING:
    from textgen.model.devices import Device

SAMPLE_CHARACTERS = 200
SHOWN_FROM_BYTES = 10_000_000
WORTH_SAYING = 0.1  # of the steps
UNITS = {"char": "character", "word": "token"}


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
        self._bits: float | None = None
        self._unit = UNITS["char"]
        self._preparing: Progress | None = None
        self._stages: dict[str, Any] = {}
        self._smoothed: float | None = None
        self._said_steps = 0
        self._flattered = ""  # what is said beside the last figure

    def __enter__(self) -> "TerminalReporter":
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def preparing(self, stage: str, done: int, total: int) -> None:
        """A bar for each pass over the corpus; a small corpus is read before it would be seen."""
        if not self.console.is_terminal or total < SHOWN_FROM_BYTES:
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
        self._unit = UNITS[plan.text.level]
        for note in plan.notes:
            self.noted(note)
        self._say("corpus", _corpus_line(plan))
        if plan.parent is not None and plan.parent.read_before is not None:
            read = f"{plan.parent.name} has read about {plan.parent.read_before:.0%} of this text before"
            self.noted(f"{read}, so the figures of this run are better than on a new text")
            self._flattered = f"; {read}"
        self._say_model(plan)

    def _say_model(self, plan: Plan) -> None:
        if plan.recipe is not None and not plan.recipe.facts.begins_trained:
            reason = f"the budget pays for {plan.recipe.reason} (--preset, and every flag, overrules)"
            self._say("size", f"{plan.recipe.preset}: {reason}")
        m, t = plan.model, plan.training
        cell = CELLS[m.cell].name
        shape = f"{m.num_layers} x {m.units} {cell}, embedding {m.embedding_size}{' (tied)' if m.tied else ''}"
        shape += ", skip connections" if m.skip else ""
        self._say("model", f"{shape}, vocabulary {m.vocabulary_size:,}, {num_parameters(plan.model):,} parameters")
        constant = " (constant)" if t.schedule == "constant" else ""
        rates = f"learning rate {t.learning_rate:g}{constant}, dropout {t.dropout:g}, weight decay {t.weight_decay:g}"
        rates += f", activation penalty {t.activation_reg:g}" if t.activation_reg else ""
        sampled = f", {t.num_sampled:,} sampled tokens per step" if t.num_sampled else ""
        batches = f"batches of {t.batch_size} x {t.sequence_length}"
        self._say("training", f"{batches}, {rates}, seed {t.seed}{sampled}")
        if (needed := needed_bytes(m, t)) > LARGE_BYTES:
            self._say("memory", f"about {in_gb(needed)}")

    def placed(self, device: "Device") -> None:
        """Where it computes."""
        cudnn = "cuDNN is used" if device.cudnn else "cuDNN is not used"
        self._say("device", f"{device.name}; {cudnn}: {device.reason}")

    def inherited(self, plan: Plan, parent: ParentRecord, loss: float | None) -> None:
        """The model that it begins with, and how well that one knows the text already."""
        added = _added(plan, parent)
        if loss is not None:
            bits = f"{plan.bits_per_character(loss):.3f} bits per character"
            added = f"{loss:.2f} nats per {self._unit} on the validation part, {bits}; {added}"
        self._say("before", f"{parent.name}: {added}")

    def measuring(self) -> None:
        """While the step compiles and is timed."""
        self._say("budget", "measuring the speed of this machine ...")

    def planned_again(self, plan: Plan, tokens_per_second: float) -> None:
        """The other model that suits the speed of this machine better."""
        self._say("speed", f"{tokens_per_second:,.0f} tokens per second, which changes what is best:")
        self._say_model(plan)

    def would_start(self, plan: Plan, seconds_per_step: float | None) -> None:
        """The end of a dry run."""
        self._say(
            "steps",
            f"{plan.total_steps or 0:,} ({plan.epochs:.1f} epochs){_duration_note(plan, seconds_per_step)}",
        )
        self._say("disk", _disk_line(plan))
        self._say("", f"would be written to {plan.path}; nothing was")

    def started(self, plan: Plan, first_step: int, seconds_per_step: float | None) -> None:
        """Start the bar."""
        total = self._said_steps = plan.total_steps or 0
        begin = f", from step {first_step:,} on" if first_step else ""
        note = _duration_note(plan, seconds_per_step)
        if plan.recipe is not None and plan.total_steps == plan.recipe.most_steps(plan.batches):
            note += ", and no more: the text would be learned by heart"
        self._say("steps", f"{total:,} ({plan.epochs:.1f} epochs){begin}{note}")
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
            figures += f"  val {self._validation:.3f} ({self._bits:.2f} bits/char)"
        figures += f"  {tokens_per_second:,.0f} tok/s"
        self.bar.update(self._task, completed=step, epoch=f"epoch {epoch:.1f}", figures=figures)

    def evaluated(self, row: Evaluated, is_best: bool) -> None:
        """One line of figures, and a sample."""
        self._validation, self._bits = row.validation_loss, row.bits_per_character
        line = f"step {row.step:,}  epoch {row.epoch:.1f}  loss {row.train_loss:.3f}"
        if row.validation_loss is not None:
            nats = f"{row.validation_loss:.3f} nats{'' if self._unit == 'character' else f' per {self._unit}'}"
            line += f"  validation {nats}, {row.bits_per_character:.2f} bits per character"
        self.console.print(Text.assemble((line, "bold"), "" if is_best else "  (not the best)"), soft_wrap=True)
        sample = visible(" ".join(row.sample[:SAMPLE_CHARACTERS].split()))
        self.console.print(Text(f"  {sample}", "dim"), soft_wrap=not self.console.is_terminal)

    def settled_again(self, total_steps: int, epochs: float) -> None:
        """A bar of another length; a line where the number is far from the one that was said last."""
        if abs(total_steps - self._said_steps) > WORTH_SAYING * self._said_steps:
            self._say("steps", f"now {total_steps:,} ({epochs:.1f} epochs), to end in time at the speed of now")
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
        self.console.print(Text.assemble(("note:", "yellow"), " ", harmless(message)), soft_wrap=True)

    def finished(self, result: TrainingResult) -> None:
        """The summary, and what to type next."""
        self.close()
        results = result.results
        if result.stopped_by is not None:
            self._say("stopped", f"at step {results.steps:,} of {results.total_steps:,}; everything is saved")
            self._say("go on", resume_command(result.path))
            return
        loss = results.validation_loss
        figures = f"{results.steps:,} steps, {results.epochs:.1f} epochs, {results.seconds:.0f} s"
        self._say("done", f"{figures}, {results.tokens_per_second:,.0f} tokens per second")
        if loss is not None:
            bits = f"{results.validation_bits_per_character:.3f} bits per character"
            best = "" if results.best_step == results.steps else f", best at step {results.best_step:,}"
            self._say("validation", f"{loss:.4f} nats per {self._unit}, {bits}{best}{self._flattered}")
        if origins := _origins_line(results):
            self._say("samples", origins)
        if results.longest_copy:
            self._say("copies", _copies_line(results), visible)
        self._say("model", str(result.path))
        self._say("sample it", sample_command(result.path))

    def close(self) -> None:
        """Take the bars away."""
        self._stop_preparing()
        if self._task is not None:
            self.bar.stop()
            self._task = None

    def _say(self, label: str, text: str, shown: Callable[[str], str] = harmless) -> None:
        # As Text, not as markup: what a model writes or a folder is called may look like markup.
        self.console.print(Text.assemble((f"{label:>10}", "cyan"), "  ", shown(text)), soft_wrap=True)


def _corpus_line(plan: Plan) -> str:
    corpus, prepared = plan.corpus, plan.prepared
    sizes = f"{len(prepared.train_ids):,} to learn from, {len(prepared.validation_ids):,} to validate on"
    if corpus.documents:
        sizes += f"; {corpus.documents:,} documents, {prepared.num_validation_documents:,} of them to validate on"
    of_tokens = "" if plan.text.level == "char" else "tokens: "
    return f"{corpus.name}: {corpus.characters:,} characters ({of_tokens}{sizes})"


def _added(plan: Plan, parent: ParentRecord) -> str:
    """How much of the text the model that the run begins with did not know."""
    counts = {"character": parent.symbols_added}
    if plan.text.level == "word":
        counts["word"] = parent.words_added
    return " and ".join(counted(count, what) for what, count in counts.items()) + " added"


def _origins_line(results: ResultRecord) -> str:
    """Where the documents of the last samples are found; empty where there are no documents."""
    counts = (results.samples_new, results.samples_in_training, results.samples_in_validation)
    if not sum(counts):
        return ""
    new, training, validation = counts
    found = f"{new} are new, {training} learned by heart, {validation} in the validation part"
    return f"of {sum(counts)} documents that it wrote {found}"


def _copies_line(results: ResultRecord) -> str:
    """The longest run of characters that the last samples have in common with the training text."""
    length, text = results.longest_copy or 0, results.longest_copy_text
    run = " ".join(text.split()) + (" ..." if length > len(text) else "")
    among = counted(results.longest_copy_among, "character")
    found = f"the longest run that stands in your text is {counted(length, 'character')}"
    return f"in {among} that it wrote, {found}: “{run}”"


def _disk_line(plan: Plan) -> str:
    """What the run and its model take."""
    numbers = num_parameters(plan.model)
    checkpoints = (plan.training.keep_checkpoints + 1) * CHECKPOINT_BYTES_PER_PARAMETER * numbers  # one being written
    model = numbers * BYTES_PER_NUMBER[plan.training.storage]
    return f"checkpoints take up to {checkpoints / 1e6:,.0f} MB during the run, the model about {model / 1e6:,.1f} MB"


def _duration_note(plan: Plan, seconds_per_step: float | None) -> str:
    if seconds_per_step is None:
        return ""
    return f", about {(plan.total_steps or 0) * seconds_per_step / 60:.1f} minutes of training"
