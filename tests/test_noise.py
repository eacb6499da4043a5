"""The noise of a training step: what is drawn, and what dropping embeddings does to the network."""

import numpy as np
import pytest
import tensorflow as tf
from conftest import model_config, random_weights, training_config

from textgen.config import ModelConfig
from textgen.model.language_model import LanguageModel, build_model
from textgen.model.lstm import LSTM
from textgen.model.noise import Noise, draw_noise

B, T, V, E, H = 4, 6, 9, 5, 7
OFF = {"dropout": 0.0, "state_reset": 0.0}
CELLS = ("lstm", "gru", "rnn")


def config_of(cell: str = "lstm", **shape) -> ModelConfig:
    return model_config(cell=cell, **{"vocabulary_size": V, "embedding_size": E, "units": H, "num_layers": 2} | shape)


def noise_of(config: ModelConfig, step: int = 0, **settings) -> Noise:
    return draw_noise(config, training_config(**OFF | {"batch_size": B} | settings), tf.constant(step))


def model_of(config: ModelConfig, weights: dict | None = None) -> LanguageModel:
    model = build_model(config)
    model.set_named_weights(random_weights(config) if weights is None else weights)
    return model


def ids_and_targets() -> tuple[np.ndarray, np.ndarray]:
    """Two [T, B]."""
    block = np.random.default_rng(0).integers(V, size=(T + 1, B)).astype(np.int32)
    return block[:-1], block[1:]


# ---- what is drawn


def test_nothing_is_drawn_when_all_is_off():
    assert noise_of(config_of()) == Noise(None, None)


@pytest.mark.parametrize("rate", [0.05, 0.5])
def test_masks_have_their_shapes_and_drop_their_share(rate):
    config = config_of(vocabulary_size=4000, embedding_size=50)
    names = ("input_dropout", "embedding_dropout", "state_reset")
    noise = noise_of(config, step=3, batch_size=4000, **dict.fromkeys(names, rate))
    assert noise.inputs.shape == (4000, 50)
    assert noise.symbols.shape == (4000, 1)
    assert noise.carried.shape == (4000, 1)
    for mask, kept in ((noise.inputs, 1 / (1 - rate)), (noise.symbols, 1 / (1 - rate)), (noise.carried, 1)):
        assert set(np.unique(mask)) == {np.float32(0), np.float32(kept)}
        spread = np.sqrt(rate * (1 - rate) / mask.shape.num_elements())
        assert abs(np.mean(mask.numpy() == 0) - rate) < 5 * spread


def test_a_chance_of_one_resets_every_stream():
    assert not noise_of(config_of(), state_reset=1).carried.numpy().any()


def test_every_step_seed_and_kind_of_mask_has_draws_of_its_own():
    """All masks are of the same 64 numbers here."""
    config = config_of(vocabulary_size=64, embedding_size=1, units=1, num_layers=1)
    rates = dict.fromkeys(("dropout", "input_dropout", "embedding_dropout", "state_reset"), 0.5)
    noises = [noise_of(config, step, batch_size=64, seed=seed, **rates) for step in range(7) for seed in (0, 1)]
    masks = [mask for noise in noises for mask in (*noise.outputs, noise.inputs, noise.symbols, noise.carried)]
    assert {mask.shape for mask in masks} == {(64, 1)}
    assert len({(mask.numpy() > 0).tobytes() for mask in masks}) == len(masks) == 7 * 2 * 4
    again = noise_of(config, 5, batch_size=64, seed=1, **rates)
    assert again.symbols.numpy().tobytes() == noises[-3].symbols.numpy().tobytes()


def test_one_kind_of_mask_does_not_change_another():
    config = config_of()
    alone = noise_of(config, 2, dropout=0.5, weight_drop=0.5)
    rates = dict.fromkeys(("dropout", "weight_drop", "input_dropout", "embedding_dropout", "state_reset"), 0.5)
    together = noise_of(config, 2, **rates)
    for mask, same in zip([*alone.outputs, *alone.recurrent], [*together.outputs, *together.recurrent], strict=True):
        np.testing.assert_array_equal(mask, same)


