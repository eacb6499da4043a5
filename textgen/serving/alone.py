"""The texts of requests, each written alone by an engine that has no rows: TensorFlow."""

from collections.abc import Iterator

import numpy as np

from textgen.errors import TextgenError
from textgen.generation.generator import Generator
from textgen.generation.logprobs import ScoredToken, Scorer
from textgen.serving.batch import Text, end_of


class Alone:
    """Writes a block of each text in turn. It is used as `Batch` is."""

    def __init__(self, generator: Generator, most: int):
        self.generator, self.most, self.texts = generator, most, list[Text]()
        self._writing: dict[int, tuple[Iterator[np.ndarray], Scorer | None]] = {}

    def join(self, text: Text) -> None:
        """See `Batch`."""
        generator, following = self.generator, text.following
        blocks = generator.blocks(following.context, text.config, np.array([text.sample]), text.steering)
        scorer = None
        if text.num_others is not None:
            engine = generator.engine.in_numpy()
            scorer = Scorer(engine, generator.tokenizer, following.context, text.num_others)
        self._writing[id(text)] = blocks, scorer
        self.texts.append(text)

    def step(self) -> list[tuple[Text, str, list[ScoredToken], bool]]:
        """See `Batch`."""
        return [self._write(text) for text in [*self.texts]]

    def drop_cancelled(self) -> None:
        """See `Batch`."""
        for text in [*self.texts]:
            if text.is_cancelled:
                self._leave(text)

    def _write(self, text: Text) -> tuple[Text, str, list[ScoredToken], bool]:
        blocks, scorer = self._writing[id(text)]
        ending, before = text.ending, text.ending.num_tokens
        shown, tokens = "", list[ScoredToken]()
        try:
            block = next(blocks)[:, 0]
            shown = ending.feed(block)
            if ending.is_over:
                shown += ending.finish()
            text.num_tokens = ending.num_tokens
            num_read = ending.num_tokens - before
            is_ended = ending.reason == "document"
            if scorer is not None and num_read + is_ended:
                scored = list(scorer.read(block[: num_read + is_ended]))
                tokens = list(text.waiting.add(scored[:num_read], shown))
                tokens += map(end_of, scored[num_read:])
            if ending.is_over:
                text.following.check(ending)
        except TextgenError as problem:
            text.problem = str(problem)
        text.reason = ending.reason
        is_over = ending.is_over or text.problem != ""
        if is_over:
            self._leave(text)
        return text, shown, tokens, is_over

    def _leave(self, text: Text) -> None:
        self.texts.remove(text)
        del self._writing[id(text)]
