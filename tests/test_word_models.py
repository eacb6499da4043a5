"""Models of words: one text from three engines, lengths in words, and the commands as a user runs them."""

import functools
import itertools
import json
import math
import re
from pathlib import Path

import numpy as np
import pytest
from commands import one_line, run
from conftest import make_stored_model, make_word_tokenizer
from three_engines import PROMPTS, ThreeEngines
from whole_texts import surprisals

from textgen.config import SamplingConfig
from textgen.errors import ExportError
from textgen.evaluation import evaluate
from textgen.export import saved_model
from textgen.export.check import Case, explained_by_rounding
from textgen.export.requests import request_of
from textgen.generation.ending import Ending
from textgen.generation.generator import open_generator
from textgen.generation.numpy_engine import NumpyEngine
from textgen.store import model_directory

MODELS = {
    "words": make_stored_model(tokenizer=make_word_tokenizer()),
    "tied words, documents, casefold": make_stored_model(
        "gru", seed=2, tokenizer=make_word_tokenizer("\n", "casefold"), tied=True
    ),
}
MODEL = MODELS["words"]


@pytest.fixture(scope="module", params=MODELS)
def everywhere(request, tmp_path_factory) -> ThreeEngines:
    return ThreeEngines(MODELS[request.param], tmp_path_factory.mktemp("words"))


# ---- one text from three engines


def test_the_exported_model_writes_the_text_of_the_numpy_engine(everywhere):
    everywhere.assert_exported_texts_are_the_same()


def test_the_tensorflow_engine_writes_the_text_of_the_numpy_engine(everywhere):
    everywhere.assert_tensorflow_texts_are_the_same()


def test_the_export_passes_its_own_check(everywhere):
    everywhere.assert_passes_its_own_check()


WORDS_AND_LETTERS = {"the", "cat", "sat", "ing", "on", "mat", "a", "dog", "I"}  # what is written without new words


def test_the_export_neither_spells_a_word_nor_writes_one_stuck_to_another(everywhere):
    for answer in everywhere.answers:
        for prompt, completion in zip(PROMPTS, answer["completion"], strict=True):
            assert set(re.findall(r"[^\W_]+", completion)) <= WORDS_AND_LETTERS
            assert not (prompt[-1:].isalpha() and completion[:1].isalpha())
    assert sum(len(text) for answer in everywhere.answers for text in answer["completion"]) > 1000


def is_stuck(before: str, after: str, new_words: bool) -> bool:
    """Whether no text has the two pieces next to each other; if words may be spelled, two letters may be neighbours."""
    is_within_a_word = (before == " " or before[-1:].isalpha()) and after[:1].isalpha()
    return is_within_a_word and not (new_words and len(before) == len(after) == 1)


@pytest.mark.parametrize("engine", ["numpy", "tensorflow"])
@pytest.mark.parametrize(("read", "new_words"), [(["a ze", "b"], False), (["the  "], True)])
def test_no_engine_writes_letters_after_letters_unless_it_spells_a_new_word(everywhere, engine, read, new_words):
    generator, pieces = open_generator(everywhere.model, engine), everywhere.model.tokenizer.pieces
    context = functools.reduce(lambda context, text: generator.read(text, context), read, None)
    config = SamplingConfig(temperature=2.0, new_words=new_words)
    blocks = itertools.islice(generator.blocks(context, config, np.arange(40)), 100 if engine == "numpy" else 3)
    token_ids = np.concatenate([np.repeat(context.recent[-1:, None], 40, axis=1), *blocks])  # [more than 100, 40]
    pairs = {(pieces[x], pieces[y]) for column in token_ids.T for x, y in itertools.pairwise(column)}
    assert len(pairs) > 200
    assert not [pair for pair in pairs if is_stuck(*pair, new_words)]
    spelled = {after for _, after in pairs}.intersection("bfjkqruvwxyz")  # letters of no word
    assert bool(spelled) == new_words


def test_the_export_says_what_its_length_counts_and_what_it_needs(everywhere):
    notes = everywhere.description["notes"]
    assert "length counts words; a word that is spelled counts once." in notes
    assert "Words outside the vocabulary are read, but not written." in notes
    assert [n for n in notes if "tensorflow_text" in n] == (
        ["Prompts are normalised by operations of tensorflow_text: import it before loading."]
        if everywhere.needs_tensorflow_text
        else []
    )
    assert any("ends where its document does" in n for n in notes) == (everywhere.model.tokenizer.eod_id is not None)
    if everywhere.needs_tensorflow_text:
        with pytest.raises(ExportError, match="does not run: "):
            saved_model.answer(MODEL, everywhere.path, [request_of(["the cat"], SamplingConfig(length=3))])


# ---- is a difference one of rounding?


