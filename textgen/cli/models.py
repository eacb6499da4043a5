"""`textgen models`: the list of models."""

from pathlib import Path
from typing import Any

import click

from textgen.cli.options import json_option, models_dir_option
from textgen.streams import tell, write_line, write_lines


@click.command()
@models_dir_option
@json_option
def models(models_dir: Path, as_json: bool) -> None:
    """List your models, and those that come with textgen.

    One that comes with textgen is left out where you have a model of its name, which is the one that is found then.
    """
    from textgen.messages import json_line
    from textgen.store import shipped
    from textgen.store.model_directory import list_model_dirs

    own = list_model_dirs(models_dir)
    names = {path.name for path in own}
    rows = [_row(path) | {"shipped": False} for path in own]
    rows += [_row(path) | {"shipped": True} for path in shipped.find_all() if path.name not in names]
    if as_json:
        write_line(json_line(rows))
        return
    if not own:
        tell(f"no models in {models_dir}. Make one with: textgen train")
    write_lines(map(_line, rows))


def _row(path: Path) -> dict[str, Any]:
    """The facts that the list shows of one model, or the problem of a damaged one."""
    from textgen.errors import TextgenError
    from textgen.store.model_directory import load_model

    try:
        stored = load_model(path.name, path.parent)
    except TextgenError as problem:
        return {"name": path.name, "path": str(path), "problem": str(problem)}
    record = stored.record
    return {
        "name": stored.name,
        "path": str(path),
        "finished": stored.is_finished,
        "corpus": record.corpus.name,
        **record.model.to_json(),
        **record.results.to_json(),
    }


def _line(row: dict[str, Any]) -> str:
    from textgen.messages import shown

    origin = "   comes with textgen" if row["shipped"] else ""
    if "problem" in row:
        return f"{row['name']:<24} damaged: {shown(row['problem'])}{origin}"
    loss = row["validation_bits_per_character"]
    bits = "" if loss is None else f"{loss:.3f} bits/char"
    state = "" if row["finished"] else f"   stopped at step {row['steps']:,} of {row['total_steps']:,}"
    shape = f"{row['num_layers']} x {row['units']} {row['cell']}"
    return f"{row['name']:<24} {shape:<14} {row['parameters']:>12,} parameters  {bits:<16}{state}{origin}".rstrip()
