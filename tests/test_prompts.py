"""Prompts from files: the text of a corpus, and one line where there is none."""

import gzip
import io
import json
import os
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from conftest import make_stored_model, write_stored_model
from small_documents import paragraph, word

from textgen.cli.sample import sample
from textgen.errors import CorpusError, SettingError
from textgen.generation.prompts import clean_prompt, read_prompt, read_prompts

MOST = 1000


@pytest.fixture
def prompt(tmp_path):
    return tmp_path / "prompt.txt"


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"plain", "plain"),
        (b"\xef\xbb\xbfone\r\ntwo\n", "one\ntwo\n"),
        (b"a\xef\xbb\xbf", "a\ufeff"),
        (b"\xef\xbb\xbf\xef\xbb\xbfa", "\ufeffa"),
        (b"a\rb\r\r\n", "a\nb\n\n"),
        (b"\x93Hi\x94 he said", "\u201cHi\u201d he said"),
        ("\u00c9lan\r\n".encode("utf-16"), "\u00c9lan\n"),
        (gzip.compress(b"one\r\n", mtime=0), "one\n"),
        (b"", ""),
        ("caf\u00e9".encode(), "caf\u00e9"),
    ],
)
def test_a_byte_order_mark_goes_and_line_ends_are_lf(prompt, content, text, monkeypatch):
    prompt.write_bytes(content)
    assert read_prompt(prompt, MOST) == text
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
    assert read_prompt(None, MOST) == text


def test_what_is_not_clear_is_named_with_its_place_and_a_guess_is_said(prompt, monkeypatch):
    prompt.write_bytes(b"a\n\xc3\xa9b\xe9")
    with pytest.raises(CorpusError, match=r"prompt.txt is UTF-8 with 1 stray byte: byte 0xE9 at offset 5 \(line 2\)"):
        read_prompt(prompt, MOST)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"\xff")))
    with pytest.raises(CorpusError, match=r"^'?standard input'? is not UTF-8: byte 0xFF at offset 0"):
        read_prompt(None, MOST)
    prompt.write_bytes(b"%PDF-1.4\n%\xe2\xe3\n")
    with pytest.raises(CorpusError, match="it looks like a PDF document"):
        read_prompt(prompt, MOST)
    notes: list[str] = []
    prompt.write_bytes(b"\x93Hi\x94 he said\r")
    assert read_prompt(prompt, MOST, notes.append) == "\u201cHi\u201d he said\n"
    assert notes == [f"{prompt}: read as cp1252: \u201cHi\u201d he said", "1 CR line end turned into LF"]


def test_a_document_is_read_as_it_would_be_for_training(tmp_path, monkeypatch):
    letter = word(paragraph("Fish &amp; chips."))
    (tmp_path / "letter.txt").write_bytes(letter)
    notes: list[str] = []
    assert read_prompt(tmp_path / "letter.txt", MOST, notes.append) == "Fish & chips.\n"
    assert notes == [f"{tmp_path / 'letter.txt'}: read as a Word document: 1 paragraph, 14 characters of text"]
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(letter)))
    assert read_prompt(None, MOST) == "Fish & chips.\n"
    (tmp_path / "page.html").write_text("<p>Fish &amp; <b>chips</b>.</p>")
    assert read_prompt(tmp_path / "page.html", MOST) == "Fish & chips.\n"
    (tmp_path / "rows.csv").write_text("a,b,c\n1,2,3\n4,5,6\n7,8,9\n")
    notes.clear()
    assert read_prompt(tmp_path / "rows.csv", MOST, notes.append).startswith("a,b,c\n1")
    assert notes == []  # there is no --column here


def test_a_compressed_prompt_is_not_unpacked_without_end(prompt):
    prompt.write_bytes(gzip.compress(bytes(10**6)))
    with pytest.raises(SettingError, match=f"expected at most {10**5:,} bytes"):
        read_prompt(prompt, 10**5)


def test_a_prompt_that_was_typed_is_cleaned_too():
    assert clean_prompt("\ufeffone\r\ntwo\rthree\n") == "one\ntwo\nthree\n"


def test_a_file_that_is_too_large_is_not_read_to_its_end(prompt):
    prompt.write_bytes(b"a" * MOST)
    assert len(read_prompt(prompt, MOST)) == MOST
    prompt.write_bytes(b"a" * (MOST + 1))
    with pytest.raises(SettingError, match="expected at most 1,000 bytes"):
        read_prompt(prompt, MOST)


def test_what_is_no_file_on_a_disk_is_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/tty"), Path("/proc/self/environ")):
        with pytest.raises(CorpusError, match=f"^{path} cannot be read: it is not a regular file$"):
            read_prompt(path, MOST)


