"""The recurrent layers as the model calls them: time-major, the state carried by the caller, the kernel masked.

    hiddens, state = layer.run(layer.project(inputs), state, recurrent_mask)

`TimeMajor` does this with Keras's layer as it is: cuDNN on a GPU, Keras's loop on a CPU. The GRU and the plain RNN need
no more; `lstm.py` adds our scan.
"""

from collections.abc import Sequence

import keras
import tensorflow as tf

State = list[list[tf.Tensor]]  # per layer: [h] or, for an LSTM, [h, c]; each float32 [B, H]


class TimeMajor(keras.layers.RNN):
    """A second way to call a Keras layer with `kernel`, `recurrent_kernel` and `bias`; its own way stays.

    The layer returns sequences and its state.
    """

    def project(self, inputs: tf.Tensor) -> tf.Tensor:
        """The part of the layer that needs no state, row by row: [..., E] to what `run` takes.

        Here that is the inputs themselves: Keras's layers project them on their own.
        """
        return inputs

    def folds(self, num_rows: int, num_positions: int) -> bool:
        """Whether it is less work to project a table of `num_rows` inputs and look up its rows at all positions."""
        return False

    def run(
        self, projected: tf.Tensor, state: Sequence[tf.Tensor], recurrent_mask: tf.Tensor | None = None
    ) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """The layer over time.

        Args:
            projected: [T, B, ...], as `project` gives it.
            state: what the tokens before these left, each [B, H].
            recurrent_mask: factors of the recurrent kernel, in its shape; None leaves it as it is.

        Returns:
            Hidden states [T, B, H] and the new state.
        """
        kernel = self.recurrent_kernel(recurrent_mask)
        weights = [kernel if weight is self.cell.recurrent_kernel else weight for weight in self.trainable_variables]
        unused = [variable.value for variable in self.non_trainable_variables]  # the seed of a dropout that is off
        batch_major = tf.transpose(projected, [1, 0, 2])
        (outputs, *new_state), _ = self.stateless_call(weights, unused, batch_major, initial_state=list(state))
        return tf.transpose(outputs, [1, 0, 2]), new_state

    def recurrent_kernel(self, mask: tf.Tensor | None = None) -> tf.Tensor:
        """The recurrent kernel as a tensor, masked."""
        kernel = tf.convert_to_tensor(self.cell.recurrent_kernel)
        return kernel if mask is None else kernel * mask


class GRU(TimeMajor, keras.layers.GRU):
    """A drop-in `keras.layers.GRU`."""


class SimpleRNN(TimeMajor, keras.layers.SimpleRNN):
    """A drop-in `keras.layers.SimpleRNN`."""
