"""The model directory: writing, finding, verifying and loading models.

    saved_models/<name>/
        config.json            every setting, the corpus, versions, results   (records.py)
        tokenizer.json         the vocabulary
        weights.safetensors    tensors, names and shapes fixed by the config
        metrics.jsonl          one line per evaluation
        samples.txt            what the model wrote while it learned
        copy_index.bin         the text and its index, only with `copy_index` (copy_index.py)
        manifest.json          size and SHA-256 of each file above, written last
        checkpoints/           while the run is not finished: sealed directories of the same kind

A model is data, never code: nothing is unpickled, imported or evaluated. Every file is compared with the manifest, and
every tensor with the config, before a value is used; `strict_json.py` and `tensors.py` say what is refused. The
directory itself may be a link, but nothing in it may. A directory without a manifest is an unfinished run; its newest
whole checkpoint holds the best weights so far and loads as a model too.
"""

import os
import re
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np

from textgen.cells import CELLS
from textgen.config import ModelConfig
from textgen.errors import ModelError, TextgenError
from textgen.messages import few, nearest, shown
from textgen.records import ModelRecord
from textgen.store import shipped
from textgen.store.manifest import MANIFEST, verify
from textgen.store.names import LONGEST_NAME, MOST_BYTES, is_name
from textgen.store.private import is_readable_by_all
from textgen.store.strict_json import MAX_JSON_BYTES, read_json, write_json
from textgen.store.tensors import check_finite, read_tensors, write_tensors
from textgen.tokenizers import Tokenizer, tokenizer_from_json

CONFIG, TOKENIZER, WEIGHTS = "config.json", "tokenizer.json", "weights.safetensors"
METRICS, SAMPLES, CHECKPOINTS = "metrics.jsonl", "samples.txt", "checkpoints"
MODEL_FILES = (CONFIG, TOKENIZER, WEIGHTS, METRICS, SAMPLES)
COPY_INDEX = "copy_index.bin"  # of a model that was trained with `copy_index`
TRAINING_STATE, PROGRESS = "training.safetensors", "progress.json"
CHECKPOINT_FILES = (CONFIG, TOKENIZER, WEIGHTS, TRAINING_STATE, PROGRESS)
MAX_CONFIG_BYTES = 16 * 2**20  # it names every source of a corpus
MAX_CONFIG_VALUES = 2**18
BYTES_PER_ID = 6 * 64 + 16  # in tokenizer.json: a word of 64 characters, each of them escaped, on a line of its own
# No product of two such leaves float32, summed over MAX_SIZE units and again over as many. Trained ones are below 100.
MAX_WEIGHT = 2.0**32
CHECKPOINT_NAME = re.compile(r"step-\d{8,12}(?:\.\d{4})?")  # the step, and a number when it is saved again


class StoredModel(NamedTuple):
    """A model as read from disk: everything that sampling needs."""

    name: str
    path: Path
    record: ModelRecord
    tokenizer: Tokenizer
    weights: dict[str, np.ndarray]  # float32, as `weight_shapes(record.model)`
    sha256: str  # of the weights file
    is_finished: bool
    copy_index: str = ""  # SHA-256 of the file of that name, which is read when it is wanted; empty where there is none


def default_models_dir() -> Path:
    """The directory that TEXTGEN_MODELS_DIR names, or `saved_models` in the working directory."""
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
    """Number of trainable numbers in a model."""
    return sum(int(np.prod(shape)) for shape in weight_shapes(config).values())


def write_model_files(
    directory: Path,
    record: ModelRecord,
    tokenizer: Tokenizer,
    weights: dict[str, np.ndarray],
    storage: str = "float32",
) -> None:
    """Write config, tokenizer and weights into `directory`, each atomically. `seal` makes them a model.

    Args:
        storage: of the weights, see `write_tensors`. The best weights of a checkpoint stay float32.

    Raises:
        OSError: a file cannot be written.
    """
    write_tensors(directory / WEIGHTS, weights, storage)
    write_json(directory / TOKENIZER, tokenizer.to_json())
    write_json(directory / CONFIG, record.to_json())


