"""The LSTM layer against `keras.layers.LSTM` with the same weights: outputs, states and every gradient."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import textgen.model.lstm
from textgen.model.lstm import LSTM

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
        layer.set_weights([draw(*w.shape, seed=10 * number + n) for n, w in enumerate(layer.weights)])
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


def traced_outputs(shape: list, layer: LSTM, inputs: np.ndarray) -> tf.Tensor:
    return tf.function(lambda x: layer(x)[0], input_signature=[tf.TensorSpec(shape)], autograph=False)(inputs)


def test_an_unknown_number_of_time_steps_takes_keras_own_path(monkeypatch):
    monkeypatch.setattr(textgen.model.lstm, "lstm_scan", forbidden)
    ours, theirs = layer_pair()
    inputs = draw(B, T, E, dtype="float32")
    np.testing.assert_allclose(traced_outputs([B, None, E], ours, inputs), theirs(inputs)[0], rtol=1e-5, atol=1e-6)


def test_an_unknown_batch_is_scanned(monkeypatch):
    ours, theirs = layer_pair()
    inputs = draw(B, T, E, dtype="float32")
    np.testing.assert_allclose(traced_outputs([None, T, E], ours, inputs), theirs(inputs)[0], rtol=1e-5, atol=1e-6)
    monkeypatch.setattr(textgen.model.lstm, "lstm_scan", forbidden)
    with pytest.raises(ScanCalledError):
        traced_outputs([None, T, E], ours, inputs)


def test_a_model_with_the_layer_is_fitted_as_with_keras_own():
    """`fit` traces its step for batches of any size."""
    inputs, targets = draw(2 * B + 1, T, E, dtype="float32"), draw(2 * B + 1, T, H, dtype="float32")
    fitted = []
    for layer in layer_pair(return_state=False):
        model = keras.Sequential([keras.Input((T, E)), layer])
        model.compile(keras.optimizers.SGD(0.1), "mse")
        model.fit(inputs, targets, batch_size=B, epochs=2, shuffle=False, verbose=0)
        fitted.append(layer.get_weights())
    for mine, expected in zip(*fitted, strict=True):
        np.testing.assert_allclose(mine, expected, rtol=1e-4, atol=1e-6)


def test_asking_for_cudnn_where_there_is_none_is_refused_as_by_keras():
    for layer in layer_pair(use_cudnn=True):
        with pytest.raises(ValueError, match="use_cudnn=True was specified"):
            layer(draw(B, T, E, dtype="float32"))


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision_gives_keras_types_and_nearly_its_numbers(policy):
    ours, theirs = layer_pair(dtype=keras.DTypePolicy(policy))
    inputs = draw(B, T, E, dtype="float32")
    for mine, expected in zip(ours(inputs), theirs(inputs), strict=True):
        assert mine.dtype == expected.dtype
        np.testing.assert_allclose(tf.cast(mine, tf.float32), tf.cast(expected, tf.float32), rtol=0, atol=0.05)


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


# ---- as the language model calls it


def test_project_is_x_w_plus_b_over_any_leading_axes():
    layer, inputs = layer_pair("float64")[0], draw(2, 3, E)
    expected = inputs @ layer.cell.kernel.numpy() + layer.cell.bias.numpy()
    np.testing.assert_allclose(layer.project(tf.constant(inputs)), expected, rtol=1e-13)
    np.testing.assert_allclose(layer.project(tf.constant(inputs[0])), expected[0], rtol=1e-13)


def test_calling_the_layer_runs_what_the_language_model_runs():
    layer = layer_pair()[0]
    inputs, state = draw(B, T, E, dtype="float32"), [draw(B, H, seed=n, dtype="float32") for n in (1, 2)]
    outputs, *last = layer(inputs, initial_state=state)
    hiddens, new_state = layer.run(layer.project(inputs.transpose(1, 0, 2)), [tf.constant(part) for part in state])
    np.testing.assert_array_equal(outputs, tf.transpose(hiddens, [1, 0, 2]))
    np.testing.assert_array_equal(last, new_state)


@pytest.mark.parametrize("masked", [False, True])
def test_run_is_the_same_with_the_scan_and_with_keras_own_loop(masked, monkeypatch):
    layer, mask = layer_pair()[0], tf.constant(np.random.default_rng(0).integers(3, size=(H, 4 * H)), tf.float32)
    inputs, state = draw(T, B, E, dtype="float32"), [draw(B, H, seed=n, dtype="float32") for n in (1, 2)]
    results = []
    for scans in (True, False):
        monkeypatch.setattr(LSTM, "uses_scan", lambda layer, mask=None, scans=scans: scans)
        hiddens, new_state = layer.run(layer.project(inputs), state, mask if masked else None)
        results.append([hiddens, *new_state])
    for scanned, looped in zip(*results, strict=True):
        np.testing.assert_allclose(scanned, looped, rtol=1e-5, atol=1e-6)


def test_cudnn_is_given_the_masked_recurrent_kernel(monkeypatch):
    layer, mask = layer_pair()[0], np.random.default_rng(0).integers(2, size=(H, 4 * H)).astype(np.float32)
    asked = []
    monkeypatch.setattr(tf.config, "list_logical_devices", lambda kind=None: ["a GPU"])
    monkeypatch.setattr(tf.raw_ops, "CudnnRNNV3", lambda **given: asked.append(given) or no_such_kernel())
    assert not layer.folds(1, 1000)
    layer.run(layer.project(draw(T, B, E, dtype="float32")), [tf.zeros([B, H])] * 2, mask)
    (given,) = asked
    kernel, recurrent_kernel, bias = layer.get_weights()
    gates = [*np.split(kernel, 4, axis=1), *np.split(recurrent_kernel * mask, 4, axis=1)]
    expected = np.concatenate([*(gate.T.ravel() for gate in gates), np.zeros(4 * H), bias])
    np.testing.assert_array_equal(given["params"], expected.astype(np.float32))
    assert (given["rnn_mode"], given["is_training"]) == ("lstm", True)
    assert given["input"].shape == (B, T, E)


class ScanCalledError(Exception):
    pass


def forbidden(*_arguments):
    raise ScanCalledError


def no_such_kernel(**_arguments):
    raise tf.errors.NotFoundError(None, None, "no cuDNN here")
