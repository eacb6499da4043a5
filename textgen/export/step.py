"""The network's step as a file, for other languages and for phones: from a token and a state to scores and a state.

Beside it stands `model.json`: how to call it, the document of `document.py` (vocabulary, tables, what a word model does
not write), the rules of sampling in sentences, and texts by which a program of one's own can be compared.
"""

import functools
import itertools
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from textgen.config import ModelConfig, SamplingConfig
from textgen.errors import ExportError
from textgen.export.check import check_prompts
from textgen.export.document import model_document
from textgen.export.requests import CHECKED, SETTINGS, Answers, CannotRunError, Requests, request_of, simple
from textgen.export.writing import Format
from textgen.generation.barred import Barred
from textgen.generation.generator import Generator, open_generator
from textgen.generation.numpy_engine import NumpyEngine
from textgen.generation.past import Past
from textgen.generation.philox import uniforms
from textgen.generation.sampling import next_ids
from textgen.generation.state import Context
from textgen.generation.steering import Steering
from textgen.messages import shown
from textgen.store import atomic
from textgen.store.model_directory import StoredModel

DESCRIPTION = "model.json"
Run = Callable[[dict[str, np.ndarray]], dict[str, np.ndarray]]  # the step: inputs by name -> outputs by name
RULES = [
    "A text begins with startId where eodId is a number, and where there is nothing else to read.",
    "A symbol of a prompt first joins the symbol before it where `together` has both; then the form (`forms`) of what "
    "is not in `symbols` stands for it, or nothing. A prompt of a word model loses one space at its end.",
    "A word model reads a piece of text as one id where `words` has it, else as the ids of its symbols. The classes of "
    "symbols are 0 space, 1 blank, 2 letter, 3 number, 4 other, 5 ideograph, 7 mark, 8 apostrophe.",
    "Of each id among the last repeat_last_n, read or written, the score is reduced by log(repeat_penalty), by "
    "presence_penalty, and by frequency_penalty for each time that it is among them.",
    "Ids whose digit in barred[group] is 1 are not drawn; group is the digit in `groups` of the latest id. Nor is an "
    "id that would write a run of no_repeat_ngram ids that begins among the last 4096, nor eodId before min_length "
    "units. Where no id is left, the text ends.",
    "Temperature 0 takes the likeliest id, the first of equals. Otherwise the weights are exp((score - best) / "
    "temperature), in double precision.",
    "top_k keeps the k largest weights, top_p the smallest set whose share of the sum reaches it, min_p those of at "
    "least that share of the largest; in this order, and of equals all or none. typical comes last: of what is left it "
    "keeps the ids for which -log(share) is nearest to its mean, as many as reach that share of the sum.",
    "The first id is drawn whose cumulative weight exceeds the random number times the sum.",
    "The random number of token n under a seed is Philox4x32-10 with the counter (low word of n, high word of n, high "
    "word of the seed, 0) and the key (low word of the seed, 0): the first 32 bits of the first word, then the first "
    "21 bits of the second, divided by 2**53.",
    "The text ends before eodId, and after `length` units. An id goes on with the unit of the id before it where that "
    "has a 1 in `continued` and it has a 1 in `continues`.",
]


class StepFile(NamedTuple):
    """A kind of file that holds the step."""

    name: str
    ids: str  # the type of token ids
    batch: str  # how many texts side by side
    write: Callable[[StoredModel, Path], None]
    open: Callable[[bytes], Run]  # what runs such a file's content; raises CannotRunError where that is not installed

    def format(self) -> Format:
        """The export of this file with its description."""
        files = re.compile("|".join(map(re.escape, (self.name, DESCRIPTION))))
        return Format(self.name, files, functools.partial(_write, self), functools.partial(_answer, self))


def states_of(config: ModelConfig) -> list[str]:
    """What goes in beside the token, and comes out as `..._after`."""
    return ["hidden", "memory"] if config.cell == "lstm" else ["hidden"]


