"""Runs that begin with a finished model, from the first line to the model directory; stopped, resumed and refused."""

import dataclasses
import json
import random
import shutil
from pathlib import Path

import numpy as np
import pytest
from commands import one_line, run
from conftest import make_stored_model, slow, write_stored_model
from test_progress import Screen
from test_progress import plan_of as shown_plan
from test_request import everything_in
from test_training_run import Watcher, crash, metrics_of, what_no_clock_touches

import textgen
import textgen.training.run
from textgen import model_store
from textgen.config import TextConfig, TrainingConfig
from textgen.corpus import split_text
from textgen.errors import ModelError, SettingError, TrainingError
from textgen.evaluation.one_pass import surprisals
from textgen.generation.numpy_engine import NumpyEngine
from textgen.model.devices import Device
from textgen.model_store import load_model
from textgen.records import ParentRecord
from textgen.training.checkpoints import load_newest
from textgen.training.request import new_plan, resumed_plan, settings_of
from textgen.training.run import Run

WORDS = ("the", "cat", "sat", "on", "a", "mat", "and", "looked", "at", "me.\n")
OLD_TEXT = " ".join(random.Random(0).choices(WORDS, k=900))
NEW_TEXT = " ".join(random.Random(1).choices([*WORDS, "Zoë", "grüßt", "THE"], k=900))
SETTINGS = {"steps": 30, "batch_size": 4, "sequence_length": 8, "dropout": 0.2, "seed": 1} | {
    "checkpoint_every": 6,
    "sample_every": 10,
}
SHAPE = {"units": 8, "embedding_size": 4, "num_layers": 1}


@pytest.fixture
def without_xla(monkeypatch):
    """The path of a GPU, without one: a plain graph, which is traced in a moment."""
    monkeypatch.setattr(textgen.training.run, "choose_device", lambda cell: Device("GPU", False, "said by the test"))


@pytest.fixture(scope="module")
def first_models(tmp_path_factory) -> Path:
    """A models directory with `old`, which has learned OLD_TEXT."""
    folder = tmp_path_factory.mktemp("first")
    (folder / "old.txt").write_text(OLD_TEXT)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(textgen.training.run, "choose_device", lambda cell: Device("GPU", False, "said by the test"))
        textgen.train(folder / "old.txt", models_dir=folder / "models", **{**SETTINGS, "steps": 200}, **SHAPE)
    return folder / "models"


@pytest.fixture
def models(first_models, tmp_path, monkeypatch, without_xla) -> Path:
    """A copy of it; the working directory holds the new text."""
    monkeypatch.chdir(tmp_path)
    Path("new.txt").write_text(NEW_TEXT)
    return Path(shutil.copytree(first_models, tmp_path / "models"))


class Heard(Watcher):
    """Also notes what the parent was and how it did."""

    parent = loss = None

    def inherited(self, plan, loss):
        self.parent, self.loss = plan.parent, loss


def plan_from(parent: str, models: Path, source: str = "new.txt", overwrite: bool = False, **settings):
    stored = load_model(parent, models)
    text, shape, training = settings_of({**SETTINGS, **settings}, stored)
    return new_plan(
        [source], models_dir=models, text=text, shape=shape, training=training, parent=stored, overwrite=overwrite
    )


def test_a_person_sees_what_it_begins_with_and_how_well_that_does():
    screen = Screen()
    plan = shown_plan()
    screen.reporter.inherited(dataclasses.replace(plan, parent=ParentRecord("old", "0" * 64, 1)), 1.5)
    words = dataclasses.replace(
        shown_plan(text=TextConfig(level="word")), parent=ParentRecord("old", "0" * 64, 0, 2345)
    )
    screen.reporter.inherited(words, None)
    assert screen.lines == [
        " begins as  old, 1 character added; before: 1.50 nats per character, 2.16 bits per character",
        " begins as  old, 0 characters and 2,345 words added",
    ]


# ---- one run


