"""Text without end: it takes no more memory than a page, Ctrl-C ends it, and what looks to an end is refused."""

import itertools
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from conftest import make_stored_model, make_word_tokenizer, slow, write_stored_model

from textgen.cli.sample import sample
from textgen.config import SamplingConfig
from textgen.errors import SettingError
from textgen.generation.generator import open_generator
from textgen.tokenizers import CharacterTokenizer


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("endless")
    write_stored_model(folder / "saved_models", make_stored_model(units=4, num_layers=1))
    words = make_stored_model(tokenizer=make_word_tokenizer("\n\n"), units=4, num_layers=1)
    write_stored_model(folder / "saved_models", words, "words")
    return folder


def resident_bytes(process: subprocess.Popen) -> int:
    return int(Path(f"/proc/{process.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def writing(folder, *arguments: str) -> subprocess.Popen:
    command = [sys.executable, "-m", "textgen", "sample", *arguments, "--endless"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, cwd=folder, env=os.environ | {"TEXTGEN_MODELS_DIR": "saved_models"}, **pipes)


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="the memory of a process stands in /proc")
@pytest.mark.usefixtures("signals_are_heard")
@pytest.mark.parametrize(
    ("arguments", "characters"),
    [
        (["tiny", "-n", "1"], 20_000),
        slow(["tiny", "-t", "1,2", "--repeat-penalty", "1.1"], 200_000),
        slow(["words", "--no-repeat-ngram", "9", "--ban", "q"], 500_000),
        slow(["tiny", "--logprobs", "3"], 9_000_000),
    ],
)
def test_a_long_text_takes_no_more_memory_than_a_short_one_and_ctrl_c_ends_it(folder, arguments, characters):
    process = writing(folder, *arguments)
    assert len(process.stdout.read(characters // 10)) == characters // 10
    before = resident_bytes(process)
    assert len(process.stdout.read(characters)) == characters
    assert resident_bytes(process) - before < 2 * 2**20
    process.send_signal(signal.SIGINT)
    process.stdout.read()
    assert process.wait() == 130
    assert process.communicate()[1] == b"\ntextgen: stopped\n"


def test_a_reader_that_has_enough_ends_it_without_a_word(folder):
    process = writing(folder, "tiny", "-p", "the")
    assert process.stdout.read(3) == b"the"
    process.stdout.read(100)
    process.stdout.close()
    assert process.wait() == 0
    assert process.stderr.read() == b""
    process.stderr.close()


@pytest.mark.parametrize("tokenizer", [None, CharacterTokenizer("\n abc", "\n"), make_word_tokenizer("\n\n")])
def test_it_begins_as_a_text_that_goes_on_past_the_ends_of_documents(tokenizer):
    generator = open_generator(make_stored_model(tokenizer=tokenizer, seed=3))
    config = SamplingConfig(length=400, stop=("bab",), seed=5)
    long = "".join(generator.stream("ab", config.replace(ignore_eod=True, stop=(), length=2000)))
    pieces = itertools.islice(generator.stream("ab", config.replace(endless=True, stop=())), 900)
    assert long.startswith("".join(pieces)[: len(long)])
    stopped = "".join(generator.stream("ab", config.replace(endless=True, stop=(long[300:304],))))
    assert stopped == long[: long.index(long[300:304])]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--num-samples", "2"], "`endless` text is written as it is made"),
        (["--num-samples", "0"], "`endless` text is written as it is made"),
        (["-o", "out.txt"], "`endless` text is written as it is made"),
        (["--json"], "`endless` text is written as it is made"),
        (["--prompts", "prompts"], "`endless` text is written as it is made"),
        (["--regex", "a*"], "`endless` has no end"),
        (["--must-include", "a"], "`endless` has no end"),
        (["--beams", "2", "-t", "0"], "`endless` has no end"),
        (["--min-length", "3"], "`endless` has no end"),
    ],
)
def test_what_looks_to_an_end_is_refused_in_one_line(folder, monkeypatch, arguments, message):
    monkeypatch.chdir(folder)
    Path("prompts").write_text("a\nb\n")
    result = CliRunner().invoke(sample, ["tiny", "--endless", *arguments])
    assert isinstance(result.exception, SettingError)
    assert message in str(result.exception)
    assert result.stdout == ""
    assert not Path("out.txt").exists()


def test_a_length_of_nothing_is_no_endless_text(folder, monkeypatch):
    monkeypatch.chdir(folder)
    result = CliRunner().invoke(sample, ["tiny", "-n", "0"])
    assert isinstance(result.exception, SettingError)
    assert str(result.exception) == "`length` must be at least 1. Received: 0"


def test_a_program_that_asks_for_the_whole_text_is_refused(stored_model):
    with pytest.raises(SettingError, match="endless"):
        open_generator(stored_model).generate("a", SamplingConfig(endless=True))
