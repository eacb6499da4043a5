"""The network as a whole: shapes, the state it hands on, its weights' names, its twin in NumPy, its dropout masks."""

import re

import keras
import numpy as np
import pytest
import tensorflow as tf
from conftest import model_config, random_weights, training_config
from hypothesis import given, settings
from hypothesis import strategies as st
from reference_model import ReferenceModel

import textgen.model.language_model
from textgen.config import ModelConfig
from textgen.generation.numpy_engine import NumpyEngine
from textgen.model.language_model import build_model
from textgen.model.lstm import LSTM
from textgen.model.negatives import NegativeSampler
from textgen.model.noise import Noise, draw_noise
from textgen.model.output import MAX_LOGITS, losses_in_blocks
from textgen.store import model_directory

CELLS = ("lstm", "gru", "rnn")
V = 11


def config_of(cell: str = "lstm", num_layers: int = 2, **shape) -> ModelConfig:
    shape = {"vocabulary_size": V, "embedding_size": 5, "units": 7} | shape
    return model_config(cell=cell, num_layers=num_layers, **shape)


def model_of(config: ModelConfig, seed: int = 0):
    """A model with random weights that is sure of itself."""
    model = build_model(config)
    model.set_named_weights(random_weights(config, seed))
    return model


def random_ids(B: int, T: int, vocabulary_size: int = V) -> np.ndarray:
    return np.random.default_rng([B, T]).integers(vocabulary_size, size=(B, T)).astype(np.int32)


def as_bytes(weights: dict[str, np.ndarray]) -> dict[str, bytes]:
    return {name: array.tobytes() for name, array in weights.items()}


# ---- logits and state


@pytest.mark.parametrize("cell", CELLS)
def test_every_position_gets_a_logit_for_every_token(cell):
    logits, state = model_of(config_of(cell))(random_ids(3, 4))
    assert logits.shape == (3, 4, V)
    assert logits.dtype == tf.float32
    parts = 2 if cell == "lstm" else 1
    assert [[tuple(t.shape) for t in layer] for layer in state] == [[(3, 7)] * parts] * 2


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("num_layers", [1, 2, 3])
def test_two_calls_with_the_state_carried_over_equal_one_long_call(cell, num_layers):
    model, ids = model_of(config_of(cell, num_layers)), random_ids(2, 9)
    whole, last = model(ids)
    first, state = model(ids[:, :4])
    second, state = model(ids[:, 4:], state)
    np.testing.assert_allclose(np.concatenate([first, second], axis=1), whole, rtol=1e-4, atol=1e-5)
    for carried, expected in zip(tf.nest.flatten(state), tf.nest.flatten(last), strict=True):
        np.testing.assert_allclose(carried, expected, rtol=1e-4, atol=1e-5)
    forgetful, _ = model(ids[:, 4:])
    assert not np.allclose(forgetful, whole[:, 4:], rtol=1e-2, atol=1e-2)


def test_a_position_sees_nothing_that_comes_after_it():
    model, ids = model_of(config_of()), random_ids(2, 6)
    changed = ids.copy()
    changed[:, 4:] = (changed[:, 4:] + 1) % V
    before, after = model(ids)[0], model(changed)[0]
    np.testing.assert_allclose(before[:, :4], after[:, :4], rtol=1e-5)
    assert not np.allclose(before[:, 4:], after[:, 4:])


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("num_layers", [1, 2, 3])
def test_the_numpy_engine_gives_the_same_logits(cell, num_layers):
    config = config_of(cell, num_layers)
    weights, ids = random_weights(config), random_ids(3, 12)
    engine = NumpyEngine(config, weights)
    state = np.zeros((2, num_layers, 3, config.units), np.float32)
    expected = engine.logits(engine.run(ids.T, *state)).transpose(1, 0, 2)
    model = build_model(config)
    model.set_named_weights(weights)
    np.testing.assert_allclose(model(ids)[0], expected, rtol=0, atol=1e-4)
    assert expected.std() > 0.1


