"""One optimizer step: its gradient, clipping, weight decay, and that it is a function of what it is given."""

import functools

import numpy as np
import pytest
import tensorflow as tf
from conftest import random_weights

from textgen.config import ModelConfig, TrainingConfig
from textgen.dataset import Batch
from textgen.model.language_model import build_model
from textgen.model.noise import draw_noise
from textgen.training.step import TrainStep

B, T, V = 2, 4, 5
BETA_1 = 0.9  # Adam's: after one step its first moment is (1 - BETA_1) times the gradient


def new_step(
    cell: str = "lstm",
    *,
    compile_with_xla: bool = False,
    num_layers: int = 1,
    units: int = 3,
    tied: bool = False,
    skip: bool = False,
    **settings,
) -> TrainStep:
    """A step on a model with random weights; without dropout and clipping unless they are asked for."""
    settings = {"batch_size": B, "sequence_length": T, "dropout": 0.0, "clip_norm": 0.0} | settings
    shape = {"cell": cell, "embedding_size": 2, "units": units, "num_layers": num_layers, "tied": tied, "skip": skip}
    config = ModelConfig(vocabulary_size=V, **shape)
    model = build_model(config)
    model.set_named_weights(random_weights(config))
    counts = np.array([9, 5, 2, 1, 0])
    return TrainStep(model, TrainingConfig(**settings), compile_with_xla=compile_with_xla, token_counts=counts)


new_step_once = functools.cache(new_step)


def step_of(cell: str = "lstm", **settings) -> TrainStep:
    """The same as a new step, traced already if these settings were asked for before."""
    step = new_step_once(cell, **settings)
    step.model.set_named_weights(random_weights(step.model.config))
    step.set_step_count(0)
    for variable in step.slots().values():
        variable.assign(np.zeros(variable.shape, np.float32))
    return step


def batch_of(number: int = 0, *, is_first: bool = False) -> Batch:
    block = np.random.default_rng(number).integers(V, size=(B, T + 1)).astype(np.int32)
    return Batch(block[:, :-1], block[:, 1:], is_first)


def state_of(step: TrainStep, seed: int = 0) -> list[list[np.ndarray]]:
    draw = np.random.default_rng(seed)
    return [[draw.normal(size=t.shape).astype(np.float32) * 0.3 for t in layer] for layer in step.zero_state()]


def run(step: TrainStep, batches, rate: float = 0.01) -> list[float]:
    """The losses of one step for each batch, the state carried."""
    state, losses = step.zero_state(), []
    for number, batch in enumerate(batches):
        loss, state = step(batch, state, rate, number)
        losses.append(float(loss))
    return losses


def variables_of(step: TrainStep) -> dict[str, bytes]:
    variables = step.model.named_weights() | step.slots()
    return {name: variable.numpy().tobytes() for name, variable in variables.items()}


def gradients_of(step: TrainStep, batch: Batch, state, number: int = 0) -> dict[str, np.ndarray]:
    """What the optimizer was given, read off its first moments after one step from the beginning."""
    step(batch, state, 0.0, number)
    moments = [v for v in step.slots().values() if v.path.endswith("_momentum")]
    return {name: v.numpy() / (1 - BETA_1) for name, v in zip(step.model.named_weights(), moments, strict=True)}


def norm_of(gradients: dict[str, np.ndarray]) -> float:
    return float(np.sqrt(sum((gradient.astype(np.float64) ** 2).sum() for gradient in gradients.values())))


# ---- the gradient


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


