"""The LSTM layer: `keras.layers.LSTM` with the same weights, and a faster path where there is no cuDNN.

    i = σ(x Wi + h Ui + bi)      input gate       what enters the memory cell
    f = σ(x Wf + h Uf + bf)      forget gate      what the memory cell keeps (bf starts at 1)
    g = tanh(x Wg + h Ug + bg)   candidate
    o = σ(x Wo + h Uo + bo)      output gate      what the cell shows
    c ← f ⊙ c + i ⊙ g            h ← o ⊙ tanh(c)

The weights `kernel` [E, 4H], `recurrent_kernel` [H, 4H] and `bias` [4H] are Keras's own (gate order i, f, c, o), so one
checkpoint serves cuDNN, the scan, the NumPy engine and the export.
"""

import keras
import tensorflow as tf

from textgen.model.scan import lstm_scan


@keras.saving.register_keras_serializable(package="textgen")
class LSTM(keras.layers.LSTM):
    """A drop-in `keras.layers.LSTM`.

    On a GPU, and for any argument the scan does not cover (masks, recurrent dropout, other activations, unknown
    sequence length), it is Keras's layer unchanged. On a CPU it projects all inputs in one matrix product and scans.
    """

    def inner_loop(self, sequences, initial_state, mask, training=False):
        """Outputs of `keras.layers.RNN.inner_loop`: last [B, H], all [B, T, H], state [h, c]."""
        if not self.uses_scan(mask) or sequences.shape[0] is None or sequences.shape[1] is None:
            return super().inner_loop(sequences, initial_state, mask, training)
        time_major = tf.transpose(sequences, [1, 0, 2])
        hiddens, hidden, memory = lstm_scan(
            self.project(time_major), tf.convert_to_tensor(self.cell.recurrent_kernel), *initial_state
        )
        return hidden, tf.transpose(hiddens, [1, 0, 2]), [hidden, memory]

    def uses_scan(self, mask=None) -> bool:
        """Whether a CPU path is wanted and the layer's arguments are those the scan implements."""
        standard = self.activation is keras.activations.tanh and (
            self.recurrent_activation is keras.activations.sigmoid
        )
        plain = not (self.recurrent_dropout or self.dropout or self.go_backwards or self.unroll)
        return standard and plain and self.use_bias and mask is None and not tf.config.list_logical_devices("GPU")

    def project(self, sequences: tf.Tensor) -> tf.Tensor:
        """`x W + b` of every step: [T, B, E] to [T, B, 4H]."""
        return project(sequences, self.cell.kernel, self.cell.bias)


def project(sequences: tf.Tensor, kernel, bias) -> tf.Tensor:
    """`x W + b` as one matrix product over all leading axes: [..., E] to [..., 4H]."""
    rows = tf.matmul(tf.reshape(sequences, [-1, sequences.shape[-1]]), kernel) + bias
    return tf.reshape(rows, [*sequences.shape[:-1], rows.shape[-1]])
