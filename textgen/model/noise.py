"""The noise of a training step as a pure function of (seed, step): no generator state to save, and a resumed run draws
the same.

Masks are locked (variational): one per batch and layer, the same at every time step, so that what a unit carries
through time is dropped or kept as a whole. Weight-drop masks the recurrent weights instead of what flows through them,
so that cuDNN, which knows nothing of it, runs as it is. Embedding dropout drops a symbol wherever the batch has it.

A stream may also forget its state at the beginning of a batch. Texts that are read from a zero state would otherwise
be met at the beginning of an epoch only, which a large corpus may never come to a second time.

Source: Gal and Ghahramani 2016, "A Theoretically Grounded Application of Dropout in Recurrent Neural Networks";
weight-drop is Merity et al. 2017, "Regularizing and Optimizing LSTM Language Models", section 2; embedding dropout its
section 4.3.
"""

from typing import NamedTuple

import tensorflow as tf

from textgen.config import ModelConfig, TrainingConfig
from textgen.model.shards import State
from textgen.model_store import weight_shapes


class Noise(NamedTuple):
    """What one training step does to the network, and no evaluation does; what is left out is off.

    Masks of dropout hold zeros and 1/(1 - rate).
    """

    outputs: list[tf.Tensor] | None  # L masks [B, H], each on one layer's outputs
    recurrent: list[tf.Tensor] | None  # L masks in the shape of the recurrent kernels
    inputs: tf.Tensor | None = None  # a mask [B, E] on the embeddings that the first layer reads
    symbols: tf.Tensor | None = None  # a mask [V, 1] on the rows of the embedding table, where it is read from
    carried: tf.Tensor | None = None  # [B, 1], zero for the streams that forget the state they come with, else one
    activation_reg: tf.Tensor | None = None  # rates of the penalties on the last layer's outputs, see `penalties.py`
    temporal_activation_reg: tf.Tensor | None = None

    def rows(self, first: tf.Tensor, count: int) -> "Noise":
        """The same for `count` rows of the batch, from row `first` on; what has no rows is every row's."""

        def cut(mask):
            return None if mask is None else tf.slice(mask, [first, 0], [count, mask.shape[1]])

        outputs = self.outputs and [cut(mask) for mask in self.outputs]
        return self._replace(outputs=outputs, inputs=cut(self.inputs), carried=cut(self.carried))

    def begin(self, state: State) -> State:
        """The state [B, H] that a step begins with, given what the step before it left."""
        return state if self.carried is None else [[tensor * self.carried for tensor in layer] for layer in state]


def draw_noise(model: ModelConfig, training: TrainingConfig, step: tf.Tensor) -> Noise:
    """The noise of `step` (int32 scalar).

    The masks are XLA's stateless random bits: the same on every run of the same TensorFlow version and device.
    """
    outputs = recurrent = inputs = symbols = carried = None
    batch_size, seed = training.batch_size, training.seed
    if training.dropout:
        shape = [model.num_layers, batch_size, model.units]
        outputs = tf.unstack(_mask(shape, training.dropout, seed, 2 * step))
    if training.weight_drop:
        shape = [model.num_layers, *weight_shapes(model)["layers.0.recurrent_kernel"]]
        recurrent = tf.unstack(_mask(shape, training.weight_drop, seed, 2 * step + 1))
    # Each mask has counters of its own: those above the even and the odd numbers, these the negative ones.
    if training.input_dropout:
        inputs = _mask([batch_size, model.embedding_size], training.input_dropout, seed, -3 * step - 1)
    if training.embedding_dropout:
        symbols = _mask([model.vocabulary_size, 1], training.embedding_dropout, seed, -3 * step - 2)
    if training.state_reset:
        carried = tf.cast(_kept([batch_size, 1], training.state_reset, seed, -3 * step - 3), tf.float32)
    rates = (training.activation_reg, training.temporal_activation_reg)
    penalties = [tf.constant(rate, tf.float32) if rate else None for rate in rates]
    return Noise(outputs, recurrent, inputs, symbols, carried, *penalties)


def _mask(shape: list[int], rate: float, seed: int, counter: tf.Tensor) -> tf.Tensor:
    return tf.cast(_kept(shape, rate, seed, counter), tf.float32) / (1 - rate)


def _kept(shape: list[int], rate: float, seed: int, counter: tf.Tensor) -> tf.Tensor:
    return tf.random.stateless_uniform(shape, seed=tf.stack([seed, counter])) >= rate
