"""From a prompt to the text that continues it, piece by piece.

Reading never changes a context, so any context can be kept and continued again. Sample s of a seed uses the same random
numbers however many are made. It is the same text, but for one thing: BLAS rounds a product of many rows differently
from one of few, and a text parts from itself where a random number lies within that rounding of a boundary. With the
shipped model, 5 of 128 texts of 150 words differed between one alone and 64 side by side. A row beside one alone would
have both rounded alike, and took three times as long. `batch_of` gives a sample the same neighbours again.
"""

import functools
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from textgen.config import END_OF_DOCUMENT, SamplingConfig
from textgen.errors import DeadEndError, SettingError
from textgen.generation.barred import Barred
from textgen.generation.completion import Completion, OnFailed, dead_end
from textgen.generation.ending import Ending, with_start
from textgen.generation.engines import Engine, open_engine
from textgen.generation.following import Following, check_together
from textgen.generation.logprobs import ScoredToken, Scorer, shown_tokens
from textgen.generation.prompts import clean_prompt
from textgen.generation.sizes import check_samples, samples_at_once
from textgen.generation.state import Context
from textgen.generation.steering import Steering
from textgen.generation.tally import Tally
from textgen.memory import check_fits
from textgen.schema import received
from textgen.store.model_directory import StoredModel
from textgen.tokenizers import Tokenizer
from textgen.tokenizers.unknown import make_readable, trim_prompt

if TYPE_CHECKING:
    from textgen.generation.max_copy import CopyRules
    from textgen.store.copy_index import CopyIndex

PROMPT_BYTES = 32  # of a character of a prompt, as it is read; 13 to 25 were measured


