"""Skip connections: the output layer sees all layers, in training, in every engine, in the export and on disk."""

import json
import signal
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from click.testing import CliRunner
from conftest import make_stored_model, make_word_tokenizer, model_config, random_weights, slow, write_stored_model
from plans import TEXT, plan_of, resume, run_plan, what_no_clock_touches
from reference_model import ReferenceModel
from test_model_directory import assert_same_model
from test_training_gradient import assert_gradients_are_those_of_finite_differences, gru_cell, lstm_cell, rnn_cell
from three_engines import ThreeEngines
from training_steps import step_of
from watching import Watcher, ask_to_stop
from whole_texts import split_text, surprisals

import textgen.model.language_model
import textgen.training.learner
from textgen.cli import cli
from textgen.config import ModelConfig
from textgen.errors import ModelError
from textgen.generation.numpy_engine import NumpyEngine
from textgen.model.language_model import build_model
from textgen.model.negatives import NegativeSampler
from textgen.model.noise import Noise
from textgen.store import model_directory

CELLS = ("lstm", "gru", "rnn")
V = 11
both_outputs = pytest.mark.parametrize("tied", [False, True], ids=["untied", "tied"])


def config_of(cell: str = "lstm", **shape) -> ModelConfig:
    shape = {"vocabulary_size": V, "embedding_size": 5, "units": 7, "num_layers": 2, "skip": True} | shape
    return model_config(cell=cell, **shape)


def model_of(config: ModelConfig, scale: float = 0.5):
    model = build_model(config)
    model.set_named_weights(random_weights(config, scale=scale))
    return model


def random_ids(*shape: int) -> np.ndarray:
    return np.random.default_rng(shape).integers(V, size=shape).astype(np.int32)


# ---- shapes


@pytest.mark.parametrize(
    ("shape", "output"),
    [
        ({}, {"output.kernel": (14, V)}),
        ({"num_layers": 3}, {"output.kernel": (21, V)}),
        ({"tied": True}, {"output.projection": (14, 5)}),
        ({"tied": True, "units": 5}, {"output.projection": (10, 5)}),
        ({"tied": True, "embedding_size": 14}, {"output.projection": (14, 14)}),
    ],
    ids=str,
)
def test_the_output_layer_has_a_row_for_every_unit_of_every_layer(shape, output):
    config = config_of(**shape)
    shapes = model_directory.weight_shapes(config)
    assert {name: s for name, s in shapes.items() if name.startswith("output.")} == output | {"output.bias": (V,)}
    others = {name: s for name, s in shapes.items() if not name.startswith("output.")}
    assert others.items() <= model_directory.weight_shapes(config.replace(skip=False)).items()
    named = build_model(config).named_weights()
    assert {name: tuple(variable.shape) for name, variable in named.items()} == shapes
    assert model_directory.num_parameters(config) == sum(int(np.prod(variable.shape)) for variable in named.values())


@pytest.mark.parametrize("shape", [{}, {"tied": True}, {"tied": True, "units": 5}], ids=str)
def test_with_one_layer_nothing_changes(shape):
    config = config_of(num_layers=1, **shape)
    plain = config.replace(skip=False)
    assert model_directory.weight_shapes(config) == model_directory.weight_shapes(plain)
    ids = random_ids(2, 6)
    np.testing.assert_array_equal(model_of(config)(ids)[0], model_of(plain)(ids)[0])


# ---- what is computed


@both_outputs
@pytest.mark.parametrize(("cell", "num_layers"), [("lstm", 2), ("lstm", 3), ("gru", 2), ("rnn", 2)])
def test_the_model_and_the_numpy_engine_give_the_logits_of_the_float64_reference(cell, num_layers, tied):
    config = config_of(cell, num_layers=num_layers, tied=tied)
    weights, ids = random_weights(config), random_ids(2, 9)
    engine, (found, _) = NumpyEngine(config, weights), model_of(config)(ids)
    state = np.zeros((2, num_layers, 2, config.units), np.float32)
    from_engine = engine.logits(engine.run(ids.T, *state))
    for row in range(2):
        expected, _ = ReferenceModel(config, weights).read(ids[row])
        np.testing.assert_allclose(found[row], expected, rtol=0, atol=1e-4)
        np.testing.assert_allclose(from_engine[:, row], expected, rtol=0, atol=1e-4)


@both_outputs
def test_the_surprisals_of_an_evaluation_are_those_of_the_float64_reference(tied):
    config = config_of(tied=tied)
    weights, ids = random_weights(config, scale=0.3), random_ids(60)
    expected = ReferenceModel(config, weights).surprisals(ids)
    np.testing.assert_allclose(surprisals(ids, NumpyEngine(config, weights)), expected, rtol=0, atol=1e-5)


def test_the_output_layer_sees_what_dropout_left_of_each_layer():
    config = config_of()
    model, ids, ones = model_of(config), random_ids(4, 3), tf.ones([3, 7])
    plain, _ = model.hidden_states(ids, model.zero_state(3))
    assert plain.shape == (4, 3, 14)
    for masks, kept in (([ones, 0 * ones], slice(0, 7)), ([ones, 2 * ones], slice(0, 14))):
        seen = model.hidden_states(ids, model.zero_state(3), Noise(masks, None))[0].numpy()
        factors = np.repeat([float(mask[0, 0]) for mask in masks], 7)
        np.testing.assert_allclose(seen, plain * factors, rtol=1e-6)
        assert np.abs(seen[..., kept]).min() > 0
    seen = model.hidden_states(ids, model.zero_state(3), Noise([0 * ones, ones], None))[0].numpy()
    assert not seen[..., :7].any()
    assert not np.allclose(seen[..., 7:], plain[..., 7:], atol=1e-3)  # the second layer read zeros


