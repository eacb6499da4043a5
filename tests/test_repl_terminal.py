"""The keyboard and the screen, and what stands in for them in a pipe."""

import contextlib
import os
import stat
import sys

import pytest
from click.testing import CliRunner
from conftest import make_stored_model

from textgen.cli.repl import repl
from textgen.config import SamplingConfig
from textgen.generation.generator import open_generator
from textgen.repl import keyboard, terminal
from textgen.repl.completion import CommandCompleter


def test_the_command_writes_text_alone_on_standard_output(models_dir):
    arguments = ["tiny", "--models-dir", str(models_dir), "-n", "30", "--seed", "3"]
    result = CliRunner().invoke(repl, arguments, input=b"hello\n/status\n\xff\n/exit\n")
    generator = open_generator(make_stored_model())
    text = "".join(generator.stream("hello", SamplingConfig(length=30, seed=3)))
    assert (result.exit_code, result.stdout) == (0, text.removesuffix("\n") + "\n")
    assert result.stderr.splitlines()[1].startswith("Type text and the model goes on")
    assert "a line is not UTF-8: byte 0xFF" in result.stderr


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("/re", ["/regen", "/redo", "/read"]),
        ("/set top", ["top_k", "top_p"]),
        ("/set top-k", ["top_k"]),
        ("/set top_k 4", []),
        ("/undo x", []),
        ("regen", []),
        ("", []),
    ],
)
def test_completion_knows_commands_and_settings(typed, words):
    from prompt_toolkit.document import Document

    found = CommandCompleter(lambda: []).get_completions(Document(typed), None)
    assert [completion.text for completion in found] == words


def test_completion_knows_files(tmp_path):
    from prompt_toolkit.document import Document

    (tmp_path / "novel.txt").write_text("")
    found = CommandCompleter(lambda: []).get_completions(Document(f"/read {tmp_path}/no"), None)
    assert [completion.text for completion in found] == ["vel.txt"]


def test_history_is_kept_where_it_can_be(tmp_path):
    from prompt_toolkit.history import InMemoryHistory

    path = tmp_path / "state" / "history"
    terminal.open_history(path).store_string("a line")
    path.chmod(0o644)  # as an older version left it
    path.parent.chmod(0o755)
    assert list(terminal.open_history(path).load_history_strings()) == ["a line"]
    assert [stat.S_IMODE(os.stat(made).st_mode) for made in (path.parent, path)] == [0o700, 0o600]
    (tmp_path / "file").write_text("")
    assert isinstance(terminal.open_history(tmp_path / "file" / "history"), InMemoryHistory)


def test_a_history_that_fails_later_does_not_end_the_session(tmp_path):
    history = terminal.open_history(tmp_path / "history")
    history.store_string("\udc80")
    (tmp_path / "history").unlink(missing_ok=True)
    (tmp_path / "history").mkdir()
    history.store_string("a line")


@contextlib.contextmanager
def screen(monkeypatch):
    """A pseudo-terminal as standard input, output and error; yields what returns the text shown since."""
    pytest.importorskip("termios")
    master, slave = os.openpty()
    with (
        open(slave, closefd=False) as keyboard,
        open(slave, "w", closefd=False) as paper,
        monkeypatch.context() as patch,
    ):
        for name, file in {"stdin": keyboard, "stdout": paper, "stderr": paper}.items():
            patch.setattr(sys, name, file)
        yield lambda: os.read(master, 10_000).decode()
    os.close(slave)
    os.close(master)


@pytest.mark.parametrize("problem", [None, KeyboardInterrupt])
def test_the_keyboard_is_quiet_while_a_session_runs_and_restored_after(monkeypatch, problem):
    import termios

    def echoes():
        return bool(termios.tcgetattr(sys.stdin)[3] & termios.ECHO)

    with screen(monkeypatch):
        assert echoes()
        with contextlib.suppress(KeyboardInterrupt), keyboard.quiet_keyboard():
            assert not echoes()
            if problem:
                raise problem
        assert echoes()


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"TERM": "xterm"}, "\x1b[2ma notice\x1b[0m\r\n"),
        ({"TERM": "xterm", "NO_COLOR": "1"}, "a notice\r\n"),
        ({"TERM": "dumb"}, "a notice\r\n"),
    ],
)
def test_notices_are_dim_where_the_terminal_can(monkeypatch, variables, expected):
    monkeypatch.delenv("NO_COLOR", raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with screen(monkeypatch) as shown:
        terminal.show_notice("a notice")
        assert shown() == expected


def test_notices_are_harmless_in_a_pipe_too_and_keep_their_lines(capsys):
    terminal.show_notice("a notice\nof \x1b[2J\u202e")
    assert capsys.readouterr() == ("", "a notice\nof \u241b[2J\\u202e\n")
