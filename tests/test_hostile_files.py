"""A model from a stranger, whose manifest agrees with its files: it is data, of one form, or it is refused."""

import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from damaging import change_json, change_weights, message_of, reseal, write_full_model, write_run

from textgen.errors import TextgenError
from textgen.store import model_directory
from textgen.store.checkpoints import Checkpoint
from textgen.store.manifest import MANIFEST
from textgen.store.model_directory import CHECKPOINT_FILES, MODEL_FILES


@pytest.fixture
def model_dir(tmp_path) -> Path:
    return write_full_model(tmp_path / "models")


# ---- what lies in the directory


@pytest.mark.parametrize("name", [*MODEL_FILES, MANIFEST])
def test_a_link_is_refused_even_to_the_right_bytes(model_dir, name):
    original = shutil.move(model_dir / name, model_dir.parent / "original")
    (model_dir / name).symlink_to(original)
    said = f"{model_dir / name} is a link, which is not followed. Put the file itself there"
    assert message_of(model_dir) == said


@pytest.mark.parametrize("name", [*MODEL_FILES, MANIFEST])
def test_a_link_to_nowhere_is_refused(model_dir, name):
    (model_dir / name).unlink()
    (model_dir / name).symlink_to("nowhere")
    assert message_of(model_dir).startswith(f"{model_dir / name} is a link")


@pytest.mark.parametrize("name", [*MODEL_FILES, MANIFEST])
def test_a_pipe_is_refused_and_not_waited_for(model_dir, name):
    (model_dir / name).unlink()
    os.mkfifo(model_dir / name)
    script = "import sys; from textgen.cli import main; main(sys.argv[1:])"
    command = [sys.executable, "-c", script, "info", model_dir.name, "--models-dir", str(model_dir.parent)]
    if name != MANIFEST:  # one process shows that nothing waits; the others are as the manifest
        assert message_of(model_dir) == f"{model_dir / name} is not a plain file"
        return
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (1, f"textgen: {model_dir / name} is not a plain file\n")


@pytest.mark.parametrize("name", [*MODEL_FILES, MANIFEST])
def test_a_directory_in_place_of_a_file_is_refused(model_dir, name):
    (model_dir / name).unlink()
    (model_dir / name).mkdir()
    assert message_of(model_dir) == f"{model_dir / name} is not a plain file"


def test_a_linked_checkpoint_is_refused(tmp_path):
    (checkpoint,) = write_run(tmp_path / "run", steps=(10,))
    elsewhere = shutil.move(checkpoint, tmp_path / "elsewhere")
    checkpoint.symlink_to(elsewhere)
    assert message_of(tmp_path / "run").startswith(f"{checkpoint} is a link")


def test_linked_checkpoints_are_refused(tmp_path):
    write_run(tmp_path / "run", steps=(10,))
    elsewhere = shutil.move(tmp_path / "run" / "checkpoints", tmp_path / "elsewhere")
    (tmp_path / "run" / "checkpoints").symlink_to(elsewhere)
    assert message_of(tmp_path / "run").startswith(f"{tmp_path / 'run' / 'checkpoints'} is a link")


def test_the_directory_itself_may_be_a_link_of_the_users(model_dir):
    (model_dir.parent / "linked").symlink_to(model_dir)
    assert model_directory.load_model("linked", model_dir.parent).name == "linked"


@pytest.mark.parametrize("name", ["model.pkl", "config.json.bak", "plugin.py", "\x1b[31m", "saved_model.pb"])
def test_a_file_too_many_is_refused_in_a_harmless_line(model_dir, name):
    (model_dir / name).write_text("")
    said = f"{model_dir} holds {name!r}, which is no part of it. Move it elsewhere"
    assert message_of(model_dir) == said
    assert message_of(model_dir).isprintable()


@pytest.mark.parametrize(
    "name", [".DS_Store", "._config.json", "Thumbs.db", "desktop.ini", ".config.json.x.tmp", ".lock"]
)
def test_what_systems_and_interrupted_saves_leave_does_no_harm(model_dir, name):
    (model_dir / name).write_bytes(b"\0")
    (model_dir / "checkpoints").mkdir()  # a run that was killed when it had just been finished
    assert model_directory.load_model("tiny", model_dir.parent).is_finished


def test_a_checkpoint_holds_nothing_else_either(tmp_path):
    (checkpoint,) = write_run(tmp_path / "run", steps=(10,))
    (checkpoint / "optimizer.pkl").write_bytes(b"")
    assert (
        message_of(tmp_path / "run") == f"{checkpoint} holds 'optimizer.pkl', which is no part of it. Move it elsewhere"
    )


