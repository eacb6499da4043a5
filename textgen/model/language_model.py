"""Embedding, L recurrent layers and the output layer, as one Keras model.

Token ids [B, T] and the state left by the tokens before them become logits [B, T, V] and the new state. Inside,
everything is time-major.

NOTE: the state is carried by the caller, never by Keras (`stateful=True` is saved nowhere, and evaluation would
overwrite it).
"""

from collections.abc import Callable
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from textgen.cells import CELLS
from textgen.config import ModelConfig, TrainingConfig
from textgen.model.lstm import LSTM
from textgen.model.negatives import Negatives
from textgen.model.noise import Noise, penalize_change, penalize_size
from textgen.model.output import MAX_LOGITS, OutputLayer, Scorer, losses_in_blocks, sampled_losses
from textgen.model.recurrent import GRU, SimpleRNN, State, TimeMajor

INITIALIZERS = {"orthogonal": keras.initializers.Orthogonal, "glorot": keras.initializers.GlorotUniform}
LAYERS: dict[str, type[TimeMajor]] = {"lstm": LSTM, "gru": GRU, "rnn": SimpleRNN}


class TableRows(NamedTuple):
    """Some rows of the embedding, instead of all."""

    token_ids: tf.Tensor  # int32 [R]
    weights: tf.Tensor  # [R, E]


def build_model(
    config: ModelConfig,
    seed: int = 0,
    token_counts: np.ndarray | None = None,
    *,
    recurrent_initializer: str = TrainingConfig.recurrent_initializer,
    forget_bias: float = TrainingConfig.forget_bias,
) -> "LanguageModel":
    """A language model with freshly drawn weights; the same arguments give the same weights.

    Args:
        token_counts: how often each id occurs in the training part, [V]. The model then begins by predicting these
            frequencies instead of learning them in its first thousand steps; None begins with all tokens alike.
        recurrent_initializer: "orthogonal", which keeps the length of a state as it is carried through time, or
            "glorot", uniform noise.
        forget_bias: of a cell with a forget gate. At 1 its memory begins by keeping 73 % at each time step, at 0 half.

    Source: Jozefowicz et al. 2015, "An Empirical Exploration of Recurrent Network Architectures", of the bias; Saxe et
    al. 2013, "Exact solutions to the nonlinear dynamics of learning", of orthogonal weights.
    """
    model, cell = LanguageModel(config, seed, recurrent_initializer), CELLS[config.cell]
    model.embedding.build()
    for index, layer in enumerate(model.recurrent):
        layer.build((None, None, config.embedding_size if index == 0 else config.units))
        if "forget" in cell.gates:
            starts = np.array([forget_bias if gate == "forget" else 0 for gate in cell.gates], np.float32)
            layer.cell.bias.assign(np.repeat(starts, config.units))
    model.output_layer.build()
    if token_counts is not None:
        model.output_layer.start_from(token_counts)
    model.built = True
    return model


