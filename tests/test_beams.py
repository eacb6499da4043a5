"""The likeliest text: against all texts that there are, and against the likeliest token again and again."""

import itertools
import json

import numpy as np
import pytest
from click.testing import CliRunner
from conftest import ALPHABET, make_stored_model, make_word_tokenizer, write_stored_model

from textgen.cli.repl import repl
from textgen.cli.sample import sample
from textgen.config import SamplingConfig
from textgen.errors import SettingError
from textgen.generation.barred import Barred
from textgen.generation.beams import beam_search
from textgen.generation.ending import Ending
from textgen.generation.generator import open_generator
from textgen.generation.logprobs import log_softmax
from textgen.generation.past import Past
from textgen.generation.sampling import penalised
from textgen.tokenizers import CharacterTokenizer

GREEDY = SamplingConfig(length=30, temperature=0)
TOKENIZERS = {
    "characters": CharacterTokenizer(ALPHABET),
    "words": make_word_tokenizer(),
    "documents": CharacterTokenizer(ALPHABET, "\n\n"),
}
RULES = {
    "plain": {},
    "penalties": {"repeat_penalty": 1.5, "presence_penalty": 0.4, "frequency_penalty": 0.3, "repeat_last_n": 7},
    "gains": {"repeat_penalty": 0.6, "presence_penalty": -0.8, "frequency_penalty": -0.5, "repeat_last_n": 7},
    "bans": {"ban": ("e", "t[h]", "[xyz]"), "no_repeat_ngram": 2},
    "ends": {"stop": ("a", "s "), "min_length": 3},
}


def best_of_all(generator, context, config: SamplingConfig) -> tuple[float, str]:
    """The score and the text of the best that ends, among all texts, tried one by one."""
    tokenizer, engine = generator.tokenizer, generator.engine
    barred, found = Barred.of(tokenizer, config), []

    def go_on(context, past, score, text, ending):
        scores = log_softmax(context.logits[None])
        scores = penalised(scores, past.recent, config) if config.penalises else scores
        for ids in past.barred_ids() or []:
            scores[0, ids] = -np.inf
        possible = np.flatnonzero(scores[0] > -np.inf).tolist()
        if not possible:
            found.append((score, text + ending.fork().finish()))
        for token_id in possible:
            after, longer = ending.fork(), past.rows(np.array([0]))
            shown, reached = text + after.feed(np.array([token_id])), score + scores[0, token_id]
            if after.is_over:
                found.append((reached, shown + after.finish()))
                continue
            longer.advance(np.array([token_id]))
            go_on(engine.read(np.array([token_id], np.int32), context), longer, reached, shown, after)

    go_on(context, Past(context, config, 1, barred), 0.0, "", Ending(tokenizer, config))
    return max(found)


@pytest.mark.parametrize("rules", RULES)
@pytest.mark.parametrize("separator", [None, "\n\n"])
def test_a_beam_that_is_wide_enough_finds_the_best_text_of_all(rules, separator):
    for seed in range(2):
        model = make_stored_model(tokenizer=CharacterTokenizer(" aest", separator), seed=seed, units=4, num_layers=1)
        generator = open_generator(model)
        context = generator.read("as")
        config = GREEDY.replace(length=3, beams=200, **RULES[rules] | {"ban": RULES[rules].get("ban", ())[:1]})
        assert generator.generate("as", config)[0].completion == best_of_all(generator, context, config)[1]


def test_wider_beams_find_likelier_texts_and_other_texts_than_the_likeliest_tokens():
    totals = np.zeros(3)
    for seed in range(3):
        generator = open_generator(make_stored_model(seed=seed, cell="rnn"))
        for place, beams in enumerate((1, 3, 40)):
            tokens = generator.generate("the", GREEDY.replace(beams=beams), logprobs=0)[0].logprobs
            totals[place] += sum(token.logprob for token in tokens)
    assert totals[0] < totals[1] - 1 < totals[2] - 2


@pytest.mark.parametrize("rules", RULES)
@pytest.mark.parametrize("name", TOKENIZERS)
def test_a_beam_of_one_is_the_likeliest_token_again_and_again(name, rules):
    generator = open_generator(make_stored_model(tokenizer=TOKENIZERS[name], seed=2))
    for prompt, seed in itertools.product(("", "the cat sat"), range(2)):
        config = GREEDY.replace(length=30 - seed, **RULES[rules])
        context = generator.read(generator.readable_prompt(prompt))
        text, reason, token_ids = beam_search(generator.engine, generator.tokenizer, context, config)
        greedy = generator.generate(prompt, config, logprobs=0)[0]
        assert (text, reason) == (greedy.completion, greedy.finish_reason)
        assert len(token_ids) >= len(greedy.logprobs)