def _write(kind: StepFile, model: StoredModel, directory: Path) -> None:
    """Write `model` into the empty `directory`. Raises ExportError or OSError."""
    kind.write(model, directory / kind.name)
    atomic.write_bytes(directory / DESCRIPTION, atomic.to_json_bytes(_description(kind, model)))


def _description(kind: StepFile, model: StoredModel) -> dict[str, Any]:
    config = model.record.model
    state = f"float32 [{kind.batch}, {config.num_layers}, {config.units}]"
    states = states_of(config)
    generator, prompts = open_generator(model), check_prompts(model)
    texts = [
        request_of([prompt], sampling) | {"completion": generator.generate(prompt, sampling)[0].completion}
        for sampling in (simple(config, 40) for config in CHECKED)
        for prompt in prompts
    ]
    return {
        "format": 1,
        "model": shown(model.name),
        "model_sha256": model.sha256,
        "inputs": {"token_id": f"{kind.ids} [{kind.batch}]"}
        | {name: f"{state}, zeros before the first token" for name in states},
        "outputs": {"logits": f"float32 [{kind.batch}, {config.vocabulary_size}], scores of the next token"}
        | {f"{name}_after": f"{state}, to be given as {name} with the next token" for name in states},
        "rules": RULES,
        "document": model_document(model),
        "texts": texts,
    }


class StepEngine:
    """An engine that runs an exported step, for its check."""

    def __init__(self, model: StoredModel, run: Run, ids: str):
        self.model, self.config = model, model.record.model
        self.run, self.ids = run, ids
        self.states = states_of(self.config)

    def in_numpy(self) -> NumpyEngine:
        """See `Engine`."""
        return NumpyEngine(self.config, self.model.weights)

    def read(self, token_ids: np.ndarray, context: Context | None = None) -> Context:
        """See `Engine`."""
        config = self.config
        context = context or Context.empty(config.num_layers, config.units, config.vocabulary_size)
        for token_id in token_ids.tolist():
            inputs = {name: getattr(context, name)[None] for name in self.states}
            outputs = self.run({"token_id": np.array([token_id], self.ids)} | inputs)
            state = {name: outputs[f"{name}_after"][0] for name in self.states}
            recent = np.append(context.recent, np.int32(token_id))
            context = Context(state["hidden"], state.get("memory", context.memory), outputs["logits"][0], recent)
        return context

    def write(
        self,
        context: Context,
        config: SamplingConfig,
        samples: np.ndarray,
        barred: Barred | None = None,
        steering: Steering | None = None,
    ) -> Iterator[np.ndarray]:
        """See `Engine`; of one sample, and without steering."""
        past = Past(context, config, 1, barred)
        for place in itertools.count():
            uniform = uniforms(config.seed, samples, place, 1)[0]
            token_ids = next_ids(context.logits[None], uniform, config.at(place), past.recent, past.barred_ids())
            past.advance(token_ids)
            yield token_ids[None].astype(np.int32)
            context = self.read(token_ids, context)


def _answer(kind: StepFile, model: StoredModel, directory: Path, requests: Requests) -> Answers:
    """Answers of the step in `directory`. Raises CannotRunError where what runs it is not installed."""
    try:
        run = kind.open((directory / kind.name).read_bytes())
    except (CannotRunError, OSError, MemoryError):
        raise
    except Exception as problem:  # the runtimes' own classes, which are not part of their interfaces
        first, *_ = str(problem).split("\n")
        raise ExportError(f"the exported model does not run: {first}") from None
    generator = Generator(model.tokenizer, StepEngine(model, run, kind.ids))
    answers = []
    for request in requests:
        values: dict[str, Any] = {name: request[name] for name in SETTINGS}
        for name in values:
            values[name] = tuple(values[name]) if isinstance(values[name], list) else values[name]
        config = SamplingConfig(**values)
        texts = [generator.generate(prompt, config)[0] for prompt in request["prompt"]]
        completions = [text.completion for text in texts]
        answers.append({"text": [text.prompt + text.completion for text in texts], "completion": completions})
    return answers
