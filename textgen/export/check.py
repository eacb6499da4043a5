"""Is the exported model the model? It is reloaded in a fresh process, and its texts are compared with NumPy's.

What goes in: the stored model and the SavedModel's directory. What comes out: what was compared, or an ExportError.

Two float32 programs differ in their last digits, so a uniform number that lies within rounding of a boundary may give
another token, and another text from there on. A difference is accepted only where rounding explains it: where logits
that differ by no more than rounding makes them differ give the exported model's token too.
"""

import dataclasses
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from textgen.config import SamplingConfig
from textgen.errors import ExportError
from textgen.export import reader
from textgen.generation.ending import Ending
from textgen.generation.generator import Completion, barred_ids, open_generator
from textgen.generation.numpy_engine import NumpyEngine
from textgen.generation.philox import uniforms
from textgen.generation.sampling import next_ids
from textgen.model_store import StoredModel

LENGTH = 200  # characters, or words, of each text
TIMEOUT_SECONDS = 600
NUM_ROUNDINGS = 8  # how many times the weights are moved to explain a difference
ROUNDING = 2.0**-22  # relative; a float32 product is off by 2**-24, a sum of hundreds by a few times that
MARGIN = 4  # two programs may round to opposite sides, and eight tries do not find the worst
NUM_NEARBY = 256
NUM_PLACES = 8  # a word may begin with another word, so where two texts part is not where their tokens did
UNREADABLE = "\u00df\ufb01\u2603\u00c9"  # sharp s, a ligature, a snowman, an accent: in few vocabularies, or none

# A plain draw, every filter at once with a seed of more than 32 bits, and the likeliest.
SETTINGS = (
    SamplingConfig(length=LENGTH, temperature=0.8, seed=0),
    SamplingConfig(length=LENGTH, temperature=1.0, top_k=12, top_p=0.9, min_p=0.02, seed=2**40 + 1),
    SamplingConfig(length=LENGTH, temperature=0.0),
)
SIGNATURE_SETTINGS = ("length", "temperature", "top_k", "top_p", "min_p", "seed")


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


def check_texts(model: StoredModel, saved_model_dir: Path) -> Checked:
    """Compare the exported model's texts with the NumPy engine's.

    Raises:
        ExportError: it does not load or run, or a text differs where rounding does not explain it.
    """
    prompts = check_prompts(model)
    requests = [request_of(prompts, config) for config in SETTINGS]
    answers = run_exported(saved_model_dir, requests, with_tensorflow_text=model.tokenizer.normalize != "none")
    generator = open_generator(model)
    cases = [
        Case(config, generator.generate(prompt, config)[0], text, completion)
        for config, answer in zip(SETTINGS, answers, strict=True)
        for prompt, text, completion in zip(prompts, answer["text"], answer["completion"], strict=True)
    ]
    differences = sum(_differs(model, case) for case in cases)
    return Checked(len(cases), sum(len(case.completion) for case in cases), differences)


def check_prompts(model: StoredModel) -> list[str]:
    """Prompts of different lengths in the model's own words, an empty one, and one that it cannot read as it is."""
    words = open_generator(model).generate("", SamplingConfig(length=60, seed=1))[0].completion
    return ["", words[:1], words, words[:10] + UNREADABLE]


def request_of(prompts: list[str], config: SamplingConfig) -> dict[str, Any]:
    """The inputs of `serving_default` for `prompts` under `config`."""
    return {"prompt": prompts, **{name: getattr(config, name) for name in SIGNATURE_SETTINGS}}


