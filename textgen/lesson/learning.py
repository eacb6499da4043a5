"""Training one of the four for so many seconds, and measuring what it remembers.

All train by textgen's own step and schedule, which follows the clock here. Each tries several peaks of the learning
rate, from the same weights and for the same short time; the one whose held-out loss is least gets the rest of the time.
Only training counts: compiling and measuring do not.
"""

import math
import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from textgen.config import TrainingConfig
from textgen.dataset.batches import Batch
from textgen.lesson.contestants import Model, Size, build, logits_of, parameters_of
from textgen.lesson.results import KINDS, Learned, Point
from textgen.training.schedule import learning_rate
from textgen.training.step import TrainStep

RATES = (0.001, 0.003, 0.01)
TRIAL_SHARE = 0.1  # of the time, for each rate that is tried
POINTS = 16  # of the curve of losses
FINE = 10_000  # parts of the time for which the schedule has a rate
OFF = {"dropout": 0.0, "activation_reg": 0.0, "weight_decay": 0.0, "num_sampled": 0, "state_reset": 0.0}


class Held(NamedTuple):
    """Texts that no model learns from."""

    inputs: np.ndarray  # int32 [N, T], each read after nothing
    targets: np.ndarray
    counted: np.ndarray  # float32 [N, T]: which of the targets count


class Task(NamedTuple):
    """What is learned, and how it is measured."""

    name: str
    unit: str  # of the loss
    size: Size
    token_counts: np.ndarray  # [V]
    batch_size: int
    sequence_length: int
    batch: Callable[[int], Batch]
    held: Held
    accuracy: Callable[[Callable[[np.ndarray], np.ndarray]], dict[int, float]]  # of a function from ids to logits
    asked: tuple[np.ndarray, np.ndarray, np.ndarray]  # ids [N, T], their targets, and the place [N] of the loss


class Learner:
    """One of the four, its training step, and what measures it."""

    def __init__(self, kind: str, task: Task, *, compiled: bool):
        self.task = task
        self.model: Model = build(kind, len(task.token_counts), task.size, task.token_counts)
        sizes = {"batch_size": task.batch_size, "sequence_length": task.sequence_length}
        config = TrainingConfig(learning_rate=RATES[0], **sizes, **OFF)  # type: ignore[arg-type]
        self.step = TrainStep(self.model, config, compile_with_xla=compiled)
        self._variables = [*self.model.trainable_variables, *self.step.optimizer.variables]
        self._beginning = [variable.numpy() for variable in self._variables]
        self.tokens, self._is_ready = 0, False
        self._logits = tf.function(self._logits_of, jit_compile=compiled, autograph=False)
        self._gradient = tf.function(self._gradient_of, jit_compile=compiled, autograph=False)

    def restart(self) -> None:
        """The weights and the optimizer are as they were drawn."""
        for variable, value in zip(self._variables, self._beginning, strict=True):
            variable.assign(value)
        self.tokens = 0

    def train(self, peak: float, seconds: float, points: int) -> list[Point]:
        """Train for so many seconds; seconds and held-out losses, at least at the beginning and in the end."""
        if not self._is_ready:  # compiles, which is no training
            self.step(self.task.batch(0), self.step.zero_state(), peak, 0)
            self._is_ready = True
        self.restart()
        state, spent, number = self.step.zero_state(), 0.0, 0
        found = [(0.0, self.loss())]
        while spent < seconds:
            began = time.perf_counter()
            rate = learning_rate(int(FINE * spent / seconds), FINE, peak)
            loss, state = self.step(self.task.batch(number), state, rate, number)
            is_lost = not math.isfinite(float(loss))  # waits for the device
            spent += time.perf_counter() - began
            number += 1
            self.tokens += self.task.batch_size * self.task.sequence_length
            if is_lost:
                return [*found, (spent, math.inf)]
            if spent >= min(seconds, len(found) * seconds / points):
                found.append((spent, self.loss()))
        return found

    def loss(self) -> float:
        """Mean nats of the held-out targets that count; without end where it is no number."""
        return self.mean_loss(*self.task.held)

    def mean_loss(self, inputs: np.ndarray, targets: np.ndarray, counted: np.ndarray | float = 1.0) -> float:
        """Mean nats of the targets that count, of rows as `logits` takes them."""
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(targets, self.logits(inputs)).numpy()
        weights = np.broadcast_to(counted, losses.shape)
        loss = float((losses * weights).sum() / weights.sum())
        return loss if math.isfinite(loss) else math.inf

    def logits(self, token_ids: np.ndarray) -> np.ndarray:
        """Logits float32 [N, T, V] of ids [N, T], each row read after nothing; N is a multiple of the held rows."""
        size = len(self.task.held.inputs)
        parts = (token_ids[start : start + size] for start in range(0, len(token_ids), size))
        return np.concatenate([self._logits(tf.constant(part)).numpy() for part in parts])

    def gradient(self) -> list[float]:
        """Norm of d loss[t] / d input[t - k] for each k, where a symbol's embedding is the input; the mean of rows."""
        token_ids, targets, places = self.task.asked
        norms = self._gradient(*map(tf.constant, (token_ids, targets, places))).numpy()
        last = int(places[0])
        return [float(value) for value in norms.mean(axis=0)[last::-1]]

    def _logits_of(self, token_ids: tf.Tensor) -> tf.Tensor:
        return logits_of(self.model, tf.gather(self.model.embedding.embeddings, token_ids))

    def _gradient_of(self, token_ids: tf.Tensor, targets: tf.Tensor, places: tf.Tensor) -> tf.Tensor:
        embedded = tf.gather(self.model.embedding.embeddings, token_ids)
        with tf.GradientTape() as tape:
            tape.watch(embedded)
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(targets, logits_of(self.model, embedded))
            loss = tf.reduce_sum(losses * tf.one_hot(places, token_ids.shape[1]))
        return tf.norm(tape.gradient(loss, embedded), axis=-1)


def learn(
    kind: str, task: Task, seconds: float, told: Callable[[str], None], *, compiled: bool
) -> tuple[Learned, Model]:
    """Train one of the four on the task for so many seconds, the search for its learning rate included."""
    learner = Learner(kind, task, compiled=compiled)
    untrained = learner.gradient()
    tried = {}
    for peak in RATES:
        tried[peak] = learner.train(peak, TRIAL_SHARE * seconds, 1)[-1][1]
    rate = min(tried, key=lambda peak: tried[peak])
    losses = learner.train(rate, (1 - TRIAL_SHARE * len(RATES)) * seconds, POINTS)
    told(f"{task.name}: {KINDS[kind]}, {losses[-1][1]:.3f} {task.unit}, learning rate {rate:g}")
    learned = Learned(
        kind=kind,
        parameters=parameters_of(learner.model),
        rate=rate,
        tried=tried,
        tokens=learner.tokens,
        losses=losses,
        accuracy=task.accuracy(learner.logits),
        gradient=learner.gradient(),
        untrained_gradient=untrained,
    )
    return learned, learner.model