@pytest.mark.parametrize("rules", RULES)
@pytest.mark.parametrize("name", TOKENIZERS)
def test_the_text_of_a_beam_keeps_to_all_rules_and_does_not_ask_the_seed(name, rules):
    generator = open_generator(make_stored_model(tokenizer=TOKENIZERS[name], seed=2))
    config = GREEDY.replace(beams=5, **RULES[rules])
    completion = generator.generate("the cat sat", config, logprobs=1)[0]
    streamed = "".join(generator.stream("the cat sat", config))
    assert streamed == completion.completion == generator.generate("the cat sat", config.replace(seed=9))[0].completion
    assert name == "words" or "".join(token.piece for token in completion.logprobs) == completion.completion
    if rules == "bans":
        assert not {*"exyz"} & {*completion.completion.lower()}
        assert "th" not in completion.completion
    if rules == "ends":
        assert "a" not in completion.completion[3 * (name != "words") + 99 * (name == "words") :]
        assert completion.finish_reason in ("stop", "length", "document")


@pytest.mark.slow
def test_both_engines_find_the_same_text():
    model, config = make_stored_model(tokenizer=TOKENIZERS["documents"], seed=3), GREEDY.replace(beams=3, length=9)
    numpy, tensorflow = (open_generator(model, engine).generate("the", config) for engine in ("numpy", "tensorflow"))
    assert numpy == tensorflow


def test_a_document_that_ends_soon_is_likelier_than_a_long_one_unless_its_end_is_none():
    generator, config = open_generator(make_stored_model(tokenizer=TOKENIZERS["documents"], seed=3)), GREEDY
    found = generator.generate("the", config.replace(beams=64))[0]
    assert (found.finish_reason, found.completion) == ("document", "")
    found = generator.generate("the", config.replace(beams=64, min_length=5))[0]
    assert (found.finish_reason, len(found.completion)) == ("document", 5)
    assert generator.generate("the", config.replace(beams=4, ignore_eod=True))[0].finish_reason == "length"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"temperature": 0.8}, "Set `temperature=0`"),
        ({"temperature": (0.0, 1.0)}, "Set `temperature=0`"),
        ({"regex": "a"}, "`beams` and `regex` do not work together"),
        ({"must_include": ("a",)}, "`beams` and `must_include` do not work together"),
        ({"max_copy": 5}, "`beams` and `max_copy` do not work together"),
        ({"endless": True}, "`endless` has no end"),
        ({"beams": 1001}, "`beams` must be at most 1000"),
        ({"beams": 0}, "`beams` must be at least 1"),
        ({"ban": ("[^#]",)}, "`ban` leaves nothing"),
    ],
)
def test_what_does_not_go_with_beams_is_one_line(stored_model, changes, message):
    with pytest.raises(SettingError, match=message):
        open_generator(stored_model).generate("the", GREEDY.replace(**{"beams": 3} | changes))


@pytest.mark.parametrize("command", [sample, repl])
@pytest.mark.parametrize("flags", [[], ["-t", "0", "--regex", "a"], ["-t", "0", "--max-copy", "5"]])
def test_beams_that_cannot_be_are_refused_before_anything_is_said(tmp_path, monkeypatch, command, flags):
    monkeypatch.chdir(tmp_path)
    write_stored_model(tmp_path / "saved_models", make_stored_model())
    result = CliRunner().invoke(command, ["tiny", "--beams", "3", *flags], input="a\n")
    assert isinstance(result.exception, SettingError)
    assert str(result.exception).startswith("`beams`")
    assert (result.stdout, result.stderr) == ("", "")
    refused = CliRunner().invoke(sample, ["tiny", "--beams", "3", "-t", "0", "--ban", "[^#]"])
    assert "`ban` leaves nothing" in str(refused.exception)
    assert refused.stderr == ""


@pytest.mark.parametrize("form", [[], ["--json"], ["--color"], ["--logprobs", "1"]])
def test_one_text_is_asked_for_and_the_command_says_what_it_costs(tmp_path, monkeypatch, form):
    monkeypatch.chdir(tmp_path)
    write_stored_model(tmp_path / "saved_models", make_stored_model())
    asked = ["tiny", "-n", "9", "-t", "0", "--beams", "4", *form]
    result = CliRunner().invoke(sample, asked)
    assert result.exception is None
    assert result.stderr == "textgen: a beam of 4 texts is followed, which takes as many times as long\n"
    if form == ["--json"]:
        assert json.loads(result.stdout)["settings"]["beams"] == 4
    for number, message in (("2", "`beams` finds one text"), ("0", "`num_samples` must be at least 1")):
        result = CliRunner().invoke(sample, [*asked, "--num-samples", number])
        assert isinstance(result.exception, SettingError)
        assert message in str(result.exception)
        assert result.stdout == ""
