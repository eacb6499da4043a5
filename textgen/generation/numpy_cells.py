"""One recurrent layer as NumPy: a step for writing, and the projection of many positions for reading.

A step changes the states in place; `numpy_engine.py` owns them. A step's buffers are made once for each batch.
"""

import copy
from typing import Self

import numpy as np

from textgen.config import ModelConfig
from textgen.generation.few_rows import Stripes, is_striped

HALF, ONE = np.float32(0.5), np.float32(1)  # NumPy would turn numbers of Python into these at every step


class NumpyCell:
    """What all cells have; the gates G of a cell make its kernels G * H wide."""

    def __init__(self, kernel: np.ndarray, recurrent_kernel: np.ndarray, bias: np.ndarray):
        """Args: the weights of a layer, as they are stored."""
        self.units = len(recurrent_kernel)
        self.kernel, self.recurrent_kernel, self.bias = kernel, recurrent_kernel, bias

    @property
    def num_weights(self) -> int:
        """Of both kernels."""
        return self.kernel.size + self.recurrent_kernel.size

    def project(self, inputs: np.ndarray) -> np.ndarray:
        """`x W + b`: [..., E] to [..., G * H]."""
        # Of three axes NumPy would make a product for each index of the first.
        rows = inputs.reshape(-1, inputs.shape[-1])
        projected = rows @ self.kernel
        projected += self.bias
        return projected.reshape(*inputs.shape[:-1], projected.shape[-1])

    def prepared(self, batch_size: int) -> Self:
        """This cell, ready for `step`: with buffers of its own where it needs some, so that several texts may be
        written at once. Weights are shared.
        """
        return self

    def step(self, projected: np.ndarray | None, inputs: np.ndarray, hidden: np.ndarray, memory: np.ndarray) -> None:
        """Advance by one token: the new state goes to `hidden` and, in an LSTM, `memory` changes, both [B, H].

        Args:
            hidden: the state that `inputs` end with, to be changed in place, or another array.
            projected: [B, G * H], the input projection where it is known already; None where it is not.
            inputs: what is multiplied with the kernels: [B, H], the hidden state itself, when `projected` is given,
                else [B, E + H], the layer's input beside its hidden state.
        """
        raise NotImplementedError

    def run(self, projected: np.ndarray, outputs: np.ndarray, hidden: np.ndarray, memory: np.ndarray) -> None:
        """Advance by T tokens.

        Args:
            projected: [T, B, G * H], the input projections.
            outputs: [T, B, H], to which the new states go.
            hidden, memory: [B, H], changed in place.
        """
        state = hidden
        for projection, output in zip(projected, outputs, strict=True):
            self.step(projection, state, output, memory)
            state = output
        hidden[...] = state

    def parts(self, projected: np.ndarray, before: np.ndarray) -> dict[str, np.ndarray]:
        """What is computed on the way to many new states, by the names of `CELLS`, each float32 [T, H].

        Args:
            projected: [T, G * H], the input projections.
            before: [T, H], the states before these tokens.
        """
        raise NotImplementedError