# ---- manifests


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m: m["files"].pop("samples.txt"), "does not list exactly"),
        (lambda m: m["files"].update({"../../etc/passwd": {}}), "does not list exactly"),
        (lambda m: m["files"].update({"/etc/passwd": m["files"].pop("samples.txt")}), "does not list exactly"),
        (lambda m: m.update(files=[]), "does not list exactly"),
        (lambda m: m.update(more=1), "does not list exactly"),
        (lambda m: m.pop("files"), "does not list exactly"),
        (lambda m: m.update(format=1), "is of format 1, an older one than this textgen reads"),
        (lambda m: m.update(format=3.0), "is not of format 3"),
        (lambda m: m.update(format="3"), "is not of format 3"),
        (lambda m: m.pop("format"), "is not of format 3"),
        (lambda m: m["files"]["config.json"].pop("bytes"), "must give bytes and sha256 of config.json"),
        (lambda m: m["files"].update({"config.json": None}), "must give bytes and sha256 of config.json"),
        (lambda m: m["files"]["config.json"].update(bytes=True), "must give bytes and sha256 of config.json"),
        (lambda m: m["files"]["config.json"].update(bytes=1.0), "must give bytes and sha256 of config.json"),
        (lambda m: m["files"]["config.json"].update(bytes=10**30), "a number has more than 20 digits"),
        (lambda m: m["files"]["config.json"].update(sha256=None), "must give bytes and sha256 of config.json"),
        (lambda m: m["files"]["config.json"].update(sha256="0" * 63), "must give bytes and sha256 of config.json"),
        (lambda m: m["files"]["config.json"].update(sha256="0" * 64), "manifest.json is damaged"),
    ],
)
def test_a_manifest_of_another_form_is_refused(model_dir, change, message):
    change_json(model_dir / MANIFEST, change)
    assert message in message_of(model_dir)
    assert str(model_dir / MANIFEST) in message_of(model_dir)


# ---- config.json


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c.update(plugin="os.system"), "a model's config expects"),
        (lambda c: c.update({f"key {n}": n for n in range(10_000)}), "a model's config expects"),
        (lambda c: c.pop("corpus"), "a model's config expects"),
        (lambda c: c["model"].update(plugin="os.system"), "ModelConfig expects exactly the keys"),
        (lambda c: c["training"].update(optimizer="adam"), "TrainingConfig expects exactly the keys"),
        (lambda c: c.pop("text"), "a model's config expects"),
        (lambda c: c["text"].update(reader="os.system"), "TextConfig expects exactly the keys"),
        (lambda c: c["text"].update(level="syllable"), "`level` must be one of char, word"),
        (lambda c: c["text"].update(level="x" * 100_000), "`level` must be one of char, word"),
        (lambda c: c["text"].update(level=["char"]), "`level` must be text"),
        (lambda c: c["text"].update(level="word"), "tokenizer and config disagree on the level: 'char', 'word'"),
        (lambda c: c["text"].update(normalize="nfc"), "tokenizer and config disagree on the normal form"),
        (lambda c: c["text"].update(documents="line"), "tokenizer and config disagree on the document separator"),
        (lambda c: c["model"].update(tied=1), "`tied` must be true or false"),
        (lambda c: c["model"].pop("units"), "ModelConfig expects exactly the keys"),
        (lambda c: c["model"].update(units="12"), "`units` must be a whole number"),
        (lambda c: c["model"].update(units=True), "`units` must be a whole number"),
        (lambda c: c["model"].update(units=12.0), "`units` must be a whole number"),
        (lambda c: c["model"].update(units=[[[]]]), "`units` must be a whole number"),
        (lambda c: c["model"].update(units=10**9), "`units` must be at most 65536"),
        (lambda c: c["model"].update(units=10**1000), "a number has more than 20 digits"),
        (lambda c: c["model"].update(num_layers=10**6), "`num_layers` must be at most 16"),
        (lambda c: c["model"].update(cell="lambda"), "`cell` must be one of"),
        (lambda c: c["training"].update(learning_rate=float("nan")), "NaN is no finite number"),
        (lambda c: c["training"].update(learning_rate=float("-inf")), "-Infinity is no finite number"),
        (lambda c: c["corpus"].update(sources=[1]), "`sources` must hold strings only"),
        (lambda c: c["corpus"].update(name="\ud800"), "surrogates"),
        (lambda c: c.update(versions={"textgen": 1}), "versions must be names and strings"),
        (lambda c: c.update(format=99), "is of format 99, a newer one than this textgen reads"),
    ],
)
def test_a_config_with_anything_unexpected_is_refused(model_dir, change, message):
    change_json(model_dir / "config.json", change)
    reseal(model_dir)
    assert message in message_of(model_dir)
    assert str(model_dir) in message_of(model_dir)
    assert "config" in message_of(model_dir)


