"""On a GPU: cuDNN computes what the scan computes on a CPU, with the same weights, in the layer and in whole steps."""

import contextlib

import numpy as np
import pytest
import tensorflow as tf
from conftest import make_stored_model, random_weights
from training_steps import batch_of, new_step, run

from textgen.config import ModelConfig
from textgen.generation.numpy_engine import NumpyEngine
from textgen.model.language_model import build_model
from textgen.model.lstm import LSTM
from textgen.training.step import TrainStep

pytestmark = pytest.mark.skipif(not tf.config.list_logical_devices("GPU"), reason="TensorFlow sees no GPU")
TOLERANCE = 1e-5  # of the largest number in the tensor compared
NOISE = {"dropout": 0.3, "weight_drop": 0.3, "input_dropout": 0.3, "embedding_dropout": 0.2}


@pytest.fixture(autouse=True)
def full_precision():
    """Without TF32, which rounds the operands of products to 11 bits."""
    before = tf.config.experimental.tensor_float_32_execution_enabled()
    tf.config.experimental.enable_tensor_float_32_execution(False)
    yield
    tf.config.experimental.enable_tensor_float_32_execution(before)


@contextlib.contextmanager
def on_the_cpu():
    """The scan, though the process sees a GPU."""
    with pytest.MonkeyPatch.context() as patch, tf.device("/CPU:0"):
        patch.setattr(LSTM, "uses_scan", lambda layer, mask=None: True)
        yield


def assert_close(actual: np.ndarray, expected: np.ndarray, name: str = "") -> None:
    np.testing.assert_allclose(actual, expected, rtol=0, atol=TOLERANCE * np.abs(expected).max(), err_msg=name)


def operations(step: TrainStep) -> set[str]:
    """The types of all operations in the traced step."""
    run(step, [batch_of()])
    graph = step._traced.graph.as_graph_def()
    nodes = [*graph.node, *(node for function in graph.library.function for node in function.node_def)]
    return {node.op for node in nodes}


def outputs_and_gradients(layer: LSTM, inputs: np.ndarray, state: list[np.ndarray]) -> dict[str, np.ndarray]:
    inputs, state = tf.constant(inputs), [tf.constant(part) for part in state]
    with tf.GradientTape() as tape:
        tape.watch([inputs, *state])
        results = layer(inputs, initial_state=state)
        loss = tf.add_n([tf.reduce_sum(tensor * tf.cos(tensor)) for tensor in results])
    sources = {"inputs": inputs, "hidden": state[0], "memory": state[1]}
    sources |= {weight.name: weight.value for weight in layer.trainable_variables}
    gradients = tape.gradient(loss, sources)
    everything = dict(zip(("outputs", "last hidden", "last memory"), results, strict=True))
    return {name: tensor.numpy() for name, tensor in (everything | gradients).items()}


@pytest.mark.parametrize("units", [4, 128])
def test_the_layer_computes_what_the_scan_computes(units):
    draw = np.random.default_rng(units)
    layer = LSTM(units, return_sequences=True, return_state=True)
    layer.build((5, None, 6))
    layer.set_weights([draw.normal(size=w.shape) * 0.3 for w in layer.weights])
    inputs = draw.normal(size=(5, 40, 6)).astype(np.float32)
    state = [draw.normal(size=(5, units)).astype(np.float32) * 0.3 for _ in range(2)]
    with on_the_cpu():
        expected = outputs_and_gradients(layer, inputs, state)
    actual = outputs_and_gradients(layer, inputs, state)
    assert len(actual) == 9
    for name, tensor in expected.items():
        assert_close(actual[name], tensor, name)


@pytest.mark.parametrize("cell", ["lstm", "gru"])
@pytest.mark.parametrize("noise", [{}, NOISE], ids=["plain", "with noise"])
def test_the_step_runs_on_cudnn_and_holds_no_loop(cell, noise):
    found = operations(new_step(cell, num_layers=2, **noise))
    assert {"CudnnRNNV3", "CudnnRNNBackpropV3"} <= found
    assert not {"While", "StatelessWhile"} & found


@pytest.mark.parametrize("noise", [{}, NOISE], ids=["plain", "with noise"])
@pytest.mark.parametrize("skip", [False, True], ids=["", "skip"])
def test_steps_change_the_weights_as_on_a_cpu(noise, skip):
    batches = [batch_of(number, is_first=number == 0) for number in range(5)]
    settings = {"num_layers": 2, "units": 8, "skip": skip, "clip_norm": 1.0, **noise}
    with on_the_cpu():
        expected_step = new_step(**settings)
        expected_losses = run(expected_step, batches)
    step = new_step(**settings)
    losses = run(step, batches)
    np.testing.assert_allclose(losses, expected_losses, rtol=TOLERANCE)
    before = random_weights(step.model.config)
    for name, weights in expected_step.model.get_named_weights().items():
        assert np.abs(weights - before[name]).max() > 1e-3, name
        # Adam divides by the gradient's size: where that is all rounding, so is the change.
        np.testing.assert_allclose(step.model.get_named_weights()[name], weights, atol=1e-4, rtol=0, err_msg=name)


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_the_numpy_engine_goes_on_with_what_a_gpu_computes(cell):
    stored = make_stored_model(cell, units=16)
    config: ModelConfig = stored.record.model
    model = build_model(config)
    weights = random_weights(config, scale=0.3)
    model.set_named_weights(weights)
    ids = np.random.default_rng(0).integers(config.vocabulary_size, size=30).astype(np.int32)
    logits, _ = model(ids[None])
    assert_close(NumpyEngine(config, weights).read(ids).logits, logits.numpy()[0, -1])
