"""Runs from a text to a model directory: what they leave, and that stopping and resuming changes no byte."""

import dataclasses
import errno
import math
import os
import signal
from pathlib import Path

import numpy as np
import pytest
from conftest import make_stored_model, trace_plainly, write_stored_model
from plans import (
    RATE,
    STEPS,
    TEXT,
    metrics_of,
    plan_of,
    resume,
    resumed_plan,
    run_plan,
    what_no_clock_touches,
)
from watching import Falling, Watcher, ask_to_stop, crash, poison
from whole_texts import split_text, surprisals

from textgen.errors import CorpusError, ModelError, TrainingError
from textgen.evaluation import evaluate
from textgen.generation.generator import Generator, open_generator
from textgen.generation.numpy_engine import NumpyEngine
from textgen.store import manifest, model_directory
from textgen.store.checkpoints import Checkpoint, load_newest
from textgen.store.tensors import storage_of
from textgen.training.learner import Learner
from textgen.training.novelty import Copy, count_origins, find_longest_copy
from textgen.training.results import SAMPLE
from textgen.training.schedule import learning_rate
from textgen.training.step import TrainStep
from textgen.training.trainer import Trainer

# ---- one run of an LSTM, compiled as on any CPU


class Finished:
    def __init__(self, corpus: Path, models_dir: Path):
        self.plan = plan_of(corpus, models_dir)
        self.watcher = Watcher()
        self.result = run_plan(self.plan, self.watcher)
        self.path = self.result.path
        self.model = model_directory.load_model("novel", models_dir)


@pytest.fixture(scope="module")
def finished(corpus, tmp_path_factory) -> Finished:
    return Finished(corpus, tmp_path_factory.mktemp("models"))


def test_a_run_leaves_a_sealed_model_directory_and_nothing_else(finished):
    assert finished.result.stopped_by is None
    assert sorted(p.name for p in finished.path.iterdir()) == sorted([*model_directory.MODEL_FILES, manifest.MANIFEST])
    manifest.verify(finished.path, model_directory.MODEL_FILES)
    assert [p.name for p in finished.path.parent.iterdir()] == ["novel"]
    assert finished.model.is_finished
    assert finished.model.record.model == finished.plan.model
    assert finished.model.record.training == finished.plan.training
    assert finished.model.record.corpus == finished.plan.corpus


def test_the_metrics_have_one_row_for_each_evaluation(finished):
    rows = metrics_of(finished.path)
    assert [row["step"] for row in rows] == [10, 20, 30]
    assert rows == [row.to_json() for row in finished.watcher.rows]
    for row in rows:
        assert row["epoch"] == row["step"] / finished.plan.batches.steps_per_epoch
        assert row["learning_rate"] == learning_rate(row["step"] - 1, STEPS, RATE)
        assert row["bits_per_character"] == pytest.approx(row["validation_loss"] / math.log(2))
        assert row["tokens_per_second"] > 0
        assert row["train_loss"] < math.log(finished.plan.model.vocabulary_size)
    assert rows[-1]["validation_loss"] < rows[0]["validation_loss"]


@pytest.mark.usefixtures("without_xla")
def test_a_run_at_a_constant_rate_has_it_in_every_step(corpus, tmp_path, monkeypatch):
    rates = []
    call = TrainStep.__call__
    monkeypatch.setattr(
        TrainStep,
        "__call__",
        lambda step, batch, state, rate, number: rates.append(rate) or call(step, batch, state, rate, number),
    )
    plan = plan_of(corpus, tmp_path, schedule="constant")
    run_plan(plan, learner=Learner(plan))
    assert rates == [RATE] * STEPS
    assert {row["learning_rate"] for row in metrics_of(tmp_path / "novel")} == {RATE}


def test_the_results_are_those_of_the_run(finished):
    results, last = finished.result.results, metrics_of(finished.path)[-1]
    assert results == finished.model.record.results
    assert (results.steps, results.total_steps, results.best_step) == (STEPS, STEPS, STEPS)
    assert results.parameters == model_directory.num_parameters(finished.plan.model)
    assert results.vocabulary_size == len(set(TEXT))
    assert results.epochs == finished.plan.epochs
    assert results.train_loss == last["train_loss"]
    assert results.validation_bits_per_character == pytest.approx(results.validation_loss / math.log(2))
    assert results.tokens_per_second > 0
    assert results.seconds >= last["seconds"] > 0


