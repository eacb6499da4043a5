"""Is an export the model? Its texts are compared with those of the NumPy engine.

Two float32 programs differ in their last digits. So a random number that lies within rounding of a boundary may give
another token, and another text from there on. A difference is accepted only where rounding explains it: where logits
that differ by no more than rounding makes them differ give the export's token too.
"""

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from textgen.config import SamplingConfig
from textgen.errors import ExportError
from textgen.export.requests import CHECKED, Answers, Requests, request_of
from textgen.generation.barred import Barred
from textgen.generation.completion import Completion
from textgen.generation.ending import Ending, with_start
from textgen.generation.generator import open_generator
from textgen.generation.numpy_engine import NumpyEngine
from textgen.generation.past import Past
from textgen.generation.philox import uniforms
from textgen.generation.sampling import next_ids
from textgen.store.model_directory import StoredModel

NUM_ROUNDINGS = 8  # how many times the weights are moved to explain a difference
ROUNDING = 2.0**-22  # relative; a float32 product is off by 2**-24, a sum of hundreds by a few times that
MARGIN = 4  # two programs may round to opposite sides, and eight tries do not find the worst
NUM_NEARBY = 256
NUM_PLACES = 8  # a word may begin with another word, so where two texts part is not where their tokens did
UNREADABLE = "\u00df\ufb01\u2603\u00c9"  # sharp s, a ligature, a snowman, an accent: in few vocabularies, or none


@dataclasses.dataclass(frozen=True)
class Checked:
    """What was compared."""

    prompts: int
    characters: int
    differences: int  # texts that part at a token that rounding decides


class Case(NamedTuple):
    """One text, from both sides."""

    config: SamplingConfig
    expected: Completion
    text: str
    completion: str


def check_texts(
    model: StoredModel, answer: Callable[[Requests], Answers], configs: Sequence[SamplingConfig] = ()
) -> Checked:
    """Compare an export's texts with those of the NumPy engine.

    Args:
        answer: asks the export.
        configs: with which settings; without any, with all that an export may have.

    Raises:
        ExportError: a text differs where rounding does not explain it.
    """
    prompts = check_prompts(model)
    configs = configs or CHECKED
    answers = answer([request_of(prompts, config) for config in configs])
    generator = open_generator(model)
    cases = [
        Case(config, generator.generate(prompt, config)[0], text, completion)
        for config, texts in zip(configs, answers, strict=True)
        for prompt, text, completion in zip(prompts, texts["text"], texts["completion"], strict=True)
    ]
    differences = sum(_differs(model, case) for case in cases)
    return Checked(len(cases), sum(len(case.completion) for case in cases), differences)


def check_prompts(model: StoredModel) -> list[str]:
    """Prompts of different lengths in the model's own words, an empty one, and one that it cannot read as it is."""
    words = open_generator(model).generate("", SamplingConfig(length=60, seed=1))[0].completion
    return ["", words[:1], words, words[:10] + UNREADABLE]


def _differs(model: StoredModel, case: Case) -> bool:
    """Whether the texts part, where that is accepted. Raises ExportError where it is not."""
    prompt, expected = case.expected.prompt, case.expected.completion
    if (case.text, case.completion) == (prompt + expected, expected):
        return False
    if case.text != prompt + case.completion or not explained_by_rounding(model, case):
        shared = zip(expected, case.completion, strict=False)
        parted = next((i for i, (ours, theirs) in enumerate(shared) if ours != theirs), len(case.completion))
        raise ExportError(
            f"the exported model writes another text than the model after {parted} characters of {prompt!r}. "
            f"Expected: {expected[parted:][:20]!r}. Received: {case.completion[parted:][:20]!r}"
        )
    return True


