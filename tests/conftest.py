"""What several test files share: tiny models, made in a moment, and their directories."""

import os
import signal

import hypothesis
import numpy as np
import pytest
from commands import close_fork_server

from textgen import model_store
from textgen.config import ModelConfig, TextConfig, TrainingConfig
from textgen.model_store import StoredModel
from textgen.records import CorpusRecord, ModelRecord, ResultRecord
from textgen.tokenizers import CharacterTokenizer, Tokenizer
from textgen.tokenizers.word import WordTokenizer

# A busy machine is not a bug.
hypothesis.settings.register_profile("textgen", deadline=None)
hypothesis.settings.load_profile("textgen")


def slow(*values, **named):
    """A case of a parametrised test that only `-m slow` runs; the others stand for it by default."""
    return pytest.param(*values, marks=pytest.mark.slow, **named)


ALPHABET = "\n ,.abcdefghijklmnopqrstuvwxyz"


def random_weights(config: ModelConfig, seed: int = 0, scale: float = 0.5) -> dict[str, np.ndarray]:
    """Weights large enough that the model has opinions."""
    draw = np.random.default_rng(seed)
    return {
        name: (draw.normal(size=shape) * scale).astype(np.float32)
        for name, shape in model_store.weight_shapes(config).items()
    }


def make_stored_model(
    cell: str = "lstm", seed: int = 0, symbols: str = ALPHABET, tokenizer: Tokenizer | None = None, **shape
) -> StoredModel:
    """A model with random weights that was never on a disk; of characters, unless a tokenizer is given."""
    shape = {"units": 12, "embedding_size": 8, "num_layers": 2} | shape
    tokenizer = tokenizer or CharacterTokenizer(symbols)
    config = ModelConfig(vocabulary_size=tokenizer.vocabulary_size, cell=cell, **shape)
    documents = {None: "whole", "\n": "line", "\n\n": "blank-line"}[tokenizer.document_separator]
    text = TextConfig(level=tokenizer.level, documents=documents, normalize=tokenizer.normalize)
    record = ModelRecord(config, text, TrainingConfig(), CorpusRecord(name="tiny"), ResultRecord(), {"textgen": "0"})
    return StoredModel("tiny", None, record, tokenizer, random_weights(config, seed), "0" * 64, True)


def make_word_tokenizer(document_separator: str | None = None, normalize: str = "none") -> WordTokenizer:
    """The letters of ALPHABET, and some words."""
    words = [" the", " cat", " sat", "ing", " on", " mat", "..", " a", " dog", "the"]
    alone = "".join(sorted(set(ALPHABET).intersection(" \n,.aI")))
    return WordTokenizer(ALPHABET, words, document_separator, normalize, alone)


def write_stored_model(models_dir, model: StoredModel, name: str = "tiny"):
    """Write `model` as a finished model directory and return its path."""
    path = models_dir / name
    path.mkdir(parents=True)
    model_store.write_model_files(path, model.record, model.tokenizer, model.weights)
    (path / model_store.METRICS).write_text("")
    (path / model_store.SAMPLES).write_text("")
    model_store.seal(path, model_store.MODEL_FILES)
    return path


@pytest.fixture(scope="session", autouse=True)
def cache_dir(tmp_path_factory):
    """A cache of its own for the tests and for the processes that they start; the user's is never touched."""
    path = tmp_path_factory.mktemp("cache")
    before = os.environ.get("TEXTGEN_CACHE_DIR")
    os.environ["TEXTGEN_CACHE_DIR"] = str(path)
    yield path
    if before is None:
        del os.environ["TEXTGEN_CACHE_DIR"]
    else:
        os.environ["TEXTGEN_CACHE_DIR"] = before


@pytest.fixture(scope="session", autouse=True)
def fork_server_that_ends():
    """What commands.py starts when the first command is run does not outlive the tests."""
    yield
    close_fork_server()


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
