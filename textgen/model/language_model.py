"""Embedding, L recurrent layers and the output layer, as one Keras model.

What goes in: token ids [B, T] and the state left by the tokens before them. What comes out: logits [B, T, V] and the
new state. Inside, everything is time-major.

NOTE: the state is carried by the caller, never by Keras (`stateful=True` is saved nowhere, and evaluation would
overwrite it).
"""

import keras
import numpy as np
import tensorflow as tf

from textgen.config import ModelConfig, TrainingConfig
from textgen.model.lstm import LSTM
from textgen.model.negatives import Negatives
from textgen.model.noise import Noise
from textgen.model.output import MAX_LOGITS, OutputLayer, losses_in_blocks, sampled_losses
from textgen.model.penalties import penalize_change, penalize_size
from textgen.model.scan import lstm_scan
from textgen.model.shards import State

INITIALIZERS = {"orthogonal": keras.initializers.Orthogonal, "glorot": keras.initializers.GlorotUniform}
CELLS = {"lstm": LSTM, "gru": keras.layers.GRU, "rnn": keras.layers.SimpleRNN}


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
        forget_bias: of an LSTM. At 1 its memory begins by keeping 73 % at each time step, at 0 a half.

    Source: Jozefowicz et al. 2015, "An Empirical Exploration of Recurrent Network Architectures", of the bias; Saxe et
    al. 2013, "Exact solutions to the nonlinear dynamics of learning", of orthogonal weights.
    """
    model = LanguageModel(config, seed, recurrent_initializer)
    model.embedding.build()
    for index, layer in enumerate(model.recurrent):
        layer.build((None, None, config.embedding_size if index == 0 else config.units))
        if config.cell == "lstm":
            layer.cell.bias.assign(np.repeat(np.float32([0, forget_bias, 0, 0]), config.units))
    model.output_layer.build()
    if token_counts is not None:
        model.output_layer.start_from(token_counts)
    model.built = True
    return model


class LanguageModel(keras.Model):
    """Predicts the next token; make one with `build_model`."""

    def __init__(
        self,
        config: ModelConfig,
        seed: int = 0,
        recurrent_initializer: str = TrainingConfig.recurrent_initializer,
    ):
        super().__init__(name="language_model")
        self.config = config
        uniform = keras.initializers.RandomUniform(-0.1, 0.1, seed=seed)
        self.embedding = keras.layers.Embedding(config.vocabulary_size, config.embedding_size, uniform)
        self.recurrent = [
            _recurrent_layer(config, seed + 1 + 2 * index, INITIALIZERS[recurrent_initializer])
            for index in range(config.num_layers)
        ]
        self.output_layer = OutputLayer(config, seed + 1 + 2 * config.num_layers)

    def call(self, token_ids, state: State | None = None, noise: Noise | None = None):
        """Logits of every position.

        Args:
            token_ids: int32 [B, T].
            state: as returned for the tokens before these; None is the zero state.
            noise: of a training step; None predicts without any.

        Returns:
            Logits float32 [B, T, V], of the token after each position, and the new state.
        """
        token_ids = tf.convert_to_tensor(token_ids)
        state = state or self.zero_state(tf.shape(token_ids)[0])
        hiddens, state = self.hidden_states(tf.transpose(token_ids), state, noise)
        return tf.transpose(self.logits(hiddens), [1, 0, 2]), state

    def hidden_states(self, token_ids, state: State, noise: Noise | None = None):
        """What the output layer sees for ids [T, B], float32 [T, B, F], and the new state."""
        hiddens, outputs, new_state = token_ids, [], []
        for index, layer in enumerate(self.recurrent):
            mask = noise.recurrent[index] if noise and noise.recurrent else None
            inputs = self._layer_input(index, layer, hiddens, noise)
            hiddens, layer_state = _run_layer(layer, inputs, state[index], mask)
            new_state.append(layer_state)
            hiddens = self._disturb(index, hiddens, noise)
            outputs.append(hiddens)
        return self.output_layer.features(outputs), new_state

    def losses(self, token_ids, targets, state: State, noise: Noise | None = None, negatives: Negatives | None = None):
        """Nats of `targets` after each of `token_ids` (int32 [T, B] both), float32 [T, B], and the new state.

        Exact, in bounded memory; with `negatives` an estimate, see `sampled_losses`.
        """
        targets = tf.convert_to_tensor(targets)
        hiddens, state = self.hidden_states(token_ids, state, noise)
        if negatives is None and targets.shape.num_elements() * self.config.vocabulary_size <= MAX_LOGITS:
            return tf.nn.sparse_softmax_cross_entropy_with_logits(targets, self.logits(hiddens)), state
        scorer = self.output_layer.scorer(self.embedding.embeddings)
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

    def zero_state(self, batch_size) -> State:
        """The state before the first token of a text."""
        num_tensors = 2 if self.config.cell == "lstm" else 1
        zeros = tf.zeros([batch_size, self.config.units])
        return [[zeros] * num_tensors for _ in self.recurrent]

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

    def _layer_input(self, index, layer, inputs, noise: Noise | None):
        """What `_run_layer` takes of token ids [T, B] or of outputs [T, B, H] of the layer below.

        Projections [T, B, 4H] on the scan path, otherwise embeddings or outputs as they are.
        """
        if index > 0:
            return layer.project(inputs) if _scans(layer) else inputs
        if not _scans(layer):
            return self._embed(inputs, noise)
        time_steps, batch_size = inputs.shape
        masks_rows = noise is not None and noise.inputs is not None
        if batch_size is not None and not masks_rows and self._folds(time_steps * batch_size):
            # Few symbols, many positions: project the embedding table once and look the projections up.
            table = tf.convert_to_tensor(self.embedding.embeddings)
            if noise is not None and noise.symbols is not None:
                table *= noise.symbols
            return look_up(layer.project(table), inputs)
        return layer.project(self._embed(inputs, noise))

    def _embed(self, token_ids, noise: Noise | None):
        """The embeddings [T, B, E] of ids [T, B]."""
        embedded = tf.gather(self.embedding.embeddings, token_ids)
        if noise is not None and noise.symbols is not None:
            embedded *= tf.gather(noise.symbols, token_ids)
        if noise is not None and noise.inputs is not None:
            embedded *= noise.inputs
        return embedded

    def _disturb(self, index: int, outputs, noise: Noise | None):
        """A layer's outputs [T, B, H] as what reads them gets them in a training step; as they are without noise."""
        if noise is None:
            return outputs
        is_last = index == len(self.recurrent) - 1
        if is_last:
            outputs = penalize_change(outputs, noise.temporal_activation_reg)
        if noise.outputs:
            outputs *= noise.outputs[index]
        return penalize_size(outputs, noise.activation_reg) if is_last else outputs

    def _folds(self, positions: int) -> bool:
        """Whether projecting the whole embedding table is less work than projecting so many positions.

        Per gate: 3 products of V x E, and the gradient of looking up, V x positions, against 3 of positions x E.
        """
        V, E = self.config.vocabulary_size, self.config.embedding_size
        return V * (3 * E + positions) < 3 * positions * E