class Generator:
    """Text from a model."""

    def __init__(
        self,
        tokenizer: Tokenizer,
        engine: Engine,
        *,
        on_unknown: str = "replace",
        on_replaced: Callable[[dict[str, str]], None] = lambda replaced: None,
        on_ended: Callable[[str], None] = lambda line: None,
        copy_index: "Callable[[], CopyIndex] | None" = None,
    ):
        """Make a generator; `open_generator` makes one from a stored model.

        Args:
            on_unknown: what to do with symbols the model has never seen: "replace", "skip" or "error".
            on_replaced: called with {symbol: what stands for it} when that happens.
            on_ended: told in a line of a text that ends early because no token may follow.
            copy_index: gives the index that `max_copy` asks, each time the same.
        """
        self.tokenizer = tokenizer
        self.engine = engine
        self.on_unknown = on_unknown
        self.on_replaced = on_replaced
        self.on_ended = on_ended
        self.copy_index = copy_index
        self._copy_rules: dict[tuple[int, bool], CopyRules] = {}
        separator = tokenizer.document_separator
        self._separator = None if separator in (None, "\n\n") or separator in tokenizer.symbols else separator

    def read(self, text: str, context: Context | None = None) -> Context:
        """The context after `text`, which follows `context` or, without one, begins a text.

        A separator that no document holds, as line ends where lines are documents, is read as the end of one. So text
        that was written past such an end can be read again.
        """
        check_fits(PROMPT_BYTES * len(text), f"reading {len(text):,} characters", "Give the end of the text alone")
        token_ids = self.token_ids(text)
        return self.engine.read(with_start(token_ids, self.tokenizer) if context is None else token_ids, context)

    def token_ids(self, text: str) -> np.ndarray:
        """The ids of `text` as `read` reads it, int [T]."""
        documents = self.with_ends(text).split(END_OF_DOCUMENT) if self._separator else [text]
        return self.tokenizer.encode(END_OF_DOCUMENT.join(map(self.readable, documents)))

    def with_ends(self, text: str) -> str:
        """`text` with an end of a document in place of a separator that no document holds."""
        return text.replace(self._separator, END_OF_DOCUMENT) if self._separator else text

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

    def following(self, context: Context, config: SamplingConfig) -> Following:
        """The rules for texts that continue `context`.

        Raises:
            SettingError: no text in the length is what `config` asks for, or its settings contradict each other.
            TextgenError: `max_copy` needs an index of the training text, and there is none.
        """
        check_together(config)
        return Following(self.tokenizer, context, config, lambda: self._rules_of_copying(config))

    def write(
        self, context: Context, config: SamplingConfig, sample: int = 0, first: np.ndarray | None = None
    ) -> Iterator[str]:
        """Pieces of one sample's text after `context`, which is not changed.

        Args: first: bool [V], the ids of which the text begins with one; None is any.

        Raises what `following` raises before the first piece is asked for.
        """
        following = self.following(context, config)
        if config.beams > 1:
            return iter([self._likeliest(context, config, first)[0]])
        return (shown for _, shown in self._written(following, sample, first))

    def score(
        self, context: Context, config: SamplingConfig, num_others: int, sample: int = 0
    ) -> Iterator[ScoredToken]:
        """The tokens of `write`, as they are written, with how likely the model found each and `num_others` others."""
        following, scorer = self.following(context, config), self._scorer(context, num_others)
        if config.beams > 1:
            text, _, token_ids = self._likeliest(context, config)
            return shown_tokens([(scorer.read(token_ids), text)])
        return shown_tokens((scorer.read(token_ids), shown) for token_ids, shown in self._written(following, sample))

    def _written(
        self, following: Following, sample: int, first: np.ndarray | None = None
    ) -> Iterator[tuple[np.ndarray, str]]:
        """Block by block the ids of one text, int [T], and what can be shown after them."""
        (ending,), steering = following.rows(1, first)
        for block in self.blocks(following.context, following.config, np.array([sample]), steering):
            before = ending.num_tokens
            shown = ending.feed(block[:, 0])
            if ending.is_over:
                shown += ending.finish()
            yield block[: ending.num_tokens - before, 0], shown
            if ending.is_over:
                break
        self._check(following, ending)

    def stream(self, prompt: str, config: SamplingConfig, sample: int = 0) -> Iterator[str]:
        """Pieces of text that continue `prompt`."""
        return self.write(self.read(self.readable_prompt(prompt)), config, sample)

    def generate(
        self,
        prompt: str,
        config: SamplingConfig,
        num_samples: int = 1,
        *,
        logprobs: int | None = None,
        on_failed: OnFailed | None = None,
    ) -> list[Completion]:
        """`num_samples` texts that continue `prompt`, made side by side.

        Args:
            logprobs: tell how likely each token was, and so many of the likeliest; None tells nothing.
            on_failed: told of a text that is left out; None raises DeadEndError once the others are made.
        """
        if logprobs is not None and logprobs < 0:
            raise SettingError(f"`logprobs` must be at least 0. Received: {received(logprobs)}")
        check_samples(self.tokenizer, config, num_samples)
        failed: dict[int, DeadEndError] = {}
        told = on_failed or failed.__setitem__
        completions = self.complete(prompt, config, range(num_samples), logprobs=logprobs, on_failed=told)
        if failed:
            raise dead_end(failed, completions, num_samples)
        return completions

    def complete(
        self, prompt: str, config: SamplingConfig, numbers: range, *, on_failed: OnFailed, logprobs: int | None = None
    ) -> list[Completion]:
        """The samples of these numbers, as many side by side as `batch_of` says; arguments as of `generate`."""
        text = self.readable_prompt(prompt)
        context = self.read(text)
        following = self.following(context, config)
        if config.beams > 1:
            completion, reason, token_ids = self._likeliest(context, config)
            scored = self._scored(context, token_ids, completion, logprobs)
            return [Completion(text, completion, config.seed, 0, reason, scored)]
        completions: list[Completion] = []
        while numbers:
            batch = self.batch_of(numbers.start, numbers.stop)
            completions += self._batch(text, following, np.array(batch), logprobs, on_failed)
            numbers = numbers[len(batch) :]
        return completions

    def batch_of(self, sample: int, num_samples: int) -> range:
        """The numbers of the samples that are made side by side with that one, of so many."""
        at_once = samples_at_once(self.tokenizer)
        first = sample // at_once * at_once
        return range(first, min(first + at_once, num_samples))

    def variants(self, context: Context, config: SamplingConfig, samples: range, on_failed: OnFailed) -> list[str]:
        """The texts of several samples after `context`, made side by side in one batch."""
        following = self.following(context, config)
        return [one.completion for one in self._batch("", following, np.array(samples), None, on_failed)]

    def _batch(
        self, prompt: str, following: Following, samples: np.ndarray, logprobs: int | None, on_failed: OnFailed
    ) -> list[Completion]:
        endings, steering = following.rows(len(samples))
        texts: list[list[str]] = [[] for _ in samples]
        blocks: list[np.ndarray] = []
        tally = Tally(self.tokenizer, len(samples))
        for row, ending in enumerate(endings):
            tally.put(row, ending)
        num_running = len(endings)
        for block in self.blocks(following.context, following.config, samples, steering):
            for token_ids in block:
                for row in tally.add(token_ids):
                    texts[row].append(tally.take(row))
                    num_running -= endings[row].is_over
            if logprobs is not None:
                blocks.append(block)
            if not num_running:
                break
        completions = []
        for column, (sample, pieces, ending) in enumerate(zip(samples.tolist(), texts, endings, strict=True)):
            try:
                self._check(following, ending)
            except DeadEndError as problem:
                on_failed(sample, problem)
                continue
            text, token_ids = "".join(pieces), [block[:, column] for block in blocks]
            kept = np.concatenate([np.zeros(0, int), *token_ids])[: ending.num_tokens]
            scored = self._scored(following.context, kept, text, logprobs)
            completions.append(Completion(prompt, text, following.config.seed, sample, ending.reason, scored))
        return completions

    def _check(self, following: Following, ending: Ending) -> None:
        """Say that a text ended early; raise DeadEndError where it must not."""
        following.check(ending)
        if ending.reason == "nothing":
            self.on_ended("a text ends early: whatever could follow is banned, repeated or copied")

    def _likeliest(
        self, context: Context, config: SamplingConfig, first: np.ndarray | None = None
    ) -> tuple[str, str, np.ndarray]:
        """The text of a beam search, why it ends, and its ids."""
        from textgen.generation.beams import beam_search  # noqa: PLC0415

        return beam_search(self.engine.in_numpy(), self.tokenizer, context, config, first)

    def _scored(
        self, context: Context, token_ids: np.ndarray, text: str, num_others: int | None
    ) -> list[ScoredToken] | None:
        if num_others is None:
            return None
        return list(shown_tokens([(self._scorer(context, num_others).read(token_ids), text)]))

    def _scorer(self, context: Context, num_others: int) -> Scorer:
        return Scorer(self.engine.in_numpy(), self.tokenizer, context, num_others)

    def _rules_of_copying(self, config: SamplingConfig) -> "CopyRules":
        from textgen.generation.max_copy import CopyRules  # noqa: PLC0415

        if self.copy_index is None:
            raise SettingError("`max_copy` needs an index of the training text, and there is none")
        key = config.max_copy, config.passes_ends
        if key not in self._copy_rules:
            self._copy_rules[key] = CopyRules.of(self.copy_index(), self.tokenizer, config)
        return self._copy_rules[key]


def open_generator(model: StoredModel, engine: str = "numpy", **options: Any) -> Generator:
    """A generator of `model`; `engine` is one of ENGINES, `options` are those of `Generator`."""
    return Generator(
        model.tokenizer, open_engine(model, engine), **{"copy_index": functools.partial(copy_index_of, model)} | options
    )


def copy_index_of(model: StoredModel) -> "CopyIndex":
    """The index of the text that `model` learned from. Raises ModelError where it has none, or a damaged one."""
    from textgen.generation.max_copy import open_index  # noqa: PLC0415

    return open_index(model)