class LSTMCell(NumpyCell):
    """i, f, g, o as in `textgen/model/lstm.py`, kept in the order o, i, f, g with one tanh for all four.

    sigmoid(x) = (1 + tanh(x/2))/2, so the operands of o, i and f are halved once, in the weights.
    """

    _gates: np.ndarray  # buffers of `step`: [B, 4H], and parts of it, which take longer to cut out than to add up
    _parts: tuple[np.ndarray, ...]  # of o, i and f together [B, 3H], and of o, i, f and g
    _product: np.ndarray  # [B, H]
    _is_striped: bool

    def __init__(self, kernel: np.ndarray, recurrent_kernel: np.ndarray, bias: np.ndarray):
        H = len(recurrent_kernel)
        order = np.concatenate([np.arange(3 * H, 4 * H), np.arange(3 * H)])
        halved = np.repeat(np.array([0.5, 0.5, 0.5, 1.0], np.float32), H)
        # NOTE: indexing columns leaves them column by column in memory, and BLAS would copy every slice of rows.
        kernels = np.concatenate([kernel, recurrent_kernel])[:, order] * halved
        self.kernels = np.ascontiguousarray(kernels)  # [E + H, 4H]
        self._made: dict[bool, Stripes] = {}  # in stripes, by whether the input is projected; copies share them
        super().__init__(self.kernels[:-H], self.kernels[-H:], bias[order] * halved)

    def prepared(self, batch_size: int) -> Self:
        """This cell with buffers of its own."""
        cell = copy.copy(self)
        cell._gates = np.empty((batch_size, 4 * self.units), np.float32)
        cell._parts = (cell._gates[:, : 3 * self.units], *np.split(cell._gates, 4, axis=1))
        cell._product = np.empty((batch_size, self.units), np.float32)
        cell._is_striped = is_striped(self.kernels, batch_size)
        return cell

    def _stripes(self, is_projected: bool) -> Stripes:
        """Of the recurrent kernel where the input is projected already, else of both kernels together."""
        if is_projected not in self._made:
            self._made[is_projected] = Stripes(self.recurrent_kernel if is_projected else self.kernels)
        return self._made[is_projected]

    def step(self, projected: np.ndarray | None, inputs: np.ndarray, hidden: np.ndarray, memory: np.ndarray) -> None:
        """See `NumpyCell.step`."""
        gates, product = self._gates, self._product
        sigmoids, out_gate, in_gate, forget_gate, candidate = self._parts
        if self._is_striped:
            self._stripes(projected is not None).product(inputs, gates)
        else:
            np.dot(inputs, self.kernels if projected is None else self.recurrent_kernel, out=gates)
        gates += self.bias if projected is None else projected
        np.tanh(gates, out=gates)
        sigmoids += ONE  # twice the gates: halving what comes of them is exact, and there is less of it
        memory *= forget_gate
        memory += np.multiply(in_gate, candidate, out=product)
        memory *= HALF
        np.tanh(memory, out=product)
        product *= HALF
        np.multiply(product, out_gate, out=hidden)

    def run(self, projected: np.ndarray, outputs: np.ndarray, hidden: np.ndarray, memory: np.ndarray) -> None:
        """See `NumpyCell.run`. What one text costs is calls of NumPy, of which these are as few as can be."""
        if len(hidden) > 1:
            super().run(projected, outputs, hidden, memory)
            return
        H, kernel = self.units, self.recurrent_kernel
        values = np.empty(5 * H, np.float32)  # o, i, f, g and the memory
        values[4 * H :] = memory[0]
        gates, sigmoids, out_gate, last = values[: 4 * H], values[: 3 * H], values[:H], values[4 * H :]
        in_and_forget, candidate_and_memory = values[H : 3 * H], values[3 * H :]
        products = np.empty(2 * H, np.float32)
        added, kept = products[:H], products[H:]
        dot, add, multiply, tanh = np.dot, np.add, np.multiply, np.tanh
        state = hidden[0]
        for projection, output in zip(projected[:, 0], outputs[:, 0], strict=True):
            dot(state, kernel, gates)
            add(gates, projection, gates)
            tanh(gates, gates)
            multiply(sigmoids, HALF, sigmoids)
            add(sigmoids, HALF, sigmoids)
            multiply(in_and_forget, candidate_and_memory, products)
            add(kept, added, last)
            tanh(last, added)
            multiply(added, out_gate, output)
            state = output
        hidden[0], memory[0] = state, last

    def parts(self, projected: np.ndarray, before: np.ndarray) -> dict[str, np.ndarray]:
        """See `NumpyCell.parts`."""
        gates = np.tanh(projected + before @ self.recurrent_kernel)
        gates[:, : 3 * self.units] = HALF * gates[:, : 3 * self.units] + HALF
        return dict(zip(("output", "input", "forget", "candidate"), np.split(gates, 4, axis=1), strict=True))


class GRUCell(NumpyCell):
    """z, r and the candidate of `keras.layers.GRU` with `reset_after=True`, which is cuDNN's form.

    z = σ(x Wz + bz + h Uz + az)    r = σ(x Wr + br + h Ur + ar)
    g = tanh(x Wg + bg + r ⊙ (h Ug + ag))    h ← z ⊙ h + (1 - z) ⊙ g

    Source: Cho et al. 2014.
    """

    def __init__(self, kernel: np.ndarray, recurrent_kernel: np.ndarray, bias: np.ndarray):
        super().__init__(kernel, recurrent_kernel, bias[0])
        self.recurrent_bias = bias[1]

    def step(self, projected: np.ndarray | None, inputs: np.ndarray, hidden: np.ndarray, memory: np.ndarray) -> None:
        """See `NumpyCell.step`."""
        H = self.units
        if projected is None:
            projected = self.project(inputs[:, :-H])
        before = inputs[:, -H:]
        parts = self.parts(projected, before)
        hidden[...] = parts["candidate"] + parts["update"] * (before - parts["candidate"])

    def parts(self, projected: np.ndarray, before: np.ndarray) -> dict[str, np.ndarray]:
        """See `NumpyCell.parts`."""
        H = self.units
        recurrent = before @ self.recurrent_kernel + self.recurrent_bias
        gates = 0.5 * np.tanh(0.5 * (projected[:, : 2 * H] + recurrent[:, : 2 * H])) + 0.5
        candidate = np.tanh(projected[:, 2 * H :] + gates[:, H:] * recurrent[:, 2 * H :])
        return {"update": gates[:, :H], "reset": gates[:, H:], "candidate": candidate}


class RNNCell(NumpyCell):
    """h ← tanh(x W + h U + b), as `keras.layers.SimpleRNN`. Source: Elman 1990."""

    def step(self, projected: np.ndarray | None, inputs: np.ndarray, hidden: np.ndarray, memory: np.ndarray) -> None:
        """See `NumpyCell.step`."""
        if projected is None:
            projected = self.project(inputs[:, : -self.units])
        hidden[...] = self.parts(projected, inputs[:, -self.units :])["candidate"]

    def parts(self, projected: np.ndarray, before: np.ndarray) -> dict[str, np.ndarray]:
        """See `NumpyCell.parts`."""
        return {"candidate": np.tanh(projected + before @ self.recurrent_kernel)}


NUMPY_CELLS: dict[str, type[NumpyCell]] = {"lstm": LSTMCell, "gru": GRUCell, "rnn": RNNCell}


def is_folded(config: ModelConfig) -> bool:
    """Whether the first layer's projection of every token is worth a table, one row of 4H numbers per token id.

    It saves half of the first layer's arithmetic for each token that is read or written, and costs a product of V rows
    before the first one and 4H/E times the embedding's memory. Up to 4H ids that is a product of the size of a layer's
    own weights; with 30,000 ids and 256 units it would take half a second.
    """
    return config.vocabulary_size <= 4 * config.units