def _run_layer(layer, inputs, state: list[tf.Tensor], recurrent_mask):
    """One layer's outputs [T, B, H] and its last state.

    Args:
        inputs: as `LanguageModel._layer_input` gives them.
    """
    recurrent_kernel = tf.convert_to_tensor(layer.cell.recurrent_kernel)
    if recurrent_mask is not None:
        recurrent_kernel *= recurrent_mask
    if _scans(layer):
        hiddens, *state = lstm_scan(inputs, recurrent_kernel, *state)
        return hiddens, state
    # Keras's own layer, with the masked kernel in place of its variable.
    weights = [layer.cell.kernel, recurrent_kernel, layer.cell.bias]
    unused = [variable.value for variable in layer.non_trainable_variables]  # the seed of a dropout that is off
    batch_major = tf.transpose(inputs, [1, 0, 2])
    (outputs, *state), _ = layer.stateless_call(weights, unused, batch_major, initial_state=list(state))
    return tf.transpose(outputs, [1, 0, 2]), state


@tf.custom_gradient
def look_up(table, token_ids):
    """Rows of `table` [V, G] for ids [T, B]; [T, B, G].

    The gradient is a product with the one-hot ids: the scatter that TensorFlow would make runs on one core.
    """

    def gradient(d_rows):
        one_hot = tf.one_hot(tf.reshape(token_ids, [-1]), table.shape[0], dtype=d_rows.dtype)  # [T * B, V]
        return tf.matmul(one_hot, tf.reshape(d_rows, [-1, table.shape[1]]), transpose_a=True), None

    return tf.gather(table, token_ids), gradient


def _scans(layer) -> bool:
    return isinstance(layer, LSTM) and layer.uses_scan()


def _recurrent_layer(config: ModelConfig, seed: int, recurrent_initializer):
    return CELLS[config.cell](
        config.units,
        return_sequences=True,
        return_state=True,
        kernel_initializer=keras.initializers.GlorotUniform(seed=seed),
        recurrent_initializer=recurrent_initializer(seed=seed + 1),
    )
