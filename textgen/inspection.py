"""A corpus before it is trained on: what it is made of, what is odd about it, and which command would suit it.

Nothing is written, and TensorFlow is not imported: the expected time follows from a moment of NumPy.
"""

import dataclasses
import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

from textgen import pretrained
from textgen.adapting import MOST_PASSES
from textgen.config import END_OF_DOCUMENT, ModelConfig, TextConfig, TrainingConfig
from textgen.corpus import CorpusFacts, CorpusReader
from textgen.corpus.compression import uncompressed
from textgen.corpus.describing import Describer, PartFacts, Parts
from textgen.corpus.lines import LineKinds
from textgen.corpus.misfits import AUTO
from textgen.corpus.tables import TABLE_FORMATS
from textgen.dataset.batches import minimum_tokens
from textgen.dataset.jobs import Jobs
from textgen.dataset.shards import count, cut_shards
from textgen.errors import ModelError, TokenizerError
from textgen.recipe import (
    PRESETS,
    Asked,
    Facts,
    fill,
    recurrent_rate,
    size_of,
    suited_level,
    tokens_per_second,
    up_to,
)
from textgen.records import CorpusRecord
from textgen.sketch import Sketch, Sketcher, read_before
from textgen.store.model_directory import StoredModel
from textgen.tokenizers import Tokenizer
from textgen.tokenizers.normalizing import normalize_blocks
from textgen.tokenizers.text_blocks import regrouped
from textgen.tokenizers.word_fitting import Counted, WordFitter

# From so many characters on a model of words was the better one (`tests/benchmarks/quality.md`) ...
WORDS_FROM_CHARACTERS = 200_000
WORDS_FROM_COVERAGE = 0.85  # ... where few words would be spelled
WORDS_FROM_COVERAGE_TAUGHT = 0.6  # the same for a model that has read other texts, and so knows how words go together
TOO_SMALL = 1_000  # characters; a model of less repeats it and nothing else
EXPECTED_SIZE = ((300_000, "small"), (math.inf, "medium"))  # up to so many tokens, the size that minutes are meant for
EPOCHS = ((300_000, 12.0), (3_000_000, 8.0), (30_000_000, 3.0), (math.inf, 1.0))  # passes that still pay
FEWEST_MINUTES, MOST_MINUTES = 1, 60
NOTHING = "--init-from none"  # what `train` begins with where the pretrained model is missing


class Begins(NamedTuple):
    """The pretrained model that training would begin with."""

    name: str
    level: str
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
    is_list: bool  # whether the lines are short and different, each for itself
    # Of a word model as `train` would make it here; None where no words stand between spaces.
    different_words: int | None  # pieces of two characters or more
    words_held: int | None  # how many of them its vocabulary holds: those that occur once are spelled
    words_covered: float | None  # and their share of all words in the text
    recommendation: Advice | None  # None where the text is too small to learn from


def inspect_corpus(
    reader: CorpusReader,
    *,
    arguments: str,
    progress: Callable[[int, int], None] = lambda done, total: None,
    jobs: int | None = None,
) -> Inspection:
    """Read the corpus once, and say what it is.

    Args:
        arguments: how the corpus is named on a command line, with its flags, for the recommended command.
        progress: called with bytes done and bytes to do.
        jobs: processes that count the words of a large text; None is as many as there are cores.

    Raises:
        CorpusError: it cannot be read, or holds nothing.
        TokenizerError: the text holds a single symbol, from which nothing can be learned.
    """
    describer, documents, words, sketcher = Describer(), Parts(END_OF_DOCUMENT), WordFitter(), Sketcher()
    kinds = LineKinds()

    def described() -> Iterator[str]:
        # A block costs as much as a thousand characters or more, and files may be as small as they like.
        for block in regrouped(normalize_blocks(reader.blocks(progress), reader.config.normalize)):
            describer.add(block)
            words.add_symbols(block)
            sketcher.add(block)
            kinds.add(block)
            if reader.config.has_documents:
                documents.add(block)
            yield block

    with Jobs(jobs, reader.num_bytes(), "word") as processes:
        for arrays in processes.in_order(count, cut_shards(described(), "word")):
            words.merge(Counted(**arrays))
    facts, notes = describer.facts(), (*reader.left_out, *reader.notes)
    is_list = kinds.is_list(facts.duplicate_lines) and not _is_table(reader)
    begins: Begins | None = None
    base: Tokenizer | None = None
    is_missing = False
    if facts.characters >= TOO_SMALL:
        try:
            begins, base = _begins(pretrained.load(), reader, sketcher.finish())
        except ModelError as problem:
            notes, is_missing = (*notes, str(problem)), True
    parts = documents.finish() if reader.config.has_documents else None
    held, covered = _coverage(words, reader.config, base)
    return Inspection(
        name=reader.name,
        encoding=", ".join(dict.fromkeys(name for name in reader.encodings if name != AUTO)),
        notes=notes,
        characters=facts,
        documents=parts,
        is_list=is_list,
        different_words=words.num_pieces - words.num_symbols if facts.has_words else None,
        words_held=held if facts.has_words else None,
        words_covered=covered if facts.has_words else None,
        recommendation=advise(
            facts,
            covered,
            f"{arguments} {NOTHING}".lstrip() if is_missing else arguments,
            recurrent_rate(),
            begins,
            is_list=is_list,
            longest_document=None if parts is None else parts.longest if parts.count > 1 else 0,
            is_word_by_default=suited_level(reader.sources) == "word",
        ),
    )


