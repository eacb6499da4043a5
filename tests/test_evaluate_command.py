"""`textgen evaluate` with figures adapted at test time: what it prints, what it refuses, and that the model stays."""

import json

import numpy as np
import pytest
from conftest import make_stored_model, write_stored_model
from whole_texts import cached_surprisals

from textgen.cli import main
from textgen.config import CacheConfig
from textgen.evaluation import tokenize
from textgen.generation.numpy_engine import NumpyEngine

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


def test_the_cache_is_that_of_its_settings(evaluate):
    options = ["--cache", "--cache-size", "7", "--cache-theta", "2", "--cache-weight", "0.4"]
    figures = json.loads(evaluate("--json", *options)[1])["cache"]
    model = make_stored_model()
    config = CacheConfig(cache_size=7, cache_theta=2, cache_weight=0.4)
    token_ids = tokenize(TEXT, model.tokenizer).token_ids
    nats = cached_surprisals(token_ids, NumpyEngine(model.record.model, model.weights), config).sum()
    assert figures["nats_per_character"] == pytest.approx(nats / len(TEXT), rel=1e-12)


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
