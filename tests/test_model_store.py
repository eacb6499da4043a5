"""The model directory: what comes back, and what is said of one that is damaged, foreign or unfinished."""

import contextlib
import errno
import json
import os
import pickle
import shutil
import tempfile
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
from conftest import make_stored_model, make_word_tokenizer, random_weights, write_stored_model

from textgen import atomic_files, model_store
from textgen.config import ModelConfig
from textgen.errors import ModelError
from textgen.model_store import MANIFEST, MODEL_FILES, StoredModel, find_model, load_model
from textgen.tokenizers import CharacterTokenizer
from textgen.training.checkpoints import Checkpoint, Progress, save_checkpoint


@pytest.fixture(autouse=True)
def no_waiting_for_the_disk(monkeypatch):
    """Nothing here is about power cuts; waiting for the disk would take most of the time."""
    monkeypatch.setattr(os, "fsync", lambda _: None)


@pytest.fixture
def model_dir(models_dir) -> Path:
    """A finished model whose five files all hold something."""
    path = models_dir / "tiny"
    (path / "metrics.jsonl").write_text('{"step": 1}\n')
    (path / "samples.txt").write_text("a sample\n")
    model_store.seal(path, MODEL_FILES)
    return path


def message_of(path: Path) -> str:
    """The one line that loading the model at `path` fails with."""
    with pytest.raises(ModelError) as caught:
        load_model(path.name, path.parent)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def change_json(path: Path, change) -> None:
    document = json.loads(path.read_bytes())
    change(document)
    path.write_text(json.dumps(document))


def change_weights(path: Path, change) -> None:
    tensors = dict(safetensors.numpy.load_file(path))
    change(tensors)
    path.write_bytes(safetensors.numpy.save(tensors))


def reseal(path: Path) -> None:
    """Make the manifest agree with the files: what a stranger's model would look like."""
    model_store.seal(path, MODEL_FILES)


def assert_same_model(one: StoredModel, other: StoredModel) -> None:
    assert one.record == other.record
    assert one.tokenizer.pieces == other.tokenizer.pieces
    assert one.weights.keys() == other.weights.keys()
    for name, weight in one.weights.items():
        assert weight.dtype == other.weights[name].dtype == np.float32
        assert np.array_equal(weight, other.weights[name])


# ---- shapes


def test_weight_shapes_of_an_lstm():
    config = ModelConfig(vocabulary_size=7, embedding_size=3, units=5, num_layers=2)
    assert model_store.weight_shapes(config) == {
        "embedding": (7, 3),
        "layers.0.kernel": (3, 20),
        "layers.0.recurrent_kernel": (5, 20),
        "layers.0.bias": (20,),
        "layers.1.kernel": (5, 20),
        "layers.1.recurrent_kernel": (5, 20),
        "layers.1.bias": (20,),
        "output.kernel": (5, 7),
        "output.bias": (7,),
    }


@pytest.mark.parametrize(("embedding_size", "projection"), [(5, {}), (3, {"output.projection": (5, 3)})])
def test_a_tied_model_has_no_output_matrix_but_a_projection_where_the_sizes_differ(embedding_size, projection):
    config = ModelConfig(vocabulary_size=7, embedding_size=embedding_size, units=5, num_layers=1, tied=True)
    shapes = model_store.weight_shapes(config)
    output = {name: shape for name, shape in shapes.items() if name.startswith("output")}
    assert output == projection | {"output.bias": (7,)}
    assert shapes["embedding"] == (7, embedding_size)


def test_a_gru_has_three_gates_and_two_biases_and_a_plain_rnn_one_of_each():
    shapes = model_store.weight_shapes(ModelConfig(cell="gru", units=5, embedding_size=3, num_layers=1))
    assert (shapes["layers.0.kernel"], shapes["layers.0.bias"]) == ((3, 15), (2, 15))
    shapes = model_store.weight_shapes(ModelConfig(cell="rnn", units=5, embedding_size=3, num_layers=1))
    assert (shapes["layers.0.recurrent_kernel"], shapes["layers.0.bias"]) == ((5, 5), (5,))


