"""Steps that move some rows of an embedding: what they touch, and that nothing is lost of the others."""

import math

import keras
import numpy as np
import pytest
from conftest import model_config, random_weights, training_config
from training_steps import variables_of

from textgen.dataset.batches import Batch
from textgen.model.language_model import build_model
from textgen.model.negatives import Negatives
from textgen.training import step as step_module
from textgen.training.step import TrainStep
from textgen.training.touched_rows import WINDOW, EmbeddingTable, Rows, num_touched

B, T, V, E = 2, 4, 70, 3
SAMPLED = 5
COUNTS = np.arange(V)[::-1]
NOISE = {"dropout": 0.3, "input_dropout": 0.3, "embedding_dropout": 0.3, "state_reset": 0.4}
BETA_1, BETA_2, EPSILON = 0.9, 0.99, 1e-7


def step_of(**settings) -> TrainStep:
    config = model_config(vocabulary_size=V, embedding_size=E, units=4, num_layers=1, tied=True)
    model = build_model(config)
    model.set_named_weights(random_weights(config))
    settings = {"num_sampled": SAMPLED, "dropout": 0.0, "state_reset": 0.0} | settings
    training = training_config(batch_size=B, sequence_length=T, **settings)
    return TrainStep(model, training, compile_with_xla=False, token_counts=COUNTS, document_end=3)


def batch_of(number: int) -> Batch:
    """Of few tokens, of which most come seldom."""
    block = np.minimum(np.random.default_rng(number).geometric(0.1, size=(B, T + 1)) + 2, V - 1).astype(np.int32)
    return Batch(block[:, :-1], block[:, 1:], number % 50 == 0)


def losses_of(step: TrainStep, numbers: range) -> list[float]:
    losses, state = [], step.zero_state()
    for number in numbers:
        loss, state = step(batch_of(number), state, 0.01 + 0.005 * math.sin(number), number)
        losses.append(float(loss))
    return losses


def weights_after(step: TrainStep, numbers: range) -> tuple[list[float], dict[str, np.ndarray]]:
    losses = losses_of(step, numbers)
    with step.settled():
        return losses, step.model.get_named_weights()


@pytest.mark.parametrize("settings", [{}, NOISE | {"weight_decay": 0.5, "clip_norm": 0.1}], ids=["plain", "noisy"])
def test_the_steps_are_those_that_move_all_rows(settings, monkeypatch):
    numbers = range(2 * WINDOW + 9)
    step = step_of(**settings)
    assert step.table is not None
    losses, weights = weights_after(step, numbers)
    monkeypatch.setattr(step_module, "num_touched", lambda *_: 0)
    whole = step_of(**settings)
    assert whole.table is None
    expected_losses, expected = weights_after(whole, numbers)
    np.testing.assert_allclose(losses, expected_losses, rtol=1e-4)
    for name, found in weights.items():
        np.testing.assert_allclose(found, expected[name], atol=2e-4, err_msg=name)
    raw = step.model.get_named_weights()["embedding"]
    assert np.abs(raw - expected["embedding"]).max() > 0.01  # some rows do wait


def table_of(rates: np.ndarray, kept: np.ndarray) -> EmbeddingTable:
    """That has made these steps, the first one first."""
    weights = keras.Variable(np.zeros([V, E], np.float32), name="embeddings")
    optimizer = keras.optimizers.AdamW(beta_1=BETA_1, beta_2=BETA_2, epsilon=EPSILON)
    optimizer.build([weights])
    table = EmbeddingTable(weights, optimizer, 20, compile_with_xla=False)
    table.rates.assign(np.stack([rates[::-1], kept[::-1]]))
    return table


