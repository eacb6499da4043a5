"""Runs that begin with a finished model, from the first line to the model directory; stopped, resumed and refused."""

import json
import random
import shutil
from pathlib import Path

import numpy as np
import pytest
from commands import one_line, run
from conftest import make_stored_model, trace_plainly, write_stored_model
from plans import (
    TEXT,
    WORDS,
    everything_in,
    metrics_of,
    plan_of,
    resumed_plan,
    run_plan,
    what_no_clock_touches,
)
from watching import Watcher, crash
from whole_texts import split_text, surprisals

import textgen
from textgen.config import TextConfig, TrainingConfig
from textgen.cores import available_cores
from textgen.errors import ModelError, SettingError, TrainingError
from textgen.generation.numpy_engine import NumpyEngine
from textgen.records import ParentRecord
from textgen.store import model_directory
from textgen.store.checkpoints import load_newest
from textgen.store.model_directory import load_model
from textgen.training.learner import Learner

OLD_TEXT = TEXT
NEW_TEXT = " ".join(random.Random(1).choices([*WORDS, "Zoë", "grüßt", "THE"], k=900))
RECURRENT = "layers.0.recurrent_kernel"


@pytest.fixture(scope="module")
def first_models(corpus, tmp_path_factory) -> Path:
    """A models directory with `old`, which has learned OLD_TEXT."""
    folder = tmp_path_factory.mktemp("first")
    with pytest.MonkeyPatch.context() as patch:
        trace_plainly(patch)
        run_plan(plan_of(corpus, folder, name="old", steps=200, weight_drop=0.0))
    return folder


@pytest.fixture
def models(first_models, tmp_path, monkeypatch, without_xla) -> Path:
    """A copy of it; the working directory holds the new text."""
    monkeypatch.chdir(tmp_path)
    Path("new.txt").write_text(NEW_TEXT)
    return Path(shutil.copytree(first_models, tmp_path / "models"))


class Heard(Watcher):
    """Also notes what the parent was and how it did."""

    parent = loss = None

    def inherited(self, plan, parent, loss):
        self.parent, self.loss = parent, loss


def plan_from(parent: str, models: Path, source: str = "new.txt", **options):
    return plan_of(source, models, init_from=parent, **options)


def weights_at_first(plan) -> dict[str, np.ndarray]:
    return Learner(plan).model.get_named_weights()


# ---- one run


def test_a_run_begins_where_its_parent_is_and_leaves_that_as_it_was(models):
    before, old = everything_in(models / "old"), load_model("old", models)
    heard = Heard()
    plan = plan_from("old", models)
    run_plan(plan, heard)
    assert everything_in(models / "old") == before
    new = load_model("new", models)
    assert new.record.parent == heard.parent == ParentRecord("old", old.sha256, symbols_added=9, words_added=0)
    assert new.tokenizer.symbols == "".join(sorted({*OLD_TEXT, *NEW_TEXT}))
    assert new.record.model == old.record.model.replace(vocabulary_size=new.tokenizer.vocabulary_size)
    _, validation_text = split_text(NEW_TEXT, 0.1)
    nats = surprisals(plan.tokenizer.encode(validation_text), NumpyEngine(plan.model, weights_at_first(plan)))
    assert heard.loss == pytest.approx(nats.mean(), abs=1e-4)
    assert new.record.results.validation_loss < heard.loss
    assert [row["step"] for row in metrics_of(new.path)] == [10, 20, 30]


def test_a_run_that_learns_nothing_ends_with_the_weights_that_it_began_with(models):
    plan = plan_from("old", models, steps=1, learning_rate=1e-30)
    run_plan(plan)
    new = load_model("new", models)
    for name, weights in weights_at_first(plan).items():
        np.testing.assert_allclose(new.weights[name], weights, rtol=1e-6, atol=1e-12)


def test_a_run_that_only_harms_keeps_what_it_began_with(models):
    heard = Heard()
    plan = plan_from("old", models, learning_rate=8.0)
    results = run_plan(plan, heard).results
    assert min(row.validation_loss for row in heard.rows) > heard.loss
    assert not any(heard.best)
    assert results.best_step == 0
    assert results.validation_loss == pytest.approx(heard.loss, abs=1e-5)
    kept = load_model("new", models).weights
    assert all(np.array_equal(kept[name], weights) for name, weights in weights_at_first(plan).items())


def test_a_run_without_validation_has_nothing_to_compare(models):
    heard = Heard()
    results = run_plan(plan_from("old", models, val_fraction=0.0), heard).results
    assert (heard.parent.name, heard.loss, results.validation_loss, results.best_step) == ("old", None, None, 30)


def test_a_stopped_run_ends_with_the_same_bytes_and_needs_its_parent_no_more(models):
    run_plan(plan_from("old", models))
    expected = what_no_clock_touches(models / "new")
    shutil.rmtree(models / "new")
    for step in (0, 13):
        with pytest.raises(RuntimeError):
            run_plan(plan_from("old", models), Watcher({step: crash}))
        shutil.copytree(models / "old", models / "away", dirs_exist_ok=True)
        shutil.rmtree(models / "old")
        heard = Heard()
        run_plan(resumed_plan(models, "new"), heard)
        assert heard.first_step == step // 6 * 6
        assert heard.parent is None  # nothing is said of it again
        assert what_no_clock_touches(models / "new") == expected
        shutil.rmtree(models / "new")
        (models / "away").rename(models / "old")