def test_rows_are_cut_from_what_has_rows():
    rates = dict.fromkeys(("dropout", "weight_drop", "input_dropout", "embedding_dropout", "state_reset"), 0.5)
    whole = noise_of(config_of(), 2, activation_reg=2.0, temporal_activation_reg=3.0, **rates)
    part = whole.rows(tf.constant(1), 2)
    for found, mask in zip(
        [*part.outputs, part.inputs, part.carried], [*whole.outputs, whole.inputs, whole.carried], strict=True
    ):
        np.testing.assert_array_equal(found, mask[1:3])
    np.testing.assert_array_equal(part.symbols, whole.symbols)
    assert part.recurrent == whole.recurrent
    assert (part.activation_reg, part.temporal_activation_reg) == (2.0, 3.0)
    assert Noise(None, None).rows(tf.constant(1), 2) == Noise(None, None)


def test_a_step_begins_with_the_state_of_the_streams_that_go_on():
    state = [[tf.ones([3, 2]), tf.ones([3, 2]) * 2], [tf.ones([3, 2])]]
    begun = Noise(None, None, carried=tf.constant([[1.0], [0.0], [1.0]])).begin(state)
    assert [[part.numpy()[:, 0].tolist() for part in layer] for layer in begun] == [[[1, 0, 1], [2, 0, 2]], [[1, 0, 1]]]
    assert Noise(None, None).begin(state) is state


# ---- what dropped embeddings do


def losses_of(model: LanguageModel, noise: Noise | None = None) -> np.ndarray:
    return model.losses(*ids_and_targets(), model.zero_state(B), noise)[0].numpy()


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("tied", [False, True])
def test_embedding_dropout_is_the_model_that_reads_a_masked_table_and_scores_with_the_whole(cell, tied):
    config = config_of(cell, tied=tied)
    weights, noise = random_weights(config), noise_of(config, 1, embedding_dropout=0.5)
    used = noise.symbols.numpy()[np.unique(ids_and_targets()[0])]
    assert 0 < np.count_nonzero(used) < used.size
    kernel = weights["output.projection"] @ weights["embedding"].T if tied else weights["output.kernel"]
    masked = weights | {"embedding": weights["embedding"] * noise.symbols.numpy(), "output.kernel": kernel}
    expected = losses_of(model_of(config_of(cell), masked))
    np.testing.assert_allclose(losses_of(model_of(config), noise), expected, rtol=1e-4, atol=1e-5)
    assert not np.allclose(losses_of(model_of(config)), expected, atol=1e-2)


@pytest.mark.parametrize("cell", CELLS)
def test_input_dropout_masks_every_stream_with_its_row(cell):
    config = config_of(cell)
    weights, noise = random_weights(config), noise_of(config, 1, input_dropout=0.5)
    found = losses_of(model_of(config), noise)
    for row, mask in enumerate(noise.inputs.numpy()):
        masked = model_of(config, weights | {"embedding": weights["embedding"] * mask})
        np.testing.assert_allclose(found[:, row], losses_of(masked)[:, row], rtol=1e-4, atol=1e-5)
    assert not np.allclose(found, losses_of(model_of(config)), atol=1e-2)


@pytest.mark.parametrize(
    ("settings", "folded"),
    [({}, True), ({"embedding_dropout": 0.5}, True), ({"input_dropout": 0.5}, False)],
    ids=["none", "symbols", "inputs"],
)
def test_the_table_stays_folded_where_it_can_and_dropping_is_the_same_either_way(settings, folded, monkeypatch):
    config = config_of()
    noise, found, rows = noise_of(config, 1, **settings), [], []
    project = LSTM.project
    record = lambda layer, values: rows.append(tuple(values.shape)) or project(layer, values)  # noqa: E731
    monkeypatch.setattr(LSTM, "project", record)
    for wanted in (True, False):
        monkeypatch.setattr(LSTM, "folds", lambda layer, rows, positions, wanted=wanted: wanted)
        model = model_of(config)
        rows.clear()
        with tf.GradientTape() as tape:
            losses, _ = model.losses(*ids_and_targets(), model.zero_state(B), noise)
        assert rows[0] == ((V, E) if wanted and folded else (T, B, E))
        found.append([losses, *map(tf.convert_to_tensor, tape.gradient(losses, model.trainable_variables))])
    for one, other in zip(*found, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)
