"""The network's step as ONNX: compared with the NumPy engine, where onnx and onnxruntime are installed."""

import json
import sys

import numpy as np
import pytest
from conftest import make_stored_model, make_word_tokenizer

from textgen.config import SamplingConfig
from textgen.errors import ExportError
from textgen.export import check, export_model
from textgen.export.onnx_step import ONNX, open_step, step_of
from textgen.export.step import StepEngine
from textgen.generation.numpy_engine import NumpyEngine

SHAPES = {
    "LSTM": {"num_layers": 1},
    "LSTM, tied, skip": {"num_layers": 3, "tied": True, "skip": True},
    "GRU, tied": {"cell": "gru", "tied": True, "units": 8},
    "RNN, skip": {"cell": "rnn", "num_layers": 2, "skip": True},
}


def test_without_onnx_one_line_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ExportError, match=r"needs the package onnx\. Install it: pip install 'textgen\[onnx\]'"):
        export_model(make_stored_model(), tmp_path / "tiny", kind=ONNX)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", SHAPES)
def test_its_scores_and_states_are_those_of_the_numpy_engine(name):
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    model = make_stored_model(**SHAPES[name])
    config = model.record.model
    step = StepEngine(model, open_step(step_of(config, model.weights)), "int64")
    token_ids = np.arange(20) % config.vocabulary_size
    expected = NumpyEngine(config, model.weights).read(token_ids)
    found = step.read(token_ids)
    for part in ("logits", "hidden", "memory"):
        np.testing.assert_allclose(getattr(found, part), getattr(expected, part), atol=2e-5)
    states = [np.repeat(getattr(expected, part)[None], 3, axis=0) for part in step.states]
    inputs = {"token_id": np.array([1, 2, 1])} | dict(zip(step.states, states, strict=True))
    logits = step.run(inputs)["logits"]
    np.testing.assert_allclose(logits[2], step.read(np.array([1]), expected).logits, atol=2e-5)  # many texts at once


def test_an_export_is_the_step_and_what_a_program_needs_beside_it(tmp_path, monkeypatch):
    pytest.importorskip("onnx")
    monkeypatch.setattr(check, "CHECKED", [SamplingConfig(length=20), SamplingConfig(length=20, top_k=5, seed=2**40)])
    model = make_stored_model(tokenizer=make_word_tokenizer("\n\n"))
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    result = export_model(model, tmp_path / "tiny", kind=ONNX)
    assert (result.checked, result.not_checked.split(",")[0]) == (None, "onnxruntime is not installed")
    assert {path.name for path in (tmp_path / "tiny").iterdir()} == {"model.onnx", "model.json"}
    beside = json.loads((tmp_path / "tiny" / "model.json").read_text())
    assert beside["document"]["words"] == list(model.tokenizer.words)
    assert len(beside["texts"]) == 12
    monkeypatch.undo()
    pytest.importorskip("onnxruntime")
    monkeypatch.setattr(check, "CHECKED", [SamplingConfig(length=20), SamplingConfig(length=20, top_k=5, seed=2**40)])
    result = export_model(model, tmp_path / "tiny", kind=ONNX, overwrite=True)
    assert result.checked.prompts == 8
    other = make_stored_model(seed=1, tokenizer=model.tokenizer)
    with pytest.raises(ExportError, match="another text than the model"):
        export_model(model, tmp_path / "other", kind=ONNX._replace(write=lambda _, at: ONNX.write(other, at)))
    assert not (tmp_path / "other").exists()
