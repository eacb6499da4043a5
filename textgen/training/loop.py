"""The steps of a run: train, evaluate, save, until the last step or until somebody asks it to stop.

What goes in: a plan, the compiled step and evaluation, and a checkpoint to go on from. What comes out: the checkpoint
after the last step. Whatever the loop remembers is in that checkpoint.

A run that diverges goes back to the last good checkpoint with half the learning rate. Nothing else changes: batches and
masks of the steps that are made again are functions of the seed and the step.
"""

import dataclasses
import math
import time
from collections.abc import Callable

import numpy as np

from textgen.config import SamplingConfig
from textgen.errors import CheckpointError, ModelError, TrainingError
from textgen.generation.generator import Generator
from textgen.generation.numpy_engine import NumpyEngine
from textgen.records import ModelRecord
from textgen.training import budget
from textgen.training.checkpoints import Checkpoint, Progress, load_newest, save_checkpoint
from textgen.training.divergence import (
    MAX_ROLLBACKS,
    DivergenceError,
    advice,
    check_explosion,
    check_finite,
    check_tensors,
    is_suspicious,
    updated_mean,
)
from textgen.training.plan import Plan
from textgen.training.reporting import Evaluated, Reporter
from textgen.training.schedule import learning_rate, peak_after
from textgen.training.step import TrainStep
from textgen.training.validation import Validation

SAMPLE = {  # about as long at both levels
    "char": SamplingConfig(length=200, temperature=0.8, ignore_eod=True),
    "word": SamplingConfig(length=40, temperature=0.8, ignore_eod=True),
}


