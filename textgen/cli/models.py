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

    The columns are the name, the level, the size, how well the model predicts (bits per character, lower is better),
    when it was made, and its corpus. Where you have a model of the same name as one that comes with textgen, yours is
    listed and found.
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
    write_lines(_lines(rows))


def _row(path: Path) -> dict[str, Any]:
    """The facts that the list shows of one model, or the problem of a damaged one."""
    from textgen.errors import TextgenError
    from textgen.store.lock import is_running
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
        "running": not stored.is_finished and is_running(path),
        "level": record.text.level,
        "made": _made(stored.path),
        "corpus": record.corpus.name,
        **record.model.to_json(),
        **record.results.to_json(),
    }


def _made(directory: Path) -> str | None:
    """When a model or a checkpoint was written, in local time; None where the clock of the disk is of no use."""
    import datetime

    from textgen.store.manifest import MANIFEST

    try:
        return datetime.datetime.fromtimestamp((directory / MANIFEST).stat().st_mtime).isoformat(" ", "minutes")
    except (OSError, OverflowError, ValueError):
        return None


def _lines(rows: list[dict[str, Any]]) -> list[str]:
    """The list, in columns that are as wide as what stands in them."""
    from rich.cells import cell_len

    from textgen.messages import shown

    sound = [_cells(row) for row in rows if "problem" not in row]
    names = max((cell_len(shown(row["name"])) for row in rows), default=0)
    widths = [max(map(cell_len, column)) for column in zip(*sound, strict=True)]
    lines = []
    for row in rows:
        cells, sizes = ([shown(row["name"])], [names]) if "problem" in row else (_cells(row), [names, *widths[1:]])
        cells = [cell + " " * (width - cell_len(cell)) for cell, width in zip(cells, sizes, strict=True)]
        notes = [f"damaged: {shown(row['problem'])}"] if "problem" in row else []
        if not row.get("finished", True):
            how = "being trained, now" if row["running"] else "stopped"
            notes.append(f"{how} at step {row['steps']:,} of {row['total_steps']:,}")
        notes += ["comes with textgen"] if row["shipped"] else []
        lines.append("  ".join([*cells, *notes[:1], *(f" {note}" for note in notes[1:])]).rstrip())
    return lines


def _cells(row: dict[str, Any]) -> list[str]:
    from textgen.messages import shown

    bits, cell = row["validation_bits_per_character"], row["cell"]
    return [
        shown(row["name"]),
        {"char": "characters", "word": "words"}[row["level"]],
        f"{row['num_layers']} x {row['units']} {cell}, {_short(row['parameters'])}",
        "" if bits is None else f"{bits:.3f} bits/char",
        "" if row["shipped"] else row["made"] or "",
        shown(row["corpus"], 40),
    ]


def _short(number: int) -> str:
    """`11.5M`, `238k`, `900`."""
    if number >= 1_000_000:
        return f"{number / 1e6:,.1f}M"
    return f"{number / 1000:.0f}k" if number >= 1000 else str(number)
