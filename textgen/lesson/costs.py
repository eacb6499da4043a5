"""What one more character costs, after so many that came before.

A Transformer looks at the keys and values of all of them; recurrent layers have nothing but their state. Characters are
written in one compiled loop, so that nothing but the network's own work is timed.
"""

import statistics
import time

import tensorflow as tf

from textgen.lesson.contestants import Model, begin, kept_bytes, writer
from textgen.lesson.results import Cost

CONTEXTS = (64, 512, 4096)
WRITTEN = 32  # characters of a call
ROUNDS = 7


def measure_cost(kind: str, model: Model, *, compiled: bool, contexts: tuple[int, ...] = CONTEXTS) -> list[Cost]:
    """The cost of a character at each context: the median of several rounds."""
    write = writer(model, WRITTEN, 1.0, compiled=compiled)
    found = []
    for context in contexts:
        state = begin(model, context, context - 1)  # as a ring, it holds so many ever after
        times = []
        for number in range(ROUNDS + 1):
            started = time.perf_counter()
            written, _ = write(tf.constant([0]), state, tf.constant(number))
            written.numpy()  # waits for the device
            times.append((time.perf_counter() - started) / WRITTEN)
        found.append(Cost(kind, context, statistics.median(times[1:]), kept_bytes(state)))  # the first compiles
    return found
