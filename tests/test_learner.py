"""A plan as something that computes: its model before the first step, its step and its evaluations."""

import numpy as np
import pytest
from conftest import make_stored_model, write_stored_model
from plans import TEXT, plan_of

from textgen.training import learner
from textgen.training.learner import Learner
from textgen.training.validation import STREAMS

pytestmark = pytest.mark.usefixtures("without_xla")


@pytest.fixture
def weights_of(corpus, tmp_path):
    """The weights that a run of such settings begins with."""

    def weights_of(**settings) -> dict[str, np.ndarray]:
        return Learner(plan_of(corpus, tmp_path, num_layers=2, **settings)).model.get_named_weights()

    return weights_of


def differing(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> set[str]:
    return {name for name in one if one[name].tobytes() != other[name].tobytes()}


def test_every_way_to_start_changes_the_weights_that_it_is_about_and_no_others(weights_of):
    usual = weights_of()
    assert differing(usual, weights_of()) == set()
    assert differing(usual, weights_of(unigram_bias=False)) == {"output.bias"}
    assert differing(usual, weights_of(forget_bias=0.5)) == {"layers.0.bias", "layers.1.bias"}
    kernels = {"layers.0.recurrent_kernel", "layers.1.recurrent_kernel"}
    assert differing(usual, weights_of(recurrent_initializer="glorot")) == kernels
    assert not weights_of(unigram_bias=False)["output.bias"].any()


@pytest.mark.parametrize("level", ["char", "word"])
def test_a_model_starts_by_predicting_each_token_as_often_as_the_training_part_has_it(level, corpus, tmp_path):
    plan = plan_of(corpus, tmp_path, level=level)
    odds = np.exp(Learner(plan).model.get_named_weights()["output.bias"].astype(np.float64))
    counts = np.bincount(plan.prepared.train_ids, minlength=plan.model.vocabulary_size) + 1
    np.testing.assert_allclose(odds / odds.sum(), counts / counts.sum(), rtol=1e-5)
    assert counts.max() > 5 * counts.min()


def test_a_model_that_goes_on_with_another_has_its_weights(corpus, tmp_path):
    parent = make_stored_model(symbols="".join(sorted({*TEXT})))
    write_stored_model(tmp_path, parent, "old")
    weights = Learner(plan_of(corpus, tmp_path, init_from="old")).model.get_named_weights()
    assert differing(weights, parent.weights) == set()


def test_a_learner_is_what_its_plan_says(corpus, tmp_path):
    plan = plan_of(corpus, tmp_path, cell="gru", documents="line", val_fraction=0.2)
    made = Learner(plan)
    assert (made.model.config, made.step.config) == (plan.model, plan.training)
    assert made.step.document_end == plan.tokenizer.eod_id is not None
    assert made.device.reason == "said by the test"
    assert Learner(plan_of(corpus, tmp_path)).step.document_end is None


def test_the_evaluations_of_a_run_are_on_pieces_and_the_last_one_on_all(corpus, tmp_path, monkeypatch):
    plan = plan_of(corpus, tmp_path, val_fraction=0.5)
    num_ids = len(plan.prepared.validation_ids)
    made = Learner(plan)
    assert made.validate.num_counted == made.validate_fully.num_counted == num_ids - 1  # which are few
    monkeypatch.setattr(learner, "EVALUATION_TOKENS", 200)
    monkeypatch.setattr(learner, "FINAL_TOKENS", num_ids // 2)
    made = Learner(plan)
    assert 200 <= made.validate.num_counted < 200 + STREAMS
    assert made.validate_fully.num_counted == num_ids // 2 - 1


@pytest.mark.parametrize("val_fraction", [0.0, 0.0002])
def test_where_there_is_no_validation_part_there_is_no_validation(corpus, tmp_path, val_fraction):
    made = Learner(plan_of(corpus, tmp_path, val_fraction=val_fraction))
    assert made.validate is made.validate_fully is None
