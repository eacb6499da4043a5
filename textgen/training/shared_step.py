"""The step of a run with several processes: each computes its rows of the batch, and all take the mean gradient.

A process adds up the gradients of its own shards, all sum what they have, and each then clips and updates its own
copy of every variable, which stay the same everywhere. Noise is drawn for the whole batch and cut, so that a row has
its mask whoever computes it. Two processes with a shard each add the numbers that one process with two shards adds, in
the same order, and so make the same bytes; with more, sums are rounded otherwise.

NOTE: XLA compiles what comes before the sum and what comes after it. It has no collectives of several processes.
"""

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from textgen.config import TrainingConfig
from textgen.cores import available_cores
from textgen.dataset.batches import Batch
from textgen.errors import WorkerError
from textgen.model.devices import Device
from textgen.model.language_model import LanguageModel
from textgen.model.negatives import Negatives
from textgen.model.recurrent import State
from textgen.model.shards import num_shards
from textgen.training.step import Gradients, TrainStep
from textgen.workers.communicator import Communicator, last_line
from textgen.workers.team import FIRST_TIME, Team

WORTH = 0.5  # of the vocabulary, from which on its gradients are sent whole


class SharedStep(TrainStep):
    """A step on some rows of the batch, made together with the processes that have the others."""

    def __init__(
        self,
        model: LanguageModel,
        config: TrainingConfig,
        communicator: Communicator,
        rows: range,
        shards: int,
        *,
        compile_with_xla: bool,
        token_counts: np.ndarray | None,
        document_end: int | None,
    ):
        """Args:
        rows: of the batch, that this process computes.
        shards: into which they are cut.
        """
        super().__init__(
            model,
            config,
            compile_with_xla=compile_with_xla,
            token_counts=token_counts,
            document_end=document_end,
            rows=rows,
        )
        self.communicator, self.num_shards = communicator, shards
        self.arrive: Callable[[], None] = lambda: None  # called where the others are waited for
        self._pack = tf.function(self._packed, jit_compile=compile_with_xla, autograph=False)
        self.bound = 0 if self.table else bound_of(model.config.vocabulary_size, config)
        weights = model.named_weights()
        by_token = {"embedding": 0, "output.kernel": 1} if self.bound else {}  # the axis of the tokens
        found = {id(weights[name]): axis for name, axis in by_token.items() if name in weights}
        self._axes = [found.get(id(variable)) for variable in self.moved_whole]
        self._shapes = [tuple(variable.shape) for variable in self.moved_whole]
        if self.table is not None:
            self._axes.append(None)
            self._shapes.append((self.table.num_rows, model.config.embedding_size))

    def _compute(self, traced: Callable[..., tuple[tf.Tensor, State]], arguments: tuple) -> tuple[tf.Tensor, State]:
        self.arrive()
        try:
            loss, state = traced(*arguments)
            loss.numpy()  # waits for the device
        except tf.errors.OpError as problem:
            raise self.failure(last_line(problem)) from problem
        return loss, state

    def several(
        self, batches: Sequence[Batch], state: State, rates: Sequence[float], first: int
    ) -> tuple[list[tf.Tensor], State]:
        """As of a `TrainStep`, call by call: the processes meet at each step."""
        losses = []
        for number, (batch, rate) in enumerate(zip(batches, rates, strict=True), first):
            loss, state = self(batch, state, rate, number)
            losses.append(loss)
        return losses, state

    def failure(self, line: str) -> WorkerError:
        """What is raised where TensorFlow says `line` instead of a sum."""
        return WorkerError(f"the workers cannot make a step together: {line}")

    def _arguments(self, batch: Batch, number: int) -> tuple:
        """As of a `TrainStep`; with what all rows touch, where not all tokens are sent."""
        own, negatives, touched = super()._arguments(batch, number)
        return own, negatives, self._touched(batch, negatives) if self.bound else touched

    def _touched(self, batch: Batch, negatives: Negatives) -> tuple[np.ndarray, np.ndarray]:
        """The tokens that have a gradient, int32 [bound], and the place of each token among them, int32 [V]."""
        ids = np.unique(np.concatenate([batch.inputs.ravel(), batch.targets.ravel(), negatives.token_ids]))
        places = np.full(self.model.config.vocabulary_size, self.bound, np.int32)
        places[ids] = np.arange(len(ids))
        return np.pad(ids, (0, self.bound - len(ids))).astype(np.int32), places

    def _shared(self, loss: tf.Tensor, gradients: Gradients, touched: Any) -> tuple[tf.Tensor, Gradients]:
        total = self.communicator.sum(self._pack(loss, gradients, touched)) / self.communicator.count
        shapes = [
            [self.bound if place == axis else size for place, size in enumerate(shape)]
            for shape, axis in zip(self._shapes, self._axes, strict=True)
        ]
        *parts, loss = tf.split(total, [*(math.prod(shape) for shape in shapes), 1])
        shaped = [tf.reshape(part, shape) for part, shape in zip(parts, shapes, strict=True)]
        spread = [
            part if axis is None else tf.gather(tf.pad(part, [[0, 1 - axis], [0, axis]]), touched[1], axis=axis)
            for part, axis in zip(shaped, self._axes, strict=True)
        ]
        return loss[0], (spread,)

    def _packed(self, loss: tf.Tensor, gradients: Gradients, touched: Any) -> tf.Tensor:
        """One vector: what all workers' mean is taken of."""
        means = [tf.add_n(parts) / len(parts) for parts in zip(*gradients, strict=True)]
        means = [
            part if axis is None else tf.gather(part, touched[0], axis=axis)
            for part, axis in zip(means, self._axes, strict=True)
        ]
        packed = tf.concat([tf.reshape(part, [-1]) for part in (*means, loss)], axis=0)
        share = len(self.rows) * self.communicator.count / self.config.batch_size
        return packed if share == 1 else packed * share  # of a worker that has a row more than another

    def load(self, payload: bytes | bytearray) -> State:
        """Take over the variables and the state of this process's rows; as `Leader.begin` sends them."""
        variables = self.variables()
        shapes = [variable.shape for variable in variables]
        shapes += [tensor.shape for layer in self.model.zero_state(len(self.rows)) for tensor in layer]
        dtypes = [variable.dtype for variable in variables] + ["float32"] * (len(shapes) - len(variables))
        arrays, start = [], 0
        for shape, dtype in zip(shapes, dtypes, strict=True):
            kind, count = np.dtype(dtype), int(np.prod(shape))
            arrays.append(np.frombuffer(payload, kind, count, start).reshape(shape))
            start += count * kind.itemsize
        for variable, array in zip(variables, arrays, strict=False):
            variable.assign(array)
        state = iter(arrays[len(variables) :])
        return [[next(state) for _ in layer] for layer in self.model.zero_state(len(self.rows))]


