"""The network's step as LiteRT: compared with the NumPy engine, by the interpreter that is installed."""

import functools
import json
import os
import sys
from types import ModuleType

import numpy as np
import pytest
import tensorflow as tf
from click.testing import CliRunner
from conftest import make_stored_model, make_word_tokenizer, slow, write_stored_model

from textgen.config import SamplingConfig
from textgen.errors import ExportError
from textgen.export import check, export_model
from textgen.export.litert_step import LITERT, open_step, write
from textgen.export.step import StepEngine
from textgen.generation.numpy_engine import NumpyEngine

MODEL = make_stored_model()
SHAPES = [
    {"cell": "gru", "num_layers": 2, "tied": True, "skip": True},
    slow({"num_layers": 1}),
    slow({"num_layers": 3, "tied": True, "skip": True}),
    slow({"units": 4, "embedding_size": 4, "tied": True}),
    slow({"cell": "rnn", "num_layers": 1, "tied": True, "units": 8}),
]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_its_scores_and_states_are_those_of_the_numpy_engine(shape, tmp_path):
    model = make_stored_model(**shape)
    write(model, tmp_path / "model.tflite")
    step = StepEngine(model, open_step((tmp_path / "model.tflite").read_bytes()), "int32")
    token_ids = np.arange(20) % model.record.model.vocabulary_size
    expected = NumpyEngine(model.record.model, model.weights).read(token_ids)
    found = step.read(token_ids)
    for part in ("logits", "hidden", "memory"):
        np.testing.assert_allclose(getattr(found, part), getattr(expected, part), atol=2e-5)
    assert list(tmp_path.iterdir()) == [tmp_path / "model.tflite"]


def test_the_command_writes_the_step_with_its_description_and_compares_texts(tmp_path, monkeypatch, capfd):
    from textgen.cli.export import export

    monkeypatch.setattr(check, "CHECKED", [SamplingConfig(length=20), SamplingConfig(length=20, top_k=5, seed=2**40)])
    monkeypatch.setitem(sys.modules, "ai_edge_litert", None)
    model = make_stored_model(tokenizer=make_word_tokenizer("\n\n"))
    write_stored_model(tmp_path / "models", model)
    monkeypatch.chdir(tmp_path)
    arguments = ["tiny", "--models-dir", "models", "--format", "litert"]
    tf.config.list_logical_devices()
    capfd.readouterr()  # what TensorFlow says when it starts
    done = CliRunner().invoke(export, arguments, catch_exceptions=False)
    assert (done.exit_code, done.stdout) == (0, f"{tmp_path / 'tiny-litert'}\n")
    assert done.stderr.splitlines()[-1].startswith("the same text as the NumPy engine for 8 prompts")
    assert capfd.readouterr().err == ""  # what C++ writes
    written = tmp_path / "tiny-litert"
    assert {path.name for path in written.iterdir()} == {"model.tflite", "model.json"}
    beside = json.loads((written / "model.json").read_text())
    assert (beside["document"]["words"], len(beside["texts"])) == (list(model.tokenizer.words), 12)
    assert beside["inputs"]["token_id"] == "int32 [1]"
    with pytest.warns(UserWarning, match="deprecated"):
        interpreter = tf.lite.Interpreter(str(written / "model.tflite"))
    names = {"inputs": sorted(beside["inputs"]), "outputs": sorted(beside["outputs"])}
    assert interpreter.get_signature_list() == {"step": names}
    other = make_stored_model(seed=1, tokenizer=model.tokenizer)
    with pytest.raises(ExportError, match="another text than the model"):
        check.check_texts(other, functools.partial(LITERT.answer, other, written))


def test_the_package_of_its_own_runs_it_where_that_is_installed(monkeypatch):
    package = ModuleType("ai_edge_litert.interpreter")

    def opened(**arguments):
        raise ValueError(f"opened with {sorted(arguments)}\nand more")

    package.Interpreter = opened
    monkeypatch.setitem(sys.modules, "ai_edge_litert", ModuleType("ai_edge_litert"))
    monkeypatch.setitem(sys.modules, package.__name__, package)
    with pytest.raises(ValueError, match=r"opened with \['model_content', 'num_threads'\]"):
        open_step(b"")


@pytest.mark.parametrize(
    ("call", "problem", "error", "line"),
    [
        ("saved_model.save", tf.errors.OutOfRangeError(None, None, "it is full"), ExportError, "write .*: it is full$"),
        ("lite.TFLiteConverter.from_saved_model", ValueError("odd\nthing"), ExportError, "convert the model: odd$"),
        ("lite.TFLiteConverter.from_saved_model", MemoryError("much"), MemoryError, "much"),
    ],
)
def test_what_cannot_be_written_is_one_line_and_leaves_nothing(call, problem, error, line, tmp_path, monkeypatch):
    def fails(*_, **__):
        raise problem

    monkeypatch.setattr("tensorflow.saved_model.save", lambda *_, **__: None)
    monkeypatch.setattr(f"tensorflow.{call}", fails)
    with pytest.raises(error, match=line):
        export_model(MODEL, tmp_path / "tiny", kind=LITERT)
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_tensorflow_cannot_name_is_one_line(tmp_path):
    with pytest.raises(ExportError, match=r"cannot write .*\\udcff"):
        export_model(MODEL, tmp_path / os.fsdecode(b"\xff"), kind=LITERT)
    assert list(tmp_path.iterdir()) == []


def test_a_step_that_does_not_run_is_one_line(tmp_path):
    (tmp_path / "model.tflite").write_bytes(b"no step")
    with pytest.raises(ExportError, match=r"^the exported model does not run: The model is not a valid Flatbuffer"):
        LITERT.answer(MODEL, tmp_path, [])