class Loop:
    """A run between two checkpoints."""

    def __init__(
        self,
        plan: Plan,
        step: TrainStep,
        evaluate: Validation | None,
        reporter: Reporter,
        describe: Callable[[Progress, tuple[Evaluated, ...]], ModelRecord],
    ):
        """Args: describe: makes the record that goes into a checkpoint's config.json."""
        self.plan, self.step, self.evaluate = plan, step, evaluate
        self.reporter, self.describe = reporter, describe
        self.batches = plan.batches
        self.bits_per_nat = plan.tokens_per_character() / math.log(2)  # of a character, per nat of a token
        self.state = step.zero_state()
        self.history: tuple[Evaluated, ...] = ()
        self.best_weights = step.model.get_named_weights()
        self.progress = Progress()
        self.vocabulary_size = plan.model.vocabulary_size
        self.deadline: float | None = None
        self.planned_steps = 0
        self.paced_from = [(0, 0.0)]  # step and second of the last two evaluations

    def begin(self, progress: Progress, deadline: float | None = None) -> None:
        """Start a new run, with a checkpoint before its first step.

        Args:
            deadline: seconds of the run by which its steps should be done. A slow machine then makes fewer; a run that
                is resumed makes as many as it had when it was stopped.
        """
        self.progress = progress
        self.clock = time.perf_counter() - progress.seconds
        self.deadline, self.planned_steps = deadline, progress.total_steps
        self.paced_from = [(progress.step, progress.seconds)]
        self.save()

    def restore(self, checkpoint: Checkpoint) -> None:
        """Go on where `checkpoint` was made."""
        self.progress, self.history = checkpoint.progress, checkpoint.history
        self.best_weights = checkpoint.best_weights
        tensors = checkpoint.training
        expected = {name: tuple(tensor.shape) for name, tensor in self._tensors().items()}
        if {name: tensor.shape for name, tensor in tensors.items()} != expected:
            raise TrainingError(f"the checkpoint in {self.plan.path} is not of this model; train it again")
        for name, variable in self._variables().items():
            variable.assign(tensors[name])
        self.state = [
            [tensors[f"state.{layer}.{part}"] for part in range(len(parts))] for layer, parts in enumerate(self.state)
        ]
        self.step.set_step_count(self.progress.step)
        self.clock = time.perf_counter() - self.progress.seconds

    def run(self, should_stop: Callable[[], bool]) -> bool:
        """Make the remaining steps; False when `should_stop` ended it early. The checkpoint is on disk either way.

        Raises:
            TrainingError: the run diverged, and has gone back as often as it may.
        """
        while True:
            try:
                return self._run(should_stop)
            except DivergenceError as problem:
                self._roll_back(str(problem))

    def save(self) -> None:
        """Write a checkpoint of this moment.

        Raises:
            DivergenceError: a number in it is not finite.
            CheckpointError: the disk does not take it.
        """
        tensors = {name: np.asarray(tensor) for name, tensor in self._tensors().items()}
        check_tensors(tensors.values(), self.progress.step)
        self._update(seconds=time.perf_counter() - self.clock)
        record = self.describe(self.progress, self.history)
        checkpoint = Checkpoint(record, self.plan.tokenizer, self.progress, self.history, self.best_weights, tensors)
        path = save_checkpoint(self.plan.path, checkpoint, self.plan.training.keep_checkpoints)
        self.reporter.saved(path, self.progress.step)

    def _run(self, should_stop: Callable[[], bool]) -> bool:
        while self.progress.step < self.progress.total_steps:
            self._advance()
            done = self.progress.step
            if done % self.progress.evaluate_every == 0 or done == self.progress.total_steps:
                with self.step.averaged():
                    self._evaluate()
                if done < self.progress.total_steps:
                    self._keep_to_the_budget()
            if should_stop():
                self.save()
                return False
            if self._is_good(self.progress) and done < self.progress.total_steps:
                self._try_to_save()
        self.save()
        return True

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
        checkpoint, damaged = self._last_good()
        for line in damaged:
            self.reporter.noted(line)
        clock = self.clock
        self.restore(checkpoint)
        self.clock = clock  # the time was spent all the same
        self.paced_from = [(self.progress.step, time.perf_counter() - clock)]
        self._update(rollbacks=rollbacks)
        self.reporter.rolled_back(
            self.progress.step,
            f"{problem}. Back to step {self.progress.step:,} with half the learning rate, now {self._peak():g} "
            f"(attempt {rollbacks} of {MAX_ROLLBACKS})",
        )
        self._try_to_save()

    def _last_good(self) -> tuple[Checkpoint, list[str]]:
        """The newest good checkpoint, and a line for every newer one that is damaged.

        One that a stop left is passed over, so that the run ends as it would have without; unless no other is left.
        """
        try:
            return load_newest(self.plan.path, self._is_good)
        except ModelError:
            return load_newest(self.plan.path)

    def _is_good(self, progress: Progress) -> bool:
        """Whether a checkpoint at `progress` is due, and one to go back to."""
        is_due = progress.step % progress.checkpoint_every == 0
        return is_due and not is_suspicious(progress.loss_mean, self.vocabulary_size)

    def _try_to_save(self) -> None:
        """In the middle of a run: a disk that is full now may have room at the next checkpoint."""
        try:
            self.save()
        except CheckpointError as problem:
            next_step = min(self.progress.step + self.progress.checkpoint_every, self.progress.total_steps)
            self.reporter.noted(f"{problem}. The run goes on; the next is due at step {next_step:,}")

    def _advance(self) -> None:
        progress, number = self.progress, self.progress.step
        rate = self._rate(number)
        begin = time.perf_counter()
        loss, self.state = self.step(self.batches[number], self.state, rate, number)
        loss = float(loss)  # waits for the device
        seconds = time.perf_counter() - begin
        check_finite("loss", loss, number + 1)
        mean = updated_mean(progress.loss_mean, loss, self.vocabulary_size)
        check_explosion(mean, self.vocabulary_size, number + 1)
        self._update(
            step=number + 1,
            loss_mean=mean,
            loss_sum=progress.loss_sum + loss,
            loss_count=progress.loss_count + 1,
            train_seconds=progress.train_seconds + seconds,
        )
        self.reporter.stepped(number + 1, self.batches.epoch_of(number + 1), loss, self._tokens_per_second())

    def _evaluate(self) -> None:
        progress = self.progress
        validation_loss = self.evaluate() if self.evaluate else None
        if validation_loss is not None:
            check_finite("validation loss", validation_loss, progress.step)
        is_best = validation_loss is None or progress.best_loss is None or validation_loss < progress.best_loss
        if is_best:
            weights = self.step.model.get_named_weights()
            check_tensors(weights.values(), progress.step)
            self.best_weights = weights
            self._update(best_step=progress.step, best_loss=validation_loss)
        row = Evaluated(
            step=progress.step,
            epoch=self.batches.epoch_of(progress.step),
            learning_rate=self._rate(progress.step - 1),
            train_loss=progress.loss_sum / max(1, progress.loss_count),
            validation_loss=validation_loss,
            bits_per_character=None if validation_loss is None else validation_loss * self.bits_per_nat,
            tokens_per_second=self._tokens_per_second(),
            seconds=time.perf_counter() - self.clock,
            sample=self._sample(),
        )
        self.history = (*self.history, row)
        self._update(loss_sum=0.0, loss_count=0)
        self.reporter.evaluated(row, is_best)

    def _keep_to_the_budget(self) -> None:
        """Make as many steps as fit, at the slower pace of two: since the last evaluation, and since the one before."""
        if self.deadline is None:
            return
        now, progress = time.perf_counter() - self.clock, self.progress
        pace = max((now - since) / (progress.step - since_step) for since_step, since in self.paced_from)
        self.paced_from = [self.paced_from[-1], (progress.step, now)]
        total = budget.settle_again(self.planned_steps, progress.total_steps, progress.step, pace, self.deadline - now)
        if total != progress.total_steps:
            self._update(total_steps=total)
            self.reporter.settled_again(total, self.batches.epoch_of(total))

    def _sample(self) -> str:
        engine = NumpyEngine(self.plan.model, self.step.model.get_named_weights())
        return Generator(self.plan.tokenizer, engine).generate("", SAMPLE[self.plan.text.level])[0].completion

    def _peak(self) -> float:
        return peak_after(self.progress.rollbacks, self.plan.training.learning_rate)

    def _rate(self, step: int) -> float:
        return learning_rate(step, self.progress.total_steps, self._peak(), self.plan.training.schedule)

    def _tokens_per_second(self) -> float:
        tokens = self.progress.step * self.plan.training.batch_size * self.plan.training.sequence_length
        return tokens / self.progress.train_seconds if self.progress.train_seconds else 0.0

    def _variables(self) -> dict:
        weights = {f"model.{name}": variable for name, variable in self.step.model.named_weights().items()}
        return weights | self.step.slots()

    def _tensors(self) -> dict:
        """Everything that a checkpoint's training.safetensors holds, by name."""
        state = {
            f"state.{layer}.{part}": tensor
            for layer, parts in enumerate(self.state)
            for part, tensor in enumerate(parts)
        }
        return {name: variable.value for name, variable in self._variables().items()} | state

    def _update(self, **changes) -> None:
        self.progress = dataclasses.replace(self.progress, **changes)
