"""`textgen copied`: what of a text stands in another, as in the text that a model learned from."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from textgen.cli.bars import progress_bar
from textgen.cli.options import json_option, models_dir_option
from textgen.streams import tell, write_line, write_lines

if TYPE_CHECKING:
    from textgen.evaluation.copied import Copied
    from textgen.generation.copied_runs import CopiedRun
    from textgen.store.copy_index import CopyIndex

MAX_BYTES = 16 * 2**20  # of FILE
MOST_SHOWN = 10
LONGEST_QUOTED = 200  # characters


@click.command()
@click.argument("model")
@click.argument("file")
@click.option("--corpus", help="Text to look in.  [default: the index of MODEL, made by train --copy-index]")
@click.option(
    "--min-length",
    type=click.IntRange(1, 2**31 - 1),
    default=20,
    show_default=True,
    help="Characters of the shortest run that counts.",
)
@models_dir_option
@json_option
def copied(model: str, file: str, corpus: str | None, min_length: int, models_dir: Path, as_json: bool) -> None:
    """Find passages of FILE that stand word for word in the text of MODEL, or in another.

    FILE is a text, or - for standard input. The command prints the share that is copied and the longest runs, each
    with its place in both texts. --corpus is anything that `train` takes, and is read as the corpus of MODEL was.
    """
    from textgen.corpus.sources import STDIN
    from textgen.errors import SettingError
    from textgen.evaluation.copied import find_copied, index_of
    from textgen.generation.max_copy import open_index
    from textgen.generation.prompts import read_prompt
    from textgen.messages import json_line
    from textgen.store.model_directory import load_model
    from textgen.tokenizers.normalizing import normalize_text

    if file == corpus == STDIN:
        raise SettingError("FILE and `corpus` cannot both be standard input. Give one of them as a file")
    stored = load_model(model, models_dir)
    text = read_prompt(None if file == STDIN else Path(file), MAX_BYTES, lambda note: tell(f"textgen: {note}"))
    text = normalize_text(text, stored.tokenizer.normalize)
    index, notes = (open_index(stored), ()) if corpus is None else index_of(corpus, stored)
    for note in notes:
        tell(f"textgen: {note}")
    with progress_bar("looking") as advance:
        found = find_copied(text, index, min_length, advance)
    if not as_json:
        write_lines(_lines(found, text, index, min_length))
        return
    facts = {"model": stored.name, "model_sha256": stored.sha256, "file": file, "corpus": corpus}
    figures = {"characters": found.characters, "copied": found.copied, "share": found.share}
    write_line(json_line(facts | {"min_length": min_length} | figures | {"runs": found.runs}))


def _lines(found: "Copied", text: str, index: "CopyIndex", min_length: int) -> Iterator[str]:
    yield f"characters       {found.characters:,}"
    yield f"copied           {found.copied:,} ({found.share:.1%}), in runs of at least {min_length:,}"
    yield f"longest run      {found.runs[0].end - found.runs[0].start if found.runs else 0:,}"
    for run in found.longest(MOST_SHOWN):
        yield from _shown(run, text, index)


def _shown(run: "CopiedRun", text: str, index: "CopyIndex") -> Iterator[str]:
    length = run.end - run.start
    lines = text.count("\n", 0, run.start) + 1, index.line_of(text[run.start : run.end].encode())
    quoted = " ".join(text[run.start : run.end][:LONGEST_QUOTED].split())
    yield ""
    yield f"{length:,} characters, in line {lines[0]:,} of the file and line {lines[1]:,} of the text:"
    yield f"  {quoted}{' ...' if length > LONGEST_QUOTED else ''}"
