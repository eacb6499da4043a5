"""What a run's model predicts before its first step."""

import numpy as np
import pytest

from textgen.config import TextConfig, TrainingConfig
from textgen.training.request import new_plan
from textgen.training.run import Run


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
