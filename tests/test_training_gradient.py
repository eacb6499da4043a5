"""The gradient of a training step, against differences of a loss that is written down in NumPy."""

import numpy as np
import pytest
import tensorflow as tf
from conftest import slow
from training_steps import T, batch_of, gradients_of, state_of, step_of

from textgen.dataset.batches import Batch
from textgen.model.noise import Noise, draw_noise

NO_NOISE = Noise(None, None)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def lstm_cell(x, state, kernel, recurrent_kernel, bias):
    hidden, memory = state
    i, f, g, o = np.split(x @ kernel + hidden @ recurrent_kernel + bias, 4, axis=1)
    memory = sigmoid(f) * memory + sigmoid(i) * np.tanh(g)
    return [sigmoid(o) * np.tanh(memory), memory]


def gru_cell(x, state, kernel, recurrent_kernel, bias):
    z, r, g = np.split(x @ kernel + bias[0], 3, axis=1)
    from_z, from_r, from_g = np.split(state[0] @ recurrent_kernel + bias[1], 3, axis=1)
    z, r = sigmoid(z + from_z), sigmoid(r + from_r)
    return [z * state[0] + (1 - z) * np.tanh(g + r * from_g)]


def rnn_cell(x, state, kernel, recurrent_kernel, bias):
    return [np.tanh(x @ kernel + state[0] @ recurrent_kernel + bias)]


def loss_in_numpy(cell, weights, batch, state, noise=NO_NOISE, *, skip=False) -> float:
    """The mean loss of a batch in float64, with its penalties, token by token, straight from the cells' equations."""
    carried = 1.0 if noise.carried is None else noise.carried
    state = [[part.astype(np.float64) * carried for part in layer] for layer in state]
    table = weights["embedding"] * (1.0 if noise.symbols is None else noise.symbols)
    losses, raw, dropped = [], [], []
    for t in range(T):
        x = table[batch.inputs[:, t]] * (1.0 if noise.inputs is None else noise.inputs)
        outputs = []
        for n in range(len(state)):
            kernel, recurrent_kernel, bias = (
                weights[f"layers.{n}.{p}"] for p in ("kernel", "recurrent_kernel", "bias")
            )
            if noise.recurrent is not None:
                recurrent_kernel = recurrent_kernel * noise.recurrent[n]
            state[n] = cell(x, state[n], kernel, recurrent_kernel, bias)
            x = state[n][0] if noise.outputs is None else state[n][0] * noise.outputs[n]
            outputs.append(x)
        raw.append(state[-1][0])
        dropped.append(x)
        x = np.concatenate(outputs, axis=1) if skip else x
        if "output.projection" in weights:
            x = x @ weights["output.projection"]
        logits = x @ weights.get("output.kernel", weights["embedding"].T) + weights["output.bias"]
        right = np.take_along_axis(logits, batch.targets[:, t, None], axis=1)[:, 0]
        losses.append(np.log(np.exp(logits).sum(axis=1)) - right)
    penalty = (noise.activation_reg or 0.0) * np.mean(np.square(dropped))
    penalty += (noise.temporal_activation_reg or 0.0) * np.mean(np.square(np.diff(raw, axis=0)))
    return float(np.mean(losses) + penalty)


def finite_differences(loss, weights: dict[str, np.ndarray], change: float = 1e-5) -> dict[str, np.ndarray]:
    gradients = {name: np.zeros_like(array) for name, array in weights.items()}
    for name, array in weights.items():
        for index in np.ndindex(array.shape):
            kept = array[index]
            array[index] = kept + change
            above = loss(weights)
            array[index] = kept - change
            gradients[name][index] = (above - loss(weights)) / (2 * change)
            array[index] = kept
    return gradients


def in_numpy(noise: Noise) -> Noise:
    return Noise(*tf.nest.map_structure(lambda mask: mask.numpy() if isinstance(mask, tf.Tensor) else mask, noise))


def assert_gradients_are_those_of_finite_differences(step, equations, number: int = 0) -> None:
    batch, state = batch_of(), state_of(step)
    weights = {name: array.astype(np.float64) for name, array in step.model.get_named_weights().items()}
    noise = in_numpy(draw_noise(step.model.config, step.config, tf.constant(number)))
    skip = step.model.config.skip
    expected = finite_differences(lambda w: loss_in_numpy(equations, w, batch, state, noise, skip=skip), weights)
    found = gradients_of(step, batch, state, number)
    assert found.keys() == expected.keys()
    for name, gradient in expected.items():
        assert np.abs(gradient).max() > 1e-4, name
        np.testing.assert_allclose(found[name], gradient, rtol=1e-3, atol=2e-6, err_msg=name)


