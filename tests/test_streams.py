"""Standard output and standard error that are full, closed, gone or a terminal; in processes of their own."""

import contextlib
import os
import select
import subprocess
import sys
import threading
import unicodedata
from pathlib import Path

import pytest
from commands import CLOSED, Command
from conftest import ALPHABET, make_stored_model, write_stored_model

from textgen.cli import COMMANDS
from textgen.messages import FORMATS

FULL = Path("/dev/full")
HOSTILE = "a\x1b]0;b\x07\x9b\u202e\u200b\U000e0041'"
PERSIAN = "\u0645\u06cc\u200c\u062e"
LINE = "textgen: standard output cannot be written: {}. Send it to a file or a pipe with room"
WITH_RESULTS = ["models", "info tiny", "verify tiny --json", "sample tiny -n 5", "repl tiny -n 5", "evaluate tiny text"]
WITH_RESULTS += ["score tiny text", "gates tiny --text the.cat", "inspect text", "corpora list", "doctor --json"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A working directory with a model, `tiny`, a text, and a file and a model of hostile names."""
    folder = tmp_path_factory.mktemp("streams")
    model = make_stored_model(symbols="".join(sorted({*ALPHABET, *PERSIAN, "\u202e"})))
    for model_name, file_name in (("tiny", "text"), (HOSTILE, HOSTILE)):
        write_stored_model(folder / "saved_models", model, model_name)
        (folder / file_name).write_text("the cat sat on the mat.\n" * 9)
    return folder


def end(command: Command) -> tuple[int, str]:
    return command.wait(), command.errors.read_text()


@pytest.mark.parametrize("arguments", ["--help", "--version", *(f"{name} --help" for name in COMMANDS), *WITH_RESULTS])
def test_where_standard_output_is_full_every_command_says_so_in_one_line(folder, arguments):
    status, said = end(Command(*arguments.split(), cwd=folder, stdin=b"a\na\n", output=FULL))
    assert (status, said.splitlines()[-1]) == (1, LINE.format("No space left on device"))
    assert "Traceback" not in said


def test_where_both_are_full_or_closed_there_is_a_status(folder):
    assert end(Command("--help", cwd=folder, output=CLOSED)) == (1, LINE.format("Bad file descriptor") + "\n")
    assert Command("sample", "tiny", "-n", "5", cwd=folder, log=FULL).wait() == 1
    assert Command("sample", "tiny", "-n", "5", cwd=folder, log=CLOSED).wait() == 1


def test_where_nothing_is_written_on_it_standard_output_does_not_matter(folder):
    for output in (FULL, CLOSED):
        assert end(Command("sample", "tiny", "-o", "written", cwd=folder, output=output)) == (0, "")


@pytest.mark.parametrize("errors", [FULL, CLOSED], ids=str)
def test_where_standard_error_cannot_be_written_a_command_does_what_it_does(folder, errors):
    whole = Command("repl", "tiny", "-n", "9", cwd=folder, stdin=b"a\n/status\na\n")
    assert whole.wait() == 0
    silent = Command("repl", "tiny", "-n", "9", cwd=folder, stdin=b"a\n/status\na\n", errors=errors)
    assert (silent.wait(), silent.output.read_bytes()) == (0, whole.output.read_bytes())
    assert Command("sample", "none", cwd=folder, errors=errors).wait() == 1
    assert Command("sample", "--none", cwd=folder, errors=errors).wait() == 2


def test_a_process_that_begins_without_any_stream_reads_nothing_and_writes_its_file(folder):
    command = 'exec "$0" -m textgen sample tiny -p - -n 5 -o alone <&- >&- 2>&-'
    assert subprocess.run(["sh", "-c", command, sys.executable], cwd=folder, check=False).returncode == 0
    assert len((folder / "alone").read_text()) == 6


def test_a_reader_that_has_enough_ends_the_command_without_a_word(folder, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDWR)  # so that the command finds a reader whenever it begins
    command = Command("sample", "tiny", "-n", "1000000", cwd=folder, output=tmp_path / "pipe")
    select.select([reader], [], [])
    os.close(reader)
    assert end(command) == (0, "")


# ---- terminals


def on_a_terminal(*arguments: str, cwd: Path) -> str:
    """What reaches the terminal that is standard output, and the file that is standard error."""
    ours, theirs = os.openpty()
    shown = []

    def read() -> None:
        with contextlib.suppress(OSError):  # when nobody has the terminal open any more
            while True:
                shown.append(os.read(ours, 10_000))

    reader = threading.Thread(target=read)
    reader.start()
    command = Command(*arguments, cwd=cwd, stdin=b"a\n", output=Path(os.ttyname(theirs)))
    command.wait()
    os.close(theirs)
    reader.join()
    os.close(ours)
    return b"".join(shown).decode().replace("\r\n", "\n") + command.errors.read_text()


def test_generated_text_is_readable_and_harmless_on_a_terminal_and_exact_in_a_pipe(folder):
    arguments = ("sample", "tiny", "-p", f"a\u202e{PERSIAN}", "-n", "1", "--stop", "x")
    command = Command(*arguments, cwd=folder)
    command.wait()
    exact = command.output.read_text()
    assert exact.startswith(f"a\u202e{PERSIAN}")
    assert on_a_terminal(*arguments, cwd=folder) == exact.replace("\u202e", r"\u202e")


@pytest.mark.parametrize(
    "arguments",
    [
        ["inspect", HOSTILE],
        ["train", f"none/{HOSTILE}"],
        ["models", "--models-dir", HOSTILE],
        ["info", f"saved_models/{HOSTILE}"],
        ["verify", f"saved_models/{HOSTILE}"],
        ["repl", f"saved_models/{HOSTILE}", "-n", "1"],
        ["sample", HOSTILE, "-o", f"none/{HOSTILE}"],
        ["sample", "tiny", HOSTILE],
        ["sample", f"--{HOSTILE}"],
        ["evaluate", "tiny", f"none/{HOSTILE}"],
        ["export", f"{HOSTILE}/none"],
        ["doctor", "--models-dir", HOSTILE],
        ["corpora", "info", HOSTILE],
    ],
    ids=lambda arguments: arguments[0],
)
def test_a_hostile_name_reaches_neither_the_terminal_nor_a_log(folder, arguments):
    shown = on_a_terminal(*arguments, cwd=folder)
    assert shown
    assert not [c for c in shown if (unicodedata.category(c) == "Cc" and c != "\n") or FORMATS.match(c)]
