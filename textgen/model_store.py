"""The model directory: what is in it, and that it is whole.

    saved_models/<name>/
        config.json            every setting, the corpus, versions, results   (records.py)
        tokenizer.json         the vocabulary
        weights.safetensors    float32 tensors, names and shapes fixed by the config
        metrics.jsonl          one line per evaluation
        samples.txt            what the model wrote while it learned
        manifest.json          size and SHA-256 of each file above, written last
        checkpoints/           while the run is not finished: sealed directories of the same kind

It is data, never code: nothing here is unpickled, imported or evaluated. Every file is compared with the manifest, and
every tensor with the config, before a value is used; `sealed_files.py` and `tensor_files.py` say what is refused. The
directory itself may be a link, nothing in it. A directory without a manifest is an unfinished run; its newest whole
checkpoint holds the best weights so far and loads as a model too.
"""

import difflib
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
import safetensors.numpy

from textgen import atomic_files
from textgen.cells import CELLS
from textgen.config import ModelConfig
from textgen.errors import ModelError, TextgenError
from textgen.records import ModelRecord
from textgen.sealed_files import FORMAT, MANIFEST, MAX_JSON_BYTES, read_json, seal, verify
from textgen.tensor_files import check_finite, check_tensors, read_any_tensors, read_tensors
from textgen.tokenizers import Tokenizer, tokenizer_from_json

__all__ = [
    "FORMAT",
    "MANIFEST",
    "read_any_tensors",
    "read_json",
    "read_tensors",
    "seal",
    "verify",
]

CONFIG, TOKENIZER, WEIGHTS = "config.json", "tokenizer.json", "weights.safetensors"
METRICS, SAMPLES, CHECKPOINTS = "metrics.jsonl", "samples.txt", "checkpoints"
MODEL_FILES = (CONFIG, TOKENIZER, WEIGHTS, METRICS, SAMPLES)
TRAINING_STATE, PROGRESS = "training.safetensors", "progress.json"
CHECKPOINT_FILES = (CONFIG, TOKENIZER, WEIGHTS, TRAINING_STATE, PROGRESS)
MAX_CONFIG_BYTES = 16 * 2**20  # it names every source of a corpus
MAX_CONFIG_VALUES = 2**18
BYTES_PER_ID = 6 * 64 + 16  # in tokenizer.json: a word of 64 characters, each of them escaped, on a line of its own
# No product of two such weights leaves float32, summed over MAX_SIZE units and again over as many. Trained weights stay
# below a hundred.
MAX_WEIGHT = 2.0**32
CHECKPOINT_NAME = re.compile(r"step-(\d{8,12})(?:\.(\d{4}))?")  # of a step; and a number when it is saved again
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}")


class StoredModel(NamedTuple):
    """A model as read from disk: everything that sampling needs, and no TensorFlow."""

    name: str
    path: Path
    record: ModelRecord
    tokenizer: Tokenizer
    weights: dict[str, np.ndarray]  # float32, as `weight_shapes(record.model)`
    sha256: str  # of the weights file
    is_finished: bool


def default_models_dir() -> Path:
    """`TEXTGEN_MODELS_DIR`, or `saved_models` in the working directory."""
    return Path(os.environ.get("TEXTGEN_MODELS_DIR") or "saved_models")


def weight_shapes(config: ModelConfig) -> dict[str, tuple[int, ...]]:
    """Name and shape of every tensor of a model.

    A tied one scores with `embedding`: through a projection, unless it sees the last layer alone and E is H.
    """
    V, E, H, F = config.vocabulary_size, config.embedding_size, config.units, config.features
    cell = CELLS[config.cell]
    width = cell.width(H)
    shapes: dict[str, tuple[int, ...]] = {"embedding": (V, E)}
    for index in range(config.num_layers):
        shapes[f"layers.{index}.kernel"] = (E if index == 0 else H, width)
        shapes[f"layers.{index}.recurrent_kernel"] = (H, width)
        shapes[f"layers.{index}.bias"] = cell.bias_shape(H)
    if not config.tied:
        shapes["output.kernel"] = (F, V)
    elif F != H or E != H:
        shapes["output.projection"] = (F, E)
    return shapes | {"output.bias": (V,)}


def num_parameters(config: ModelConfig) -> int:
    """Trainable numbers in a model."""
    return sum(int(np.prod(shape)) for shape in weight_shapes(config).values())


def write_model_files(
    directory: Path, record: ModelRecord, tokenizer: Tokenizer, weights: dict[str, np.ndarray]
) -> None:
    """Write config, tokenizer and weights into `directory`, each atomically; `seal` makes them a model."""
    atomic_files.write_bytes(directory / WEIGHTS, safetensors.numpy.save(weights))
    atomic_files.write_json(directory / TOKENIZER, {"format": FORMAT, **tokenizer.to_json()})
    atomic_files.write_json(directory / CONFIG, {"format": FORMAT, **record.to_json()})


def load_model(name_or_path: str | Path, models_dir: Path) -> StoredModel:
    """The model of that name in `models_dir`, or at that path, verified.

    Raises:
        ModelError: no such model (naming the nearest), or a damaged one (naming the file).
    """
    path = find_model(name_or_path, models_dir)
    if os.path.lexists(path / MANIFEST):  # unlike Path.exists, False where permission is missing
        return _read_model(path, path.name, MODEL_FILES, is_finished=True)
    problems = []
    for checkpoint in checkpoint_dirs(path):
        try:
            return read_checkpoint_model(checkpoint)._replace(name=path.name)
        except TextgenError as problem:
            problems.append(str(problem))
    raise ModelError("; ".join(problems) or f"{path} holds no model: no {MANIFEST} and no checkpoint")


