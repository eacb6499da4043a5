"""All that decides where a text goes, together: every text keeps every promise, or one line says that none could."""

import contextlib
import json
import pickle
import random
import re
from pathlib import Path

import pytest
from click.testing import CliRunner
from conftest import ALPHABET, make_stored_model, make_word_tokenizer, slow, write_stored_model
from keeping import found, index_of, too_long
from patterns import is_match, made_pattern, made_words
from test_constraints import stands_in

import textgen
from textgen.cli.replay import replay
from textgen.cli.sample import sample
from textgen.config import SamplingConfig
from textgen.errors import DeadEndError, SettingError, TextgenError
from textgen.generation.completion import Completion
from textgen.generation.generator import Generator
from textgen.generation.numpy_engine import NumpyEngine
from textgen.tokenizers import CharacterTokenizer

TEXT = "the cat sat on the mat, a dog and the cat.\nthe mat is on the dog, on a cat and on the mat. a dog sat.\n" * 3
TOKENIZERS = {
    "letters": CharacterTokenizer(ALPHABET),
    "names": CharacterTokenizer(ALPHABET, "\n"),
    "words": make_word_tokenizer(),
    "titles": make_word_tokenizer("\n\n"),
}
DEAD_END = "the text came to a place where the rules together allow nothing more"
IMPOSSIBLE = r"cannot write|cannot be met in `length=\d+`: it takes|asks for .*(`max_copy=|`ban` forbids)"


@pytest.fixture(scope="module")
def generators(tmp_path_factory):
    index = index_of(tmp_path_factory.mktemp("copied") / "index", TEXT)
    models = {name: make_stored_model(tokenizer=tokenizer, seed=1) for name, tokenizer in TOKENIZERS.items()}
    return {
        name: Generator(
            model.tokenizer, NumpyEngine(model.record.model, model.weights), copy_index=lambda index=index: index
        )
        for name, model in models.items()
    }


def drawn_rules(draw: random.Random, level: str) -> dict:
    """A pattern, words or neither, and some of what else stands in the way of a token."""
    others = {
        "ban": (draw.choice(["q", "E", "th", "[xyz]", "s o", "at."]),),
        "max_copy": draw.choice([3, 6, 12]),
        "no_repeat_ngram": draw.choice([2, 3, 5]),
        "repeat_penalty": 2.0,
        "ignore_eod": True,
        "new_words": True,
    }
    rules = {name: others[name] for name in draw.sample([*others], draw.randint(1, 4))}
    kind = draw.random()
    if kind < 0.6:
        rules["regex"] = made_pattern(draw, level, is_strict=kind < 0.2)
    if kind > 0.4:
        rules["must_include"] = made_words(draw, level)[:2]
    return rules


def broken(prompt: str, completion: str, tokens: list[str], config: SamplingConfig, separator: str | None) -> list[str]:
    """The rules that a text does not keep, read off the text; `separator` stands between documents."""
    whole = prompt + completion
    kept = {
        "regex": config.regex is None or is_match(config.regex, completion),
        "must_include": all(stands_in(word, completion, prompt[-1:]) for word in config.must_include),
        "ban": not any(end > len(prompt) for text in config.ban for end in found(text, whole)),
        "max_copy": not config.max_copy or too_long(prompt, completion, TEXT, config.max_copy) == [],
        "no_repeat_ngram": not config.no_repeat_ngram or not repeats(tokens, config.no_repeat_ngram, separator),
    }
    return [name for name, is_kept in kept.items() if not is_kept]


def repeats(tokens: list, size: int, separator: str | None = None) -> bool:
    """Whether a run of so many tokens comes twice; an end of a document and its separator as a symbol look alike."""
    runs = [tuple(tokens[i : i + size]) for i in range(len(tokens) - size + 1)]
    runs = [run for run in runs if separator not in run]
    return len({*runs}) < len(runs)


def said_of(generator: Generator, prompt: str, config: SamplingConfig) -> tuple[Completion | None, str]:
    """A text, or what is said instead."""
    try:
        return generator.generate(prompt, config, logprobs=0)[0], ""
    except TextgenError as problem:
        return None, str(problem)


