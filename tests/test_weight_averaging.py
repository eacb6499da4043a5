"""The moving average of the weights: what it is, when the model has it, and what a run saves of it."""

import numpy as np
import pytest
from conftest import slow
from plans import plan_of, resumed_plan, run_plan
from training_steps import batch_of, new_step, run, variables_of

import textgen.training.learner
from textgen.model.devices import Device
from textgen.store import model_directory
from textgen.training.learner import Learner
from textgen.training.plan import Plan
from textgen.training.reporting import Reporter

DECAY = 0.4  # reached after six steps: (1 + 5) / (10 + 5) is 0.4


def weights_of(step) -> dict[str, bytes]:
    return {name: array.tobytes() for name, array in step.model.get_named_weights().items()}


@pytest.mark.parametrize(("cell", "xla"), [slow("lstm", True), ("gru", False)])
def test_the_average_follows_the_weights_quickly_at_first_and_then_with_its_decay(cell, xla):
    step, plain = new_step(cell, ema=DECAY, compile_with_xla=xla), new_step(cell, compile_with_xla=xla)
    expected, decays = step.model.get_named_weights(), []
    for number in range(8):
        for trained in (step, plain):
            trained(batch_of(number), trained.zero_state(), 0.05, number)
        decays.append(min(DECAY, (2 + number) / (11 + number)))
        for name, array in step.model.get_named_weights().items():
            expected[name] = decays[-1] * expected[name] + (1 - decays[-1]) * array
    assert decays[0] < decays[1] < decays[-1] == DECAY
    assert weights_of(step) == weights_of(plain)  # training knows nothing of it
    for name, average in step.averages.items():
        np.testing.assert_allclose(average.numpy(), expected[name], rtol=1e-4, atol=1e-6, err_msg=name)
        assert not np.allclose(average.numpy(), step.model.get_named_weights()[name], atol=1e-4)


def test_the_model_has_the_average_for_as_long_as_it_is_asked_for():
    step, untouched = new_step(ema=0.9), new_step(ema=0.9)
    for trained in (step, untouched):
        run(trained, [batch_of(0), batch_of(1)])
    with step.settled():
        assert weights_of(step) == {name: average.numpy().tobytes() for name, average in step.averages.items()}
        assert weights_of(step) != weights_of(untouched)
    assert variables_of(step) == variables_of(untouched)
    with pytest.raises(ZeroDivisionError), step.settled():
        1 / 0  # noqa: B018
    assert run(step, [batch_of(2)]) == run(untouched, [batch_of(2)])
    assert variables_of(step) == variables_of(untouched)


def test_without_a_decay_there_is_no_average():
    step = new_step()
    run(step, [batch_of(0)])
    before = weights_of(step)
    with step.settled():
        assert weights_of(step) == before
    assert not step.averages
    assert not any(name.startswith("average") for name in step.slots())


@pytest.fixture
def corpus(tmp_path):
    path = tmp_path / "novel.txt"
    path.write_text("the cat sat on the mat, and the dog sat on the cat.\n" * 40)
    return path


@pytest.fixture(autouse=True)
def without_xla(monkeypatch):
    monkeypatch.setattr(
        textgen.training.learner, "choose_device", lambda cell: Device("GPU", False, "said by the test")
    )


def new_plan(corpus, models_dir, cell: str = "lstm", **settings) -> Plan:
    settings = {"steps": 6, "sample_every": 3, "weight_drop": 0.0, "num_layers": 2, "units": 6} | settings
    return plan_of(corpus, models_dir, cell=cell, **settings)


class Crashing(Reporter):
    def stepped(self, step, epoch, loss, tokens_per_second):
        if step == 5:
            raise RuntimeError("the power is gone")


@pytest.mark.parametrize("cell", ["gru", *(slow(cell) for cell in ("lstm", "rnn"))])
def test_a_run_that_crashed_goes_on_to_the_same_bytes_with_all_of_the_recipe_on(cell, corpus, tmp_path):
    recipe = {"dropout": 0.2, "input_dropout": 0.2, "embedding_dropout": 0.2, "weight_drop": 0.2, "state_reset": 0.3}
    recipe |= {"activation_reg": 1.0, "temporal_activation_reg": 1.0, "ema": 0.6, "checkpoint_every": 2}
    whole = run_plan(new_plan(corpus, tmp_path / "whole", cell, **recipe))
    with pytest.raises(RuntimeError, match="power"):
        run_plan(new_plan(corpus, tmp_path / "crashed", cell, **recipe), Crashing())
    plan = resumed_plan(tmp_path / "crashed")
    assert plan.begins.progress.step == 4
    resumed = run_plan(plan)
    found, expected = ((result.path / model_directory.WEIGHTS).read_bytes() for result in (resumed, whole))
    assert found == expected
    assert resumed.results.validation_loss == whole.results.validation_loss


def test_a_run_evaluates_and_saves_the_average_and_trains_on_with_the_weights(corpus, tmp_path):
    plans = new_plan(corpus, tmp_path / "averaging", ema=0.6), new_plan(corpus, tmp_path / "plain")
    averaging, plain = map(Learner, plans)
    evaluated = []
    validate, average_of = averaging.validate, averaging.step.averages

    def noting():
        evaluated.append({name: average.numpy().copy() for name, average in average_of.items()})
        assert weights_of(averaging.step) == {name: array.tobytes() for name, array in evaluated[-1].items()}
        return validate()

    averaging.validate = noting
    results = [run_plan(plan, learner=made).results for plan, made in zip(plans, (averaging, plain), strict=True)]
    assert len(evaluated) == 2
    assert results[0].train_loss == results[1].train_loss
    assert results[0].validation_loss != results[1].validation_loss
    saved = model_directory.load_model("novel", tmp_path / "averaging").weights
    best = evaluated[results[0].best_step // 3 - 1]
    assert {name: array.tobytes() for name, array in saved.items()} == {n: a.tobytes() for n, a in best.items()}
