"""The network as TensorFlow operations: one arithmetic for the compiled loop and for the export.

A model's weights are folded once, with NumPy. Whatever the cell, a layer is then one sum, followed by its gates:

    operand = [below | own] [W; U] + b        below: the layer's input, own: its hidden state
    own, memory ← gates(operand, own, memory)

In the first layer `below W + b` depends on the token alone; where there are few tokens it is a row of a table.
Everything is a function of (weights, state, ids), and no operation needs cuDNN.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from textgen.config import ModelConfig
from textgen.generation.numpy_cells import LSTMCell, is_folded


class State(NamedTuple):
    """What the network carries from token to token, layer by layer."""

    hidden: tuple[tf.Tensor, ...]  # L of float32 [B, H]
    memory: tuple[tf.Tensor, ...]  # L of float32 [B, H]; an LSTM's memory cells, untouched by other cells


class Network:
    """Embedding, recurrent layers and output."""

    def __init__(self, config: ModelConfig, weights: Mapping[str, tf.Tensor]):
        """Args: weights: tensors, as `fold_weights` names them."""
        self.config = config
        self.weights = weights
        self.gates = GATES[config.cell]

    def zero_state(self, batch_size: int | tf.Tensor) -> State:
        """The state before the first token."""
        zeros = tf.zeros([batch_size, self.config.units])
        return State((zeros,) * self.config.num_layers, (zeros,) * self.config.num_layers)

    def advance(self, token_ids: tf.Tensor, state: State) -> State:
        """The state after one more token of every row, int32 [B]."""
        after = State((), ())
        for index, (own, cells) in enumerate(zip(*state, strict=True)):
            if index == 0 and "table" in self.weights:
                operand = tf.gather(self.weights["table"], token_ids) + own @ self.weights["layers.0.kernels"]
            else:
                below = after.hidden[-1] if index else tf.gather(self.weights["embedding"], token_ids)
                beside = tf.concat([below, own], axis=1)  # [B, E + H]
                operand = beside @ self.weights[f"layers.{index}.kernels"] + self.weights[f"layers.{index}.bias"]
            own, cells = self.gates(operand, own, cells)
            after = State((*after.hidden, own), (*after.memory, cells))
        return after

    def logits(self, state: State) -> tf.Tensor:
        """Scores of the next token, float32 [B, V]."""
        weights = self.weights
        features = tf.concat(state.hidden, axis=1) if self.config.skip else state.hidden[-1]
        if "output.kernel" in weights:
            return features @ weights["output.kernel"] + weights["output.bias"]
        if "output.projection" in weights:
            features = features @ weights["output.projection"]
        return tf.matmul(features, weights["embedding"], transpose_b=True) + weights["output.bias"]


def lstm_gates(operand: tf.Tensor, hidden: tf.Tensor, memory: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """An LSTM's new hidden state and memory, [B, H] each, from o, i, f, g side by side, [B, 4H].

    sigmoid(x) = (1 + tanh(x/2))/2; `fold_weights` has halved the operands of o, i and f, so one tanh does for all.
    """
    gates = tf.tanh(operand)
    H = hidden.shape[-1]
    sigmoids = 0.5 * gates[:, : 3 * H] + 0.5
    output_gate, input_gate, forget_gate = tf.split(sigmoids, 3, axis=1)
    memory = forget_gate * memory + input_gate * gates[:, 3 * H :]
    return output_gate * tf.tanh(memory), memory


def gru_gates(operand: tf.Tensor, hidden: tf.Tensor, memory: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """A GRU's new hidden state [B, H], from z and r (halved), `x Wg + bg` and `h Ug + ag` side by side, [B, 4H]."""
    update, reset, candidate, recurrent = tf.split(operand, 4, axis=1)
    update, reset = 0.5 * tf.tanh(update) + 0.5, 0.5 * tf.tanh(reset) + 0.5
    candidate = tf.tanh(candidate + reset * recurrent)
    return candidate + update * (hidden - candidate), memory


def rnn_gates(operand: tf.Tensor, hidden: tf.Tensor, memory: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """A plain recurrent layer's new hidden state, [B, H]."""
    return tf.tanh(operand), memory


GATES: dict[str, Callable[..., tuple]] = {"lstm": lstm_gates, "gru": gru_gates, "rnn": rnn_gates}


def fold_weights(config: ModelConfig, weights: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """A model's weights in the form that `Network` takes, still NumPy.

    Args:
        weights: float32, as `model_directory.weight_shapes(config)`.

    Returns:
        float32, G being the width of a layer's operand:
        `layers.n.kernels` [E + H, G] (for n > 0 [2H, G]) and `layers.n.bias` [G]; in place of the first layer's, where
        there are few tokens, `table` [V, G] and `layers.0.kernels` [H, G];
        `output.bias` [V], and `output.kernel` [F, V], or for a tied model `output.projection` [F, E] if it has one;
        `embedding` [V, E] where it is still needed.
    """
    with_table = is_folded(config)
    folded = {name: weight for name, weight in weights.items() if name.startswith("output.")}
    if config.tied or not with_table:
        folded["embedding"] = weights["embedding"]
    for index in range(config.num_layers):
        layer = [weights[f"layers.{index}.{part}"] for part in ("kernel", "recurrent_kernel", "bias")]
        kernels, bias = FOLDS[config.cell](*layer)
        if index == 0 and with_table:
            folded["table"] = weights["embedding"] @ kernels[: -config.units] + bias
            kernels = kernels[-config.units :]
        else:
            folded[f"layers.{index}.bias"] = bias
        folded[f"layers.{index}.kernels"] = kernels
    return folded


def _fold_lstm(kernel: np.ndarray, recurrent_kernel: np.ndarray, bias: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    cell = LSTMCell(kernel, recurrent_kernel, bias)  # halves and reorders in the same way
    return cell.kernels, cell.bias


def _fold_gru(kernel: np.ndarray, recurrent_kernel: np.ndarray, bias: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Reset acts on `h Ug + ag` alone, so that and `x Wg + bg` are columns of their own, zero where the other acts."""
    H = len(recurrent_kernel)
    halved = np.repeat(np.array([0.5, 0.5, 1.0, 1.0], np.float32), H)
    above = np.concatenate([kernel, np.zeros_like(kernel[:, :H])], axis=1)
    zeros = np.zeros_like(recurrent_kernel[:, :H])
    below = np.concatenate([recurrent_kernel[:, : 2 * H], zeros, recurrent_kernel[:, 2 * H :]], axis=1)
    sums = np.concatenate([bias[0, : 2 * H] + bias[1, : 2 * H], bias[0, 2 * H :], bias[1, 2 * H :]])
    return np.concatenate([above, below]) * halved, sums * halved


def _fold_rnn(kernel: np.ndarray, recurrent_kernel: np.ndarray, bias: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return np.concatenate([kernel, recurrent_kernel]), bias


FOLDS: dict[str, Callable[..., tuple]] = {"lstm": _fold_lstm, "gru": _fold_gru, "rnn": _fold_rnn}
