"""The LSTM layer: `keras.layers.LSTM` with the same weights, and a faster path where there is no cuDNN.

    i = σ(x Wi + h Ui + bi)      input gate       what enters the memory cell
    f = σ(x Wf + h Uf + bf)      forget gate      what the memory cell keeps (bf starts at 1)
    g = tanh(x Wg + h Ug + bg)   candidate
    o = σ(x Wo + h Uo + bo)      output gate      what the cell shows
    c ← f ⊙ c + i ⊙ g            h ← o ⊙ tanh(c)

The weights `kernel` [E, 4H], `recurrent_kernel` [H, 4H] and `bias` [4H] are Keras's own (gate order i, f, c, o), so one
checkpoint serves cuDNN, the scan, the NumPy engine and the export.
"""

from collections.abc import Sequence

import keras
import tensorflow as tf

from textgen.model.recurrent import TimeMajor
from textgen.model.scan import lstm_scan


@keras.saving.register_keras_serializable(package="textgen")
class LSTM(TimeMajor, keras.layers.LSTM):
    """A drop-in `keras.layers.LSTM`.

    On a CPU all inputs are projected in one matrix product, and scanned. On a GPU, and for arguments that the scan
    does not cover (masks, dropout, other activations, an unknown number of time steps), it is Keras's layer unchanged.
    """

    def inner_loop(
        self, sequences: tf.Tensor, initial_state: list[tf.Tensor], mask: tf.Tensor | None, training: bool = False
    ) -> tuple[tf.Tensor, tf.Tensor, list[tf.Tensor]]:
        """Last output [B, H], all outputs [B, T, H] and the state [h, c], as `keras.layers.RNN.inner_loop`."""
        if not self.uses_scan(mask) or sequences.shape[1] is None:
            return super().inner_loop(sequences, initial_state, mask, training)
        hiddens, state = self.run(self.project(tf.transpose(sequences, [1, 0, 2])), initial_state)
        return state[0], tf.transpose(hiddens, [1, 0, 2]), state

    def project(self, inputs: tf.Tensor) -> tf.Tensor:
        """`x W + b` as one matrix product: [..., E] to [..., 4H]; the inputs themselves where there is no scan."""
        if not self.uses_scan():
            return inputs
        rows = tf.matmul(tf.reshape(inputs, [-1, inputs.shape[-1]]), self.cell.kernel) + self.cell.bias
        return tf.reshape(rows, [*inputs.shape[:-2], -1, rows.shape[-1]])

    def folds(self, num_rows: int, num_positions: int) -> bool:
        """See `TimeMajor.folds`.

        Per gate, folding takes 3 products of V x E, and the gradient of looking up, V x positions; otherwise it is 3
        products of positions x E.
        """
        input_size = self.cell.kernel.shape[0]
        return self.uses_scan() and num_rows * (3 * input_size + num_positions) < 3 * num_positions * input_size

    def run(
        self, projected: tf.Tensor, state: Sequence[tf.Tensor], recurrent_mask: tf.Tensor | None = None
    ) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """The layer over time, see `TimeMajor.run`; T is static."""
        if not self.uses_scan():
            return super().run(projected, state, recurrent_mask)
        hiddens, *new_state = lstm_scan(projected, self.recurrent_kernel(recurrent_mask), *state)
        return hiddens, new_state

    def uses_scan(self, mask: tf.Tensor | None = None) -> bool:
        """Whether there is no GPU and the layer's arguments are those that the scan implements."""
        standard = self.activation is keras.activations.tanh and self.recurrent_activation is keras.activations.sigmoid
        plain = not (self.recurrent_dropout or self.dropout or self.go_backwards or self.unroll)
        covered = standard and plain and self.use_bias and mask is None and self.use_cudnn is not True
        return covered and not tf.config.list_logical_devices("GPU")
