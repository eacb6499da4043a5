"""The Python interface, as the README shows it."""

import builtins
import copy
import dataclasses
import inspect
import io
import json
import multiprocessing
import os
import pickle
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from conftest import ALPHABET, make_stored_model, make_word_tokenizer, slow, trace_plainly, write_stored_model

import textgen
from textgen.arguments import in_python
from textgen.cli import main
from textgen.config import TextConfig
from textgen.errors import (
    CorpusError,
    ModelError,
    SettingError,
    TextgenError,
    TextgenWarning,
    TokenizerError,
    WrongTypeError,
)
from textgen.recipe import PRESETS
from textgen.records import ResultRecord
from textgen.training.reporting import Reporter
from textgen.training.request import Request
from textgen.training.results import TrainingResult

NOVEL = "It was a dark and stormy night. It was a bright cold day.\n" * 30
SHAPE = {"units": 12, "embedding_size": 6, "num_layers": 1, "batch_size": 4, "sequence_length": 8}
# As a program of NumPy counts; saved every ten steps, so that the clock decides nothing.
RUN = SHAPE | {"steps": np.int64(40), "dropout": np.float32(0.25), "checkpoint_every": np.array(10), "tied": np.False_}


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
    (directory / "novel.txt").write_text(NOVEL)
    textgen.train([directory / "novel.txt"], models_dir=directory / "models", **RUN)
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
        model.evaluate("It was ☃", on_unknown="error")


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

    def train(request, reporter=None, *, started=None, stop=None):
        asked.append(request)
        raise CorpusError("enough")

    monkeypatch.setattr("textgen.training.run.train", train)
    monkeypatch.setenv("TEXTGEN_MODELS_DIR", "mine")
    settings = {"level": "word", "vocabulary_size": 500, "documents": "line", "epochs": 2, "units": 7}
    for sources in (("novel.txt", "more"), (["novel.txt", Path("more")],), (Path("novel.txt"), iter(["more"]))):
        with pytest.raises(CorpusError, match="enough"):
            textgen.train(*sources, init_from=Path("old"), **settings)
    with pytest.raises(CorpusError, match="enough"):
        textgen.train(name="tales", models_dir="models", preset="tiny", overwrite=True)
    with pytest.raises(CorpusError, match="enough"):
        textgen.train(texts=np.array(["One.", "Two."]), name="tales", resume=True)
    assert asked == [
        *[Request(Path("mine"), ("novel.txt", "more"), settings=settings, init_from="old")] * 3,
        Request(Path("models"), name="tales", preset="tiny", overwrite=True),
        Request(Path("mine"), texts=("One.", "Two."), name="tales", resume=True),
    ]


def test_a_run_that_was_stopped_is_an_interruption(monkeypatch):
    stopped = TrainingResult("novel", Path("models/novel"), ResultRecord(), stopped_by=2)
    monkeypatch.setattr("textgen.training.run.train", lambda request, reporter, *, stop: stopped)
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
    assert model.evaluate("the cat sat\non the mat").words == 8  # of each line an end


def test_importing_textgen_imports_neither_tensorflow_nor_numpy():
    script = "import sys, textgen; print(sorted({'tensorflow', 'keras', 'numpy'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# ---- arguments


def test_none_is_a_blank_page(model):
    assert model.generate(None, length=20) == model.generate("", length=20)
    assert model.samples(None, 2, length=20) == model.samples("", 2, length=20)
    assert "".join(model.stream(None, length=20)) == model.generate(length=20)


