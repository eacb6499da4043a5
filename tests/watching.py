"""Reporters that note what a run tells, and what may happen to a run on its way."""

import os
import signal
from collections.abc import Callable

import numpy as np

from textgen.training.reporting import Reporter


class Watcher(Reporter):
    """Notes what a run tells, and does `at[step]()` after that step, or `at[0]()` after the checkpoint before it."""

    def __init__(self, at: dict[int, Callable[[], object]] | None = None):
        self.at = at or {}
        self.plan, self.first_step, self.seconds_per_step = None, None, None
        self.steps, self.rows, self.best, self.saved_steps, self.notes = [], [], [], [], []

    def started(self, plan, first_step, seconds_per_step):
        self.plan, self.first_step, self.seconds_per_step = plan, first_step, seconds_per_step

    def stepped(self, step, epoch, loss, tokens_per_second):
        self.steps.append(step)
        if step in self.at:
            self.at[step]()

    def evaluated(self, row, is_best):
        self.rows.append(row)
        self.best.append(is_best)

    def saved(self, path, step):
        assert path.is_dir()
        self.saved_steps.append(step)
        if step == 0 and 0 in self.at:
            self.at[0]()

    def noted(self, message):
        self.notes.append(message)


class Falling:
    """Stands for a validation and gives one loss after the other."""

    num_targets = 1

    def __init__(self, *losses: float):
        self.losses = list(losses)

    def __call__(self) -> float:
        return self.losses.pop(0)


def ask_to_stop(number: int = signal.SIGINT) -> None:
    os.kill(os.getpid(), number)


def crash() -> None:
    raise RuntimeError("the power is gone")


def poison(learner) -> None:
    """Make every weight of its model not a number."""
    model = learner.model
    model.set_named_weights({name: array * np.nan for name, array in model.get_named_weights().items()})
