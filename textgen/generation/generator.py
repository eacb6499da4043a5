"""From a prompt to the text that continues it, piece by piece.

Reading never changes a context, so any context can be kept and continued again. Sample s of a seed uses the same random
numbers whether it is made alone or among a thousand. (A product of many rows rounds differently from one row, so texts
can part where a random number lies within rounding of a boundary.)
"""

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any, Protocol

import numpy as np

from textgen.config import END_OF_DOCUMENT, SamplingConfig
from textgen.errors import SettingError
from textgen.generation.barred import Barred
from textgen.generation.ending import Ending, with_start
from textgen.generation.prompts import clean_prompt
from textgen.generation.state import Context
from textgen.generation.steering import Steering
from textgen.memory import check_fits
from textgen.schema import received
from textgen.store.model_directory import StoredModel
from textgen.tensorflow_runtime import quiet_import
from textgen.tokenizers import Tokenizer
from textgen.tokenizers.unknown import make_readable, trim_prompt

ENGINES = ("numpy", "tensorflow")
SAMPLES_AT_ONCE = 64
LOGITS_AT_ONCE = 2**21  # of these samples, if it is more than one; some 100 MB with what is made of them
MAX_SAMPLES = 1_000_000  # all of them are held in memory
BYTES_PER_LOGIT = 48
BYTES_PER_UNIT = {"char": 4, "word": 20}  # of a text that is held, until it is written
BYTES_PER_PIECE = {"char": 8, "word": 64}  # of those that are being made
PROMPT_BYTES = 32  # of a character of a prompt, as it is read; 13 to 25 were measured


class Engine(Protocol):
    """What runs the network: `NumpyEngine`, or `TensorFlowEngine` in `graph.py`."""

    def read(self, token_ids: np.ndarray, context: Context | None = None) -> Context:
        """The context after `token_ids` [T], which follow `context`."""

    def write(
        self,
        context: Context,
        config: SamplingConfig,
        samples: np.ndarray,
        barred: Barred | None = None,
        steering: Steering | None = None,
    ) -> Iterator[np.ndarray]:
        """Endless blocks of token ids, int32 [n, B], one column per sample, as `barred` and `steering` allow."""


@dataclasses.dataclass(frozen=True)
class Completion:
    """One sample: the prompt as the model read it, and what it wrote."""

    prompt: str
    completion: str
    seed: int
    sample: int
    finish_reason: str  # "length", "stop" or "document"


