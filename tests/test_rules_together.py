"""All rules of drawing at once: both engines and the exported graph write one text, and no promise of a rule is broken.

The promises are read off the texts, not off the code: what is banned does not stand there, no run comes twice.
"""

import functools
import re

import numpy as np
import pytest
import tensorflow as tf
from conftest import make_stored_model, slow

from textgen.config import SamplingConfig
from textgen.errors import SettingError
from textgen.export.check import Case, explained_by_rounding
from textgen.export.module import TextModule
from textgen.export.requests import request_of
from textgen.export.signature import INPUTS
from textgen.generation.ending import Ending, with_start
from textgen.generation.generator import open_generator
from textgen.store.model_directory import StoredModel
from textgen.tokenizers import CharacterTokenizer, WordTokenizer

SYMBOLS = "\n .EHTaehinrt"
WORDS = [" the", " he", "the", " in", "in", " tea", "The", " hen", " rain"]
TOKENIZERS = {
    "characters": CharacterTokenizer(SYMBOLS),
    "words": WordTokenizer(SYMBOLS, WORDS, alone=SYMBOLS),
    "documents": CharacterTokenizer(SYMBOLS, "\n\n"),
    "titles": WordTokenizer(SYMBOLS, WORDS, "\n\n", alone=SYMBOLS),
}
IN_GRAPHS = ["titles", *map(slow, ("characters", "words", "documents"))]  # a graph takes seconds
PLAIN = SamplingConfig(length=60, temperature=1.0)
ALL = PLAIN.replace(
    seed=2**40 + 1,
    temperature=(1.3, 0.0, 0.7),
    repeat_penalty=1.2,
    presence_penalty=0.3,
    frequency_penalty=-0.2,
    repeat_last_n=9,
    no_repeat_ngram=3,
    ban=("the", "[.i]", "Hen"),
    min_length=40,
    top_k=9,
    top_p=0.95,
    min_p=0.01,
    typical=0.9,
)
CONFIGS = {
    "all": ALL,
    "penalties": PLAIN.replace(presence_penalty=1.5, frequency_penalty=0.7, repeat_last_n=5),
    "runs": PLAIN.replace(no_repeat_ngram=2, seed=3),
    "ones": PLAIN.replace(no_repeat_ngram=1, seed=4),
    "ban": PLAIN.replace(ban=("th", "[^a-z ]", "e n"), seed=5),
    "least": PLAIN.replace(min_length=50, seed=6),
}
PROMPTS = ["", "the rain in t", "tHe\nhe"]


@functools.cache
def made(name: str) -> tuple[StoredModel, TextModule]:
    model = make_stored_model("rnn", seed=2, tokenizer=TOKENIZERS[name], num_layers=1)
    return model, TextModule(model)


def exported(name: str, prompts: list[str], config: SamplingConfig) -> list[str]:
    """What the graph of the export writes."""
    values = request_of(prompts, config)
    answer = made(name)[1].generate(**{name: tf.constant(v, INPUTS[name].dtype) for name, v in values.items()})
    return [text.decode() for text in answer["completion"].numpy()]


def ids_of(model: StoredModel, prompt: str, config: SamplingConfig) -> tuple[list[int], list[int]]:
    """What the model reads, and what it draws up to the end of the text."""
    generator, ending, drawn = open_generator(model), Ending(model.tokenizer, config), []
    read = with_start(model.tokenizer.encode(prompt), model.tokenizer)
    for block in generator.blocks(generator.engine.read(read), config, np.array([0])):
        ending.feed(block[:, 0])
        if ending.is_over and ending.reason != "length":
            return read.tolist(), drawn
        drawn += block[:, 0].tolist()
        if ending.is_over:
            return read.tolist(), drawn


@pytest.mark.parametrize("name", IN_GRAPHS)
def test_the_exported_graph_writes_the_numpy_engines_text_under_all_rules(name):
    model = made(name)[0]
    for config in CONFIGS.values():
        for prompt, completion in zip(PROMPTS, exported(name, PROMPTS, config), strict=True):
            expected = open_generator(model).generate(prompt, config)[0]
            if completion != expected.completion:
                assert explained_by_rounding(model, Case(config, expected, prompt + completion, completion))


