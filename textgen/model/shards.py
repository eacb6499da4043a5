"""A batch cut into shards that are computed side by side, for a CPU; their states are joined again.

XLA cannot do this inside one program: loops that follow one another in its schedule share memory and so wait for each
other, and a loop of more than eight operations is spread over all cores, step by step, which sends its arrays from one
core's cache to the other's. Every shard is therefore a call of a compiled program of its own, made by a graph that is
not compiled. Whole training steps, two cores, two layers, T=128, against one program for the whole batch: 1.17 times as
fast at 128 units, 1.6 at 256, 1.2 at 512 (B=64); at 128 units, B=16, T=64 the same speed.

NOTE: the shards' sums are added in a fixed order, so the same batch gives the same bytes, whichever shard ends first.
"""

from collections.abc import Iterator, Sequence

import tensorflow as tf

from textgen.cores import available_cores
from textgen.model.recurrent import State

SHARDS = 2  # more were not measured
MIN_ROWS = 8  # of a shard; with fewer, starting it costs more than it gains


def num_shards(batch_size: int, cores: int | None = None) -> int:
    """How many shards a batch is cut into: 2 where there are two cores and enough rows, else 1.

    Args:
        cores: that a run computes for, whatever there are; None counts them.
    """
    cores = available_cores() if cores is None else cores
    fits = batch_size % SHARDS == 0 and batch_size >= SHARDS * MIN_ROWS
    return SHARDS if fits and cores >= SHARDS else 1


def cut(count: int, over_time: Sequence[tf.Tensor], state: State) -> Iterator[tuple[list[tf.Tensor], State]]:
    """Each shard's part of arrays [T, B] and of the state of a batch."""
    columns = zip(*(tf.split(array, count, axis=1) for array in over_time), strict=True)
    parts = [[tf.split(tensor, count, axis=0) for tensor in layer] for layer in state]
    for index, arrays in enumerate(columns):
        yield list(arrays), [[tensor[index] for tensor in layer] for layer in parts]


def join(states: Sequence[State]) -> State:
    """The state of the whole batch from those of its shards."""
    return [[tf.concat(parts, axis=0) for parts in zip(*layers, strict=True)] for layers in zip(*states, strict=True)]