@both_outputs
def test_losses_in_blocks_and_against_a_sample_of_all_tokens_are_exact(tied, monkeypatch):
    model = model_of(config_of(tied=tied))
    ids, targets = random_ids(6, 3), random_ids(3, 6).T
    zero = model.zero_state(3)
    expected, _ = model.losses(ids, targets, zero)
    logits, _ = model(ids.T)
    direct = tf.nn.sparse_softmax_cross_entropy_with_logits(targets.T, logits)
    np.testing.assert_allclose(expected, tf.transpose(direct), rtol=1e-5, atol=1e-6)
    negatives = NegativeSampler(np.arange(V), V, seed=0).draw(0)
    sampled, _ = model.losses(ids, targets, zero, negatives=negatives)
    np.testing.assert_allclose(sampled, expected, rtol=1e-5, atol=1e-5)
    monkeypatch.setattr(textgen.model.language_model, "MAX_LOGITS", 6 * 3 * V - 1)
    in_blocks, _ = model.losses(ids, targets, zero)
    np.testing.assert_allclose(in_blocks, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("cell", "equations", "settings"),
    [
        ("lstm", lstm_cell, {"dropout": 0.3, "weight_drop": 0.3, "seed": 5}),
        ("lstm", lstm_cell, {"tied": True, "units": 2, "num_layers": 3}),
        slow("lstm", lstm_cell, {"tied": True}),
        ("gru", gru_cell, {"dropout": 0.3, "seed": 5}),
        slow("rnn", rnn_cell, {}),
    ],
)
def test_the_gradient_is_that_of_finite_differences(cell, equations, settings):
    step = step_of(cell, **{"num_layers": 2, "skip": True, **settings})
    assert_gradients_are_those_of_finite_differences(step, equations, number=3)


# ---- one text from three engines


@pytest.fixture(scope="module")
def everywhere(tmp_path_factory) -> ThreeEngines:
    model = make_stored_model("gru", tokenizer=make_word_tokenizer(), num_layers=3, tied=True, skip=True)
    return ThreeEngines(model, tmp_path_factory.mktemp("skip"))


def test_all_three_engines_write_the_same_text(everywhere):
    everywhere.assert_exported_texts_are_the_same()
    everywhere.assert_tensorflow_texts_are_the_same()
    everywhere.assert_passes_its_own_check()


# ---- on disk, and from a text to a text


@both_outputs
def test_a_model_comes_back_as_it_was_written(tmp_path, tied):
    written = make_stored_model(tied=tied, skip=True)
    write_stored_model(tmp_path, written, "novel")
    read = model_directory.load_model("novel", tmp_path)
    assert read.record.model.skip
    assert_same_model(read, written)


@pytest.mark.parametrize("skip", [False, True])
def test_weights_of_the_other_kind_are_refused(tmp_path, skip):
    model = make_stored_model(skip=skip)
    other = random_weights(model.record.model.replace(skip=not skip))
    path = write_stored_model(tmp_path, model._replace(weights=other), "novel")
    with pytest.raises(ModelError, match="not of the shape that the config states") as problem:
        model_directory.load_model("novel", tmp_path)
    assert str(path) in str(problem.value)


def train_in(folder: Path, name: str, watcher: Watcher | None = None):
    """What a run with skip connections came to, in the models directory `name`."""
    (folder / "novel.txt").write_text(TEXT)
    return run_plan(plan_of(folder / "novel.txt", folder / name, num_layers=2, tied=True, skip=True), watcher)


def test_a_run_is_measured_as_its_model_is(tmp_path, without_xla):
    result = train_in(tmp_path, "models")
    model = model_directory.load_model("novel", tmp_path / "models")
    assert model.record.model.skip
    token_ids = model.tokenizer.encode(split_text(TEXT, 0.1)[1])
    measured = surprisals(token_ids, NumpyEngine(model.record.model, model.weights)).mean()
    assert result.results.validation_loss == pytest.approx(measured, abs=1e-5)


@pytest.mark.slow  # by default test_training_run.py stops and resumes a run
def test_a_stopped_and_resumed_run_ends_with_the_same_bytes(tmp_path, without_xla):
    whole = train_in(tmp_path, "whole")
    assert train_in(tmp_path, "stopped", Watcher({7: ask_to_stop})).stopped_by == signal.SIGINT
    result, watcher = resume(tmp_path / "stopped")
    assert watcher.first_step == 7
    assert what_no_clock_touches(result.path) == what_no_clock_touches(whole.path)


def test_the_commands_train_such_a_model_and_write_with_it(tmp_path, monkeypatch):
    """Compiled, as on any CPU."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "novel.txt").write_text(TEXT)
    sizes = ["--units", "12", "--embedding-size", "6", "--batch-size", "4", "--sequence-length", "8"]
    trained = CliRunner().invoke(cli, ["train", "-v", "novel.txt", "--skip", "--steps", "30", *sizes, "--json"])
    assert trained.exit_code == 0, trained.output
    assert "2 x 12 LSTM, embedding 6, skip connections, vocabulary" in trained.stderr
    info = json.loads(CliRunner().invoke(cli, ["info", "novel", "--json"]).stdout)
    assert info["model"]["skip"] is True
    asked = ["sample", "novel", "-p", "the", "-n", "40", "--seed", "3"]
    texts = [CliRunner().invoke(cli, [*asked, "--engine", engine]).stdout for engine in ("numpy", "tensorflow")]
    assert texts[0] == texts[1]
    assert len(texts[0]) == len("the") + 40 + 1
