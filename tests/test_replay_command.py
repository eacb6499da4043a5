"""Texts that `textgen sample --json` wrote come again, or it is said what differs; a forged file costs one line."""

import json
import os
from pathlib import Path

import pytest
from click.testing import CliRunner
from conftest import make_stored_model, make_word_tokenizer, slow, write_stored_model

from textgen.cli.replay import replay
from textgen.cli.sample import sample
from textgen.errors import TextgenError
from textgen.generation import sizes
from textgen.tokenizers import CharacterTokenizer

PLAIN = ["-n", "30", "-p", "the cat", "--seed", "7"]


def run(command, *arguments: str) -> str:
    result = CliRunner().invoke(command, arguments)
    if result.exception is not None:
        assert result.stdout == ""
        raise result.exception
    return result.stdout


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("replay")
    tokenizers = {
        "letters": None,
        "words": make_word_tokenizer("\n\n"),
        "lines": CharacterTokenizer("\n abcdeht", "\n"),
    }
    for name, tokenizer in tokenizers.items():
        write_stored_model(folder / "saved_models", make_stored_model(tokenizer=tokenizer), name)
    (folder / "prompts").write_text("the\r\n\r\n a cat\n\ufeffe\n")
    return folder


@pytest.fixture(autouse=True)
def models(folder, monkeypatch) -> Path:
    monkeypatch.chdir(folder)
    return folder


WAYS = {
    "plain": [],
    "from nothing": ["-p", ""],
    "unknown symbols": ["-p", "The C\u00e4t", "--on-unknown", "skip"],
    "a blank at the end": ["-p", "the  "],
    "several": ["--num-samples", "5"],
    "prompts": ["--prompts", "prompts", "--num-samples", "2"],
    "all rules": ["-t", "1.3,0,0.7", "--typical", "0.9", "--top-p", "0.9", "--ban", "[ae]", "--no-repeat-ngram", "3"],
    "penalties": ["--presence-penalty", "0.5", "--frequency-penalty", "-0.5", "--repeat-penalty", "1.2"],
    "ends": ["--stop", r"\n", "--stop", "e", "--min-length", "5"],
    "beams": ["-t", "0", "--beams", "3"],
    "a pattern": ["--regex", r"[a-e ]*\n?t"],
    "words": ["--must-include", "cab", "--must-include", "bad", "--num-samples", "3", "--new-words"],
    "no copies": ["--max-copy", "3", "--corpus", "prompts"],
    "a drawn seed": ["--seed", "random"],
    "probabilities": ["--logprobs", "2"],
    "past ends": ["--ignore-eod", "--new-words"],
}


@pytest.mark.parametrize("model", ["letters", "words", "lines"])
@pytest.mark.parametrize("way", WAYS)
def test_every_way_of_writing_is_written_again(way, model):
    arguments = [*(flag for flag in PLAIN if way != "prompts" or flag not in ("-p", "the cat")), *WAYS[way]]
    run(sample, model, "--json", "-o", "out.json", *arguments)
    lines = [json.loads(line) for line in Path("out.json").read_text().splitlines()]
    documents = [document for line in lines for document in (line if isinstance(line, list) else [line])]
    corpus = ["--corpus", "prompts"] if way == "no copies" else []
    again = run(replay, "out.json", *corpus)
    assert again == "---\n".join(document["prompt"] + document["completion"] + "\n" for document in documents)
    if way not in ("a drawn seed", "probabilities"):
        assert again == run(sample, model, *arguments)