@pytest.mark.parametrize(("cell", "number"), [("lstm", 2 + 4 * 3 + 4), ("gru", 2 + 3 * 4 + 4), ("rnn", 2 + 3 + 4)])
def test_parameters_are_counted(cell, number):
    config = ModelConfig(vocabulary_size=2, cell=cell, embedding_size=1, units=1, num_layers=1)
    assert model_store.num_parameters(config) == number


# ---- a whole model


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
@pytest.mark.parametrize("num_layers", [1, 3])
def test_a_model_comes_back_as_it_was_written(tmp_path, cell, num_layers):
    written = make_stored_model(cell, seed=num_layers, symbols="\0\nab\ufeff🙂", num_layers=num_layers)
    path = write_stored_model(tmp_path, written, "novel")
    read = load_model("novel", tmp_path)
    assert_same_model(read, written)
    assert (read.name, read.path, read.is_finished) == ("novel", path, True)
    assert read.sha256 == atomic_files.sha256_of(path / "weights.safetensors")


@pytest.mark.parametrize("separator", [None, "\n", "\n\n"])
@pytest.mark.parametrize("tied", [False, True])
def test_a_model_of_words_comes_back_as_it_was_written(tmp_path, separator, tied):
    written = make_stored_model(tokenizer=make_word_tokenizer(separator, "nfkc"), tied=tied)
    write_stored_model(tmp_path, written, "novel")
    read = load_model("novel", tmp_path)
    assert_same_model(read, written)
    assert read.tokenizer.to_json() == written.tokenizer.to_json()
    assert (read.tokenizer.level, read.record.text.level) == ("word", "word")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t["words"].append("x"), "words have 2 to 64 characters each"),
        (lambda t: t["words"].append(t["words"][0]), "Received twice"),
        (lambda t: t["words"].append("\u2603\u2603"), "made of its symbols"),
        (lambda t: t["words"].append(["ab"]), "words have 2 to 64 characters each"),
        (lambda t: t["words"].append("ab"), "tokenizer and config disagree on the vocabulary size"),
        (lambda t: t.update(words="ab"), "a word tokenizer holds exactly"),
        (lambda t: t.update(document_separator="\n"), "tokenizer and config disagree on the vocabulary size"),
    ],
)
def test_a_word_tokenizer_with_anything_unexpected_is_refused(tmp_path, change, message):
    path = write_stored_model(tmp_path, make_stored_model(tokenizer=make_word_tokenizer()), "novel")
    change_json(path / "tokenizer.json", change)
    reseal(path)
    assert message in message_of(path)


def test_a_model_is_found_by_name_and_by_path(models_dir):
    assert find_model("tiny", models_dir) == models_dir / "tiny"
    assert find_model(models_dir / "tiny", Path("elsewhere")) == models_dir / "tiny"
    assert load_model(str(models_dir / "tiny"), Path("elsewhere")).name == "tiny"


def test_the_models_directory_is_the_working_directorys_or_the_environments(monkeypatch):
    monkeypatch.delenv("TEXTGEN_MODELS_DIR", raising=False)
    assert model_store.default_models_dir() == Path("saved_models")
    monkeypatch.setenv("TEXTGEN_MODELS_DIR", "/models")
    assert model_store.default_models_dir() == Path("/models")


# ---- damage


@pytest.mark.parametrize("name", [*MODEL_FILES, MANIFEST])
@pytest.mark.parametrize("share", [0, 0.5, 0.99])
def test_a_truncated_file_is_detected_and_named(model_dir, name, share):
    file = model_dir / name
    os.truncate(file, int(file.stat().st_size * share))
    assert str(file) in message_of(model_dir)


@pytest.mark.parametrize("name", MODEL_FILES)
def test_a_file_that_grew_is_detected_and_named(model_dir, name):
    with (model_dir / name).open("ab") as file:
        file.write(b"\n")
    assert str(model_dir / name) in message_of(model_dir)


