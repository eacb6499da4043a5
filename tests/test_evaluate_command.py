"""`textgen evaluate` with figures adapted at test time: what it prints, what it refuses, and that the model stays."""

import dataclasses
import json
import shutil

import numpy as np
import pytest
from conftest import make_stored_model, write_stored_model
from whole_texts import cached_surprisals

from textgen.cli import main
from textgen.config import CacheConfig, TextConfig
from textgen.evaluation import Evaluation, tokenize
from textgen.generation.numpy_engine import NumpyEngine
from textgen.records import CorpusRecord
from textgen.sketch import sketch_of

TEXT = "the cat sat on the mat, and the dog sat on the cat.\n" * 6


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    path = tmp_path_factory.mktemp("evaluate")
    write_stored_model(path, make_stored_model())
    (path / "text.txt").write_text(TEXT)
    (path / "empty.txt").write_text("")
    return path


@pytest.fixture
def evaluate(directory, capsys):
    """Runs the command and returns its status, standard output and standard error."""

    def run(*arguments: str, file: str = "text.txt") -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as exited:
            main(["evaluate", "tiny", str(directory / file), "--models-dir", str(directory), *arguments])
        return (exited.value.code or 0, *capsys.readouterr())

    return run


def bytes_in(directory) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(directory.rglob("*")) if path.is_file()}


def test_the_models_own_figures_are_the_same_with_and_without(evaluate, directory):
    before = bytes_in(directory)
    plain = json.loads(evaluate("--json")[1])
    adapted = json.loads(evaluate("--json", "--dynamic", "--dynamic-segment", "10", "--cache")[1])
    assert (plain["dynamic"], plain["cache"]) == (None, None)
    assert {**adapted, "dynamic": None, "cache": None} == plain
    for name in ("dynamic", "cache"):
        figures = adapted[name]
        assert figures["nats_per_character"] < plain["nats_per_character"] - 0.1
        assert figures["bits_per_character"] == pytest.approx(figures["nats_per_character"] / np.log(2))
        assert 1 < figures["word_perplexity"] < plain["word_perplexity"]
    assert adapted["dynamic"]["dynamic_segment"] == 10
    assert adapted["cache"]["cache_size"] == CacheConfig().cache_size
    assert bytes_in(directory) == before


def test_what_is_adapted_stands_last_and_says_so(evaluate):
    plain = evaluate()[1].splitlines()
    lines = evaluate("--cache", "--cache-size", "50")[1].splitlines()
    assert lines[:-1] == plain
    assert lines[-1].startswith("adapted at test time     ")
    assert "--cache: size 50, theta " in lines[-1]
    assert not any("adapted" in line for line in plain)


def test_no_figure_is_printed_for_words_where_there_are_none(evaluate, monkeypatch):
    monkeypatch.setattr("textgen.evaluation.texts.has_words", lambda *_: False)
    _, said, _ = evaluate("--cache", "--cache-size", "50")
    assert "word" not in said
    assert json.loads(evaluate("--json")[1])["word_perplexity"] is None


def test_the_cache_is_that_of_its_settings(evaluate):
    options = ["--cache", "--cache-size", "7", "--cache-theta", "2", "--cache-weight", "0.4"]
    figures = json.loads(evaluate("--json", *options)[1])["cache"]
    model = make_stored_model()
    config = CacheConfig(cache_size=7, cache_theta=2, cache_weight=0.4)
    token_ids = tokenize(TEXT, model.tokenizer).token_ids
    nats = cached_surprisals(token_ids, NumpyEngine(model.record.model, model.weights), config).sum()
    assert figures["nats_per_character"] == pytest.approx(nats / len(TEXT), rel=1e-12)


# ---- a text that the model has read before

