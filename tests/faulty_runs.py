"""Training runs whose losses are made wrong on purpose, as a function of the step and of the learning rate."""

from pathlib import Path

import numpy as np
from test_training_run import STEPS, Watcher

from textgen.training.checkpoints import Checkpoint
from textgen.training.request import resumed_plan
from textgen.training.run import Run
from textgen.training.schedule import learning_rate

RATE = 0.006
FULL = [learning_rate(step, STEPS, RATE) for step in range(STEPS)]


class Notes(Watcher):
    """A watcher that keeps what is said, and checks that whatever is saved is finite and can be sampled."""

    def __init__(self, at: dict | None = None, on_rolled_back=lambda: None):
        super().__init__(at)
        self.notes, self.on_rolled_back = [], on_rolled_back

    def rolled_back(self, step, message):
        super().rolled_back(step, message)
        self.on_rolled_back()

    def noted(self, message):
        self.notes.append(message)

    def saved(self, path, step):
        checkpoint = Checkpoint.read(path)
        for tensors in (checkpoint.best_weights, checkpoint.training):
            assert all(np.isfinite(tensor).all() for tensor in tensors.values())
        super().saved(path, step)


class FaultyStep:
    """A train step whose loss is `fault(number, rate)` where that is not None."""

    def __init__(self, step, fault):
        self.step, self.fault, self.made = step, fault, []

    def __getattr__(self, name):
        return getattr(self.step, name)

    def __call__(self, batch, state, rate, number):
        self.made.append((number, rate))
        loss, state = self.step(batch, state, rate, number)
        wrong = self.fault(number, rate)
        return (loss if wrong is None else wrong), state


def is_full(number: int, rate: float, rollbacks: int = 0) -> bool:
    """Whether the run has gone back at most `rollbacks` times."""
    return rate > 0.75 * FULL[number] / 2**rollbacks


def faulty_run(plan, watcher, fault, checkpoint=None):
    run = Run(plan, watcher)
    run.seconds_per_step = 1.0  # measured, so the faults are met by the run alone
    run.step = FaultyStep(run.step, fault)
    return run, lambda: run.train(checkpoint)


def resume(models_dir: Path, fault, at: dict | None = None):
    plan, checkpoint, _ = resumed_plan("novel", models_dir)
    watcher = Notes(at)
    run, train = faulty_run(plan, watcher, fault, checkpoint)
    return run, train, watcher
