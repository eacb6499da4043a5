"""Shards of a batch: when there are any, and that they change nothing but the order of sums."""

import numpy as np
import pytest
import tensorflow as tf
from conftest import model_config, random_weights, training_config

import textgen.training.validation
from textgen.dataset.batches import Batch
from textgen.model import shards
from textgen.model.language_model import build_model
from textgen.training.step import TrainStep
from textgen.training.validation import Validation

B, T, V = 16, 5, 7
COUNTS = np.arange(V)
EVERYTHING = {"dropout": 0.3, "input_dropout": 0.3, "embedding_dropout": 0.3, "state_reset": 0.4, "ema": 0.9}
EVERYTHING |= {"activation_reg": 2.0, "temporal_activation_reg": 1.0}


@pytest.mark.parametrize(
    ("batch_size", "cores", "expected"),
    [(16, 1, 1), (16, 2, 2), (64, 8, 2), (15, 2, 1), (17, 2, 1), (14, 2, 1), (1, 2, 1)],
)
def test_a_batch_is_cut_where_there_are_two_cores_and_enough_rows(batch_size, cores, expected, monkeypatch):
    monkeypatch.setattr(shards, "available_cores", lambda: cores)
    assert shards.num_shards(batch_size) == expected
    monkeypatch.setattr(shards, "available_cores", lambda: 3 - min(cores, 2))
    assert shards.num_shards(batch_size, cores) == expected


def test_what_is_cut_is_joined_again_row_by_row():
    over_time = tf.reshape(tf.range(T * B), [T, B])
    state = [[tf.reshape(tf.range(B * 3), [B, 3])], [tf.reshape(tf.range(B * 2), [B, 2])]]
    parts = list(shards.cut(2, [over_time, -over_time], state))
    assert [part[0][0].shape.as_list() for part in parts] == [[T, B // 2]] * 2
    np.testing.assert_array_equal(tf.concat([arrays[1] for arrays, _ in parts], axis=1), -over_time)
    for found, expected in zip(
        tf.nest.flatten(shards.join([state for _, state in parts])), tf.nest.flatten(state), strict=True
    ):
        np.testing.assert_array_equal(found, expected)


def step_in(
    num_shards: int, cell: str = "lstm", *, compile_with_xla: bool = True, num_layers: int = 2, **settings
) -> TrainStep:
    config = model_config(vocabulary_size=V, cell=cell, embedding_size=3, units=4, num_layers=num_layers)
    model = build_model(config)
    model.set_named_weights(random_weights(config))
    training = training_config(batch_size=B, sequence_length=T, **{"dropout": 0.0, "state_reset": 0.0} | settings)
    step = TrainStep(model, training, compile_with_xla=compile_with_xla, token_counts=COUNTS)
    step.num_shards = num_shards
    return step


def three_steps(step: TrainStep) -> tuple[list[float], list[np.ndarray], dict[str, np.ndarray]]:
    draw, state, losses = np.random.default_rng(0), step.zero_state(), []
    for number in range(3):
        block = draw.integers(V, size=(B, T + 1)).astype(np.int32)
        loss, state = step(Batch(block[:, :-1], block[:, 1:], is_first=number == 0), state, 0.01, number)
        losses.append(float(loss))
    averages = {f"average.{name}": average.numpy() for name, average in step.averages.items()}
    return losses, [tensor.numpy() for tensor in tf.nest.flatten(state)], step.model.get_named_weights() | averages


def assert_steps_in_shards_are_those_of_the_whole_batch(cell: str, **settings) -> None:
    losses, state, weights = three_steps(step_in(2, cell, **settings))
    expected_losses, expected_state, expected_weights = three_steps(step_in(1, cell, **settings))
    assert losses == pytest.approx(expected_losses, rel=1e-5)
    for found, expected in zip(state, expected_state, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    for name, expected in expected_weights.items():
        np.testing.assert_allclose(weights[name], expected, rtol=1e-3, atol=1e-4, err_msg=name)


@pytest.mark.parametrize(
    ("cell", "settings"),
    [
        ("lstm", {"dropout": 0.4, "weight_drop": 0.3, "clip_norm": 0.05, "num_layers": 1}),
        ("lstm", EVERYTHING | {"compile_with_xla": False, "num_layers": 1}),
        ("gru", EVERYTHING | {"compile_with_xla": False, "num_layers": 1, "num_sampled": 3}),
    ],
    ids=["compiled", "everything", "everything, sampled, gru"],
)
def test_steps_in_shards_are_those_of_the_whole_batch(cell, settings):
    assert_steps_in_shards_are_those_of_the_whole_batch(cell, **settings)


@pytest.mark.slow
@pytest.mark.parametrize("cell", ["lstm", "gru"])
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"dropout": 0.4, "weight_drop": 0.3, "clip_norm": 0.05},
        {"num_sampled": 3},
        EVERYTHING,
        EVERYTHING | {"num_sampled": 3},
    ],
    ids=["plain", "dropout", "sampled", "everything", "everything, sampled"],
)
def test_compiled_steps_in_shards_are_those_of_the_whole_batch(cell, settings):
    assert_steps_in_shards_are_those_of_the_whole_batch(cell, **settings)


def test_the_two_shards_have_masks_of_their_own_rows():
    """Both halves of this batch read the same: without masks, or with the same ones, their states would be equal."""
    step = step_in(2, compile_with_xla=False, dropout=0.5)
    half = np.random.default_rng(1).integers(V, size=(B // 2, T)).astype(np.int32)
    inputs = np.concatenate([half, half])
    _, state = step(Batch(inputs, inputs, is_first=True), step.zero_state(), 0.0, 1)
    upper = state[1][0].numpy()
    assert np.abs(upper[: B // 2] - upper[B // 2 :]).max() > 1e-3
    lower = state[0][0].numpy()
    np.testing.assert_array_equal(lower[: B // 2], lower[B // 2 :])


def test_the_same_steps_give_the_same_bytes_whichever_shard_is_done_first():
    step = step_in(2, num_layers=1, dropout=0.2, weight_drop=0.2)
    begun = {name: variable.numpy() for name, variable in (step.model.named_weights() | step.slots()).items()}
    left = set()
    for _ in range(20):
        for name, variable in (step.model.named_weights() | step.slots()).items():
            variable.assign(begun[name])
        step.set_step_count(0)
        losses, state, weights = three_steps(step)
        left.add((*losses, *(array.tobytes() for array in [*state, *weights.values()])))
    assert len(left) == 1


@pytest.mark.parametrize(("few_tokens", "xla"), [(V, True), (V - 1, False)], ids=["scored", "read"])
def test_validation_in_shards_is_that_of_the_whole(few_tokens, xla, monkeypatch):
    config = model_config(vocabulary_size=V, embedding_size=3, units=4, num_layers=2)
    model = build_model(config)
    model.set_named_weights(random_weights(config))
    monkeypatch.setattr(textgen.training.validation, "FEW_TOKENS", few_tokens)
    token_ids = np.random.default_rng(2).integers(V, size=9000)
    found = []
    for count in (1, 2):
        validation = Validation(model, token_ids, compile_with_xla=xla)
        validation.num_shards = count
        found.append(validation())
    assert found[1] == pytest.approx(found[0], rel=1e-6)