def test_the_longest_run_that_the_model_copies_is_that_of_the_stored_model(finished):
    results = finished.result.results
    found = Copy(results.longest_copy, results.longest_copy_text, results.longest_copy_among)
    assert found == find_longest_copy(open_generator(finished.model), finished.plan.prepared)
    assert found.longest_copy_among == 2000
    assert 0 < found.longest_copy == len(found.longest_copy_text) < 200
    assert found.longest_copy_text in split_text(TEXT, 0.1)[0]


def test_the_validation_loss_is_what_evaluating_the_stored_model_gives(finished):
    model = finished.model
    engine = NumpyEngine(model.record.model, model.weights)
    _, validation_text = split_text(TEXT, 0.1)
    nats = surprisals(model.tokenizer.encode(validation_text), engine)
    assert len(nats) == len(validation_text) - 1  # nothing comes before the first
    assert finished.result.results.validation_loss == pytest.approx(np.mean(nats), rel=1e-5)


@pytest.mark.usefixtures("without_xla")
def test_the_figures_of_a_run_are_those_of_its_weights_as_they_are_stored(corpus, tmp_path):
    """Checkpoints stay float32, so that a run goes on with what it has learned."""
    plan, checkpoints, evaluated = plan_of(corpus, tmp_path, storage="int8"), [], []
    learner = Learner(plan)
    validate_fully = learner.validate_fully

    def look() -> None:
        checkpoints.append(storage_of(model_directory.checkpoint_dirs(plan.path)[0] / model_directory.WEIGHTS))

    def validate() -> float:
        evaluated.append(learner.model.get_named_weights())
        return validate_fully()

    learner.validate_fully = validate
    results = run_plan(plan, Watcher({20: look}), learner=learner).results
    model = model_directory.load_model("novel", tmp_path)
    stored, num_bytes = storage_of(model.path / model_directory.WEIGHTS)
    assert (checkpoints[0][0], stored, model.record.training.storage) == ("float32", "int8", "int8")
    assert num_bytes < checkpoints[0][1]
    assert all(evaluated[-1][name].tobytes() == weights.tobytes() for name, weights in model.weights.items())
    nats = surprisals(model.tokenizer.encode(split_text(TEXT, 0.1)[1]), NumpyEngine(model.record.model, model.weights))
    assert results.validation_loss == pytest.approx(np.mean(nats), rel=1e-5)


def test_the_samples_are_what_the_model_wrote_as_it_learned(finished):
    model, rows = finished.model, metrics_of(finished.path)
    text = (finished.path / model_directory.SAMPLES).read_text()
    expected = [f"--- step {row['step']}, epoch {row['epoch']:.2f}\n{row['sample']}\n\n" for row in rows]
    assert text == "".join(expected)
    generator = Generator(model.tokenizer, NumpyEngine(model.record.model, model.weights))
    assert rows[-1]["sample"] == generator.generate("", SAMPLE["char"])[0].completion
    assert len({row["sample"] for row in rows}) == 3


def test_whoever_watches_is_told_of_every_step_evaluation_and_checkpoint(finished):
    watcher = finished.watcher
    assert watcher.first_step == 0
    assert watcher.steps == list(range(1, STEPS + 1))
    assert watcher.best == [True, True, True]
    assert watcher.saved_steps == [0, 6, 12, 18, 24, 30]


@pytest.mark.slow  # by default test_stopped_runs.py has compiled runs stopped and resumed
def test_a_stopped_and_resumed_run_ends_with_the_same_bytes(finished, corpus, tmp_path):
    result = run_plan(plan_of(corpus, tmp_path), Watcher({7: ask_to_stop}))
    assert result.stopped_by == signal.SIGINT
    assert result.results.steps == 7
    assert not (result.path / manifest.MANIFEST).exists()
    assert load_newest(result.path)[0].progress.step == 7
    result, watcher = resume(tmp_path)
    assert watcher.first_step == 7
    assert watcher.steps == list(range(8, STEPS + 1))
    assert what_no_clock_touches(result.path) == what_no_clock_touches(finished.path)
    assert not (result.path / model_directory.CHECKPOINTS).exists()


# ---- stopping, crashing and damage, at every turn


