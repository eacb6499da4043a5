"""`textgen export`: a model as a SavedModel."""

from pathlib import Path

import click

from textgen.cli.options import json_option, models_dir_option
from textgen.messages import json_line
from textgen.streams import tell, write_line, write_path


@click.command()
@click.argument("model")
@click.option("--output", type=click.Path(path_type=Path), help="Directory to make.  [default: MODEL-savedmodel]")
@click.option("--overwrite", is_flag=True, help="Replace a SavedModel that stands there.")
@models_dir_option
@json_option
def export(model: str, output: Path | None, overwrite: bool, models_dir: Path, as_json: bool) -> None:
    """Export MODEL as a TensorFlow SavedModel that takes a prompt and returns text.

    The SavedModel holds the tokenizer, the network and the sampling, and runs wherever TensorFlow does, without
    textgen. A fresh process checks it before it gets its name: the same seed gives the same text as `textgen sample`.
    """
    from textgen.store.model_directory import load_model
    from textgen.tensorflow_runtime import quiet_import

    stored = load_model(model, models_dir)
    if not stored.is_finished:
        tell(f"{stored.name} is not finished; this is its best at step {stored.record.results.best_step:,}")
    tell("starting TensorFlow")
    quiet_import(with_keras=False)
    from textgen.export import export_model

    path = output or Path(f"{stored.name}-savedmodel")
    result = export_model(stored, path, overwrite=overwrite, progress=tell)
    checked, same = result.checked, "the same text as the NumPy engine for"
    if not checked.differences:
        tell(f"{same} {checked.prompts} prompts, {checked.characters:,} characters")
    else:
        equal = f"{checked.prompts - checked.differences} of {checked.prompts} prompts"
        tell(f"{same} {equal}; the others part at a token that rounding decides")
    if as_json:
        write_line(json_line(result.to_json()))
    else:
        write_path(result.path)
