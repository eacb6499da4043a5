"""All that write with one model: one thread, or several for a large model, whose texts are shared out among them.

Each thread has a batch of its own. The products of a large model leave other threads free to run, so that two write
nearly twice as much as one on two cores. Those of a small model are so short that threads would only wait for each
other.
"""

import asyncio
from collections.abc import Iterable

from textgen.cores import available_cores
from textgen.generation.generator import Generator
from textgen.generation.sizes import LOGITS_AT_ONCE
from textgen.serving.batch import Text
from textgen.serving.errors import RefusalError
from textgen.serving.writer import Prompt, Writer

LARGE = 2**21  # weights of a layer, or of the output layer, from which on there are several threads
MOST_WRITERS = 4


class Writers:
    """Writes the texts of all requests to one model."""

    def __init__(self, generator: Generator, loop: asyncio.AbstractEventLoop, max_rows: int, queue: int):
        self.generator = generator
        self.engine = generator.engine.in_numpy()
        most = max(1, min(max_rows, 2 * LOGITS_AT_ONCE // generator.tokenizer.vocabulary_size))
        is_large = max(self.engine.cells[-1].num_weights, self.engine.output_kernel.size) >= LARGE
        has_rows = self.engine is generator.engine
        number = min(available_cores(), MOST_WRITERS, most) if is_large and has_rows else 1
        self._writers = [Writer(generator, loop, most // number, is_alone=number == 1) for _ in range(number)]
        self._most_open = most + queue

    @property
    def num_rows(self) -> int:
        """Texts that are being written."""
        return sum(writer.num_rows for writer in self._writers)

    @property
    def num_open(self) -> int:
        """Texts that are asked for and not over; in the loop of the requests."""
        return sum(writer.num_open for writer in self._writers)

    def check_room(self, number: int) -> None:
        """Raise RefusalError where so many more texts are too many."""
        if number > self._most_open:
            raise RefusalError(400, f"a request takes at most {self._most_open} texts. Received: {number}", param="n")
        if self.num_open + number > self._most_open:
            raise RefusalError(429, "the server is busy. Try again in a second", code="server_busy", retry_after=1)

    def submit(self, prompts: Iterable[Prompt]) -> None:
        """Write the texts of `prompts`. Raises RefusalError where there are too many."""
        prompts = list(prompts)
        self.check_room(sum(len(prompt.texts) for prompt in prompts))
        for prompt in prompts:
            idlest_first = sorted(self._writers, key=lambda writer: writer.num_open)
            for place, writer in enumerate(idlest_first):
                if texts := prompt.texts[place :: len(idlest_first)]:
                    writer.submit(Prompt(prompt.token_ids, texts))

    def forget(self, texts: Iterable[Text]) -> None:
        """The request of these is over, in one way or another."""
        texts = list(texts)
        for writer in self._writers:
            if its := [text for text in texts if text.writer is writer]:
                writer.forget(its)

    def close(self) -> None:
        """Write no more."""
        for writer in self._writers:
            writer.close()
