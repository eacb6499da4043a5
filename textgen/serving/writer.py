"""The thread that writes with one model: it reads prompts in slices, lets the batch write, and tells what is written.

Whoever asks only puts a prompt into a list and marks a text as cancelled. What is new of all texts goes to the loop of
the requests in one call a step. So a client that reads slowly never holds up the others: its text waits in its request.
"""

import asyncio
import contextlib
import threading
from collections import deque
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from textgen.errors import ModelError, TextgenError
from textgen.generation.following import Following
from textgen.generation.generator import Generator
from textgen.generation.numpy_engine import NumpyEngine
from textgen.generation.sizes import LOGITS_AT_ONCE
from textgen.generation.state import Context
from textgen.messages import shown
from textgen.serving.alone import Alone
from textgen.serving.batch import Batch, Text
from textgen.serving.errors import RefusalError, busy

NO_INDEX = "`max_copy` needs an index of the training text, and this model has none. Leave it out"
SLICE = 64  # tokens of prompts that are read between two steps
News = list[tuple[Text, str, list, bool]]


def failed(problem: Exception) -> str:
    """What a client is told of a fault of the server."""
    return f"the text failed: {shown(f'{type(problem).__name__}: {problem}')}"


class Prompt:
    """What texts continue, read once for all of them."""

    def __init__(self, token_ids: np.ndarray, texts: list[Text]):
        """Args: token_ids: what is read, int [T], the start token too."""
        self.token_ids, self.texts = token_ids, texts
        self.num_read = 0
        self.context: Context | None = None