WORDS = [f"the {n % 13}{'abcdefgh'[n % 8]} {'xyz'[n % 3] * (n * n % 101)} sat\n" for n in range(12_000)]
BOOK, OTHER = "".join(WORDS[:8000]), "".join(WORDS[8000:]).replace("sat", "ran")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Some texts; the network is not asked, which would take long."""
    monkeypatch.setattr("textgen.evaluation.evaluate_tokens", lambda *_, **__: Evaluation(9, 9, 9, 1.0, 1.0, 1.0, None))
    (tmp_path / "book.txt").write_text(BOOK)
    (tmp_path / "half.txt").write_text((BOOK[: len(OTHER)] + OTHER).replace("\n", "\r\n").upper())
    (tmp_path / "other.txt").write_text(OTHER)
    return tmp_path


def write_model(folder, sketch: str, source: str = "/elsewhere/book.txt") -> None:
    model = make_stored_model()
    corpus = CorpusRecord("book", (source,), "0" * 64, len(BOOK), sketch=sketch)
    shutil.rmtree(folder / "tiny", ignore_errors=True)
    write_stored_model(folder, model._replace(record=dataclasses.replace(model.record, corpus=corpus)))


@pytest.fixture
def run(folder, capsys):
    """Runs a command on the model and returns its status, standard output and standard error."""

    def run_main(command: str, *arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as exited:
            main([command, "tiny", *arguments, "--models-dir", str(folder)])
        return (exited.value.code or 0, *capsys.readouterr())

    return run_main


def test_the_share_that_the_model_has_read_is_said(run, folder):
    write_model(folder, sketch_of([BOOK]).to_text())
    share = json.loads(run("evaluate", str(folder / "half.txt"), "--json")[1])["read_before"]
    assert share == pytest.approx(0.5, abs=0.2)
    assert run("evaluate", str(folder / "half.txt"))[2].splitlines()[-1] == (
        f"textgen: tiny has read about {share:.0%} of this text before, so its figures are better than on a new text"
    )
    assert json.loads(run("evaluate", str(folder / "book.txt"), "--json")[1])["read_before"] == 1
    assert json.loads(run("evaluate", str(folder / "other.txt"), "--json")[1])["read_before"] is None
    assert "has read" not in run("evaluate", str(folder / "other.txt"))[2]


def test_what_a_file_was_read_as_is_said(run, folder):
    write_model(folder, "")
    (folder / "old.txt").write_bytes(b"\x93Hi\x94 he said\rcaf\xc3 ")
    (folder / "other.txt").write_text("Привет, как дела?", encoding="mac-cyrillic")
    status, _, said = run("evaluate", str(folder / "old.txt"), "--encoding", "latin-1")
    assert (status, "C1 control characters, the first in line 1" in said) == (0, True)
    (folder / "old.txt").write_bytes(b"\x93Hi\x94 he said\r")
    assert f"textgen: {folder}/old.txt: read as cp1252: “Hi” he said\n" in run("evaluate", str(folder / "old.txt"))[2]
    assert "not clear" in run("evaluate", str(folder / "other.txt"))[2]
    model = make_stored_model()
    corpus = CorpusRecord("book", ("book.txt",), "0" * 64, len(BOOK), encodings=("mac-cyrillic",))
    shutil.rmtree(folder / "tiny")
    write_stored_model(folder, model._replace(record=dataclasses.replace(model.record, corpus=corpus)))
    assert "read as mac-cyrillic: Привет, как дела?" in run("evaluate", str(folder / "other.txt"))[2]
    (folder / "stray.txt").write_bytes(b"caf\xc3\xa9 \x92 and more")
    assert "1 stray byte" in run("evaluate", str(folder / "stray.txt"))[2]
    said = run("evaluate", str(folder / "stray.txt"), "--encoding-errors", "skip")[2]
    assert "1 byte that does not fit the encoding left out" in said


def test_of_its_own_files_and_without_a_sketch_nothing_is_said(run, folder):
    book = str(folder / "book.txt")
    for sketch, source in ((sketch_of([BOOK]).to_text(), book), ("", "/elsewhere/book.txt")):
        write_model(folder, sketch, source)
        assert json.loads(run("evaluate", book, "--json")[1])["read_before"] is None


def test_a_damaged_sketch_is_named(run, folder):
    write_model(folder, "AAAA")
    said = "the sketch of a corpus must be base64"
    status, _, errors = run("evaluate", str(folder / "book.txt"))
    assert (status, said in errors) == (1, True)
    assert errors.splitlines()[-1].startswith(f"textgen: {folder / 'tiny' / 'config.json'}: {said}")
    status, output, _ = run("verify")
    assert (status, said in output) == (1, True)


def test_info_counts_the_hashes_and_leaves_them_out_of_json(run, folder):
    sketch = sketch_of([BOOK])
    write_model(folder, sketch.to_text())
    lines = run("info")[1].splitlines()
    assert f"  {'sketch':<28} {len(sketch.hashes)} hashes of 8 words each" in lines
    assert not any(sketch.to_text() in line for line in lines)
    assert "sketch" not in json.loads(run("info", "--json")[1])["corpus"]


WRONG = {
    "a cache of nothing": (["--cache", "--cache-size", "0"], 2, "--cache-size must be at least 1. Received: 0"),
    "a negative rate": (["--dynamic", "--dynamic-rate", "-1"], 2, "--dynamic-rate must be at least 0. Received: -1.0"),
    "a rate beyond numbers": (["--dynamic", "--dynamic-rate", "1e38"], 1, "--dynamic-rate 1e+38 is too large"),
    "a setting of no use": (["--cache-size", "9"], 2, "--cache-size is of use with --cache only; add --cache"),
    "another": (["--cache", "--dynamic-decay", "0"], 2, "--dynamic-decay is of use with --dynamic only; add --dynamic"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_makes_no_sense_is_one_line(evaluate, case):
    options, status, said = WRONG[case]
    found, output, errors = evaluate(*options)
    assert (found, output) == (status, "")
    assert errors.startswith(f"textgen: {said}")
    assert len(errors.splitlines()) == 1


@pytest.mark.parametrize("options", [["--dynamic"], ["--cache"], ["--dynamic", "--cache"]], ids=" ".join)
def test_an_empty_text_is_refused(evaluate, options):
    status, output, errors = evaluate(*options, file="empty.txt")
    assert (status, output, len(errors.splitlines())) == (1, "", 1)
    assert "empty.txt" in errors


def test_a_flag_says_how_the_file_is_read_as_it_does_for_training(run, folder):
    write_model(folder, "")
    texts = folder / "texts"
    texts.mkdir()
    (texts / "a.txt").write_text("the cat sat\n")
    (texts / "b.csv").write_text("id,what\n1,the dog ran\n2\n")
    (texts / "c.log").write_text("<p>the <b>cat</b> sat</p>\n")

    def seen(*flags: str) -> str:
        status, _, said = run("evaluate", str(texts), *flags)
        assert status == 0, said
        return said

    assert "left out of" in seen("--include", "*.txt")
    assert "1 name by --exclude" in seen("--exclude", "*.log")
    assert "1 paragraph, 12 characters of text" in seen("--include", "*.log", "--file-format", "html")
    assert "1 bad row left out" in seen("--column", "what", "--bad-rows", "skip")
    assert "without the separator '%'" in seen("--include", "*.txt", "--document-separator", "%")
    assert run("evaluate", str(texts), "--level", "word")[0] == 2  # the model says that
    status, _, said = run("evaluate", "--include", "*.txt")
    assert (status, said) == (2, "textgen: --include says how FILE is read; name a FILE, or leave it out\n")


def test_what_is_said_of_documents_replaces_how_the_corpus_was_parted():
    table = TextConfig(column="text", file_format="csv", bad_rows="skip")
    assert table.read_as({}) == table
    assert table.read_as({"exclude": ("b",)}) == table.replace(exclude=("b",))
    assert table.read_as({"documents": "line"}) == TextConfig(documents="line")
    assert table.read_as({"column": "body"}) == TextConfig(column="body")
    assert TextConfig(documents="line").read_as({"document_separator": "%"}) == TextConfig(document_separator="%")
