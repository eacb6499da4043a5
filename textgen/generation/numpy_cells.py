"""One recurrent layer as NumPy: a step for writing, a run over many positions for reading.

What goes in: the weights of a layer as they are stored. What comes out: hidden states. All buffers of a step are made
once, for each user its own. States are changed in place; `numpy_engine.py` owns them.
"""

import copy
from typing import Self

import numpy as np

from textgen.config import ModelConfig


class LSTMCell:
    """i, f, g, o as in `textgen/model/lstm.py`, kept in the order i, f, o, g with one tanh for all four.

    sigmoid(x) = (1 + tanh(x/2))/2, so the operands of i, f and o are halved once, in the weights.
    """

    def __init__(self, kernel: np.ndarray, recurrent_kernel: np.ndarray, bias: np.ndarray):
        self.units = H = recurrent_kernel.shape[0]
        order = np.concatenate([np.arange(2 * H), np.arange(3 * H, 4 * H), np.arange(2 * H, 3 * H)])
        halved = np.repeat(np.float32([0.5, 0.5, 0.5, 1.0]), H)
        # NOTE: indexing columns leaves them column by column in memory, and BLAS would copy every slice of rows.
        kernels = np.concatenate([kernel, recurrent_kernel])[:, order] * halved  # [E + H, 4H]
        self.kernels = np.ascontiguousarray(kernels)
        self.bias = bias[order] * halved

    @property
    def num_weights(self) -> int:
        """Of both kernels."""
        return self.kernels.size

    def project(self, inputs: np.ndarray) -> np.ndarray:
        """`x W + b`: [..., E] to [..., 4H]."""
        return inputs @ self.kernels[: -self.units] + self.bias

    def prepared(self, batch_size: int) -> Self:
        """This cell with buffers of its own for `step`: several texts may be written at once. Weights are shared."""
        cell = copy.copy(self)
        cell._gates = np.empty((batch_size, 4 * self.units), np.float32)
        cell._product = np.empty((batch_size, self.units), np.float32)
        return cell

    def step(self, projected: np.ndarray | None, inputs: np.ndarray, hidden: np.ndarray, memory: np.ndarray) -> None:
        """Advance `hidden` and `memory`, [B, H], by one token.

        Args:
            projected: [B, 4H], the input projection where it is known already; None where it is not.
            inputs: what is multiplied with the kernels: [B, H], the hidden state itself, when `projected` is given,
                else [B, E + H], the layer's input beside its hidden state.
        """
        gates, H = self._gates, self.units
        if projected is None:
            np.dot(inputs, self.kernels, out=gates)
            gates += self.bias
        else:
            np.dot(inputs, self.kernels[-H:], out=gates)
            gates += projected
        np.tanh(gates, out=gates)
        sigmoids = gates[:, : 3 * H]
        sigmoids *= 0.5
        sigmoids += 0.5
        memory *= gates[:, H : 2 * H]
        memory += np.multiply(gates[:, :H], gates[:, 3 * H :], out=self._product)
        np.tanh(memory, out=self._product)
        np.multiply(self._product, gates[:, 2 * H : 3 * H], out=hidden)


class GRUCell:
    """z, r and the candidate of `keras.layers.GRU` with `reset_after=True`, which is cuDNN's form.

    z = σ(x Wz + bz + h Uz + az)    r = σ(x Wr + br + h Ur + ar)
    g = tanh(x Wg + bg + r ⊙ (h Ug + ag))    h ← z ⊙ h + (1 - z) ⊙ g

    Source: Cho et al. 2014.
    """

    def __init__(self, kernel: np.ndarray, recurrent_kernel: np.ndarray, bias: np.ndarray):
        self.units = recurrent_kernel.shape[0]
        self.kernel, self.recurrent_kernel = kernel, recurrent_kernel
        self.bias, self.recurrent_bias = bias

    @property
    def num_weights(self) -> int:
        """Of both kernels."""
        return self.kernel.size + self.recurrent_kernel.size

    def project(self, inputs: np.ndarray) -> np.ndarray:
        """`x W + b`: [..., E] to [..., 3H]."""
        return inputs @ self.kernel + self.bias

    def prepared(self, batch_size: int) -> Self:
        """A GRU needs no buffers."""
        return self

    def step(self, projected: np.ndarray | None, inputs: np.ndarray, hidden: np.ndarray, memory: np.ndarray) -> None:
        """Advance `hidden` [B, H] by one token; arguments as in `LSTMCell.step`."""
        H = self.units
        if projected is None:
            projected = self.project(inputs[:, :-H])
        recurrent = hidden @ self.recurrent_kernel + self.recurrent_bias
        gates = _sigmoid(projected[:, : 2 * H] + recurrent[:, : 2 * H])
        candidate = np.tanh(projected[:, 2 * H :] + gates[:, H:] * recurrent[:, 2 * H :])
        hidden[...] = candidate + gates[:, :H] * (hidden - candidate)


class RNNCell:
    """h ← tanh(x W + h U + b), as `keras.layers.SimpleRNN`. Source: Elman 1990."""

    def __init__(self, kernel: np.ndarray, recurrent_kernel: np.ndarray, bias: np.ndarray):
        self.units = recurrent_kernel.shape[0]
        self.kernel, self.recurrent_kernel, self.bias = kernel, recurrent_kernel, bias

    @property
    def num_weights(self) -> int:
        """Of both kernels."""
        return self.kernel.size + self.recurrent_kernel.size

    def project(self, inputs: np.ndarray) -> np.ndarray:
        """`x W + b`: [..., E] to [..., H]."""
        return inputs @ self.kernel + self.bias

    def prepared(self, batch_size: int) -> Self:
        """A plain RNN needs no buffers."""
        return self

    def step(self, projected: np.ndarray | None, inputs: np.ndarray, hidden: np.ndarray, memory: np.ndarray) -> None:
        """Advance `hidden` [B, H] by one token; arguments as in `LSTMCell.step`."""
        if projected is None:
            projected = self.project(inputs[:, : -self.units])
        hidden[...] = np.tanh(projected + hidden @ self.recurrent_kernel)


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return 0.5 * np.tanh(0.5 * x) + 0.5


def is_folded(config: ModelConfig) -> bool:
    """Whether the first layer's projection of every token is worth a table, one row of 4H numbers per token id.

    It saves half of the first layer's arithmetic for each token that is read or written, and costs a product of V rows
    before the first one and 4H/E times the embedding's memory. Up to 4H ids that is a product of the size of a layer's
    own weights; with 30,000 ids and 256 units it would take half a second.
    """
    return config.vocabulary_size <= 4 * config.units


CELLS = {"lstm": LSTMCell, "gru": GRUCell, "rnn": RNNCell}
