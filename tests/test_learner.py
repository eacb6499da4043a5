"""What a run's model predicts before its first step."""

import numpy as np
import pytest

from textgen.config import TextConfig, TrainingConfig
from textgen.errors import SettingError
from textgen.training.request import new_plan, settings_of
from textgen.training.run import Run


def weights_of(tmp_path, **settings) -> dict[str, np.ndarray]:
    """Of a run's model before its first step."""
    (tmp_path / "novel.txt").write_text("the cat sat on the mat, and the dog sat on the cat.\n" * 40)
    training = TrainingConfig(minutes=None, steps=1, batch_size=4, sequence_length=8, **settings)
    shape = {"units": 4, "embedding_size": 4}
    return Run(
        new_plan([tmp_path / "novel.txt"], models_dir=tmp_path, shape=shape, training=training)
    ).model.get_named_weights()


def differing(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> set[str]:
    return {name for name in one if one[name].tobytes() != other[name].tobytes()}


def test_every_way_to_start_changes_the_weights_that_it_is_about_and_no_others(tmp_path):
    usual = weights_of(tmp_path)
    assert differing(usual, weights_of(tmp_path, unigram_bias=False)) == {"output.bias"}
    assert differing(usual, weights_of(tmp_path, forget_bias=0.5)) == {"layers.0.bias", "layers.1.bias"}
    kernels = {"layers.0.recurrent_kernel", "layers.1.recurrent_kernel"}
    assert differing(usual, weights_of(tmp_path, recurrent_initializer="glorot")) == kernels
    assert not weights_of(tmp_path, unigram_bias=False)["output.bias"].any()


@pytest.mark.parametrize("cell", ["gru", "rnn"])
def test_a_forget_bias_is_refused_where_there_is_no_forget_gate(cell):
    with pytest.raises(SettingError, match=f"--forget-bias is for --cell lstm; {cell} has no forget gate"):
        settings_of({"cell": cell, "forget_bias": 1.0})
    assert settings_of({"forget_bias": 0.0})[2].forget_bias == 0


@pytest.mark.parametrize("level", ["char", "word"])
def test_a_model_starts_by_predicting_each_token_as_often_as_the_training_part_has_it(level, tmp_path):
    (tmp_path / "novel.txt").write_text("the cat sat on the mat, and the dog sat on the cat.\n" * 40)
    training = TrainingConfig(minutes=None, steps=1, batch_size=4, sequence_length=8)
    shape, text = {"units": 4, "embedding_size": 4}, TextConfig(level=level)
    plan = new_plan([tmp_path / "novel.txt"], models_dir=tmp_path, shape=shape, text=text, training=training)
    odds = np.exp(Run(plan).model.get_named_weights()["output.bias"].astype(np.float64))
    counts = np.bincount(plan.train_ids, minlength=plan.model.vocabulary_size) + 1
    np.testing.assert_allclose(odds / odds.sum(), counts / counts.sum(), rtol=1e-5)
    assert counts.max() > 5 * counts.min()