@pytest.mark.parametrize("name", MODEL_FILES)
def test_a_flipped_bit_is_detected_and_named(model_dir, name):
    content = (model_dir / name).read_bytes()
    for bit in np.linspace(0, 8 * len(content) - 1, 25).astype(int).tolist():
        flipped = bytearray(content)
        flipped[bit // 8] ^= 1 << bit % 8
        (model_dir / name).write_bytes(flipped)
        assert f"{model_dir / name} is damaged: its SHA-256 is not the manifest's" in message_of(model_dir)
    (model_dir / name).write_bytes(content)
    assert load_model("tiny", model_dir.parent).is_finished


def test_a_flipped_bit_anywhere_in_the_manifest_is_detected(model_dir):
    content = (model_dir / MANIFEST).read_bytes()
    for position in range(len(content)):
        flipped = bytearray(content)
        flipped[position] ^= 1 << position % 8
        (model_dir / MANIFEST).write_bytes(flipped)
        assert str(model_dir) in message_of(model_dir)


@pytest.mark.parametrize("name", MODEL_FILES)
def test_a_missing_file_is_named(model_dir, name):
    (model_dir / name).unlink()
    assert message_of(model_dir) == f"{model_dir / name} is missing or not a plain file; the model is damaged"


@pytest.mark.parametrize("name", [*MODEL_FILES, MANIFEST])
def test_a_link_is_refused_even_to_the_right_bytes(model_dir, name):
    original = shutil.move(model_dir / name, model_dir.parent / "original")
    (model_dir / name).symlink_to(original)
    message = message_of(model_dir)
    assert message.startswith(str(model_dir / name))
    assert "link" in message or "not a plain file" in message


@pytest.mark.parametrize("name", MODEL_FILES)
def test_a_file_that_the_disk_cannot_read_is_named(model_dir, name, monkeypatch):
    real = atomic_files.sha256_of

    def failing(path: Path) -> str:
        if path.name == name:
            raise OSError(errno.EIO, os.strerror(errno.EIO), str(path))
        return real(path)

    monkeypatch.setattr(atomic_files, "sha256_of", failing)
    assert message_of(model_dir) == f"{model_dir / name} cannot be read: Input/output error"


def test_a_damaged_finished_model_is_not_replaced_by_a_checkpoint(model_dir):
    save_run(model_dir, steps=(10,))
    (model_dir / "samples.txt").unlink()
    assert "samples.txt is missing" in message_of(model_dir)


# ---- manifests


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m: m["files"].pop("samples.txt"), "does not list exactly"),
        (lambda m: m["files"].update({"../../etc/passwd": {}}), "does not list exactly"),
        (lambda m: m.update(files=[]), "does not list exactly"),
        (lambda m: m.update(more=1), "does not list exactly"),
        (lambda m: m.pop("files"), "does not list exactly"),
        (lambda m: m.update(format=1), "is not of format 2"),
        (lambda m: m.pop("format"), "is not of format 2"),
        (lambda m: m["files"]["config.json"].pop("bytes"), "must give bytes and sha256 of config.json"),
        (lambda m: m["files"].update({"config.json": None}), "must give bytes and sha256 of config.json"),
        (lambda m: m["files"]["config.json"].update(bytes=True), "config.json is damaged"),
        (lambda m: m["files"]["config.json"].update(sha256=None), "config.json is damaged"),
    ],
)
def test_a_manifest_of_another_form_is_refused(model_dir, change, message):
    change_json(model_dir / MANIFEST, change)
    assert message in message_of(model_dir)


@pytest.mark.parametrize("content", ["", "[]", "null", '"text"', "{", "[" * 100_000, "\ufeff{}", '{"format": NaN}'])
def test_a_manifest_that_is_no_json_object_is_refused(model_dir, content):
    (model_dir / MANIFEST).write_text(content)
    assert message_of(model_dir).startswith(str(model_dir / MANIFEST))