@pytest.mark.parametrize("cell", CELLS)
def test_the_losses_are_the_cross_entropy_of_the_logits(cell):
    model, ids, targets = model_of(config_of(cell)), random_ids(3, 6), random_ids(3, 6)[::-1]
    noise = noise_of(model.config, dropout=0.3, weight_drop=0.3, batch_size=3)
    zero = model.zero_state(3)
    losses, state = model.losses(ids.T, np.ascontiguousarray(targets.T), zero, noise)
    logits, expected_state = model(ids, zero, noise)
    expected = tf.nn.sparse_softmax_cross_entropy_with_logits(np.ascontiguousarray(targets), logits)
    np.testing.assert_allclose(losses, tf.transpose(expected), rtol=1e-5, atol=1e-6)
    for found, wanted in zip(tf.nest.flatten(state), tf.nest.flatten(expected_state), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)


# ---- tied: tokens are scored with their embeddings


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("units", [5, 7], ids=["sizes agree", "projection"])
def test_a_tied_model_gives_the_logits_of_the_float64_reference(cell, units):
    config = config_of(cell, units=units, tied=True)
    weights, ids = random_weights(config), random_ids(1, 12)
    expected, _ = ReferenceModel(config, weights).read(ids[0])
    np.testing.assert_allclose(model_of(config)(ids)[0][0], expected, rtol=0, atol=1e-4)
    assert ("output.projection" in weights) == (units != 5)
    assert "output.kernel" not in weights


@pytest.mark.parametrize("units", [5, 7], ids=["sizes agree", "projection"])
def test_the_embedding_of_a_tied_model_learns_from_both_its_uses(units):
    """Its gradient is the sum of those of an untied model with the same values in both places."""
    tied, untied = config_of(units=units, tied=True), config_of(units=units)
    weights, ids = random_weights(tied), random_ids(2, 6)
    projection = weights.get("output.projection", np.eye(units, dtype=np.float32))
    twin, model = build_model(untied), build_model(tied)
    model.set_named_weights(weights)
    twin.set_named_weights(weights | {"output.kernel": projection @ weights["embedding"].T})
    logits, gradients = logits_and_gradients(model, ids)
    expected_logits, expected = logits_and_gradients(twin, ids)
    np.testing.assert_allclose(logits, expected_logits, rtol=1e-4, atol=1e-5)
    from_output = expected[list(twin.named_weights()).index("output.kernel")].T @ projection
    np.testing.assert_allclose(gradients[0], expected[0] + from_output, rtol=1e-4, atol=1e-4)
    assert np.abs(from_output).max() > 0.05


# ---- a large vocabulary


@pytest.mark.parametrize("shape", [{}, {"tied": True}, {"tied": True, "units": 5}], ids=str)
def test_losses_in_blocks_are_those_of_all_logits_at_once(shape, monkeypatch):
    model = model_of(config_of(**shape))
    ids, targets = random_ids(3, 6).T, random_ids(3, 7)[:, 1:].T
    zero = model.zero_state(3)
    expected, expected_state = model.losses(ids, targets, zero)
    calls = []
    monkeypatch.setattr(textgen.model.language_model, "MAX_LOGITS", 6 * 3 * V - 1)
    monkeypatch.setattr(textgen.model.language_model, "losses_in_blocks", counted(losses_in_blocks, calls))
    losses, state = model.losses(ids, targets, zero)
    assert len(calls) == 1
    np.testing.assert_allclose(losses, expected, rtol=1e-5, atol=1e-6)
    for found, wanted in zip(tf.nest.flatten(state), tf.nest.flatten(expected_state), strict=True):
        np.testing.assert_array_equal(found, wanted)


def counted(function, calls: list):
    def call(*arguments):
        calls.append(arguments)
        return function(*arguments)

    return call


