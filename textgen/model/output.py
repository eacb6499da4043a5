"""The output layer's losses where there are many tokens to score: exact in blocks of rows, or against a sample.

The output layer takes D numbers of each position. D is E for a tied layer, whose matrix is the embedding [V, E], and F
otherwise, with a kernel [F, V]. With skip connections the features are the outputs of all layers side by side,
F = L * H, otherwise those of the last, F = H.

Source: Graves 2013, "Generating Sequences With Recurrent Neural Networks", section 2, of skip connections.

Logits of all positions would be N x V numbers, three times over in a training step: half a gigabyte for 30,000 tokens
and 2,048 positions. `losses_in_blocks` never holds more than MAX_LOGITS of them, at the price of computing them again
for the gradient. `sampled_losses` never computes most of them.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from textgen.config import ModelConfig
from textgen.model.negatives import Negatives
from textgen.store.model_directory import weight_shapes

MAX_LOGITS = 2**24  # 64 MiB of logits at once; from about here on larger products are not faster either


class Scorer(NamedTuple):
    """What scores tokens: a matrix, whichever way it lies, and a bias."""

    matrix: tf.Tensor  # the embedding [V, E] when tied, else a kernel [F, V]
    bias: tf.Tensor  # [V]
    tied: bool

    def logits(self, rows: tf.Tensor) -> tf.Tensor:
        """Scores of every token: [N, D] to [N, V]."""
        return tf.matmul(rows, self.matrix, transpose_b=self.tied) + self.bias

    def select(self, token_ids: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Weights [M, D] and biases [M] of some tokens, int32 [M]."""
        weights = tf.gather(self.matrix, token_ids) if self.tied else _columns(self.matrix, token_ids)
        return weights, tf.gather(self.bias, token_ids)


class OutputLayer(keras.layers.Layer):
    """The weights that turn features into scores: a kernel of its own, or the embedding's when tied."""

    def __init__(self, config: ModelConfig, seed: int):
        super().__init__(name="output")
        self.config = config
        self.bias: keras.Variable
        self.kernel: keras.Variable | None = None
        self.projection: keras.Variable | None = None
        self._initializer = keras.initializers.GlorotUniform(seed=seed)

    def build(self, input_shape: object = None) -> None:
        """Make the weights that `model_directory.weight_shapes` lists as `output.*`."""
        for name, shape in weight_shapes(self.config).items():
            room, _, part = name.partition(".")
            if room == "output":
                initializer = "zeros" if part == "bias" else self._initializer
                setattr(self, part, self.add_weight(shape=shape, initializer=initializer, name=part))
        self.built = True

    def start_from(self, token_counts: np.ndarray) -> None:
        """Set the bias to the logarithm of each token's share; one that never occurs counts as if it did once."""
        counts = np.asarray(token_counts, np.float64) + 1
        self.bias.assign(np.log(counts / counts.mean()).astype(np.float32))

    def named_weights(self) -> dict[str, keras.Variable]:
        """The variables under the names they have in a weights file."""
        parts = {"kernel": self.kernel, "projection": self.projection, "bias": self.bias}
        return {f"output.{part}": variable for part, variable in parts.items() if variable is not None}

    def features(self, outputs: Sequence[tf.Tensor]) -> tf.Tensor:
        """What is seen of all layers' outputs, L of [..., H]: [..., F]."""
        return tf.concat(outputs, axis=-1) if self.config.skip else outputs[-1]

    def rows(self, features: tf.Tensor) -> tf.Tensor:
        """What is compared with the tokens' weights: [..., F] to [N, D]."""
        flat = tf.reshape(features, [-1, self.config.features])
        return flat if self.projection is None else tf.matmul(flat, self.projection)

    def scorer(self, embedding: tf.Tensor) -> Scorer:
        """The scorer of this moment; `embedding` [V, E] is used when tied."""
        matrix = embedding if self.config.tied else self.kernel
        return Scorer(tf.convert_to_tensor(matrix), tf.convert_to_tensor(self.bias), self.config.tied)


