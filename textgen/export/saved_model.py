"""A model as a SavedModel: writes the graph and its description, and runs it in a fresh process."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import tensorflow as tf

from textgen.config import SamplingConfig
from textgen.errors import ExportError
from textgen.export import reader
from textgen.export.module import TextModule
from textgen.export.operations import check_operations
from textgen.export.requests import Answers, Requests
from textgen.export.signature import how_to_call, notes, signature
from textgen.generation.barred import Barred
from textgen.records import installed_versions
from textgen.store import atomic
from textgen.store.model_directory import StoredModel
from textgen.tokenizers import Tokenizer

DESCRIPTION = Path("assets.extra", "textgen_export.json")  # a SavedModel's place for files of others
SIGNATURE = "serving_default"
TIMEOUT_SECONDS = 600


def write(model: StoredModel, directory: Path) -> None:
    """Write `model` into the empty `directory`.

    Raises:
        ExportError: the graph would not run everywhere.
        OSError: it cannot be written.
    """
    module = TextModule(model)
    try:
        tf.saved_model.save(module, str(directory), signatures={SIGNATURE: module.generate})
    except tf.errors.OpError as problem:
        raise OSError(problem.message) from None
    (directory / DESCRIPTION).parent.mkdir()
    atomic.write_bytes(directory / DESCRIPTION, atomic.to_json_bytes(describe(model)))
    check_operations(directory, normalizes=_normalizes(model.tokenizer))


def answer(model: StoredModel, directory: Path, requests: Requests) -> Answers:
    """Answers of the SavedModel in `directory`, which a fresh process loads on the CPU.

    That process cannot import textgen, nor tensorflow_text unless `model` normalises with it.

    Raises:
        ExportError: with the process's last words.
    """
    # -I: neither the working directory nor PYTHONPATH is searched for modules.
    packages = ["tensorflow_text"] if _normalizes(model.tokenizer) else []
    command = [sys.executable, "-I", reader.__file__, str(directory), *packages]
    environment = os.environ | {"CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "3"}
    try:
        done = subprocess.run(
            command,
            input=json.dumps(requests),
            env=environment,
            capture_output=True,
            text=True,
            encoding="utf-8",
            errors="replace",
            timeout=TIMEOUT_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise ExportError(f"the exported model gave no text within {TIMEOUT_SECONDS} seconds") from None
    if done.returncode != 0:
        last_words = [line for line in done.stderr.splitlines() if line.strip()][-1:]
        raise ExportError(f"the exported model does not run: {''.join(last_words) or done.returncode}")
    return json.loads(done.stdout.splitlines()[-1])


def describe(model: StoredModel) -> dict[str, Any]:
    """What a program that loads the SavedModel needs to know, and what made it."""
    return {
        "format": 1,
        "model": model.name,
        "model_sha256": model.sha256,
        "model_config": model.record.model.to_json(),
        "signature": {SIGNATURE: signature()},
        "how_to_call": how_to_call(),
        "notes": [
            *_notes_of(model.tokenizer),
            *notes(),
            "On a GPU that rounds matrix products (TF32) the text may differ.",
        ],
        "versions": installed_versions(),
    }


def _notes_of(tokenizer: Tokenizer) -> list[str]:
    units = "characters" if tokenizer.level == "char" else "words; a word that is spelled counts once"
    own = [f"length counts {units}."]
    if Barred.of(tokenizer, SamplingConfig()) is not None:
        own.append("Words outside the vocabulary are read, but not written.")
    if tokenizer.eod_id is not None:
        own.append("A text ends where its document does, or at its length; whichever comes first.")
    if _normalizes(tokenizer):
        own.append("Prompts are normalised by operations of tensorflow_text: import it before loading.")
    return own


def _normalizes(tokenizer: Tokenizer) -> bool:
    return tokenizer.normalize != "none"