def undecided(**biases: float):
    """MODEL with no opinion at all but for what `biases` say of some pieces, before which _ is a space."""
    weights = {name: value * 0 for name, value in MODEL.weights.items()}
    bias = np.full_like(weights["output.bias"], -50)
    for piece, value in biases.items():
        bias[MODEL.tokenizer.pieces.index(piece.replace("_", " "))] = value
    return MODEL._replace(weights=weights | {"output.bias": bias})


@pytest.mark.parametrize(
    ("length", "received", "is_explained"),
    [
        (3, " the the cat", True),  # the last word is another, and both are as likely
        (3, " the the dog", False),
        (3, " the the", False),  # a word is missing
        (3, " the the the the", False),
    ],
)
def test_a_word_that_differs_must_be_as_likely(length, received, is_explained):
    model = undecided(_cat=0, _the=0)
    config = SamplingConfig(length=length, temperature=0)
    expected = open_generator(model).generate("", config)[0]
    assert expected.completion == " the the the"
    assert explained_by_rounding(model, Case(config, expected, received, received)) == is_explained


def test_a_spelled_word_may_end_earlier_or_later_where_that_is_as_likely():
    """Every token is "x" or a new word, as it is drawn; a text of one word is as long as its first x's."""
    model = undecided(x=0, _cat=0)
    for seed in range(50):
        config = SamplingConfig(length=1, temperature=1.0, seed=seed, new_words=True)
        expected = open_generator(model).generate("", config)[0]
        if expected.completion == "xx":
            break
    assert expected.completion == "xx"
    for received in (expected.completion[:-1], expected.completion + "x"):
        case = Case(config, expected, received, received)
        # The uniform number is far from the boundary, so that rounding explains nothing ...
        assert not explained_by_rounding(model, case)
        # ... and at temperature 0 it decides between equals.
        greedy = SamplingConfig(length=1, temperature=0, new_words=True)
        assert explained_by_rounding(model, Case(greedy, expected, received, received))


# ---- prompts and lengths


@pytest.mark.parametrize("length", [1, 2, 7, 40])
def test_the_length_counts_words(length):
    generator = open_generator(MODEL)
    for seed in range(5):
        (completion,) = generator.generate("the cat", SamplingConfig(length=length, seed=seed))
        assert completion.finish_reason == "length"
        assert len(completion.completion) >= length
        assert "".join(generator.stream("the cat", SamplingConfig(length=length, seed=seed))) == completion.completion


def test_a_space_at_the_end_of_a_prompt_belongs_to_the_next_word():
    generator, config = open_generator(MODEL), SamplingConfig(length=10)
    with_space, without = (generator.generate(prompt, config)[0] for prompt in ("the cat ", "the cat"))
    assert with_space == without
    assert with_space.prompt == "the cat"
    assert generator.generate("the cat  ", config)[0].prompt == "the cat "
    assert generator.generate(" ", config)[0] == generator.generate("", config)[0]
    characters = open_generator(make_stored_model())
    assert characters.generate("the cat ", config)[0].prompt == "the cat "


# ---- the commands

TALE = "The ferryman kept the river's memory, and the river kept his."
FLAGS = ["--level", "word", "--steps", "150", "--units", "24", "--embedding-size", "16", "--batch-size", "4"]
FLAGS += ["--sequence-length", "12", "--dropout", "0", "--vocabulary-size", "60", "--num-sampled", "20"]


@pytest.fixture(scope="module")
def workshop(tmp_path_factory) -> Path:
    """A working directory with a text and a model of its words, whose loss was sampled."""
    directory = tmp_path_factory.mktemp("workshop")
    (directory / "tale.txt").write_text("\n".join(f"{TALE} So it went for {n} years." for n in range(300)))
    done = run("train", "-v", "tale.txt", *FLAGS, "--json", cwd=directory)
    assert done.returncode == 0, done.stderr.decode()
    (directory / "train.json").write_bytes(done.stdout)
    (directory / "train.log").write_bytes(done.stderr)
    return directory


def config_of(workshop: Path, name: str = "tale") -> dict:
    return json.loads((workshop / "saved_models" / name / "config.json").read_text())


def test_what_was_asked_for_is_what_was_trained(workshop):
    config = config_of(workshop)
    asked = {"level": "word", "vocabulary_size": 60, "normalize": "none", "documents": "whole", "column": None}
    assert asked.items() <= config["text"].items()
    assert config["model"]["vocabulary_size"] == 60
    assert config["model"]["tied"] is True  # the recipe's, for words
    assert config["training"]["num_sampled"] == 20
    assert config["training"]["dropout"] == 0
    log = (workshop / "train.log").read_text()
    for said in ("tokens: ", "embedding 16 (tied)", "20 sampled tokens per step", "nats per token"):
        assert said in log


