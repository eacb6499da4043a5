"""The embedding of a tied model in steps that sample tokens: only the rows that a step touches are read and moved.

AdamW moves all rows at every step, most of them by nothing but what earlier gradients left behind. In a step of
`english` with 1,024 samples, 1,500 rows of 30,000 have a gradient; moving these alone, it took an eighth less time. A
row without a gradient waits. What its next steps would do is known beforehand: with the averages m and v that a row is
left with, its step number j from there on is a_j b^j m / sqrt(v), where b = β1 / sqrt(β2) and a_j is the learning rate
with Adam's correction of that step, and weight decay keeps the share q_j of the row. A row that is touched first makes
up for all the d steps that it waited:

    w ← w q_1 ... q_d - m / sqrt(v) Σ_j a_j b^j q_{j+1} ... q_d    m ← β1^d m    v ← β2^d v

No row waits for longer than WINDOW steps, since every step takes a part of the table along, in turn.

NOTE: AdamW divides by sqrt(v) + ε. Where ε is the larger part, b is β1. In between the sum is taken to lie between
those two. Apart from that and from rounding, the steps are those that move all rows.

Source: Kingma and Ba 2015, "Adam"; Loshchilov and Hutter 2019, "Decoupled Weight Decay Regularization".
"""

from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from textgen.config import ModelConfig, TrainingConfig
from textgen.dataset.batches import Batch
from textgen.model.negatives import Negatives

WINDOW = 64  # steps
WORTH = 0.5  # of the vocabulary; where a step touches more, all rows are moved


class Rows(NamedTuple):
    """What belongs to R rows of the table, up to date: each [R, E]."""

    weights: tf.Tensor
    momentum: tf.Tensor
    velocity: tf.Tensor


class Touched(NamedTuple):
    """The rows that a step works on."""

    token_ids: np.ndarray  # int32 [R]
    places: np.ndarray  # int32 [V], of each token among them; of a token that is not there it means nothing


