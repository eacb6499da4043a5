"""`textgen export`: a model as a SavedModel, as a page that writes, or as ONNX or LiteRT."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from textgen.cli.options import json_option, models_dir_option
from textgen.config import STORAGES
from textgen.messages import json_line
from textgen.streams import tell, write_line, write_path

if TYPE_CHECKING:
    from textgen.export import ExportResult


@click.command()
@click.argument("model")
@click.option(
    "--format",
    "kind",
    type=click.Choice(("saved-model", "html", "onnx", "litert")),
    default="saved-model",
    show_default=True,
    help="What to write: a TensorFlow SavedModel, a page for a browser, or the network as ONNX or LiteRT.",
)
@click.option(
    "--dtype",
    type=click.Choice(STORAGES),
    help="How a page stores the weights.  [default: float16, or int8 where the model is stored so]",
)
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), help="Where to write it.  [default: MODEL-savedmodel, ...]"
)
@click.option("--overwrite", is_flag=True, help="Replace an export of the same format that stands there.")
@models_dir_option
@json_option
def export(
    model: str,
    kind: str,
    dtype: str | None,
    output: Path | None,
    overwrite: bool,
    models_dir: Path,
    as_json: bool,
) -> None:
    """Export MODEL as a program that takes a prompt and returns text, without textgen.

    A SavedModel holds the tokenizer, the network and the sampling, and runs wherever TensorFlow does. A page is one
    file that holds the model and writes in any browser, without a network. ONNX and LiteRT are the network's step,
    with the tokenizer and the rules of sampling beside it as JSON, for other languages and for phones.

    What was written is run before it gets its name: the same seed gives the same text as `textgen sample`. Node runs a
    page, and onnxruntime ONNX; where they are not installed, the command says that it did not compare. LiteRT is run by
    ai-edge-litert, or by TensorFlow where that is not installed.
    """
    from textgen.export.formats import ENDINGS, export_as
    from textgen.messages import shown
    from textgen.store.model_directory import load_model

    stored = load_model(model, models_dir)
    if not stored.is_finished:
        tell(f"{shown(stored.name)} is not finished; this is its best at step {stored.record.results.best_step:,}")
    path = output or Path(f"{stored.name}{ENDINGS[kind]}")
    result = export_as(kind, stored, path, dtype=dtype, overwrite=overwrite, progress=tell)
    tell(_said_of(result))
    if as_json:
        write_line(json_line(result.to_json()))
    else:
        write_path(result.path)


def _said_of(result: "ExportResult") -> str:
    """What the check found, in a line."""
    if not (checked := result.checked):
        return f"not checked: {result.not_checked}"
    same = "the same text as the NumPy engine"
    if result.dtype != "float32":
        same += f" with the weights as {result.dtype} rounds them"
    if not checked.differences:
        return f"{same} for {checked.prompts} prompts, {checked.characters:,} characters"
    equal = f"{checked.prompts - checked.differences} of {checked.prompts} prompts"
    return f"{same} for {equal}; the others part at a token that rounding decides"
