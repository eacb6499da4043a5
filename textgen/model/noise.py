"""Dropout masks as a pure function of (seed, step): no generator state to save, and a resumed run draws the same.

Masks are locked (variational): one per batch and layer, the same at every time step, so that what a unit carries
through time is dropped or kept as a whole. Weight-drop masks the recurrent weights instead of what flows through them,
so that cuDNN, which knows nothing of it, runs as it is.

Source: Gal and Ghahramani 2016, "A Theoretically Grounded Application of Dropout in Recurrent Neural Networks";
weight-drop is Merity et al. 2017, "Regularizing and Optimizing LSTM Language Models", section 2.
"""

from typing import NamedTuple

import tensorflow as tf

from textgen.config import ModelConfig, TrainingConfig
from textgen.model_store import weight_shapes


class Noise(NamedTuple):
    """Masks of one training step; every entry is zero or 1/(1 - rate)."""

    outputs: list[tf.Tensor] | None  # L masks [B, H], each on one layer's outputs; None drops none
    recurrent: list[tf.Tensor] | None  # L masks in the shape of the recurrent kernels; None drops none

    def rows(self, first: tf.Tensor, count: int) -> "Noise":
        """The masks of `count` rows of the batch, from row `first` on; recurrent ones are every row's."""
        outputs = self.outputs and [tf.slice(mask, [first, 0], [count, mask.shape[1]]) for mask in self.outputs]
        return self._replace(outputs=outputs)


def draw_noise(model: ModelConfig, training: TrainingConfig, step: tf.Tensor) -> Noise:
    """The masks of `step` (int32 scalar).

    They are XLA's stateless random bits: the same on every run of the same TensorFlow version and device.
    """
    outputs = recurrent = None
    if training.dropout:
        shape = [model.num_layers, training.batch_size, model.units]
        outputs = tf.unstack(_mask(shape, training.dropout, training.seed, 2 * step))
    if training.weight_drop:
        shape = [model.num_layers, *weight_shapes(model)["layers.0.recurrent_kernel"]]
        recurrent = tf.unstack(_mask(shape, training.weight_drop, training.seed, 2 * step + 1))
    return Noise(outputs, recurrent)


def _mask(shape: list[int], rate: float, seed: int, counter: tf.Tensor) -> tf.Tensor:
    kept = tf.random.stateless_uniform(shape, seed=tf.stack([seed, counter])) >= rate
    return tf.cast(kept, tf.float32) / (1 - rate)
