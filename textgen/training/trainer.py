"""The steps of a run: train, evaluate, save, until the last step or until somebody asks it to stop.

Whatever the trainer remembers is in its checkpoints. One is sampled with the best weights that were evaluated, or the
newest where none were. A run that diverges goes back to the last good one with half the learning rate. Nothing else
changes: batches and masks of the steps that are made again are functions of the seed and the step.
"""

import contextlib
import dataclasses
import math
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from textgen.errors import CheckpointError, ModelError, TrainingError
from textgen.records import MAX_ROLLBACKS, Evaluated, ModelRecord, Progress
from textgen.store.checkpoints import Checkpoint, load_newest, save_checkpoint
from textgen.training.calls import steps_in_a_call
from textgen.training.divergence import (
    DivergenceError,
    advice,
    check_explosion,
    check_finite,
    check_tensors,
    is_suspicious,
    updated_mean,
)
from textgen.training.learner import Learner
from textgen.training.measuring import CHECKPOINT_SECONDS, Measured
from textgen.training.pace import Pace, is_evaluation_due
from textgen.training.plan import Plan
from textgen.training.reporting import Reporter
from textgen.training.results import Metrics, record_of, sample_of
from textgen.training.schedule import learning_rate, peak_after

LONGEST_LAST_EVALUATION = 1.0  # seconds that a run which is asked to stop takes for one
BEST = "best."  # before the names of the best weights in training.safetensors, where a checkpoint samples newer ones


