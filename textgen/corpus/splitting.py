"""One corpus to two: what is learnt from, and what is only measured on.

A text is cut once, and the validation part is the end. An interleaved split would let the model see the text on both
sides of every validation passage, and its loss would read too low. Documents stand for themselves, so there whole
documents are drawn, from a seed.
"""

import math
from collections.abc import Iterator
from fractions import Fraction

import numpy as np

from textgen.errors import SettingError

DRAWN_AT_ONCE = 1 << 16
NUM_BINS = 1 << 16


def split_text(text: str, val_fraction: float) -> tuple[str, str]:
    """The training part and the validation part of `text`; together they are `text`."""
    num_train = num_train_characters(len(text), val_fraction)
    return text[:num_train], text[num_train:]


def num_train_characters(characters: int, val_fraction: float) -> int:
    """Characters of the training part: floor((1 - val_fraction) * characters).

    `val_fraction` counts as the decimal number that it prints as, since in binary 10 * (1 - 0.9) is a little less
    than 1.
    """
    return math.floor((1 - _decimal(val_fraction)) * characters)


def num_validation_documents(num_documents: int, val_fraction: float) -> int:
    """Documents of the validation part: the nearest whole number, at least one and not all where that is possible."""
    fraction = _decimal(val_fraction)
    if fraction == 0 or num_documents < 2:
        return 0
    return min(max(1, round(fraction * num_documents)), num_documents - 1)


def _decimal(val_fraction: float) -> Fraction:
    if not 0 <= val_fraction < 1:
        raise SettingError(f"`val_fraction` must be at least 0 and below 1. Received: {val_fraction}")
    return Fraction(repr(float(val_fraction)))


class DocumentDraw:
    """Which documents are for validation, told in their order: those whose random numbers are the smallest.

    The numbers are the raw 64-bit output of PCG64, which NumPy promises never to change, so a model that is evaluated
    years later is evaluated on what it did not see. Memory does not grow with the number of documents.
    """

    def __init__(self, num_documents: int, val_fraction: float, seed: int):
        """Args: num_documents: of the whole corpus; seed: what is drawn from."""
        self._generator = np.random.PCG64(seed)
        num_validation = num_validation_documents(num_documents, val_fraction)
        self._threshold = _smallest(num_documents, num_validation, seed) if num_validation else None

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
