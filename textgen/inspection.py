"""A corpus before it is trained on: what it is made of, what is odd about it, and which command would suit it.

What goes in: a corpus reader. What comes out: facts at both levels, and a recommendation with its expected time on this
machine. Nothing is written, and TensorFlow is not imported: the time is reckoned from a moment of NumPy.
"""

import dataclasses
import math
from collections.abc import Callable

from textgen.config import END_OF_DOCUMENT, TrainingConfig
from textgen.corpus import CorpusFacts, CorpusReader
from textgen.corpus.describing import Describer, PartFacts, Parts
from textgen.errors import TokenizerError
from textgen.sizing import PRESETS, Choice, recurrent_rate, suit, tokens_per_second, up_to
from textgen.tokenizers.normalizing import normalize_blocks
from textgen.tokenizers.word_fitting import DEFAULT_VOCABULARY_SIZE, WordFitter

WORDS_FROM_CHARACTERS = 200_000  # from there on a model of words was the better one (`tests/benchmarks/quality.md`) ...
WORDS_FROM_COVERAGE = 0.85  # ... where few words would be spelled
PRESETS_BY_TOKENS = ((300_000, "small"), (math.inf, "medium"))  # up to so many tokens, so large a model to reckon with
EPOCHS = ((300_000, 12.0), (3_000_000, 8.0), (30_000_000, 3.0), (math.inf, 1.0))  # passes that still pay
MINUTES = (1, 60)  # a recommendation asks for no less and no more


@dataclasses.dataclass(frozen=True)
class Recommendation:
    """A command for a corpus, and what it would do here."""

    level: str
    preset: str  # the size that training would choose
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
    recommendation: Recommendation


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
    describer, documents, words = Describer(), Parts(END_OF_DOCUMENT), WordFitter()
    for block in normalize_blocks(reader.blocks(progress), reader.config.normalize):
        describer.add(block)
        words.add(block)
        if reader.config.has_documents:
            documents.add(block)
    facts, different_words = describer.facts(), words.num_pieces - words.num_symbols
    covered = words.share_covered(max(0, DEFAULT_VOCABULARY_SIZE - words.num_symbols))
    return Inspection(
        name=reader.name,
        encoding=reader.config.encoding,
        notes=reader.notes,
        characters=facts,
        documents=documents.finish() if reader.config.has_documents else None,
        different_words=different_words,
        words_covered=covered,
        recommendation=recommend(facts, covered, arguments, recurrent_rate()),
    )


def recommend(facts: CorpusFacts, words_covered: float, arguments: str, operations_per_second: float) -> Recommendation:
    """A level, a size and a time for a corpus, by rules of thumb.

    Args:
        words_covered: share of the words that a default vocabulary holds.
        operations_per_second: of this machine, see `sizing.recurrent_rate`.

    Raises:
        TokenizerError: the text holds a single symbol, from which nothing can be learned.
    """
    if facts.symbols < 2:
        raise TokenizerError("a text needs at least two different characters to learn from; found only one")
    is_prose = facts.words and facts.characters / facts.words < 12  # writing without spaces has no words to count
    suits_words = is_prose and facts.characters >= WORDS_FROM_CHARACTERS and words_covered >= WORDS_FROM_COVERAGE
    level = "word" if suits_words else "char"
    num_tokens = int(facts.words * 1.3) if suits_words else facts.characters  # punctuation and line ends are tokens too
    size = PRESETS[up_to(PRESETS_BY_TOKENS, num_tokens)]
    per_second = tokens_per_second(level, size, facts.symbols, operations_per_second)
    wanted = num_tokens * up_to(EPOCHS, num_tokens) / per_second / 60
    minutes = min(MINUTES[1], max(MINUTES[0], math.ceil(wanted)))
    suited = suit(
        level, num_tokens, facts.symbols, TrainingConfig(minutes=minutes), operations_per_second, Choice(given={})
    )
    flags = [*(["--level word"] if suits_words else []), f"--minutes {minutes}"]
    return Recommendation(
        level,
        suited.preset,
        minutes,
        suited.tokens / num_tokens,
        tokens_per_second(level, PRESETS[suited.preset], facts.symbols, operations_per_second),
        " ".join(filter(None, ["textgen train", arguments, *flags])),
    )
