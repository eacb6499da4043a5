"""The evaluations of a run from its `metrics.jsonl`, finished or not.

The file grows while the run goes on, and a kill or a full disk may have cut it. So each line is read by itself, and one
that is no evaluation is left out and counted. Where a run has no such file, its newest checkpoint tells.
"""

from pathlib import Path
from typing import NamedTuple

from textgen.errors import ModelError, TextgenError
from textgen.messages import counted
from textgen.records import Evaluated, ModelRecord
from textgen.store import model_directory
from textgen.store.lock import is_running
from textgen.store.strict_json import open_plain, parse_json, read_json, unreadable

MAX_LINE_BYTES = 2**22  # an evaluation with its sample
MAX_BYTES = 2**28  # of the file
MOST_ROWS = 100_000


UNITS = {"char": "character", "word": "token"}  # of a loss


class Run(NamedTuple):
    """What is known of a run."""

    name: str
    path: Path
    record: ModelRecord
    rows: tuple[Evaluated, ...]  # one at least, in the order of the file
    state: str  # "finished", "running" or "stopped"
    notes: tuple[str, ...]  # what was left out

    @property
    def best(self) -> Evaluated | None:
        """The evaluation with the lowest validation loss; None where nothing was validated."""
        rows = [row for row in self.rows if row.validation_loss is not None]
        return min(rows, key=lambda row: row.validation_loss or 0.0, default=None)

    @property
    def bits(self) -> float | None:
        """Bits per character: of a finished model on the whole validation part, else of the best evaluation."""
        if self.state == "finished":
            return self.record.results.validation_bits_per_character
        return self.best.bits_per_character if self.best else None

    @property
    def unit(self) -> str:
        """What its losses are the nats of."""
        return UNITS[self.record.text.level]


def read_run(name_or_path: str, models_dir: Path) -> Run:
    """The run of the model of that name, or at that path.

    Raises:
        ModelError: there is no such model, it says nothing of itself that can be read, or nothing was evaluated yet.
    """
    path = model_directory.find_model(name_or_path, models_dir)
    name = model_directory.model_name(path)
    is_finished = model_directory.is_finished(path)
    metrics = path / model_directory.METRICS
    checkpoint = None if is_finished else _newest_checkpoint(path)
    record = model_directory.read_record((checkpoint or path) / model_directory.CONFIG)
    rows, notes = _read_rows(metrics) if is_finished or metrics.exists() else ([], [])
    if not rows and checkpoint is not None:
        rows = _rows_of(checkpoint)
    if not rows:
        reason = notes[0] if notes else "nothing was evaluated yet"
        raise ModelError(f"{path} has no evaluation to report: {reason}")
    state = "finished" if is_finished else "running" if is_running(path) else "stopped"
    return Run(name, path, record, tuple(rows), state, tuple(notes))


def _newest_checkpoint(path: Path) -> Path | None:
    """The newest checkpoint whose config can be read; None without any."""
    for directory in model_directory.checkpoint_dirs(path):
        try:
            model_directory.read_record(directory / model_directory.CONFIG)
        except TextgenError:
            continue
        return directory
    return None


def _read_rows(path: Path) -> tuple[list[Evaluated], list[str]]:
    """The evaluations in a file, and what is said of its other lines."""
    rows: list[Evaluated] = []
    damaged: list[int] = []
    num_bytes, is_half = 0, False
    with open_plain(path) as file:
        try:
            for number, line in enumerate(iter(lambda: file.readline(MAX_LINE_BYTES), b""), 1):
                num_bytes += len(line)
                if num_bytes > MAX_BYTES or number > MOST_ROWS:
                    raise ModelError(f"{path} is too long: more than {MOST_ROWS:,} lines or {MAX_BYTES:,} bytes")
                if not line.strip():
                    continue
                is_half = not line.endswith(b"\n")
                try:
                    rows.append(Evaluated.from_json(parse_json(line)))
                    is_half = False
                except (ValueError, RecursionError, TextgenError):
                    damaged.append(number)
        except OSError as problem:
            raise unreadable(path, problem) from None
    if is_half:
        damaged.pop()
    notes = []
    if damaged:
        lines = f"{counted(len(damaged), 'line')} of {path.name} {'is' if len(damaged) == 1 else 'are'} damaged"
        notes.append(f"{lines} and left out, the first in line {damaged[0]:,}")
    if is_half:
        notes.append(f"the last line of {path.name} is not whole and left out")
    return rows, notes


def _rows_of(checkpoint: Path) -> list[Evaluated]:
    history = read_json(checkpoint / model_directory.PROGRESS).get("history")
    if not isinstance(history, list):
        raise ModelError(f"{checkpoint / model_directory.PROGRESS} holds no history")
    return [Evaluated.from_json(row) for row in history]
