"""`textgen gates`: what the layers of a model do while they read a text."""

import shutil
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from textgen.cli.options import TEXT, models_dir_option, on_unknown_option
from textgen.cli.pages import html_option, write_page
from textgen.messages import visible
from textgen.streams import tell, write_lines

if TYPE_CHECKING:
    from textgen.evaluation.gates import Layer, Reading

LEVELS = "▁▂▃▄▅▆▇█"
MOST_LINES = 6  # of text in the terminal
LABEL = 10  # columns before the text


@click.command()
@click.argument("model")
@click.option("--text", type=TEXT, default=None, help="Text to read.")
@click.option("-f", "--file", default=None, help="Read the text from this file; - is standard input.")
@on_unknown_option
@html_option("heat maps of all parts, and the text in the colours of each unit,")
@models_dir_option
def gates(model: str, text: str | None, file: str | None, on_unknown: str, html: str | None, models_dir: Path) -> None:
    """Show what the gates and memory cells of MODEL do while it reads a text.

    The terminal shows the mean of each layer's gates below the text, and how far its candidates and memory cells are
    from 0. The page of --html shows each unit. Of a GRU and a plain RNN, their own parts are shown.

    A unit gets a name where it follows the position in the line, quotes, brackets, indentation or the length of a word.
    Such units are found in one half of the text and confirmed on the other half, against untrained models of the same
    shape. That takes a text of a thousand tokens or more.
    """
    from textgen.errors import SettingError
    from textgen.evaluation.gates import LEGEND, first_tokens, read_gates
    from textgen.evaluation.reading import FileText
    from textgen.evaluation.texts import readable_blocks
    from textgen.generation.numpy_engine import NumpyEngine
    from textgen.pages.gates import gates_page, notes_on
    from textgen.store.model_directory import load_model
    from textgen.tokenizers.unknown import describe_replacements

    if (text is None) == (file is None):
        raise SettingError("give either --text or --file")
    stored = load_model(model, models_dir)
    blocks = [text] if text is not None else FileText(file or "", stored).blocks()
    known = readable_blocks(
        blocks, stored.tokenizer, lambda replaced: tell(f"textgen: {describe_replacements(replaced)}"), on_unknown
    )
    token_ids = first_tokens(known, stored.tokenizer)
    reading = read_gates(NumpyEngine(stored.record.model, stored.weights), stored.tokenizer, token_ids)
    if html is None:
        write_lines([*textwrap.wrap(LEGEND[reading.cell], _columns()), ""])
        write_lines(_strips(reading))
    else:
        for note in notes_on(reading):
            tell(f"textgen: {note}")
        write_page(html, gates_page(reading, stored.name))
    write_lines(_found(reading))


def _found(reading: "Reading") -> Iterator[str]:
    """The units that have a name, a line each."""
    from textgen.evaluation.gates import too_short

    yield "units with a name" + ("" if reading.found else f": {too_short(reading)}")
    for prop in reading.found:
        if not prop.units:
            yield f"  {prop.name:<22}none found{f': {prop.reason}' if prop.reason else ''}"
        for unit in prop.units:
            where = f"layer {unit.layer + 1}, unit {unit.unit}"
            yield f"  {prop.name:<22}{where:<19} score {unit.score:.2f}, untrained {unit.untrained:.2f}"


def _strips(reading: "Reading") -> Iterator[str]:
    """Lines of text, and below each a strip for each part of each layer."""
    lines = _wrapped(reading.pieces)
    for tokens in lines[:MOST_LINES]:
        shown = [_one_line(reading.pieces[token]) for token in tokens]
        yield " " * LABEL + "".join(shown)
        for number, layer in enumerate(reading.layers, start=1):
            yield f"layer {number}"
            for name in layer.parts:
                bars = _bars(layer, name)
                yield f"{name:<{LABEL}}" + "".join(bars[t] * len(text) for t, text in zip(tokens, shown, strict=True))
        yield ""
    if left := reading.num_tokens - sum(map(len, lines[:MOST_LINES])):
        yield f"and {left:,} tokens more; --html FILE shows them and each unit"
        yield ""


def _bars(layer: "Layer", name: str) -> list[str]:
    """The mean over all units after each token, as a bar: of a gate as it is, of another part without its sign."""
    means = abs(layer.parts[name]).mean(axis=1)
    return [LEVELS[min(len(LEVELS) - 1, int(mean * len(LEVELS)))] for mean in means.tolist()]


def _columns() -> int:
    return shutil.get_terminal_size().columns - 1


def _one_line(piece: str) -> str:
    return visible(piece or "∎").replace("\n", "↵").replace("\t", "→")


def _wrapped(pieces: "tuple[str, ...]") -> list[list[int]]:
    """The tokens of each line of the terminal; a line end in the text ends one too."""
    width = max(20, _columns() - LABEL)
    lines: list[list[int]] = [[]]
    used = 0
    for token, piece in enumerate(pieces):
        length = len(_one_line(piece))
        if lines[-1] and used + length > width:
            lines.append([])
            used = 0
        lines[-1].append(token)
        used += length
        if "\n" in piece or not piece:
            used = width
    return lines