def test_a_file_that_cannot_be_read_is_named_with_the_reason(prompt):
    with pytest.raises(CorpusError, match=r"prompt.txt cannot be read: No such file"):
        read_prompt(prompt, MOST)
    prompt.mkdir()
    with pytest.raises(CorpusError, match=r"prompt.txt cannot be read: Is a directory"):
        read_prompt(prompt, MOST)
    with pytest.raises(CorpusError, match=r"cannot be read: embedded null byte"):
        read_prompt(prompt / "\0", MOST)


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("some.txt", b"the\n\n  a cat \n \t\nsat", ["the", "  a cat ", "sat"]),
        ("some.txt", b"\xef\xbb\xbfone\r\n\r\ntwo\rthree\r\n", ["one", "two", "three"]),
        ("some.txt", b'one\n{"prompt": "two"}', ["one", '{"prompt": "two"}']),
        ("some.txt", b'\n{"prompt": "a\\r\\nb", "more": 1}\r\n\n{"prompt": ""}', ["a\nb", ""]),
        ("some.jsonl", b'\xef\xbb\xbf{"prompt": "\\ufeffx"}', ["x"]),
        ("some.NDJSON", '{"prompt": "\u00e9"}\n'.encode("utf-16"), ["\u00e9"]),
        ("some.txt", gzip.compress(b"one\ntwo", mtime=0), ["one", "two"]),
        ("some.txt", "\u2028a\x0cb\n".encode(), ["\u2028a\x0cb"]),
    ],
)
def test_each_line_is_a_prompt_and_blank_ones_are_none(tmp_path, name, content, expected):
    (tmp_path / name).write_bytes(content)
    assert read_prompts(tmp_path / name, MOST) == expected


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("some.txt", b"", "holds no prompt. Give one on each line"),
        ("some.jsonl", b"\n \n", "holds no prompt. Give one on each line"),
        ("some.txt", b'{"prompt": "a"}\n\nb', r'line 3 of .*some.txt is no object like {"prompt": "Once"}'),
        ("some.jsonl", b"plain", "line 1 of .*some.jsonl is no object like"),
        ("some.jsonl", b'{"prompt": "a"}\n{"prompt": 3}', "line 2 of"),
        ("some.jsonl", b'{"prompt": "a"}\n{"text": "a"}', "line 2 of"),
        ("some.jsonl", b'{"prompt": "a"}\n["prompt"]', "line 2 of"),
        ("some.jsonl", b'{"prompt": "a"}\n' + b"[" * 900, "line 2 of"),
        ("some.jsonl", b'{"prompt": "a"}\n' + b"9" * 900, "line 2 of"),
    ],
)
def test_a_bad_line_of_a_file_of_prompts_is_named(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(CorpusError, match=message) as raised:
        read_prompts(tmp_path / name, MOST)
    assert "\n" not in str(raised.value)
    (tmp_path / name).write_bytes(b"a\n" * MOST)
    with pytest.raises(SettingError, match="expected at most 1,000 bytes"):
        read_prompts(tmp_path / name, MOST)


def test_each_prompt_of_a_file_is_continued_as_it_is_alone(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_stored_model(tmp_path / "saved_models", make_stored_model())

    def sampled(*arguments: str, **given: str) -> str:
        result = CliRunner().invoke(sample, ["tiny", "-n", "20", *arguments], **given)
        assert result.exception is None
        return result.stdout

    prompts = ["the", "  a cat ", "Z", "\ud800 on"]  # half a symbol can be written in JSON
    Path("some.jsonl").write_text("".join(json.dumps({"prompt": prompt}) + "\n" for prompt in prompts))
    alone = [sampled("-p", prompt) for prompt in prompts]
    assert sampled("--prompts", "some.jsonl") == "---\n".join(alone)
    assert sampled("--prompts", "-", input=Path("some.jsonl").read_text()) == "---\n".join(alone)
    assert sampled("--prompts", "some.jsonl", "--no-prompt", "--sample-delimiter", "|").count("|") == 3
    lines = sampled("--prompts", "some.jsonl", "--num-samples", "2", "--json").splitlines()
    found = [json.loads(line) for line in lines]
    assert [(document["given"], document["sample"]) for document in found] == [(p, s) for p in prompts for s in (0, 1)]
    assert [document["prompt"] + document["completion"] + "\n" for document in found[::2]] == alone
    for flags in (["-p", "a"], ["-f", "some.jsonl"]):
        result = CliRunner().invoke(sample, ["tiny", "--prompts", "some.jsonl", *flags])
        assert "give one of --prompt, --file and --prompts" in str(result.exception)