def run_exported(
    saved_model_dir: Path, requests: list[dict[str, Any]], *, with_tensorflow_text: bool = False
) -> list[dict[str, list[str]]]:
    """Answers of the exported model, loaded in a fresh process on the CPU that cannot import textgen, nor, unless it is
    asked for, tensorflow_text.

    Raises:
        ExportError: with the process's last words.
    """
    # -I: neither the working directory nor PYTHONPATH is searched for modules.
    packages = ["tensorflow_text"] if with_tensorflow_text else []
    command = [sys.executable, "-I", reader.__file__, str(saved_model_dir), *packages]
    environment = os.environ | {"CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "3"}
    try:
        done = subprocess.run(
            command,
            input=json.dumps(requests),
            env=environment,
            capture_output=True,
            text=True,
            encoding="utf-8",
            errors="replace",
            timeout=TIMEOUT_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise ExportError(f"the exported model gave no text within {TIMEOUT_SECONDS} seconds") from None
    if done.returncode != 0:
        last_words = [line for line in done.stderr.splitlines() if line.strip()][-1:]
        raise ExportError(f"the exported model does not run: {''.join(last_words) or done.returncode}")
    return json.loads(done.stdout.splitlines()[-1])


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
    for block in generator.engine.write(generator.read(case.expected.prompt), case.config, np.array([0])):
        token_ids += block[:, 0].tolist()
        ending.feed(block[:, 0])
        if ending.is_over:
            break
    return np.array(token_ids)


def _begins(model: StoredModel, token_id: int, rest: str) -> bool:
    """Whether a text that goes on with `rest` may have gone on with this token; only the end of a document ends it."""
    if token_id == model.tokenizer.eod_id:
        return not rest
    return bool(rest) and rest.startswith(model.tokenizer.pieces[token_id])


def _begins_anew(model: StoredModel, case: Case, before: np.ndarray) -> np.ndarray:
    """Tokens that end a text of which `before` was written, because they would begin a unit too many."""
    is_full = model.tokenizer.count_units(before).sum() == case.config.length
    return np.flatnonzero(~model.tokenizer.continues) if is_full else np.zeros(0, int)


def _explained_at(model: StoredModel, case: Case, before: np.ndarray, expected: int, rest: str) -> bool:
    """Whether rounding may give a token that `rest` begins with, after `before`, int [T], was written; another one than
    `expected`, which the NumPy engine drew."""
    tokenizer, prompt = model.tokenizer, case.expected.prompt
    received = {token_id for token_id in range(tokenizer.vocabulary_size) if _begins(model, token_id, rest)}
    if not rest:
        received |= {*_begins_anew(model, case, before).tolist()}
    received = sorted(received - {int(expected)})
    read = np.concatenate([tokenizer.encode(prompt), before]).astype(np.int32)
    if not prompt or tokenizer.eod_id is not None:
        read = np.concatenate([[tokenizer.start_id], read])
    uniform = uniforms(case.config.seed, np.array([0]), len(before), 1)[0]
    nearby = _logits_nearby(model, read)  # [NUM_NEARBY, V]
    recent = np.zeros((len(nearby), 0), int)  # there is no repeat penalty in the signature
    barred = barred_ids(tokenizer, case.config)
    drawn = next_ids(nearby, np.repeat(uniform, len(nearby)), case.config, recent, barred)
    return bool(np.isin(drawn, received).any())


def _logits_nearby(model: StoredModel, token_ids: np.ndarray) -> np.ndarray:
    """Logits that another program may compute after `token_ids`, float64 [NUM_NEARBY, V].

    How far they may lie is measured on the model itself, by moving its weights: a calm one keeps a rounding as small as
    it is, a chaotic one (a plain RNN with large weights, say) lets it grow from token to token.
    """
    random = np.random.default_rng(0)
    logits = NumpyEngine(model.record.model, model.weights).read(token_ids).logits.astype(np.float64)
    distance = max(np.abs(moved - logits).max() for moved in _roundings(model, token_ids, random))
    return logits + random.uniform(-MARGIN * distance, MARGIN * distance, (NUM_NEARBY, len(logits)))


def _roundings(model: StoredModel, token_ids: np.ndarray, random: np.random.Generator) -> Iterator[np.ndarray]:
    """Logits after `token_ids`, float32 [V], of the model with its weights moved by rounding, again and again."""
    for _ in range(NUM_ROUNDINGS):
        moved = {
            name: (value * (1 + ROUNDING * random.uniform(-1, 1, value.shape))).astype(np.float32)
            for name, value in model.weights.items()
        }
        yield NumpyEngine(model.record.model, moved).read(token_ids).logits