def loss_in_numpy(cell, weights, batch, state, outputs_noise=None, recurrent_noise=None, *, skip=False) -> float:
    """The mean loss of a batch in float64, token by token, straight from the cells' equations."""
    state, losses = [[part.astype(np.float64) for part in layer] for layer in state], []
    for t in range(T):
        x, outputs = weights["embedding"][batch.inputs[:, t]], []
        for n in range(len(state)):
            kernel, recurrent_kernel, bias = (
                weights[f"layers.{n}.{p}"] for p in ("kernel", "recurrent_kernel", "bias")
            )
            if recurrent_noise is not None:
                recurrent_kernel = recurrent_kernel * recurrent_noise[n]
            state[n] = cell(x, state[n], kernel, recurrent_kernel, bias)
            x = state[n][0] if outputs_noise is None else state[n][0] * outputs_noise[n]
            outputs.append(x)
        if skip:
            x = np.concatenate(outputs, axis=1)
        if "output.projection" in weights:
            x = x @ weights["output.projection"]
        logits = x @ weights.get("output.kernel", weights["embedding"].T) + weights["output.bias"]
        right = np.take_along_axis(logits, batch.targets[:, t, None], axis=1)[:, 0]
        losses.append(np.log(np.exp(logits).sum(axis=1)) - right)
    return float(np.mean(losses))


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


@pytest.mark.parametrize(("cell", "equations"), [("lstm", lstm_cell), ("gru", gru_cell), ("rnn", rnn_cell)])
@pytest.mark.parametrize("noise", [False, True], ids=["plain", "dropout"])
def test_the_gradient_is_that_of_finite_differences(cell, equations, noise):
    step = step_of(cell, num_layers=2, **({"dropout": 0.3, "weight_drop": 0.3, "seed": 5} if noise else {}))
    batch, state = batch_of(), state_of(step)
    weights = {name: array.astype(np.float64) for name, array in step.model.get_named_weights().items()}
    drawn = draw_noise(step.model.config, step.config, tf.constant(3))
    masks = [None if kind is None else [mask.numpy() for mask in kind] for kind in drawn]
    expected = finite_differences(lambda w: loss_in_numpy(equations, w, batch, state, *masks), weights)
    found = gradients_of(step, batch, state, number=3)
    assert found.keys() == expected.keys()
    for name, gradient in expected.items():
        assert np.abs(gradient).max() > 1e-4, name
        np.testing.assert_allclose(found[name], gradient, rtol=1e-3, atol=2e-6, err_msg=name)


@pytest.mark.parametrize("units", [2, 3], ids=["sizes agree", "projection"])
def test_the_gradient_of_a_tied_model_is_that_of_finite_differences(units):
    step = step_of(num_layers=2, units=units, tied=True)
    batch, state = batch_of(), state_of(step)
    weights = {name: array.astype(np.float64) for name, array in step.model.get_named_weights().items()}
    expected = finite_differences(lambda w: loss_in_numpy(lstm_cell, w, batch, state), weights)
    found = gradients_of(step, batch, state)
    assert found.keys() == expected.keys()
    for name, gradient in expected.items():
        assert np.abs(gradient).max() > 1e-4, name
        np.testing.assert_allclose(found[name], gradient, rtol=1e-3, atol=2e-6, err_msg=name)


def test_the_loss_is_the_mean_over_the_batch_of_the_model_before_the_step():
    step = step_of()
    batch, state = batch_of(), state_of(step)
    weights = {name: array.astype(np.float64) for name, array in step.model.get_named_weights().items()}
    loss, _ = step(batch, state, 0.1, 0)
    assert float(loss) == pytest.approx(loss_in_numpy(lstm_cell, weights, batch, state), rel=1e-5)


# ---- what a step does


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_the_loss_of_a_repeated_batch_goes_down(cell):
    losses = run(step_of(cell), [batch_of(is_first=True)] * 60, rate=0.02)
    assert losses[-1] < 0.5 * losses[0]


def test_a_rate_of_zero_changes_no_weight():
    step = step_of(weight_decay=0.5)
    before = step.model.get_named_weights()
    run(step, [batch_of()], rate=0.0)
    after = step.model.get_named_weights()
    assert all(before[name].tobytes() == after[name].tobytes() for name in before)


