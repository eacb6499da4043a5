"""Training runs whose losses are made wrong on purpose, as a function of the step and of the learning rate."""

from pathlib import Path

import numpy as np
from plans import RATE, STEPS, resumed_plan, run_plan
from watching import Watcher

from textgen.store.checkpoints import Checkpoint
from textgen.training.learner import Learner
from textgen.training.plan import Plan
from textgen.training.schedule import learning_rate

FULL = [learning_rate(step, STEPS, RATE) for step in range(STEPS)]


class Notes(Watcher):
    """A watcher that keeps what is said, and checks that whatever is saved is finite and can be sampled."""

    def __init__(self, at: dict | None = None, on_rolled_back=lambda: None):
        super().__init__(at)
        self.on_rolled_back = on_rolled_back

    def rolled_back(self, step, message):
        super().rolled_back(step, message)
        self.on_rolled_back()

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


def faulty_run(plan: Plan, watcher: Watcher, fault):
    """A learner of the plan with such losses, and what carries the plan out with it, without measuring it."""
    learner = Learner(plan)
    learner.step = FaultyStep(learner.step, fault)
    return learner, lambda: run_plan(plan, watcher, learner=learner)


def resume(models_dir: Path, fault, at: dict | None = None):
    watcher = Notes(at)
    return *faulty_run(resumed_plan(models_dir), watcher, fault), watcher