NO_TEXT = [b"It was", ["It was"], 5, True, 0.5, np.array(["It was", "I"]), {"a": 1}, object()]
NO_NUMBER = ["5", b"5", None, True, np.True_, 5.5, [5], np.array([5, 6]), 5j]
NO_SWITCH = ["yes", 1, 0, None, np.array([True, False])]
NO_PATHS = [None, b"novel", 5, True, "", "a\0b"]
NO_PATH = [*NO_PATHS, ["novel"]]
WRONG = [
    *[("generate", "prompt", value) for value in NO_TEXT],
    *[("samples", "prompt", value) for value in NO_TEXT],
    *[("stream", "prompt", value) for value in NO_TEXT],
    *[("samples", "num_samples", value) for value in [*NO_NUMBER, 0, -1, 10**5000]],
    *[("samples", "logprobs", value) for value in ["5", b"5", True, 5.5, [5], -1]],
    *[("generate", "length", value) for value in [*NO_NUMBER, np.float64(5.0), np.int64(0), 10**5000]],
    *[("stream", "seed", value) for value in [*NO_NUMBER, -1]],
    *[("generate", "temperature", value) for value in ["0.5", None, True, float("nan"), np.float32("inf"), 1j]],
    *[("generate", "temperature", value) for value in [[], [0.5, "1"], [0.5, -1.0], [True]]],
    *[("generate", "top_p", value) for value in [np.array([0.5, 0.6]), np.float64(2.0), b"1"]],
    *[("generate", "stop", value) for value in [b"ab", 5, [b"ab"], ["a", 5], None, "", [""]]],
    *[("generate", "ignore_eod", value) for value in ["yes", 1, None]],
    *[("generate", "on_unknown", value) for value in ["ignore", None, 5, ["skip"]]],
    *[("evaluate", "text", value) for value in [b"It was", 5, True, [b"It was"], ["a", None], {"It", "was"}, object()]],
    *[("evaluate", "text", value) for value in [{"a": "b"}, io.StringIO("It was"), np.array(5)]],
    *[("evaluate", "texts", value) for value in [b"It was", 5, [5]]],
    *[("evaluate", name, value) for name in ("dynamic", "cache") for value in NO_SWITCH],
    *[("evaluate", "cache_size", value) for value in [5, "5"]],
    *[("evaluate", "encoding", value) for value in ["utf-8", 5, b"utf-8"]],
    *[("export", "output_dir", value) for value in NO_PATH],
    *[("export", "overwrite", value) for value in NO_SWITCH],
    *[("export", "format", value) for value in ["pdf", None, 5, b"html", ["html"]]],
    *[("export", "dtype", value) for value in ["float64", 16, b"int8", "int8"]],  # the last is of use for a page alone
    *[("load", "name_or_path", value) for value in NO_PATH],
    *[("load", "models_dir", value) for value in NO_PATH[1:]],
    *[("load", "engine", value) for value in ["jax", None, 5, ["numpy"], np.array(["numpy"])]],
    *[("train", "sources", value) for value in [*NO_PATHS, [], [None], [["a"]], {"a"}, {"a": 1}, io.BytesIO()]],
    *[
        ("train", "sources", value)
        for value in ["It was a dark night.\nIt rained.", "It was. " * 40, np.array(5), object()]
    ],
    *[("train", "texts", value) for value in [b"It was", 5, True, [], "", [b"a"], ["a", 5], {"a"}, Path("a")]],
    *[("train", "models_dir", value) for value in NO_PATH[1:]],
    *[("train", "name", value) for value in [b"x", 5, True, Path("x"), ["x"]]],
    *[("train", "init_from", value) for value in NO_PATH[1:]],
    *[("train", "tensorboard", value) for value in NO_PATH[1:]],
    *[("train", "jobs", value) for value in ["2", True, 1.5, [2], 0, np.int64(-1), 10**5000]],
    *[("train", "preset", value) for value in [5, b"tiny", ["tiny"]]],
    *[("train", name, value) for name in ("resume", "overwrite") for value in NO_SWITCH],
    *[("train", "progress", value) for value in [5, "print", True, [print]]],
    *[("train", "reporter", value) for value in [5, print, Reporter]],
    *[("train", "units", value) for value in ["5", True, 5.5, [5], np.array([5, 6]), 0, np.int64(-1), 10**5000]],
    *[("train", "minutes", value) for value in ["5", True, float("nan"), np.float32(0), np.array([1.0, 2.0])]],
    *[("train", "level", value) for value in [b"word", 5, np.array(["word", "char"]), "words"]],
    *[("train", "column", value) for value in [b"text", 5]],
    *[("train", "tied", value) for value in ["yes", 1]],
]