@pytest.mark.parametrize("number", [16, slow(1000)])
@pytest.mark.parametrize("name", TOKENIZERS)
def test_a_text_keeps_all_rules_together_or_a_line_says_that_none_could(generators, name, number):
    generator, num_texts = generators[name], 0
    for seed in range(number):
        draw = random.Random(seed)
        rules = drawn_rules(draw, generator.tokenizer.level)
        config = SamplingConfig(length=draw.choice([12, 30]), temperature=1.0, seed=seed, **rules)
        prompt = draw.choice(["", "the cat ", "on."])
        completion, said = said_of(generator, prompt, config)
        if completion is None:
            assert said.startswith(DEAD_END) or re.search(IMPOSSIBLE, said), (seed, rules, said)
            continue
        num_texts += 1
        tokens = [token.piece for token in completion.logprobs]
        separator = generator.tokenizer.document_separator
        found_broken = broken(completion.prompt, completion.completion, tokens, config, separator)
        assert found_broken == [], (seed, rules, completion)
        assert "".join(generator.stream(prompt, config)) == completion.completion
    assert number / 3 < num_texts < number


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ({"must_include": ("the cat",), "max_copy": 5}, "asks for 'the cat', in which the training text is copied"),
        ({"must_include": ("a", "sat on"), "ban": ("T O",)}, ""),
        ({"must_include": ("a", "sat on"), "ban": ("x", "t o")}, "'sat on', which holds what `ban` forbids: 't o'"),
        ({"must_include": ("dog",), "ban": ("[^a-z]",)}, ""),
        ({"must_include": ("dog.",), "ban": ("[^a-z]",)}, r"which holds what `ban` forbids: '\[\^a-z\]'"),
        ({"must_include": ("dog",), "ban": ("dogs", "[A-Z]"), "max_copy": 3}, ""),
    ],
)
def test_a_word_that_another_rule_forbids_is_said_before_anything_is_written(generators, rules, message):
    config = SamplingConfig(length=30, temperature=1.0, **rules)
    if not message:
        assert generators["letters"].write(generators["letters"].read("on "), config)
        return
    with pytest.raises(SettingError, match=message):
        generators["letters"].write(generators["letters"].read("on "), config)


def test_a_text_that_cannot_become_what_it_must_is_a_line_and_no_text(generators):
    """After `ab` the pattern wants `ab` again, which is a run that came before."""
    config = SamplingConfig(regex="(ab)*c", no_repeat_ngram=2, length=9, ban=("c",))
    for make in (lambda c: generators["letters"].generate("", c, 2), lambda c: [*generators["letters"].stream("", c)]):
        with pytest.raises(SettingError, match="cannot write"):
            make(config)
        with pytest.raises(TextgenError, match=DEAD_END):
            make(config.replace(ban=("bc",), regex="(ab)+c"))


