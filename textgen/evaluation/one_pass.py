"""Nats of a text under fixed weights, in the two protocols of published figures, which differ.

One is a single pass over all of the text that carries the state from a zero start. The other is the mean over random
windows, each from a zero state.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple, TypeVar

import numpy as np

from textgen.config import CacheConfig
from textgen.evaluation.neural_cache import NeuralCache
from textgen.evaluation.texts import Figures, TokenizedText, tokenize
from textgen.generation.numpy_engine import NumpyEngine
from textgen.messages import Advance, unwatched
from textgen.tokenizers import Tokenizer

WINDOW = 256  # tokens of a window
NUM_WINDOWS = 512
WINDOWS_AT_ONCE = 64
BLOCK = 512  # tokens of the pass that are held at once, where the vocabulary is small
BLOCK_LOGITS = 2_000_000  # of a block where it is large: some 20 MB with what is made of them
LARGE_UNITS = 256  # from here on, most of the time of a step is its products
EXPONENTIALS = 2**16  # that are added up at once, which stay near the processor

Block = TypeVar("Block")


class Evaluation(NamedTuple):
    """The figures of `textgen evaluate`. Nats, bits and perplexity are of one pass, state carried, weights fixed."""

    characters: int
    tokens: int
    words: int  # reference words: between white space, and line ends
    nats_per_character: float
    bits_per_character: float
    word_perplexity: float | None  # exp(nats of the whole text / words); None where no words stand between spaces
    nats_per_character_windows: float | None  # None for word models, and for texts shorter than one window
    cache: Figures | None = None  # the same pass with a neural cache, where one was asked for
    dynamic: Figures | None = None  # the same pass with weights that follow the text, likewise


def evaluate(
    text: str | Iterable[str],
    tokenizer: Tokenizer,
    engine: NumpyEngine,
    progress: Advance = unwatched,
) -> Evaluation:
    """Both protocols on `text`, whole or in blocks; `progress` is called with tokens done and to do.

    The model reads its start token first, so that every token of the text is predicted.
    """
    return evaluate_tokens(tokenize(text, tokenizer), engine, progress, with_windows=tokenizer.level == "char")


def evaluate_tokens(
    text: TokenizedText,
    engine: NumpyEngine,
    progress: Advance = unwatched,
    *,
    with_windows: bool,
    cache: CacheConfig | None = None,
) -> Evaluation:
    """The same of a tokenized text; with the settings of a `cache`, also the figures of a model with one."""
    nats, nats_with_cache = nats_of_tokens(text.token_ids, engine, progress, cache)
    return Evaluation(
        text.characters,
        len(text.token_ids) - 1,
        text.words,
        *text.figures(float(nats.sum())),
        windowed_loss(text.token_ids[1:], engine) if with_windows else None,
        text.figures(float(nats_with_cache.sum())) if cache else None,
    )


def nats_of_tokens(
    token_ids: np.ndarray, engine: NumpyEngine, progress: Advance = unwatched, config: CacheConfig | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Nats of every token after the first, in one pass that carries the state from zero.

    Returns:
        Two of float64 [N - 1]: of the model alone, and mixed with a cache that is empty at the beginning. Without the
        settings of a cache they are the same.
    """
    cache = None if config is None else NeuralCache(config, engine.config.units)
    total = len(token_ids) - 1
    losses, mixed = np.empty((2, total))
    for rows, outputs in outputs_in_blocks(token_ids, engine):
        targets = token_ids[rows.start + 1 : rows.stop + 1]
        losses[rows] = cross_entropy(engine.logits(outputs), targets)
        last = outputs[:, -engine.config.units :]  # [T, H]
        mixed[rows] = cache.read(last, targets, losses[rows]) if cache else losses[rows]
        progress(rows.stop, total)
    return losses, mixed


def outputs_in_blocks(token_ids: np.ndarray, engine: NumpyEngine) -> Iterator[tuple[slice, np.ndarray]]:
    """What the output layer sees of every token but the last, in one pass that carries the state from zero.

    Yields:
        The places of the next tokens, and float32 [T, F]. Large layers are read in a thread each, which is up
        to two blocks ahead of the next: their products leave other threads free to run.
    """
    total = len(token_ids) - 1
    block = max(1, min(BLOCK, BLOCK_LOGITS // engine.config.vocabulary_size))
    places = [slice(start, min(start + block, total)) for start in range(0, total, block)]
    hidden, memory = _zero_state(engine, 1)
    with engine.blas_threads(1):  # BLAS threads would wait for each other by spinning, and take the time of ours
        outputs: Iterator[np.ndarray]
        if engine.config.units < LARGE_UNITS:
            outputs = (engine.run(token_ids[rows, None], hidden, memory) for rows in places)
        else:
            outputs = _in_threads(engine, (token_ids[rows, None] for rows in places), hidden, memory)
        for rows, found in zip(places, outputs, strict=True):
            yield rows, found[:, 0]


def _in_threads(
    engine: NumpyEngine, blocks: Iterator[np.ndarray], hidden: np.ndarray, memory: np.ndarray
) -> Iterator[np.ndarray]:
    """`engine.run` of each of `blocks`, with a thread for each layer."""

    def layer(index: int, below: Iterator[list[np.ndarray]]) -> Iterator[list[np.ndarray]]:
        for seen in below:
            yield [*seen, engine.run_layer(index, seen[-1], hidden[index], memory[index])]

    reading: Iterator[list[np.ndarray]] = ([engine.table[token_ids]] for token_ids in blocks)
    for index in range(engine.config.num_layers):
        reading = _ahead(layer(index, reading))
    for _, *seen in reading:
        yield np.concatenate(seen, axis=-1) if engine.config.skip else seen[-1]


def _ahead(blocks: Iterator[Block]) -> Iterator[Block]:
    """The same blocks; a thread makes the next two while one is used."""
    with ThreadPoolExecutor(1) as thread:
        coming = deque(thread.submit(next, blocks, None) for _ in range(2))
        while (block := coming.popleft().result()) is not None:
            coming.append(thread.submit(next, blocks, None))
            yield block


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
    scores = np.take_along_axis(logits, targets[..., None].astype(np.int64), axis=-1)[..., 0]
    return log_normalisers(logits) - scores


def log_normalisers(logits: np.ndarray) -> np.ndarray:
    """The logarithm of the sum of exp(`logits`) [..., V], float64 [...]."""
    rows = logits.reshape(-1, logits.shape[-1])
    found = np.empty(len(rows))
    at_once = max(1, EXPONENTIALS // rows.shape[-1])
    for start in range(0, len(rows), at_once):
        part = rows[start : start + at_once].astype(np.float64)
        largest = part.max(axis=-1)
        part -= largest[:, None]
        found[start : start + at_once] = largest + np.log(np.exp(part, out=part).sum(axis=-1))
    return found.reshape(logits.shape[:-1])