def test_a_manifest_that_is_not_utf_8_is_refused(model_dir):
    (model_dir / MANIFEST).write_bytes(b'{"format": "\xff"}')
    assert "cannot be read" in message_of(model_dir)


def test_json_beyond_the_size_limit_is_refused_unread(model_dir):
    os.truncate(model_dir / MANIFEST, model_store.MAX_JSON_BYTES + 1)  # a sparse file: it takes no room
    assert message_of(model_dir) == f"{model_dir / MANIFEST} is a link or too large to be part of a model"


# ---- a stranger's model, whose manifest agrees with its files


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c.update(plugin="os.system"), "a model's config expects"),
        (lambda c: c.pop("corpus"), "a model's config expects"),
        (lambda c: c["model"].update(plugin="os.system"), "ModelConfig expects exactly the keys"),
        (lambda c: c["training"].update(optimizer="adam"), "TrainingConfig expects exactly the keys"),
        (lambda c: c.pop("text"), "a model's config expects"),
        (lambda c: c["text"].update(reader="os.system"), "TextConfig expects exactly the keys"),
        (lambda c: c["text"].update(level="syllable"), "--level must be one of char, word"),
        (lambda c: c["model"].update(tied=1), "--tied must be true or false"),
        (lambda c: c["model"].pop("units"), "ModelConfig expects exactly the keys"),
        (lambda c: c["model"].update(units="12"), "--units must be a whole number"),
        (lambda c: c["model"].update(units=10**9), "--units must be at most 65536"),
        (lambda c: c["model"].update(num_layers=10**6), "--num-layers must be at most 16"),
        (lambda c: c["model"].update(cell="lambda"), "--cell must be one of"),
        (lambda c: c["training"].update(learning_rate=float("nan")), "--learning-rate must be a finite number"),
        (lambda c: c.update(versions={"textgen": 1}), "versions must be names and strings"),
        (lambda c: c.update(format=99), "is not of format 2"),
    ],
)
def test_a_config_with_anything_unexpected_is_refused(model_dir, change, message):
    change_json(model_dir / "config.json", change)
    reseal(model_dir)
    assert message in message_of(model_dir)
    assert str(model_dir) in message_of(model_dir)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.update(type="pickle"), "type must be one of ['character', 'word']"),
        (lambda t: t.update(type="word"), "a word tokenizer holds exactly type, symbols"),
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
    assert str(model_dir) in message_of(model_dir)


@pytest.mark.parametrize(
    "change",
    [
        lambda w: w.update({"embedding": w["embedding"][:, :-1]}),
        lambda w: w.update({"embedding": w["embedding"].T.copy()}),
        lambda w: w.update({"layers.0.bias": w["layers.0.bias"][None]}),
        lambda w: w.update({"output.bias": w["output.bias"].astype(np.float64)}),
        lambda w: w.update({"output.bias": w["output.bias"].astype(np.int32)}),
        lambda w: w.update({"extra": np.zeros(1, np.float32)}),
        lambda w: w.pop("layers.1.kernel"),
        lambda w: w.clear(),
    ],
)
def test_tensors_that_disagree_with_the_config_are_refused(model_dir, change):
    change_weights(model_dir / "weights.safetensors", change)
    reseal(model_dir)
    assert message_of(model_dir) == (
        f"{model_dir / 'weights.safetensors'}: names, types or shapes of its tensors are not those of the config"
    )