EVERYTHING = {"dropout": 0.3, "weight_drop": 0.3, "input_dropout": 0.3, "embedding_dropout": 0.3, "state_reset": 0.5}
EVERYTHING |= {"activation_reg": 2.0, "temporal_activation_reg": 3.0, "seed": 5}
NOISES = {
    "plain": {},
    "everything": EVERYTHING,
    "dropout": {"dropout": 0.3, "weight_drop": 0.3, "seed": 5},
    "penalties": {"dropout": 0.3, "activation_reg": 2.0, "temporal_activation_reg": 3.0, "seed": 5},
    "inputs": {"input_dropout": 0.3, "embedding_dropout": 0.3, "state_reset": 0.5, "seed": 6},
}


ONE_BY_ONE = [slow(name) for name in ("dropout", "penalties", "inputs")]


@pytest.mark.parametrize(("cell", "equations"), [("lstm", lstm_cell), ("gru", gru_cell), ("rnn", rnn_cell)])
@pytest.mark.parametrize("noise", ["plain", "everything", *ONE_BY_ONE])
def test_the_gradient_is_that_of_finite_differences(cell, equations, noise):
    step = step_of(cell, num_layers=2, **NOISES[noise])
    assert_gradients_are_those_of_finite_differences(step, equations, number=3)


@pytest.mark.parametrize("units", [2, 3], ids=["sizes agree", "projection"])
@pytest.mark.parametrize("noise", ["everything", slow("plain"), *ONE_BY_ONE])
def test_the_gradient_of_a_tied_model_is_that_of_finite_differences(units, noise):
    """Its output layer scores with the embeddings as they are, whichever are dropped where they are read."""
    step = step_of(num_layers=2, units=units, tied=True, **NOISES[noise])
    assert_gradients_are_those_of_finite_differences(step, lstm_cell, number=3)


def test_the_noises_above_drop_some_and_keep_some():
    step = step_of(num_layers=2, **EVERYTHING)
    noise = in_numpy(draw_noise(step.model.config, step.config, tf.constant(3)))
    for mask in (noise.inputs, noise.symbols, noise.carried, *noise.outputs, *noise.recurrent):
        assert 0 < np.count_nonzero(mask) < mask.size


@pytest.mark.parametrize("tied", [False, slow(True)])
def test_the_penalties_are_the_same_whether_the_loss_is_exact_or_of_a_sample(tied):
    penalties, shape = {"activation_reg": 2.0, "temporal_activation_reg": 3.0}, {"num_layers": 2, "tied": tied}
    added = []
    for settings in (shape, shape | {"num_sampled": 2}):
        plain, penalized = step_of(**settings), step_of(**settings, **penalties)
        state = state_of(plain)
        without, whole = (gradients_of(step, batch_of(), state) for step in (plain, penalized))
        added.append({name: whole[name] - without[name] for name in whole})
    assert max(np.abs(difference).max() for difference in added[0].values()) > 1e-2
    for name, expected in added[0].items():
        np.testing.assert_allclose(added[1][name], expected, rtol=0, atol=1e-6, err_msg=name)


def test_the_loss_that_is_told_is_without_penalties():
    plain, penalized = step_of(dropout=0.3), step_of(dropout=0.3, activation_reg=2.0, temporal_activation_reg=3.0)
    state = state_of(plain)
    assert float(plain(batch_of(), state, 0.0, 1)[0]) == float(penalized(batch_of(), state, 0.0, 1)[0])


def test_a_single_time_step_has_no_change_to_penalize():
    plain, penalized = step_of(sequence_length=1), step_of(sequence_length=1, temporal_activation_reg=3.0)
    batch, state = batch_of(), state_of(plain)
    short = Batch(batch.inputs[:, :1], batch.targets[:, :1], is_first=False)
    expected = gradients_of(plain, short, state)
    for name, gradient in gradients_of(penalized, short, state).items():
        np.testing.assert_array_equal(gradient, expected[name])


def test_the_loss_is_the_mean_over_the_batch_of_the_model_before_the_step():
    step = step_of()
    batch, state = batch_of(), state_of(step)
    weights = {name: array.astype(np.float64) for name, array in step.model.get_named_weights().items()}
    loss, _ = step(batch, state, 0.1, 0)
    assert float(loss) == pytest.approx(loss_in_numpy(lstm_cell, weights, batch, state), rel=1e-5)
