"""What `textgen sample --json` wrote, made again: the same text, or what is different now.

A document may come from anybody. It names its model; nothing is opened for it but a model of that name.
"""

import contextlib
import dataclasses
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from textgen.config import SamplingConfig
from textgen.errors import CorpusError, DeadEndError, SettingError, TextgenError
from textgen.generation.completion import Completion
from textgen.generation.engines import ENGINES
from textgen.generation.generator import Generator
from textgen.generation.sizes import MAX_SAMPLES, check_samples
from textgen.messages import shown
from textgen.store.model_directory import StoredModel, check_name
from textgen.store.opening import open_regular
from textgen.store.strict_json import parse_json
from textgen.tokenizers.unknown import POLICIES

MAX_BYTES, MAX_VALUES = 2**28, 10**7
FIELDS = {  # of a document that is read
    "given": str,
    "prompt": str,
    "completion": str,
    "sample": int,
    "num_samples": int,
    "settings": dict,
    "on_unknown": str,
    "engine": str,
    "model": str,
    "model_sha256": str,
    "textgen": str,
}


@dataclasses.dataclass(frozen=True)
class Recorded:
    """One text and how it was made."""

    given: str
    prompt: str
    completion: str
    sample: int
    num_samples: int
    config: SamplingConfig
    on_unknown: str
    engine: str
    model: str
    model_sha256: str
    textgen: str
    corpus: tuple[str, str] | None = None  # what --corpus named, and the SHA-256 of its text

    @classmethod
    def of(cls, document: Any, what: str) -> "Recorded":
        """Read a document; `what` names it. Raises CorpusError or SettingError."""
        for name, kind in FIELDS.items():
            if not isinstance(document, dict) or type(document.get(name)) is not kind:
                raise CorpusError(f"{what} is nothing that textgen sample --json wrote: it has no {name}")
        try:
            config = SamplingConfig.from_json(document["settings"])
        except SettingError as problem:
            raise CorpusError(f"{what}: a setting differs from those of this version: {problem}") from None
        corpus = _corpus_of(document, what)
        recorded = cls(config=config, corpus=corpus, **{name: document[name] for name in FIELDS if name != "settings"})
        if config.endless:
            raise CorpusError(f"{what} is endless, and there is no end to compare")
        if not 0 <= recorded.sample < recorded.num_samples <= MAX_SAMPLES:
            raise CorpusError(f"{what}: there is no sample {recorded.sample:,} of {recorded.num_samples:,}")
        for name, choices in (("engine", ENGINES), ("on_unknown", POLICIES)):
            if document[name] not in choices:
                raise CorpusError(f"{what}: {name} differs from those of this version")
        if document.get("seed", config.seed) != config.seed:
            raise CorpusError(f"{what}: its seed differs from that of its settings")
        check_name(recorded.model)
        return recorded

    def check_corpus(self, given: str | None, sha256: str | None = None) -> None:
        """Raise CorpusError where the text was kept from copying another one than `given`.

        Args:
            given: what `--corpus` names now.
            sha256: of its text, once that is read.
        """
        if self.corpus is None or (given is not None and sha256 in (None, self.corpus[1])):
            return
        name = shown(self.corpus[0])
        if given is None:
            raise CorpusError(f"the corpus differs: this text was written with --corpus {name}. Give that, too")
        raise CorpusError(
            f"the corpus differs: {shown(given)} is another text than --corpus {name} was, or has changed"
        )


def _corpus_of(document: dict[str, Any], what: str) -> tuple[str, str] | None:
    corpus = document.get("corpus")
    if corpus is None:
        return None
    name, sha256 = (corpus.get("name"), corpus.get("sha256")) if isinstance(corpus, dict) else (None, None)
    if not (isinstance(name, str) and isinstance(sha256, str)):
        raise CorpusError(f"{what} is nothing that textgen sample --json wrote: its corpus has no name and sha256")
    return name, sha256