class Marker:
    """An object whose unpickling writes a file."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self):
        return Path.write_text, (self.path, "executed")


@pytest.mark.parametrize("name", ["weights.safetensors", "config.json", "tokenizer.json"])
def test_a_pickle_in_place_of_a_file_is_refused_and_not_executed(model_dir, name):
    marker = model_dir.parent / "marker"
    (model_dir / name).write_bytes(pickle.dumps(Marker(marker)))
    reseal(model_dir)
    assert f"{model_dir / name} cannot be read" in message_of(model_dir)
    assert not marker.exists()


@pytest.mark.parametrize(
    "content", [b"", b"\xff" * 8, (2**62).to_bytes(8, "little") + b"{}", b"\x02" + bytes(7) + b"{}"]
)
def test_weights_that_are_no_safetensors_file_are_refused(model_dir, content):
    (model_dir / "weights.safetensors").write_bytes(content)
    reseal(model_dir)
    assert message_of(model_dir).startswith(str(model_dir / "weights.safetensors"))


# ---- unfinished runs


def save_run(path: Path, steps: tuple[int, ...]) -> dict[int, StoredModel]:
    """Checkpoints of a run that was killed; the model of each step has other weights."""
    models = {step: make_stored_model(seed=step) for step in steps}
    for step, model in models.items():
        training = random_weights(model.record.model, seed=1000 + step)
        progress = Progress(step=step, total_steps=100)
        save_checkpoint(path, Checkpoint(model.record, model.tokenizer, progress, (), model.weights, training))
    return models


def test_without_a_manifest_the_newest_checkpoint_is_the_model(tmp_path):
    models = save_run(tmp_path / "novel", steps=(9, 10, 20))
    read = load_model("novel", tmp_path)
    assert_same_model(read, models[20])
    assert (read.name, read.is_finished) == ("novel", False)
    assert read.path == tmp_path / "novel" / "checkpoints" / "step-00000020"
    assert [path.name for path in model_store.checkpoint_dirs(tmp_path / "novel")] == ["step-00000020", "step-00000010"]


@pytest.mark.parametrize("name", [*model_store.CHECKPOINT_FILES, MANIFEST])
def test_a_damaged_newest_checkpoint_gives_way_to_the_one_before(tmp_path, name):
    models = save_run(tmp_path / "novel", steps=(10, 20))
    damaged = tmp_path / "novel" / "checkpoints" / "step-00000020" / name
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"?")
    assert_same_model(load_model("novel", tmp_path), models[10])


def test_a_checkpoint_that_was_being_written_is_passed_over(tmp_path):
    models = save_run(tmp_path / "novel", steps=(10,))
    checkpoints = tmp_path / "novel" / "checkpoints"
    shutil.copytree(checkpoints / "step-00000010", checkpoints / ".step-00000020.abc.tmp")
    assert_same_model(load_model("novel", tmp_path), models[10])


def test_when_every_checkpoint_is_damaged_each_is_named(tmp_path):
    save_run(tmp_path / "novel", steps=(10, 20))
    damaged = [path / "weights.safetensors" for path in model_store.checkpoint_dirs(tmp_path / "novel")]
    for path in damaged:
        path.unlink()
    message = message_of(tmp_path / "novel")
    assert all(f"{path} is missing" in message for path in damaged)


def test_a_directory_without_a_manifest_or_checkpoints_is_no_model(tmp_path):
    (tmp_path / "novel").mkdir()
    assert message_of(tmp_path / "novel") == f"{tmp_path / 'novel'} holds no model: no manifest.json and no checkpoint"


# ---- names


def not_found(name: str, models_dir: Path) -> str:
    with pytest.raises(ModelError) as caught:
        load_model(name, models_dir)
    return str(caught.value)


def test_an_unknown_name_is_told_the_nearest(tmp_path):
    for name in ("novel", "poems"):
        write_stored_model(tmp_path, make_stored_model(), name)
    assert not_found("novell", tmp_path) == f"no model 'novell' in {tmp_path}. Did you mean novel?"
    assert not_found("xyzzy", tmp_path) == f"no model 'xyzzy' in {tmp_path}. There are: novel, poems"


def test_where_there_are_no_models_the_way_to_one_is_shown(tmp_path):
    assert not_found("novel", tmp_path / "none") == (
        f"no model 'novel' in {tmp_path / 'none'}. Make one with: textgen train"
    )


@pytest.mark.parametrize("name", ["..", "a" * 300, "nul\0", "no/such/model", "../tiny/..", "/", "tiny/config.json"])
def test_what_cannot_be_a_model_is_simply_not_found(models_dir, name):
    assert not_found(name, models_dir).startswith(f"no model {name!r} in ")


@pytest.mark.parametrize("name", ["novel", "a", "_x", "Novel-2.1_b", "0", "x" * 100])
def test_letters_digits_dots_dashes_and_underscores_name_a_model(name):
    assert model_store.check_name(name) == name


@pytest.mark.parametrize(
    "name", ["", ".", "..", ".hidden", "-flag", "a/b", "../a", "/a", "a\\b", "a b", "a\n", "a\0", "é", "x" * 101]
)
def test_names_with_separators_and_other_surprises_are_refused(name):
    with pytest.raises(ModelError) as caught:
        model_store.check_name(name)
    assert str(caught.value).startswith("--name may hold letters, digits, '.', '_' and '-'")
    assert str(caught.value).endswith(f"Received: {name!r}")


def test_models_and_unfinished_runs_are_listed_by_name_and_nothing_else(tmp_path):
    for name in ("novel", "Alice"):
        write_stored_model(tmp_path, make_stored_model(), name)
    save_run(tmp_path / "killed", steps=(1,))
    write_stored_model(tmp_path, make_stored_model(), ".novel.abc.tmp")
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("")
    assert [path.name for path in model_store.list_model_dirs(tmp_path)] == ["Alice", "killed", "novel"]
    assert model_store.list_model_dirs(tmp_path / "none") == []


@contextlib.contextmanager
def as_nobody():
    """Give up root's right to enter every directory, where the tests run as root."""
    before = os.geteuid()
    os.seteuid(65534 if before == 0 else before)
    try:
        yield
    finally:
        os.seteuid(before)


