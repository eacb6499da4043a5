"""Documents to 64-bit numbers: the same text has the same number in every process, on every machine.

What goes in: text in which each document has END_OF_DOCUMENT behind it. What comes out: a number per document. It is a
polynomial over mixed code points, modulo 2**64, mixed with the length in the end: one that NumPy works out for a
gigabyte of short lines in seconds, and that two different documents of a corpus share about as often as random numbers.
It is no protection against somebody who looks for two such documents.
"""

import numpy as np

from textgen.config import END_OF_DOCUMENT
from textgen.tokenizers.text_blocks import code_points

BASE = 0x9E3779B97F4A7C15  # odd, so that it has an inverse
MODULUS = 1 << 64
SLICE = 1 << 15  # characters that are hashed at once: arrays that stay in a core's cache
END = ord(END_OF_DOCUMENT)


class DocumentHasher:
    """Hashes a stream of documents, block by block, cut anywhere."""

    def __init__(self):
        self._powers = _powers(BASE)
        self._inverse_powers = _powers(pow(BASE, -1, MODULUS))
        self._open_hash = np.zeros(1, np.uint64)  # of the document that goes on, as far as it was seen
        self._open_length = 0

    def add(self, block: str) -> np.ndarray:
        """uint64: the hashes of the documents that end in `block`."""
        points = code_points(block)
        slices = [self._add(points[i : i + SLICE]) for i in range(0, len(points), SLICE)]
        return np.concatenate([np.zeros(0, np.uint64), *slices])

    def _add(self, points: np.ndarray) -> np.ndarray:
        ends = np.flatnonzero(points == END)
        starts = np.concatenate([[0], ends + 1])  # of every document, the last of which goes on
        lengths = np.append(ends, len(points)) - starts
        terms = _mixed(points + np.uint64(1)) * self._powers[: len(points)]
        terms[ends] = 0
        # reduceat sums from each start to the next; an empty document's sum is that of its end alone, 0.
        sums = np.add.reduceat(np.append(terms, np.uint64(0)), starts) * self._inverse_powers[starts]
        sums[:1] = self._open_hash + sums[:1] * np.uint64(pow(BASE, self._open_length, MODULUS))
        lengths[0] += self._open_length
        self._open_hash, self._open_length = sums[-1:], int(lengths[-1])
        return _mixed(sums[:-1] + _mixed(lengths[:-1].astype(np.uint64)))


def document_hash(text: str) -> int:
    """The number of one document; `text` is without END_OF_DOCUMENT."""
    return int(DocumentHasher().add(text + END_OF_DOCUMENT)[0])


def _powers(base: int) -> np.ndarray:
    """uint64 [SLICE + 1]: 1, base, base**2, ..., modulo 2**64."""
    factors = np.full(SLICE + 1, base, np.uint64)
    factors[0] = 1
    return np.multiply.accumulate(factors)


def _mixed(numbers: np.ndarray) -> np.ndarray:
    """uint64 to uint64, one to one. Source: the finaliser of SplitMix64 (Steele, Lea and Flood 2014)."""
    numbers = (numbers ^ (numbers >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    numbers = (numbers ^ (numbers >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return numbers ^ (numbers >> np.uint64(31))