def read_records(path: Path | None) -> list[Recorded]:
    """The documents of a file, or of standard input: one, a list of them, or one of these on each line.

    Raises:
        CorpusError: it cannot be read, or holds something else.
        ModelError: a document names a model as none can be named.
    """
    name = shown(path) if path else "standard input"
    try:
        with open_regular(path) if path else contextlib.nullcontext(sys.stdin.buffer) as file:
            content = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as problem:  # ValueError: a path that holds NUL
        raise CorpusError(f"{name} cannot be read: {getattr(problem, 'strerror', None) or problem}") from None
    if len(content) > MAX_BYTES:
        raise CorpusError(f"{name} has more than {MAX_BYTES:,} bytes. Give it in parts")
    lines = [line for line in content.splitlines() if line.strip()]
    if lines[1:] and not _is_json(lines[0]):
        lines = [content]  # one document that somebody has laid out
    try:
        found = [parse_json(line, MAX_VALUES) for line in lines]
    except (ValueError, RecursionError) as problem:
        raise CorpusError(f"{name} is nothing that textgen sample --json wrote: {problem}") from None
    documents = [document for line in found for document in (line if isinstance(line, list) else [line])]
    if not documents:
        raise CorpusError(f"{name} holds no text")
    return [Recorded.of(document, f"text {number} of {name}") for number, document in enumerate(documents, 1)]


def _is_json(line: bytes) -> bool:
    try:
        parse_json(line, MAX_VALUES)
    except (ValueError, RecursionError):
        return False
    return True


def replay(
    records: list[Recorded],
    load: Callable[[str], StoredModel],
    open_generator: Callable[[StoredModel, Recorded], Generator],
    version: str,
) -> Iterator[Completion]:
    """The texts, made again one after the other, each found to be what it was.

    Args:
        load: gives the model of a name.
        open_generator: gives what writes with it.
        version: of textgen, here.

    Raises TextgenError where a text is not the same, or its model.
    """
    generators: dict[tuple[object, ...], tuple[str, Generator]] = {}
    batch: tuple[Any, dict[int, Completion], dict[int, DeadEndError]] = (None, {}, {})
    for recorded in records:
        key = recorded.model, recorded.engine, recorded.on_unknown, recorded.corpus, bool(recorded.config.max_copy)
        if key not in generators:
            stored = load(recorded.model)
            generators[key] = stored.sha256, open_generator(stored, recorded)
        sha256, generator = generators[key]
        if sha256 != recorded.model_sha256:
            raise TextgenError(f"the model differs: {shown(recorded.model)} is not the one that wrote this text")
        numbers = generator.batch_of(recorded.sample, recorded.num_samples)
        asked = (key, recorded.given, recorded.config, numbers)
        if batch[0] != asked:
            check_samples(generator.tokenizer, recorded.config, len(numbers))
            failed: dict[int, DeadEndError] = {}
            made = generator.complete(recorded.given, recorded.config, numbers, on_failed=failed.__setitem__)
            batch = asked, {completion.sample: completion for completion in made}, failed
        if recorded.sample in batch[2]:
            raise batch[2][recorded.sample]
        completion = batch[1][recorded.sample]
        _compare(completion, recorded, version)
        yield completion


def _compare(made: Completion, recorded: Recorded, version: str) -> None:
    """Raise TextgenError where the text is not the recorded one."""
    if (made.prompt, made.completion) == (recorded.prompt, recorded.completion):
        return
    now, then = made.prompt + made.completion, recorded.prompt + recorded.completion
    place = next((i for i, (a, b) in enumerate(zip(now, then, strict=False)) if a != b), min(len(now), len(then)))
    where = f"the text differs from character {place + 1:,} on: {shown(repr(now[place : place + 20]))} here, "
    where += f"{shown(repr(then[place : place + 20]))} there"
    if recorded.textgen != version:
        raise TextgenError(f"the version differs: textgen {shown(recorded.textgen)} there, {version} here; {where}")
    raise TextgenError(f"a setting differs, or the machine: model and version are the same, and {where}")