def explained_by_rounding(model: StoredModel, case: Case) -> bool:
    """Whether logits that differ by rounding give a token of the exported model's where the texts part."""
    token_ids = expected_ids(model, case)
    num_common, rests = 0, [case.completion]
    while num_common < len(token_ids) and _begins(model, token_ids[num_common], rests[-1]):
        piece = model.tokenizer.pieces[token_ids[num_common]]
        num_common, rests = num_common + 1, [*rests, rests[-1][len(piece) :]]
    places = range(min(num_common, len(token_ids) - 1), max(-1, num_common - NUM_PLACES), -1)
    return any(_explained_at(model, case, token_ids[:place], token_ids[place], rests[place]) for place in places)


def expected_ids(model: StoredModel, case: Case) -> np.ndarray:
    """The ids that the NumPy engine draws, int [T], up to the one that ends the text."""
    generator, ending = open_generator(model), Ending(model.tokenizer, case.config)
    token_ids: list[int] = []
    for block in generator.blocks(generator.read(case.expected.prompt), case.config, np.array([0])):
        token_ids += block[:, 0].tolist()
        ending.feed(block[:, 0])
        if ending.is_over:
            break
    return np.array(token_ids)


def _begins(model: StoredModel, token_id: int, rest: str) -> bool:
    """Whether a text that goes on with `rest` may have gone on with this token; only the end of a document ends it."""
    if token_id in (model.tokenizer.eod_id, -1):
        return not rest
    return bool(rest) and rest.startswith(model.tokenizer.pieces[token_id])


def _explained_at(model: StoredModel, case: Case, before: np.ndarray, expected: int, rest: str) -> bool:
    """Whether rounding may give a token that `rest` begins with after `before`, int [T], was written, and another one
    than `expected`, which the NumPy engine drew."""
    tokenizer = model.tokenizer
    received = [token_id for token_id in range(tokenizer.vocabulary_size) if _begins(model, token_id, rest)]
    ending = Ending(tokenizer, case.config)
    ending.feed(before)
    if not rest and ending.units == case.config.length:  # tokens that would begin a unit too many end the text as well
        received += np.flatnonzero(~tokenizer.continues).tolist()
    prompt = with_start(tokenizer.encode(case.expected.prompt), tokenizer)
    uniform = uniforms(case.config.seed, np.array([0]), len(before), 1)[0]
    nearby = _logits_nearby(model, np.concatenate([prompt, before]).astype(np.int32))  # [NUM_NEARBY, V]
    context = NumpyEngine(model.record.model, model.weights).read(prompt)
    past = Past(context, case.config, 1, Barred.of(tokenizer, case.config))
    for token_id in before:
        past.advance(np.array([token_id]))
    recent, barred = np.repeat(past.recent, len(nearby), axis=0), past.barred_ids()
    rows = None if barred is None else barred * len(nearby)
    drawn = next_ids(nearby, np.repeat(uniform, len(nearby)), case.config.at(len(before)), recent, rows)
    return bool((np.isin(drawn, received) & (drawn != expected)).any())


def _logits_nearby(model: StoredModel, token_ids: np.ndarray) -> np.ndarray:
    """Logits that another program may compute after `token_ids`, float64 [NUM_NEARBY, V].

    How far they may lie is measured on the model itself, by moving its weights. A calm model keeps a rounding small, a
    chaotic one (a plain RNN with large weights, say) lets it grow from token to token.
    """
    random = np.random.default_rng(0)
    logits = NumpyEngine(model.record.model, model.weights).read(token_ids).logits.astype(np.float64)
    distance = max(np.abs(moved - logits).max() for moved in _roundings(model, token_ids, random))
    return logits + random.uniform(-MARGIN * distance, MARGIN * distance, (NUM_NEARBY, len(logits)))


def _roundings(model: StoredModel, token_ids: np.ndarray, random: np.random.Generator) -> Iterator[np.ndarray]:
    """Logits after `token_ids`, float32 [V], of the model with its weights moved by rounding, NUM_ROUNDINGS times."""
    for _ in range(NUM_ROUNDINGS):
        moved = {
            name: (value * (1 + ROUNDING * random.uniform(-1, 1, value.shape))).astype(np.float32)
            for name, value in model.weights.items()
        }
        yield NumpyEngine(model.record.model, moved).read(token_ids).logits