def test_the_best_weights_of_an_unfinished_run_are_a_parent_too(models):
    with pytest.raises(RuntimeError):
        run_plan(plan_from("old", models), Watcher({13: crash}))
    checkpoint, _ = load_newest(models / "new")
    Path("third.txt").write_text(NEW_TEXT + "§")
    plan = plan_from(str(models / "new"), models, "third.txt")
    assert (plan.parent.name, plan.parent.symbols_added) == ("new", 1)
    assert plan.parent.sha256 == load_model("new", models).sha256
    assert np.array_equal(weights_at_first(plan)[RECURRENT], checkpoint.best_weights[RECURRENT])


# ---- a model that is to become another


def test_a_model_may_take_its_parent_s_place_which_is_set_aside_until_then(models):
    Path("old.txt").write_text(NEW_TEXT)
    first = load_model("old", models)
    with pytest.raises(ModelError, match=r"exists, and is a model of .*novel.txt\. Use --overwrite or another --name"):
        plan_from("old", models, "old.txt")
    before, found = everything_in(models / "old"), []
    plan = plan_from("old", models, "old.txt", overwrite=True)
    run_plan(plan, Watcher({20: lambda: found.append(everything_in(models / ".old.previous"))}))
    assert found == [before]
    assert [path.name for path in models.iterdir()] == ["old"]
    assert load_model("old", models).record.parent.sha256 == first.sha256


def test_a_parent_comes_back_when_the_model_in_its_place_fails_at_once(models, monkeypatch):
    Path("old.txt").write_text(NEW_TEXT)
    before = everything_in(models)

    def refuse(*_arguments, **_options):
        raise TrainingError("no room")

    monkeypatch.setattr("textgen.training.trainer.save_checkpoint", refuse)
    plan = plan_from("old", models, "old.txt", overwrite=True)
    with pytest.raises(TrainingError, match="no room"):
        run_plan(plan)
    assert everything_in(models) == before


# ---- words, documents, and the Python interface


def test_a_model_of_words_and_documents_learns_new_words(models):
    lines = [" ".join(random.Random(n).choices(WORDS[:-1], k=6)) for n in range(150)]
    Path("lines.txt").write_text("\n".join(lines))
    more = [" ".join(random.Random(n).choices([*WORDS[:-1], "Zoë", "nods"], k=6)) for n in range(150)]
    Path("more.txt").write_text("\n".join(more))
    settings = {"models_dir": models, "steps": 60, "batch_size": 4, "sequence_length": 8, "seed": 1}
    shape = {"units": 8, "embedding_size": 4, "num_layers": 1}
    old = textgen.train("lines.txt", level="word", documents="line", **shape, **settings)
    new = textgen.train("more.txt", init_from="lines", dropout=0.2, **settings)
    assert new.name == "more"
    assert new.record.parent.name == "lines"
    tokenizer, former = new._stored.tokenizer, old._stored.tokenizer
    assert set(former.words) <= set(tokenizer.words)
    assert set(tokenizer.words) - set(former.words) == {" Zoë", " nods", "Zoë", "nods"}
    assert new.record.parent.words_added == 4
    assert new.record.text == TextConfig(level="word", documents="line")
    assert new.record.model == old.record.model.replace(vocabulary_size=tokenizer.vocabulary_size)
    # The old model knows little of the text.
    suited = {"num_sampled": 0, "bias_rate": 1.0, "schedule": "one-cycle", "storage": "float32", "learning_rate": 0.012}
    suited |= {"activation_reg": 0.0, "weight_decay": 0.0, "cores": available_cores()}
    given = {name: value for name, value in settings.items() if name != "models_dir"}
    assert new.record.training == TrainingConfig(**given, **suited | {"dropout": 0.2})
    assert old.record.training.weight_decay > 0  # which begins from nothing
    assert new.generate("the cat", length=5) != ""
    with pytest.raises(SettingError, match="`units=9` contradicts `init_from`: lines has 8"):
        textgen.train("more.txt", init_from=models / "lines", name="other", units=9, **settings)


def test_a_model_is_stored_as_the_one_that_it_begins_with_unless_it_is_asked_for_otherwise(models):
    symbols = "".join(sorted({*OLD_TEXT}))
    write_stored_model(models, make_stored_model(symbols=symbols, storage="int8"), "small")
    assert plan_from("small", models).training.storage == "int8"
    assert plan_from("small", models, storage="float16").training.storage == "float16"
    assert plan_from("old", models).training.storage == "float32"


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
    done = run(*COMMAND, "-v", "--json", cwd=shop)
    assert done.returncode == 0, done.stderr.decode()
    lines = [line.strip() for line in done.stderr.decode().splitlines()]
    (line,) = [line for line in lines if line.startswith("before")]
    assert line.endswith(" bits per character; 9 characters added")
    before = float(line.split("old: ")[1].split(" nats per character on the validation part, ")[0])
    assert json.loads(done.stdout)["validation_loss"] < before
    shown = run("info", "new", cwd=shop)
    text = " ".join(shown.stdout.decode().split())
    assert f"parent name old sha256 {load_model('old', shop / 'saved_models').sha256} symbols_added 9" in text


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


@pytest.mark.parametrize("name", [model_directory.WEIGHTS, model_directory.TOKENIZER, model_directory.CONFIG])
def test_a_damaged_parent_is_refused_in_one_line(shop, name):
    path = shop / "saved_models" / "old" / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    done = run(*COMMAND, cwd=shop)
    assert done.returncode == 1
    assert f"{name} is damaged" in one_line(done)
    assert not (shop / "saved_models" / "new").exists()