@pytest.mark.slow
@pytest.mark.parametrize("name", TOKENIZERS)
@pytest.mark.parametrize("rules", CONFIGS)
def test_the_tensorflow_engine_writes_the_numpy_engines_texts_under_all_rules(name, rules):
    model, config = made(name)[0], CONFIGS[rules]
    numpy, graph = (open_generator(model, engine) for engine in ("numpy", "tensorflow"))
    for expected, received in zip(*(g.generate(PROMPTS[1], config, 3) for g in (numpy, graph)), strict=True):
        if expected.sample == 0 and received != expected:
            case = Case(config, expected, received.prompt + received.completion, received.completion)
            assert explained_by_rounding(model, case)
    assert graph.generate(PROMPTS[1], config, 3)[0].finish_reason


@pytest.mark.parametrize("name", TOKENIZERS)
@pytest.mark.parametrize("seed", range(3))
def test_what_the_rules_promise_holds_in_every_text(name, seed):
    model = made(name)[0]
    for prompt in PROMPTS:
        text = open_generator(model).generate(prompt, ALL.replace(seed=seed))[0]
        assert not re.search("the|[.i]", text.completion, re.IGNORECASE)
        assert "Hen" not in text.completion
        if prompt.endswith("t"):
            assert not text.completion.lower().startswith("he")  # it would complete what the prompt began
        for size in (1, 2, 4):
            read, drawn = ids_of(model, prompt, PLAIN.replace(no_repeat_ngram=size, seed=seed))
            both = read + drawn
            runs = [tuple(both[i : i + size]) for i in range(len(both) - size + 1)]
            assert len(set(runs[len(read) :])) == len(runs[len(read) :])
            assert not set(runs[max(0, len(read) - size + 1) :]) & set(runs[: max(0, len(read) - size + 1)])
        least = PLAIN.replace(min_length=50, seed=seed, stop=("e", " "))
        text = open_generator(model).generate(prompt, least)[0]
        _, drawn = ids_of(model, prompt, least.replace(stop=()))
        ending = Ending(model.tokenizer, least.replace(stop=()))
        ending.feed(np.array(drawn))
        assert ending.units >= 50
        assert len(text.completion) >= 50


def test_a_text_ends_where_no_token_may_follow():
    model = made("characters")[0]
    config = PLAIN.replace(no_repeat_ngram=1)
    text = open_generator(model).generate("the", config)[0]
    assert text.finish_reason == "nothing"
    assert sorted(text.completion + "the") == sorted(SYMBOLS)
    text = open_generator(made("titles")[0]).generate("the", config)[0]
    assert text.finish_reason in ("nothing", "document")
    assert exported("titles", ["the"], config) == [text.completion]


@pytest.mark.slow
def test_a_text_ends_in_every_graph_where_no_token_may_follow():
    model, config = made("characters")[0], PLAIN.replace(no_repeat_ngram=1)
    text, graph = (open_generator(model, engine).generate("the", config)[0] for engine in ("numpy", "tensorflow"))
    assert exported("characters", ["the"], config) == [text.completion] == [graph.completion]
    assert text.finish_reason == graph.finish_reason == "nothing"


@pytest.mark.parametrize("name", TOKENIZERS)
@pytest.mark.parametrize("ban", [("[^#]",), tuple(SYMBOLS), ("[\n-z]",)])
def test_a_ban_that_leaves_nothing_is_refused_in_one_line(name, ban):
    with pytest.raises(SettingError, match="`ban` leaves nothing that the model could write"):
        open_generator(made(name)[0]).generate("the", PLAIN.replace(ban=ban))
    if name == "titles":
        assert exported(name, ["the"], PLAIN.replace(ban=ban)) == [""]


@pytest.mark.parametrize("name", IN_GRAPHS)
def test_neutral_settings_and_a_ban_of_what_is_unknown_change_no_bit(name):
    model = made(name)[0]
    plain = [open_generator(model).generate("the", PLAIN, 4), exported(name, ["the"], PLAIN)]
    for changes in ({"ban": ("#", "\u00c9", "[#%]")}, {"temperature": (1.0, 1.0)}, {"no_repeat_ngram": 60}):
        config = PLAIN.replace(**changes)
        assert [open_generator(model).generate("the", config, 4), exported(name, ["the"], config)] == plain
