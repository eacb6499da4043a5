"""The scan against its equations: by hand, against plain NumPy, and its gradient against finite differences."""

import math

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from textgen.model import scan as scan_module
from textgen.model.scan import columns_from_units, lstm_scan


@pytest.fixture(autouse=True, scope="module", params=[1, 10**6], ids=["columns", "rows"])
def both_layouts(request):
    """Every test sees a stream as a column, and as a row."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scan_module, "columns_from_units", lambda: request.param)
        yield


@pytest.mark.parametrize(("cache", "expected"), [(0, 512), (512 << 10, 512), ((1 << 20) - 1, 512), (1 << 20, 1024)])
def test_how_large_a_layer_is_turned_depends_on_the_cache(cache, expected, monkeypatch):
    monkeypatch.setattr(scan_module, "second_level_cache", lambda: cache)
    assert columns_from_units() == expected


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def reference(projected, recurrent_kernel, hidden, memory):
    """The LSTM's equations, one after the other, in float64."""
    hiddens = []
    for row in projected:
        i, f, g, o = np.split(row + hidden @ recurrent_kernel, 4, axis=-1)
        memory = sigmoid(f) * memory + sigmoid(i) * np.tanh(g)
        hidden = sigmoid(o) * np.tanh(memory)
        hiddens.append(hidden)
    return np.stack(hiddens), hidden, memory


def arguments(T: int, B: int, H: int, seed: int = 0, scale: float = 1.0) -> list[np.ndarray]:
    draw = np.random.default_rng(seed)
    shapes = ((T, B, 4 * H), (H, 4 * H), (B, H), (B, H))
    return [draw.normal(size=shape) * scale for shape in shapes]


def scan(*arrays: np.ndarray):
    return lstm_scan(*(tf.constant(array) for array in arrays))


def test_one_unit_by_hand():
    """Gates of one half and a candidate of one half: c = c/2 + 1/4, h = tanh(c)/2."""
    half = math.atanh(0.5)
    projected = np.tile([0.0, 0.0, half, 0.0], (3, 1, 1))
    hiddens, hidden, memory = scan(projected, np.zeros((1, 4)), np.zeros((1, 1)), np.ones((1, 1)))
    memories = [0.75, 0.625, 0.5625]
    np.testing.assert_allclose(np.ravel(hiddens), [math.tanh(c) / 2 for c in memories], rtol=1e-15)
    assert hidden.numpy() == pytest.approx(math.tanh(0.5625) / 2, rel=1e-15)
    assert memory.numpy() == pytest.approx(0.5625, rel=1e-15)


def test_the_gates_stand_in_the_order_input_forget_candidate_output():
    """A gate that is wide open or shut shows itself; the memory cell begins at one half."""
    open_, shut, one = 40.0, -40.0, 20.0
    for gates, memory in {
        (open_, shut, one, open_): 1.0,  # all that is new, nothing that was
        (shut, open_, one, open_): 0.5,  # nothing new, all that was
        (open_, open_, one, open_): 1.5,
    }.items():
        hiddens, _, last = scan(np.array([[gates]]), np.zeros((1, 4)), np.zeros((1, 1)), np.full((1, 1), 0.5))
        assert float(last[0, 0]) == pytest.approx(memory, abs=1e-12)
        assert float(hiddens[0, 0, 0]) == pytest.approx(math.tanh(memory), abs=1e-12)
    hiddens, _, _ = scan(np.array([[[open_, open_, one, shut]]]), np.zeros((1, 4)), np.zeros((1, 1)), np.ones((1, 1)))
    assert float(hiddens[0, 0, 0]) == pytest.approx(0.0, abs=1e-12)


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 6), st.integers(1, 4), st.integers(1, 5), st.integers(0, 2**32 - 1), st.floats(0.01, 5))
def test_any_shape_and_scale_agrees_with_numpy(T, B, H, seed, scale):
    given_arrays = arguments(T, B, H, seed, scale)
    for ours, expected in zip(scan(*given_arrays), reference(*given_arrays), strict=True):
        np.testing.assert_allclose(ours, expected, rtol=1e-9, atol=1e-12)


def test_the_gradient_of_every_argument_agrees_with_finite_differences():
    given_arrays = arguments(T=4, B=2, H=3, seed=1)
    probes = arguments(T=4, B=2, H=3, seed=2)
    probes = [probes[0][..., :3], probes[2], probes[3]]  # the shapes of the three results

    def loss_in_numpy(arrays):
        return sum(float((result * probe).sum()) for result, probe in zip(reference(*arrays), probes, strict=True))

    tensors = [tf.constant(array) for array in given_arrays]
    with tf.GradientTape() as tape:
        tape.watch(tensors)
        loss = sum(tf.reduce_sum(r * p) for r, p in zip(lstm_scan(*tensors), probes, strict=True))
    for number, gradient in enumerate(tape.gradient(loss, tensors)):
        expected = np.zeros_like(given_arrays[number])
        for index in np.ndindex(expected.shape):
            sides = []
            for change in (1e-6, -1e-6):
                arrays = [array.copy() for array in given_arrays]
                arrays[number][index] += change
                sides.append(loss_in_numpy(arrays))
            expected[index] = (sides[0] - sides[1]) / 2e-6
        np.testing.assert_allclose(gradient, expected, rtol=1e-6, atol=1e-8)


def test_a_loss_on_one_result_alone_has_a_gradient():
    """What is not used in the loss arrives as zeros, not as nothing."""
    tensors = [tf.constant(array) for array in arguments(T=3, B=2, H=2)]
    for used in range(3):
        with tf.GradientTape() as tape:
            tape.watch(tensors)
            loss = tf.reduce_sum(lstm_scan(*tensors)[used])
        for gradient, tensor in zip(tape.gradient(loss, tensors), tensors, strict=True):
            assert gradient.shape == tensor.shape
            assert np.abs(gradient).max() > 0


def test_saturated_gates_give_finite_results_and_gradients():
    arrays = [array.astype(np.float32) for array in arguments(T=3, B=2, H=2, scale=1e4)]
    tensors = [tf.constant(array) for array in arrays]
    with tf.GradientTape() as tape:
        tape.watch(tensors)
        results = lstm_scan(*tensors)
    gradients = tape.gradient(results, tensors)
    assert all(np.isfinite(tensor).all() for tensor in [*results, *gradients])
    assert np.abs(results[0]).max() <= 1


def test_one_long_scan_is_two_short_ones_with_the_state_carried_over():
    projected, kernel, hidden, memory = arguments(T=6, B=2, H=3)
    whole = scan(projected, kernel, hidden, memory)
    first = scan(projected[:2], kernel, hidden, memory)
    second = scan(projected[2:], kernel, *(part.numpy() for part in first[1:]))
    np.testing.assert_allclose(np.concatenate([first[0], second[0]]), whole[0], rtol=1e-14)
    np.testing.assert_allclose(second[2], whole[2], rtol=1e-14)