@pytest.mark.parametrize("engine", ["numpy", slow("tensorflow")])
def test_one_of_many_is_written_again_beside_those_that_it_was_made_with(engine, monkeypatch):
    monkeypatch.setattr(sizes, "SAMPLES_AT_ONCE", 4)
    documents = json.loads(run(sample, "letters", "--json", "--num-samples", "10", "--engine", engine, *PLAIN))
    whole = [document["prompt"] + document["completion"] + "\n" for document in documents]
    for chosen in ([9], [5, 2], [3, 4, 0, 9]):
        laid_out = json.dumps([documents[number] for number in chosen], indent=2)
        by_lines = "".join(json.dumps(documents[number]) + "\n" for number in chosen)
        for content in (laid_out, by_lines, "\n" + by_lines.replace("\n", "\r\n\r\n")):
            Path("some.json").write_text(content)
            assert run(replay, "some.json") == "---\n".join(whole[number] for number in chosen)
    Path("some.json").write_text(json.dumps(documents[:5]) + "\n" + json.dumps(documents[5:]))
    assert run(replay, "some.json") == "---\n".join(whole)


def written(**changes) -> dict:
    document = json.loads(run(sample, "letters", "--json", *PLAIN))
    settings = changes.pop("settings", {})
    document = {**document, **changes}
    if isinstance(settings, dict):
        settings = {**document["settings"], **settings}
    document["settings"] = settings
    Path("out.json").write_text(json.dumps(document))
    return document


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model_sha256": "0" * 64}, "the model differs: letters is not the one that wrote this text"),
        ({"model": "words"}, "the model differs: words is not"),
        ({"model": "gone"}, "gone"),
        (
            {"textgen": "0.0.1\x1b", "completion": "?"},
            r"the version differs: textgen '0.0.1\\x1b' there, .* here; the text",
        ),
        ({"completion": "?"}, r"a setting differs, or the machine: .* the text differs from character 8 on: .* there"),
        ({"prompt": "the dog"}, "a setting differs, or the machine: .* from character 5 on"),
        ({"settings": {"seed": 8}}, "its seed differs from that of its settings$"),
        ({"settings": {"seed": 8}, "seed": 8}, "a setting differs, or the machine"),
        ({"settings": {"temperature": 0.1}}, "a setting differs, or the machine"),
        ({"settings": {"length": 29}}, "the text differs from character 37 on: '' here"),
        (
            {"settings": {"unheard": 1}},
            "a setting differs from those of this version: .* settings. Unknown: 'unheard'$",
        ),
        ({"settings": {"top_p": 7}}, "a setting differs from those of this version: `top_p`"),
        ({"settings": {"top_p": "x"}}, "a setting differs from those of this version: `top_p`"),
        ({"settings": {"endless": True}}, "is endless"),
        ({"settings": {"length": 2**31 - 1}, "num_samples": 64}, "Lower `length`"),
        ({"settings": []}, "nothing that textgen sample --json wrote: it has no settings"),
        ({"engine": "gpu"}, "engine differs from those of this version$"),
        ({"on_unknown": "guess"}, "on_unknown differs from those of this version$"),
        ({"seed": 8}, "its seed differs from that of its settings$"),
        ({"sample": 1}, "there is no sample 1 of 1"),
        ({"sample": -1}, "there is no sample -1 of 1"),
        ({"sample": 10**18, "num_samples": 10**19}, "there is no sample"),
        ({"sample": True}, "it has no sample"),
        ({"model": "../../etc"}, "may hold letters"),
        ({"model": "/etc/passwd"}, "may hold letters"),
        ({"model": "a\0b"}, "may hold letters"),
        ({"model": 3}, "it has no model"),
        ({"given": None}, "it has no given"),
        ({"corpus": "prompts"}, "its corpus has no name and sha256"),
        ({"corpus": {"name": "prompts"}}, "its corpus has no name and sha256"),
    ],
)
def test_what_differs_is_said_in_one_line_and_nothing_is_written(changes, message):
    written(**changes)
    with pytest.raises(TextgenError, match=message) as raised:
        run(replay, "out.json")
    assert "\n" not in str(raised.value)
    assert "\x1b" not in str(raised.value)


def test_a_text_of_another_version_that_is_the_same_is_written():
    document = written(textgen="0.0.1")
    assert run(replay, "out.json") == document["prompt"] + document["completion"] + "\n"


