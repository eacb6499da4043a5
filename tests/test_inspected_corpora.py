"""What `inspect` says of small corpora of many kinds, and that what it recommends runs."""

import json
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner
from commands import run
from conftest import make_stored_model, slow
from corpora_zoo import corpora, write

from textgen import inspection, pretrained
from textgen.cli.inspect import _lines, inspect
from textgen.cli.train import train
from textgen.config import TextConfig, TrainingConfig
from textgen.corpus import open_corpus
from textgen.corpus.describing import Describer
from textgen.corpus.lines import LineKinds
from textgen.inspection import inspect_corpus
from textgen.schema import names_of
from textgen.tokenizers import text_blocks
from textgen.training import plan
from textgen.training.request import Request

ZOO = corpora()
SETTINGS = {*names_of(TextConfig), *names_of(TrainingConfig)}
RUN_BY_DEFAULT = ("names",)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(inspection, "recurrent_rate", lambda: 1e11)
    monkeypatch.setattr(plan, "recurrent_rate", lambda: 1e11)
    monkeypatch.setattr(pretrained, "load", make_stored_model)
    monkeypatch.setattr(pretrained, "read", lambda model, reader: pretrained.Reading(4.0, 3.0))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def planned(command: str) -> plan.Plan:
    """The run that a command line would begin; an error where it would not."""
    flags = train.make_context("train", shlex.split(command)[2:]).params
    settings = {name: value for name, value in flags.items() if name in SETTINGS and value not in (None, ())}
    return plan.make_plan(Request(Path("models"), flags["corpus"], settings=settings))


@pytest.mark.parametrize("name", ZOO)
def test_a_corpus_is_known_for_what_it_is(name, folder):
    corpus = ZOO[name]
    arguments = write(corpus, folder)
    flags = {corpus.flags[0].removeprefix("--"): corpus.flags[1]} if corpus.flags else {}
    found = inspect_corpus(open_corpus(arguments[:1], TextConfig(**flags)), arguments=shlex.join(arguments))
    advice = found.recommendation
    assert (found.is_list, advice is None) == (corpus.is_list, corpus.is_too_small)
    assert (found.words_covered is not None) == corpus.has_words
    if advice is not None:
        is_line = "--documents line" in advice.command
        assert is_line == ((corpus.is_list and not corpus.flags) or "line" in corpus.flags)
        assert advice.level == "char"  # of texts as short as these
        assert planned(advice.command).text.level == "char"
    said = "\n".join(_lines(found))
    assert ("too few to learn from" in said) == corpus.is_too_small
    assert ("words  " in said) == corpus.has_words
    assert ("list  " in said) == corpus.is_list


@pytest.mark.parametrize("name", [name if name in RUN_BY_DEFAULT else slow(name) for name in ZOO])
def test_what_is_recommended_runs(name, tmp_path):
    corpus = ZOO[name]
    found = run("inspect", *write(corpus, tmp_path), "--json", cwd=tmp_path)
    advice = json.loads(found.stdout)["recommendation"]
    if corpus.is_too_small:
        assert advice is None
        return
    program, *arguments = shlex.split(advice["command"])
    place = arguments.index("--minutes")
    arguments[place : place + 2] = ["--steps", "2"]
    if advice["begins_with"] is None:
        arguments += ["--units", "8"]
    done = run(*arguments, "--name", "tried", cwd=tmp_path)
    assert (program, done.returncode) == ("textgen", 0), done.stderr.decode()


def test_a_text_of_a_long_list_of_invented_words_is_never_for_a_word_model(folder, monkeypatch):
    """Not even where the pretrained model reads it well."""
    monkeypatch.setattr(pretrained, "read", lambda model, reader: pretrained.Reading(1.0, 3.0))
    names = [f"{a}{b}{c}" for a in ("dru", "fen", "gor") for b in range(100, 200) for c in range(100)]
    for name, text in {"list": "\n".join(names), "text": " ".join(names)}.items():
        (folder / f"{name}.txt").write_text(text)
        advice = json.loads(CliRunner().invoke(inspect, [f"{name}.txt", "--json"]).stdout)["recommendation"]
        assert (advice["level"], advice["begins_with"]) == ("char", "tiny")  # which is one of characters


def test_files_are_joined_before_they_are_described(folder, monkeypatch):
    """Describing a block takes as long as describing a thousand characters, and a folder may have many small files."""
    (folder / "many").mkdir()
    for index in range(50):
        (folder / "many" / f"{index}.txt").write_text("some words\n" * 10)
    counted: list[int] = []
    add = Describer.add
    monkeypatch.setattr(Describer, "add", lambda self, block: (counted.append(len(block)), add(self, block)))
    monkeypatch.setattr(text_blocks, "BLOCK_SIZE", 2000)
    assert CliRunner().invoke(inspect, ["many"]).exit_code == 0
    assert sum(counted) == 5500
    assert len(counted) == 3


def test_lines_are_counted_alike_wherever_blocks_end():
    whole, cut = LineKinds(), LineKinds()
    text = "Ann: yes,\n\n  bo\n" * 50
    whole.add(text)
    for start in range(0, len(text), 32):
        cut.add(text[start : start + 32])
    for name in ("speakers", "ended", "indented", "small", "large", "spaces"):
        assert getattr(whole, name) == getattr(cut, name)
    assert (whole.lengths == cut.lengths).all()
