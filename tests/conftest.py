"""What several test files share: tiny models, made in a moment, and their directories."""

import gc
import os
import signal
import tempfile
from pathlib import Path

import hypothesis
import numpy as np
import pytest
from commands import PROGRAMS, close_fork_server
from plans import TEXT

from textgen.config import ModelConfig, TextConfig, TrainingConfig
from textgen.records import CorpusRecord, ModelRecord, ResultRecord
from textgen.store import manifest, model_directory, shipped
from textgen.store.model_directory import StoredModel
from textgen.tokenizers import CharacterTokenizer, Tokenizer
from textgen.tokenizers.word import WordTokenizer
from textgen.training import beginning

# A busy machine is not a bug.
hypothesis.settings.register_profile("textgen", deadline=None)
hypothesis.settings.load_profile("textgen")


# The files that take longest, longest first: begun last, one of them would keep a single core busy at the end.
LONGEST = [
    "test_cli",
    "test_stopped_runs",
    "test_word_models",
    "test_training_run",
    "test_faults",
    "test_distributed",
    "test_training_step",
    "test_skip",
    "test_export",
    "test_shards",
    "test_init_from",
    "test_dynamic_evaluation",
    "test_training_failures",
]


# A process that has TensorFlow in it has half a million objects, and hardly any of them ever goes.
gc.set_threshold(20_000, 10, 10)


def pytest_configure(config):
    """Let XLA compile a program once for all commands of the tests, but for those in processes of their own.

    Let pytest-xdist hand out the files in the order of the items, and not those of many tests first.
    """
    if not hasattr(config, "workerinput"):  # what starts the others, if there are any
        folder = tempfile.TemporaryDirectory(prefix="textgen-tests-", ignore_cleanup_errors=True)
        os.environ[PROGRAMS] = folder.name
        config.add_cleanup(folder.cleanup)
    if hasattr(config.option, "loadscopereorder"):
        config.option.loadscopereorder = False


def pytest_collection_modifyitems(items):
    """The longest files first, the others as they were found."""
    places = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(item.path.stem, len(LONGEST)))


def slow(*values, **named):
    """A case of a parametrised test that only `-m slow` runs; the others stand for it by default."""
    return pytest.param(*values, marks=pytest.mark.slow, **named)


ALPHABET = "\n ,.abcdefghijklmnopqrstuvwxyz"


def random_weights(config: ModelConfig, seed: int = 0, scale: float = 0.5) -> dict[str, np.ndarray]:
    """Weights large enough that the model has opinions."""
    draw = np.random.default_rng(seed)
    return {
        name: (draw.normal(size=shape) * scale).astype(np.float32)
        for name, shape in model_directory.weight_shapes(config).items()
    }


def model_config(**changes) -> ModelConfig:
    """A shape in which nothing is left to the recipe."""
    return ModelConfig(**{"embedding_size": 128, "units": 128, "tied": False, "skip": False} | changes)


def training_config(**changes) -> TrainingConfig:
    """Settings in which nothing is left to the recipe; for two minutes, unless another budget is given."""
    decided = {"batch_size": 16, "learning_rate": 0.006, "dropout": 0.05, "activation_reg": 0.0, "weight_decay": 0.0}
    decided |= {"num_sampled": 0, "bias_rate": 1.0, "schedule": "one-cycle", "storage": "float32"} | (
        {} if {"epochs", "steps"} & changes.keys() else {"minutes": 2.0}
    )
    return TrainingConfig(**decided | changes)


def make_stored_model(
    cell: str = "lstm",
    seed: int = 0,
    symbols: str = ALPHABET,
    tokenizer: Tokenizer | None = None,
    storage: str = "float32",
    **shape,
) -> StoredModel:
    """A model with random weights that was never on a disk; of characters, unless a tokenizer is given."""
    shape = {"units": 12, "embedding_size": 8, "num_layers": 2} | shape
    tokenizer = tokenizer or CharacterTokenizer(symbols)
    config = model_config(vocabulary_size=tokenizer.vocabulary_size, cell=cell, **shape)
    documents = {None: "whole", "\n": "line", "\n\n": "blank-line"}[tokenizer.document_separator]
    text = TextConfig(level=tokenizer.level, documents=documents, normalize=tokenizer.normalize)
    training = training_config(storage=storage)
    record = ModelRecord(config, text, training, CorpusRecord(name="tiny"), ResultRecord(), {"textgen": "0"})
    return StoredModel("tiny", Path("models/tiny"), record, tokenizer, random_weights(config, seed), "0" * 64, True)