def test_a_run_begins_where_its_parent_is_and_leaves_that_as_it_was(models):
    before, old = everything_in(models / "old"), load_model("old", models)
    heard = Heard()
    plan = plan_from("old", models)
    Run(plan, heard).train()
    assert everything_in(models / "old") == before
    new = load_model("new", models)
    assert new.record.parent == heard.parent == ParentRecord("old", old.sha256, symbols_added=9, words_added=0)
    assert new.tokenizer.symbols == "".join(sorted({*OLD_TEXT, *NEW_TEXT}))
    assert new.record.model == old.record.model.replace(vocabulary_size=new.tokenizer.vocabulary_size)
    _, validation_text = split_text(NEW_TEXT, 0.1)
    nats = surprisals(plan.tokenizer.encode(validation_text), NumpyEngine(plan.model, plan.initial_weights))
    assert heard.loss == pytest.approx(nats.mean(), abs=1e-4)
    assert new.record.results.validation_loss < heard.loss
    assert [row["step"] for row in metrics_of(new.path)] == [10, 20, 30]


def test_a_run_that_learns_nothing_ends_with_the_weights_that_it_began_with(models):
    plan = plan_from("old", models, steps=1, learning_rate=1e-30)
    Run(plan).train()
    new = load_model("new", models)
    for name, weights in plan.initial_weights.items():
        np.testing.assert_allclose(new.weights[name], weights, rtol=1e-6, atol=1e-12)


def test_a_run_that_only_harms_keeps_what_it_began_with(models):
    heard = Heard()
    plan = plan_from("old", models, learning_rate=8.0)
    results = Run(plan, heard).train().results
    assert min(row.validation_loss for row in heard.rows) > heard.loss
    assert not any(heard.best)
    assert results.best_step == 0
    assert results.validation_loss == pytest.approx(heard.loss, abs=1e-5)
    kept = load_model("new", models).weights
    assert all(np.array_equal(kept[name], weights) for name, weights in plan.initial_weights.items())


def test_a_run_without_validation_has_nothing_to_compare(models):
    heard = Heard()
    results = Run(plan_from("old", models, val_fraction=0.0), heard).train().results
    assert (heard.parent.name, heard.loss, results.validation_loss, results.best_step) == ("old", None, None, 30)


@pytest.mark.parametrize("step", [13, slow(0)])
def test_a_stopped_run_ends_with_the_same_bytes_and_needs_its_parent_no_more(models, step):
    Run(plan_from("old", models)).train()
    expected = what_no_clock_touches(models / "new")
    shutil.rmtree(models / "new")
    with pytest.raises(RuntimeError):
        Run(plan_from("old", models), Watcher({step: crash})).train()
    shutil.rmtree(models / "old")
    plan, checkpoint, _ = resumed_plan("new", models)
    heard = Heard()
    Run(plan, heard).train(checkpoint)
    assert heard.first_step == step // 6 * 6
    assert heard.parent is None  # nothing is said of it again
    assert what_no_clock_touches(models / "new") == expected


def test_the_best_weights_of_an_unfinished_run_are_a_parent_too(models):
    with pytest.raises(RuntimeError):
        Run(plan_from("old", models), Watcher({13: crash})).train()
    checkpoint, _ = load_newest(models / "new")
    Path("third.txt").write_text(NEW_TEXT + "§")
    plan = plan_from(str(models / "new"), models, "third.txt")
    assert (plan.parent.name, plan.parent.symbols_added) == ("new", 1)
    assert plan.parent.sha256 == load_model("new", models).sha256
    layer = "layers.0.recurrent_kernel"
    assert np.array_equal(plan.initial_weights[layer], checkpoint.best_weights[layer])


# ---- a model that is to become another


def test_a_model_may_take_its_parent_s_place_which_is_set_aside_until_then(models):
    Path("old.txt").write_text(NEW_TEXT)
    first = load_model("old", models)
    with pytest.raises(ModelError, match=r"exists\. Use --overwrite or another --name"):
        plan_from("old", models, "old.txt")
    before, found = everything_in(models / "old"), []
    plan = plan_from("old", models, "old.txt", overwrite=True)
    Run(plan, Watcher({20: lambda: found.append(everything_in(models / ".old.previous"))})).train(overwrite=True)
    assert found == [before]
    assert [path.name for path in models.iterdir()] == ["old"]
    assert load_model("old", models).record.parent.sha256 == first.sha256


def test_a_parent_comes_back_when_the_model_in_its_place_fails_at_once(models, monkeypatch):
    Path("old.txt").write_text(NEW_TEXT)
    before = everything_in(models)

    def refuse(*_):
        raise TrainingError("no room")

    monkeypatch.setattr(textgen.training.loop, "save_checkpoint", refuse)
    plan = plan_from("old", models, "old.txt", overwrite=True)
    with pytest.raises(TrainingError, match="no room"):
        Run(plan).train(overwrite=True)
    assert everything_in(models) == before


