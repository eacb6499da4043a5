"""Writes a model as a SavedModel: builds the graph, writes it, checks it, and only then gives it its name.

What goes in: a stored model and the directory to make. What comes out: that directory, and what was checked. Whatever
goes wrong, nothing is left, and what stood there before stands there still.
"""

import dataclasses
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import tensorflow as tf

from textgen import atomic_files
from textgen.errors import ExportError
from textgen.export.check import Checked, check_texts
from textgen.export.module import INPUTS, OUTPUTS, TextModule
from textgen.export.operations import check_operations
from textgen.model_store import StoredModel
from textgen.records import installed_versions
from textgen.tokenizers import Tokenizer

DESCRIPTION = Path("assets.extra", "textgen_export.json")  # a SavedModel's place for files of others
SIGNATURE = "serving_default"


@dataclasses.dataclass(frozen=True)
class ExportResult:
    """What was written, and how it was checked."""

    model: str
    path: Path
    bytes: int
    model_sha256: str
    signature: dict[str, dict[str, str]]
    checked: Checked
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """A dictionary of JSON values."""
        return dataclasses.asdict(self) | {"path": str(self.path)}


def export_model(
    model: StoredModel,
    output_dir: Path,
    *,
    overwrite: bool = False,
    progress: Callable[[str], None] = lambda status: None,
) -> ExportResult:
    """Write `model` as a SavedModel that takes prompts and returns texts.

    Args:
        output_dir: must not exist, unless `overwrite` is set and it is a SavedModel.
        progress: called with a line at each stage.

    Raises:
        ExportError: it cannot be written, or what was written does not give the model's texts.
    """
    started = time.perf_counter()
    output_dir = Path(os.path.realpath(output_dir))
    _check_output(output_dir, overwrite)
    try:
        with atomic_files.replacing_directory(output_dir, overwrite=overwrite) as directory:
            progress(f"building {model.name} as a graph")
            _write(model, directory)
            check_operations(directory, normalizes=model.tokenizer.normalize != "none")
            progress("checking it in a fresh process against the NumPy engine")
            checked = check_texts(model, directory)
            size = sum(path.stat().st_size for path in directory.rglob("*") if path.is_file())
    except OSError as problem:
        raise ExportError(f"cannot write {output_dir}: {problem.strerror or problem}") from None
    except tf.errors.OpError as problem:
        raise ExportError(f"cannot write {output_dir}: {problem.message}") from None
    seconds = round(time.perf_counter() - started, 3)
    return ExportResult(model.name, output_dir, size, model.sha256, signature(), checked, seconds)


def signature() -> dict[str, dict[str, str]]:
    """Inputs and outputs of `serving_default`, by name."""
    inputs = {name: f"{spec.dtype.name}{' [B]' if spec.shape.rank else ''}" for name, spec in INPUTS.items()}
    return {"inputs": inputs, "outputs": dict(OUTPUTS)}


def _check_output(output_dir: Path, overwrite: bool) -> None:
    if not output_dir.parent.is_dir():
        raise ExportError(f"cannot write {output_dir}: there is no directory {output_dir.parent}")
    if not os.path.lexists(output_dir):
        return
    if not overwrite:
        raise ExportError(f"{output_dir} exists. Choose another place with --output, or use --overwrite")
    if not (output_dir / "saved_model.pb").is_file():
        raise ExportError(f"{output_dir} is not an exported model, so --overwrite does not replace it")


def _write(model: StoredModel, directory: Path) -> None:
    module = TextModule(model)
    tf.saved_model.save(module, str(directory), signatures={SIGNATURE: module.generate})
    (directory / DESCRIPTION).parent.mkdir()
    atomic_files.write_json(directory / DESCRIPTION, describe(model))


def describe(model: StoredModel) -> dict[str, Any]:
    """What a stranger needs to know to use the SavedModel."""
    return {
        "format": 1,
        "model": model.name,
        "model_sha256": model.sha256,
        "model_config": model.record.model.to_json(),
        "signature": {SIGNATURE: signature()},
        "how_to_call": (
            "loaded = tf.saved_model.load(directory); loaded.signatures['serving_default']("
            "prompt=tf.constant(['Once']), length=tf.constant(200), temperature=tf.constant(0.8), "
            "top_k=tf.constant(0), top_p=tf.constant(1.0), min_p=tf.constant(0.0), "
            "seed=tf.constant(0, tf.int64))['text']"
        ),
        "notes": [
            *_notes_of(model.tokenizer),
            "Temperature 0 takes the likeliest; top_k 0, top_p 1 and min_p 0 are off.",
            "Each row of a batch is the text of its prompt and the seed alone: equal prompts give equal rows.",
            "temperature, top_p and min_p count with six significant digits.",
            "On a GPU that rounds matrix products (TF32) the text may differ.",
        ],
        "versions": installed_versions(),
    }


def _notes_of(tokenizer: Tokenizer) -> list[str]:
    units = "characters" if tokenizer.level == "char" else "words; a word that is spelled counts once"
    notes = [f"length counts {units}."]
    if tokenizer.spelling_ids.size:
        notes.append("Words outside the vocabulary are read, but not written.")
    if tokenizer.eod_id is not None:
        notes.append("A text ends where its document does, or at its length; whichever comes first.")
    if tokenizer.normalize != "none":
        notes.append("Prompts are normalised by operations of tensorflow_text: import it before loading.")
    return notes