@pytest.fixture(scope="module")
def uninterrupted(corpus, tmp_path_factory) -> dict:
    """What an uninterrupted run of two layers leaves, on the path without XLA."""
    with pytest.MonkeyPatch.context() as patch:
        trace_plainly(patch)
        plan = plan_of(corpus, tmp_path_factory.mktemp("uninterrupted"), num_layers=2)
        return what_no_clock_touches(run_plan(plan).path)


@pytest.mark.usefixtures("without_xla")
def test_a_run_that_was_stopped_and_crashed_and_damaged_ends_with_the_same_bytes(uninterrupted, corpus, tmp_path):
    terminated = Watcher({7: lambda: ask_to_stop(signal.SIGTERM)})
    assert run_plan(plan_of(corpus, tmp_path, num_layers=2), terminated).stopped_by == signal.SIGTERM
    with pytest.raises(RuntimeError):
        resume(tmp_path, {21: crash})
    newest = model_directory.checkpoint_dirs(tmp_path / "novel")[0]
    assert newest.name == "step-00000018"
    (newest / model_directory.TRAINING_STATE).write_bytes(b"")
    result, watcher = resume(tmp_path)
    assert watcher.first_step == 12
    assert what_no_clock_touches(result.path) == uninterrupted


@pytest.mark.usefixtures("without_xla")
def test_a_run_stopped_after_its_last_step_only_has_to_be_sealed(uninterrupted, corpus, tmp_path):
    result = run_plan(plan_of(corpus, tmp_path, num_layers=2), Watcher({STEPS: ask_to_stop}))
    assert result.stopped_by == signal.SIGINT
    result, watcher = resume(tmp_path)
    assert watcher.steps == []
    assert what_no_clock_touches(result.path) == uninterrupted


@pytest.mark.usefixtures("without_xla")
def test_a_text_that_changed_is_not_resumed_on(tmp_path):
    corpus = tmp_path / "novel.txt"
    corpus.write_text(TEXT)
    with pytest.raises(RuntimeError):
        run_plan(plan_of(corpus, tmp_path), Watcher({0: crash}))
    corpus.write_text(TEXT.replace("cat", "dog", 1))
    with pytest.raises(CorpusError, match="is not the one this run began with"):
        resume(tmp_path)


@pytest.mark.usefixtures("without_xla")
def test_the_settings_that_are_not_the_runs_own_cannot_be_mixed_in(corpus, tmp_path):
    """A checkpoint whose tensors are of another shape is refused before a step is made."""
    with pytest.raises(RuntimeError):
        run_plan(plan_of(corpus, tmp_path), Watcher({0: crash}))
    plan = resumed_plan(tmp_path)
    other = dataclasses.replace(plan, training=plan.training.replace(batch_size=5))
    with pytest.raises(TrainingError, match="is not of this model"):
        run_plan(other)


# ---- words and documents, with everything on that draws random numbers

SOME_WORDS = {"level": "word", "vocabulary_size": 24, "tied": True, "batch_size": 1, "sequence_length": 4}
SOME_WORDS |= {"num_sampled": 3, "ema": 0.0, "weight_decay": 0.5}
KINDS = {
    "words": {"level": "word", "vocabulary_size": 24, "normalize": "casefold", "tied": True},
    "words of which a step moves a few": SOME_WORDS,
    "documents": {"documents": "line", "val_fraction": 0.2, "storage": "int8"},
}


@pytest.mark.usefixtures("without_xla")
@pytest.mark.parametrize("kind", KINDS)
def test_a_run_of_words_or_of_documents_that_was_stopped_ends_with_the_same_bytes(kind, corpus, tmp_path):
    options = {"num_sampled": 9, "sequence_length": 6, "dropout": 0.3, "weight_drop": 0.2}
    options |= {"input_dropout": 0.2, "embedding_dropout": 0.2, "activation_reg": 1.0, "temporal_activation_reg": 1.0}
    options |= {"state_reset": 0.2, "ema": 0.5, **KINDS[kind]}
    plan = plan_of(corpus, tmp_path / "whole", **options)
    left = what_no_clock_touches(run_plan(plan).path)
    stopped = run_plan(plan_of(corpus, tmp_path / "stopped", **options), Watcher({7: ask_to_stop}))
    assert stopped.stopped_by == signal.SIGINT
    result, watcher = resume(tmp_path / "stopped")
    assert watcher.steps == list(range(8, STEPS + 1))
    assert what_no_clock_touches(result.path) == left
    record = model_directory.load_model("novel", tmp_path / "stopped").record
    assert record.text == plan.text
    assert record.training.num_sampled == options["num_sampled"]
    check = check_documents if kind == "documents" else check_words
    check(plan, result.results, tmp_path / "stopped")


