"""Exports a model in a format: writes it, compares its texts with the NumPy engine's, and only then gives it its name.

Whatever goes wrong, nothing is left, and what stood there before stands there still.
"""

import dataclasses
import functools
import os
import re
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from textgen.config import SamplingConfig
from textgen.errors import ExportError
from textgen.export.check import Checked, check_texts
from textgen.export.requests import Answers, CannotRunError, Requests
from textgen.messages import shown
from textgen.store import atomic, model_directory
from textgen.store.manifest import is_left_alone
from textgen.store.model_directory import StoredModel
from textgen.store.private import close_to_others

Signature = dict[str, dict[str, str]]  # names and types of what goes in and out


class Format(NamedTuple):
    """A kind of export that is a directory."""

    marker: str  # a file in its directory, by which `overwrite` knows an export
    files: re.Pattern[str]  # the paths of all of them below it; `overwrite` removes no other
    write: Callable[[StoredModel, Path], None]  # into an empty directory
    answer: Callable[[StoredModel, Path, Requests], Answers]  # of what was written; may raise CannotRunError
    signature: Callable[[], Signature] = dict  # what it takes and gives


def _write_saved_model(model: StoredModel, directory: Path) -> None:
    from textgen.export import saved_model  # noqa: PLC0415

    saved_model.write(model, directory)


def _answer_saved_model(model: StoredModel, directory: Path, requests: Requests) -> Answers:
    from textgen.export import saved_model  # noqa: PLC0415

    return saved_model.answer(model, directory, requests)


def _signature_of_saved_model() -> Signature:
    from textgen.export.signature import signature  # noqa: PLC0415

    return signature()


# It needs TensorFlow, which is not imported before.
SAVED_MODEL = Format(
    "saved_model.pb",
    re.compile(
        r"(saved_model|fingerprint)\.pb|variables/variables\.(index|data-\d{5}-of-\d{5})|"
        r"assets\.extra/textgen_export\.json"
    ),
    _write_saved_model,
    _answer_saved_model,
    _signature_of_saved_model,
)


@dataclasses.dataclass(frozen=True)
class ExportResult:
    """What was written, and how it was checked."""

    model: str
    path: Path
    bytes: int
    model_sha256: str
    signature: Signature
    checked: Checked | None
    not_checked: str  # why, where it was not
    seconds: float
    dtype: str = "float32"  # what it rounds the weights to; what is compared is the model of these

    def to_json(self) -> dict[str, Any]:
        """A dictionary of JSON values."""
        return dataclasses.asdict(self) | {"path": str(self.path)}


def export_model(
    model: StoredModel,
    output_dir: Path,
    *,
    overwrite: bool = False,
    progress: Callable[[str], None] = lambda status: None,
    kind: Format = SAVED_MODEL,
) -> ExportResult:
    """Write `model` as a program that takes prompts and returns texts.

    Args:
        output_dir: must not exist, unless `overwrite` is set and it is an export of this kind.
        progress: called with a line at each stage.

    Raises:
        ExportError: it cannot be written, or what was written does not give the model's texts.
    """
    started = time.perf_counter()
    output_dir = Path(os.path.realpath(output_dir))
    _check_output(output_dir, kind, overwrite)
    try:
        with atomic.replacing_directory(output_dir, overwrite=overwrite) as directory:
            if not model_directory.is_public(model.path):
                close_to_others(directory)
            progress(f"building {shown(model.name)} as a graph")
            kind.write(model, directory)
            progress("running it, to compare it with the NumPy engine")
            checked, not_checked = checked_or_not(model, functools.partial(kind.answer, model, directory))
            size = sum(path.stat().st_size for path in directory.rglob("*") if path.is_file())
    except (OSError, UnicodeEncodeError) as problem:  # a name of bytes that are no UTF-8, to TensorFlow
        raise ExportError(
            f"cannot write {shown(output_dir)}: {getattr(problem, 'strerror', None) or problem}"
        ) from None
    seconds = round(time.perf_counter() - started, 3)
    return ExportResult(model.name, output_dir, size, model.sha256, kind.signature(), checked, not_checked, seconds)


def checked_or_not(
    model: StoredModel, answer: Callable[[Requests], Answers], configs: Sequence[SamplingConfig] = ()
) -> tuple[Checked | None, str]:
    """What `check_texts` finds, or why it could not be asked. Raises ExportError where a text differs."""
    try:
        return check_texts(model, answer, configs), ""
    except CannotRunError as problem:
        return None, str(problem)


def _check_output(output_dir: Path, kind: Format, overwrite: bool) -> None:
    if not output_dir.parent.is_dir():
        raise ExportError(f"cannot write {output_dir}: there is no directory {output_dir.parent}")
    if not os.path.lexists(output_dir):
        return
    if not overwrite:
        raise ExportError(f"{output_dir} exists. Choose another place with --output, or use --overwrite")
    if not (output_dir / kind.marker).is_file():
        raise ExportError(f"{output_dir} is not an exported model, so --overwrite does not replace it")
    for folder, _, names in os.walk(output_dir):
        for name in sorted(names):
            path = Path(folder, name).relative_to(output_dir).as_posix()
            if not kind.files.fullmatch(path) and not is_left_alone(name):
                raise ExportError(
                    f"{output_dir} holds {path!r}, which is no part of an export. Move it elsewhere, or choose another "
                    "--output"
                )
