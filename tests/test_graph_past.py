"""What the graph knows of texts, id by id: in a batch of prompts as an export reads them, and as the engine begins.

Every row has to give the scores that `past.py` and `sampling.py` give of that text alone. Any id that is allowed may be
drawn, so no text hides what a model would never write.
"""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf
from conftest import make_stored_model, slow

from textgen.config import SamplingConfig
from textgen.export.module import follower_of
from textgen.export.requests import request_of
from textgen.export.signature import INPUTS, checked_settings
from textgen.generation import ending, graph, graph_past, past
from textgen.generation.barred import Barred
from textgen.generation.graph_ending import Ends, Tally, with_start
from textgen.generation.graph_past import Follower, GraphBarred
from textgen.generation.graph_sampling import rules_of
from textgen.generation.sampling import penalised
from textgen.generation.state import Context
from textgen.tokenizers import CharacterTokenizer, WordTokenizer

SYMBOLS = "\n .aehnt"
CHARACTERS = CharacterTokenizer(SYMBOLS)
TITLES = WordTokenizer(SYMBOLS, [" the", "the", "en", " a"], "\n\n", alone="\n .")
PROMPTS = ["", "the.", "a hen the hen the. at", "\nthe hen.\nthe hen.\nth"]
MODEL = make_stored_model(tokenizer=TITLES)
ENGINE = graph.TensorFlowEngine(MODEL.record.model, MODEL.weights)
NOTHING_READ = Context.empty(ENGINE.config.num_layers, ENGINE.config.units, TITLES.vocabulary_size)
LENGTH, WINDOW = 24, 12  # a text grows beyond the ids that are remembered
CONFIGS = {
    "all": {"repeat_penalty": 1.2, "presence_penalty": 0.3, "frequency_penalty": -0.2}
    | {"no_repeat_ngram": 3, "ban": ("the", "[.n]", "a h"), "min_length": 12},
    "ones": {"no_repeat_ngram": 1},
    "ban": {"ban": ("he", "[^a-t ]", "n t")},
    "least": {"min_length": 9},
}


class Rows:
    """The texts of a batch as NumPy follows them, each by itself."""

    def __init__(self, read: list[np.ndarray], config: SamplingConfig, tokenizer):
        self.config, barred = config, Barred.of(tokenizer, config)
        contexts = [dataclasses.replace(Context.empty(1, 1, 1), recent=ids) for ids in read]
        self.pasts = [past.Past(context, config, 1, barred) for context in contexts]
        self.endings = [ending.Ending(tokenizer, config) for _ in read]

    def are_over(self) -> np.ndarray:
        return np.array([end.is_over for end in self.endings])

    def scores(self, logits: np.ndarray) -> np.ndarray:
        rows = []
        for text, row in zip(self.pasts, logits[:, None].astype(float), strict=True):
            scores = penalised(row, text.recent, self.config) if self.config.penalises else row
            scores[0, np.concatenate(text.barred_ids() or [np.zeros(0, int)])] = -np.inf
            rows.append(scores[0])
        return np.array(rows)

    def advance(self, token_ids: np.ndarray) -> None:
        for text, end, token_id in zip(self.pasts, self.endings, token_ids[:, None], strict=True):
            end.feed(token_id)
            text.advance(token_id)


@pytest.mark.parametrize(("tokenizer", "name"), [slow(CHARACTERS, "all"), *((TITLES, name) for name in CONFIGS)])
def test_each_row_of_a_request_is_followed_as_its_text_is_alone(tokenizer, name, monkeypatch):
    for module in (past, graph_past):
        monkeypatch.setattr(module, "MAX_RECENT", WINDOW)
    config, draw = SamplingConfig(length=LENGTH, repeat_last_n=9, **CONFIGS[name]), np.random.default_rng(0)
    request = {n: tf.constant(v, INPUTS[n].dtype) for n, v in request_of(PROMPTS, config).items() if n != "prompt"}
    follower = follower_of(checked_settings(request), tokenizer)
    token_ids, lengths = with_start(tf.ragged.constant([tokenizer.encode(p).tolist() for p in PROMPTS]), tokenizer)
    known = follower.at_start(len(PROMPTS))
    for place in range(max(lengths.numpy())):
        known = follower.after_some(known, token_ids[:, place], place < lengths)
    rows = Rows([ids[:size] for ids, size in zip(token_ids.numpy(), lengths.numpy(), strict=True)], config, tokenizer)
    ends, tally, rarely = Ends(tokenizer), Tally.at_start(len(PROMPTS)), np.append(np.zeros(follower.num_ids - 1), 3)
    for _ in range(LENGTH + 5):
        logits = draw.normal(size=(len(PROMPTS), follower.num_ids)).astype(np.float32)
        scores, goes_on = rows.scores(logits), ~rows.are_over()
        np.testing.assert_allclose(follower.scores(tf.constant(logits), known)[goes_on], scores[goes_on], rtol=1e-12)
        drawn = np.argmax(scores - rarely + draw.gumbel(size=scores.shape), axis=1)
        drawn = np.where(np.isneginf(scores).all(axis=1), -1, drawn).astype(np.int32)
        rows.advance(drawn)
        known, tally = follower.after(known, tf.constant(drawn)), ends.after(tally, tf.constant(drawn), LENGTH)
        np.testing.assert_array_equal(tally.is_over, rows.are_over())
        np.testing.assert_array_equal(tally.kept, [end.num_tokens for end in rows.endings])


@pytest.mark.parametrize("name", CONFIGS)
def test_the_engine_begins_with_what_a_prompt_leaves(name):
    config = SamplingConfig(repeat_last_n=9, **CONFIGS[name])
    barred = Barred.of(TITLES, config)
    rules, active = rules_of(config)
    rules = {**rules, "repeat_last_n": tf.constant(config.repeat_last_n)}
    follower = Follower(rules, active, GraphBarred.of(barred), TITLES.vocabulary_size, asks=True)
    logits = np.random.default_rng(0).normal(size=(2, follower.num_ids)).astype(np.float32)
    for prompt in PROMPTS:
        read = ending.with_start(TITLES.encode(prompt), TITLES)
        begun = ENGINE._start(dataclasses.replace(NOTHING_READ, recent=read), config, 2, barred).past
        scores = Rows([read] * 2, config, TITLES).scores(logits)
        for known in (begun, graph._with_room(begun, 300) if config.no_repeat_ngram else begun):
            np.testing.assert_allclose(follower.scores(tf.constant(logits), known), scores, rtol=1e-12)
