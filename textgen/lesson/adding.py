"""The adding problem: of many numbers two are marked, and their sum is asked for at the end.

Source: Hochreiter and Schmidhuber 1997, "Long Short-Term Memory", experiment 4, with sequences of one length: numbers
from -1 to 1, the target 0.5 + (a + b) / 4, and an answer counts as right if it is less than 0.04 off.
"""

import inspect
import time
from collections.abc import Callable

import numpy as np

from textgen.lesson import adding_model
from textgen.lesson.results import Adding

RIGHT = 0.04
BATCH, STEPS = 64, 20  # of a call of `fit`
TESTED = 1000
POINTS = 30  # of the curve


def sequences(draw: np.random.Generator, count: int, length: int) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of a number and a mark, float32 [N, T, 2], and targets [N, 1]. One mark stands in each half."""
    numbers = draw.uniform(-1, 1, (count, length))
    places = np.stack([draw.integers(length // 2, size=count), draw.integers(length // 2, length, size=count)], axis=1)
    marks = np.zeros((count, length))
    np.put_along_axis(marks, places, 1, axis=1)
    targets = 0.5 + np.take_along_axis(numbers, places, axis=1).sum(axis=1, keepdims=True) / 4
    return np.stack([numbers, marks], axis=-1).astype(np.float32), targets.astype(np.float32)


def code() -> str:
    """The lines that build the network, as they stand in `adding_model.py`."""
    return inspect.getsource(adding_model).partition('"""\n\n')[2]


def learn_to_add(length: int, seconds: float, told: Callable[[str], None]) -> Adding:
    """Train the network of `adding_model.py` on ever new sequences for so many seconds, and test it on others."""
    inputs, targets = sequences(np.random.default_rng(10**6), TESTED, length)
    draw, spent, errors, right = np.random.default_rng(0), 0.0, [], []
    model = adding_model.adding_model(length)

    def test() -> None:
        off = model.predict(inputs, batch_size=TESTED, verbose=0) - targets
        errors.append((spent, float(np.mean(off**2))))
        right.append((spent, float(np.mean(np.abs(off) < RIGHT))))

    def fit() -> None:
        model.fit(*sequences(draw, BATCH * STEPS, length), batch_size=BATCH, verbose=0)

    weights = model.get_weights()
    fit()  # compiles, which is no training
    model.set_weights(weights)
    test()
    while spent < seconds:
        started = time.perf_counter()
        fit()
        spent += time.perf_counter() - started
        if spent >= min(seconds, len(errors) * seconds / POINTS):
            test()
    told(f"adding problem: LSTM, {right[-1][1]:.0%} right after {spent:.0f} s")
    blind = float(np.mean((targets - 0.5) ** 2))
    return Adding(length, model.count_params(), code(), errors, right, blind)