@pytest.mark.parametrize("shape", [{}, {"tied": True}, {"tied": True, "units": 5}], ids=str)
def test_losses_against_a_sample_of_all_tokens_are_exact(shape):
    model = model_of(config_of(**shape))
    ids, targets = random_ids(3, 6).T, random_ids(3, 7)[:, 1:].T
    zero = model.zero_state(3)
    negatives = NegativeSampler(np.arange(V), V, seed=0).draw(0)
    losses, _ = model.losses(ids, targets, zero, negatives=negatives)
    np.testing.assert_allclose(losses, model.losses(ids, targets, zero)[0], rtol=1e-5, atol=1e-5)


def test_the_largest_vocabulary_is_validated_without_all_its_logits():
    """100,000 tokens and 4,096 positions would be 1.6 GB of logits."""
    model = build_model(model_config(vocabulary_size=100_000, embedding_size=4, units=4, num_layers=1, tied=True))
    compiled = tf.function(model.losses, jit_compile=True, autograph=False)
    ids = np.zeros((128, 32), np.int32)
    text = compiled.experimental_get_compiler_ir(ids, ids, model.zero_state(32), None, None, None)(
        stage="optimized_hlo"
    )
    shapes = [[int(size) for size in shape.split(",")] for shape in re.findall(r"\bf32\[([\d,]+)\]", text)]
    with_logits = [shape for shape in shapes if shape[-1] == 100_000 and len(shape) > 1]
    assert with_logits
    assert max(np.prod(shape) for shape in shapes) <= MAX_LOGITS


# ---- the embedding table is projected once where that is less work


def logits_and_gradients(model, ids):
    with tf.GradientTape() as tape:
        logits, _ = model(ids)
        probe = np.sin(np.arange(ids.size * V, dtype=np.float32)).reshape(*ids.shape, V)
        loss = tf.reduce_sum(logits * probe)
    gradients = tape.gradient(loss, [variable.value for variable in model.trainable_variables])
    return logits, [tf.convert_to_tensor(gradient).numpy() for gradient in gradients]


def test_folding_the_embedding_changes_neither_logits_nor_gradients(monkeypatch):
    """A vocabulary larger than the batch keeps the same model from folding: the extra tokens never occur."""
    small, large = config_of(), config_of(vocabulary_size=50)
    ids = random_ids(3, 40)
    rows = []
    monkeypatch.setattr(LSTM, "project", recording(rows))
    folded, plain = model_of(small), build_model(large)
    weights = folded.get_named_weights()
    plain.set_named_weights(
        weights
        | {
            "embedding": np.pad(weights["embedding"], ((0, 39), (0, 0))),
            "output.kernel": np.pad(weights["output.kernel"], ((0, 0), (0, 39))),
            "output.bias": np.pad(weights["output.bias"], (0, 39)),
        }
    )
    logits, gradients = logits_and_gradients(folded, ids)
    assert rows[0] == (V, 5)  # the table
    rows.clear()
    plain.logits = with_first_columns(plain.logits)
    expected_logits, expected_gradients = logits_and_gradients(plain, ids)
    assert rows[0] == (40, 3, 5)  # the positions
    np.testing.assert_allclose(logits, expected_logits, rtol=1e-5, atol=1e-5)
    for gradient, expected in zip(gradients, expected_gradients, strict=True):
        unused = [slice(0, size) for size in gradient.shape]
        assert np.abs(gradient).max() > 0
        np.testing.assert_allclose(gradient, expected[tuple(unused)], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("V", "positions", "folded"), [(65, 1024, True), (5387, 8192, False), (300, 1024, False), (300, 8192, True)]
)
def test_the_table_is_projected_where_that_is_less_arithmetic(V, positions, folded):
    """Of 128 numbers an embedding; Chinese characters are too many."""
    rows, model = [], build_model(config_of(vocabulary_size=V, embedding_size=128))
    ids = np.zeros((positions, 1), np.int32)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(LSTM, "project", recording(rows))
        tf.function(model.hidden_states).get_concrete_function(ids, model.zero_state(1), None)
    assert rows[0] == ((V, 128) if folded else (positions, 1, 128))