class Generator:
    """Text from a model."""

    def __init__(
        self,
        tokenizer: Tokenizer,
        engine: Engine,
        *,
        on_unknown: str = "replace",
        on_replaced: Callable[[dict[str, str]], None] = lambda replaced: None,
    ):
        """Make a generator; `open_generator` makes one from a stored model.

        Args:
            on_unknown: what to do with symbols the model has never seen: "replace", "skip" or "error".
            on_replaced: called with {symbol: what stands for it} when that happens.
        """
        self.tokenizer = tokenizer
        self.engine = engine
        self.on_unknown = on_unknown
        self.on_replaced = on_replaced
        separator = tokenizer.document_separator
        self._separator = None if separator in (None, "\n\n") or separator in tokenizer.symbols else separator

    def read(self, text: str, context: Context | None = None) -> Context:
        """The context after `text`, which follows `context` or, without one, begins a text.

        A separator that no document holds, as line ends where lines are documents, is read as the end of one. So text
        that was written past such an end can be read again.
        """
        what = f"reading {len(text):,} characters"
        check_fits(PROMPT_BYTES * len(text), what, "Give the end of the text alone")
        documents = text.split(self._separator) if self._separator else [text]
        token_ids = self.tokenizer.encode(END_OF_DOCUMENT.join(map(self.readable, documents)))
        return self.engine.read(with_start(token_ids, self.tokenizer) if context is None else token_ids, context)

    def readable(self, text: str) -> str:
        """`text` in symbols that the model knows."""
        prompt = make_readable(text, self.tokenizer, self.on_unknown)
        if prompt.replaced:
            self.on_replaced(prompt.replaced)
        return prompt.text

    def readable_prompt(self, text: str) -> str:
        """`text` as the model reads it before it goes on: cleaned, `readable`, and without a space of the next word."""
        text = text if "\r" in self.tokenizer.symbols else clean_prompt(text)
        return trim_prompt(self.readable(text), self.tokenizer)

    def blocks(
        self, context: Context, config: SamplingConfig, samples: np.ndarray, steering: Steering | None = None
    ) -> Iterator[np.ndarray]:
        """Endless blocks of token ids after `context`, int32 [n, B], for the samples numbered `samples` [B]."""
        return self.engine.write(context, config, samples, Barred.of(self.tokenizer, config), steering)

    def write(self, context: Context, config: SamplingConfig, sample: int = 0) -> Iterator[str]:
        """Pieces of one sample's text after `context`, which is not changed."""
        ending = Ending(self.tokenizer, config)
        for block in self.blocks(context, config, np.array([sample])):
            if shown := ending.feed(block[:, 0]):
                yield shown
            if ending.is_over:
                break
        if rest := ending.finish():
            yield rest

    def stream(self, prompt: str, config: SamplingConfig, sample: int = 0) -> Iterator[str]:
        """Pieces of text that continue `prompt`."""
        return self.write(self.read(self.readable_prompt(prompt)), config, sample)

    def generate(self, prompt: str, config: SamplingConfig, num_samples: int = 1) -> list[Completion]:
        """`num_samples` texts that continue `prompt`, made side by side."""
        if num_samples < 1:
            raise SettingError(f"`num_samples` must be at least 1. Received: {received(num_samples)}")
        if num_samples > MAX_SAMPLES:
            raise SettingError(f"`num_samples` must be at most {MAX_SAMPLES}. Received: {received(num_samples)}")
        check_samples(self.tokenizer, config, num_samples)
        text = self.readable_prompt(prompt)
        context = self.read(text)
        numbers = np.arange(num_samples)
        at_once = samples_at_once(self.tokenizer)
        batches = [numbers[i : i + at_once] for i in range(0, num_samples, at_once)]
        return [c for batch in batches for c in self._batch(text, context, config, batch)]

    def variants(self, context: Context, config: SamplingConfig, samples: range) -> list[str]:
        """The texts of several samples after `context`, made side by side in one batch."""
        return [completion.completion for completion in self._batch("", context, config, np.array(samples))]

    def _batch(self, prompt: str, context: Context, config: SamplingConfig, samples: np.ndarray) -> list[Completion]:
        endings = [Ending(self.tokenizer, config) for _ in samples]
        texts: list[list[str]] = [[] for _ in samples]
        for block in self.blocks(context, config, samples):
            for ending, pieces, column in zip(endings, texts, block.T, strict=True):
                pieces.append(ending.feed(column))
            if all(ending.is_over for ending in endings):
                break
        return [
            Completion(prompt, "".join(pieces) + ending.finish(), config.seed, int(sample), ending.reason)
            for pieces, sample, ending in zip(texts, samples, endings, strict=True)
        ]


def samples_at_once(tokenizer: Tokenizer) -> int:
    """How many texts are written side by side."""
    return max(1, min(SAMPLES_AT_ONCE, LOGITS_AT_ONCE // tokenizer.vocabulary_size))


def needed_bytes(tokenizer: Tokenizer, config: SamplingConfig, num_samples: int) -> int:
    """About what `num_samples` texts take that are held until the last is made.

    Texts that may end before their length count as short.
    """
    at_once = min(num_samples, samples_at_once(tokenizer))
    may_end = bool(config.stop) or (tokenizer.eod_id is not None and not config.ignore_eod)
    units = 0 if may_end else config.length
    held = BYTES_PER_UNIT[tokenizer.level] * num_samples + BYTES_PER_PIECE[tokenizer.level] * at_once
    return units * held + BYTES_PER_LOGIT * at_once * tokenizer.vocabulary_size


def check_samples(tokenizer: Tokenizer, config: SamplingConfig, num_samples: int) -> None:
    """Raise SettingError where texts that are held need more memory than is free."""
    what = f"writing {num_samples:,} texts of `length={config.length}`"
    advice = "Lower `length`" + (" or `num_samples`" if num_samples > 1 else "")
    check_fits(needed_bytes(tokenizer, config, num_samples), what, advice)


def open_generator(model: StoredModel, engine: str = "numpy", **options: Any) -> Generator:
    """A generator of `model`; `engine` is one of ENGINES, `options` are those of `Generator`."""
    return Generator(model.tokenizer, open_engine(model, engine), **options)


def open_engine(model: StoredModel, engine: str) -> Engine:
    """The engine of that name. Only "tensorflow" imports TensorFlow.

    Raises:
        SettingError: there is no engine of that name.
        TextgenError: TensorFlow cannot be imported.
    """
    if engine == "numpy":
        from textgen.generation.numpy_engine import NumpyEngine  # noqa: PLC0415

        return NumpyEngine(model.record.model, model.weights)
    if engine == "tensorflow":
        quiet_import(with_keras=False)
        from textgen.generation.graph import TensorFlowEngine  # noqa: PLC0415

        return TensorFlowEngine(model.record.model, model.weights)
    raise SettingError(f"`engine` must be one of {', '.join(ENGINES)}. Received: {engine!r}")
