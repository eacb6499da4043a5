"""The network as TensorFlow operations, against the float64 reference; and what `fold_weights` makes of the weights."""

import numpy as np
import pytest
import tensorflow as tf
from conftest import model_config, random_weights
from reference_model import ReferenceModel

from textgen.config import ModelConfig
from textgen.generation.graph_network import Network, fold_weights

V = 30
SHAPES = [{}, {"tied": True}, {"units": 5, "tied": True}, {"units": 7, "tied": True}, {"units": 7}, {"num_layers": 1}]
SKIPPING = [{"skip": True}, {"units": 5, "tied": True, "skip": True}, {"units": 7, "num_layers": 3, "skip": True}]


def config_of(cell: str = "lstm", **shape) -> ModelConfig:
    shape = {"vocabulary_size": V, "embedding_size": 5, "units": 12, "num_layers": 2} | shape
    return model_config(cell=cell, **shape)


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
@pytest.mark.parametrize("shape", SHAPES + SKIPPING, ids=str)
def test_logits_and_states_are_those_of_the_float64_reference(cell, shape):
    config = config_of(cell, **shape)
    weights = random_weights(config, scale=0.3)
    network = Network(config, {name: tf.constant(value) for name, value in fold_weights(config, weights).items()})
    rows = np.random.default_rng(0).integers(V, size=(2, 15))
    state, logits = network.zero_state(2), []
    for column in rows.T:
        state = network.advance(tf.constant(column), state)
        logits.append(network.logits(state))
    for row in range(2):
        expected, last = ReferenceModel(config, weights).read(rows[row])
        np.testing.assert_allclose(np.array(logits)[:, row], expected, rtol=0, atol=2e-5)
        np.testing.assert_allclose([layer[row] for layer in state.hidden], [s.hidden for s in last], atol=1e-5)
        np.testing.assert_allclose([layer[row] for layer in state.memory], [s.memory for s in last], atol=1e-5)


@pytest.mark.parametrize(
    ("shape", "tensors"),
    [
        ({}, {"table": (V, 48), "layers.0.kernels": (12, 48), "output.kernel": (12, V)}),
        ({"units": 7}, {"embedding": (V, 5), "layers.0.kernels": (12, 28), "layers.0.bias": (28,)}),
        (
            {"tied": True},
            {"table": (V, 48), "layers.0.kernels": (12, 48), "embedding": (V, 5), "output.projection": (12, 5)},
        ),
        ({"units": 5, "tied": True}, {"embedding": (V, 5), "layers.0.kernels": (10, 20), "layers.0.bias": (20,)}),
    ],
    ids=str,
)
def test_a_table_is_made_for_few_tokens_and_nothing_that_is_not_needed_is_kept(shape, tensors):
    config = config_of(num_layers=1, **shape)
    folded = fold_weights(config, random_weights(config))
    output = {} if config.tied else {"output.kernel": (config.units, V)}
    expected = tensors | output | {"output.bias": (V,)}
    assert {name: array.shape for name, array in folded.items()} == expected