@pytest.mark.usefixtures("without_xla")
def test_a_checkpoint_of_before_rows_could_wait_has_none_that_does(corpus, tmp_path, monkeypatch):
    with pytest.raises(RuntimeError):
        run_plan(plan_of(corpus, tmp_path, **SOME_WORDS), Watcher({9: crash}))
    restore, waits = Trainer.restore, []

    def restore_older(trainer: Trainer, checkpoint: Checkpoint) -> None:
        kept = {name: tensor for name, tensor in checkpoint.training.items() if not name.startswith("table.")}
        assert len(kept) == len(checkpoint.training) - 2
        restore(trainer, checkpoint._replace(training=kept))
        waits.append(trainer.step.table.waits.numpy())

    monkeypatch.setattr(Trainer, "restore", restore_older)
    _, watcher = resume(tmp_path)
    assert watcher.steps == list(range(7, STEPS + 1))
    assert not waits[0].any()


def check_words(plan, results, models_dir: Path) -> None:
    """Losses are exact though steps are not, and bits are those of characters."""
    model = model_directory.load_model("novel", models_dir)
    evaluation = evaluate(split_text(TEXT, 0.1)[1], model.tokenizer, NumpyEngine(model.record.model, model.weights))
    assert evaluation.tokens == len(plan.prepared.validation_ids) < evaluation.characters
    per_token = evaluation.nats_per_character * evaluation.characters / evaluation.tokens
    assert results.validation_loss == pytest.approx(per_token, rel=0.02)  # the first token is not predicted there
    bits = results.validation_loss * plan.tokens_per_character / math.log(2)
    assert results.validation_bits_per_character == pytest.approx(bits)
    assert results.validation_bits_per_character == pytest.approx(evaluation.bits_per_character, rel=0.02)
    assert (results.samples_new, results.samples_in_training, results.samples_in_validation) == (0, 0, 0)
    for row in metrics_of(models_dir / "novel"):
        assert row["bits_per_character"] == pytest.approx(
            row["validation_loss"] * plan.tokens_per_character / math.log(2)
        )


def check_documents(plan, results, models_dir: Path) -> None:
    """Documents that the finished model writes are counted; samples on the way go on from one to the next."""
    found = results.samples_new, results.samples_in_training, results.samples_in_validation
    model = model_directory.load_model("novel", models_dir)
    assert found == tuple(count_origins(open_generator(model), plan.prepared))
    assert sum(found) > 0
    assert model.record.corpus.documents == plan.prepared.num_documents == TEXT.count("\n") + 1
    assert all(len(row["sample"]) == SAMPLE["char"].length for row in metrics_of(models_dir / "novel"))


# ---- which weights are kept


@pytest.mark.usefixtures("without_xla")
def test_the_weights_of_the_lowest_validation_loss_are_kept(corpus, tmp_path):
    seen = {}
    plan = plan_of(corpus, tmp_path)
    learner = Learner(plan)
    learner.validate, learner.validate_fully = Falling(3.0, 1.0, 2.0), Falling(1.5)
    look = {step: lambda s=step: seen.update({s: learner.model.get_named_weights()}) for step in (10, 20, 30)}
    watcher = Watcher(look)
    result = run_plan(plan, watcher, learner=learner)
    stored = model_directory.load_model("novel", tmp_path).weights
    assert {name: array.tobytes() for name, array in stored.items()} == {
        name: array.tobytes() for name, array in seen[20].items()
    }
    assert not np.array_equal(stored["embedding"], seen[30]["embedding"])
    assert watcher.best == [True, True, False]
    assert (result.results.best_step, result.results.validation_loss) == (20, 1.5)


