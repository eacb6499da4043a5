"""The figures of a run for TensorBoard: event files, by TensorFlow's own writer.

TensorBoard need not be installed. A run that goes on adds a file to those of its first part, with the steps from there
on. Where the directory has none yet, the evaluations before that come first.

TensorFlow is imported when the run has started, as in the other modules of this room.
"""

import contextlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from textgen.records import Evaluated
from textgen.store.checkpoints import Checkpoint
from textgen.training.plan import Plan, check_writable
from textgen.training.reporting import Reporter
from textgen.training.results import TrainingResult

MOST_STEPS = 2000  # whose own losses are written, at equal distances
FIGURES = {  # the fields of an evaluation, by tag
    "loss/training": "train_loss",
    "loss/validation": "validation_loss",
    "bits_per_character": "bits_per_character",
    "learning_rate": "learning_rate",
    "tokens_per_second": "tokens_per_second",
    "epoch": "epoch",
}


class EventFiles(Reporter):
    """Writes what a run tells. Where that fails, nothing more is written, and the run goes on."""

    def __init__(self, directory: Path, tell: Callable[[str], None]):
        """Args:
            tell: told, in one line, when writing ends early.

        Raises:
            ModelError: nothing can be written in `directory`.
        """
        check_writable(directory, "event files")
        self.directory, self._tell = directory, tell
        self._writer: Any = None
        self._every = 1

    def started(self, plan: Plan, first_step: int, _seconds_per_step: float | None) -> None:
        """Begin a file."""
        import tensorflow as tf  # noqa: PLC0415

        self._every = max(1, (plan.total_steps or 0) // MOST_STEPS)
        try:
            is_new = not os.path.isdir(self.directory) or not any("tfevents" in n for n in os.listdir(self.directory))
            self._writer = tf.summary.create_file_writer(str(self.directory))
        except (OSError, tf.errors.OpError) as problem:
            self._give_up(problem)
            return
        if is_new and first_step and isinstance(plan.begins, Checkpoint):
            for row in plan.begins.history:
                self.evaluated(row, False)

    def stepped(self, step: int, _epoch: float, loss: float, _tokens_per_second: float) -> None:
        """The loss of each step, or of each of so many."""
        if step % self._every == 0:
            self._write(step, {"loss/step": loss})

    def evaluated(self, row: Evaluated, _is_best: bool) -> None:
        """All figures, and the sample."""
        figures = {tag: getattr(row, name) for tag, name in FIGURES.items()}
        self._write(row.step, {tag: value for tag, value in figures.items() if value is not None}, row.sample)

    def finished(self, _result: TrainingResult) -> None:
        """Write what is still held."""
        self.close()

    def close(self) -> None:
        """End the file."""
        if self._writer is not None:
            import tensorflow as tf  # noqa: PLC0415

            with contextlib.suppress(tf.errors.OpError):
                self._writer.close()
            self._writer = None

    def _write(self, step: int, scalars: dict[str, float], sample: str | None = None) -> None:
        import tensorflow as tf  # noqa: PLC0415

        if self._writer is None:
            return
        try:
            with self._writer.as_default():
                for tag, value in scalars.items():
                    tf.summary.write(tag, tf.constant(value, tf.float32), step=step, metadata=_shown_as("scalars"))
                if sample is not None:
                    indented = "".join(f"    {line}\n" for line in sample.split("\n"))  # as it is, in Markdown
                    tf.summary.write("sample", tf.constant([indented]), step=step, metadata=_shown_as("text"))
            if sample is not None:
                self._writer.flush()
        except tf.errors.OpError as problem:
            self._give_up(problem)

    def _give_up(self, problem: Exception) -> None:
        self._writer = None
        said = str(getattr(problem, "strerror", None) or getattr(problem, "message", problem))
        reason = said.partition("\n")[0].rpartition("; ")[2]
        self._tell(f"no more is written for TensorBoard in {self.directory}: {reason}. The run goes on")


def _shown_as(plugin: str) -> Any:
    """What tells TensorBoard how to show a value."""
    import tensorflow as tf  # noqa: PLC0415

    metadata = tf.compat.v1.SummaryMetadata
    return metadata(plugin_data=metadata.PluginData(plugin_name=plugin))