def recording(rows: list):
    original = LSTM.project

    def record(layer, sequences):
        rows.append(tuple(sequences.shape))
        return original(layer, sequences)

    return record


def with_first_columns(logits):
    return lambda hiddens: logits(hiddens)[..., :V]


# ---- weights


def test_the_same_seed_draws_the_same_weights_and_another_seed_others():
    first, again, other = (build_model(config_of(), seed).get_named_weights() for seed in (3, 3, 4))
    assert as_bytes(first) == as_bytes(again)
    drawn = [name for name in first if not name.endswith("bias")]
    assert all(first[name].tobytes() != other[name].tobytes() for name in drawn)


@pytest.mark.parametrize("tied", [False, True])
def test_a_model_that_knows_the_counts_begins_by_predicting_them(tied):
    counts, config = np.array([90, 9, 0, 40] + [5] * (V - 4)), config_of(tied=tied)
    model = build_model(config, token_counts=counts)
    model.set_named_weights(model.get_named_weights() | {"embedding": np.zeros((V, 5), np.float32)})
    probabilities = tf.nn.softmax(model.logits(tf.zeros([1, 7])))[0]
    np.testing.assert_allclose(probabilities, (counts + 1) / (counts + 1).sum(), rtol=1e-5)
    others = build_model(config).get_named_weights()
    assert not others["output.bias"].any()
    same = [name for name in others if name != "output.bias"]
    begun = build_model(config, token_counts=counts).get_named_weights()
    assert all(begun[name].tobytes() == others[name].tobytes() for name in same)


def test_no_two_layers_start_with_the_same_weights():
    weights = build_model(config_of(num_layers=3, embedding_size=7)).get_named_weights()
    drawn = [array.tobytes() for name, array in weights.items() if not name.endswith("bias")]
    assert len(set(drawn)) == len(drawn) == 8


@pytest.mark.parametrize("cell", CELLS)
def test_the_recurrent_weights_start_as_orthogonal_rows(cell):
    """What is carried through time keeps its length at first."""
    weights = build_model(config_of(cell)).get_named_weights()
    for index in range(2):
        kernel = weights[f"layers.{index}.recurrent_kernel"]
        np.testing.assert_allclose(kernel @ kernel.T, np.eye(7), rtol=0, atol=1e-5)


@pytest.mark.parametrize("cell", CELLS)
def test_the_recurrent_weights_may_start_as_uniform_noise(cell):
    config = config_of(cell, units=60)
    weights = build_model(config, recurrent_initializer="glorot").get_named_weights()
    for index in range(2):
        kernel = weights[f"layers.{index}.recurrent_kernel"]
        limit = np.sqrt(6 / sum(kernel.shape))
        assert 0.99 * limit < np.abs(kernel).max() <= limit
        assert kernel.std() == pytest.approx(limit / np.sqrt(3), rel=0.05)
    others = build_model(config).get_named_weights()
    changed = {name for name in weights if weights[name].tobytes() != others[name].tobytes()}
    assert changed == {name for name in weights if name.endswith("recurrent_kernel")}


def test_the_forget_gate_starts_open():
    bias = build_model(config_of(units=2, num_layers=1)).get_named_weights()["layers.0.bias"]
    assert bias.tolist() == [0, 0, 1, 1, 0, 0, 0, 0]


@pytest.mark.parametrize("forget_bias", [0.0, -2.0, 3.5])
def test_the_forget_gate_starts_as_open_as_it_is_told(forget_bias):
    config = config_of(units=2, num_layers=2)
    weights, others = build_model(config, forget_bias=forget_bias).get_named_weights(), build_model(config)
    for index in range(2):
        assert weights[f"layers.{index}.bias"].tolist() == [0, 0, forget_bias, forget_bias, 0, 0, 0, 0]
    same = {name: array for name, array in others.get_named_weights().items() if not name.startswith("layers")}
    assert all(weights[name].tobytes() == array.tobytes() for name, array in same.items())


