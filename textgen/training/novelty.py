"""Does a model write texts of its own, or does it repeat those that it learned from?

Some texts that it writes are searched for the longest run of characters that stands in the training part. This decodes
the ids once: 100 MB of characters take some 5 s.

Of a model of documents, some documents that it writes are looked up among the token ids of the corpus, training and
validation part. The ids of a document are the same wherever it stands, so this is an exact search. It reads the mapped
files once, block by block. Measured on one core: 2.3 s for 100 MB of documents of 5 characters, 0.4 s for documents of
40.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from textgen.config import END_OF_DOCUMENT, SamplingConfig
from textgen.dataset import Prepared
from textgen.evaluation.reading import text_of_ids
from textgen.generation.copies import longest_run
from textgen.generation.generator import Generator

NUM_SAMPLES = 100
# A document that does not end within the length is passed over: nobody copies that much by accident.
LONGEST = SamplingConfig(length=300, temperature=1.0, seed=1)
READ_AT_ONCE = 1 << 22  # ids
# About 2,000 characters in all. Ends of documents are passed over, because names alone are too short to tell.
NUM_SEARCHED = 5
SEARCHED = {
    "char": SamplingConfig(length=400, temperature=0.8, seed=1, ignore_eod=True),
    "word": SamplingConfig(length=80, temperature=0.8, seed=1, ignore_eod=True),
}
QUOTED = 200  # characters


class Origins(NamedTuple):
    """Where documents that a model wrote are found; the names are those of `ResultRecord`."""

    samples_new: int = 0
    samples_in_training: int = 0
    samples_in_validation: int = 0


class Copy(NamedTuple):
    """The longest run of characters that a model copied; the names are those of `ResultRecord`."""

    longest_copy: int | None = None
    longest_copy_text: str = ""
    longest_copy_among: int = 0


def find_longest_copy(generator: Generator, prepared: Prepared) -> Copy:
    """Let the model write NUM_SEARCHED texts, and search them for what stands in the training part."""
    tokenizer = prepared.tokenizer
    written = [c.completion for c in generator.generate("", SEARCHED[tokenizer.level], NUM_SEARCHED)]
    run = longest_run(written, text_of_ids(prepared.train_ids, tokenizer))
    copied = written[run.number][run.start : run.start + run.length]
    return Copy(run.length, copied[:QUOTED], sum(map(len, written)))


def count_origins(generator: Generator, prepared: Prepared) -> Origins:
    """Let the model write NUM_SAMPLES documents at temperature 1, and look each one up that ends in time.

    One that ends before it has begun is no document.
    """
    completions = generator.generate("", LONGEST, NUM_SAMPLES)
    ended = [c.completion for c in completions if c.finish_reason == "document" and c.completion]
    documents = [prepared.tokenizer.encode(text + END_OF_DOCUMENT) for text in ended]
    in_training = contained(documents, prepared.train_ids)
    in_validation = contained(documents, prepared.validation_ids) & ~in_training
    return Origins(
        samples_new=int((~in_training & ~in_validation).sum()),
        samples_in_training=int(in_training.sum()),
        samples_in_validation=int(in_validation.sum()),
    )


def contained(documents: Sequence[np.ndarray], token_ids: np.ndarray) -> np.ndarray:
    """Which of the documents stand among `token_ids`, bool [len(documents)].

    Args:
        documents: ids of each, ending with the id of `<eod>`.
        token_ids: unsigned [N], whole documents, each ending with that id.
    """
    found = np.zeros(len(documents), bool)
    token_ids = np.asarray(token_ids)  # indexing a np.memmap makes another one, which takes longer
    start = 0  # of the first document that ends in the block
    for place in range(0, len(token_ids) if documents else 0, READ_AT_ONCE):
        ends = place + 1 + np.flatnonzero(token_ids[place : place + READ_AT_ONCE] == documents[0][-1])
        lengths = np.diff(ends, prepend=start)
        for number in np.flatnonzero(~found).tolist():
            alike = ends[lengths == len(documents[number])] - len(documents[number])
            for offset, token_id in enumerate(documents[number].tolist()):
                if len(alike) == 0:
                    break
                alike = alike[token_ids[alike + offset] == token_id]
            found[number] = len(alike) > 0
        start = ends[-1] if len(ends) else start
    return found