class LanguageModel(keras.Model):
    """Predicts the next token; make one with `build_model`."""

    def __init__(self, config: ModelConfig, seed: int, recurrent_initializer: str):
        super().__init__(name="language_model")
        self.config = config
        uniform = keras.initializers.RandomUniform(-0.1, 0.1, seed=seed)
        self.embedding = keras.layers.Embedding(config.vocabulary_size, config.embedding_size, uniform)
        self.recurrent = [
            LAYERS[config.cell](
                config.units,
                return_sequences=True,
                return_state=True,
                kernel_initializer=keras.initializers.GlorotUniform(seed=layer_seed),
                recurrent_initializer=INITIALIZERS[recurrent_initializer](seed=layer_seed + 1),
            )
            for layer_seed in range(seed + 1, seed + 1 + 2 * config.num_layers, 2)
        ]
        self.output_layer = OutputLayer(config, seed + 1 + 2 * config.num_layers)

    def call(
        self, token_ids: tf.Tensor, state: State | None = None, noise: Noise | None = None
    ) -> tuple[tf.Tensor, State]:
        """Logits of every position.

        Args:
            token_ids: int32 [B, T], both static.
            state: as returned for the tokens before these; None is the zero state.
            noise: of a training step; None predicts without any.

        Returns:
            Logits float32 [B, T, V], of the token after each position, and the new state.
        """
        token_ids = tf.convert_to_tensor(token_ids)
        hiddens, state = self.hidden_states(
            tf.transpose(token_ids), state or self.zero_state(token_ids.shape[0]), noise
        )
        return tf.transpose(self.logits(hiddens), [1, 0, 2]), state

    def hidden_states(
        self, token_ids: tf.Tensor, state: State, noise: Noise | None = None, table: TableRows | None = None
    ) -> tuple[tf.Tensor, State]:
        """What the output layer sees for ids [T, B], float32 [T, B, F], and the new state."""
        token_ids, noise = tf.convert_to_tensor(token_ids), noise or Noise()
        outputs: list[tf.Tensor] = []  # of each layer, as what reads them gets them
        new_state = []
        for index, layer in enumerate(self.recurrent):
            projected = layer.project(outputs[-1]) if outputs else self._embed(token_ids, noise, table)
            hiddens, layer_state = layer.run(projected, state[index], noise.recurrent and noise.recurrent[index])
            new_state.append(layer_state)
            is_last = layer is self.recurrent[-1]
            if is_last:
                hiddens = penalize_change(hiddens, noise.temporal_activation_reg)
            if noise.outputs:
                hiddens *= noise.outputs[index]
            outputs.append(penalize_size(hiddens, noise.activation_reg) if is_last else hiddens)
        return self.output_layer.features(outputs), new_state

    def _embed(self, token_ids: tf.Tensor, noise: Noise, rows: TableRows | None) -> tf.Tensor:
        """What the first layer runs on: the projected embeddings of ids [T, B]."""
        layer, symbols = self.recurrent[0], noise.symbols
        table = tf.convert_to_tensor(self.embedding.embeddings if rows is None else rows.weights)
        if symbols is not None and rows is not None:
            symbols = tf.gather(symbols, rows.token_ids)
        if noise.inputs is None and layer.folds(table.shape[0], token_ids.shape.num_elements()):
            return look_up(layer.project(table if symbols is None else table * symbols), token_ids)
        embedded = tf.gather(table, token_ids)  # [T, B, E]
        if symbols is not None:
            embedded *= tf.gather(symbols, token_ids)
        return layer.project(embedded if noise.inputs is None else embedded * noise.inputs)

    def losses(
        self,
        token_ids: tf.Tensor,
        targets: tf.Tensor,
        state: State,
        noise: Noise | None = None,
        negatives: Negatives | None = None,
        table: TableRows | None = None,
    ) -> tuple[tf.Tensor, State]:
        """Nats of `targets` after each of `token_ids` (int32 [T, B] both), float32 [T, B], and the new state.

        Exact, in bounded memory; with `negatives` an estimate, see `sampled_losses`. With rows of the table, for which
        the model has to be tied, all ids are places in them.
        """
        targets = tf.convert_to_tensor(targets)
        hiddens, state = self.hidden_states(token_ids, state, noise, table)
        if negatives is None and targets.shape.num_elements() * self.config.vocabulary_size <= MAX_LOGITS:
            return tf.nn.sparse_softmax_cross_entropy_with_logits(targets, self.logits(hiddens)), state
        scorer = self.output_layer.scorer(self.embedding.embeddings)
        if table is not None:
            scorer = Scorer(table.weights, tf.gather(scorer.bias, table.token_ids), tied=True)
        rows, flat_targets = self.output_layer.rows(hiddens), tf.reshape(targets, [-1])
        if negatives is None:
            losses = losses_in_blocks(rows, flat_targets, scorer)
        else:
            losses = sampled_losses(rows, flat_targets, scorer, negatives)
        return tf.reshape(losses, targets.shape), state

    def logits(self, hiddens: tf.Tensor) -> tf.Tensor:
        """Scores of the next token: [..., F] to [..., V]."""
        logits = self.output_layer.scorer(self.embedding.embeddings).logits(self.output_layer.rows(hiddens))
        return tf.reshape(logits, [*hiddens.shape[:-1], self.config.vocabulary_size])

    def zero_state(self, batch_size: int) -> State:
        """The state before the first token of a text."""
        zeros = tf.zeros([batch_size, self.config.units])
        return [[zeros] * CELLS[self.config.cell].num_states for _ in self.recurrent]

    def named_weights(self) -> dict[str, keras.Variable]:
        """The variables under the names they have in a weights file."""
        named = {"embedding": self.embedding.embeddings}
        for index, layer in enumerate(self.recurrent):
            named[f"layers.{index}.kernel"] = layer.cell.kernel
            named[f"layers.{index}.recurrent_kernel"] = layer.cell.recurrent_kernel
            named[f"layers.{index}.bias"] = layer.cell.bias
        return named | self.output_layer.named_weights()

    def get_named_weights(self) -> dict[str, np.ndarray]:
        """Copies of all weights, float32."""
        return {name: variable.numpy().copy() for name, variable in self.named_weights().items()}

    def set_named_weights(self, weights: dict[str, np.ndarray]) -> None:
        """Assign every weight; names and shapes must be those of `get_named_weights`."""
        for name, variable in self.named_weights().items():
            variable.assign(weights[name])


@tf.custom_gradient
def look_up(table: tf.Tensor, token_ids: tf.Tensor) -> tuple[tf.Tensor, Callable]:
    """Rows of `table` [V, G] for ids [T, B]; [T, B, G].

    The gradient is a product with the one-hot ids: the scatter that TensorFlow would make runs on one core.
    """

    def gradient(d_rows: tf.Tensor) -> tuple[tf.Tensor, None]:
        one_hot = tf.one_hot(tf.reshape(token_ids, [-1]), table.shape[0], dtype=d_rows.dtype)  # [T * B, V]
        return tf.matmul(one_hot, tf.reshape(d_rows, [-1, table.shape[1]]), transpose_a=True), None

    return tf.gather(table, token_ids), gradient
