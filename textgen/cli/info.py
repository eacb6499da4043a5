"""`textgen info`: what a model is and how it was made."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from textgen.cli.options import json_option, models_dir_option
from textgen.streams import write_line, write_lines

if TYPE_CHECKING:
    from textgen.store.model_directory import StoredModel

LONGEST_NOTICE = 2000  # characters
LEVELS = {"char": "characters", "word": "words"}
GROUPS = ("results", "corpus", "parent", "model", "training", "text", "versions")  # what matters first


@click.command()
@click.argument("model")
@models_dir_option
@json_option
def info(model: str, models_dir: Path, as_json: bool) -> None:
    """Show the settings, the corpus and the results of MODEL.

    What matters most stands first, in words. Its files are checked first. A published model ends with its licence and
    the works that it learned from.
    """
    from textgen.messages import json_line
    from textgen.store.model_directory import WEIGHTS, load_model
    from textgen.store.tensors import storage_of

    stored = load_model(model, models_dir)
    storage, num_bytes = storage_of(stored.path / WEIGHTS)
    if not as_json:
        write_lines(_lines(stored, _weights(storage, num_bytes)))
        return
    document: dict[str, Any] = {
        "name": stored.name,
        "path": str(stored.path),
        "sha256": stored.sha256,
        "storage": storage,
        "weights_bytes": num_bytes,
        "finished": stored.is_finished,
        **_copy_index(stored, as_json=True),
        **stored.record.to_json(),
    }
    del document["corpus"]["sketch"]  # too long to be looked at
    write_line(json_line(document))


def _lines(stored: "StoredModel", weights: str) -> Iterator[str]:
    from textgen.messages import shown
    from textgen.schema import readable
    from textgen.sketch import SHINGLE_WORDS, Sketch

    record = stored.record
    yield from _summary(stored)
    yield ""
    files = {"name": stored.name, "path": stored.path, "sha256": stored.sha256, "weights": weights}
    for key, value in (files | _copy_index(stored, as_json=False)).items():
        yield f"{key:<30} {shown(value)}"
    for group in GROUPS:
        part = getattr(record, group)
        if part is None:
            continue
        yield from ("", group)
        values = part if group == "versions" else readable(part)
        if group == "corpus" and part.sketch:
            num_hashes = len(Sketch.from_text(part.sketch).hashes)
            values |= {"sketch": f"{num_hashes:,} hashes of {SHINGLE_WORDS} words each"}
        for name, item in values.items():
            yield f"  {shown(name):<28} {shown(item)}".rstrip()
    if notice := record.notice:
        yield from (
            "",
            "notice",
            f"  {'licence':<28} {shown(notice.licence)}",
            f"  {shown(notice.text, LONGEST_NOTICE)}",
        )
        yield from ("", "works", *(f"  {shown(work)}" for work in notice.works))


def _summary(stored: "StoredModel") -> Iterator[str]:
    """What most people want to know."""
    from textgen.messages import clock, counted, in_words, shown
    from textgen.store import shipped
    from textgen.store.lock import is_running

    model, results, corpus, text = (getattr(stored.record, name) for name in ("model", "results", "corpus", "text"))
    origin = ", which comes with textgen" if shipped.is_shipped(stored.path) else ""
    state = ""
    if not stored.is_finished:
        how = "being trained and now" if is_running(stored.path.parent.parent) else "stopped"
        state = f", {how} at step {results.steps:,} of {results.total_steps:,}"
    yield f"{shown(stored.name)}, a model of {LEVELS[text.level]}{origin}{state}"
    if (bits := results.validation_bits_per_character) is not None:
        yield f"  {in_words(bits)}"
    documents = f" in {counted(corpus.documents, 'document')}" if corpus.documents else ""
    yield f"  learned from {shown(corpus.name)}: {counted(corpus.characters, 'character')}{documents}"
    if stored.record.parent:
        yield f"  began with {shown(stored.record.parent.name)}"
    yield f"  {results.epochs:.1f} passes over the text in {clock(results.seconds)}, {counted(results.steps, 'step')}"
    yield f"  {model.num_layers} x {model.units} {model.cell}, {results.parameters:,} parameters"


def _copy_index(stored: "StoredModel", *, as_json: bool) -> dict[str, Any]:
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
