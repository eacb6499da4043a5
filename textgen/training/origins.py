"""Does a model write documents of its own, or repeat those that it learned from?

What goes in: a generator and the hashes of the corpus's documents. What comes out: how many of some documents that the
model writes are new, how many are in the training part, and how many in the validation part, which it never saw.
"""

from typing import NamedTuple

import numpy as np

from textgen.config import SamplingConfig
from textgen.generation.generator import Generator
from textgen.preparation import Prepared, document_hash

NUM_SAMPLES = 100
# Documents that are longer are passed over: whoever writes that much of its own has not copied it.
LONGEST = SamplingConfig(length=300, temperature=1.0, seed=1)


class Origins(NamedTuple):
    """Where documents that a model wrote are found; the names are those of `ResultRecord`."""

    samples_new: int = 0
    samples_in_training: int = 0
    samples_in_validation: int = 0


def count_origins(generator: Generator, prepared: Prepared) -> Origins:
    """Let the model write NUM_SAMPLES documents at temperature 1, and look each one up that ends in time.

    One that ends before it has begun is no document.
    """
    completions = generator.generate("", LONGEST, NUM_SAMPLES)
    ended = [c.completion for c in completions if c.finish_reason == "document" and c.completion]
    hashes = np.array([document_hash(text) for text in ended], np.uint64)
    in_training = contains(prepared.train_documents, hashes)
    in_validation = contains(prepared.validation_documents, hashes) & ~in_training
    return Origins(
        samples_new=int((~in_training & ~in_validation).sum()),
        samples_in_training=int(in_training.sum()),
        samples_in_validation=int(in_validation.sum()),
    )


def contains(ascending: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Which of `wanted` [M] are in `ascending` [N], uint64 both; bool [M]."""
    if not len(ascending):
        return np.zeros(len(wanted), bool)
    places = np.minimum(np.searchsorted(ascending, wanted), len(ascending) - 1)
    return ascending[places] == wanted