def test_each_text_of_a_file_is_held_against_its_own_model():
    first = written()
    documents = [first, {**first, "model_sha256": "0" * 64}]
    Path("out.json").write_text("".join(json.dumps(document) + "\n" for document in documents))
    result = CliRunner().invoke(replay, ["out.json"])
    assert result.stdout == first["prompt"] + first["completion"] + "\n"
    assert str(result.exception) == "the model differs: letters is not the one that wrote this text"


def test_a_model_that_was_trained_again_is_another(models):
    written()
    write_stored_model(models / "others", make_stored_model(seed=1), "letters")
    with pytest.raises(TextgenError, match="the model differs"):
        run(replay, "out.json", "--models-dir", "others")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n \n",
        b"[]",
        b"[[]]",
        b"{}",
        b"null",
        b"3",
        b'"text"',
        b"[1, 2]",
        b"{",
        b"\xff\xfe{",
        b"[" * 100_000,
        b'{"given": NaN}',
        b'{"given": 1e999}',
        b'{"given": "\\ud800"}',
        b'{"given": ' + b"9" * 5000 + b"}",
        b"{}\n{}\nx",
        b"[" + b"0," * 2**20 + b"0]",
    ],
)
def test_what_is_no_document_is_one_line(content):
    Path("out.json").write_bytes(content)
    with pytest.raises(TextgenError, match=r"out.json (is nothing|holds no text)|of out.json is nothing") as raised:
        run(replay, "out.json")
    assert "\n" not in str(raised.value)
    assert len(str(raised.value)) < 500


def test_what_is_no_file_is_one_line(models):
    os.mkfifo(models / "pipe")
    for name in ("none", "pipe", "saved_models", "/dev/zero"):
        with pytest.raises(TextgenError, match="cannot be read"):
            run(replay, name)


def test_documents_come_through_a_pipe_too():
    written = run(sample, "letters", *PLAIN, "--json", "--num-samples", "2")
    result = CliRunner().invoke(replay, ["-"], input=written)
    assert (result.exit_code, result.stdout) == (0, run(sample, "letters", *PLAIN, "--num-samples", "2"))
    with pytest.raises(TextgenError, match=r"^standard input is nothing that textgen sample --json wrote: "):
        raise CliRunner().invoke(replay, ["-"], input="{").exception


def test_the_text_that_is_not_copied_is_asked_for_by_its_name_and_compared(models):
    flags = ["letters", "--json", "-o", "out.json", "--max-copy", "3", "--corpus", "prompts", *PLAIN]
    run(sample, *flags)
    with pytest.raises(TextgenError, match=r"was written with --corpus prompts\. Give that, too"):
        run(replay, "out.json")
    (models / "others").mkdir(exist_ok=True)
    Path("others/text").write_text("a cat\n")
    with pytest.raises(TextgenError, match="others/text is another text than --corpus prompts was, or has changed"):
        run(replay, "out.json", "--corpus", "others/text")
    free, bound = written(), json.loads(run(sample, *flags[:2], *flags[4:]))
    Path("out.json").write_text("".join(json.dumps(document) + "\n" for document in (free, bound)))
    texts = [document["prompt"] + document["completion"] + "\n" for document in (free, bound)]
    assert run(replay, "out.json", "--corpus", "prompts") == "---\n".join(texts)


def test_a_text_whose_record_names_no_corpus_needs_one_or_an_index():
    document = json.loads(run(sample, "letters", "--json", "--max-copy", "3", "--corpus", "prompts", *PLAIN))
    assert document["corpus"]["name"] == "prompts"
    del document["corpus"]
    Path("out.json").write_text(json.dumps(document))
    with pytest.raises(TextgenError, match="--corpus FILE"):
        run(replay, "out.json")
    assert run(replay, "out.json", "--corpus", "prompts") == document["prompt"] + document["completion"] + "\n"