def test_a_directory_that_may_not_be_entered_is_passed_over():
    with tempfile.TemporaryDirectory() as name:
        models_dir = Path(name)
        models_dir.chmod(0o755)
        write_stored_model(models_dir, make_stored_model(), "novel")
        (models_dir / "private").mkdir(mode=0)
        with as_nobody():
            assert [path.name for path in model_store.list_model_dirs(models_dir)] == ["novel"]
            assert "Did you mean novel?" in not_found("novell", models_dir)
            assert "private" in not_found("private", models_dir)


# ---- single files


def test_tensors_of_a_missing_file_are_an_error_that_names_it(tmp_path):
    for read in (lambda path: model_store.read_tensors(path, {}), model_store.read_any_tensors):
        with pytest.raises(ModelError, match=r"none.safetensors cannot be read"):
            read(tmp_path / "none.safetensors")


def test_a_missing_json_file_is_named(tmp_path):
    with pytest.raises(ModelError, match=r"config.json is missing$"):
        model_store.read_json(tmp_path / "config.json")


@pytest.mark.parametrize("failing", range(4))
def test_a_failed_write_leaves_no_model(tmp_path, monkeypatch, failing):
    """The manifest comes last: whatever is missing before it, there is no model yet."""
    written = []
    write_bytes = atomic_files.write_bytes

    def failing_write(path: Path, content: bytes) -> None:
        if len(written) == failing:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written.append(path.name)
        write_bytes(path, content)

    monkeypatch.setattr(atomic_files, "write_bytes", failing_write)
    with pytest.raises(OSError, match="No space left"):
        write_stored_model(tmp_path, make_stored_model(), "novel")
    assert written == ["weights.safetensors", "tokenizer.json", "config.json"][:failing]
    assert "holds no model" in message_of(tmp_path / "novel")


def test_a_vocabulary_of_hard_symbols_survives_the_disk(tmp_path):
    symbols = '\0\t\n\r"\\\u0085\u2028\ufeff\U0010ffff'
    write_stored_model(tmp_path, make_stored_model(symbols="".join(sorted(symbols))), "hard")
    assert isinstance(load_model("hard", tmp_path).tokenizer, CharacterTokenizer)
    assert load_model("hard", tmp_path).tokenizer.pieces == "".join(sorted(symbols))
