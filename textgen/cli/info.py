"""`textgen info`: what a model is and how it was made."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from textgen.cli.options import json_option, models_dir_option
from textgen.streams import write_line, write_lines

if TYPE_CHECKING:
    from textgen.store.model_directory import StoredModel

LONGEST_NOTICE = 2000  # characters


@click.command()
@click.argument("model")
@models_dir_option
@json_option
def info(model: str, models_dir: Path, as_json: bool) -> None:
    """Show the settings, the corpus and the results of MODEL.

    Its files are checked first. A published model ends with its licence and the works that it learned from.
    """
    from textgen.messages import json_line, shown
    from textgen.sketch import SHINGLE_WORDS, Sketch
    from textgen.store.model_directory import WEIGHTS, load_model
    from textgen.store.tensors import storage_of

    stored = load_model(model, models_dir)
    storage, num_bytes = storage_of(stored.path / WEIGHTS)
    document: dict[str, Any] = {
        "name": stored.name,
        "path": str(stored.path),
        "sha256": stored.sha256,
        **({"storage": storage, "weights_bytes": num_bytes} if as_json else {"weights": _weights(storage, num_bytes)}),
        "finished": stored.is_finished,
        **_copy_index(stored, as_json),
        **stored.record.to_json(),
    }
    sketch = document["corpus"].pop("sketch")  # too long to be looked at
    if as_json:
        write_line(json_line(document))
        return
    notice = stored.record.notice
    if sketch:
        num_hashes = len(Sketch.from_text(sketch).hashes)
        document["corpus"]["sketch"] = f"{num_hashes:,} hashes of {SHINGLE_WORDS} words each"
    for key, value in document.items():
        if key == "notice":
            continue
        if not isinstance(value, dict):
            write_line(f"{key:<30} {shown(value)}")
            continue
        write_lines(["", key])
        for name, item in value.items():
            write_line(f"  {shown(name):<28} {_shown(item)}")
    if notice:
        write_lines(
            ["", "notice", f"  {'licence':<28} {shown(notice.licence)}", f"  {shown(notice.text, LONGEST_NOTICE)}"]
        )
        write_lines(["", "works", *(f"  {shown(work)}" for work in notice.works)])


def _copy_index(stored: "StoredModel", as_json: bool) -> dict[str, Any]:
    """The size of the index of the text, and that it holds the text; nothing where there is none."""
    from textgen.store.model_directory import COPY_INDEX

    if not stored.copy_index:
        return {}
    num_bytes = (stored.path / COPY_INDEX).stat().st_size
    said = f"{num_bytes:,} bytes; whoever gets the model can read its whole text in {COPY_INDEX}"
    return {"copy_index_bytes": num_bytes} if as_json else {"copy_index": said}


def _weights(storage: str, num_bytes: int) -> str:
    """`int8 with a scale a row, 11.9 MB`."""
    size = f"{num_bytes / 1e6:,.1f} MB" if num_bytes >= 1e6 else f"{num_bytes:,} bytes"
    return f"{storage}{' with a scale a row' if storage == 'int8' else ''}, {size}"


def _shown(item: Any) -> str:
    """A value as people read it: lists on one line, whole numbers with commas, `-` for nothing."""
    from textgen.messages import shown

    if isinstance(item, list):
        return ", ".join(map(shown, item)) or "-"
    if isinstance(item, bool):
        return "yes" if item else "no"
    return "-" if item is None else f"{item:,}" if isinstance(item, int) else shown(item)
