"""`textgen score`: how surprising each symbol or word of a text is to a model."""

from collections.abc import Iterable, Iterator
from itertools import groupby, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from textgen.cli.bars import progress_bar
from textgen.cli.colours import STRONGEST, behind, color_option, is_wanted
from textgen.cli.options import given, json_option, models_dir_option, on_unknown_option, options_of
from textgen.cli.pages import html_option, write_page
from textgen.config import MODEL_ONLY, TextConfig
from textgen.messages import json_line
from textgen.streams import tell, text_writer, write_lines, write_painted

if TYPE_CHECKING:
    from textgen.evaluation.surprisal import Place, ScoredText

LONGEST = 40  # characters of a place in the list
AT_ONCE = 1000  # units of a document that are written together


@click.command()
@click.argument("model")
@click.argument("file")
@options_of(TextConfig, skip=MODEL_ONLY, default="as the corpus was")
@on_unknown_option
@color_option
@html_option("the text with its figures")
@models_dir_option
@json_option
def score(
    model: str,
    file: str,
    on_unknown: str,
    color: str,
    html: str | None,
    models_dir: Path,
    as_json: bool,
    **reading: Any,
) -> None:
    """Show how surprising each symbol or word of FILE is to MODEL.

    FILE may be anything that `train` takes; - is standard input. It is read as `evaluate` reads it, and the bits of all
    symbols or words are those of `evaluate`. A word that MODEL spells has the bits of all its pieces.

    Each line of the text stands behind its bits. The stronger the colour behind a symbol or word, the more surprising
    it is. The most surprising places follow. With --html, the text is in the page alone; with --json, it is printed as
    one document with a list of all symbols or words.
    """
    from textgen.evaluation.reading import FileText
    from textgen.evaluation.surprisal import ScoredText, score_tokens
    from textgen.evaluation.texts import readable_blocks, tokenize
    from textgen.generation.numpy_engine import NumpyEngine
    from textgen.store.model_directory import load_model
    from textgen.tokenizers.unknown import describe_replacements

    def name_unknown(replaced: dict[str, str]) -> None:
        tell(f"textgen: {describe_replacements(replaced)}")

    stored = load_model(model, models_dir)
    text = FileText(file, stored, given(reading))
    tokens = tokenize(readable_blocks(text.blocks(), stored.tokenizer, name_unknown, on_unknown), stored.tokenizer)
    for note in text.notes:
        tell(f"textgen: {note}")
    if (share := text.read_before()) is not None:
        tell(f"textgen: {stored.name} has read about {share:.0%} of this text before, so it is surprised less")
    with progress_bar("scoring") as advance:
        scores = score_tokens(tokens.token_ids, NumpyEngine(stored.record.model, stored.weights), advance)
    scored = ScoredText(tokens, stored.tokenizer, scores)
    if html is not None:
        from textgen.pages.score import score_page

        write_page(html, score_page(scored, stored.name, file))
    if as_json:
        facts: dict[str, object] = {"model": stored.name, "model_sha256": stored.sha256, "file": file}
        facts["read_before"] = share
        write = text_writer()
        for piece in _as_json(scored, facts):
            write(piece)
        return
    has_colours = is_wanted(color)
    if html is None:
        write_painted(_painted_lines(scored, has_colours))
    write_lines(_summary(scored))
    if has_colours and html is None:
        write_painted(_legend(stored.tokenizer.level))


def _painted_lines(scored: "ScoredText", has_colours: bool) -> Iterator[tuple[str, str]]:
    """Every line behind its bits, in runs of one colour."""
    bits = scored.line_bits().tolist()
    for line, places in groupby(scored.places(), key=lambda place: place.line):
        yield f"{bits[line - 1]:8.1f}  ", ""
        for text, colour in painted(places, scored.tokenizer.level if has_colours else None):
            yield text.replace("\n", ""), colour
        yield "\n", ""


def painted(places: "Iterable[Place]", level: str | None) -> Iterator[tuple[str, str]]:
    """The text of units in runs of one colour; without a level, of none."""
    strongest = STRONGEST.get(level or "", 0)
    for colour, run in groupby(places, key=lambda place: behind(place.bits / strongest) if strongest else ""):
        yield "".join([place.text for place in run]), colour


def _legend(level: str) -> Iterator[tuple[str, str]]:
    strongest = STRONGEST[level]
    yield f"{'colours':<16}", ""
    for bits in range(0, strongest + 1, strongest // 8 * 2):
        yield f" {bits}{'+' if bits == strongest else ''} ", behind(bits / strongest)
    yield " bits\n", ""


def _summary(scored: "ScoredText") -> Iterator[str]:
    figures = scored.figures
    yield f"bits             {scored.total_bits:,.1f} in {scored.tokens.characters:,} characters"
    yield f"                 {figures.bits_per_character:.4f} bits per character"
    if figures.word_perplexity is not None:
        yield f"                 word perplexity {figures.word_perplexity:,.2f}"
    for index, place in enumerate(scored.most_surprising()):
        expected, share = scored.alternatives(place.start)[0]
        instead = f"{_quoted(expected)}, {share:.1%}, was expected"
        where = f"line {place.line:,}, column {place.column:,}"
        label = "most surprising" if index == 0 else ""
        yield f"{label:<16} {place.bits:6.1f} bits  {_quoted(place.text)} at {where}; {instead}"


def _quoted(text: str) -> str:
    return repr(text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…") if text else "the end of the document"


def _as_json(scored: "ScoredText", facts: dict[str, object]) -> Iterator[str]:
    """One JSON document in pieces: a long text's would not fit into the memory as a whole."""
    facts |= {"characters": scored.tokens.characters, "tokens": len(scored.token_ids), "bits": scored.total_bits}
    facts |= scored.figures._asdict() | {"line_bits": scored.line_bits().tolist()}
    yield json_line(facts)[:-1] + ', "units": ['
    places, before = scored.places(), ""
    while block := list(islice(places, AT_ONCE)):
        yield before + ", ".join(json_line(_unit(place, scored)) for place in block)
        before = ", "
    yield "]}\n"


def _unit(place: "Place", scored: "ScoredText") -> dict[str, object]:
    nats = scored.scores.nats[place.start : place.stop]
    document: dict[str, object] = {"text": place.text, "line": place.line, "column": place.column, "bits": place.bits}
    document |= {"rank": int(scored.scores.ranks[place.start]), "likeliest": scored.alternatives(place.start)}
    if place.stop - place.start > 1:
        document["nats_of_pieces"] = nats.tolist()
    return document