def _is_table(reader: CorpusReader) -> bool:
    """Whether it is a table that is read as it stands, for want of a column."""
    endings = tuple(f".{name}" for name in TABLE_FORMATS)
    return reader.config.column is None and any(
        uncompressed(source.lower()).endswith(endings) for source in reader.sources
    )


def _begins(model: StoredModel, reader: CorpusReader, sketch: Sketch) -> tuple[Begins | None, Tokenizer | None]:
    """The pretrained model, if it reads the text well, and its tokenizer. Raises ModelError: its sketch is damaged."""
    if reader.config.normalize != model.record.text.normalize:
        return None, None  # a run has the normal form of the model that it begins with
    reading = pretrained.read(model, reader)
    if not reading.suits:
        return None, None
    share = read_before(model.record.corpus, CorpusRecord(sketch=sketch.to_text()))
    begins = Begins(model.name, model.record.text.level, model.record.model.units, reading.bits, reading.share, share)
    return begins, model.tokenizer if begins.level == "word" else None


def _coverage(words: WordFitter, config: TextConfig, base: Tokenizer | None) -> tuple[int, float]:
    """How many words the vocabulary of a word model holds, made as `train` makes it, and their share of the text's."""
    tokenizer = words.finish(config.replace(level="word"), base)
    return len(tokenizer.words), words.share_of(tokenizer.words)


def advise(
    corpus: CorpusFacts,
    words_covered: float,
    arguments: str,
    operations_per_second: float,
    begins: Begins | None = None,
    *,
    is_list: bool = False,
    longest_document: int | None = None,
    is_word_by_default: bool = False,
) -> Advice | None:
    """A level, a size and a time for a corpus, by rules of thumb; None where it is too small to learn from.

    Args:
        words_covered: share of the text's words that a word model's vocabulary holds.
        arguments: how the corpus is named on a command line, with its flags.
        operations_per_second: of this machine, see `recurrent_rate`.
        begins: the pretrained model, where training would begin with it.
        is_list: whether the lines are short and different, each for itself. Characters make new ones; a model of words
            mostly repeats those that it has read, unless it has read other texts.
        longest_document: in characters, of several; 0 of a single one, which is learned from; None of one text.
        is_word_by_default: whether `train` would make a word model of it, with nothing to begin with.

    Raises:
        TokenizerError: the text holds a single symbol, from which nothing can be learned.
    """
    if corpus.symbols < 2:
        raise TokenizerError("a text needs at least two different characters to learn from; found only one")
    # Of what is learned from at least: the validation part is a tenth, or as much as the longest document.
    share = min(0.9, 1 - (longest_document or 0) / max(1, corpus.characters))
    least = minimum_tokens(1, TrainingConfig().sequence_length)
    if corpus.characters < TOO_SMALL or corpus.characters * share < least:
        return None
    default = "char" if begins is None else begins.level
    is_said = begins is None and (is_list or is_word_by_default)
    level = _level(corpus, words_covered, begins, is_list)
    if level == "word" and corpus.words * share < least:
        level = "char"
    if begins is not None and level != begins.level:
        begins = None
    num_tokens = int(corpus.words * 1.3) if level == "word" else corpus.characters  # punctuation and line ends, too
    facts = Facts(level, num_tokens, corpus.symbols, operations_per_second, begins and begins.share)
    size, passes = PRESETS[up_to(EXPECTED_SIZE, num_tokens)], up_to(EPOCHS, num_tokens)
    if begins is not None:
        size, passes = size_of(begins.units), min(passes, MOST_PASSES)
    wanted = num_tokens * passes / tokens_per_second(size, facts) / 60
    minutes = min(MOST_MINUTES, max(FEWEST_MINUTES, math.ceil(wanted)))
    shape = ModelConfig() if begins is None else ModelConfig(units=begins.units)
    recipe = fill(Asked(shape, TrainingConfig(minutes=minutes)), facts)
    flags = ["--documents line"] if is_list and longest_document is None else []
    flags += [f"--level {level}"] if is_said or level != default else []
    command = " ".join(filter(None, ["textgen train", arguments, *flags, f"--minutes {minutes}"]))
    return Advice(
        level=level,
        begins_with=begins and begins.name,
        bits_per_character=begins and begins.bits,
        read_before=begins and begins.read_before,
        preset=recipe.preset,
        minutes=minutes,
        epochs=min(recipe.tokens / num_tokens, MOST_PASSES if begins else math.inf),
        tokens_per_second=recipe.tokens_per_second,
        command=command,
    )


def _level(corpus: CorpusFacts, words_covered: float, begins: Begins | None, is_list: bool) -> str:
    if not corpus.has_words:
        return "char"
    if begins is not None and words_covered >= WORDS_FROM_COVERAGE_TAUGHT:
        return begins.level
    if is_list:
        return "char"
    is_prose = corpus.characters / corpus.words < 12
    is_long = corpus.characters >= WORDS_FROM_CHARACTERS and words_covered >= WORDS_FROM_COVERAGE
    return "word" if is_prose and is_long else "char"
