"""One corpus to two parts: one to learn from, one that is only measured on.

A text is cut once, and the validation part is the end. An interleaved split would let the model see the text on both
sides of every validation passage, and its loss would read too low. Of documents, whole ones are drawn from a seed.
"""

import dataclasses
import math
from collections.abc import Iterator
from fractions import Fraction

import numpy as np

from textgen.errors import SettingError

DRAWN_AT_ONCE = 1 << 16
NUM_BINS = 1 << 16


@dataclasses.dataclass(frozen=True)
class Split:
    """How a corpus is split: the share of the validation part, and the seed that documents are drawn from."""

    val_fraction: float
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.val_fraction < 1:
            raise SettingError(f"`val_fraction` must be at least 0 and below 1. Received: {self.val_fraction}")
        if self.seed < 0:
            raise SettingError(f"`seed` must be at least 0. Received: {self.seed}")

    @property
    def _share(self) -> Fraction:
        """The decimal number that `val_fraction` prints as: in binary, 10 * (1 - 0.9) is a little less than 1."""
        return Fraction(repr(float(self.val_fraction)))

    def num_train_characters(self, characters: int) -> int:
        """Characters of the training part of one text: floor((1 - val_fraction) * characters)."""
        return math.floor((1 - self._share) * characters)

    def num_validation_documents(self, num_documents: int) -> int:
        """Documents of the validation part: the nearest whole number, at least one and not all where possible."""
        if self._share == 0 or num_documents < 2:
            return 0
        return min(max(1, round(self._share * num_documents)), num_documents - 1)


class DocumentDraw:
    """Which documents are for validation, told in their order: those whose random numbers are the smallest.

    The numbers are the raw 64-bit output of PCG64, which NumPy promises never to change. A model that is evaluated
    years later is therefore evaluated on what it did not see. Memory does not grow with the number of documents.
    """

    def __init__(self, num_documents: int, split: Split):
        """Args: num_documents: of the whole corpus."""
        self._generator = np.random.PCG64(split.seed)
        num_validation = split.num_validation_documents(num_documents)
        self._threshold = _smallest(num_documents, num_validation, split.seed) if num_validation else None

    def take(self, num_documents: int) -> np.ndarray:
        """Bool [num_documents]: whether each of the next documents is for validation."""
        if self._threshold is None:
            return np.zeros(num_documents, bool)
        return self._generator.random_raw(num_documents) <= self._threshold


def _smallest(num_numbers: int, rank: int, seed: int) -> np.uint64:
    """The `rank`-th smallest, from 1 on, of the first numbers that PCG64 gives."""
    counts = np.zeros(NUM_BINS, np.int64)
    for numbers in _random_numbers(num_numbers, seed):
        counts += np.bincount(_bins(numbers), minlength=NUM_BINS)
    below = np.cumsum(counts)
    chosen = int(np.searchsorted(below, rank))
    inside = [numbers[_bins(numbers) == chosen] for numbers in _random_numbers(num_numbers, seed)]
    return np.sort(np.concatenate(inside))[rank - 1 - (below[chosen] - counts[chosen])]


def _random_numbers(num_numbers: int, seed: int) -> Iterator[np.ndarray]:
    generator = np.random.PCG64(seed)
    for start in range(0, num_numbers, DRAWN_AT_ONCE):
        yield generator.random_raw(min(DRAWN_AT_ONCE, num_numbers - start))


def _bins(numbers: np.ndarray) -> np.ndarray:
    return (numbers >> np.uint64(48)).astype(np.int64)


def first_characters(blocks: Iterator[str], num_characters: int, rest: list[str]) -> Iterator[str]:
    """The first `num_characters` of `blocks`; what is left over of the last block taken goes to `rest`."""
    while num_characters and (block := next(blocks, None)) is not None:
        yield block[:num_characters]
        rest.append(block[num_characters:])
        num_characters -= min(num_characters, len(block))