def test_its_text_is_made_of_words_and_its_length_counts_them(workshop):
    document = json.loads(run("sample", "tale", "-p", "The ferryman ", "-n", "12", "--json", cwd=workshop).stdout)
    assert document["prompt"] == "The ferryman"
    assert document["finish_reason"] == "length"
    tokenizer = model_directory.load_model("tale", workshop / "saved_models").tokenizer
    ending = Ending(tokenizer, SamplingConfig(length=100))
    ending.feed(tokenizer.encode(document["completion"]))
    assert ending.units == 12
    assert "river" in document["completion"]
    plain = run("sample", "tale", "-p", "The ferryman ", "-n", "12", cwd=workshop).stdout.decode()
    assert plain == document["prompt"] + document["completion"] + "\n"


def test_of_two_spaces_at_the_end_of_a_prompt_one_stays_whatever_the_form_of_the_output(workshop):
    arguments = ["sample", "tale", "-p", "The  ", "-n", "12"]
    document = json.loads(run(*arguments, "--json", cwd=workshop).stdout)
    assert document["prompt"] == "The "
    assert run(*arguments, cwd=workshop).stdout.decode() == "The " + document["completion"] + "\n"


def test_evaluating_reports_bits_of_characters_and_the_perplexity_of_words(workshop):
    text = (workshop / "tale.txt").read_text()
    result = json.loads(run("evaluate", "tale", "tale.txt", "--json", cwd=workshop).stdout)
    assert result["characters"] == len(text)
    assert result["words"] == len(text.split()) + text.count("\n")
    assert result["tokens"] < result["characters"]
    nats = result["nats_per_character"] * result["characters"]
    assert result["word_perplexity"] == pytest.approx(math.exp(nats / result["words"]))
    assert result["nats_per_character_windows"] is None
    said = run("evaluate", "tale", "tale.txt", cwd=workshop).stdout.decode()
    assert f"bits per character       {result['bits_per_character']:.4f}" in said
    assert f"word perplexity          {result['word_perplexity']:,.2f}" in said
    assert "random windows" not in said


def test_evaluating_without_a_file_is_evaluating_the_validation_part(workshop):
    result = json.loads(run("evaluate", "tale", "--json", cwd=workshop).stdout)
    model = model_directory.load_model("tale", workshop / "saved_models")
    text = (workshop / "tale.txt").read_text()
    part = text[len(text) - result["characters"] :]
    assert result["characters"] == round(0.1 * len(text))
    engine = NumpyEngine(model.record.model, model.weights)
    expected = evaluate(part, model.tokenizer, engine)
    assert {name: result[name] for name in expected._fields} == pytest.approx(expected._asdict())
    # In training the part begins cold, and its first token is not predicted.
    trained = json.loads((workshop / "train.json").read_text())["validation_loss"]
    assert trained == pytest.approx(surprisals(model.tokenizer.encode(part), engine).mean(), abs=2e-3)


def test_a_conversation_through_a_pipe_prints_only_text(workshop):
    done = run("repl", "tale", "-n", "9", stdin="The river\n/exit\n", cwd=workshop)
    assert done.returncode == 0, done.stderr.decode()
    assert len(done.stdout.decode().split()) >= 3


WRONG = {
    "no ids": (["--vocabulary-size", "0"], 2, "--vocabulary-size must be at least 1. Received: 0"),
    "too few ids": (["--vocabulary-size", "5"], 1, "--vocabulary-size 5 is too small"),
    "more ids than words": (["--vocabulary-size", "9999"], 1, "--vocabulary-size 9,999 is more than the text has"),
    "a vocabulary size for characters": (["--level", "char"], 2, "--vocabulary-size is for --level word"),
    "a level that does not exist": (["--level", "syllable"], 2, "'syllable' is not one of 'char', 'word'"),
    "a form that does not exist": (["--normalize", "nfd"], 2, "'nfd' is not one of"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_input_is_one_line_and_leaves_nothing(case, workshop, tmp_path):
    flags, status, said = WRONG[case]
    (tmp_path / "tale.txt").write_text((workshop / "tale.txt").read_text())
    done = run(
        "train",
        "tale.txt",
        "--init-from",
        "none",
        *FLAGS,
        *flags,
        cwd=tmp_path,
        TEXTGEN_CACHE_DIR=str(tmp_path / "cache"),
    )
    assert done.returncode == status, done.stderr.decode()
    assert said in done.stderr.decode().splitlines()[-1]
    assert b"Traceback" not in done.stderr
    if not done.stderr.startswith(b"Usage"):  # click says how a flag is used first
        assert one_line(done).startswith("textgen: ")
    left = [p for p in tmp_path.rglob("*") if p.is_file()]
    assert left == [tmp_path / "tale.txt"]
