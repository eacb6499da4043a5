"""What a Python program hears of a run: records of its progress, and notices as warnings.

An exception in what it calls ends the run as Ctrl-C would: after the step, with everything saved.
"""

import dataclasses
import functools
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from textgen.arguments import warn_caller
from textgen.errors import WrongTypeError
from textgen.records import Evaluated
from textgen.schema import received
from textgen.training.notebook import reporter_here
from textgen.training.plan import Plan
from textgen.training.reporting import EVENTS, Reporter, Several
from textgen.training.signals import StopRequest
from textgen.training.tensorboard import EventFiles

FILES_READ = re.compile(r"[\d,]+ files? read")  # a note that nobody has to be warned of


def reporter_of(given: object, events: Path | None) -> Reporter | None:
    """What a run is told to: the reporter that was given, or a notebook's table, and event files in `events`.

    Raises:
        WrongTypeError: what was given is no Reporter.
        ModelError: no files can be written in `events`.
    """
    if given is not None and not isinstance(given, Reporter):
        raise WrongTypeError(f"`reporter` must be a textgen.training.reporting.Reporter. Received: {received(given)}")
    reporter = reporter_here() if given is None else given
    if events is None:
        return reporter
    return Several(*filter(None, (reporter, EventFiles(events, warn_caller))))


@dataclasses.dataclass(frozen=True)
class TrainingProgress:
    """How far a run is, after a step or after an evaluation.

    Only an evaluation has a `sample`, and figures on the validation part where there is one.
    """

    step: int  # steps done
    total_steps: int  # of the whole run; a budget of minutes may change it
    epoch: float  # passes over the training part
    loss: float  # nats per token: of this step, or in the mean since the evaluation before
    bits_per_character: float | None = None  # on the validation part
    sample: str | None = None  # what the model writes now


class Watcher(Reporter):
    """Passes on what happens to a reporter, tells `progress` of steps and evaluations, and warns of what is noted.

    `problem` is the exception that ended the run, where one of them raised it.
    """

    def __init__(
        self, stop: StopRequest, progress: Callable[[TrainingProgress], object] | None, reporter: Reporter | None
    ):
        """Args: stop: is asked to stop the run after an exception."""
        self.problem: BaseException | None = None
        self._stop = stop
        self._progress = progress
        self._reporter = reporter or Reporter()
        self._total_steps = 0
        self._is_running = False
        self.hears_every_step = progress is not None or reporter is not None
        for event in EVENTS:
            setattr(self, event, functools.partial(self._hear, event))

    def _hear(self, event: str, *arguments: Any) -> None:
        if not self._is_running:
            self._tell(event, *arguments)  # there is nothing to save
        elif self.problem is None:
            try:
                self._tell(event, *arguments)
            except BaseException as problem:
                self.problem = problem
                self._stop.ask()

    def _tell(self, event: str, *arguments: Any) -> None:
        if event == "started":
            self._is_running = True
        getattr(self._reporter, event)(*arguments)
        if own := getattr(self, f"_{event}", None):
            own(*arguments)

    def _planned(self, plan: Plan) -> None:
        for note in plan.notes:
            if not FILES_READ.fullmatch(note):
                warn_caller(f"{plan.name}: {note}")
        if plan.parent is not None and plan.parent.read_before is not None:
            read = f"{plan.parent.name} has read about {plan.parent.read_before:.0%} of this text before"
            warn_caller(f"{read}, so the figures of this run are better than on a new text")

    def _started(self, plan: Plan, _first_step: int, _seconds_per_step: float | None) -> None:
        self._total_steps = plan.total_steps or 0

    def _settled_again(self, total_steps: int, _epochs: float) -> None:
        self._total_steps = total_steps

    def _stepped(self, step: int, epoch: float, loss: float, _tokens_per_second: float) -> None:
        self._show(TrainingProgress(step, self._total_steps, epoch, loss))

    def _evaluated(self, row: Evaluated, _is_best: bool) -> None:
        bits = row.bits_per_character
        self._show(TrainingProgress(row.step, self._total_steps, row.epoch, row.train_loss, bits, row.sample))

    def _rolled_back(self, _step: int, message: str) -> None:
        warn_caller(message)

    def _noted(self, message: str) -> None:
        warn_caller(message)

    def _finished(self, _result: object) -> None:
        self._is_running = False

    def _show(self, record: TrainingProgress) -> None:
        if self._progress is not None:
            self._progress(record)
