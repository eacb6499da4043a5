"""The model directory: what comes back, and what is said of one that is damaged, foreign or unfinished."""

import contextlib
import errno
import os
import tempfile
from pathlib import Path

import numpy as np
import pytest
from conftest import make_stored_model, make_word_tokenizer, model_config, random_weights, write_stored_model
from damaging import message_of

from textgen.config import SamplingConfig
from textgen.errors import ModelError
from textgen.generation.generator import open_generator
from textgen.records import Progress
from textgen.store import atomic, model_directory
from textgen.store.checkpoints import Checkpoint, save_checkpoint
from textgen.store.model_directory import StoredModel, find_model, load_model
from textgen.tokenizers import CharacterTokenizer


def assert_same_model(one: StoredModel, other: StoredModel) -> None:
    assert one.record == other.record
    assert one.tokenizer.pieces == other.tokenizer.pieces
    assert one.weights.keys() == other.weights.keys()
    for name, weight in one.weights.items():
        assert weight.dtype == other.weights[name].dtype == np.float32
        assert np.array_equal(weight, other.weights[name])


# ---- shapes


def test_weight_shapes_of_an_lstm():
    config = model_config(vocabulary_size=7, embedding_size=3, units=5, num_layers=2)
    assert model_directory.weight_shapes(config) == {
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
    config = model_config(vocabulary_size=7, embedding_size=embedding_size, units=5, num_layers=1, tied=True)
    shapes = model_directory.weight_shapes(config)
    output = {name: shape for name, shape in shapes.items() if name.startswith("output")}
    assert output == projection | {"output.bias": (7,)}
    assert shapes["embedding"] == (7, embedding_size)


def test_a_gru_has_three_gates_and_two_biases_and_a_plain_rnn_one_of_each():
    shapes = model_directory.weight_shapes(model_config(cell="gru", units=5, embedding_size=3, num_layers=1))
    assert (shapes["layers.0.kernel"], shapes["layers.0.bias"]) == ((3, 15), (2, 15))
    shapes = model_directory.weight_shapes(model_config(cell="rnn", units=5, embedding_size=3, num_layers=1))
    assert (shapes["layers.0.recurrent_kernel"], shapes["layers.0.bias"]) == ((5, 5), (5,))


@pytest.mark.parametrize(("cell", "number"), [("lstm", 2 + 4 * 3 + 4), ("gru", 2 + 3 * 4 + 4), ("rnn", 2 + 3 + 4)])
def test_parameters_are_counted(cell, number):
    config = model_config(vocabulary_size=2, cell=cell, embedding_size=1, units=1, num_layers=1)
    assert model_directory.num_parameters(config) == number


# ---- a whole model


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
@pytest.mark.parametrize("num_layers", [1, 3])
def test_a_model_comes_back_as_it_was_written(tmp_path, cell, num_layers):
    written = make_stored_model(cell, seed=num_layers, symbols="\0\nab\ufeff🙂", num_layers=num_layers)
    path = write_stored_model(tmp_path, written, "novel")
    read = load_model("novel", tmp_path)
    assert_same_model(read, written)
    assert (read.name, read.path, read.is_finished) == ("novel", path, True)
    assert read.sha256 == atomic.sha256_of(path / "weights.safetensors")


@pytest.mark.parametrize("separator", [None, "\n", "\n\n"])
@pytest.mark.parametrize("tied", [False, True])
def test_a_model_of_words_comes_back_as_it_was_written(tmp_path, separator, tied):
    written = make_stored_model(tokenizer=make_word_tokenizer(separator, "nfkc"), tied=tied)
    write_stored_model(tmp_path, written, "novel")
    read = load_model("novel", tmp_path)
    assert_same_model(read, written)
    assert read.tokenizer.to_json() == written.tokenizer.to_json()
    assert (read.tokenizer.level, read.record.text.level) == ("word", "word")


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
@pytest.mark.parametrize("tied", [False, True])
def test_the_largest_weights_that_are_read_still_write_text(cell, tied):
    """Without a warning of NumPy's, which is an error here."""
    model, draw = make_stored_model(cell, tied=tied), np.random.default_rng(1)
    for weight in model.weights.values():
        weight[...] = draw.choice([-model_directory.MAX_WEIGHT, model_directory.MAX_WEIGHT], size=weight.shape)
    for temperature in (0, 0.8):
        (completion,) = open_generator(model).generate("the cat", SamplingConfig(length=20, temperature=temperature))
        assert len(completion.completion) == 20


def test_a_model_is_found_by_name_and_by_path(models_dir):
    assert find_model("tiny", models_dir) == models_dir / "tiny"
    assert find_model(models_dir / "tiny", Path("elsewhere")) == models_dir / "tiny"
    assert load_model(str(models_dir / "tiny"), Path("elsewhere")).name == "tiny"


def test_the_models_directory_is_the_working_directorys_or_the_environments(monkeypatch):
    monkeypatch.delenv("TEXTGEN_MODELS_DIR", raising=False)
    assert model_directory.default_models_dir() == Path("saved_models")
    monkeypatch.setenv("TEXTGEN_MODELS_DIR", "/models")
    assert model_directory.default_models_dir() == Path("/models")


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
    assert [path.name for path in model_directory.checkpoint_dirs(tmp_path / "novel")] == [
        "step-00000020",
        "step-00000010",
    ]


def test_checkpoints_that_are_removed_as_they_are_listed_are_none(tmp_path, monkeypatch):
    save_run(tmp_path / "novel", steps=(9,))
    directory, scandir = tmp_path / "novel" / "checkpoints", os.scandir

    def removed_before(path: Path):
        if os.fspath(path) == str(directory) and directory.exists():  # the run is finished at this moment
            directory.rename(tmp_path / "removed")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", removed_before)
    assert model_directory.checkpoint_dirs(tmp_path / "novel") == []
    assert (tmp_path / "removed").exists()


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


@pytest.mark.parametrize(
    "name",
    [
        "novel",
        "a",
        "_x",
        "Novel-2.1_b",
        "0",
        "x" * 100,
        "\u5317\u4eac",
        "\u0639\u0644\u06cc",
        "caf\u00e9",
        "\u0915\u0939\u093e\u0928\u0940",
    ],
)
def test_letters_digits_dots_dashes_and_underscores_name_a_model(name):
    assert model_directory.check_name(name) == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        ".hidden",
        "-flag",
        "a/b",
        "../a",
        "/a",
        "a\\b",
        "a b",
        "a\n",
        "a\0",
        "\u0301a",
        "a\u202eb",
        "a\u200bb",
        "\u3164",
        "a\u00a0b",
        "\u2014",
        "\ud800",
        "x" * 101,
        "\u5317" * 67,
    ],
)
def test_names_with_separators_and_other_surprises_are_refused(name):
    with pytest.raises(ModelError) as caught:
        model_directory.check_name(name)
    assert str(caught.value).startswith("--name may hold letters, digits, '.', '_' and '-'")
    assert str(caught.value).endswith(f"Received: {name!a}" if not name.isprintable() else f"Received: {name!r}")