@pytest.mark.parametrize(
    ("name", "argument", "value"),
    WRONG,
    ids=[f"{name}-{argument}-{type(value).__name__}" for name, argument, value in WRONG],
)
def test_what_an_argument_cannot_be_is_refused_by_name_in_one_line(place, model, name, argument, value):
    nowhere = place / "nowhere"
    given = {"models_dir": nowhere} if name in ("load", "train") else {}
    given |= {"load": {"name_or_path": "novel"}, "export": {"output_dir": nowhere}}.get(name, {})
    given |= {"text": "It was"} if name == "evaluate" and argument != "texts" else {}
    given |= {argument: value}
    call = getattr(textgen if name in ("load", "train") else model, name)
    with pytest.raises(SettingError) as caught:
        call(given.pop("sources"), **given) if argument == "sources" else call(**given)
    message = str(caught.value)
    assert f"`{argument}" in message
    assert "\n" not in message
    assert ("texts=..." in message) == (isinstance(value, str) and value.startswith("It was") and name == "train")
    assert len(message) < 500
    assert isinstance(caught.value, ValueError)
    assert "Received: " in message or argument in ("cache_size", "encoding") or not value
    assert not nowhere.exists()


def test_a_wrong_type_is_a_type_error_too(model):
    with pytest.raises(TypeError, match=r"^`prompt` must be text; decode it\. Received: b'It was'$"):
        model.generate(b"It was")
    with pytest.raises(WrongTypeError, match=r"^`length` must be a whole number\. Received: '5'$"):
        model.generate(length="5")


def test_every_argument_is_in_the_table_of_wrong_ones():
    """So is every setting: they are checked alike."""
    calls = {"load": textgen.load, "train": textgen.train} | {
        name: getattr(textgen.Model, name) for name in ("generate", "samples", "stream", "evaluate", "export")
    }
    checked = {argument for _, argument, _ in WRONG}
    for call in calls.values():
        assert set(inspect.signature(call).parameters) - {"self", "settings"} <= checked


@pytest.mark.parametrize(
    ("given", "plain"),
    [
        ({"length": np.int64(30), "temperature": np.float32(0.5)}, {"length": 30, "temperature": 0.5}),
        ({"length": np.uint8(30), "top_p": np.float64(0.75)}, {"length": 30, "top_p": 0.75}),
        ({"length": np.array(30), "top_k": np.int32(3)}, {"length": 30, "top_k": 3}),
        ({"seed": np.int64(7), "min_p": np.float16(0.25)}, {"seed": 7, "min_p": 0.25}),
        ({"ignore_eod": np.True_, "temperature": np.longdouble(0.5)}, {"ignore_eod": True, "temperature": 0.5}),
        ({"stop": np.str_("day")}, {"stop": ("day",)}),
        ({"stop": ["day", np.str_("night")]}, {"stop": ("day", "night")}),
    ],
)
def test_numbers_of_numpy_are_numbers(model, given, plain):
    assert model.generate(np.str_("It was"), **given) == model.generate("It was", **plain)
    assert model.samples("", np.int64(2), **given) == model.samples("", 2, **plain)
    assert {type(c.seed) for c in model.samples("", np.uint16(2), **given)} == {int}


def test_numbers_of_numpy_are_stored_as_plain_ones(model):
    config = json.loads((model.path / "config.json").read_text())["training"]
    assert [config[name] for name in ("steps", "dropout", "checkpoint_every")] == [40, 0.25, 10]
    assert {type(config[name]) for name in ("steps", "checkpoint_every")} == {int}


# ---- notices


def test_what_was_done_with_unknown_symbols_is_a_warning_where_it_was_asked_for(model, capfd):
    line = inspect.currentframe().f_lineno + 3
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.generate("It w\u00e4s", length=9)
        list(model.stream("It ☃", length=9))
        model.samples("It ☃", 2, length=9, on_unknown="skip")
        model.evaluate("It was ☃ dark.")
    assert {w.category for w in caught} == {TextgenWarning}
    assert [(w.filename, w.lineno) for w in caught] == [(__file__, line + number) for number in range(4)]
    assert str(caught[0].message) == "the model has never seen 'ä' (read as 'a')"
    assert {str(w.message) for w in caught[1:]} == {"the model has never seen '☃' (skipped)"}
    for call in (model.generate, model.stream, model.samples, model.evaluate):
        with pytest.raises(TokenizerError, match="☃"):
            call("It was ☃", on_unknown="error")
    assert capfd.readouterr() == ("", "")