class EmbeddingTable:
    """An embedding, its averages of gradients, and how long each row has waited."""

    def __init__(
        self, weights: keras.Variable, optimizer: keras.optimizers.AdamW, num_rows: int, *, compile_with_xla: bool
    ):
        """Args: weights: [V, E]; optimizer: built, for its averages and settings; num_rows: R, of each step."""
        self.optimizer, self.num_rows = optimizer, num_rows
        slots = {variable.path.rpartition("/")[2]: variable for variable in optimizer.variables}
        name = weights.path.replace("/", "_")
        self.variables = Rows(weights, slots[f"{name}_momentum"], slots[f"{name}_velocity"])
        self.waits = keras.Variable(np.zeros(weights.shape[0], np.float32), trainable=False, name="waits")
        # Of the last steps, the newest first: the rates a, and the shares that weight decay kept.
        self.rates = keras.Variable(np.zeros([2, WINDOW], np.float32), trainable=False, name="rates")
        self._catch_up = tf.function(self.made_up, jit_compile=compile_with_xla, autograph=False)

    def touched(self, batch: Batch, negatives: Negatives, number: int) -> Touched:
        """The rows of the batch and of the sample, those whose turn it is at this step, and others to make R."""
        size = self.waits.shape[0]
        is_touched = np.zeros(size, bool)
        for token_ids in (batch.inputs, batch.targets[:, -1], negatives.token_ids):
            is_touched[token_ids] = True
        in_turn = _in_turn(size)
        start = number % WINDOW * in_turn
        is_touched[start : start + in_turn] = True
        first, others = np.flatnonzero(is_touched), np.flatnonzero(~is_touched)
        token_ids = np.concatenate([first, others[: self.num_rows - len(first)]]).astype(np.int32)
        places = np.zeros(size, np.int32)
        places[token_ids] = np.arange(len(token_ids))
        return Touched(token_ids, places)

    def take(self, token_ids: tf.Tensor) -> Rows:
        """Some rows, which have waited for nothing."""
        *rows, waits = (tf.gather(variable.value, token_ids) for variable in (*self.variables, self.waits))
        return self._catch_up(Rows(*rows), waits)

    def put(self, token_ids: tf.Tensor, rows: Rows) -> None:
        """Store rows that have made the step; the others have waited for one more."""
        for variable, part in zip(self.variables, rows, strict=True):
            variable.value.scatter_update(tf.IndexedSlices(part, token_ids))
        self.waits.assign_add(tf.ones_like(self.waits))
        self.waits.value.scatter_update(tf.IndexedSlices(tf.zeros_like(token_ids, tf.float32), token_ids))

    def made_up(self, rows: Rows, waits: tf.Tensor) -> Rows:
        """Rows [R, E] that have waited for some steps [R], as those steps leave them."""
        beta_1, beta_2, epsilon = self.optimizer.beta_1, self.optimizer.beta_2, self.optimizer.epsilon
        waited = tf.minimum(tf.cast(waits, tf.int32), WINDOW)
        rates, kept = tf.unstack(self.rates)
        kept = tf.concat([[1.0], tf.math.cumprod(kept)], 0)  # by d, as the sums below

        def movement(ratio: float) -> tf.Tensor:
            """The sum of a_j r^j q_{j+1} ... q_d, of each row."""
            powers = ratio ** np.arange(WINDOW + 1, dtype=np.float32)
            sums = tf.math.cumsum(rates * kept[:-1] / powers[:-1])
            return tf.gather(tf.concat([[0.0], sums], 0) * powers, waited)[:, None]

        weights, momentum, velocity = rows
        root, steps = tf.sqrt(velocity), tf.cast(waited, tf.float32)[:, None]
        constant, shrinking = movement(beta_1), movement(beta_1 / beta_2**0.5)
        factor = constant + root / (root + epsilon) * (shrinking - constant)
        moved = tf.gather(kept, waited)[:, None] * weights - factor * momentum / (root + epsilon)
        return Rows(moved, momentum * beta_1**steps, velocity * beta_2**steps)

    def moved(self, rows: Rows, gradient: tf.Tensor, learning_rate: tf.Tensor) -> Rows:
        """The rows after a step of AdamW, which is the next one of the optimizer; its rate is remembered."""
        beta_1, beta_2 = self.optimizer.beta_1, self.optimizer.beta_2
        number = tf.cast(self.optimizer.iterations, tf.float32) + 1
        rate = learning_rate * tf.sqrt(1 - beta_2**number) / (1 - beta_1**number)
        kept = 1 - learning_rate * (self.optimizer.weight_decay or 0.0)
        self.rates.assign(tf.concat([tf.stack([rate, kept])[:, None], self.rates[:, :-1]], 1))
        weights, momentum, velocity = rows
        momentum += (gradient - momentum) * (1 - beta_1)
        velocity += (gradient * gradient - velocity) * (1 - beta_2)
        return Rows(weights * kept - rate * momentum / (tf.sqrt(velocity) + self.optimizer.epsilon), momentum, velocity)

    def settled(self) -> np.ndarray:
        """The whole embedding [V, E] as it would be without waiting."""
        return self.made_up(Rows(*(variable.value for variable in self.variables)), self.waits.value).weights.numpy()

    def slots(self) -> dict[str, keras.Variable]:
        """What a checkpoint keeps; where one has nothing of it, no row waits and all is zero."""
        return {"table.waits": self.waits, "table.rates": self.rates}


def num_touched(model: ModelConfig, training: TrainingConfig) -> int:
    """How many rows of its table a step works on: R; 0 where all rows are moved at every step.

    Weights that are averaged over the steps need all rows at every step.
    """
    if not (model.tied and training.num_sampled) or training.ema:
        return 0
    of_batch = training.batch_size * (training.sequence_length + 1)  # the targets are the inputs and one token more
    most = of_batch + training.num_sampled + _in_turn(model.vocabulary_size)
    return most if most <= WORTH * model.vocabulary_size else 0


def _in_turn(vocabulary_size: int) -> int:
    """How many rows a step takes along."""
    return -(-vocabulary_size // WINDOW)
