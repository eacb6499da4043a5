"""What `textgen sample` writes: texts with their prompts, as text for people or as JSON that repeats them."""

import contextlib
import dataclasses
import itertools
import math
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from textgen.config import SamplingConfig
from textgen.errors import DeadEndError
from textgen.generation.completion import MOST_NAMED, Completion
from textgen.generation.generator import Generator
from textgen.messages import few, json_line, shown

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
    has_many_prompts: bool = False  # so that a text is told by its prompt
    failed: list[tuple[str, DeadEndError]] = dataclasses.field(default_factory=list)  # which texts, and what is said

    def texts(self, prompts: Iterable[str], delimiter: str, *, with_prompt: bool, are_held: bool = False) -> Shown:
        """All texts, `delimiter` between them.

        Args: are_held: show each once it is whole, and nothing of one that fails. Else one is shown as it is made.
        """
        begun = False
        for prompt in prompts:
            for text in self._texts_of(prompt, with_prompt=with_prompt, are_held=are_held):
                yield delimiter if begun else "", False
                begun = True
                yield from text
        if self.logprobs is None and (begun or not self.failed):
            yield "\n", False

    def _texts_of(self, prompt: str, *, with_prompt: bool, are_held: bool) -> Iterable[Shown]:
        if self.num_samples > 1:
            return self._several(prompt, with_prompt)
        if not are_held:
            return [self._streamed(prompt, with_prompt)]
        num_failed, pieces = len(self.failed), list(self._streamed(prompt, with_prompt))
        return [iter(pieces)] if len(self.failed) == num_failed else []

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
                with self._noting_failure(prompt, sample):
                    yield from ((token.piece, -token.logprob / math.log(2)) for token in tokens)
        yield "\n", 0

    def documents(self, prompt: str, facts: dict[str, Any]) -> list[dict[str, Any]]:
        """What repeats each text of one prompt, and what is known of it; `facts` are the same for all."""
        return [self._document(completion) | {"given": prompt} | facts for completion in self._completions(prompt)]

    def check(self) -> None:
        """Raise DeadEndError where a text failed, once the others are written."""
        if not self.failed:
            return
        places = [place for place, _ in self.failed if place]
        which = f"{', '.join(few(places, MOST_NAMED))} could not be written: " if places else ""
        raise DeadEndError(f"{which}{self.failed[0][1]}")

    def _completions(self, prompt: str) -> list[Completion]:
        return self.generator.generate(
            prompt,
            self.config,
            self.num_samples,
            logprobs=self.logprobs,
            on_failed=lambda sample, problem: self._note(prompt, sample, problem),
        )

    def _note(self, prompt: str, sample: int, problem: DeadEndError) -> None:
        place = f"sample {sample} of 0 to {self.num_samples - 1}" if self.num_samples > 1 else ""
        if self.has_many_prompts:
            place = f"{place or 'the text'} behind {shown(repr(prompt), 40)}"
        self.failed.append((place, problem))

    @contextlib.contextmanager
    def _noting_failure(self, prompt: str, sample: int) -> Iterator[None]:
        try:
            yield
        except DeadEndError as problem:
            self._note(prompt, sample, problem)

    def _streamed(self, prompt: str, with_prompt: bool) -> Shown:
        readable = self.generator.readable_prompt(prompt)
        context = self.generator.read(readable)  # of two spaces at its end, one is left
        if self.logprobs is not None:
            from textgen.generation.logprobs import table  # noqa: PLC0415

            lines = table(self.generator.score(context, self.config, self.logprobs))
            with self._noting_failure(prompt, 0):
                yield from ((line, False) for line in lines)
            return
        pieces = self.generator.write(context, self.config)  # what cannot be written is said before anything is
        if with_prompt:
            yield readable, False
        with self._noting_failure(prompt, 0):
            yield from self._marked(readable, pieces)

    def _several(self, prompt: str, with_prompt: bool) -> Iterator[Shown]:
        for completion in self._completions(prompt):
            if completion.logprobs is not None:
                from textgen.generation.logprobs import table  # noqa: PLC0415

                yield iter([("".join(table(completion.logprobs)), False)])
                continue
            written = self._marked(completion.prompt, [completion.completion])
            yield itertools.chain([(completion.prompt if with_prompt else "", False)], written)

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


def as_json(documents: list[dict[str, Any]], *, is_list: bool) -> str:
    """One line: a document, or a list of several."""
    return json_line(documents if is_list else documents[0]) + "\n"