def make_word_tokenizer(document_separator: str | None = None, normalize: str = "none") -> WordTokenizer:
    """The letters of ALPHABET, and some words."""
    words = [" the", " cat", " sat", "ing", " on", " mat", "..", " a", " dog", "the"]
    alone = "".join(sorted(set(ALPHABET).intersection(" \n,.aI")))
    return WordTokenizer(ALPHABET, words, document_separator, normalize, alone)


def write_stored_model(models_dir, model: StoredModel, name: str = "tiny"):
    """Write `model` as a finished model directory, stored as its record says, and return its path."""
    path = models_dir / name
    path.mkdir(parents=True)
    storage = model.record.training.storage
    model_directory.write_model_files(path, model.record, model.tokenizer, model.weights, storage)
    (path / model_directory.METRICS).write_text("")
    (path / model_directory.SAMPLES).write_text("")
    manifest.seal(path, model_directory.MODEL_FILES)
    return path


@pytest.fixture(scope="session", autouse=True)
def cache_dir(tmp_path_factory):
    """A cache and a state of their own for the tests and for the processes that they start; not the user's."""
    with pytest.MonkeyPatch.context() as patch:
        path = tmp_path_factory.mktemp("cache")
        patch.setenv("TEXTGEN_CACHE_DIR", str(path))
        patch.setenv("TEXTGEN_STATE_DIR", str(tmp_path_factory.mktemp("state")))
        yield path


@pytest.fixture(scope="session", autouse=True)
def no_waiting_for_the_disk():
    """No test takes the power away, and what a process has written outlives it; so nothing waits for the disk.

    That would take most of the time of tests which write at every moment of a save. The calls are counted all the same.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", os.fstat)  # which minds what is no file
        yield


@pytest.fixture(scope="session", autouse=True)
def no_shipped_models(tmp_path_factory):
    """In this process no model comes with textgen, unless a test says otherwise; commands of their own find them.

    So a run begins from nothing.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shipped, "PACKAGE", tmp_path_factory.mktemp("nothing") / "textgen")
        patch.setattr(beginning, "choose", lambda request: beginning.Beginning())
        yield


@pytest.fixture(scope="session", autouse=True)
def fork_server_that_ends():
    """What commands.py starts when the first command is run does not outlive the tests."""
    yield
    close_fork_server()


@pytest.fixture(scope="session")
def chromium():
    """A browser for pages; tests that ask for it are marked `browser.needs_chromium`."""
    from browser import browser

    with browser() as found:
        yield found


@pytest.fixture
def signals_are_heard():
    """As in a terminal: a process in the background ignores Ctrl-C, one under nohup the end of its terminal."""
    before = {
        number: signal.signal(number, handler)
        for number, handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL))
    }
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def stored_model() -> StoredModel:
    return make_stored_model()


@pytest.fixture
def models_dir(tmp_path):
    """A models directory with one finished model, `tiny`."""
    write_stored_model(tmp_path / "models", make_stored_model())
    return tmp_path / "models"


def trace_plainly(patch: pytest.MonkeyPatch) -> None:
    """Train on the path of a GPU, without one: a plain graph, which is traced in a moment."""
    from textgen.model.devices import Device

    patch.setattr("textgen.training.learner.choose_device", lambda cell: Device("GPU", False, "said by the test"))


@pytest.fixture
def without_xla(monkeypatch):
    """Runs in this test are traced plainly."""
    trace_plainly(monkeypatch)


@pytest.fixture(scope="session")
def corpus(tmp_path_factory):
    """A file with the text of plans.py."""
    path = tmp_path_factory.mktemp("corpus") / "novel.txt"
    path.write_text(TEXT)
    return path
