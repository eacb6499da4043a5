"""What a run tells whoever watches it. Every method may do nothing; `progress.py` shows them in a terminal."""

import dataclasses
from pathlib import Path

from textgen.settings import Settings, setting
from textgen.training.plan import Plan


@dataclasses.dataclass(frozen=True)
class Evaluated(Settings):
    """One row of the history: how the run stood after an evaluation. Losses are nats per token."""

    step: int = setting(0, "Steps done.", minimum=0)
    epoch: float = setting(0.0, "Passes over the training part.", minimum=0)
    learning_rate: float = setting(0.0, "Of the last step.", minimum=0)
    train_loss: float = setting(0.0, "Mean since the last evaluation.")
    validation_loss: float | None = setting(
        None, "On the validation part, or on pieces from all over it when it is long."
    )
    bits_per_character: float | None = setting(None, "The same in bits.")
    tokens_per_second: float = setting(0.0, "Training speed.", minimum=0)
    seconds: float = setting(0.0, "Wall-clock seconds since the run began.", minimum=0)
    sample: str = setting("", "What the model writes now.")


class Reporter:
    """The silent reporter, and the base of others."""

    def preparing(self, stage: str, done: int, total: int) -> None:
        """A pass over the corpus: what it does, bytes done and bytes to do."""

    def planned(self, plan: Plan) -> None:
        """Before anything is computed."""

    def inherited(self, plan: Plan, loss: float | None) -> None:
        """A new run begins with its parent, which predicts the validation part with `loss` nats per token."""

    def measuring(self) -> None:
        """The speed is about to be measured, which compiles the step."""

    def planned_again(self, plan: Plan, tokens_per_second: float) -> None:
        """The speed that was measured is not the one that was reckoned with; `plan` suits it."""

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

    def close(self) -> None:
        """The run is over, well or not."""
