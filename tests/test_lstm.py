"""The LSTM layer against `keras.layers.LSTM` with the same weights: outputs, states and every gradient."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import textgen.model.lstm
from textgen.model.lstm import LSTM, project

B, T, E, H = 3, 7, 5, 4
TOLERANCES = {"float32": 1e-5, "float64": 1e-12}  # of the largest number in the tensor compared


def draw(*shape: int, seed: int = 0, dtype: str = "float64") -> np.ndarray:
    return np.random.default_rng([seed, *shape]).normal(size=shape).astype(dtype)


def layer_pair(dtype: str = "float32", number: int = 0, **arguments) -> tuple[LSTM, keras.layers.LSTM]:
    """Our layer and Keras's as the stack's layer `number`, with the same random weights."""
    arguments = {"return_sequences": True, "return_state": True} | arguments
    pair = LSTM(H, dtype=dtype, **arguments), keras.layers.LSTM(H, dtype=dtype, **arguments)
    for layer in pair:
        layer.build((B, None, E if number == 0 else H))
        layer.set_weights([draw(*w.shape, seed=10 * number + n, dtype=dtype) for n, w in enumerate(layer.weights)])
    return pair


def stack_pair(num_layers: int, dtype: str) -> tuple[list, list]:
    pairs = [layer_pair(dtype, number) for number in range(num_layers)]
    return [ours for ours, _ in pairs], [keras_layer for _, keras_layer in pairs]


def everything(layers: list, inputs: tf.Tensor, states: list | None) -> dict[str, tf.Tensor]:
    """Outputs and last states of a stack, and the gradients of one loss that touches them all."""
    dtype = inputs.dtype
    given = [] if states is None else tf.nest.flatten(states)
    with tf.GradientTape() as tape:
        tape.watch([inputs, *given])
        outputs, results, loss = inputs, {}, tf.zeros([], dtype)
        for n, layer in enumerate(layers):
            outputs, hidden, memory = layer(outputs, initial_state=None if states is None else states[n])
            results |= {f"outputs.{n}": outputs, f"hidden.{n}": hidden, f"memory.{n}": memory}
        for n, tensor in enumerate(results.values()):
            loss += tf.reduce_sum(tensor * draw(*tensor.shape, seed=n, dtype=dtype.name))
    weights = [weight for layer in layers for weight in layer.trainable_variables]
    gradients = tape.gradient(loss, [inputs, *given, *(w.value for w in weights)])
    names = ["inputs", *(f"state.{n}" for n in range(len(given))), *(f"weight.{n}" for n in range(len(weights)))]
    return results | {f"gradient of {name}": g for name, g in zip(names, gradients, strict=True)}


def assert_same(actual: dict, expected: dict, tolerance: float) -> None:
    assert actual.keys() == expected.keys()
    for name, reference in expected.items():
        scale = np.abs(reference).max()
        assert scale > 0, name
        assert np.abs(actual[name] - reference).max() <= tolerance * scale, name


def check_against_keras(num_layers: int, dtype: str, with_state: bool, compiled: bool) -> None:
    ours, theirs = stack_pair(num_layers, dtype)
    inputs = tf.constant(draw(B, T, E, seed=5, dtype=dtype))
    states = [[tf.constant(draw(B, H, seed=n + part, dtype=dtype)) for part in (50, 60)] for n in range(num_layers)]
    states = states if with_state else None
    run = tf.function(everything, jit_compile=True, autograph=False) if compiled else everything
    assert_same(run(ours, inputs, states), everything(theirs, inputs, states), TOLERANCES[dtype])


@pytest.mark.parametrize("num_layers", [1, 2, 3])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("with_state", [False, True], ids=["from zero", "from a state"])
def test_outputs_states_and_gradients_are_those_of_keras(num_layers, dtype, with_state):
    check_against_keras(num_layers, dtype, with_state, compiled=False)


@pytest.mark.parametrize(
    ("num_layers", "dtype", "with_state"),
    [(1, "float32", True), (2, "float32", True), (3, "float32", False), (1, "float64", False), (2, "float64", True)],
)
def test_the_same_holds_under_xla(num_layers, dtype, with_state):
    check_against_keras(num_layers, dtype, with_state, compiled=True)


@pytest.mark.slow
@pytest.mark.parametrize("num_layers", [1, 2, 3])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("with_state", [False, True], ids=["from zero", "from a state"])
def test_every_case_holds_under_xla(num_layers, dtype, with_state):
    check_against_keras(num_layers, dtype, with_state, compiled=True)


def test_in_single_precision_the_gradients_are_those_of_keras_in_double():
    """Keras's own rounding is not the measure: its float64 layer is."""
    (ours, _), (_, theirs) = layer_pair("float32"), layer_pair("float64")
    inputs = draw(B, T, E, seed=5)
    theirs.set_weights([w.numpy().astype("float64") for w in ours.weights])
    single = inputs.astype("float32")
    expected = everything([theirs], tf.constant(single.astype("float64")), None)
    actual = everything([ours], tf.constant(single), None)
    assert_same({name: tensor.numpy().astype("float64") for name, tensor in actual.items()}, expected, 1e-5)


