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
every tensor with the config, before a value is used. A directory without a manifest is an unfinished run; its newest
whole checkpoint holds the best weights so far and loads as a model too.
"""

import difflib
import json
import os
import re
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import safetensors
import safetensors.numpy

from textgen import atomic_files
from textgen.config import ModelConfig
from textgen.errors import ModelError, TextgenError
from textgen.records import ModelRecord
from textgen.tokenizers import Tokenizer, tokenizer_from_json

CONFIG, TOKENIZER, WEIGHTS, MANIFEST = "config.json", "tokenizer.json", "weights.safetensors", "manifest.json"
METRICS, SAMPLES, CHECKPOINTS = "metrics.jsonl", "samples.txt", "checkpoints"
MODEL_FILES = (CONFIG, TOKENIZER, WEIGHTS, METRICS, SAMPLES)
TRAINING_STATE, PROGRESS = "training.safetensors", "progress.json"
CHECKPOINT_FILES = (CONFIG, TOKENIZER, WEIGHTS, TRAINING_STATE, PROGRESS)
FORMAT = 2
MAX_JSON_BYTES = 256 * 2**20  # a tokenizer of four million words fits; a bomb does not
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
    gates = {"lstm": 4, "gru": 3, "rnn": 1}[config.cell]
    bias = (2, gates * H) if config.cell == "gru" else (gates * H,)
    shapes: dict[str, tuple[int, ...]] = {"embedding": (V, E)}
    for index in range(config.num_layers):
        shapes[f"layers.{index}.kernel"] = (E if index == 0 else H, gates * H)
        shapes[f"layers.{index}.recurrent_kernel"] = (H, gates * H)
        shapes[f"layers.{index}.bias"] = bias
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


def seal(directory: Path, names: tuple[str, ...]) -> None:
    """Write the manifest of the files `names`: from now on the directory counts as complete."""
    files = {
        name: {"bytes": (directory / name).stat().st_size, "sha256": atomic_files.sha256_of(directory / name)}
        for name in names
    }
    atomic_files.write_json(directory / MANIFEST, {"format": FORMAT, "files": files})


def verify(directory: Path, required: tuple[str, ...]) -> dict[str, str]:
    """Compare every file with the manifest.

    Returns:
        The SHA-256 of each file.

    Raises:
        ModelError: naming the first file that is missing, damaged, a link or not listed.
    """
    manifest = read_json(directory / MANIFEST)
    files = manifest.get("files") if set(manifest) == {"format", "files"} else None
    if not isinstance(files, dict) or set(files) != set(required):
        raise ModelError(f"{directory / MANIFEST} does not list exactly {', '.join(required)}")
    for name, entry in files.items():
        try:
            _verify_file(directory / name, entry)
        except OSError as problem:
            raise ModelError(f"{directory / name} cannot be read: {problem.strerror or problem}") from None
    return {name: entry["sha256"] for name, entry in files.items()}


def _verify_file(path: Path, entry: Any) -> None:
    if not isinstance(entry, dict) or set(entry) != {"bytes", "sha256"}:
        raise ModelError(f"{path.parent / MANIFEST} must give bytes and sha256 of {path.name}")
    if path.is_symlink() or not path.is_file():
        raise ModelError(f"{path} is missing or not a plain file; the model is damaged")
    if path.stat().st_size != entry["bytes"]:
        raise ModelError(
            f"{path} is damaged: expected {entry['bytes']} bytes. Received: {path.stat().st_size}. Train it again"
        )
    if atomic_files.sha256_of(path) != entry["sha256"]:
        raise ModelError(f"{path} is damaged: its SHA-256 is not the manifest's. Restore it or train it again")


def load_model(name_or_path: str | Path, models_dir: Path) -> StoredModel:
    """The model of that name in `models_dir`, or at that path, verified.

    Raises:
        ModelError: no such model (naming the nearest), or a damaged one (naming the file).
    """
    path = find_model(name_or_path, models_dir)
    if os.path.exists(path / MANIFEST):  # unlike Path.exists, False where permission is missing
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
    return _read_model(directory, directory.name, CHECKPOINT_FILES, is_finished=False)


def checkpoint_dirs(path: Path) -> list[Path]:
    """The checkpoints of a run, newest first; whole or not."""
    return sorted(path.glob(f"{CHECKPOINTS}/step-*"), reverse=True)


def find_model(name_or_path: str | Path, models_dir: Path) -> Path:
    """The directory of a model given by name or path."""
    given = str(name_or_path)
    path = Path(given) if "/" in given else models_dir / given
    if os.path.isdir(path) and (path.name not in ("", ".", "..")):  # unlike Path.is_dir, False for a name too long
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


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a file of bounded size. Raises ModelError."""
    try:
        if path.is_symlink() or path.stat().st_size > MAX_JSON_BYTES:
            raise ModelError(f"{path} is a link or too large to be part of a model")
        document = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise ModelError(f"{path} is missing") from None
    except (OSError, ValueError, RecursionError) as problem:
        raise ModelError(f"{path} cannot be read: {problem}") from None
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise ModelError(f"{path} is not of format {FORMAT}, the one that this version of textgen reads")
    return document


def _read_model(directory: Path, name: str, required: tuple[str, ...], is_finished: bool) -> StoredModel:
    sha256 = verify(directory, required)
    try:
        record = ModelRecord.from_json(_without_format(read_json(directory / CONFIG)))
        tokenizer = tokenizer_from_json(_without_format(read_json(directory / TOKENIZER)))
    except ModelError:
        raise
    except TextgenError as problem:
        raise ModelError(f"{directory} does not describe a model: {problem}") from None
    if tokenizer.vocabulary_size != record.model.vocabulary_size:
        raise ModelError(f"{directory}: tokenizer and config disagree on the vocabulary size")
    weights = read_tensors(directory / WEIGHTS, weight_shapes(record.model))
    return StoredModel(name, directory, record, tokenizer, weights, sha256[WEIGHTS], is_finished)


def read_tensors(path: Path, shapes: dict[str, tuple[int, ...]]) -> dict[str, np.ndarray]:
    """Float32 tensors of exactly these names and shapes. Raises ModelError before any is allocated."""
    try:
        with safetensors.safe_open(path, framework="numpy") as file:
            slices = {name: file.get_slice(name) for name in list(file.keys())}
            found = {name: (part.get_dtype(), tuple(part.get_shape())) for name, part in slices.items()}
            if found != {name: ("F32", shape) for name, shape in shapes.items()}:
                raise ModelError(f"{path}: names, types or shapes of its tensors are not those of the config")
            return {name: file.get_tensor(name) for name in shapes}
    except (OSError, safetensors.SafetensorError) as problem:
        raise ModelError(f"{path} cannot be read: {problem}") from None


def read_any_tensors(path: Path) -> dict[str, np.ndarray]:
    """The tensors of a file that was compared with its manifest before. Raises ModelError."""
    try:
        return safetensors.numpy.load_file(path)
    except (OSError, safetensors.SafetensorError) as problem:
        raise ModelError(f"{path} cannot be read: {problem}") from None


def _without_format(document: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in document.items() if key != "format"}
