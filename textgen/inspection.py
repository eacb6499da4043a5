"""A corpus before it is trained on: what it is made of, what is odd about it, and which command would suit it.

Nothing is written, and TensorFlow is not imported: the expected time follows from a moment of NumPy.
"""

import dataclasses
import math
from collections.abc import Callable
from typing import NamedTuple

from textgen import pretrained
from textgen.config import END_OF_DOCUMENT, ModelConfig, TrainingConfig
from textgen.corpus import CorpusFacts, CorpusReader
from textgen.corpus.describing import Describer, PartFacts, Parts
from textgen.errors import ModelError, TokenizerError
from textgen.recipe import (
    ADAPTING_PASSES,
    PRESETS,
    Asked,
    Facts,
    fill,
    recurrent_rate,
    size_of,
    tokens_per_second,
    up_to,
)
from textgen.records import CorpusRecord
from textgen.sketch import Sketch, Sketcher, read_before
from textgen.store.model_directory import StoredModel
from textgen.tokenizers.normalizing import normalize_blocks
from textgen.tokenizers.word_fitting import DEFAULT_VOCABULARY_SIZE, WordFitter

# From so many characters on a model of words was the better one (`tests/benchmarks/quality.md`) ...
WORDS_FROM_CHARACTERS = 200_000
WORDS_FROM_COVERAGE = 0.85  # ... where few words would be spelled
EXPECTED_SIZE = ((300_000, "small"), (math.inf, "medium"))  # up to so many tokens, the size that minutes are meant for
EPOCHS = ((300_000, 12.0), (3_000_000, 8.0), (30_000_000, 3.0), (math.inf, 1.0))  # passes that still pay
FEWEST_MINUTES, MOST_MINUTES = 1, 60


class Begins(NamedTuple):
    """The pretrained model that training would begin with."""

    name: str
    units: int
    bits: float  # per character of the text, before a step
    share: float  # the same of the text's floor
    read_before: float | None = None  # share of the text that it has read, about; None is nothing of it


@dataclasses.dataclass(frozen=True)
class Advice:
    """A level and a time for a corpus, and what a run would do with them here."""

    level: str
    begins_with: str | None  # the pretrained model that training would begin with
    bits_per_character: float | None  # what that reads the text at before a step, which training gets below
    read_before: float | None  # share of the text that it has read, about, which makes that figure better than others
    preset: str  # the size that training would choose; of no use where it begins with a model
    minutes: int
    epochs: float  # in these minutes, about
    tokens_per_second: float  # about
    command: str


@dataclasses.dataclass(frozen=True)
class Inspection:
    """Everything that `textgen inspect` says."""

    name: str
    encoding: str
    notes: tuple[str, ...]
    characters: CorpusFacts
    documents: PartFacts | None  # None where the corpus is one text
    different_words: int  # pieces of a word model, of two characters or more
    words_covered: float  # share of all words in the text that a default word vocabulary holds
    recommendation: Advice


def inspect_corpus(
    reader: CorpusReader, *, arguments: str, progress: Callable[[int, int], None] = lambda done, total: None
) -> Inspection:
    """Read the corpus once, and say what it is.

    Args:
        arguments: how the corpus is named on a command line, with its flags, for the recommended command.
        progress: called with bytes done and bytes to do.

    Raises:
        CorpusError: it cannot be read, or holds nothing.
    """
    describer, documents, words, sketcher = Describer(), Parts(END_OF_DOCUMENT), WordFitter(), Sketcher()
    for block in normalize_blocks(reader.blocks(progress), reader.config.normalize):
        describer.add(block)
        words.add(block)
        sketcher.add(block)
        if reader.config.has_documents:
            documents.add(block)
    begins, notes = None, (*reader.left_out, *reader.notes)
    try:
        begins = _begins(pretrained.load(), reader, sketcher.finish())
    except ModelError as problem:
        notes = (*notes, str(problem))
    facts, different_words = describer.facts(), words.num_pieces - words.num_symbols
    covered = words.share_covered(max(0, DEFAULT_VOCABULARY_SIZE - words.num_symbols))
    return Inspection(
        name=reader.name,
        encoding=", ".join(dict.fromkeys(reader.encodings)),
        notes=notes,
        characters=facts,
        documents=documents.finish() if reader.config.has_documents else None,
        different_words=different_words,
        words_covered=covered,
        recommendation=advise(facts, covered, arguments, recurrent_rate(), begins),
    )


def _begins(model: StoredModel, reader: CorpusReader, sketch: Sketch) -> Begins | None:
    """The pretrained model, if it reads the text well. Raises ModelError where its sketch is damaged."""
    reading = pretrained.read(model, reader)
    if not reading.suits:
        return None
    share = read_before(model.record.corpus, CorpusRecord(sketch=sketch.to_text()))
    return Begins(model.name, model.record.model.units, reading.bits, reading.share, share)


def advise(
    corpus: CorpusFacts,
    words_covered: float,
    arguments: str,
    operations_per_second: float,
    begins: Begins | None = None,
) -> Advice:
    """A level, a size and a time for a corpus, by rules of thumb.

    Args:
        words_covered: share of the words that a default vocabulary holds.
        arguments: how the corpus is named on a command line, with its flags.
        operations_per_second: of this machine, see `recurrent_rate`.
        begins: the pretrained model, where training would begin with it.

    Raises:
        TokenizerError: the text holds a single symbol, from which nothing can be learned.
    """
    if corpus.symbols < 2:
        raise TokenizerError("a text needs at least two different characters to learn from; found only one")
    is_prose = corpus.words and corpus.characters / corpus.words < 12  # writing without spaces has no words to count
    is_long = corpus.characters >= WORDS_FROM_CHARACTERS and words_covered >= WORDS_FROM_COVERAGE
    level = "word" if begins or (is_prose and is_long) else "char"
    num_tokens = int(corpus.words * 1.3) if level == "word" else corpus.characters  # punctuation and line ends, too
    facts = Facts(level, num_tokens, corpus.symbols, operations_per_second, begins and begins.share)
    size, passes = PRESETS[up_to(EXPECTED_SIZE, num_tokens)], up_to(EPOCHS, num_tokens)
    if begins is not None:
        size, passes = size_of(begins.units), min(passes, ADAPTING_PASSES)
    wanted = num_tokens * passes / tokens_per_second(size, facts) / 60
    minutes = min(MOST_MINUTES, max(FEWEST_MINUTES, math.ceil(wanted)))
    shape = ModelConfig() if begins is None else ModelConfig(units=begins.units)
    recipe = fill(Asked(shape, TrainingConfig(minutes=minutes)), facts)
    flags = [*(["--level word"] if level == "word" and begins is None else []), f"--minutes {minutes}"]
    command = " ".join(filter(None, ["textgen train", arguments, *flags]))
    return Advice(
        level=level,
        begins_with=begins and begins.name,
        bits_per_character=begins and begins.bits,
        read_before=begins and begins.read_before,
        preset=recipe.preset,
        minutes=minutes,
        epochs=min(recipe.tokens / num_tokens, ADAPTING_PASSES if begins else math.inf),
        tokens_per_second=recipe.tokens_per_second,
        command=command,
    )