def test_skipped_symbols_are_not_replaced(model):
    with pytest.warns(TextgenWarning):
        assert model.samples("ÄIt", on_unknown="skip")[0].prompt == "It"
    with pytest.warns(TextgenWarning):
        assert model.evaluate("It wäs", on_unknown="skip").characters == 5


# ---- evaluation


def evaluated_by_command(capsys, *arguments: object) -> dict:
    with pytest.raises(SystemExit) as ended:
        main(["evaluate", *map(str, arguments), "--json"])
    assert not ended.value.code
    return json.loads(capsys.readouterr().out)


def as_figures(evaluation) -> dict:
    adapted = {name: figures and figures._asdict() for name, figures in evaluation._asdict().items() if name in ADAPTED}
    return evaluation._asdict() | adapted


ADAPTED = ("cache", "dynamic")
LINES = "the cat sat\r\n\r\non a mat.\nthe dog sat\n\n\nsat the cat, a cat."
TABLE = 'text,id\n"the cat, sat",1\n"on a\nmat",2\n,3\n'


@pytest.mark.filterwarnings("ignore::textgen.TextgenWarning")  # what was done with a file, which is tested below
@pytest.mark.parametrize(
    ("reading", "text", "sources"),
    [
        ({"documents": "line"}, LINES, ()),
        ({"documents": "blank-line"}, LINES, ()),
        ({"documents": "file"}, LINES, ()),
        ({}, "\ufeff" + LINES, ()),
        ({"column": "text"}, TABLE, ("/there/reviews.csv.gz",)),
        ({"column": "text"}, "id\ttext\n1\tthe cat\n2\tsat\n", ("/there/reviews.TSV",)),
        ({"column": "text"}, '{"text": "the cat"}\n{"text": "sat"}\n', ("/there/reviews.jsonl",)),
        ({"column": "text"}, '{"text": "the cat"}\n', ("-",)),
    ],
)
def test_the_figures_of_a_text_are_those_of_the_command_on_a_file_of_it(tmp_path, capsys, reading, text, sources):
    config = TextConfig(level="char", **reading)
    stored = make_stored_model(tokenizer=type(make_stored_model().tokenizer)(ALPHABET, config.between_documents))
    record = stored.record
    corpus = record.corpus.replace(sources=sources)
    write_stored_model(tmp_path, stored._replace(record=dataclasses.replace(record, text=config, corpus=corpus)))
    endings = {"\t": ".tsv", "{": ".jsonl"}
    file = tmp_path / f"text{next((e for sign, e in endings.items() if sign in text), '.csv')}"
    file.write_bytes(text.encode())
    model = textgen.load("tiny", models_dir=tmp_path)
    expected = evaluated_by_command(capsys, "tiny", file, "--models-dir", tmp_path, "--cache", "--cache-size", 7)
    for given in (text, file):
        figures = as_figures(model.evaluate(given, cache=True, cache_size=7))
        assert figures | {"cache": None} == {name: expected[name] for name in figures} | {"cache": None}
        assert figures["cache"].items() <= expected["cache"].items()


@pytest.mark.filterwarnings("ignore::textgen.TextgenWarning")  # what was done with a file, which is tested below
def test_documents_are_measured_as_the_files_that_hold_them(tmp_path):
    write_stored_model(tmp_path, make_stored_model(tokenizer=make_word_tokenizer("\n\n")))
    model = textgen.load("tiny", models_dir=tmp_path)
    model._stored = model._stored._replace(
        record=dataclasses.replace(model.record, text=TextConfig(level="word", documents="file"))
    )
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "1.txt").write_text("the cat\n\nsat")
    (tmp_path / "texts" / "2.txt").write_text("on the mat")
    assert model.evaluate(["the cat\n\nsat", "", "on the mat"]) == model.evaluate(tmp_path / "texts")