# ---- tokenizer.json


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.update(type="pickle"), "type must be one of ['character', 'word']"),
        (lambda t: t.update(type="word"), "a word tokenizer holds exactly type, symbols"),
        (lambda t: t.update(type=["word"]), "type must be one of ['character', 'word']"),
        (lambda t: t.update(more=1), "a character tokenizer holds exactly type, symbols"),
        (lambda t: t.update(symbols=["a", "b"]), "a character tokenizer holds exactly type, symbols"),
        (lambda t: t.pop("normalize"), "a character tokenizer holds exactly type, symbols"),
        (lambda t: t.update(normalize="nfd"), "normalize must be one of none, nfc"),
        (lambda t: t.update(document_separator="; "), "document_separator must be null, a newline or two"),
        (lambda t: t.update(symbols="ba"), "distinct symbols, sorted"),
        (lambda t: t.update(symbols="a\ud800"), "surrogates"),
        (lambda t: t.update(symbols="ab"), "tokenizer and config disagree on the vocabulary size"),
    ],
)
def test_a_tokenizer_with_anything_unexpected_is_refused(model_dir, change, message):
    change_json(model_dir / "tokenizer.json", change)
    reseal(model_dir)
    assert message in message_of(model_dir)
    assert str(model_dir / "tokenizer.json") in message_of(model_dir)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t["words"].append("x"), "words have 2 to 64 characters each"),
        (lambda t: t["words"].append(t["words"][0]), "Received twice"),
        (lambda t: t["words"].append("\u2603\u2603"), "made of its symbols"),
        (lambda t: t["words"].append(["ab"]), "words have 2 to 64 characters each"),
        (lambda t: t["words"].append("ab"), "tokenizer and config disagree on the vocabulary size"),
        (lambda t: t.update(words="ab"), "a word tokenizer holds exactly"),
        (lambda t: t.update(document_separator=None), "tokenizer and config disagree on the vocabulary size"),
    ],
)
def test_a_word_tokenizer_with_anything_unexpected_is_refused(tmp_path, change, message):
    path = write_full_model(tmp_path, "word")
    change_json(path / "tokenizer.json", change)
    reseal(path)
    assert message in message_of(path)


# ---- weights.safetensors, and pickles


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda w: w.update({"embedding": w["embedding"][:, :-1].copy()}),
            "tensor 'embedding' is 30 x 7 instead of 30 x 8",
        ),
        (lambda w: w.update({"embedding": w["embedding"].T.copy()}), "tensor 'embedding' is 8 x 30 instead of 30 x 8"),
        (lambda w: w.update({"output.bias": w["output.bias"][None]}), "tensor 'output.bias' is 1 x 30 instead of 30"),
        (lambda w: w.update({"output.bias": w["output.bias"].astype(np.float64)}), "'output.bias' is not of type F32"),
        (lambda w: w.update({"output.bias": w["output.bias"].astype(np.int32)}), "'output.bias' is not of type F32"),
        (lambda w: w.update({"extra": np.zeros(1, np.float32)}), "there is a tensor 'extra'"),
        (lambda w: w.pop("layers.1.kernel"), "there is no tensor 'layers.1.kernel'"),
        (lambda w: w.clear(), "there is no tensor 'embedding'"),
        (lambda w: w.update({"output.kernel": w["output.kernel"].astype(np.int8)}), "is of type I8 and has no scale"),
        (
            lambda w: w.update({"output.kernel.scale": np.ones(12, np.float32)}),
            "there is a scale 'output.kernel.scale'",
        ),
    ],
)
def test_tensors_that_disagree_with_the_config_are_refused(model_dir, change, message):
    change_weights(model_dir / "weights.safetensors", change)
    reseal(model_dir)
    assert message in message_of(model_dir)
    assert message_of(model_dir).startswith(str(model_dir / "weights.safetensors"))


class Marker:
    """An object whose unpickling writes a file."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self):
        return Path.write_text, (self.path, "executed")


@pytest.mark.parametrize("name", ["weights.safetensors", "config.json", "tokenizer.json", "manifest.json"])
def test_a_pickle_in_place_of_a_file_is_refused_and_not_executed(model_dir, name):
    marker = model_dir.parent / "marker"
    (model_dir / name).write_bytes(pickle.dumps(Marker(marker)))
    if name != MANIFEST:
        reseal(model_dir)
    assert f"{model_dir / name} cannot be read" in message_of(model_dir)
    assert not marker.exists()


# ---- progress.json


@pytest.mark.parametrize(
    "change",
    [
        lambda p: p.update(step=True),
        lambda p: p.update(more=1),
        lambda p: p.update(history={}),
        lambda p: p["history"].append([]),
        lambda p: p["history"][0].update(sample=1),
        lambda p: p["history"][0].update(more=1),
        lambda p: p.update(best_loss=float("nan")),
    ],
)
def test_progress_with_anything_unexpected_is_refused(tmp_path, change):
    (checkpoint,) = write_run(tmp_path / "run", steps=(10,))
    assert Checkpoint.read(checkpoint).progress.step == 10
    change_json(checkpoint / "progress.json", change)
    reseal(checkpoint, CHECKPOINT_FILES)
    with pytest.raises(TextgenError):
        Checkpoint.read(checkpoint)
