"""What `textgen sample` writes: texts with their prompts, as text for people or as JSON that repeats them."""

import dataclasses
import math
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from textgen.config import SamplingConfig
from textgen.errors import TextgenError
from textgen.generation.generator import Completion, Generator
from textgen.messages import json_line

if TYPE_CHECKING:
    from textgen.store.copy_index import CopyIndex

Shown = Iterator[tuple[str, bool]]  # pieces of text, and whether each is copied


@dataclasses.dataclass(frozen=True)
class Job:
    """Texts that continue prompts, one after the other."""

    generator: Generator
    config: SamplingConfig
    num_samples: int = 1
    logprobs: int | None = None
    marked_by: "CopyIndex | None" = None  # the index of the text in which copies are looked for

    def texts(self, prompts: Iterable[str], delimiter: str, *, with_prompt: bool) -> Shown:
        """All texts, `delimiter` between them."""
        for number, prompt in enumerate(prompts):
            yield delimiter if number else "", False
            if self.num_samples == 1:
                yield from self._streamed(prompt, with_prompt)
            else:
                yield from self._several(prompt, delimiter, with_prompt)
        if self.logprobs is None:
            yield "\n", False

    def surprising(self, prompts: Iterable[str], delimiter: str, *, with_prompt: bool) -> Iterator[tuple[str, float]]:
        """All texts, and how many bits each token was worth to the model that wrote it; 0 of what it did not write."""
        for number, prompt in enumerate(prompts):
            yield delimiter if number else "", 0
            readable = self.generator.readable_prompt(prompt)
            context = self.generator.read(readable)
            for sample in range(self.num_samples):
                tokens = self.generator.score(context, self.config, 0, sample)
                yield delimiter if sample else "", 0
                yield readable if with_prompt else "", 0
                yield from ((token.piece, -token.logprob / math.log(2)) for token in tokens)
        yield "\n", 0

    def documents(self, prompt: str, facts: dict[str, Any]) -> list[dict[str, Any]]:
        """What repeats each text of one prompt, and what is known of it; `facts` are the same for all."""
        completions = self.generator.generate(prompt, self.config, self.num_samples, logprobs=self.logprobs)
        return [self._document(completion) | {"given": prompt} | facts for completion in completions]

    def _streamed(self, prompt: str, with_prompt: bool) -> Shown:
        readable = self.generator.readable_prompt(prompt)
        context = self.generator.read(readable)  # of two spaces at its end, one is left
        if self.logprobs is not None:
            from textgen.generation.logprobs import table  # noqa: PLC0415

            lines = table(self.generator.score(context, self.config, self.logprobs))
            yield from ((line, False) for line in lines)
            return
        pieces = self.generator.write(context, self.config)  # what cannot be written is said before anything is
        if with_prompt:
            yield readable, False
        try:
            yield from self._marked(readable, pieces)
        except TextgenError:  # the rules leave nothing more; what is said of that begins a line
            yield "\n", False
            raise

    def _several(self, prompt: str, delimiter: str, with_prompt: bool) -> Shown:
        completions = self.generator.generate(prompt, self.config, self.num_samples, logprobs=self.logprobs)
        for number, completion in enumerate(completions):
            yield delimiter if number else "", False
            if completion.logprobs is not None:
                from textgen.generation.logprobs import table  # noqa: PLC0415

                yield "".join(table(completion.logprobs)), False
                continue
            yield completion.prompt if with_prompt else "", False
            yield from self._marked(completion.prompt, [completion.completion])

    def _marked(self, prompt: str, pieces: Iterable[str]) -> Shown:
        """The text of `pieces`, which go on with `prompt`, and whether each is copied; nothing is without an index."""
        if self.marked_by is None:
            yield from ((piece, False) for piece in pieces)
            return
        from textgen.generation.copied_runs import CopyFinder, marked  # noqa: PLC0415

        finder = CopyFinder(self.marked_by)
        finder.read(prompt)
        yield from marked(pieces, finder)

    def _document(self, completion: Completion) -> dict[str, Any]:
        document = dataclasses.asdict(completion)
        if completion.logprobs is None:
            del document["logprobs"]
        if self.marked_by is not None:
            from textgen.generation.copied_runs import copied_runs  # noqa: PLC0415

            document["copied"] = copied_runs(completion.prompt, completion.completion, self.marked_by)
        return document


def as_json(documents: list[dict[str, Any]]) -> str:
    """One line: a document, or a list of several."""
    return json_line(documents[0] if len(documents) == 1 else documents) + "\n"