def load_model(name_or_path: str | Path, models_dir: Path) -> StoredModel:
    """The model of that name in `models_dir`, or one that comes with textgen, or the one at that path, verified.

    Raises:
        ModelError: no such model (naming the nearest), or a damaged one (naming the file).
    """
    path = find_model(name_or_path, models_dir)
    if is_finished(path):
        return _read_model(path, model_name(path), MODEL_FILES)
    problems = []
    for checkpoint in checkpoint_dirs(path):
        try:
            return read_checkpoint_model(checkpoint)._replace(name=model_name(path))
        except TextgenError as problem:
            problems.append(str(problem))
    raise ModelError("; ".join(few(problems)) or f"{path} holds no model: no {MANIFEST} and no checkpoint")


def model_files(record: ModelRecord) -> tuple[str, ...]:
    """The files of a finished model with this record, the manifest aside."""
    return (*MODEL_FILES, COPY_INDEX) if record.training.copy_index else MODEL_FILES


def read_checkpoint_model(directory: Path) -> StoredModel:
    """The best model so far of the checkpoint in `directory`, verified. Raises ModelError."""
    for part in (directory.parent, directory):
        if part.is_symlink():
            raise ModelError(f"{part} is a link, which is not followed. Put the directory itself there")
    return _read_model(directory, directory.name, CHECKPOINT_FILES)


def is_finished(path: Path) -> bool:
    """Whether the directory has a manifest; without one it is an unfinished run, or no model."""
    return os.path.lexists(path / MANIFEST)  # unlike Path.exists, False where permission is missing


def is_public(path: Path) -> bool:
    """Whether every user of this machine can read the model or checkpoint in `path`, or has it with textgen."""
    return shipped.is_shipped(path) or is_readable_by_all(path / CONFIG)


def is_run(path: Path) -> bool:
    """Whether the directory is that of an unfinished run that has a checkpoint, which may be damaged."""
    return not is_finished(path) and bool(checkpoint_dirs(path))


def checkpoint_dirs(path: Path) -> list[Path]:
    """The directories of a run's checkpoints, newest first; they may be damaged."""
    _, folders, files = next(os.walk(path / CHECKPOINTS), ("", [], []))  # none where it is removed at this moment
    found = map((path / CHECKPOINTS).joinpath, filter(CHECKPOINT_NAME.fullmatch, folders + files))
    return sorted(found, key=checkpoint_number, reverse=True)


def checkpoint_number(directory: Path) -> tuple[int, int]:
    """The step of a checkpoint, and its number among those of that step."""
    step, _, again = directory.name.removeprefix("step-").partition(".")
    return int(step), int(again or 0)


def set_aside_path(path: Path) -> Path:
    """Where the model at `path` is kept until the run that replaces it has finished."""
    return path.with_name(f".{path.name}.previous")


def model_name(path: Path) -> str:
    """The name of the model in the directory `path`, which may have been set aside."""
    found = re.fullmatch(r"\.(.+)\.previous", path.name)
    return found[1] if found and is_name(found[1]) else path.name


def find_model(name_or_path: str | Path, models_dir: Path, *, with_shipped: bool = True) -> Path:
    """The directory of a model given by name or path. Raises ModelError, naming the nearest.

    Args:
        with_shipped: whether a model that comes with textgen is found where `models_dir` has none of its name.
    """
    given = str(name_or_path)
    for name in dict.fromkeys((given, unicodedata.normalize("NFC", given))):  # some keyboards type accents apart
        path = Path(name) if "/" in name else models_dir / name
        if path.name in ("", ".", ".."):
            continue
        aside = set_aside_path(path)
        # os.path.isdir: unlike Path.is_dir, False for a name too long
        if os.path.isdir(aside) and not (is_finished(path) or checkpoint_dirs(path)):
            return aside  # the run that was to replace it was killed as it began
        if os.path.isdir(path):
            return path
    if with_shipped and (found := shipped.find(given)):
        return found
    own = [p.name for p in list_model_dirs(models_dir)]
    others = [p.name for p in shipped.find_all() if with_shipped and p.name not in own]
    if with_shipped and given in shipped.SHIPPED:
        advice = "It comes with textgen, and is missing here. Reinstall textgen"
    elif not (advice := nearest(given, own + others)):
        names = ", ".join(own[:8] + others)
        advice = f"There are: {names}" if names else "Make one with: textgen train"
    raise ModelError(f"no model {given!r} in {models_dir}. {advice}")


