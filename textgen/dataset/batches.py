"""Token ids on disk, and training batches as a pure function of (seed, step).

The ids are cut into B contiguous streams. The k-th batch of an epoch is the k-th window of T tokens of every stream, so
the state that the network carries from one batch is the right one for the next. There is no iterator and no iterator
state: the step gives the batch, and a resumed run sees what the first would have seen.
"""

import math
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np

from textgen.errors import CorpusError

COUNTED_AT_ONCE = 1 << 22


def smallest_dtype(vocabulary_size: int) -> np.dtype:
    """The smallest unsigned type that holds every id below `vocabulary_size`."""
    return np.min_scalar_type(vocabulary_size - 1)


def append_token_ids(file: BinaryIO, token_ids: np.ndarray, vocabulary_size: int) -> None:
    """Write ids (any integer type, [N]) as raw little-endian numbers of the smallest unsigned type."""
    file.write(np.ascontiguousarray(token_ids, smallest_dtype(vocabulary_size).newbyteorder("<")).data)


def open_token_ids(path: Path, vocabulary_size: int) -> np.ndarray:
    """The ids of `append_token_ids`, [N], memory-mapped read-only: a corpus larger than memory trains.

    Raises CorpusError for a file that ends within a number, and OSError.
    """
    dtype = smallest_dtype(vocabulary_size).newbyteorder("<")
    num_bytes = path.stat().st_size
    if num_bytes % dtype.itemsize:
        raise CorpusError(f"{path} ends within an id")
    return np.memmap(path, dtype, mode="r") if num_bytes else np.zeros(0, dtype)


def count_token_ids(token_ids: np.ndarray, vocabulary_size: int) -> np.ndarray:
    """How often each id occurs in `token_ids` [N], int64 [V]; a mapped file is read piece by piece.

    Raises CorpusError at an id that is no id of the vocabulary.
    """
    counts = np.zeros(vocabulary_size, np.int64)
    for start in range(0, len(token_ids), COUNTED_AT_ONCE):
        block = token_ids[start : start + COUNTED_AT_ONCE]
        if (largest := block.max()) >= vocabulary_size:
            raise CorpusError(f"there is a token id {largest:,} in a vocabulary of {vocabulary_size:,}")
        counts += np.bincount(block, minlength=vocabulary_size)
    return counts


class Batch(NamedTuple):
    """One training step's data."""

    inputs: np.ndarray  # int32 [B, T]
    targets: np.ndarray  # int32 [B, T], inputs one token later
    is_first: bool  # the first batch of an epoch: the carried state starts at zero


class Batches:
    """The batches of a training run: `batches[step]` for any step from 0 on."""

    def __init__(self, token_ids: np.ndarray, batch_size: int, sequence_length: int, seed: int):
        """Args: token_ids: unsigned or int32 [N], at least `minimum_tokens(batch_size, sequence_length)` of them."""
        self.token_ids = token_ids
        self.batch_size = batch_size
        self.sequence_length = sequence_length
        self.seed = seed
        # The offset (0 to T-1) moves the windows from epoch to epoch, so T-1 tokens are not counted on.
        usable = len(token_ids) - 1 - (sequence_length - 1)
        self.stream_length = usable // batch_size
        self.steps_per_epoch = self.stream_length // sequence_length
        if self.steps_per_epoch < 1:
            raise CorpusError(_too_short(len(token_ids), batch_size, sequence_length))

    def __getitem__(self, step: int) -> Batch:
        epoch, window = divmod(step, self.steps_per_epoch)
        offset = int(np.random.default_rng([self.seed, epoch]).integers(self.sequence_length))
        first = offset + window * self.sequence_length
        starts = first + np.arange(self.batch_size) * self.stream_length
        positions = starts[:, None] + np.arange(self.sequence_length + 1)  # [B, T + 1]
        block = self.token_ids[positions].astype(np.int32)
        return Batch(block[:, :-1], block[:, 1:], is_first=window == 0)

    def epoch_of(self, step: int) -> float:
        """Epochs completed when `step` steps are done."""
        return step / self.steps_per_epoch

    def steps_for(self, epochs: float) -> int:
        """Steps in that many epochs, at least one."""
        # Rounded first: 1.1 * 10 is a little more than 11.
        return max(1, math.ceil(round(epochs * self.steps_per_epoch, 6)))


def minimum_tokens(batch_size: int, sequence_length: int) -> int:
    """Tokens that the training part needs for one batch."""
    return batch_size * sequence_length + sequence_length


def _too_short(num_tokens: int, batch_size: int, sequence_length: int) -> str:
    needed = minimum_tokens(batch_size, sequence_length)
    largest_batch = (num_tokens - sequence_length) // sequence_length
    if largest_batch >= 1:
        advice = f"Lower --batch-size to {largest_batch} or less"
    else:
        rows = "--batch-size to 1 and " if batch_size > 1 else ""
        advice = f"Lower {rows}--sequence-length to {max(1, num_tokens // 2)} or less"
    return (
        f"the training part has {num_tokens:,} tokens; one batch of {batch_size} x {sequence_length} needs "
        f"{needed:,}. {advice}, or use more text"
    )