class Trainer:
    """A run between two checkpoints. `begin` or `restore` comes first, then `run`."""

    def __init__(self, plan: Plan, learner: Learner, reporter: Reporter):
        self.plan, self.learner, self.reporter = plan, learner, reporter
        self.step = learner.step
        self.state = learner.step.zero_state()
        self.history: tuple[Evaluated, ...] = ()
        self.best_weights = learner.model.get_named_weights()
        self.record: ModelRecord  # of the newest checkpoint
        self.progress = Progress()
        self.metrics = Metrics(plan.path)
        self.pace = Pace(planned_steps=0, deadline=None)
        self.seconds_per_step = math.inf  # of the last call
        self.started = time.perf_counter()  # less the seconds of earlier parts of the run

    def begin(self, measured: Measured, started: float) -> None:
        """Start a new run, with a checkpoint before its first step.

        Args:
            started: `time.perf_counter()` when the command began.

        Raises:
            CheckpointError: the disk does not take the checkpoint.
        """
        config, total = self.plan.training, self.plan.total_steps or 1
        self.started = started
        self.progress = Progress(
            total_steps=total,
            evaluate_every=config.sample_every or max(1, math.ceil(total / measured.evaluations)),
            checkpoint_every=config.checkpoint_every or max(1, int(CHECKPOINT_SECONDS / measured.seconds_per_step)),
            best_loss=measured.initial_loss,
            evaluation_seconds=measured.seconds_per_evaluation,
        )
        self.pace = Pace(total, measured.deadline, measured.most_steps)
        self.pace.restart(0, self.seconds)
        self.state = self.step.begin(self.state)
        try:
            self.save()
        except CheckpointError as problem:
            raise CheckpointError(
                f"{problem}. Nothing was begun; make room there, or use another --models-dir"
            ) from problem

    def restore(self, checkpoint: Checkpoint) -> None:
        """Go on where `checkpoint` was made. Raises TrainingError when it is not of this model."""
        self.progress, self.history, self.record = checkpoint.progress, checkpoint.history, checkpoint.record
        tensors = {name: np.zeros(v.shape, "f4") for name, v in self.step.later_slots().items()} | checkpoint.training
        state = self.step.zero_state()
        expected = {name: tuple(tensor.shape) for name, tensor in self._tensors(state).items()}
        kept = {name: BEST + name for name in checkpoint.best_weights if BEST + name in tensors}
        expected |= {BEST + name: checkpoint.best_weights[name].shape for name in kept}
        self.best_weights = checkpoint.best_weights | {name: tensors[key] for name, key in kept.items()}
        if {name: tensor.shape for name, tensor in tensors.items()} != expected:
            raise TrainingError(f"the checkpoint in {self.plan.path} is not of this model; train it again")
        for name, variable in self._variables().items():
            variable.assign(tensors[name])
        self.step.set_step_count(self.progress.step)
        self.state = self.step.begin(
            [[tensors[f"state.{layer}.{part}"] for part in range(len(parts))] for layer, parts in enumerate(state)]
        )
        self.started = time.perf_counter() - self.progress.seconds
        self.metrics.restart(self.history)

    @property
    def seconds(self) -> float:
        """Wall-clock seconds of the run so far, interruptions not counted."""
        return time.perf_counter() - self.started

    def run(self, should_stop: Callable[[], bool]) -> bool:
        """Make the remaining steps; False when `should_stop` ended it early. The checkpoint is on disk either way.

        Raises:
            TrainingError: the run diverged, and has gone back as often as it may.
            CheckpointError: the disk does not take the last checkpoint.
        """
        while True:
            try:
                return self._run(should_stop)
            except DivergenceError as problem:
                self._roll_back(str(problem))

    def save(self, newest: tuple[dict[str, np.ndarray], float] | None = None) -> None:
        """Write a checkpoint of this moment.

        Args:
            newest: the weights of now and their validation loss, to be sampled while the run goes on with its best.

        Raises:
            DivergenceError: a number in it is not finite.
            CheckpointError: the disk does not take it.
        """
        state = self.step.whole(self.state)
        tensors = {name: np.asarray(tensor) for name, tensor in self._tensors(state).items()}
        check_tensors(tensors.values(), self.progress.step)
        self._update(seconds=self.seconds)
        if self.progress.best_loss is None:
            with self.step.settled():
                self.best_weights = self.learner.model.get_named_weights()
            self._update(best_step=self.progress.step)
        sampled, said = self.best_weights, self.progress
        if newest is not None:
            tensors |= {BEST + name: weights for name, weights in sampled.items()}
            sampled, said = newest[0], dataclasses.replace(said, best_step=said.step, best_loss=newest[1])
        self.record = record_of(self.plan, said, self.history)
        checkpoint = Checkpoint(self.record, self.plan.tokenizer, self.progress, self.history, sampled, tensors)
        keep = self.plan.training.keep_checkpoints
        path = save_checkpoint(self.plan.path, checkpoint, keep, is_private=self.plan.is_private)
        self.reporter.saved(path, self.progress.step)

    def _run(self, should_stop: Callable[[], bool]) -> bool:
        while self.progress.step < self.progress.total_steps:
            self._advance()
            done = self.progress.step
            if is_evaluation_due(self.progress, is_asked_for=bool(self.plan.training.sample_every)):
                with self.step.settled():
                    self._evaluate()
                if done < self.progress.total_steps:
                    self._keep_pace()
            if should_stop():
                self.save()
                self._evaluate_once_more()
                return False
            if self._is_good(self.progress) and done < self.progress.total_steps:
                self._try_to_save()
        self.save()
        return True

    def _keep_pace(self) -> None:
        total = self.pace.settle(self.progress.total_steps, self.progress.step, self.seconds)
        if total != self.progress.total_steps:
            self._update(total_steps=total)
            self.reporter.settled_again(total, self.plan.batches.epoch_of(total))

    def _advance(self) -> None:
        plan, first = self.plan, self.progress.step
        count = 1 if self.reporter.hears_every_step else steps_in_a_call(self.progress, self.seconds_per_step)
        numbers = range(first, first + count)
        batches, rates = [plan.batches[number] for number in numbers], [self._rate(number) for number in numbers]
        begin = time.perf_counter()
        if count == 1:
            *tensors, self.state = self.step(batches[0], self.state, rates[0], first)
        else:
            tensors, self.state = self.step.several(batches, self.state, rates, first)
        losses = [float(tensor) for tensor in tensors]  # waits for the device
        self.seconds_per_step = (time.perf_counter() - begin) / count
        for step, loss in enumerate(losses, first + 1):
            check_finite("loss", loss, step)
            mean = updated_mean(self.progress.loss_mean, loss, plan.model.vocabulary_size)
            check_explosion(mean, plan.model.vocabulary_size, step)
            self._update(
                step=step,
                loss_mean=mean,
                loss_sum=self.progress.loss_sum + loss,
                loss_count=self.progress.loss_count + 1,
                train_seconds=self.progress.train_seconds + self.seconds_per_step,
            )
            self.reporter.stepped(step, plan.batches.epoch_of(step), loss, plan.tokens_per_second(self.progress))

    def _evaluate(self) -> None:
        progress, model = self.progress, self.learner.model
        validation_loss = self.learner.validate() if self.learner.validate else None
        if validation_loss is not None:
            check_finite("validation loss", validation_loss, progress.step)
        weights = model.get_named_weights()
        is_best = validation_loss is None or progress.best_loss is None or validation_loss < progress.best_loss
        if is_best:
            check_tensors(weights.values(), progress.step)
            self.best_weights = weights
            self._update(best_step=progress.step, best_loss=validation_loss)
        row = Evaluated(
            step=progress.step,
            epoch=self.plan.batches.epoch_of(progress.step),
            learning_rate=self._rate(progress.step - 1),
            train_loss=progress.loss_sum / max(1, progress.loss_count),
            validation_loss=validation_loss,
            bits_per_character=self.plan.bits_per_character(validation_loss),
            tokens_per_second=self.plan.tokens_per_second(progress),
            seconds=self.seconds,
            sample=sample_of(self.plan, weights),
        )
        self.history = (*self.history, row)
        self.metrics.add(row)
        self._update(loss_sum=0.0, loss_count=0)
        self.reporter.evaluated(row, is_best)

    def _evaluate_once_more(self) -> None:
        """As a run stops, with everything saved: let the weights of now be sampled where they are better."""
        best, seconds = self.progress.best_loss, self.progress.evaluation_seconds or math.inf
        is_known = self.history[-1:] and self.history[-1].step == self.progress.step
        if self.learner.validate is None or is_known or seconds > LONGEST_LAST_EVALUATION:
            return
        with self.step.settled():
            loss, weights = self.learner.validate(), self.learner.model.get_named_weights()
        if math.isfinite(loss) and (best is None or loss < best):
            with contextlib.suppress(CheckpointError):
                self.save((weights, loss))

    def _roll_back(self, problem: str) -> None:
        """Go back to the last good checkpoint with half the learning rate, and write that down at once.

        Where the process is killed in between, the next one makes the same steps and comes here again.
        """
        rollbacks = self.progress.rollbacks + 1
        if rollbacks > MAX_ROLLBACKS:
            raise TrainingError(
                f"{problem}, though the run went back {MAX_ROLLBACKS} times, each with half the learning rate. "
                f"{advice(self.plan.training.clip_norm)}; the last good checkpoint is kept and can be sampled"
            )
        try:
            checkpoint, damaged = load_newest(self.plan.path, self._is_good)
        except ModelError:
            # No checkpoint was due and good. One that a stop left is used only now, so that a run that was stopped
            # ends as it would have without.
            checkpoint, damaged = load_newest(self.plan.path)
        for line in damaged:
            self.reporter.noted(line)
        started = self.started
        self.restore(checkpoint)
        self.started = started  # the time was spent all the same
        self.pace.restart(self.progress.step, self.seconds)
        self._update(rollbacks=rollbacks)
        step, peak = self.progress.step, peak_after(rollbacks, self.plan.training.learning_rate)
        self.reporter.rolled_back(
            step,
            f"{problem}. Back to step {step:,} with half the learning rate, now {peak:g} "
            f"(attempt {rollbacks} of {MAX_ROLLBACKS})",
        )
        self._try_to_save()

    def _is_good(self, progress: Progress) -> bool:
        """Whether a checkpoint at `progress` is due, and one to go back to."""
        is_lost = is_suspicious(progress.loss_mean, self.plan.model.vocabulary_size)
        return progress.step % progress.checkpoint_every == 0 and not is_lost

    def _try_to_save(self) -> None:
        """In the middle of a run: a disk that is full now may have room at the next checkpoint."""
        try:
            self.save()
        except CheckpointError as problem:
            next_step = min(self.progress.step + self.progress.checkpoint_every, self.progress.total_steps)
            self.reporter.noted(f"{problem}. The run goes on; the next is due at step {next_step:,}")

    def _rate(self, step: int) -> float:
        peak = peak_after(self.progress.rollbacks, self.plan.training.learning_rate)
        return learning_rate(step, self.progress.total_steps, peak, self.plan.training.schedule)

    def _variables(self) -> dict[str, Any]:
        return {f"model.{name}": v for name, v in self.learner.model.named_weights().items()} | self.step.slots()

    def _tensors(self, state: list[list[Any]]) -> dict[str, Any]:
        """Everything that a checkpoint's training.safetensors holds, by name; `state` is of the whole batch."""
        carried = {
            f"state.{layer}.{part}": tensor for layer, parts in enumerate(state) for part, tensor in enumerate(parts)
        }
        return {name: variable.value for name, variable in self._variables().items()} | carried

    def _update(self, **changes: Any) -> None:
        self.progress = dataclasses.replace(self.progress, **changes)
