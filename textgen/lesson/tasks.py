"""The two tasks: remembering a symbol over a distance, and reading a text."""

from collections.abc import Callable

import numpy as np

from textgen.dataset.batches import Batch, Batches
from textgen.lesson.contestants import Size
from textgen.lesson.delays import Copying, Rows
from textgen.lesson.learning import Held, Task
from textgen.lesson.text import Text

TESTED_SEED = 10**6  # apart from those of training
HELD_ROWS = 64

Logits = Callable[[np.ndarray], np.ndarray]


def delay_task(copying: Copying, size: Size, batch_size: int = 32, tested: int = 4 * HELD_ROWS) -> Task:
    """The delay task; only the symbol that is asked for counts in losses."""

    def batch(step: int) -> Batch:
        rows = copying.rows(np.random.default_rng([0, step]), batch_size)
        return Batch(rows.inputs(), rows.targets(), is_first=True)

    draw = np.random.default_rng(TESTED_SEED)
    rows = copying.rows(draw, HELD_ROWS)
    counted = np.zeros(rows.inputs().shape, np.float32)
    counted[np.arange(HELD_ROWS), rows.asked - 1] = 1
    tests = {distance: copying.rows_of(draw, tested, distance) for distance in copying.distances}
    longest = copying.rows_of(draw, HELD_ROWS, copying.longest)
    counts = np.bincount(copying.rows(draw, 1000).targets().ravel(), minlength=len(copying.symbols))
    return Task(
        name=f"delay task of up to {copying.longest} tokens",
        unit="nats at the answer",
        size=size,
        token_counts=counts,
        batch_size=batch_size,
        sequence_length=rows.inputs().shape[1],
        batch=batch,
        held=Held(rows.inputs(), rows.targets(), counted),
        accuracy=lambda logits: {distance: remembered(logits, rows) for distance, rows in tests.items()},
        asked=(longest.inputs(), longest.targets(), (longest.asked - 1).astype(np.int32)),
    )


def remembered(logits: Logits, rows: Rows) -> float:
    """Share of the rows whose asked token is the likeliest one where it is asked for."""
    everywhere = np.arange(len(rows.asked))
    guesses = logits(rows.inputs())[everywhere, rows.asked - 1].argmax(axis=-1)
    return float((guesses == rows.token_ids[everywhere, rows.asked]).mean())


def text_task(text: Text, size: Size, batch_size: int, window: int, tested: int) -> Task:
    """Reading a text in windows; recurrent layers carry their state from window to window while they learn."""
    batches = Batches(text.training, batch_size, window, seed=0)
    starts = np.random.default_rng(TESTED_SEED).integers(0, len(text.tests) - window, size=tested * HELD_ROWS)
    rows = np.stack([text.tests[start : start + window + 1] for start in starts])
    inputs, targets = rows[:, :-1], rows[:, 1:]
    first = slice(HELD_ROWS)
    return Task(
        name=text.name,
        unit="nats per character",
        size=size,
        token_counts=np.bincount(text.training, minlength=len(text.symbols)),
        batch_size=batch_size,
        sequence_length=window,
        batch=lambda step: batches[step],
        held=Held(inputs[first], targets[first], np.ones(inputs[first].shape, np.float32)),
        accuracy=lambda logits: by_characters_read(logits(inputs).argmax(axis=-1) == targets),
        asked=(inputs[first], targets[first], np.full(HELD_ROWS, window - 1, np.int32)),
    )


def by_characters_read(right: np.ndarray) -> dict[int, float]:
    """Share of guesses that are right after n to 2n - 1 characters, by n; `right` is bool [N, T]."""
    window = right.shape[1]
    counts = [2**power for power in range(window.bit_length())]
    return {n: float(right[:, n - 1 : min(2 * n - 1, window)].mean()) for n in counts}