def test_a_name_is_composed_and_found_as_it_is_typed(tmp_path):
    assert model_directory.check_name("cafe\u0301") == "caf\u00e9"
    path = write_stored_model(tmp_path, make_stored_model(), "caf\u00e9")
    assert model_directory.find_model("cafe\u0301", tmp_path) == path
    assert model_directory.list_model_dirs(tmp_path) == [path]


def test_models_and_unfinished_runs_are_listed_by_name_and_nothing_else(tmp_path):
    for name in ("novel", "Alice"):
        write_stored_model(tmp_path, make_stored_model(), name)
    save_run(tmp_path / "killed", steps=(1,))
    write_stored_model(tmp_path, make_stored_model(), ".novel.abc.tmp")
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("")
    assert [path.name for path in model_directory.list_model_dirs(tmp_path)] == ["Alice", "killed", "novel"]
    assert model_directory.list_model_dirs(tmp_path / "none") == []


def test_a_model_that_is_set_aside_has_its_own_name_in_the_list(tmp_path):
    """The runs that were to replace them were killed as they began, one of them inside its first checkpoint."""
    for name in ("novel", "Alice"):
        write_stored_model(tmp_path, make_stored_model(), f".{name}.previous")
    (tmp_path / "novel" / "checkpoints" / ".step-00000000.abc.tmp").mkdir(parents=True)
    paths = model_directory.list_model_dirs(tmp_path)
    assert paths == [tmp_path / "Alice", tmp_path / "novel"]
    assert [model_directory.load_model(path.name, tmp_path).name for path in paths] == ["Alice", "novel"]


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
            assert [path.name for path in model_directory.list_model_dirs(models_dir)] == ["novel"]
            assert "Did you mean novel?" in not_found("novell", models_dir)
            assert "private" in not_found("private", models_dir)


# ---- single files


@pytest.mark.parametrize("failing", range(4))
def test_a_failed_write_leaves_no_model(tmp_path, monkeypatch, failing):
    """The manifest comes last: whatever is missing before it, there is no model yet."""
    written = []
    write_bytes = atomic.write_bytes

    def failing_write(path: Path, content: bytes) -> None:
        if len(written) == failing:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written.append(path.name)
        write_bytes(path, content)

    monkeypatch.setattr(atomic, "write_bytes", failing_write)
    with pytest.raises(OSError, match="No space left"):
        write_stored_model(tmp_path, make_stored_model(), "novel")
    assert written == ["weights.safetensors", "tokenizer.json", "config.json"][:failing]
    assert "holds no model" in message_of(tmp_path / "novel")


def test_a_vocabulary_of_hard_symbols_survives_the_disk(tmp_path):
    symbols = '\0\t\n\r"\\\u0085\u2028\ufeff\U0010ffff'
    write_stored_model(tmp_path, make_stored_model(symbols="".join(sorted(symbols))), "hard")
    assert isinstance(load_model("hard", tmp_path).tokenizer, CharacterTokenizer)
    assert load_model("hard", tmp_path).tokenizer.pieces == "".join(sorted(symbols))