def test_the_validation_part_is_that_of_the_command(place, model, capsys):
    expected = evaluated_by_command(capsys, "novel", "--models-dir", place / "models")
    figures = as_figures(model.evaluate())
    assert figures == {name: expected[name] for name in figures}


@pytest.mark.slow
def test_so_are_weights_that_follow_the_text(place, model, capsys):
    flags = ["--models-dir", place / "models", "--dynamic", "--dynamic-segment", 10]
    expected = evaluated_by_command(capsys, "novel", place / "novel.txt", *flags)["dynamic"]
    assert (
        model.evaluate(place / "novel.txt", dynamic=True, dynamic_segment=10).dynamic._asdict().items()
        <= expected.items()
    )


# ---- texts in memory, and runs that are stopped


class Enough(BaseException):
    """What a program raises to end a run."""


class Counter(Reporter):
    """Counts steps."""

    steps = 0

    def stepped(self, step, epoch, loss, tokens_per_second):
        self.steps = step


@pytest.fixture(scope="module")
def stopped(place):
    """A run on a text in memory that its `progress` ended at step 25, then went on; what was heard of both."""
    heard, counter = [], Counter()

    def until(record):
        heard.append(record)
        if record.step == 25:
            raise Enough

    there = {"models_dir": place / "models", "name": "memory", "texts": NOVEL.replace("\n", "\r\n")}
    with (
        pytest.warns(TextgenWarning, match="^memory: 30 CRLF line ends turned into LF$") as noted,
        pytest.raises(Enough),
    ):
        textgen.train(**there, reporter=counter, progress=until, **RUN)
    assert [warning.filename for warning in noted] == [__file__]
    with pytest.warns(TextgenWarning, match="memory is not finished"):
        part = textgen.load("memory", models_dir=place / "models")
    with pytest.raises(CorpusError, match=r"memory learned from texts that were in memory .* texts=\[\.\.\.\]"):
        textgen.train(models_dir=place / "models", name="memory", resume=True)
    rest = []
    with pytest.warns(TextgenWarning, match="CRLF"):
        whole = textgen.train(**there, resume=True, progress=rest.append)
    return part, heard, counter, whole, rest


def test_an_exception_in_progress_ends_a_run_that_is_saved_and_goes_on(model, stopped):
    part, heard, counter, whole, rest = stopped
    assert (part.record.results.steps, counter.steps) == (25, 25)
    assert (whole.path / "weights.safetensors").read_bytes() == (model.path / "weights.safetensors").read_bytes()
    assert [record.step for record in heard + rest if record.sample is None] == list(range(1, 41))
    evaluations = [record for record in heard + rest if record.sample is not None]
    assert [record.step for record in evaluations] == list(range(4, 41, 4))
    assert all(record.bits_per_character > 0 and len(record.sample) == 200 for record in evaluations)
    assert {record.total_steps for record in heard + rest} == {40}
    assert all(isinstance(record, textgen.TrainingProgress) and record.loss > 0 for record in heard + rest)
    with pytest.raises(AttributeError):
        heard[0].step = 3


def test_a_model_of_texts_in_memory_says_so_and_wants_them_again(model, stopped):
    whole = stopped[3]
    assert (whole.record.corpus.name, whole.record.corpus.sources) == ("texts", ("(texts in memory)",))
    assert whole.record.corpus.sha256 == model.record.corpus.sha256
    assert whole.path.stat().st_mode & 0o077 == 0  # nobody knows who may read the texts
    with pytest.raises(CorpusError, match=r"were in memory and are not kept\. In Python, give them again as texts="):
        whole.evaluate()
    assert whole.evaluate(texts=NOVEL) == model.evaluate()
    with pytest.raises(CorpusError, match="is not the one this run began with"):
        whole.evaluate(texts=NOVEL[1:])
    with pytest.raises(SettingError, match="give either"):
        whole.evaluate("It was", texts=NOVEL)


# ---- other processes