@pytest.mark.parametrize("cell", ["gru", "rnn"])
def test_a_cell_without_a_forget_gate_starts_without_a_bias(cell):
    weights = build_model(config_of(cell), forget_bias=3.0).get_named_weights()
    assert not any(weights[f"layers.{index}.bias"].any() for index in range(2))


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("num_layers", [1, 3])
@pytest.mark.parametrize("shape", [{}, {"tied": True}, {"tied": True, "units": 5}], ids=str)
def test_names_and_shapes_are_those_of_a_weights_file(cell, num_layers, shape):
    config = config_of(cell, num_layers, **shape)
    model = build_model(config)
    shapes = {name: tuple(variable.shape) for name, variable in model.named_weights().items()}
    assert shapes == model_directory.weight_shapes(config)
    assert list(shapes) == list(model_directory.weight_shapes(config))
    assert len(shapes) == len(model.trainable_variables)
    assert sum(np.prod(shape) for shape in shapes.values()) == model_directory.num_parameters(config)


@pytest.mark.parametrize("cell", CELLS)
def test_named_weights_survive_a_round_trip(cell):
    config = config_of(cell)
    weights, model = random_weights(config), build_model(config)
    model.set_named_weights(weights)
    assert as_bytes(model.get_named_weights()) == as_bytes(weights)
    assert all(array.dtype == np.float32 for array in model.get_named_weights().values())


def test_the_weights_handed_out_are_copies():
    model = model_of(config_of())
    before = model.get_named_weights()
    kept = as_bytes(before)
    model.set_named_weights({name: array + 1 for name, array in before.items()})
    assert as_bytes(before) == kept


# ---- a GPU, which this machine need not have


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_with_a_gpu_keras_asks_for_its_cudnn_kernel_for_every_layer(cell, monkeypatch):
    """Keras decides by the layers' arguments; a kernel that is not there sends it back to its own loop."""
    asked = []

    def kernel(**arguments):
        asked.append(arguments["rnn_mode"])
        raise tf.errors.NotFoundError(None, None, "no cuDNN here")

    model, ids = model_of(config_of(cell, num_layers=3)), random_ids(2, 5)
    expected = model(ids)[0]
    monkeypatch.setattr(tf.config, "list_logical_devices", lambda kind=None: ["a GPU"])
    monkeypatch.setattr(tf.raw_ops, "CudnnRNNV3", kernel)
    logits, _ = model(ids)
    assert asked == [cell] * 3
    np.testing.assert_allclose(logits, expected, rtol=1e-4, atol=1e-5)


# ---- dropout


def noise_of(config: ModelConfig, seed: int = 0, step: int = 0, **rates) -> Noise:
    training = training_config(**{"dropout": 0.0, "state_reset": 0.0, "batch_size": 3, "seed": seed} | rates)
    return draw_noise(config, training, tf.constant(step))


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**31 - 1), st.integers(0, 2**30), st.sampled_from([0.05, 0.25, 0.5, 0.95]))
def test_masks_are_a_pure_function_of_seed_and_step(seed, step, rate):
    config = config_of(units=40)
    first, again = (noise_of(config, seed, step, dropout=rate, weight_drop=rate) for _ in range(2))
    tf.random.uniform([3])  # moves every generator that has a state
    assert [tuple(mask.shape) for mask in first.outputs] == [(3, 40)] * 2
    assert [tuple(mask.shape) for mask in first.recurrent] == [(40, 160)] * 2
    for mask, same in zip([*first.outputs, *first.recurrent], [*again.outputs, *again.recurrent], strict=True):
        assert mask.dtype == tf.float32
        assert set(np.unique(mask)) <= {np.float32(0), np.float32(1) / np.float32(1 - rate)}
        assert mask.numpy().tobytes() == same.numpy().tobytes()