@pytest.mark.parametrize(
    "arguments",
    [
        {"activation": "relu"},
        {"recurrent_activation": "hard_sigmoid"},
        {"use_bias": False},
        {"recurrent_dropout": 0.5, "seed": 1},
        {"dropout": 0.5, "seed": 1},
        {"go_backwards": True},
        {"unroll": True},
    ],
    ids=lambda arguments: next(iter(arguments)),
)
def test_arguments_that_the_scan_does_not_cover_take_keras_own_path(arguments, monkeypatch):
    monkeypatch.setattr(textgen.model.lstm, "lstm_scan", forbidden)
    ours, theirs = layer_pair(**arguments)
    assert not ours.uses_scan()
    inputs = draw(B, T, E, dtype="float32")
    for mine, expected in zip(ours(inputs, training=True), theirs(inputs, training=True), strict=True):
        np.testing.assert_array_equal(mine, expected)


def test_a_mask_takes_keras_own_path(monkeypatch):
    monkeypatch.setattr(textgen.model.lstm, "lstm_scan", forbidden)
    ours, theirs = layer_pair()
    inputs, mask = draw(B, T, E, dtype="float32"), np.arange(T) < np.array([[T], [2], [5]])
    outputs = ours(inputs, mask=mask)
    assert not np.allclose(outputs[0], theirs(inputs)[0])
    for mine, expected in zip(outputs, theirs(inputs, mask=mask), strict=True):
        np.testing.assert_array_equal(mine, expected)


@pytest.mark.parametrize("shape", [[B, None, E], [None, T, E]], ids=["unknown length", "unknown batch"])
def test_an_unknown_shape_takes_keras_own_path(shape, monkeypatch):
    monkeypatch.setattr(textgen.model.lstm, "lstm_scan", forbidden)
    ours, theirs = layer_pair()
    inputs = draw(B, T, E, dtype="float32")
    traced = tf.function(lambda x: ours(x)[0], input_signature=[tf.TensorSpec(shape)], autograph=False)
    np.testing.assert_allclose(traced(inputs), theirs(inputs)[0], rtol=1e-5, atol=1e-6)


def test_the_plain_layer_is_scanned_on_a_cpu_and_left_to_keras_on_a_gpu(monkeypatch):
    ours, theirs = layer_pair()
    inputs = draw(B, T, E, dtype="float32")
    monkeypatch.setattr(textgen.model.lstm, "lstm_scan", forbidden)
    with pytest.raises(ScanCalledError):
        ours(inputs)
    monkeypatch.setattr(tf.config, "list_logical_devices", lambda kind=None: ["a GPU"])
    monkeypatch.setattr(tf.raw_ops, "CudnnRNNV3", no_such_kernel)  # so Keras falls back to its loop
    np.testing.assert_array_equal(ours(inputs)[0], theirs(inputs)[0])


def test_without_sequences_or_state_only_the_last_output_comes_back():
    ours, theirs = layer_pair(return_sequences=False, return_state=False)
    inputs = draw(B, T, E, dtype="float32")
    assert ours(inputs).shape == (B, H)
    np.testing.assert_allclose(ours(inputs), theirs(inputs), rtol=1e-5, atol=1e-6)


def test_a_stateful_layer_carries_its_state_as_keras_does():
    ours, theirs = layer_pair(stateful=True)
    for part in range(3):
        inputs = draw(B, T, E, seed=part, dtype="float32")
        np.testing.assert_allclose(ours(inputs)[0], theirs(inputs)[0], rtol=1e-5, atol=1e-6)


def test_the_layer_works_inside_a_functional_model():
    ours, theirs = layer_pair()
    symbolic = keras.Input((T, E))
    model = keras.Model(symbolic, ours(symbolic)[0])
    inputs = draw(B, T, E, dtype="float32")
    np.testing.assert_allclose(model(inputs), theirs(inputs)[0], rtol=1e-5, atol=1e-6)


def test_the_config_makes_an_equal_layer():
    ours, _ = layer_pair()
    copy = LSTM.from_config(ours.get_config())
    copy.build((None, None, E))
    copy.set_weights(ours.get_weights())
    inputs = draw(B, T, E, dtype="float32")
    assert copy.get_config() == ours.get_config()
    np.testing.assert_array_equal(copy(inputs)[0], ours(inputs)[0])


def test_keras_finds_the_class_by_its_registered_name():
    copy = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(LSTM(H)))
    assert type(copy) is LSTM
    assert copy.units == H


def test_the_defaults_are_those_that_cudnn_takes():
    layer = LSTM(H)
    assert layer.activation is keras.activations.tanh
    assert layer.recurrent_activation is keras.activations.sigmoid
    assert layer.use_bias
    assert layer.use_cudnn == "auto"
    assert not layer.recurrent_dropout
    assert not layer.unroll
    assert layer.uses_scan()


def test_project_is_x_w_plus_b_over_any_leading_axes():
    inputs, kernel, bias = draw(2, 3, E), draw(E, 8), draw(8)
    np.testing.assert_allclose(project(tf.constant(inputs), kernel, bias), inputs @ kernel + bias, rtol=1e-13)
    np.testing.assert_allclose(project(tf.constant(inputs[0]), kernel, bias), inputs[0] @ kernel + bias, rtol=1e-13)


class ScanCalledError(Exception):
    pass


def forbidden(*_arguments):
    raise ScanCalledError


def no_such_kernel(**_arguments):
    raise tf.errors.NotFoundError(None, None, "no cuDNN here")