class Writer:
    """Writes the texts of all requests to one model."""

    def __init__(self, generator: Generator, loop: asyncio.AbstractEventLoop, max_rows: int, queue: int):
        self.generator, self._loop = generator, loop
        self.engine: NumpyEngine = generator.engine.in_numpy()
        most = max(1, min(max_rows, 2 * LOGITS_AT_ONCE // generator.tokenizer.vocabulary_size))
        self._batch = self._new_batch(most)
        self._most_open = most + queue
        self._wake = threading.Condition()
        self._arrived: list[Prompt] = []
        self._made: list[tuple[Prompt, Following | str]] = []
        self._makers = ThreadPoolExecutor(1, "textgen-rules")
        self._is_closing = False
        self._reading: deque[Prompt] = deque()
        self._ready: deque[Text] = deque()  # begun, and waiting for a row
        self.num_open = 0  # texts that are asked for and neither over nor given up; in the loop of the requests
        self._thread = threading.Thread(target=self._run, name="textgen-writer", daemon=True)
        self._thread.start()

    @property
    def num_rows(self) -> int:
        """Texts that are being written."""
        return len(self._batch.texts)

    def check_room(self, number: int) -> None:
        """Raise RefusalError where so many more texts are too many."""
        if number > self._most_open:
            raise RefusalError(400, f"a request takes at most {self._most_open} texts. Received: {number}", param="n")
        if self.num_open + number > self._most_open:
            raise busy()

    def submit(self, prompts: Iterable[Prompt]) -> None:
        """Write the texts of `prompts`. Raises RefusalError where there are too many."""
        prompts = list(prompts)
        number = sum(len(prompt.texts) for prompt in prompts)
        self.check_room(number)
        self.num_open += number
        with self._wake:
            self._arrived += prompts
            self._wake.notify()

    def cancel(self, texts: Iterable[Text]) -> None:
        """Nobody wants these any more; each row is free before the next step."""
        for text in texts:
            text.is_cancelled = True
        with self._wake:
            self._wake.notify()

    def close(self) -> None:
        """Write no more."""
        with self._wake:
            self._is_closing = True
            self._wake.notify()
        self._makers.shutdown(wait=False, cancel_futures=True)
        self._thread.join(timeout=5)

    def _run(self) -> None:
        while True:
            with self._wake:
                while not (self._arrived or self._made or self._is_closing):
                    self._wake.wait()
                if self._is_closing:
                    return
            is_busy = True
            while is_busy:
                num_rows = self.num_rows
                with self.engine.blas_threads(max(1, num_rows)):
                    while is_busy and self.num_rows == num_rows:
                        is_busy = self._turn()

    def _turn(self) -> bool:
        """A slice of the prompts and a step of the batch; False where there is nothing to do."""
        with self._wake:
            self._reading += self._arrived
            made, self._arrived, self._made = self._made, [], []
        if self._is_closing or not (made or self._reading or self._ready or self._batch.texts):
            return False
        news: News = []
        try:
            for prompt, rules in made:
                self._begin(prompt, rules, news)
            self._batch.drop_cancelled()
            self._read(news)
            self._admit()
            if self._batch.texts:
                news += self._batch.step()
        except Exception as problem:  # a fault of ours or no memory: these texts fail, the server goes on
            news += [(text, "", [], True) for text in self._give_up(failed(problem))]
        if news:
            with contextlib.suppress(RuntimeError):  # the loop is closed
                self._loop.call_soon_threadsafe(self._tell, news)
        return True

    def _read(self, news: News) -> None:
        """Read slices of prompts in turn, so that a short one does not wait for a long one."""
        budget = SLICE if self._batch.texts else 4 * SLICE
        while self._reading and budget > 0:
            prompt = self._reading.popleft()
            prompt.texts = [text for text in prompt.texts if not text.is_cancelled]
            if not prompt.texts:
                continue
            part = prompt.token_ids[prompt.num_read : prompt.num_read + min(budget, SLICE)]
            budget -= max(1, len(part))
            try:
                prompt.context = self.engine.read(part, prompt.context)
            except Exception as problem:  # a fault of ours or no memory: what is being written goes on
                self._begin(prompt, failed(problem), news)
                continue
            prompt.num_read += len(part)
            if prompt.num_read < len(prompt.token_ids):
                self._reading.append(prompt)
                continue
            config = prompt.texts[0].config
            if config.is_constrained or config.max_copy:  # takes seconds where a pattern is large
                self._makers.submit(self._make, prompt)
            else:
                self._begin(prompt, self._rules_of(prompt), news)

    def _rules_of(self, prompt: Prompt) -> Following | str:
        """The rules for all texts of a prompt that was read, or why there are none."""
        assert prompt.context is not None
        try:
            return self.generator.following(prompt.context, prompt.texts[0].config)
        except ModelError as problem:  # names files, which are for the log
            for text in prompt.texts:
                text.details = str(problem)
            return NO_INDEX
        except TextgenError as problem:
            return str(problem)
        except Exception as problem:  # a fault of ours or no memory
            return failed(problem)

    def _make(self, prompt: Prompt) -> None:
        rules = self._rules_of(prompt)
        with self._wake:
            self._made.append((prompt, rules))
            self._wake.notify()

    def _begin(self, prompt: Prompt, rules: Following | str, news: News) -> None:
        for text in prompt.texts:
            text.problem = rules if isinstance(rules, str) else ""
            try:
                if not isinstance(rules, str):
                    text.begin(rules, self.generator.tokenizer)
            except Exception as problem:
                text.problem = failed(problem)
            if text.problem:
                news.append((text, "", [], True))
            else:
                self._ready.append(text)

    def _admit(self) -> None:
        while self._ready and len(self._batch.texts) < self._batch.most:
            if not self._ready[0].is_cancelled:
                self._batch.join(self._ready[0])
            self._ready.popleft()  # only now: one that cannot join is given up with the others

    def _give_up(self, problem: str) -> list[Text]:
        texts = [*self._batch.texts, *self._ready, *(text for prompt in self._reading for text in prompt.texts)]
        for text in texts:
            text.problem = text.problem or problem
        self._reading.clear()
        self._ready.clear()
        self._batch = self._new_batch(self._batch.most)
        return texts

    def _new_batch(self, most: int) -> Batch | Alone:
        has_rows = self.engine is self.generator.engine
        return Batch(self.engine, self.generator.tokenizer, most) if has_rows else Alone(self.generator, most)

    def _tell(self, news: News) -> None:
        """In the loop of the requests."""
        changed: dict[int, Text] = {}
        for text, piece, tokens, is_over in news:
            if piece:
                text.pieces.append(piece)
                text.written.append(piece)
            text.tokens += tokens
            if is_over and not text.is_over:
                text.is_over = True
                self.num_open -= not text.is_cancelled  # its place is free, however slowly its client reads
            changed[id(text)] = text
        for text in changed.values():
            text.tell(text)

    def forget(self, texts: Iterable[Text]) -> None:
        """The request of these is over, in one way or another."""
        if unfinished := [text for text in texts if not (text.is_over or text.is_cancelled)]:
            self.num_open -= len(unfinished)
            self.cancel(unfinished)