def test_the_state_is_carried_and_forgotten_at_the_beginning_of_an_epoch():
    step = step_of()
    state = state_of(step)
    carried, new_state = step(batch_of(), state, 0.0, 0)
    from_zero, _ = step(batch_of(), step.zero_state(), 0.0, 0)
    first, _ = step(batch_of(is_first=True), state, 0.0, 0)
    assert float(carried) != pytest.approx(float(from_zero), rel=1e-4)
    assert float(first) == float(from_zero)
    _, expected = step.model(batch_of().inputs, [[tf.constant(part) for part in layer] for layer in state])
    for found, wanted in zip(tf.nest.flatten(new_state), tf.nest.flatten(expected), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)


def test_the_state_may_come_from_a_file():
    step = step_of()
    state = state_of(step)
    of_arrays, _ = step(batch_of(), state, 0.0, 0)
    of_tensors, _ = step(batch_of(), [[tf.constant(part) for part in layer] for layer in state], 0.0, 0)
    assert float(of_arrays) == float(of_tensors)


def test_a_gradient_longer_than_the_clip_norm_is_scaled_to_it_and_a_shorter_one_left_alone():
    plain = step_of()
    state = state_of(plain)
    whole = gradients_of(plain, batch_of(), state)
    assert 0.1 < norm_of(whole) < 10
    for clip_norm, expected_norm in ((0.02, 0.02), (10.0, norm_of(whole))):
        clipped = gradients_of(step_of(clip_norm=clip_norm), batch_of(), state)
        assert norm_of(clipped) == pytest.approx(expected_norm, rel=1e-4)
        for name in whole:  # one factor for all: the direction stays
            scaled = whole[name] * (expected_norm / norm_of(whole))
            np.testing.assert_allclose(clipped[name], scaled, rtol=1e-3, atol=1e-8)


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_weight_decay_pulls_on_matrices_only(cell):
    rate, decay = 0.02, 0.1
    plain, decaying = step_of(cell), step_of(cell, weight_decay=decay)
    start = plain.model.get_named_weights()
    for step in (plain, decaying):
        run(step, [batch_of()], rate)
    without, with_decay = plain.model.get_named_weights(), decaying.model.get_named_weights()
    for name, array in start.items():
        if name.endswith("bias"):
            assert with_decay[name].tobytes() == without[name].tobytes()
        else:
            np.testing.assert_allclose(with_decay[name] - without[name], -rate * decay * array, rtol=1e-2, atol=1e-6)


# ---- against a sample of the tokens


@pytest.mark.parametrize("tied", [False, True], ids=["untied", "tied"])
def test_a_step_against_a_sample_learns_from_the_right_and_the_sampled_tokens_alone(tied):
    step = step_of(num_sampled=2, tied=tied, units=2)
    batch, number = batch_of(), 3
    gradients = gradients_of(step, batch, state_of(step), number)
    scored = np.union1d(batch.targets, step.sampler.draw(number).token_ids)
    bias = gradients["output.bias"]
    assert np.flatnonzero(bias).tolist() == scored.tolist()
    assert abs(bias.sum()) < 1e-6  # what the right tokens gain, the sampled ones lose


def test_as_many_sampled_tokens_as_there_are_is_no_sample():
    exact, sampled = step_of(), step_of(num_sampled=V)
    assert sampled.sampler is None
    assert run(sampled, [batch_of()]) == run(exact, [batch_of()])


@pytest.mark.parametrize("xla", [False, True], ids=["plain", "xla"])
def test_the_mean_loss_over_many_samples_is_near_the_exact_one(xla):
    exact, sampled = step_of(), step_of(num_sampled=4, compile_with_xla=xla)
    state = state_of(exact)
    expected = float(exact(batch_of(), state, 0.0, 0)[0])
    losses = [float(sampled(batch_of(), state, 0.0, number)[0]) for number in range(300)]
    # The logarithm of an estimate is a little too small on average.
    assert expected - 0.1 < np.mean(losses) < expected + 0.01
    assert np.std(losses) > 0.01


