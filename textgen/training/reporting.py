"""What a run tells its user. Every method may do nothing; `terminal.py` shows them in a terminal."""

import functools
from pathlib import Path
from typing import TYPE_CHECKING, Any

from textgen.records import Evaluated, ParentRecord
from textgen.training.plan import Plan
from textgen.training.results import TrainingResult

if TYPE_CHECKING:
    from textgen.model.devices import Device


class Reporter:
    """The silent reporter, and the base of others."""

    hears_every_step = False  # whether it must be told of a step before the next is made, as what may stop a run there

    def preparing(self, stage: str, done: int, total: int) -> None:
        """A pass over the corpus: what it does, bytes done and bytes to do."""

    def begins(self, line: str) -> None:
        """What a new run begins with, and why."""

    def planned(self, plan: Plan) -> None:
        """Before anything is computed."""

    def placed(self, device: "Device") -> None:
        """Where it computes."""

    def inherited(self, plan: Plan, parent: ParentRecord, loss: float | None) -> None:
        """A new run begins with its parent, which predicts the validation part with `loss` nats per token."""

    def measuring(self) -> None:
        """The speed is about to be measured, which compiles the step."""

    def planned_again(self, plan: Plan, tokens_per_second: float) -> None:
        """The speed that was measured is not the one that was expected; `plan` suits it."""

    def would_start(self, plan: Plan, seconds_per_step: float | None) -> None:
        """The end of a dry run."""

    def started(self, plan: Plan, first_step: int, seconds_per_step: float | None) -> None:
        """The number of steps is settled; the run begins at `first_step`."""

    def stepped(self, step: int, epoch: float, loss: float, tokens_per_second: float) -> None:
        """A step is done."""

    def evaluated(self, row: Evaluated, is_best: bool) -> None:
        """An evaluation is done."""

    def settled_again(self, total_steps: int, epochs: float) -> None:
        """The machine is slower or faster than before; the run has another number of steps, to end in time."""

    def saved(self, path: Path, step: int) -> None:
        """A checkpoint is on disk."""

    def rolled_back(self, step: int, message: str) -> None:
        """The run goes on from the earlier `step`, for the reason that one line gives."""
        self.noted(message)

    def noted(self, message: str) -> None:
        """Something the user should know, in one line."""

    def finished(self, result: TrainingResult) -> None:
        """The run has ended: the model is whole, or the run was stopped and is saved."""

    def close(self) -> None:
        """The run is over, well or not."""


EVENTS = tuple(name for name, member in vars(Reporter).items() if callable(member) and not name.startswith("_"))


class Several(Reporter):
    """Tells several reporters, one after the other."""

    def __init__(self, *reporters: Reporter):
        self._reporters = reporters
        for event in EVENTS:
            setattr(self, event, functools.partial(self._tell, event))

    def _tell(self, event: str, *arguments: Any) -> None:
        for reporter in self._reporters:
            getattr(reporter, event)(*arguments)
