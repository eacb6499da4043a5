"""The network in float64, one token at a time and without a thought for speed: what the engines are compared with.

Written from the formulas: the LSTM's stand in `textgen/model/lstm.py`; the GRU is `keras.layers.GRU` with
`reset_after=True` (gate order z, r, h; bias[0] with the input, bias[1] with the state); the plain RNN is
`keras.layers.SimpleRNN`.
"""

from typing import NamedTuple

import numpy as np

from textgen.config import ModelConfig


class LayerState(NamedTuple):
    hidden: np.ndarray  # float64 [H]
    memory: np.ndarray  # float64 [H]; zeros for a GRU and a plain RNN


class ReferenceModel:
    def __init__(self, config: ModelConfig, weights: dict[str, np.ndarray]):
        self.config = config
        self.weights = {name: weight.astype(np.float64) for name, weight in weights.items()}

    def zero_state(self) -> list[LayerState]:
        zeros = np.zeros(self.config.units)
        return [LayerState(zeros, zeros)] * self.config.num_layers

    def step(self, token_id: int, state: list[LayerState]) -> tuple[np.ndarray, list[LayerState]]:
        """Logits [V] after one more token, and the new state."""
        step = {"lstm": lstm_step, "gru": gru_step, "rnn": rnn_step}[self.config.cell]
        x, new_state = self.weights["embedding"][token_id], []
        for index, layer_state in enumerate(state):
            W, U, b = (self.weights[f"layers.{index}.{part}"] for part in ("kernel", "recurrent_kernel", "bias"))
            new_state.append(step(x, layer_state, W, U, b))
            x = new_state[-1].hidden
        features = np.concatenate([layer.hidden for layer in new_state]) if self.config.skip else x
        return self.scores(features), new_state

    def scores(self, hidden: np.ndarray) -> np.ndarray:
        """Logits [V] for the last layer's hidden state, or all layers' side by side.

        A tied model compares it with every embedding, through a projection if it has one.
        """
        if not self.config.tied:
            return hidden @ self.weights["output.kernel"] + self.weights["output.bias"]
        if "output.projection" in self.weights:
            hidden = hidden @ self.weights["output.projection"]
        return self.weights["embedding"] @ hidden + self.weights["output.bias"]

    def read(self, token_ids, state: list[LayerState] | None = None) -> tuple[np.ndarray, list[LayerState]]:
        """Logits [T, V] after each token, and the last state."""
        state, logits = state or self.zero_state(), []
        for token_id in token_ids:
            scores, state = self.step(token_id, state)
            logits.append(scores)
        return np.array(logits), state

    def surprisals(self, token_ids) -> np.ndarray:
        """Nats of each token after the first, [T - 1]."""
        logits, _ = self.read(token_ids[:-1])
        log_probabilities = logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
        return -log_probabilities[np.arange(len(logits)), token_ids[1:]]


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def lstm_step(x, state, W, U, b) -> LayerState:
    i, f, g, o = np.split(x @ W + state.hidden @ U + b, 4)
    c = sigmoid(f) * state.memory + sigmoid(i) * np.tanh(g)
    return LayerState(sigmoid(o) * np.tanh(c), c)


def gru_step(x, state, W, U, b) -> LayerState:
    h = state.hidden
    (xz, xr, xh), (hz, hr, hh) = np.split(x @ W + b[0], 3), np.split(h @ U + b[1], 3)
    z, r = sigmoid(xz + hz), sigmoid(xr + hr)
    return LayerState(z * h + (1 - z) * np.tanh(xh + r * hh), state.memory)


def rnn_step(x, state, W, U, b) -> LayerState:
    return LayerState(np.tanh(x @ W + state.hidden @ U + b), state.memory)