def test_what_is_said_of_a_text_that_cannot_go_on_begins_a_line(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_stored_model(tmp_path / "saved_models", make_stored_model())
    result = CliRunner().invoke(sample, ["tiny", "-p", "x", "--regex", "(ab)+c", "--ban", "bc", "-n", "8"])
    assert str(result.exception).startswith(DEAD_END)
    assert result.stdout == "xababab\n"


@pytest.fixture
def half_fails(tmp_path, monkeypatch, generators):
    """A model and flags with which one of two samples comes to a dead end, and what is written of the other."""
    monkeypatch.chdir(tmp_path)
    write_stored_model(tmp_path / "saved_models", make_stored_model(seed=1))
    flags = ["tiny", "--regex", "(ab)+c|(ba)+b?", "--ban", "bc", "-n", "8", "-t", "1"]
    for seed in range(40):
        texts = [run_sample(*flags, "--seed", str(seed), "--num-samples", "2")[0].strip()]
        if re.fullmatch("(ba)+b?", texts[0]):
            alone = run_sample(*flags, "--seed", str(seed))
            return [*flags, "--seed", str(seed)], texts[0], alone
    pytest.fail("no seed of which one sample fails")


def run_sample(*arguments: str) -> tuple[str, str]:
    """Standard output, and what is said of a text that could not be written."""
    result = CliRunner().invoke(sample, arguments)
    assert result.exception is None or isinstance(result.exception, DeadEndError)
    return result.stdout, str(result.exception or "")


def test_one_text_that_cannot_go_on_takes_no_other_with_it(half_fails, tmp_path):
    flags, text, (alone, _) = half_fails
    bad = 1 if alone == text + "\n" else 0
    two, said = [*flags, "--num-samples", "2"], f"sample {bad} of 0 to 1 could not be written: {DEAD_END}"
    for form in ([], ["-o", "out"], ["--json"], ["--json", "-o", "out"], ["--logprobs", "0"]):
        shown, problem = run_sample(*two, *form)
        shown = Path("out").read_text() if "-o" in form else shown
        assert problem.startswith(said)
        if "--json" in form:
            assert [(one["completion"], one["sample"]) for one in json.loads(shown)] == [(text, 1 - bad)]
        else:
            assert shown == text + "\n" or form == ["--logprobs", "0"]
            assert len(shown.splitlines()) == (1 if form != ["--logprobs", "0"] else len(text))
    assert run_sample(*flags)[1].startswith(DEAD_END if bad == 0 else "")
    Path("once.json").write_text(run_sample(*two, "--json")[0])
    assert CliRunner().invoke(replay, ["once.json"]).stdout == text + "\n"


def test_where_no_text_can_be_written_nothing_is_and_each_is_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_stored_model(tmp_path / "saved_models", make_stored_model())
    Path("prompts").write_text("x\ny\n")
    flags = ["tiny", "--regex", "(ab)+c", "--ban", "bc", "-n", "8"]
    for form in ([], ["--json"]):
        shown, said = run_sample(*flags, "--num-samples", "7", *form)
        assert shown == ""
        assert "sample 4 of 0 to 6, and 2 more could not be written: " + DEAD_END in said
    shown, said = run_sample(*flags, "--prompts", "prompts")
    assert shown == ""
    assert said.startswith(f"the text behind 'x', the text behind 'y' could not be written: {DEAD_END}")
    assert run_sample(*flags, "-o", "out")[1].startswith(DEAD_END)
    assert not Path("out").exists()


def test_in_python_one_text_that_cannot_go_on_takes_no_other_with_it():
    model = textgen.Model(make_stored_model(seed=1))
    settings = {"prompt": "x", "regex": "(ab)+c|(ba)+b?", "ban": "bc", "length": 8, "temperature": 1.0, "seed": 3}
    numbers = range(80)  # more than are made side by side
    with pytest.raises(DeadEndError, match=DEAD_END + r".* The others are in `completions` of this error$") as caught:
        model.samples(num_samples=len(numbers), **settings)
    error = pickle.loads(pickle.dumps(caught.value))
    assert 0 < len(error.completions) < len(numbers)
    assert all(re.fullmatch("(ba)+b?", one.completion) for one in error.completions)
    assert sorted([one.sample for one in error.completions] + [*error.samples]) == [*numbers]
    assert str(error).startswith(f"sample {error.samples[0]}, sample {error.samples[1]}, ")
    made = {one.sample: one.completion for one in error.completions}
    with pytest.raises(DeadEndError) if 0 in error.samples else contextlib.nullcontext():
        assert model.generate(**settings) == made[0]


def test_in_python_a_text_alone_that_cannot_go_on_is_told_without_its_number():
    model = textgen.Model(make_stored_model())
    with pytest.raises(DeadEndError, match=f"^{DEAD_END}") as caught:
        model.generate("x", regex="(ab)+c", ban="bc", length=8)
    assert (caught.value.completions, caught.value.samples) == ((), (0,))
    pieces: list[str] = []
    with pytest.raises(DeadEndError, match=f"^{DEAD_END}"):
        pieces.extend(model.stream("x", regex="(ab)+c", ban="bc", length=8))
    assert "".join(pieces) == "ababab"