@pytest.mark.usefixtures("without_xla")
def test_without_a_validation_part_the_last_weights_are_kept(corpus, tmp_path):
    seen = {}
    plan = plan_of(corpus, tmp_path, val_fraction=0.0)
    learner = Learner(plan)
    watcher = Watcher({STEPS: lambda: seen.update(learner.model.get_named_weights())})
    results = run_plan(plan, watcher, learner=learner).results
    stored = model_directory.load_model("novel", tmp_path).weights
    assert all(stored[name].tobytes() == array.tobytes() for name, array in seen.items())
    assert results.best_step == STEPS
    assert results.validation_loss is results.validation_bits_per_character is None
    assert [row["validation_loss"] for row in metrics_of(tmp_path / "novel")] == [None] * 3
    assert len(plan.prepared.train_ids) == len(TEXT)


# ---- a run that goes wrong


@pytest.mark.usefixtures("without_xla")
def test_a_loss_that_is_no_number_again_and_again_ends_the_run_and_says_what_to_do(corpus, tmp_path):
    """What happens before that is in test_rolling_back.py."""
    plan = plan_of(corpus, tmp_path)
    learner = Learner(plan)
    watcher = Watcher({7: lambda: poison(learner)})
    with pytest.raises(TrainingError, match=r"the loss is nan at step 8, though .* with a lower --learning-rate, or"):
        run_plan(plan, watcher, learner=learner)
    assert watcher.steps == [*range(1, 8), *3 * [7]]
    assert load_newest(tmp_path / "novel")[0].progress.step == 6


# ---- writing over a model


OLD = make_stored_model(seed=9)


def assert_is_old(path: Path) -> None:
    """The directory holds the model that was there before, whole."""
    model = model_directory.load_model(str(path), path.parent)
    assert model.weights["embedding"].tobytes() == OLD.weights["embedding"].tobytes()


@pytest.mark.usefixtures("without_xla")
def test_the_old_model_is_kept_until_the_new_one_is_finished(uninterrupted, corpus, tmp_path):
    path = write_stored_model(tmp_path, OLD, "novel")
    aside = tmp_path / ".novel.previous"
    watcher = Watcher({step: lambda: assert_is_old(aside) for step in (1, STEPS)})
    run_plan(plan_of(corpus, tmp_path, num_layers=2, overwrite=True), watcher)
    assert watcher.steps[-1] == STEPS
    assert what_no_clock_touches(path) == uninterrupted
    assert os.listdir(tmp_path) == ["novel"]


@pytest.mark.usefixtures("without_xla")
def test_the_old_model_comes_back_when_the_new_run_cannot_begin(corpus, tmp_path, monkeypatch):
    path = write_stored_model(tmp_path, OLD, "novel")
    before = {p.name: p.read_bytes() for p in path.iterdir()}

    def full(*_arguments, **_options):
        raise ModelError("cannot save a checkpoint")

    monkeypatch.setattr("textgen.training.trainer.save_checkpoint", full)
    with pytest.raises(ModelError, match="cannot save a checkpoint"):
        run_plan(plan_of(corpus, tmp_path, overwrite=True))
    assert {p.name: p.read_bytes() for p in path.iterdir()} == before
    assert os.listdir(tmp_path) == ["novel"]


@pytest.mark.usefixtures("without_xla")
def test_the_old_model_outlives_a_crash_a_second_try_and_a_third_until_one_is_finished(uninterrupted, corpus, tmp_path):
    path = write_stored_model(tmp_path, OLD, "novel")
    aside = tmp_path / ".novel.previous"
    for _ in range(2):
        with pytest.raises(RuntimeError):
            run_plan(plan_of(corpus, tmp_path, num_layers=2, overwrite=True), Watcher({0: crash}))
        assert_is_old(aside)
        assert not (path / manifest.MANIFEST).exists()
    resume(tmp_path)
    assert what_no_clock_touches(path) == uninterrupted
    assert os.listdir(tmp_path) == ["novel"]


# ---- the end


@pytest.mark.usefixtures("without_xla")
def test_a_full_disk_at_the_very_end_is_one_line_and_the_run_can_be_resumed(corpus, tmp_path, monkeypatch):
    def full(*_arguments):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    plan = plan_of(corpus, tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr("textgen.training.run.seal", full)
        with pytest.raises(ModelError, match=r"No space left on device.*textgen train --resume --name novel"):
            run_plan(plan)
    resumed = resumed_plan(tmp_path)
    assert (resumed.begins.progress.step, resumed.notes) == (STEPS, ())
    assert run_plan(resumed).results.steps == STEPS
    assert model_directory.load_model("novel", tmp_path).is_finished
