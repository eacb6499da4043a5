"""How well a model predicts a text: nats and bits per character, and word perplexity. No TensorFlow.

Two protocols, because published figures use both and they differ: one pass over the whole text that carries the state
from a zero start; and the mean over random windows of characters, each from a zero state.

What makes models of characters and of words comparable: the nats of all tokens are added up, whatever a token is, and
then shared out over the characters of the text, or over its reference words. Those are the runs between white space,
and one more for every line end, as closed-vocabulary word models are measured. The end of a document counts as a line
end, and as one character.
"""

import math
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import numpy as np

from textgen.config import END_OF_DOCUMENT
from textgen.dataset import smallest_dtype
from textgen.errors import CorpusError
from textgen.generation.numpy_engine import NumpyEngine
from textgen.tokenizers import Tokenizer
from textgen.tokenizers.normalizing import normalize_blocks
from textgen.tokenizers.unknown import nearest_known

WINDOW = 256  # tokens of a window
NUM_WINDOWS = 512
WINDOWS_AT_ONCE = 64
BLOCK = 512  # tokens of the pass that are held at once, where the vocabulary is small
BLOCK_LOGITS = 2_000_000  # and where it is not, as many as have so many logits: some 60 MB with what is made of them
DECODED_AT_ONCE = 1 << 18


class Evaluation(NamedTuple):
    """The figures of `textgen evaluate`. Nats, bits and perplexity are of one pass, state carried."""

    characters: int
    tokens: int
    words: int  # reference words: between white space, and line ends
    nats_per_character: float
    bits_per_character: float
    word_perplexity: float  # exp(nats of the whole text / words)
    nats_per_character_windows: float | None  # None for word models, and for texts shorter than one window


def evaluate(
    text: str | Iterable[str],
    tokenizer: Tokenizer,
    engine: NumpyEngine,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Evaluation:
    """Both protocols on `text`, whole or in blocks; `progress` is called with tokens done and to do.

    The model reads its start token first, so that every token of the text is predicted.
    """
    size = _Size()
    blocks = size.count([text] if isinstance(text, str) else text)
    parts = [part.astype(smallest_dtype(tokenizer.vocabulary_size)) for part in tokenizer.encode_blocks(blocks)]
    if size.characters < 2:
        raise CorpusError(f"a text to evaluate needs at least two characters. Received: {size.characters}")
    token_ids = np.concatenate([np.array([tokenizer.start_id], smallest_dtype(tokenizer.vocabulary_size)), *parts])
    nats = float(surprisals(token_ids, engine, progress).sum())
    return Evaluation(
        size.characters,
        len(token_ids) - 1,
        size.words,
        nats / size.characters,
        nats / size.characters / math.log(2),
        math.exp(min(700.0, nats / max(1, size.words))),
        windowed_loss(token_ids[1:], engine) if tokenizer.level == "char" else None,
    )


def readable_blocks(
    blocks: Iterable[str], tokenizer: Tokenizer, on_replaced: Callable[[dict[str, str]], None]
) -> Iterator[str]:
    """`blocks` in the model's normal form and in symbols that it knows; `on_replaced` hears of each other one once.

    Ends of documents stay where the model knows documents, and are line ends where it does not.
    """
    known, forms = set(tokenizer.symbols), {}
    for block in normalize_blocks(blocks, tokenizer.normalize):
        if tokenizer.eod_id is None:
            block = block.replace(END_OF_DOCUMENT, "\n")
        new = set(tokenizer.unknown_symbols(block)) - {END_OF_DOCUMENT} - set(forms)
        if new:
            forms |= {symbol: nearest_known(symbol, known) for symbol in sorted(new)}
            on_replaced({symbol: forms[symbol] for symbol in sorted(new)})
        yield block.translate({ord(symbol): form for symbol, form in forms.items()}) if forms else block


def text_of_ids(token_ids: np.ndarray, tokenizer: Tokenizer) -> Iterator[str]:
    """The text that `token_ids` [N] spell, in blocks, with ends of documents."""
    pieces = [*tokenizer.pieces]
    if tokenizer.eod_id is not None:
        pieces[tokenizer.eod_id] = END_OF_DOCUMENT
    for start in range(0, len(token_ids), DECODED_AT_ONCE):
        yield "".join([pieces[i] for i in token_ids[start : start + DECODED_AT_ONCE].tolist()])


class _Size:
    """Characters and reference words of a text that comes in blocks."""

    def __init__(self) -> None:
        self.characters = self.words = 0

    def count(self, blocks: Iterable[str]) -> Iterator[str]:
        """The same blocks, counted on their way."""
        ends_in_word = False
        for block in filter(None, blocks):
            text = block.replace(END_OF_DOCUMENT, "\n")
            self.characters += len(text)
            # A word that goes on from the block before was counted there.
            self.words += len(text.split()) - (ends_in_word and not text[0].isspace()) + text.count("\n")
            ends_in_word = not text[-1].isspace()
            yield block


def surprisals(
    token_ids: np.ndarray,
    engine: NumpyEngine,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> np.ndarray:
    """Nats of every token after the first, float64 [N - 1], in one pass that carries the state from zero."""
    hidden, memory = _zero_state(engine, 1)
    total = len(token_ids) - 1
    losses = np.empty(total)
    block = max(1, min(BLOCK, BLOCK_LOGITS // engine.config.vocabulary_size))
    for start in range(0, total, block):
        stop = min(start + block, total)
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
