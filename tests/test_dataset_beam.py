"""A corpus prepared by Apache Beam's own runner: every byte of the entry is that of `prepare`."""

import gzip
import logging
import os
from pathlib import Path

import pytest
from prepared_corpora import entries, folder, prepared_of  # noqa: F401 (folder is of every test)
from test_dataset_jobs import LINES, in_small_blocks
from whole_texts import write

from textgen.config import TextConfig
from textgen.dataset import shards

pytest.importorskip("apache_beam", reason="Apache Beam is not installed")

from textgen.dataset import beam

WORDS = TextConfig(level="word")


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(shards, "SHARD_CHARACTERS", 500)
    monkeypatch.setattr(shards, "regrouped", in_small_blocks)
    logging.disable(logging.WARNING)
    yield
    logging.disable(logging.NOTSET)


def files_in(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir()}


@pytest.mark.parametrize(
    ("config", "flags"),
    [
        (TextConfig(level="char"), []),
        (WORDS, ["--level", "word"]),
        (WORDS.replace(documents="line"), ["--level", "word", "--documents", "line"]),
    ],
    ids=["characters", "words", "lines"],
)
def test_the_files_are_those_of_prepare(config, flags, capsys):
    half = len(LINES) // 2
    files = [write("a.txt", "".join(LINES[:half])), write("b.txt.gz", gzip.compress("".join(LINES[half:]).encode()))]
    beam.main([*files, "--output", "made", "--val-fraction", "0.1", *flags])
    assert capsys.readouterr().out == "made\n"
    prepared_of(*files, config=config, val_fraction=0.1)
    assert os.listdir("made") == entries()
    (name,) = entries()
    assert files_in(Path("made", name)) == files_in(Path("cache/prepared", name))
    assert os.stat("made").st_mode & 0o777 == 0o700


def test_a_pattern_names_the_files_in_their_order_and_the_cache_finds_what_is_made():
    for number in (2, 1, 3):
        write(f"part-{number}.txt", "".join(LINES[number * 20 : number * 20 + 20]) + number * "\r\n")
    beam.main(["part-*.txt", "--output", "cache/prepared", "--level", "word"])
    stages = set()
    names = [f"part-{number}.txt" for number in (1, 2, 3)]
    prepared_of(*names, config=WORDS, val_fraction=0.1, progress=lambda stage, *_: stages.add(stage))
    assert stages == {"checking"}
    (facts,) = Path("cache/prepared").glob("*/facts.json")
    assert '"part-1.txt mixes line ends: 1 CRLF, 20 LF' in facts.read_text()


@pytest.mark.parametrize(
    ("content", "arguments", "message"),
    [
        ("aaaa", [], "textgen: a text needs at least two different characters to learn from; found only 'a'"),
        (b"ab\xff\xff" * 9, ["--encoding", "utf-8"], "textgen: t.txt is not UTF-8: byte 0xFF at offset 2 "),
        ("abc", ["-"], "textgen: standard input can be read once"),
        ("abc", ["none-*.txt"], "textgen: there is no none-*.txt. Give paths, URLs or patterns"),
        ("abc", ["none://x"], "textgen: Unable to get filesystem from specified path"),
        ("abc", ["--output", "none://x"], "textgen: Unable to get filesystem from specified path"),
        ("abc", ["--output", "t.txt/x"], "textgen: [Errno 20] Not a directory: 't.txt/x'"),
        ("abc", ["--runner", "Walker"], "textgen: Unexpected pipeline runner: Walker."),
    ],
    ids=["one symbol", "encoding", "standard input", "no file", "input", "output", "file as folder", "runner"],
)
def test_what_is_wrong_with_a_text_is_one_line(content, arguments, message, capsys):
    write("t.txt", content)
    with pytest.raises(SystemExit) as end:
        beam.main(["--output", "made", "t.txt", *arguments])
    assert end.value.code == 1
    error = capsys.readouterr().err
    assert error.startswith(message)
    assert error.count("\n") == 1
