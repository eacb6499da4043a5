"""The rules of drawing as a page has them, run by Node, against those of the NumPy engine.

Filters are compared on weights whose sums are not rounded: what lies on a boundary has to be decided alike.
"""

import json
import shutil
import subprocess

import numpy as np
import pytest

from textgen.config import FILTERS, SamplingConfig
from textgen.generation.ending import Ending
from textgen.generation.filters import KEEP
from textgen.generation.past import Runs
from textgen.generation.philox import uniforms
from textgen.generation.sampling import next_ids, penalised
from textgen.generation.state import MAX_RECENT
from textgen.pages.template import asset
from textgen.tokenizers import WordTokenizer
from textgen.tokenizers.word_pieces import MAX_PIECE

pytestmark = pytest.mark.skipif(shutil.which("node") is None, reason="Node is not installed")

SCRIPT = """
const read = (values) => Float64Array.from(values, (value) => value ?? -Infinity);
const written = (values) => Array.from(values, (value) => (value === -Infinity ? null : value));
const ANSWERS = {
  uniform: (seed, place) => uniform(BigInt(seed), place),
  filter: (name, weights, number) => written(FILTERS[name](read(weights), number)),
  draw: (scores, number, settings) => draw(read(scores), number, settings),
  lower(scores, ids, settings) {
    const lowered = read(scores);
    lower(lowered, ids, settings);
    return written(lowered);
  },
  ending({ continued, ...model }, length, ids) {
    const ending = new Ending({ model, leavesOpen: (id) => continued[id] === "1" }, length);
    const told = (id) => [ending.feed(id), ending.reason, ending.tokensLeft, ending.isOpen];
    return ids.flatMap((id) => (ending.reason ? [] : [told(id)]));
  },
};
const asked = JSON.parse(require("node:fs").readFileSync(0, "utf8"));
process.stdout.write(JSON.stringify(asked.map(([kind, ...values]) => ANSWERS[kind](...values))));
"""


def answers(questions: list[list]) -> list:
    script = f"const MAX_PIECE = {MAX_PIECE};" + asset("sampling.js") + SCRIPT
    done = subprocess.run(
        ["node", "-e", script], input=json.dumps(questions), capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


def as_json(scores: np.ndarray) -> list:
    return [None if score == -np.inf else score for score in scores.tolist()]


def test_its_random_numbers_are_those_of_philox():
    asked = [(seed, place) for seed in (0, 1, 2**40 + 3, 2**63 - 1) for place in (0, 1, 255, 2**40 + 3)]
    expected = [uniforms(seed, np.array([0]), place, 1)[0, 0] for seed, place in asked]
    assert answers([["uniform", str(seed), place] for seed, place in asked]) == expected


def test_a_filter_keeps_what_numpy_keeps_at_its_boundaries_too():
    random, questions, expected = np.random.default_rng(0), [], []
    for _ in range(200):
        weights = random.multinomial(64, random.dirichlet(np.ones(6))) / 64.0
        numbers = {"top_k": random.integers(1, 9), "top_p": random.integers(1, 64) / 64}
        numbers |= {"min_p": random.integers(1, 64) / 64, "typical": random.integers(1, 64) / 64}
        for name in FILTERS:
            questions.append(["filter", name, weights.tolist(), numbers[name].item()])
            expected.append(KEEP[name](weights[None], numbers[name])[0].tolist())
    for number in range(1, 13):  # of two sides that are as near both stay, however their distances are rounded
        questions.append(["filter", "typical", [number, *[1] * number], 0.1])
        expected.append([number, *[1] * number])
    assert answers(questions) == expected


def test_an_id_is_drawn_as_numpy_draws_it_by_all_rules_in_their_order():
    random, questions, expected = np.random.default_rng(0), [], []
    for _ in range(400):
        scores = np.log(random.integers(0, 9, 8) + 1e-3)
        scores[random.random(8) < random.choice([0.3, 1.0], p=[0.9, 0.1])] = -np.inf
        numbers = {"temperature": random.choice([0, 0.5, 1, 2.5]), "top_k": random.choice([0, 3, 5])}
        numbers |= {
            "top_p": random.choice([1, 0.6]),
            "min_p": random.choice([0, 0.3]),
            "typical": random.choice([1, 0.6]),
        }
        uniform, config = random.choice([0, random.random(), 1 - 2**-53]), SamplingConfig(**numbers)
        questions.append(["draw", as_json(scores), uniform, {name: getattr(config, name) for name in numbers}])
        barred = [np.flatnonzero(scores == -np.inf)]
        expected += next_ids(scores[None], np.array([uniform]), config, np.zeros((1, 0), int), barred).tolist()
    assert answers(questions) == expected


def test_recent_ids_and_runs_cost_what_they_cost_in_numpy():
    random, questions, expected = np.random.default_rng(0), [], []
    # The run "7 8" begins with the earliest id that still counts, or with the one before it.
    long = [[7, 8, *[1] * (size - 3), 7] for size in (MAX_RECENT, MAX_RECENT + 1)]
    for ids in (*long, *(random.integers(0, 4, random.integers(0, 14)).tolist() for _ in range(40))):
        config = SamplingConfig(
            repeat_penalty=random.choice([1, 1.5]),
            presence_penalty=random.choice([0, 0.5]),
            frequency_penalty=random.choice([0, 0.25]),
            repeat_last_n=random.integers(1, 9),
            no_repeat_ngram=2 if ids[-1:] == [7] else random.integers(0, 4),
        )
        scores = random.normal(size=9)
        names = ("repeat_penalty", "presence_penalty", "frequency_penalty", "repeat_last_n", "no_repeat_ngram")
        questions.append(["lower", scores.tolist(), ids, {name: float(getattr(config, name)) for name in names}])
        lowered = penalised(scores[None], np.array([ids[-config.repeat_last_n :]], int), config)[0]
        if config.no_repeat_ngram:
            lowered[Runs(config.no_repeat_ngram, np.array(ids, int)).repeating()] = -np.inf
        expected.append(as_json(lowered))
    assert answers(questions) == expected


def test_a_text_ends_where_it_ends_in_python():
    """Any ids may come, so that words are spelled, which a page never does."""
    random, questions, expected = np.random.default_rng(0), [], []
    tokenizer = WordTokenizer(" .13ab", [" ab", "13"], "\n\n")
    digits = {name: "".join(map(str, getattr(tokenizer, name).astype(int))) for name in ("continues", "continued")}
    model = {"eodId": tokenizer.eod_id} | digits
    spelled = [tokenizer.pieces.index("a")] * 3 * MAX_PIECE
    for ids in (spelled, *(random.integers(-1, tokenizer.vocabulary_size, 30).tolist() for _ in range(60))):
        length = int(random.integers(1, 9)) if ids is not spelled else 2
        questions.append(["ending", model, length, ids])
        ending, told = Ending(tokenizer, SamplingConfig(length=length)), []
        for token_id in ids:
            before = ending.num_tokens
            ending.feed(np.array([token_id]))
            left = length * MAX_PIECE - ending.num_tokens
            told.append([ending.num_tokens > before, ending.reason, left, bool(ending._is_open)])
            if ending.is_over:
                break
        expected.append(told)
    assert answers(questions) == expected
