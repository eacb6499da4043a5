"""One optimizer step: forward, loss, gradient, clipping, AdamW; compiled.

A step takes a batch, the carried state, the learning rate and its own number, and returns the loss and the new state.
The variables change in place.

NOTE: on a CPU, XLA compiles everything; a batch is cut into shards that run side by side (`model/shards.py`), and the
optimizer takes their mean gradient. On a GPU nothing is compiled: cuDNN's kernel has no XLA form.
"""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from textgen.config import TrainingConfig
from textgen.dataset.batches import Batch
from textgen.model.language_model import LanguageModel, TableRows
from textgen.model.negatives import Negatives, NegativeSampler
from textgen.model.noise import draw_noise
from textgen.model.recurrent import State
from textgen.model.shards import cut, join, num_shards
from textgen.training.touched_rows import EmbeddingTable, Rows, num_touched

Gradients = tuple[list[tf.Tensor], ...]  # for each shard: of all variables; those of a table's rows are the last

BETA_2 = 0.99  # shorter than Adam's 0.999: runs are a few thousand steps, of which the warm-up is a few hundred


class TrainStep:
    """Callable: `loss, state = step(batch, state, learning_rate, number)`."""

    def __init__(
        self,
        model: LanguageModel,
        config: TrainingConfig,
        *,
        compile_with_xla: bool,
        token_counts: np.ndarray | None = None,
        document_end: int | None = None,
        rows: range | None = None,
    ):
        """Args:
        token_counts: how often each id occurs in the training part, [V]; needed where tokens are sampled.
        document_end: id of the token between documents. A stream that comes to one where a batch begins forgets its
            state, as a model has none when it is asked for a document; None where the text is one whole.
        rows: of the batch, that this process computes; None is all.
        """
        self.model = model
        self.config = config
        self.document_end = document_end
        self.sampler = None
        if config.num_sampled:
            if token_counts is None or len(token_counts) != model.config.vocabulary_size:
                raise ValueError(f"sampling tokens needs the counts of all of them. Received: {token_counts!r}")
            self.sampler = NegativeSampler(token_counts, config.num_sampled, config.seed)
        self.rows = range(config.batch_size) if rows is None else rows
        self.optimizer = keras.optimizers.AdamW(
            learning_rate=config.learning_rate, beta_2=BETA_2, weight_decay=config.weight_decay
        )
        self.optimizer.exclude_from_weight_decay(var_names=["bias"])
        self.optimizer.build(model.trainable_variables)
        self.table: EmbeddingTable | None = None
        self.moved_whole = [*model.trainable_variables]  # those of which a step moves all
        if num_rows := num_touched(model.config, config):
            embedding = model.embedding.embeddings
            self.table = EmbeddingTable(embedding, self.optimizer, num_rows, compile_with_xla=compile_with_xla)
            self.moved_whole = [variable for variable in self.moved_whole if variable is not embedding]
        self.averages: dict[str, keras.Variable] = {}
        if config.ema:
            weights = model.get_named_weights().items()
            self.averages = {name: keras.Variable(array, trainable=False, name="average") for name, array in weights}
        self.num_shards = num_shards(config.batch_size, config.cores) if compile_with_xla else 1
        self._differentiate = tf.function(self._shard_gradients, jit_compile=compile_with_xla, autograph=False)
        self._update = tf.function(self._apply, jit_compile=compile_with_xla, autograph=False)
        self._traced: Callable[..., tuple[tf.Tensor, State]] | None = None
        self._traced_several: dict[int, Callable[..., tuple[list[tf.Tensor], State]]] = {}  # by how many steps

    def __call__(self, batch: Batch, state: State, learning_rate: float, number: int) -> tuple[tf.Tensor, State]:
        """Change the variables by one step.

        Args:
            batch: int32 [B, T] inputs and targets.
            state: what the batch before left; ignored when `batch.is_first`.
            learning_rate: of this step.
            number: the step's number; with the seed it fixes the noise and the sampled tokens.

        Returns:
            Mean loss of the batch in nats per token, without penalties (a scalar tensor; an estimate where tokens are
            sampled), and the new state.
        """
        if batch.is_first:
            state = self.model.zero_state(len(self.rows))
        arguments = *self._arguments(batch, number), state, np.float32(learning_rate), np.int32(number)
        if self._traced is None:
            # The traced function is called itself: `tf.function` takes 0.25 ms a step to find it by its arguments.
            self._traced = tf.function(self._run, autograph=False).get_concrete_function(*arguments)
        return self._compute(self._traced, arguments)

    def _arguments(self, batch: Batch, number: int) -> tuple:
        """Those of `_run` that the batch and the step's number give.

        Returns:
            The rows that are computed here, time-major, as the model works, int32 [T, B]; the sample; the ids of the
            table's rows that the step touches, int32 [R]. Where there are such rows, the other ids are places in them.
        """
        negatives = self.sampler.draw(number) if self.sampler else None
        own = slice(self.rows.start, self.rows.stop) if len(batch.inputs) > len(self.rows) else slice(None)
        inputs, targets = (np.ascontiguousarray(part[own].T) for part in (batch.inputs, batch.targets))
        if self.table is None or negatives is None:
            return [inputs, targets], negatives, None
        token_ids, places = self.table.touched(batch, negatives, number)
        return [places[inputs], places[targets]], negatives._replace(token_ids=places[negatives.token_ids]), token_ids

    def _compute(self, traced: Callable[..., tuple[tf.Tensor, State]], arguments: tuple) -> tuple[tf.Tensor, State]:
        return traced(*arguments)

    def several(
        self, batches: Sequence[Batch], state: State, rates: Sequence[float], first: int
    ) -> tuple[list[tf.Tensor], State]:
        """Change the variables by as many steps as there are batches, in one call; as so many calls would.

        Each number of steps is traced once, which takes longer the more there are.

        Args:
            batches: of the steps, one after the other.
            rates: the learning rate of each.
            first: the number of the first step.

        Returns:
            The loss of each step, and the state that the last one left.
        """
        steps = []
        for number, (batch, rate) in enumerate(zip(batches, rates, strict=True), first):
            steps.append((*self._arguments(batch, number), np.float32(rate), np.int32(number)))
        begins = np.array([batch.is_first for batch in batches])
        if len(steps) not in self._traced_several:
            traced = tf.function(self._run_several, autograph=False).get_concrete_function(steps, begins, state)
            self._traced_several[len(steps)] = traced
        return self._traced_several[len(steps)](steps, begins, state)

    def _run_several(self, steps: list[tuple], begins: tf.Tensor, state: State) -> tuple[list[tf.Tensor], State]:
        """The steps one after the other. That is not compiled; what is compiled is called by each."""
        losses = []
        for k, (batch, negatives, touched, rate, number) in enumerate(steps):
            state = [[tf.where(begins[k], tf.zeros_like(tensor), tensor) for tensor in layer] for layer in state]
            loss, state = self._run(batch, negatives, touched, state, rate, number)
            losses.append(loss)
        return losses, state

    def zero_state(self) -> State:
        """The state at the beginning of a text, of the whole batch."""
        return self.model.zero_state(self.config.batch_size)

    def begin(self, state: State) -> State:
        """Let the next step go on from `state`, of the whole batch, and from the variables as they are.

        Returns what the next step is called with.
        """
        return state

    def whole(self, state: State) -> State:
        """The state of the whole batch, given what a step has returned."""
        return state

    def _run(
        self,
        batch: list[tf.Tensor],
        negatives: Negatives | None,
        touched: Any,
        state: State,
        rate: tf.Tensor,
        number: tf.Tensor,
    ) -> tuple[tf.Tensor, State]:
        rows = self.table and self.table.take(touched)
        table = rows and TableRows(touched, rows.weights)
        count = len(self.rows) // self.num_shards
        shards = [
            self._differentiate(parts, own, tf.constant(self.rows.start + index * count), number, negatives, table)
            for index, (parts, own) in enumerate(cut(self.num_shards, batch, state))
        ]
        losses, gradients, states = zip(*shards, strict=True)
        loss, gradients = self._shared(tf.add_n(losses) / self.num_shards, gradients, touched)
        rows = self._update(gradients, rate, rows)
        if self.table is not None:
            self.table.put(touched, rows)
        return loss, join(states)

    def _shared(self, loss: tf.Tensor, gradients: Gradients, _touched: Any) -> tuple[tf.Tensor, Gradients]:
        """The loss and gradients of the whole batch from those of this process, which has computed all of it."""
        return loss, gradients

    def _shard_gradients(
        self,
        batch: list[tf.Tensor],
        state: State,
        first_row: tf.Tensor,
        number: tf.Tensor,
        negatives: Negatives | None,
        table: TableRows | None,
    ) -> tuple[tf.Tensor, list[tf.Tensor], State]:
        """The mean loss, the gradients of all variables and the new state of some rows of a batch."""
        model, (inputs, targets) = self.model, batch
        noise = draw_noise(model.config, self.config, number).rows(first_row, inputs.shape[1])
        state = noise.begin(state)
        if self.document_end is not None:
            first = inputs[0] if table is None else tf.gather(table.token_ids, inputs[0])
            goes_on = tf.cast(first != self.document_end, tf.float32)[:, None]
            state = [[tensor * goes_on for tensor in layer] for layer in state]
        with tf.GradientTape() as tape:
            if table is not None:
                tape.watch(table.weights)
            losses, new_state = model.losses(inputs, targets, state, noise, negatives, table)
            loss = tf.reduce_mean(losses)
        gradients = tape.gradient(loss, [*self.moved_whole, *([] if table is None else [table.weights])])
        return loss, [tf.convert_to_tensor(gradient) for gradient in gradients], new_state

    def _apply(self, shards: Gradients, learning_rate: tf.Tensor, rows: Rows | None = None) -> Rows | None:
        """Take a step by the mean of the shards' gradients, of all variables each.

        Returns the rows of the table after it, which are not stored yet.
        """
        gradients = [tf.add_n(parts) / len(parts) for parts in zip(*shards, strict=True)]
        if self.config.clip_norm:
            gradients, _ = tf.clip_by_global_norm(gradients, self.config.clip_norm, use_norm=_global_norm(gradients))
        self.optimizer.learning_rate.assign(learning_rate)
        bias = self.model.named_weights()["output.bias"]
        before = tf.convert_to_tensor(bias)
        if self.table is not None and rows is not None:
            *gradients, of_rows = gradients
            rows = self.table.moved(rows, of_rows, learning_rate)
        self.optimizer.apply(gradients, self.moved_whole)
        if self.config.bias_rate not in (
            None,
            1,
        ):  # the optimizer's step is in proportion to its rate; a bias does not decay
            bias.assign(before + self.config.bias_rate * (bias - before))
        if self.averages:  # move towards the weights, faster in the first steps: they begin at random weights
            steps = tf.cast(self.optimizer.iterations, tf.float32)
            decay = tf.minimum(self.config.ema, (1 + steps) / (10 + steps))
            for name, variable in self.model.named_weights().items():
                average = self.averages[name]
                average.assign(variable + decay * (average - variable))
        return rows

    @contextlib.contextmanager
    def settled(self) -> Iterator[None]:
        """Within the block the model's weights are those to evaluate and to keep: the averages, where there are some.

        Rows of a table wait for nothing there.
        """
        if self.averages:
            changed = {name: average.numpy().copy() for name, average in self.averages.items()}
        else:
            changed = {"embedding": self.table.settled()} if self.table else {}
        trained = self.model.get_named_weights()
        self.model.set_named_weights(trained | changed)
        try:
            yield
        finally:
            self.model.set_named_weights(trained)

    def slots(self) -> dict[str, keras.Variable]:
        """What a checkpoint has to keep beside the model's weights, by name; the step count is kept as a number."""
        counted = (self.optimizer.iterations, self.optimizer.learning_rate)
        kept = [v for v in self.optimizer.variables if not any(v is c for c in counted)]
        slots = {f"optimizer.{index}": variable for index, variable in enumerate(kept)}
        return slots | {f"average.{name}": variable for name, variable in self.averages.items()} | self.later_slots()

    def later_slots(self) -> dict[str, keras.Variable]:
        """Those of the slots that the checkpoints of older versions lack, where they would be zero."""
        return self.table.slots() if self.table else {}

    def variables(self) -> list[keras.Variable]:
        """Everything that a step changes."""
        others = (*self.averages.values(), *self.later_slots().values())
        return [*self.model.variables, *self.optimizer.variables, *others]

    def set_step_count(self, step: int) -> None:
        """Tell the optimizer how many steps were made (its bias correction depends on it)."""
        self.optimizer.iterations.assign(step)


def _global_norm(tensors: list[tf.Tensor]) -> tf.Tensor:
    """The norm of all tensors together, a scalar; by columns first, which XLA sums many at a time.

    A sum of everything takes one number after the other. The update of 128 units took a fifth less time, that of the
    30,000 words of `english` an eighth.
    """
    columns = [tf.norm(tf.reshape(tensor, [-1, tensor.shape[-1]]), axis=0) for tensor in tensors]
    return tf.norm(tf.concat(columns, axis=0))
