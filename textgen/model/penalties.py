"""Penalties on what the last layer puts out: large outputs (AR), and outputs that change much from step to step (TAR).

What goes in: outputs. What comes out: the same outputs. Only their gradient differs: it is as if the penalty had been
added to the loss, so the loss that is reported stays the plain one.

NOTE: the penalty's slope is added as it is. It is right for a loss whose own gradient is taken unscaled, such as the
mean over a batch that a training step takes.

Source: Merity et al. 2017, "Revisiting Activation Regularization for Language RNNs".
"""

import tensorflow as tf


def penalize_size(outputs: tf.Tensor, rate: tf.Tensor | None) -> tf.Tensor:
    """`outputs` [T, B, H], with the gradient of rate * mean(outputs^2) added to theirs; a rate of None adds none."""
    return _with_slope(outputs, rate, lambda: outputs * (2 * rate / outputs.shape.num_elements()))


def penalize_change(outputs: tf.Tensor, rate: tf.Tensor | None) -> tf.Tensor:
    """The same for rate * mean((outputs[t + 1] - outputs[t])^2), the mean being over the T - 1 changes."""
    time_steps = outputs.shape[0]

    def slope():
        changes = outputs[1:] - outputs[:-1]
        changes *= 2 * rate / changes.shape.num_elements()
        return tf.pad(changes, [[1, 0], [0, 0], [0, 0]]) - tf.pad(changes, [[0, 1], [0, 0], [0, 0]])

    return _with_slope(outputs, rate if time_steps > 1 else None, slope)


def _with_slope(outputs, rate, slope):
    if rate is None:
        return outputs

    @tf.custom_gradient
    def unchanged(values):
        return tf.identity(values), lambda gradient: gradient + slope()

    return unchanged(outputs)