# ---- words, documents, and the Python interface


def test_a_model_of_words_and_documents_learns_new_words(models, tmp_path):
    lines = [" ".join(random.Random(n).choices(WORDS[:-1], k=6)) for n in range(150)]
    Path("lines.txt").write_text("\n".join(lines))
    more = [" ".join(random.Random(n).choices([*WORDS[:-1], "Zoë", "nods"], k=6)) for n in range(150)]
    Path("more.txt").write_text("\n".join(more))
    settings = {**SETTINGS, "models_dir": models, "steps": 60}
    old = textgen.train("lines.txt", level="word", documents="line", tied=True, **{**SHAPE, **settings})
    new = textgen.train("more.txt", init_from="lines", **settings)
    assert new.name == "more"
    assert new.record.parent.name == "lines"
    tokenizer, former = new._stored.tokenizer, old._stored.tokenizer
    assert tokenizer.words[: len(former.words)] == former.words
    assert set(tokenizer.words[len(former.words) :]) == {" Zoë", " nods", "Zoë", "nods"}
    assert new.record.parent.words_added == 4
    assert new.record.text == TextConfig(level="word", documents="line")
    assert new.record.training == TrainingConfig(
        minutes=None, **{**SETTINGS, "steps": 60, "num_sampled": 0, "learning_rate": 0.012}
    )
    assert new.generate("the cat", length=5) != ""
    with pytest.raises(SettingError, match="--units 9 contradicts --init-from: lines has 8"):
        textgen.train("more.txt", init_from=models / "lines", name="other", units=9, **settings)


# ---- the command


@pytest.fixture
def shop(tmp_path) -> Path:
    """A working directory with a model and a text."""
    symbols = "".join(sorted({*OLD_TEXT}))
    write_stored_model(tmp_path / "saved_models", make_stored_model(symbols=symbols), "old")
    (tmp_path / "new.txt").write_text(NEW_TEXT)
    return tmp_path


COMMAND = ["train", "new.txt", "--init-from", "old", "--steps", "40", "--batch-size", "4", "--sequence-length", "8"]


def test_the_command_says_what_it_begins_with_and_the_model_remembers_it(shop):
    done = run(*COMMAND, "--json", cwd=shop)
    assert done.returncode == 0, done.stderr.decode()
    lines = [line.strip() for line in done.stderr.decode().splitlines()]
    (line,) = [line for line in lines if line.startswith("begins as")]
    assert line.startswith("begins as  old, 9 characters added; before: ")
    before = float(line.split("before: ")[1].split(" nats per character, ")[0])
    assert json.loads(done.stdout)["validation_loss"] < before
    shown = run("info", "new", cwd=shop)
    text = " ".join(shown.stdout.decode().split())
    assert f"parent name old sha256 {load_model('old', shop / 'saved_models').sha256} symbols_added 9" in text


@pytest.mark.slow
def test_such_a_model_is_exported_like_any_other(shop):
    for command in (COMMAND, ["export", "new"]):
        done = run(*command, cwd=shop)
        assert done.returncode == 0, done.stderr.decode()


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["--init-from", "odl"], 1, "no model 'odl' in saved_models. Did you mean old?"),
        (["--init-from", ""], 1, "holds no model"),
        (["--init-from", "old", "--units", "99"], 2, "--units 99 contradicts --init-from: old has 12"),
        (["--init-from", "old", "--resume"], 2, "leave out --init-from"),
        (["--init-from", "old", "--name", "old"], 1, "saved_models/old exists. Use --overwrite or another --name"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(shop, arguments, status, message):
    before = everything_in(shop)
    done = run("train", "new.txt", *arguments, cwd=shop)
    assert done.returncode == status
    assert message in one_line(done)
    assert everything_in(shop) == before


@pytest.mark.parametrize("name", [model_store.WEIGHTS, model_store.TOKENIZER, model_store.CONFIG])
def test_a_damaged_parent_is_refused_in_one_line(shop, name):
    path = shop / "saved_models" / "old" / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    done = run(*COMMAND, cwd=shop)
    assert done.returncode == 1
    assert f"{name} is damaged" in one_line(done)
    assert not (shop / "saved_models" / "new").exists()