def read_checkpoint_model(directory: Path) -> StoredModel:
    """The best model so far of the checkpoint in `directory`, verified."""
    for part in (directory.parent, directory):
        if part.is_symlink():
            raise ModelError(f"{part} is a link, which is not followed. Put the directory itself there")
    return _read_model(directory, directory.name, CHECKPOINT_FILES, is_finished=False)


def checkpoint_dirs(path: Path) -> list[Path]:
    """The checkpoints of a run, newest first; whole or not."""
    entries = (entry for entry in path.glob(f"{CHECKPOINTS}/step-*") if CHECKPOINT_NAME.fullmatch(entry.name))
    return sorted(entries, key=checkpoint_number, reverse=True)


def checkpoint_number(directory: Path) -> tuple[int, int]:
    """The step of a checkpoint, and which one of that step it is."""
    step, again = CHECKPOINT_NAME.fullmatch(directory.name).groups(default="0")
    return int(step), int(again)


def set_aside_path(path: Path) -> Path:
    """Where the model at `path` waits while a run that is to replace it has not finished."""
    return path.with_name(f".{path.name}.previous")


def find_model(name_or_path: str | Path, models_dir: Path) -> Path:
    """The directory of a model given by name or path."""
    given = str(name_or_path)
    path = Path(given) if "/" in given else models_dir / given
    if path.name not in ("", ".", ".."):
        aside = set_aside_path(path)
        # os.path.isdir: unlike Path.is_dir, False for a name too long
        if os.path.isdir(aside) and not (os.path.exists(path / MANIFEST) or checkpoint_dirs(path)):
            return aside  # the run that was to replace it was killed as it began
        if os.path.isdir(path):
            return path
    names = [p.name for p in list_model_dirs(models_dir)]
    nearest = difflib.get_close_matches(given, names, n=1, cutoff=0.4)
    if nearest:
        advice = f"Did you mean {nearest[0]}?"
    else:
        advice = f"There are: {', '.join(names[:8])}" if names else "Make one with: textgen train"
    raise ModelError(f"no model {given!r} in {models_dir}. {advice}")


def list_model_dirs(models_dir: Path) -> list[Path]:
    """Directories in `models_dir` that hold a model or an unfinished run, by name."""
    if not models_dir.is_dir():
        return []
    holds_model = (p for p in models_dir.iterdir() if os.path.isfile(p / MANIFEST) or os.path.isdir(p / CHECKPOINTS))
    return sorted(p for p in holds_model if NAME.fullmatch(p.name))


def check_name(name: str) -> str:
    """`name`, when it can be a model's. Raises ModelError otherwise."""
    if not NAME.fullmatch(name):
        raise ModelError(
            f"--name may hold letters, digits, '.', '_' and '-', and not begin with '.' or '-'. Received: {name!r}"
        )
    return name


def read_record(path: Path) -> ModelRecord:
    """The record in the `config.json` at `path`. Raises ModelError."""
    document = read_json(path, max_bytes=MAX_CONFIG_BYTES, max_values=MAX_CONFIG_VALUES)
    return _described(path, ModelRecord.from_json, document)


def read_tokenizer(path: Path, record: ModelRecord) -> Tokenizer:
    """The tokenizer in the `tokenizer.json` at `path`, which must be that of a model with this record.

    Raises:
        ModelError: it is no tokenizer, or another one than the record states; it is refused unread where it is larger
            than a tokenizer of that vocabulary size can be.
    """
    num_ids = record.model.vocabulary_size
    most = min(MAX_JSON_BYTES, 2**16 + BYTES_PER_ID * num_ids)
    document = read_json(path, max_bytes=most, max_values=num_ids + 2**10)
    tokenizer = _described(path, tokenizer_from_json, document)
    stated = (num_ids, record.text.level, record.text.normalize, record.text.document_separator)
    found = (tokenizer.vocabulary_size, tokenizer.level, tokenizer.normalize, tokenizer.document_separator)
    for name, one, other in zip(
        ("vocabulary size", "level", "normal form", "document separator"), found, stated, strict=True
    ):
        if one != other:
            raise ModelError(f"{path}: tokenizer and config disagree on the {name}: {one!r}, {other!r}")
    return tokenizer


def read_weights(path: Path, record: ModelRecord) -> dict[str, np.ndarray]:
    """The weights of a model with this record. Raises ModelError where shapes or numbers cannot be a model's."""
    weights = read_tensors(path, weight_shapes(record.model))
    check_finite(path, weights, MAX_WEIGHT)
    return weights


Described = TypeVar("Described")


def _described(path: Path, from_json: Callable[[Any], Described], document: dict[str, Any]) -> Described:
    try:
        return from_json({key: value for key, value in document.items() if key != "format"})
    except TextgenError as problem:
        raise ModelError(f"{path} does not describe a model: {problem}") from None


def _read_model(directory: Path, name: str, required: tuple[str, ...], is_finished: bool) -> StoredModel:
    sha256 = verify(directory, required, beside=(CHECKPOINTS,) if is_finished else ())
    record = read_record(directory / CONFIG)
    # First, so that a config cannot claim a vocabulary, and so a large tokenizer, that the weights are too few for.
    check_tensors(directory / WEIGHTS, weight_shapes(record.model))
    tokenizer = read_tokenizer(directory / TOKENIZER, record)
    weights = read_weights(directory / WEIGHTS, record)
    return StoredModel(name, directory, record, tokenizer, weights, sha256[WEIGHTS], is_finished)
