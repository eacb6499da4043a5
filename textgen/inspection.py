"""A corpus before it is trained on: what it is made of, what is odd about it, and which command would suit it.

Nothing is written, and TensorFlow is not imported: the expected time follows from a moment of NumPy.
"""

import dataclasses
from collections.abc import Callable

from textgen.config import END_OF_DOCUMENT
from textgen.corpus import CorpusFacts, CorpusReader
from textgen.corpus.describing import Describer, PartFacts, Parts
from textgen.recipe import Advice, advise, recurrent_rate
from textgen.tokenizers.normalizing import normalize_blocks
from textgen.tokenizers.word_fitting import DEFAULT_VOCABULARY_SIZE, WordFitter


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
        recommendation=advise(facts, covered, arguments, recurrent_rate()),
    )
