"""The formats of an export by their names, for the command line and for Python."""

from collections.abc import Callable
from pathlib import Path

from textgen.errors import SettingError
from textgen.export.writing import SAVED_MODEL, ExportResult, Format, export_model
from textgen.store.model_directory import StoredModel
from textgen.tensorflow_runtime import quiet_import

ENDINGS = {"saved-model": "-savedmodel", "html": ".html", "onnx": "-onnx", "litert": "-litert"}  # of names


def export_as(
    kind: str,
    model: StoredModel,
    output: Path,
    *,
    dtype: str | None = None,
    overwrite: bool = False,
    progress: Callable[[str], None] = lambda status: None,
) -> ExportResult:
    """Write `model` in the format `kind`, one of ENDINGS; the other arguments are those of `export_page`.

    Raises:
        SettingError: `dtype` is given, and it is no page.
        ExportError: it cannot be written, or does not give the model's texts.
        TextgenError: TensorFlow cannot be used.
    """
    if dtype and kind != "html":
        raise SettingError(f"`dtype` is for a page. Add `format=html`, or leave it out. Received: {dtype}")
    if kind == "html":
        from textgen.export.page import export_page  # noqa: PLC0415

        return export_page(model, output, dtype=dtype, overwrite=overwrite, progress=progress)
    if kind != "onnx":
        progress("starting TensorFlow")
        quiet_import(with_keras=False)
    return export_model(model, output, overwrite=overwrite, progress=progress, kind=_directory_format(kind))


def _directory_format(kind: str) -> Format:
    if kind == "onnx":
        from textgen.export.onnx_step import ONNX  # noqa: PLC0415

        return ONNX
    if kind == "litert":
        from textgen.export.litert_step import LITERT  # noqa: PLC0415

        return LITERT
    return SAVED_MODEL