def test_the_sample_follows_from_seed_and_number():
    settings = {"num_sampled": 2, "compile_with_xla": True}
    first, again, other = (new_step(seed=seed, **settings) for seed in (1, 1, 2))
    batches = [batch_of(n) for n in range(4)]
    losses = run(first, batches)
    assert run(again, batches) == losses
    assert variables_of(first) == variables_of(again)
    assert run(other, batches) != losses


def test_sampling_without_counts_is_refused():
    config = ModelConfig(vocabulary_size=V, embedding_size=2, units=3, num_layers=1)
    for counts in (None, np.ones(V - 1)):
        with pytest.raises(ValueError, match="needs the counts of all"):
            TrainStep(build_model(config), TrainingConfig(num_sampled=2), compile_with_xla=False, token_counts=counts)


# ---- a function of what it is given


@pytest.mark.parametrize(("cell", "xla"), [("lstm", True), ("gru", False)])
def test_the_same_seed_gives_identical_bytes_after_three_steps(cell, xla):
    settings = {"dropout": 0.3, "weight_drop": 0.2, "clip_norm": 1.0, "weight_decay": 0.01, "compile_with_xla": xla}
    first, again = new_step(cell, seed=1, **settings), new_step(cell, seed=1, **settings)
    batches = [batch_of(n) for n in range(3)]
    assert run(first, batches) == run(again, batches)
    assert variables_of(first) == variables_of(again)


def test_another_seed_draws_other_masks():
    batches = [batch_of(n) for n in range(2)]
    losses = [run(step_of(dropout=0.5, seed=seed), batches) for seed in (1, 2)]
    assert losses[0] != losses[1]


def test_the_masks_follow_from_the_number_of_the_step():
    step = step_of(dropout=0.5)
    losses = [float(step(batch_of(), step.zero_state(), 0.0, number)[0]) for number in (0, 1, 2, 1, 0)]
    assert losses[0] == losses[4]
    assert losses[1] == losses[3]
    assert len(set(losses)) == 3


def test_xla_and_the_plain_graph_take_the_same_steps():
    """Without dropout: XLA has random numbers of its own."""
    compiled, plain = new_step(compile_with_xla=True), step_of()
    batches = [batch_of(n) for n in range(3)]
    assert run(compiled, batches) == pytest.approx(run(plain, batches), rel=1e-5)
    found, expected = compiled.model.get_named_weights(), plain.model.get_named_weights()
    for name in expected:
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-3, atol=1e-4)


def test_a_step_is_traced_once_whatever_its_number_rate_and_state():
    step = new_step(dropout=0.1)
    traces = []
    losses = step.model.losses
    step.model.losses = lambda *arguments: traces.append(1) or losses(*arguments)
    state = state_of(step)
    for number in range(4):
        _, state = step(batch_of(number, is_first=number == 2), state, 0.01 * number, number)
    assert len(traces) == 1


@pytest.mark.parametrize("special", [{}, {"num_sampled": 2, "tied": True}], ids=["exact", "sampled"])
def test_the_slots_and_the_step_count_are_all_that_the_optimizer_remembers(special):
    """A fresh step with the slots and the count of another goes on with the same bytes."""
    settings = {"dropout": 0.2, "clip_norm": 1.0, "weight_decay": 0.01} | special
    batches = [batch_of(n) for n in range(5)]
    whole, first, second = new_step(**settings), new_step(**settings), new_step(**settings)
    state = whole.zero_state()
    for number, batch in enumerate(batches):
        _, state = whole(batch, state, 0.01, number)
    state = first.zero_state()
    for number, batch in enumerate(batches[:2]):
        _, state = first(batch, state, 0.01, number)
    for source, target in (
        (first.model.named_weights(), second.model.named_weights()),
        (first.slots(), second.slots()),
    ):
        assert source.keys() == target.keys()
        for name, variable in target.items():
            variable.assign(source[name].numpy())
    second.set_step_count(2)
    for number, batch in enumerate(batches[2:], start=2):
        _, state = second(batch, state, 0.01, number)
    assert variables_of(second) == variables_of(whole)
    assert len(second.slots()) == 2 * len(second.model.named_weights())