def test_every_step_every_seed_and_every_layer_has_its_own_masks():
    config = config_of(units=50)
    noises = [noise_of(config, seed, step, dropout=0.5, weight_drop=0.5) for seed in (0, 1, 2) for step in (0, 1, 2, 3)]
    masks = {mask.numpy()[:3, :50].tobytes() for noise in noises for mask in (*noise.outputs, *noise.recurrent)}
    assert len(masks) == 3 * 4 * 2 * 2


@pytest.mark.parametrize("rate", [0.05, 0.3, 0.9])
def test_the_share_that_is_dropped_is_the_rate(rate):
    noise = noise_of(config_of(units=150), step=1, dropout=rate, weight_drop=rate, batch_size=300)
    for masks in (np.stack(noise.outputs), np.stack(noise.recurrent)):
        spread = np.sqrt(rate * (1 - rate) / masks.size)
        assert abs(np.mean(masks == 0) - rate) < 5 * spread
        assert abs(masks.mean() - 1) < 5 * spread / (1 - rate)  # what is kept is scaled up, so that the mean stays


def test_a_rate_of_zero_draws_no_masks():
    assert noise_of(config_of()) == Noise(None, None)
    assert noise_of(config_of(), dropout=0.5).recurrent is None
    assert noise_of(config_of(), weight_drop=0.5).outputs is None


@pytest.mark.parametrize("cell", CELLS)
def test_a_dropped_unit_is_dropped_at_every_time_step(cell):
    config = config_of(cell)
    model, ids = model_of(config), random_ids(3, 6)
    noise = noise_of(config, seed=1, step=4, dropout=0.5)
    hiddens, _ = model.hidden_states(ids.T, model.zero_state(3), noise)
    dropped = noise.outputs[-1].numpy() == 0
    assert dropped.any()
    assert not dropped.all()
    np.testing.assert_array_equal(hiddens.numpy() == 0, np.broadcast_to(dropped, hiddens.shape))


def test_each_layer_has_its_mask_and_the_carried_state_has_none():
    """With the first layer's outputs all dropped, the second reads zeros; the first layer's own state is untouched."""
    config = config_of()
    model, ids = model_of(config), random_ids(2, 5).T
    ones, zeros = tf.ones([2, config.units]), tf.zeros([2, config.units])
    plain_hiddens, plain_state = model.hidden_states(ids, model.zero_state(2))
    kept_hiddens, _ = model.hidden_states(ids, model.zero_state(2), Noise([ones, ones], None))
    np.testing.assert_array_equal(kept_hiddens, plain_hiddens)
    hiddens, state = model.hidden_states(ids, model.zero_state(2), Noise([zeros, ones], None))
    np.testing.assert_array_equal(state[0][0], plain_state[0][0])
    np.testing.assert_allclose(hiddens[:, 0], hiddens[:, 1], rtol=1e-6)
    assert not np.allclose(plain_hiddens[:, 0], plain_hiddens[:, 1])


@pytest.mark.parametrize("cell", CELLS)
def test_weight_drop_is_the_model_with_masked_recurrent_kernels(cell):
    config = config_of(cell)
    model, masked, ids = model_of(config), build_model(config), random_ids(3, 6)
    noise = noise_of(config, weight_drop=0.5)
    weights = model.get_named_weights()
    before = as_bytes(weights)
    for index, mask in enumerate(noise.recurrent):
        weights[f"layers.{index}.recurrent_kernel"] *= mask.numpy()
    masked.set_named_weights(weights)
    logits = model(ids, noise=noise)[0]
    np.testing.assert_allclose(logits, masked(ids)[0], rtol=1e-5, atol=1e-5)
    assert not np.allclose(logits, model(ids)[0], rtol=1e-2, atol=1e-2)
    assert as_bytes(model.get_named_weights()) == before


