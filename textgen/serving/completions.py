"""POST /v1/completions: texts in one answer, or piece by piece as server-sent events."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from collections.abc import Generator as Slices
from typing import Any

import numpy as np

from textgen.errors import TextgenError
from textgen.generation.ending import with_start
from textgen.generation.generator import Generator
from textgen.serving.answers import (
    Answer,
    Scored,
    all_logprobs_of,
    choice,
    facts_of,
    logprobs_of,
    reason_of,
    scored_prompt,
    tokens_at_once,
    usage_of,
)
from textgen.serving.batch import Text
from textgen.serving.connection import PART, Connection, GoneError
from textgen.serving.errors import RefusalError
from textgen.serving.json_parts import as_json
from textgen.serving.orders import Order, in_words_of_json, setting_in
from textgen.serving.shelf import Shelf
from textgen.serving.writer import Prompt, Writer
from textgen.tokenizers import Tokenizer

MOST_SCORED = 100_000  # characters of prompts whose own probabilities are told
SHORT = 2000  # characters of a prompt that is encoded at once, and not in another thread


def ids_of(given: list[int], tokenizer: Tokenizer, name: str) -> np.ndarray:
    """Token ids that a client gives, int32 [T]. Raises RefusalError."""
    size = tokenizer.vocabulary_size
    if any(isinstance(each, bool) or not isinstance(each, int) or not 0 <= each < size for each in given):
        raise RefusalError(400, f"a token id must be from 0 to {size - 1}", param=name)
    return np.array(given, np.int32)


class Read:
    """A prompt as the model reads it."""

    def __init__(self, generator: Generator, prompt: str | list[int]):
        tokenizer = generator.tokenizer
        if isinstance(prompt, str):
            self.text = generator.readable_prompt(prompt)
            self.token_ids = generator.token_ids(self.text)
        else:
            self.token_ids = ids_of(prompt, tokenizer, "prompt")
            self.text = tokenizer.decode(self.token_ids)
        is_begun = not isinstance(prompt, str) and prompt[:1] == [tokenizer.eod_id]
        self.read_ids = self.token_ids if is_begun else with_start(self.token_ids, tokenizer)
        self.scored: list[Scored] = []


class Completions:
    """One request for completions, as it is carried out."""

    def __init__(self, order: Order, writer: Writer, shelf: Shelf):
        self.order, self.writer, self.shelf = order, writer, shelf
        self.answer = Answer(order.model)
        self._changed = asyncio.Event()
        self.reads: list[Read] = []
        self.texts: list[Text] = []
        self._num_facts = 0  # for which there is room
        self._offsets: list[int] = []  # where the next token of each text stands

    async def prepare(self) -> None:
        """Read the prompts and hand the texts over. Raises RefusalError."""
        order = self.order
        self.writer.check_room(len(order.prompts) * order.n)
        self.shelf.take_facts(order.num_facts)
        self._num_facts = order.num_facts
        length, is_scored = sum(map(len, order.prompts)), order.echo and order.logprobs is not None
        if is_scored and length > MOST_SCORED:
            message = f"`echo` with `logprobs` takes {MOST_SCORED:,} characters at most"
            raise RefusalError(413, message, param="prompt")
        is_short = length <= SHORT and not is_scored
        if is_short:
            self.reads = [self._read(prompt) for prompt in order.prompts]
        else:
            self.reads = await self.shelf.work(self._read_all, size=length if is_scored else 0)
        for prompt in self.reads:
            self._offsets += [len(prompt.text) if order.echo else 0] * order.n
        if order.max_tokens == 0:
            return
        prompts = []
        for prompt in self.reads:
            texts = [self._text(sample) for sample in range(order.n)]
            prompts.append(Prompt(prompt.read_ids, texts))
        self.writer.submit(prompts)
        self.texts = [text for prompt in prompts for text in prompt.texts]

    def _text(self, sample: int) -> Text:
        order = self.order
        return Text(
            order.config,
            sample,
            order.max_tokens,
            lambda _: self._changed.set(),
            is_streamed=order.stream,
            num_others=order.logprobs,
        )

    def _read(self, prompt: str | list[int]) -> Read:
        try:
            return Read(self.writer.generator, prompt)
        except RefusalError:
            raise
        except TextgenError as problem:
            raise RefusalError(400, str(problem), param="prompt") from None

    def _read_all(self) -> Slices[None, None, list[Read]]:
        reads = []
        for prompt in self.order.prompts:
            read = self._read(prompt)
            yield
            if self.order.echo and self.order.logprobs is not None:
                given = read.token_ids, read.read_ids, self.order.logprobs
                read.scored = yield from scored_prompt(self.writer.generator, *given)
            reads.append(read)
        return reads

    @property
    def usage(self) -> dict[str, int]:
        """Tokens that were read and written so far."""
        return usage_of(sum(len(read.token_ids) for read in self.reads), sum(text.num_tokens for text in self.texts))

    async def whole(self) -> dict[str, Any]:
        """The answer, once all texts are over. Raises RefusalError where one fails."""
        while not all(text.is_over for text in self.texts):
            self._changed.clear()
            await self._changed.wait()
        for text in self.texts:
            if text.problem:
                raise refusal_of(text, self.order)
        choices = []
        for index in range(len(self.reads) * self.order.n):
            shown, tokens = self._echoed(index)
            reason = "length"
            if self.texts:
                text = self.texts[index]
                shown, tokens = shown + "".join(text.pieces), tokens + facts_of(text.tokens)
                reason = reason_of(text)
            logprobs = None if self.order.logprobs is None else await all_logprobs_of(tokens, self.order.logprobs)
            choices.append(choice(index, shown, logprobs, reason))
        return self.answer.document(choices) | {"usage": self.usage}

    async def events(self) -> AsyncIterator[bytes]:
        """The answer as server-sent events; all that waits for a slow client is one event for each text.

        Raises RefusalError where a text fails.
        """
        if self.order.echo:
            reason = None if self.texts else "length"
            for index in range(len(self.reads) * self.order.n):
                for part in self._events(index, *self._echoed(index), 0, reason):
                    yield part
        told: set[int] = set()
        while len(told) < len(self.texts):
            self._changed.clear()
            parts, size = list[bytes](), 0
            for index, text in enumerate(self.texts):
                if index in told or not (text.pieces or text.tokens or text.is_over):
                    continue
                if text.problem:
                    raise refusal_of(text, self.order)
                if text.is_over:
                    told.add(index)
                for part in self._new(index, text):
                    parts.append(part)
                    size += len(part)
                    if size > PART:
                        yield b"".join(parts)
                        parts, size = [], 0
            if parts:
                yield b"".join(parts)
            else:
                await self._changed.wait()
        end = event(self.answer.document([]) | {"usage": self.usage}) if self.order.include_usage else b""
        yield end + b"data: [DONE]\n\n"

    def _new(self, index: int, text: Text) -> Iterator[bytes]:
        """What is new of a text."""
        shown, tokens, offset = "".join(text.pieces), facts_of(text.tokens), self._offsets[index]
        text.pieces, text.tokens = [], []
        self._offsets[index] += sum(len(piece) for piece, _, _ in tokens)
        return self._events(index, shown, tokens, offset, reason_of(text) if text.is_over else None)

    def _events(self, index: int, text: str, tokens: list[Scored], offset: int, reason: str | None) -> Iterator[bytes]:
        """A piece of a text as one event, or as several where it has many tokens."""
        most = self.order.logprobs
        if most is None:
            yield self._event(choice(index, text, None, reason))
            return
        size = tokens_at_once(most)
        for start in range(0, max(1, len(tokens)), size):
            block, is_last = tokens[start : start + size], start + size >= len(tokens)
            length = sum(len(piece) for piece, _, _ in block)
            logprobs = logprobs_of(block, most, offset)
            yield self._event(choice(index, text if is_last else text[:length], logprobs, reason if is_last else None))
            text, offset = text[length:], offset + length

    def _event(self, chosen: dict[str, Any]) -> bytes:
        others: dict[str, Any] = {"usage": None} if self.order.include_usage else {}
        return event(self.answer.document([chosen]) | others)

    def _echoed(self, index: int) -> tuple[str, list[Scored]]:
        read = self.reads[index // self.order.n]
        return (read.text, read.scored) if self.order.echo else ("", [])

    def close(self) -> None:
        """Let go of the texts, whether they are over or not."""
        self.writer.forget(self.texts)
        self.shelf.num_facts -= self._num_facts
        self._num_facts = 0


def refusal_of(text: Text, order: Order) -> RefusalError:
    """Why a text failed: of its settings, or of the server."""
    if text.problem.startswith("the text failed"):
        return RefusalError(500, text.problem)
    message = in_words_of_json(text.problem, order.given)
    return RefusalError(400, message, param=setting_in(message), details=text.details)


def event(document: Any) -> bytes:
    """A server-sent event."""
    return b"data: " + as_json(document) + b"\n\n"


async def unless_gone(connection: Connection, task: Any) -> Any:
    """What the coroutine `task` returns. Raises GoneError where the client hangs up before."""
    work, gone = asyncio.ensure_future(task), asyncio.ensure_future(connection.hang_up())
    try:
        await asyncio.wait((work, gone), return_when=asyncio.FIRST_COMPLETED)
        if not work.done():
            raise GoneError
        return work.result()
    finally:
        work.cancel()
        gone.cancel()