@pytest.mark.parametrize("root", [0.3, 1e-6, 1e-7, 1e-8, 1e-10])
def test_a_row_makes_up_for_every_step_that_it_has_waited(root):
    """Against AdamW's own steps without a gradient, one after the other."""
    draw = np.random.default_rng(0)
    rates, kept = draw.uniform(0.001, 0.01, WINDOW), draw.uniform(0.99, 1, WINDOW)
    table = table_of(rates.astype(np.float32), kept.astype(np.float32))
    waits = np.arange(WINDOW + 1)
    momentum = root * draw.normal(size=[len(waits), E])
    start = Rows(draw.normal(size=momentum.shape), momentum, np.full(momentum.shape, root**2))
    found = table.made_up(Rows(*(part.astype(np.float32) for part in start)), waits.astype(np.float32))
    for waited in waits:
        w, m, v = (part[waited] for part in start)
        for rate, share in zip(rates[WINDOW - waited :], kept[WINDOW - waited :], strict=True):
            m, v = BETA_1 * m, BETA_2 * v
            w = share * w - rate * m / (np.sqrt(v) + EPSILON)
        np.testing.assert_allclose(found.weights[waited], w, rtol=1e-3, atol=3e-5)
        np.testing.assert_allclose(found.momentum[waited], m, rtol=1e-4)
        np.testing.assert_allclose(found.velocity[waited], v, rtol=1e-4)


def test_a_row_that_waited_for_one_step_by_hand():
    """With m = 0.2, v = 0.01, a rate of 0.5 and a share of 0.9: m = 0.18 and w = 0.9 - 0.5 * 0.18 / sqrt(0.0099)."""
    nothing = np.zeros(WINDOW - 1)
    table = table_of(np.append(nothing, 0.5).astype(np.float32), np.append(nothing, 0.9).astype(np.float32))
    row = Rows(*(np.full([1, 1], value, np.float32) for value in (1.0, 0.2, 0.01)))
    found = table.made_up(row, np.ones(1, np.float32))
    np.testing.assert_allclose(np.ravel(found), [0.9 - 0.09 / math.sqrt(0.0099), 0.18, 0.0099], atol=1e-5)
    np.testing.assert_array_equal(table.made_up(row, np.zeros(1, np.float32)), row)


def test_a_step_touches_its_batch_its_sample_and_every_row_in_turn():
    table, numbers = step_of().table, range(100, 100 + WINDOW)
    in_turn = set()
    for number in numbers:
        batch, negatives = batch_of(number), Negatives(np.arange(60, 60 + SAMPLED, dtype=np.int32), None)
        token_ids, places = table.touched(batch, negatives, number)
        assert len(set(token_ids)) == len(token_ids) == table.num_rows
        wanted = {*batch.inputs.ravel(), *batch.targets.ravel(), *negatives.token_ids}
        assert wanted <= set(token_ids)
        np.testing.assert_array_equal(token_ids[places[sorted(wanted)]], sorted(wanted))
        in_turn |= {*token_ids}
    assert in_turn == set(range(V))


def test_no_row_waits_for_longer_than_its_turn():
    step = step_of()
    for number in range(3 * WINDOW):
        step(batch_of(0), step.zero_state(), 0.01, number)
        assert step.table.waits.numpy().max() < WINDOW
    assert step.table.waits.numpy().max() > WINDOW // 2


def test_who_reads_the_weights_sees_no_row_that_waits_and_training_knows_nothing_of_it():
    step, untouched = step_of(), step_of()
    _, weights = weights_after(step, range(20))
    losses_of(untouched, range(20))
    assert not np.array_equal(weights["embedding"], untouched.model.get_named_weights()["embedding"])
    assert variables_of(step) == variables_of(untouched)


@pytest.mark.parametrize(
    ("shape", "settings", "expected"),
    [
        ({}, {}, 2 * 5 + 5 + 2),
        ({"vocabulary_size": 33}, {}, 2 * 5 + 5 + 1),
        ({"vocabulary_size": 31}, {}, 0),  # more than half
        ({"tied": False}, {}, 0),
        ({}, {"num_sampled": 0}, 0),
        ({}, {"ema": 0.9}, 0),
    ],
)
def test_some_rows_are_moved_where_they_are_few_and_nothing_needs_the_others(shape, settings, expected):
    model = model_config(**{"vocabulary_size": V, "embedding_size": E, "units": 4, "tied": True} | shape)
    training = training_config(**{"batch_size": B, "sequence_length": T, "num_sampled": SAMPLED} | settings)
    assert num_touched(model, training) == expected