def test_a_model_that_was_pickled_or_copied_writes_the_same_text(model, monkeypatch):
    text, content = model.generate("It was", length=40), pickle.dumps(model)

    def opened(*arguments, **named):
        raise AssertionError(f"opened {arguments}")

    monkeypatch.setattr(builtins, "open", opened)
    monkeypatch.setattr(os, "open", opened)
    for other in (pickle.loads(content), copy.copy(model), copy.deepcopy(model)):
        assert other.generate("It was", length=40) == text
        assert (other.name, other.path, other.record) == (model.name, model.path, model.record)
    monkeypatch.undo()
    assert b"system" not in content
    assert repr(model) == f"<textgen model 'novel' at {str(model.path)!r}>"


@pytest.mark.parametrize("method", ["fork", slow("spawn")])
def test_processes_of_a_pool_write_the_same_texts(model, method):
    """TensorFlow was used in this process, for training."""
    prompts = ["It was", "a dark", ""]
    with multiprocessing.get_context(method).Pool(2) as pool:
        texts = pool.map_async(model.generate, prompts).get(timeout=120)
        with pytest.raises(WrongTypeError, match="`prompt`"):
            pool.apply_async(model.generate, (5,)).get(timeout=120)
    assert texts == [model.generate(prompt) for prompt in prompts]


def test_training_in_a_process_that_was_forked_says_that_it_cannot(place):
    arguments = (place / "novel.txt",), {"models_dir": place / "models", "name": "forked", "steps": 2}
    with multiprocessing.get_context("fork").Pool(1) as pool:
        for _ in range(2):
            with pytest.raises(TextgenError, match=r"forked .* multiprocessing.get_context\(\"spawn\"\)"):
                pool.apply_async(textgen.train, *arguments).get(timeout=120)
    assert not (place / "models" / "forked").exists()


@pytest.mark.parametrize(
    ("said", "spelled"),
    [
        ("x.csv is no table. Leave out --column.", "x.csv is no table. Leave out `column`."),
        ("--bad-rows skip leaves such rows out", "`bad_rows='skip'` leaves such rows out"),
        ("--encoding cp1252 reads a, --encoding utf-8 --encoding-errors replace reads b",
         "`encoding='cp1252'` reads a, `encoding='utf-8'` `encoding_errors='replace'` reads b"),
        ("Name its encoding: --encoding NAME.", "Name its encoding: `encoding`."),
        ("Lower --batch-size to 1 and --units 8", "Lower `batch_size` to 1 and `units=8`"),
        ("Use --overwrite or another --name", "Use `overwrite=True` or another `name`"),
        ("--no-skip is needed, or --on-unknown replace", "`skip=False` is needed, or `on_unknown='replace'`"),
        ("--file-format html reads its text", "`file_format='html'` reads its text"),
        ("-- a dash --- and --else what", "-- a dash --- and --else what"),
    ],
)  # fmt: skip
def test_what_names_flags_names_arguments_to_a_python_program(said, spelled):
    assert in_python(said) == spelled


def test_errors_and_warnings_of_reading_name_arguments_and_reach_the_caller(place, model):
    (place / "rows.csv").write_text("id,text\n1,It was\n2\n3,It was\n")
    (place / "cp1252.txt").write_bytes("“It was”\n".encode("cp1252"))
    with pytest.raises(CorpusError, match=r"`bad_rows='skip'` leaves such rows out\.$"):
        textgen.train(place / "rows.csv", column="text", models_dir=place / "none")
    with pytest.raises(CorpusError, match=r"`bad_rows='skip'`"):
        model.evaluate(place / "rows.csv", column="text")
    with pytest.warns(TextgenWarning, match=r"1 bad row left out") as warned:
        model.evaluate(place / "rows.csv", column="text", bad_rows="skip")
    assert all(warning.filename == __file__ for warning in warned)
    with pytest.warns(TextgenWarning) as warned:
        model.evaluate(place / "cp1252.txt")
    assert any("cp1252.txt: read as cp1252: “It was”" in str(warning.message) for warning in warned)
    with pytest.raises(SettingError, match=r"^`column` is for files; leave it out for a text in memory$"):
        model.evaluate("It was", column="text")
    with pytest.raises(SettingError, match=r"^`level` is that of the model; leave it out$"):
        model.evaluate(place / "cp1252.txt", level="word")