def losses_in_blocks(rows: tf.Tensor, targets: tf.Tensor, scorer: Scorer, max_logits: int = MAX_LOGITS) -> tf.Tensor:
    """Exact nats of each target; at most `max_logits` logits, or one row of them, exist at a time.

    Args:
        rows: [N, D], N static.
        targets: int32 [N].
    """
    num_rows = rows.shape[0]
    vocabulary_size = scorer.bias.shape[0]
    num_blocks = -(-num_rows // max(1, max_logits // vocabulary_size))
    block_rows = -(-num_rows // num_blocks)
    padding = num_blocks * block_rows - num_rows
    blocks = tf.reshape(tf.pad(rows, [[0, padding], [0, 0]]), [num_blocks, block_rows, rows.shape[1]])
    target_blocks = tf.reshape(tf.pad(targets, [[0, padding]]), [num_blocks, block_rows])
    losses = _block_losses(scorer.tied)(blocks, target_blocks, scorer.matrix, scorer.bias)
    return tf.reshape(losses, [-1])[:num_rows]


def _block_losses(tied: bool) -> Callable[[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor], tf.Tensor]:
    """A function of row blocks [n, M, D], targets [n, M], matrix and bias that gives losses [n, M]."""

    @tf.custom_gradient
    def losses(blocks: tf.Tensor, targets: tf.Tensor, matrix: tf.Tensor, bias: tf.Tensor) -> tuple[tf.Tensor, Callable]:
        num_blocks, block_rows, size = blocks.shape
        scorer = Scorer(matrix, bias, tied)

        def forward(k: tf.Tensor, written: tf.TensorArray) -> tuple:
            logits = scorer.logits(blocks[k])
            return k + 1, written.write(k, tf.nn.sparse_softmax_cross_entropy_with_logits(targets[k], logits))

        def gradient(d_losses: tf.Tensor) -> tuple:
            def backward(k: tf.Tensor, d_blocks: tf.TensorArray, d_matrix: tf.Tensor, d_bias: tf.Tensor) -> tuple:
                block = blocks[k]
                d_logits = tf.nn.softmax(scorer.logits(block))
                d_logits -= tf.one_hot(targets[k], bias.shape[0], dtype=block.dtype)
                d_logits *= d_losses[k][:, None]
                d_blocks = d_blocks.write(k, tf.matmul(d_logits, matrix, transpose_b=not tied))
                first, second = (d_logits, block) if tied else (block, d_logits)
                d_matrix += tf.matmul(first, second, transpose_a=True)
                return k + 1, d_blocks, d_matrix, d_bias + tf.reduce_sum(d_logits, axis=0)

            written = tf.TensorArray(blocks.dtype, num_blocks, element_shape=[block_rows, size])
            start = (0, written, tf.zeros_like(matrix), tf.zeros_like(bias))
            _, d_blocks, d_matrix, d_bias = _loop(backward, num_blocks, start)
            return d_blocks.stack(), None, d_matrix, d_bias

        written = tf.TensorArray(blocks.dtype, num_blocks, element_shape=[block_rows])
        _, written = _loop(forward, num_blocks, (0, written))
        return written.stack(), gradient

    return losses


def _loop(step: Callable[..., tuple], count: int, start: tuple) -> tuple:
    return tf.while_loop(lambda k, *_: k < count, step, start, maximum_iterations=count, parallel_iterations=1)


def sampled_losses(rows: tf.Tensor, targets: tf.Tensor, scorer: Scorer, negatives: Negatives) -> tf.Tensor:
    """An estimate of each target's nats in which a sample stands for all wrong tokens.

    The softmax's normaliser is the sum of exp(logit) over all tokens. The target's own term is exact; each sampled
    token's is divided by the probability with which it came into the sample, so the sum is right on average. The sum is
    exact when every token is in the sample. A sampled token is left out in the rows whose target it is.

    Args:
        rows: [N, D].
        targets: int32 [N].

    Source: Bengio and Senecal 2008, "Adaptive Importance Sampling to Accelerate Training of a Neural Probabilistic
    Language Model"; shared negatives as in Jean et al. 2015, "On Using Very Large Target Vocabulary".
    """
    target_weights, target_bias = scorer.select(targets)
    right = tf.reduce_sum(rows * target_weights, axis=1) + target_bias  # [N]
    weights, bias = scorer.select(negatives.token_ids)
    wrong = tf.matmul(rows, weights, transpose_b=True) + (bias - negatives.log_probabilities)  # [N, K]
    hits = negatives.token_ids[None] == targets[:, None]
    wrong = tf.where(hits, tf.constant(-1e9, wrong.dtype), wrong)
    largest = tf.stop_gradient(tf.maximum(right, tf.reduce_max(wrong, axis=1)))
    total = tf.exp(right - largest) + tf.reduce_sum(tf.exp(wrong - largest[:, None]), axis=1)
    return largest + tf.math.log(total) - right


@tf.custom_gradient
def _columns(kernel: tf.Tensor, token_ids: tf.Tensor) -> tuple[tf.Tensor, Callable]:
    """Columns of `kernel` [F, V] for ids [M], as rows [M, F]; the gradient is summed as rows, and turned once."""

    def gradient(d_rows: tf.Tensor) -> tuple[tf.Tensor, None]:
        return tf.transpose(tf.math.unsorted_segment_sum(d_rows, token_ids, kernel.shape[1])), None

    return tf.transpose(tf.gather(kernel, token_ids, axis=1)), gradient
