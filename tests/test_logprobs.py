"""How likely each token was: against float64, against the figures of `evaluate`, and in the forms that a user sees."""

import json

import numpy as np
import pytest
from click.testing import CliRunner
from conftest import ALPHABET, make_stored_model, make_word_tokenizer, slow, write_stored_model
from reference_model import ReferenceModel

from textgen.cli.sample import sample
from textgen.config import SamplingConfig
from textgen.errors import SettingError
from textgen.evaluation.one_pass import nats_of_tokens
from textgen.generation.ending import with_start
from textgen.generation.engines import ENGINES, open_engine
from textgen.generation.generator import open_generator
from textgen.tokenizers import CharacterTokenizer

TOKENIZERS = {
    "characters": CharacterTokenizer(ALPHABET),
    "words": make_word_tokenizer(),
    "documents": CharacterTokenizer(ALPHABET, "\n\n"),
    "documents of words": make_word_tokenizer("\n\n"),
}
CONFIG = SamplingConfig(length=40, seed=3, temperature=1.3, top_k=9, repeat_penalty=1.3, no_repeat_ngram=4)


@pytest.mark.parametrize(
    ("name", "engine"), [*((n, "numpy") for n in TOKENIZERS), *(slow(n, "tensorflow") for n in ("documents", "words"))]
)
def test_probabilities_are_the_models_own_and_the_figures_of_evaluate(name, engine):
    model = make_stored_model(tokenizer=TOKENIZERS[name], seed=5)
    generator, reference = open_generator(model, engine), ReferenceModel(model.record.model, model.weights)
    pieces = list(model.tokenizer.pieces)
    if model.tokenizer.eod_id is not None:
        pieces[model.tokenizer.eod_id] = model.tokenizer.document_separator
    config = CONFIG.replace(ignore_eod=True)
    for completion in generator.generate("the cat", config, 3, logprobs=4):
        tokens = completion.logprobs
        assert "".join(token.piece for token in tokens) == completion.completion
        prompt = with_start(model.tokenizer.encode("the cat"), model.tokenizer)
        written = np.array([pieces.index(token.piece) for token in tokens])
        token_ids = np.concatenate([prompt, written])
        logits, _ = reference.read(token_ids[:-1])
        expected = logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
        for row, token_id, token in zip(expected[len(prompt) - 1 :], written, tokens, strict=True):
            assert token.logprob == pytest.approx(row[token_id], abs=1e-4)
            row[token_id] = -np.inf
            best = np.argsort(-row, kind="stable")[:4]
            assert [value for _, value in token.others] == pytest.approx(row[best].tolist(), abs=1e-4)
            assert [piece for piece, _ in token.others] == [pieces[i] for i in best]
        nats, _ = nats_of_tokens(token_ids, generator.engine.in_numpy())
        assert [-token.logprob for token in tokens] == pytest.approx(nats[-len(tokens) :].tolist(), abs=1e-4)


def test_the_tensorflow_engine_tells_what_the_numpy_engine_tells(stored_model):
    numpy, tensorflow = (open_engine(stored_model, engine).in_numpy() for engine in ENGINES)
    token_ids = np.arange(9)
    np.testing.assert_array_equal(numpy.read(token_ids).logits, tensorflow.read(token_ids).logits)


def test_no_others_all_others_and_other_settings_change_neither_text_nor_probability(stored_model):
    generator = open_generator(stored_model)
    text = generator.generate("the", CONFIG)[0]
    found = {number: generator.generate("the", CONFIG, logprobs=number)[0] for number in (0, 1, 29, 10**9)}
    assert {completion.completion for completion in found.values()} == {text.completion}
    assert all(token.others == () for token in found[0].logprobs)
    assert found[29].logprobs == found[10**9].logprobs
    for token in found[29].logprobs:
        assert sorted([token.piece, *(piece for piece, _ in token.others)]) == sorted(ALPHABET)
        assert sum(np.exp([token.logprob, *(value for _, value in token.others)])) == pytest.approx(1)
        assert list(token.others) == sorted(token.others, key=lambda other: -other[1])
    with pytest.raises(SettingError, match="`logprobs` must be at least 0"):
        generator.generate("the", CONFIG, logprobs=-1)


@pytest.mark.parametrize("name", TOKENIZERS)
def test_tokens_that_are_not_shown_are_not_told_and_streaming_tells_the_same(name):
    model = make_stored_model(tokenizer=TOKENIZERS[name], seed=5)
    generator = open_generator(model)
    whole = generator.generate("the", CONFIG.replace(ignore_eod=True))[0].completion
    for stop in (whole[8:10], whole[9], whole[5:20]):
        for changes in ({"stop": (stop,)}, {"stop": (stop,), "min_length": 4}, {"length": 6}, {}):
            config = CONFIG.replace(**changes)
            completion = generator.generate("the", config, logprobs=2)[0]
            told = "".join(token.piece for token in completion.logprobs)
            assert completion.completion.startswith(told)
            assert "words" in name or told == completion.completion
            context = generator.read(generator.readable_prompt("the"))
            streamed = list(generator.score(context, config, 2))
            assert [token.piece for token in streamed] == [token.piece for token in completion.logprobs]
            assert [t.logprob for t in streamed] == pytest.approx([t.logprob for t in completion.logprobs], abs=1e-4)


def sampled(*arguments: str) -> str:
    result = CliRunner().invoke(sample, ["tiny", "-n", "5", "-p", "the", *arguments])
    if result.exception is not None:
        raise result.exception
    return result.stdout


@pytest.fixture
def tiny(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model = make_stored_model()
    write_stored_model(tmp_path / "saved_models", model)
    return model


def test_the_table_has_a_line_a_token_and_json_the_numbers_behind_it(tiny):
    document = json.loads(sampled("--json", "--logprobs", "3"))
    lines = sampled("--logprobs", "3").splitlines()
    assert len(lines) == len(document["logprobs"]) == 5
    for line, token in zip(lines, document["logprobs"], strict=True):
        shares = [f"{p!r} {100 * np.exp(v):.1f}%" for p, v in token["others"]]
        assert line == f"{token['piece']!r:<14} {100 * np.exp(token['logprob']):>6.1f}%   " + "  ".join(shares)
    several = sampled("--logprobs", "0", "--num-samples", "2").split("\n---\n")
    assert [len(text.splitlines()) for text in several] == [5, 5]
    documents = json.loads(sampled("--json", "--num-samples", "2", "--logprobs", "0"))
    for text, found in zip(several, documents, strict=True):
        assert "".join(eval(line[: line.rindex(" ")]) for line in text.splitlines()) == found["completion"]
    assert "logprobs" not in json.loads(sampled("--json"))


@pytest.mark.parametrize("with_others", [["--mark-copied", "--corpus", "x"], ["--color"]])
def test_forms_that_do_not_go_together_are_one_line(tiny, with_others):
    with pytest.raises(SettingError, match="Leave out"):
        sampled("--logprobs", "1", *with_others)