class Leader(SharedStep):
    """The chief's step, which the workers make too when they are told."""

    def __init__(
        self,
        team: Team,
        device: str,
        model: LanguageModel,
        config: TrainingConfig,
        *,
        compile_with_xla: bool,
        token_counts: np.ndarray,
        document_end: int | None = None,
    ):
        """Args: team: the workers, who make this step ready too; device: where they compute, "GPU" or "CPU"."""
        self.team, self.all_rows, self._is_first = team, team.cluster.rows_of(config.batch_size), True
        cores = available_cores() if config.cores is None else config.cores
        of_each = max(1, cores // team.count) if team.cluster.is_local else cores
        shards = [num_shards(len(rows), of_each) if compile_with_xla else 1 for rows in self.all_rows]
        counts = [np.asarray(token_counts, "<i8").tobytes()] if config.num_sampled else []
        team.begin(
            "job",
            [counts for _ in self.all_rows[1:]],
            times=math.inf,
            each=[
                {"rows": [rows.start, rows.stop], "num_shards": count}
                for rows, count in zip(self.all_rows[1:], shards[1:], strict=True)
            ],
            model=model.config.to_json(),
            training=config.to_json(),
            device=device,
            document_end=document_end,
        )
        team.done()
        super().__init__(
            model,
            config,
            team.communicator,
            self.all_rows[0],
            shards[0],
            compile_with_xla=compile_with_xla,
            token_counts=token_counts,
            document_end=document_end,
        )
        self.arrive = team.reach

    def __call__(self, batch: Batch, state: State, learning_rate: float, number: int) -> tuple[tf.Tensor, State]:
        """As of a `TrainStep`; the batch is whole, the state of the chief's rows. Raises WorkerError."""
        block = np.concatenate([batch.inputs, batch.targets[:, -1:]], axis=1).astype("<i4")
        of_each = [range(len(block)) if self.bound or self.table else rows for rows in self.all_rows[1:]]
        self.team.begin(
            "step",
            [[block[rows.start : rows.stop].tobytes()] for rows in of_each],
            times=FIRST_TIME if self._is_first else 1,
            number=number,
            rate=float(learning_rate),
            begins=batch.is_first,
        )
        result = super().__call__(batch, state, learning_rate, number)
        self.team.done()
        self._is_first = False
        return result

    def failure(self, line: str) -> WorkerError:
        """Who is lost, where the team finds out."""
        return self.team.failure(line)

    def begin(self, state: State) -> State:
        """Send the variables, and each worker its rows of the state."""
        variables = [np.asarray(variable).tobytes() for variable in self.variables()]
        parts = [_cut(state, rows) for rows in self.all_rows]
        arrays = [[np.asarray(tensor).tobytes() for layer in part for tensor in layer] for part in parts]
        self.team.begin("load", [[*variables, *own] for own in arrays[1:]], times=math.inf)
        self.team.done()
        return parts[0]

    def whole(self, state: State) -> State:
        """The rows of all."""
        self.team.begin("gather", [[] for _ in self.all_rows[1:]])
        self.team.reach()
        answers = self.team.answers()
        parts = [[np.asarray(tensor) for layer in state for tensor in layer]]
        for rows, answer in zip(self.all_rows[1:], answers, strict=True):
            flat = np.frombuffer(answer, np.float32).reshape(len(parts[0]), len(rows), -1)
            parts.append(list(flat))
        joined = iter([np.concatenate(tensors) for tensors in zip(*parts, strict=True)])
        return [[next(joined) for _ in layer] for layer in state]


def leading(team: Team, device: Device) -> Callable[..., Leader]:
    """What makes the step of a chief; its arguments are those of a `TrainStep`."""
    return functools.partial(Leader, team, device.name)


def _cut(state: State, rows: range) -> State:
    return [[tensor[rows.start : rows.stop] for tensor in layer] for layer in state]


def bound_of(vocabulary_size: int, config: TrainingConfig) -> int:
    """How many tokens a batch touches at most, where that makes few of the vocabulary; 0 sends the gradients of all.

    A word model that draws samples has gradients for the tokens of the batch and for the samples alone.
    """
    most = 2 * config.batch_size * config.sequence_length + (config.num_sampled or vocabulary_size)
    return most if most <= WORTH * vocabulary_size else 0


def batch_of(payload: bytes | bytearray, sequence_length: int, *, begins: bool) -> Batch:
    """A worker's rows of a batch, or all of them, as `Leader` sends them."""
    block = np.frombuffer(payload, "<i4").reshape(-1, sequence_length + 1).astype(np.int32)
    return Batch(block[:, :-1], block[:, 1:], begins)


def state_bytes(state: State) -> Sequence[bytes]:
    """A worker's part of the state, as `Leader.whole` reads it."""
    return [np.asarray(tensor).tobytes() for layer in state for tensor in layer]