@pytest.mark.parametrize("cell", CELLS)
def test_a_dropped_weight_gets_no_gradient(cell):
    config = config_of(cell)
    model, ids = model_of(config), random_ids(3, 6)
    noise = noise_of(config, weight_drop=0.5)
    kernels = [layer.cell.recurrent_kernel.value for layer in model.recurrent]
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(model(ids, noise=noise)[0] ** 2)
    for gradient, mask in zip(tape.gradient(loss, kernels), noise.recurrent, strict=True):
        np.testing.assert_array_equal(gradient.numpy() == 0, mask.numpy() == 0)


# ---- against stock Keras, with and without masks


def stock_keras(weights: dict[str, tf.Tensor], config: ModelConfig, ids, targets, state, noise: Noise):
    """Loss and last states by `keras.layers.LSTM` alone, called with `weights` in place of its variables."""
    hidden, last = tf.gather(weights["embedding"], ids), []
    for index in range(config.num_layers):
        layer = keras.layers.LSTM(config.units, return_sequences=True, return_state=True)
        layer.build(hidden.shape)
        kernel, recurrent, bias = (weights[f"layers.{index}.{p}"] for p in ("kernel", "recurrent_kernel", "bias"))
        recurrent = recurrent * noise.recurrent[index] if noise.recurrent else recurrent
        unused = [variable.value for variable in layer.non_trainable_variables]
        outputs = layer.stateless_call([kernel, recurrent, bias], unused, hidden, initial_state=state[index])[0]
        hidden, last = outputs[0], [*last, list(outputs[1:])]
        hidden = hidden * noise.outputs[index][:, None] if noise.outputs else hidden
    logits = hidden @ weights["output.kernel"] + weights["output.bias"]
    return tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(targets, logits)), last


@pytest.mark.parametrize("num_layers", [1, 2, 3])
@pytest.mark.parametrize(
    "rates", [{}, {"dropout": 0.4}, {"weight_drop": 0.4}, {"dropout": 0.4, "weight_drop": 0.4}], ids=str
)
@pytest.mark.parametrize("from_zero", [True, False], ids=["from zero", "from a state"])
def test_losses_states_and_gradients_are_those_of_stock_keras(num_layers, rates, from_zero):
    config = config_of(num_layers=num_layers)
    model, ids, targets = model_of(config), random_ids(4, 6), random_ids(4, 7)[:, 1:]
    noise = noise_of(config, **({"batch_size": 4} | rates))
    draw = np.random.default_rng(1)
    state = model.zero_state(4)
    if not from_zero:
        state = [[tf.constant(draw.normal(size=(4, config.units)), tf.float32) for _ in layer] for layer in state]
    names, variables = zip(*((n, v.value) for n, v in model.named_weights().items()), strict=True)
    with tf.GradientTape() as tape:
        losses, last = model.losses(ids.T, np.ascontiguousarray(targets.T), state, noise)
        loss = tf.reduce_mean(losses)
    gradients = tape.gradient(loss, variables)
    weights = {name: tf.constant(variable) for name, variable in zip(names, variables, strict=True)}
    with tf.GradientTape() as tape:
        tape.watch(list(weights.values()))
        expected_loss, expected_last = stock_keras(weights, config, ids, targets, state, noise)
    expected = {name: tf.convert_to_tensor(g) for name, g in tape.gradient(expected_loss, weights).items()}
    np.testing.assert_allclose(loss, expected_loss, rtol=1e-5)
    for name, gradient in zip(names, gradients, strict=True):
        scale = np.abs(expected[name].numpy()).max()
        np.testing.assert_allclose(tf.convert_to_tensor(gradient) / scale, expected[name] / scale, rtol=0, atol=1e-5)
    for tensor, wanted in zip(tf.nest.flatten(last), tf.nest.flatten(expected_last), strict=True):
        np.testing.assert_allclose(tensor, wanted, rtol=1e-5, atol=1e-6)
