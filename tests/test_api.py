"""The Python interface, as the README shows it."""

import subprocess
import sys
from pathlib import Path

import pytest
from conftest import make_stored_model, make_word_tokenizer, trace_plainly, write_stored_model

import textgen
from textgen.errors import CorpusError, ModelError, SettingError, TokenizerError
from textgen.recipe import PRESETS
from textgen.records import ResultRecord
from textgen.training.reporting import Reporter
from textgen.training.request import Request
from textgen.training.results import TrainingResult

SHAPE = {"units": 12, "embedding_size": 6, "num_layers": 1, "batch_size": 4, "sequence_length": 8}


@pytest.fixture(scope="module", autouse=True)
def without_xla_here():
    """What is trained here is traced plainly."""
    with pytest.MonkeyPatch.context() as patch:
        trace_plainly(patch)
        yield


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A directory with a text and, in `models`, a model of it."""
    directory = tmp_path_factory.mktemp("api")
    (directory / "novel.txt").write_text("It was a dark and stormy night. It was a bright cold day.\n" * 30)
    textgen.train(directory / "novel.txt", models_dir=directory / "models", steps=40, **SHAPE)
    return directory


@pytest.fixture(scope="module")
def model(place):
    return textgen.load("novel", models_dir=place / "models")


def test_training_returns_the_model(place, model):
    assert model.name == "novel"
    assert model.path == place / "models" / "novel"
    assert (model.record.model.units, model.record.results.steps) == (12, 40)


def test_generating_streaming_and_sampling_give_one_text(model):
    text = model.generate("It was", temperature=0.9, length=50, seed=7)
    assert len(text) == 50
    assert "".join(model.stream("It was", temperature=0.9, length=50, seed=7)) == text
    completions = model.samples("It was", 3, temperature=0.9, length=50, seed=7)
    assert [c.sample for c in completions] == [0, 1, 2]
    assert completions[0].completion == text
    assert completions[1].completion != text


def test_a_stop_may_be_one_string_or_several(model):
    text = model.generate("It was", length=80)
    stop = text[30:32]
    assert model.generate("It was", length=80, stop=stop) == text[: text.index(stop)]
    assert model.generate("It was", length=80, stop=[stop, "no such text"]) == text[: text.index(stop)]


def test_evaluating_a_text_gives_both_units(model):
    result = model.evaluate("It was a dark night.")
    assert result.bits_per_character == pytest.approx(result.nats_per_character / 0.6931471805599453)
    with pytest.raises(TokenizerError, match="☃"):
        model.evaluate("It was ☃")


def test_a_reporter_hears_what_happens(place, monkeypatch):
    """On the path of a GPU, without one: a plain graph, which is traced in a moment."""
    trace_plainly(monkeypatch)

    class Counter(Reporter):
        steps = 0

        def stepped(self, step, epoch, loss, tokens_per_second):
            self.steps = step

    counter = Counter()
    textgen.train(
        place / "novel.txt", models_dir=place / "models", name="heard", epochs=1, reporter=counter, **SHAPE, dropout=0.0
    )
    assert counter.steps == textgen.load("heard", models_dir=place / "models").record.results.steps > 0


def test_mistakes_are_said_in_the_interface_s_own_words(place, model):
    with pytest.raises(SettingError, match="unknown setting 'temprature'"):
        model.generate("It was", temprature=1.0)
    with pytest.raises(SettingError, match="unknown setting 'unit'"):
        textgen.train(place / "novel.txt", models_dir=place / "models", name="x", unit=3)
    with pytest.raises(SettingError, match="`temperature` must be at least 0"):
        model.generate("It was", temperature=-1.0)
    with pytest.raises(ModelError, match="Did you mean novel"):
        textgen.load("nove", models_dir=place / "models")
    with pytest.raises(ModelError, match="overwrite"):
        textgen.train(place / "novel.txt", models_dir=place / "models", steps=1)
    with pytest.raises(AttributeError, match="nothing"):
        _ = textgen.nothing


def test_training_asks_for_what_it_is_given(monkeypatch):
    """The command asks for the same: see test_cli.py."""
    asked = []

    def train(request, reporter=None, *, started=None):
        asked.append((request, reporter))
        raise CorpusError("enough")

    monkeypatch.setattr("textgen.training.run.train", train)
    monkeypatch.setenv("TEXTGEN_MODELS_DIR", "mine")
    settings = {"level": "word", "vocabulary_size": 500, "documents": "line", "epochs": 2, "units": 7}
    reporter = Reporter()
    with pytest.raises(CorpusError, match="enough"):
        textgen.train(Path("novel.txt"), "more", init_from=Path("old"), reporter=reporter, **settings)
    with pytest.raises(CorpusError, match="enough"):
        textgen.train(name="tales", models_dir="models", preset="tiny", overwrite=True)
    assert asked == [
        (Request(Path("mine"), ("novel.txt", "more"), settings=settings, init_from="old"), reporter),
        (Request(Path("models"), name="tales", preset="tiny", overwrite=True), None),
    ]


def test_a_run_that_was_stopped_is_an_interruption(monkeypatch):
    stopped = TrainingResult("novel", Path("models/novel"), ResultRecord(), stopped_by=2)
    monkeypatch.setattr("textgen.training.run.train", lambda request, reporter: stopped)
    with pytest.raises(KeyboardInterrupt):
        textgen.train("novel.txt")


def test_what_nobody_decided_suits_the_text_and_the_budget(place):
    """As on the command line: few steps of two characters pay for the smallest model."""
    settings = {"steps": 1, "batch_size": 1, "sequence_length": 2}
    record = textgen.train(place / "novel.txt", models_dir=place / "models", name="suited", **settings).record
    assert (record.model.units, record.model.embedding_size) == (PRESETS["tiny"].units, 64)
    assert (record.model.skip, record.model.tied) == (True, False)
    assert (record.training.learning_rate, record.training.num_sampled, record.training.minutes) == (0.012, 0, None)


def test_a_model_of_documents_writes_them_one_by_one(tmp_path):
    write_stored_model(tmp_path, make_stored_model(tokenizer=make_word_tokenizer("\n")))
    model = textgen.load("tiny", models_dir=tmp_path)
    completions = model.samples(num_samples=20, length=1000)
    assert {c.finish_reason for c in completions} == {"document"}
    assert model.generate(length=1000) == completions[0].completion
    longer = model.generate(length=60, ignore_eod=True)
    assert longer.startswith(completions[0].completion + "\n")
    assert model.evaluate("the cat sat\non the mat").words == 7


def test_importing_textgen_imports_neither_tensorflow_nor_numpy():
    script = "import sys, textgen; print(sorted({'tensorflow', 'keras', 'numpy'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
