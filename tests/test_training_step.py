"""One optimizer step: clipping, weight decay, and that it is a function of what it is given."""

import numpy as np
import pytest
import tensorflow as tf
from conftest import slow
from training_steps import B, V, batch_of, gradients_of, new_step, norm_of, run, state_of, step_of, variables_of

from textgen.config import ModelConfig, TrainingConfig
from textgen.model.language_model import build_model
from textgen.model.noise import draw_noise
from textgen.training.step import TrainStep

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


@pytest.mark.parametrize("cell", ["lstm", slow("gru"), slow("rnn")])
def test_a_stream_that_is_reset_goes_on_as_from_an_empty_memory_and_the_others_as_ever(cell):
    step, plain = step_of(cell, state_reset=0.5, seed=1), step_of(cell)
    numbers = range(20)
    carried = [draw_noise(step.model.config, step.config, tf.constant(n)).carried.numpy()[:, 0] for n in numbers]
    number = next(n for n in numbers if 0 < carried[n].sum() < B)
    state = state_of(step)
    _, found = step(batch_of(), state, 0.0, number)
    _, going_on = plain(batch_of(), state, 0.0, number)
    _, beginning = plain(batch_of(), step.zero_state(), 0.0, number)
    for part, kept, empty in zip(*map(tf.nest.flatten, (found, going_on, beginning)), strict=True):
        np.testing.assert_allclose(part, np.where(carried[number][:, None], kept, empty), rtol=1e-5, atol=1e-6)
        assert not np.allclose(kept, empty, atol=1e-3)


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


@pytest.mark.parametrize("settings", [{}, {"num_sampled": 2}, {"tied": True, "units": 2}], ids=["", "sampled", "tied"])
def test_the_output_bias_learns_at_a_multiple_of_the_rate_and_nothing_else_does(settings):
    rate = 0.02
    plain, faster = step_of(**settings), step_of(bias_rate=5.0, **settings)
    start = plain.model.get_named_weights()
    for step in (plain, faster):
        run(step, [batch_of()], rate)
    once, five_times = plain.model.get_named_weights(), faster.model.get_named_weights()
    for name, array in start.items():
        if name == "output.bias":
            np.testing.assert_allclose(five_times[name] - array, 5 * (once[name] - array), rtol=1e-4, atol=1e-6)
            assert np.abs(once[name] - array).max() == pytest.approx(rate, rel=1e-3)
        else:
            assert five_times[name].tobytes() == once[name].tobytes()


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


@pytest.mark.parametrize("xla", [slow(False), True], ids=["plain", "xla"])
def test_the_mean_loss_over_many_samples_is_near_the_exact_one(xla):
    exact, sampled = step_of(), step_of(num_sampled=4, compile_with_xla=xla)
    state = state_of(exact)
    expected = float(exact(batch_of(), state, 0.0, 0)[0])
    losses = [float(sampled(batch_of(), state, 0.0, number)[0]) for number in range(300)]
    # The logarithm of an estimate is a little too small on average.
    assert expected - 0.1 < np.mean(losses) < expected + 0.01
    assert np.std(losses) > 0.01


def test_the_sample_follows_from_seed_and_number():
    first, again, other = (new_step(seed=seed, num_sampled=2) for seed in (1, 1, 2))
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


@pytest.mark.parametrize(("cell", "xla"), [slow("lstm", True), ("gru", False)])
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


EVERYTHING = {"input_dropout": 0.2, "embedding_dropout": 0.3, "activation_reg": 2.0, "temporal_activation_reg": 1.0}
EVERYTHING |= {"state_reset": 0.5, "ema": 0.9}


@pytest.mark.parametrize(
    "special",
    [slow({}), {"num_sampled": 2, "tied": True}, EVERYTHING],
    ids=["exact", "sampled", "everything"],
)
def test_the_slots_and_the_step_count_are_all_that_the_optimizer_remembers(special):
    """A fresh step with the slots and the count of another goes on with the same bytes."""
    settings = {"dropout": 0.2, "clip_norm": 1.0, "weight_decay": 0.01} | special
    batches = [batch_of(n) for n in range(5)]
    first, second = step_of(**settings), new_step(**settings)
    state = first.zero_state()
    for number, batch in enumerate(batches):
        _, state = first(batch, state, 0.01, number)
    whole = variables_of(first)
    first = step_of(**settings)
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
    assert variables_of(second) == whole
    assert len(second.slots()) == (3 if "ema" in special else 2) * len(second.model.named_weights())


@pytest.mark.parametrize(
    "special",
    [{}, {"num_sampled": 2, "tied": True, "compile_with_xla": True}, slow(EVERYTHING)],
    ids=["exact", "sampled, compiled", "everything"],
)
def test_several_steps_in_one_call_are_those_of_as_many_calls(special):
    """Over the beginning of an epoch, and with a rate for each step."""
    step = step_of(**{"dropout": 0.2, "clip_norm": 1.0, "weight_decay": 0.01} | special)
    begun = {name: variable.numpy() for name, variable in (step.model.named_weights() | step.slots()).items()}
    batches, rates = [batch_of(n, is_first=n == 2) for n in range(4)], [0.01, 0.02, 0.03, 0.04]
    left = []
    for size in (1, 4):
        for name, variable in (step.model.named_weights() | step.slots()).items():
            variable.assign(begun[name])
        step.set_step_count(7)
        losses, state = [], state_of(step)
        for k in range(0, 4, size):
            made, state = step.several(batches[k : k + size], state, rates[k : k + size], 7 + k)
            losses += map(float, made)
        left.append((losses, [np.asarray(part).tobytes() for part in tf.nest.flatten(state)], variables_of(step)))
    assert left[0] == left[1]
    assert len(set(left[0][0])) == 4


# ---- documents


def test_a_stream_whose_batch_begins_at_a_document_forgets_and_the_others_do_not():
    step = new_step()
    end = V - 1
    batch = batch_of()
    batch.inputs[:, 0] = (end, 0)
    state = state_of(step)
    step.document_end = end
    found, _ = step(batch, state, 0.0, 0)
    forgotten = [[tensor * np.array([[0.0], [1.0]], np.float32) for tensor in layer] for layer in state]
    plain = step_of()
    expected, other = (float(plain(batch, start, 0.0, 0)[0]) for start in (forgotten, state))
    assert float(found) == pytest.approx(expected, rel=1e-6)
    assert abs(expected - other) > 1e-4
