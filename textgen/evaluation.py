"""How well a model predicts a text, in nats and bits per character. No TensorFlow.

Two protocols, because published figures use both and they differ: one pass over the whole text that carries the state
from a zero start; and the mean over random windows, each from a zero state.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from textgen.errors import CorpusError
from textgen.generation.numpy_engine import NumpyEngine
from textgen.tokenizers import Tokenizer

WINDOW = 256  # tokens of a window
NUM_WINDOWS = 512
WINDOWS_AT_ONCE = 64
BLOCK = 512  # tokens of the pass that are held at once


class Evaluation(NamedTuple):
    """The figures of `textgen evaluate`."""

    characters: int
    nats_per_character: float  # one pass, state carried
    bits_per_character: float
    nats_per_character_windows: float | None  # None when the text is shorter than one window


def evaluate(
    text: str,
    tokenizer: Tokenizer,
    engine: NumpyEngine,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Evaluation:
    """Both protocols on `text`; `progress` is called with characters done and to do.

    The first character is given, not predicted, so N characters make N - 1 predictions.
    """
    token_ids = tokenizer.encode(text)
    if len(token_ids) < 2:
        raise CorpusError(f"a text to evaluate needs at least two characters. Received: {len(token_ids)}")
    nats = float(surprisals(token_ids, engine, progress).mean())
    return Evaluation(len(text), nats, nats / math.log(2), windowed_loss(token_ids, engine))


def surprisals(
    token_ids: np.ndarray,
    engine: NumpyEngine,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> np.ndarray:
    """Nats of every token after the first, float64 [N - 1], in one pass that carries the state from zero."""
    hidden, memory = _zero_state(engine, 1)
    total = len(token_ids) - 1
    losses = np.empty(total)
    for start in range(0, total, BLOCK):
        stop = min(start + BLOCK, total)
        outputs = engine.run(token_ids[start:stop, None], hidden, memory)  # [T, 1, H]
        losses[start:stop] = cross_entropy(engine.logits(outputs[:, 0]), token_ids[start + 1 : stop + 1])
        progress(stop, total)
    return losses


def windowed_loss(token_ids: np.ndarray, engine: NumpyEngine) -> float | None:
    """Mean nats over random windows, each from a zero state; the windows are the same every time."""
    if len(token_ids) < WINDOW + 1:
        return None
    starts = np.random.default_rng(0).integers(len(token_ids) - WINDOW, size=NUM_WINDOWS)
    losses = [
        _window_loss(token_ids, starts[i : i + WINDOWS_AT_ONCE], engine) for i in range(0, NUM_WINDOWS, WINDOWS_AT_ONCE)
    ]
    return float(np.mean(losses))


def _window_loss(token_ids: np.ndarray, starts: np.ndarray, engine: NumpyEngine) -> float:
    windows = token_ids[np.arange(WINDOW + 1)[:, None] + starts]  # [T + 1, B]
    outputs = engine.run(windows[:-1], *_zero_state(engine, len(starts)))
    return float(cross_entropy(engine.logits(outputs), windows[1:]).mean())


def _zero_state(engine: NumpyEngine, batch_size: int) -> tuple[np.ndarray, np.ndarray]:
    shape = (engine.config.num_layers, batch_size, engine.config.units)
    return np.zeros(shape, np.float32), np.zeros(shape, np.float32)


def cross_entropy(logits: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Nats of `targets` [...] under `logits` [..., V], float64 [...]."""
    logits = logits.astype(np.float64)
    largest = logits.max(axis=-1)
    normaliser = largest + np.log(np.exp(logits - largest[..., None]).sum(axis=-1))
    return normaliser - np.take_along_axis(logits, targets[..., None].astype(np.int64), axis=-1)[..., 0]
