"""The noise of a training step as a pure function of (seed, step): no generator state to save, and a resumed run draws
the same.

Masks are locked (variational): one per batch and layer, the same at every time step, so that what a unit carries
through time is dropped or kept as a whole. Weight-drop masks the recurrent weights instead of what flows through them,
so cuDNN runs as it is. Embedding dropout drops a symbol wherever the batch has it.

A stream may also forget its state at the beginning of a batch. Without this the model would start from a zero state at
the beginning of an epoch only, and a run on a large corpus may have no second epoch.

Two penalties act on the last layer's outputs: large outputs (AR), and outputs that change much from step to step (TAR).
They leave the outputs as they are. Only the gradient differs: it is as if the penalty had been added to the loss, so
the loss that is reported stays the plain one.

NOTE: the penalty's slope is added unscaled. That is right for a loss whose own gradient is taken unscaled, such as the
mean over a batch that a training step takes.

Source: Gal and Ghahramani 2016, "A Theoretically Grounded Application of Dropout in Recurrent Neural Networks";
weight-drop is Merity et al. 2017, "Regularizing and Optimizing LSTM Language Models", section 2; embedding dropout its
section 4.3; AR and TAR are Merity et al. 2017, "Revisiting Activation Regularization for Language RNNs".
"""

from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

from textgen.config import ModelConfig, TrainingConfig
from textgen.model.recurrent import State
from textgen.store.model_directory import weight_shapes


class Noise(NamedTuple):
    """What one training step does to the network, and no evaluation does. None is off.

    Masks of dropout hold zeros and 1/(1 - rate).
    """

    outputs: list[tf.Tensor] | None = None  # L masks [B, H], each on one layer's outputs
    recurrent: list[tf.Tensor] | None = None  # L masks in the shape of the recurrent kernels
    inputs: tf.Tensor | None = None  # a mask [B, E] on the embeddings that the first layer reads
    symbols: tf.Tensor | None = None  # a mask [V, 1] on the rows of the embedding table, where it is read from
    carried: tf.Tensor | None = None  # [B, 1], zero for the streams that forget the state they come with, else one
    activation_reg: tf.Tensor | None = None  # rates of the penalties AR and TAR
    temporal_activation_reg: tf.Tensor | None = None

    def rows(self, first: tf.Tensor, count: int) -> "Noise":
        """The noise of `count` rows of the batch, from row `first` on."""

        def cut(mask: tf.Tensor | None) -> tf.Tensor | None:
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


def penalize_size(outputs: tf.Tensor, rate: tf.Tensor | None) -> tf.Tensor:
    """`outputs` [T, B, H], with the gradient of rate * mean(outputs^2) added to theirs; a rate of None adds none."""
    return _with_slope(outputs, rate, lambda rate: outputs * (2 * rate / outputs.shape.num_elements()))


def penalize_change(outputs: tf.Tensor, rate: tf.Tensor | None) -> tf.Tensor:
    """The same for rate * mean((outputs[t + 1] - outputs[t])^2), the mean being over the T - 1 changes."""

    def slope(rate: tf.Tensor) -> tf.Tensor:
        changes = outputs[1:] - outputs[:-1]
        changes *= 2 * rate / changes.shape.num_elements()
        return tf.pad(changes, [[1, 0], [0, 0], [0, 0]]) - tf.pad(changes, [[0, 1], [0, 0], [0, 0]])

    return _with_slope(outputs, rate if outputs.shape[0] > 1 else None, slope)


def _with_slope(outputs: tf.Tensor, rate: tf.Tensor | None, slope: Callable[[tf.Tensor], tf.Tensor]) -> tf.Tensor:
    if rate is None:
        return outputs

    @tf.custom_gradient
    def unchanged(values: tf.Tensor) -> tuple[tf.Tensor, Callable[[tf.Tensor], tf.Tensor]]:
        return tf.identity(values), lambda gradient: gradient + slope(rate)

    return unchanged(outputs)
