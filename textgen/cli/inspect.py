"""`textgen inspect`: what a corpus is made of, and which command would suit it."""

import shlex
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from textgen.cli.bars import progress_bar
from textgen.cli.options import given, jobs_option, json_option, options_of
from textgen.config import TextConfig
from textgen.messages import counted, json_line
from textgen.streams import write_line, write_lines

if TYPE_CHECKING:
    from textgen.inspection import Inspection


BY_HEART = 100  # passes
A_BEGINNING = 20_000  # characters


@click.command()
@click.argument("corpus", nargs=-1)
@options_of(TextConfig, skip=("level", "vocabulary_size"))
@jobs_option
@json_option
def inspect(corpus: tuple[str, ...], jobs: int | None, as_json: bool, **flags: Any) -> None:
    """Describe CORPUS, and recommend a command for it.

    The description has the symbols and words of the text, its odd places, and floors: the bits per character that
    counting alone comes to, which a model should get below. CORPUS is whatever `train` takes. Nothing is written.
    """
    import dataclasses

    from textgen.corpus import open_corpus
    from textgen.inspection import inspect_corpus

    config = TextConfig(**given(flags))
    arguments = shlex.join([*map(_named, corpus), *_typed(given(flags))])
    with progress_bar("reading") as progress:
        found = inspect_corpus(open_corpus(corpus, config), arguments=arguments, progress=progress, jobs=jobs)
    if as_json:
        write_line(json_line(dataclasses.asdict(found)))
    else:
        write_lines(_lines(found))


def _named(source: str) -> str:
    """A file or folder as it can be typed: a name such as `-x.txt` is taken for flags."""
    return f"./{source}" if source.startswith("-") and source != "-" else source


def _typed(flags: dict[str, Any]) -> list[str]:
    """The flags as they would be typed again."""
    from textgen.schema import flag_of

    values = {name: value if isinstance(value, tuple) else (value,) for name, value in flags.items()}
    return [part for name, several in values.items() for value in several for part in (flag_of(name), str(value))]


def _lines(found: "Inspection") -> Iterator[str]:
    facts, advice = found.characters, found.recommendation
    yield f"corpus        {found.name}, {found.encoding}"
    for note in found.notes:
        yield f"note          {note}"
    ends = "" if found.documents is None else "; the end of a document counts as a line end"
    yield f"characters    {facts.characters:,}, of {facts.symbols:,} different symbols{ends}"
    if found.words_covered is not None:
        yield f"words         {facts.words:,} between white space, {found.different_words:,} different pieces;"
        once = "" if advice and advice.begins_with else "; those that occur once are spelled"
        held = f"a word model holds {found.words_held:,}, {found.words_covered:.1%} of the text's words"
        yield f"              {held}{once}"
    longest = f"the longest is line {facts.longest_line_number:,} with {facts.longest_line:,} characters"
    yield f"lines         {facts.lines:,}, {facts.duplicate_lines:,} of them stand earlier too; {longest}"
    if found.documents is not None:
        parts = found.documents
        longest = f"the longest is number {parts.longest_number:,} with {parts.longest:,} characters"
        yield f"documents     {parts.count:,}, {parts.duplicates:,} of them stand earlier too; {longest}"
    yield f"floors        {facts.unigram_bits:.3f} bits per character by frequency alone,"
    yield f"              {facts.bigram_bits:.3f} by the character before"
    yield f"frequent      {', '.join(f'{s!r} {n / facts.characters:.1%}' for s, n in facts.most_common)}"
    for index, rare in enumerate(facts.rarest):
        label = "rare" if index == 0 else ""
        times = "once" if rare.count == 1 else f"{rare.count:,} times, first"
        yield f"{label:<13} {rare.symbol!r} {_name(rare.symbol)}: {times} at line {rare.line:,}, column {rare.column:,}"
    if found.is_list:
        kind = "characters" if advice is None or advice.begins_with is None else "words"
        yield f"list          the lines are short and different; a model of {kind} and documents writes new ones"
    if advice is None:
        yield from _too_little(found)
        return
    if advice.begins_with is not None:
        reads = f"reads this text at {advice.bits_per_character:.2f} bits per character; training gets below that"
        yield f"begins        with {advice.begins_with}, which {reads}"
        if advice.read_before is not None:
            yield f"              ({advice.begins_with} has read about {advice.read_before:.0%} of this text before)"
    yield f"try           {advice.command}"
    if advice.begins_with is None and facts.characters < A_BEGINNING:  # however fast this machine is at the moment
        yield "              The text is too small to learn from: it would be learned by heart."
        yield f"              It has {counted(facts.characters, 'character')}; some {A_BEGINNING:,} are a beginning"
        return
    speed = f"{advice.tokens_per_second:,.0f} {'words' if advice.level == 'word' else 'characters'} per second"
    passes = f"{advice.epochs:.1f} passes"
    if advice.epochs > BY_HEART:
        passes = f"more than {BY_HEART} passes, in which a text is learned by heart,"
    plan = f"about {counted(advice.minutes, 'minute')} here: {passes} at about {speed}"
    size = "" if advice.begins_with else f"a {advice.preset} model, "
    yield f"              {size}{plan}"


def _too_little(found: "Inspection") -> Iterator[str]:
    parts, characters = found.documents, found.characters.characters
    if parts is not None and parts.count > 1 and characters >= A_BEGINNING:
        yield f"try           more documents: number {parts.longest_number:,} is nearly all of the text;"
        yield "              if that is drawn to validate on, too little is left to learn from"
        return
    yield f"try           more text: {counted(characters, 'character')} are too few to learn from;"
    yield f"              some {A_BEGINNING:,} are a beginning"


def _name(symbol: str) -> str:
    import unicodedata

    return f"U+{ord(symbol):04X} {unicodedata.name(symbol, '')}".rstrip()