def list_model_dirs(models_dir: Path) -> list[Path]:
    """The paths of a user's own models and unfinished runs in `models_dir`, by name.

    One that is set aside has the path that it comes back to; `find_model` finds it by that.
    """
    if not models_dir.is_dir():
        return []
    holds_model = (p for p in models_dir.iterdir() if is_finished(p) or os.path.isdir(p / CHECKPOINTS))
    named = sorted(models_dir / name for name in {model_name(p) for p in holds_model} if is_name(name))
    return [p for p in named if not (p.name in shipped.SHIPPED and shipped.is_shipped(p))]


def check_name(name: str) -> str:
    """`name` in Unicode's composed form (NFC), if a model can have it. Raises ModelError otherwise."""
    composed = unicodedata.normalize("NFC", name)
    if not is_name(composed):
        raise ModelError(
            "--name may hold letters, digits, '.', '_' and '-', not begin with '.' or '-', and have at most "
            f"{LONGEST_NAME} characters and {MOST_BYTES} bytes. Received: {shown(repr(name))}"
        )
    return composed


def read_record(path: Path) -> ModelRecord:
    """The record in the `config.json` at `path`. Raises ModelError."""
    document = read_json(path, max_bytes=MAX_CONFIG_BYTES, max_values=MAX_CONFIG_VALUES)
    return _described(path, ModelRecord.from_json, document)


def check_copy_index_stated(directory: Path, record: ModelRecord, is_listed: bool) -> None:
    """Raise ModelError unless config and manifest agree on whether there is an index of the text."""
    if record.training.copy_index != is_listed:
        raise ModelError(f"{directory / CONFIG}: config and {MANIFEST} disagree on whether there is a {COPY_INDEX}")


def read_tokenizer(path: Path, record: ModelRecord) -> Tokenizer:
    """The tokenizer in the `tokenizer.json` at `path`, which must fit the record.

    Raises:
        ModelError: it is not a tokenizer or does not fit. A file that is too large for the vocabulary size of the
            record is refused unread.
    """
    num_ids = record.model.vocabulary_size
    most = min(MAX_JSON_BYTES, 2**16 + BYTES_PER_ID * num_ids)
    document = read_json(path, max_bytes=most, max_values=num_ids + 2**10)
    tokenizer = _described(path, tokenizer_from_json, document)
    stated = (num_ids, record.text.level, record.text.normalize, record.text.between_documents)
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
        return from_json(document)
    except TextgenError as problem:
        raise ModelError(f"{path} does not describe a model: {problem}") from None


def _read_model(directory: Path, name: str, required: tuple[str, ...]) -> StoredModel:
    finished = required == MODEL_FILES
    sha256 = verify(directory, required, *(((CHECKPOINTS,), (COPY_INDEX,)) if finished else ()))
    record = read_record(directory / CONFIG)
    if finished:
        check_copy_index_stated(directory, record, COPY_INDEX in sha256)
    # Before the tokenizer, whose permitted size follows from the vocabulary that the config claims.
    weights = read_weights(directory / WEIGHTS, record)
    tokenizer = read_tokenizer(directory / TOKENIZER, record)
    index = sha256.get(COPY_INDEX, "")
    return StoredModel(name, directory, record, tokenizer, weights, sha256[WEIGHTS], finished, index)
