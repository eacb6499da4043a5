"""The keyboard and the screen, and what stands in for them in a pipe."""

import contextlib
import os
import re
import shlex
import shutil
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner
from conftest import make_stored_model, slow
from hypothesis import given, settings
from hypothesis import strategies as st
from prompt_toolkit.buffer import Buffer
from repl_transcript import Transcript

from textgen.cli.repl import repl
from textgen.config import SamplingConfig
from textgen.errors import SettingError
from textgen.generation.generator import open_generator
from textgen.repl import keyboard, terminal
from textgen.repl.completion import CommandCompleter, complete
from textgen.repl.layout import side_by_side, width_of
from textgen.repl.page import Page
from textgen.repl.reach import count_words
from textgen.repl.session import CommandError, ModelFacts
from textgen.repl.showing import status_line

REPOSITORY = Path(__file__).parents[1]


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
        ("/go", ["/go"]),
        ("/go ma", ["main"]),
        ("/diff ", ["main", "\u738b end"]),
        ("/go \u738b e", ["\u738b end"]),
        ("/set ignore-eod o", ["on", "off"]),
        ("/set stop ", ["off"]),
        ("/set regex o", ["off"]),
        ("/set nothing o", []),
        ("/re", ["/regen", "/redo", "/read"]),
        ("/set top", ["top_k", "top_p"]),
        ("/set top-k", ["top_k"]),
        ("/set top_k 4", []),
        ("/undo x", []),
        ("regen", []),
        ("", []),
    ],
)
def test_completion_knows_commands_settings_values_and_stories(typed, words):
    from prompt_toolkit.document import Document

    found = CommandCompleter(lambda: ["main", "\u738b end"]).get_completions(Document(typed), None)
    assert [completion.text for completion in found] == words


def test_completion_knows_files(tmp_path):
    from prompt_toolkit.document import Document

    (tmp_path / "novel.txt").write_text("")
    found = CommandCompleter(lambda: []).get_completions(Document(f"/read {tmp_path}/no"), None)
    assert [completion.text for completion in found] == ["vel.txt"]


def test_history_is_kept_where_it_can_be(tmp_path):
    from prompt_toolkit.history import InMemoryHistory

    path = tmp_path / "state" / terminal.HISTORY
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


def test_a_text_is_as_readable_in_a_notice_as_in_the_story(capsys):
    text = "\U0001f469\u200d\U0001f680 \u0645\u06cc\u200c\u062e"  # an emoji of three, and Persian
    terminal.show_notice(f"the story ends: {text}")
    terminal.show_lines("\n".join(side_by_side(["1", "2"], [text, "b"], 80)))
    assert capsys.readouterr().err == f"the story ends: {text}\n1{' ' * 40}2\n{text}{' ' * 35}b\n"


# ---------------------------------------------------------------- the line that is typed


def lines_typed(monkeypatch, keys: str, count: int = 1) -> list[str]:
    """What the editor makes of keys."""
    from prompt_toolkit.application import create_app_session
    from prompt_toolkit.input import create_pipe_input
    from prompt_toolkit.output import DummyOutput

    monkeypatch.setattr(terminal, "is_terminal", lambda: True)
    with create_pipe_input() as keyboard_input, create_app_session(input=keyboard_input, output=DummyOutput()):
        read_line = terminal.line_reader(Transcript().session)
        keyboard_input.send_text(keys)
        return [read_line("> ") for _ in range(count)]


def test_alt_enter_begins_a_line_and_enter_ends_them_all(monkeypatch):
    assert lines_typed(monkeypatch, "one\x1b\rtwo\rthree\r", 2) == ["one\ntwo", "three"]


def test_a_tab_is_answered_before_the_key_behind_it(monkeypatch):
    assert lines_typed(monkeypatch, "/vari\t 2\r/set top-k\t 1\r", 2) == ["/variants 2", "/set top_k 1"]


def test_on_a_dumb_terminal_a_tab_adds_what_is_certain_as_if_it_were_typed(monkeypatch):
    monkeypatch.setenv("TERM", "dumb")
    buffer, echo = Buffer(), []
    buffer.on_text_changed += lambda _: echo.append(buffer.text[-1])  # all that is shown there
    for text in ("/", "s", "\t", "e", "t", " ", "t", "e", "m", "\t", " "):
        if text == "\t":
            complete(buffer, CommandCompleter(list))
        else:
            buffer.insert_text(text)
    assert "".join(echo) == buffer.text == "/set temperature "


def test_pasted_text_stays_whole(monkeypatch):
    assert lines_typed(monkeypatch, "a \x1b[200~one\r\n\r\n/two\nthree\x1b[201~ b\r") == ["a one\n\n/two\nthree b"]


def test_lines_of_earlier_sessions_are_found_again_whole(monkeypatch, tmp_path):
    monkeypatch.setenv("TEXTGEN_STATE_DIR", str(tmp_path))
    lines_typed(monkeypatch, "one\x1b\rtwo\r")
    assert lines_typed(monkeypatch, "\x1b[A\r") == ["one\ntwo"]


def test_the_line_below_says_what_is_set_and_fits():
    session = Transcript(model=ModelFacts("no\x1bvel")).session
    lines = {width: status_line(session, width) for width in range(1, 120)}
    assert lines[100] == " no␛vel  temperature 0.8  seed 0  0 words"
    assert all(width_of(line) <= width for width, line in lines.items())
    talk = Transcript("It was a", "/branch \u738b end")
    talk.run()
    talk.session.tokens_per_second = 1234.5
    assert status_line(talk.session, 100) == " novel  temperature 0.8  seed 0  3 words  1,234 tokens/s  \u738b end"
    assert status_line(talk.session, 50) == " novel  3 words  t 0.8  seed 0  \u738b end  1,234/s"
    assert status_line(talk.session, 30) == " novel  3 words  t 0.8  seed 0"
    assert status_line(talk.session, 9) == " 3 words"


# ---------------------------------------------------------------- the story on the screen


def screen_of(sent: str) -> list[str]:
    """The lines that a terminal shows, wide enough that it breaks none."""
    lines = [""]
    for symbols, back in re.findall(r"(\x1b\[(\d*)[DK]|[^\x1b])", sent):
        if back and symbols.endswith("D"):
            head = lines[-1]
            while width_of(head) > width_of(lines[-1]) - int(back):
                head = head[:-1]
            lines[-1] = head
        elif symbols == "\n":
            lines.append("")
        elif not symbols.startswith("\x1b"):
            lines[-1] += symbols
    return lines


SHOWN = st.lists(st.sampled_from([*"ab \n\t\u738b-", "\u2764\ufe0f", "\U0001f44d\U0001f3fd"]), max_size=80).map("".join)


@given(SHOWN, st.integers(10, 30), st.integers(1, 7))
@settings(max_examples=80)
def test_a_story_that_streams_is_shown_in_whole_words_and_none_is_lost(text, width, size):
    page = Page(lambda: width)
    sent = "".join(page.place(text[place : place + size]) for place in range(0, len(text), size))
    lines = screen_of(sent.replace("\t", " "))
    assert max(map(width_of, lines)) < width
    assert re.sub(r"\s", "", "".join(lines)) == re.sub(r"\s", "", text)
    assert not any(line.startswith(("\ufe0f", "\U0001f3fd")) for line in lines)
    for word in re.findall(r"[ab-]+", text):
        assert len(word) > width - 2 or any(word in line for line in lines) or "\u738b" in text


def test_words_that_reach_the_edge_go_to_the_next_line():
    page = Page(lambda: 11)
    sent = "".join(map(page.place, "the cat sat on a mat"))
    assert screen_of(sent) == ["the cat ", "sat on a ", "mat"]
    assert "\x1b[2D\x1b[K\nsat" in sent


def test_an_emoji_of_several_symbols_is_not_taken_apart_at_the_edge():
    heart, thumb = "\u2764\ufe0f", "\U0001f44d\U0001f3fd"
    page = Page(lambda: 6)
    assert screen_of("".join(map(page.place, heart * 3 + f" {thumb}abcd"))) == [heart * 2, f"{heart} {thumb}", "abcd"]


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"TERM": "xterm"}, "\x1b[1ma\x1b[0mbcd\r\n"),
        ({"TERM": "xterm", "NO_COLOR": "1"}, "abcd\r\n"),
        ({"TERM": "dumb"}, "abcd\r\n"),
    ],
)
def test_what_was_typed_is_bold_where_the_terminal_can(monkeypatch, variables, expected):
    monkeypatch.delenv("NO_COLOR", raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    talk = Transcript("a")
    talk.run()
    with screen(monkeypatch) as shown:
        talk.session.write = terminal.story_writer()
        talk.session.write_typed = terminal.typed_writer(talk.session.write)
        talk.repl.answer("/text")
        sent = shown()
        while not sent.endswith("\n"):
            sent += shown()
        assert sent == expected


def test_in_a_pipe_the_story_is_exact_and_nothing_is_bold(capsys):
    write = terminal.story_writer()
    for show in (write, terminal.typed_writer(write)):
        show("a\x1b word" * 30)
    assert capsys.readouterr().out == "a\x1b word" * 60


# ---------------------------------------------------------------- a whole session in a terminal


class Terminal:
    """`textgen repl tiny` in tmux, at a size."""

    def __init__(self, folder: Path, width: int, height: int, **variables: str):
        self.socket = f"textgen-{os.getpid()}-{width}"
        command = [sys.executable, "-m", "textgen", "repl", "tiny", "-n", "60", "--models-dir", folder / "models"]
        variables = {"TERM": "screen", "TEXTGEN_STATE_DIR": folder / "state", "PYTHONPATH": REPOSITORY} | variables
        line = shlex.join(map(str, ["env", *(f"{name}={value}" for name, value in variables.items()), *command]))
        self.tmux("-f", "/dev/null", "new-session", "-d", "-x", str(width), "-y", str(height), line)

    def tmux(self, *arguments: str) -> str:
        command = ["tmux", "-L", self.socket, *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    def type(self, *keys: str, until: str) -> list[str]:
        """Send keys, and give the screen's lines when the text is there."""
        if keys:
            self.tmux("send-keys", *keys)
        for _ in range(200):
            shown = self.tmux("capture-pane", "-p").rstrip().split("\n")
            if any(until in line for line in shown):
                return shown
            time.sleep(0.05)
        raise AssertionError(f"{until!r} did not come:\n" + "\n".join(shown))


@contextlib.contextmanager
def in_a_terminal(*arguments, **variables):
    if not shutil.which("tmux"):
        pytest.skip("tmux is not installed")
    shown = Terminal(*arguments, **variables)
    try:
        yield shown
    finally:
        shown.tmux("kill-server")


@pytest.mark.parametrize(("width", "height"), [(80, 24), slow(40, 15), slow(24, 20)])
def test_a_session_on_a_screen(tmp_path, models_dir, width, height):
    generator = open_generator(make_stored_model())
    story = "it was" + "".join(generator.stream("it was", SamplingConfig(length=60)))
    with in_a_terminal(tmp_path, width, height) as shown:
        shown.type(until=" tiny  ")
        lines = shown.type("it was", "Enter", until=f" {count_words(story)} words")
        at = next(place for place, line in enumerate(lines) if line.startswith("> it was"))
        assert "".join(lines[at + 1 : -1]).replace(" ", "").startswith(story[6:].replace(" ", "").replace("\n", ""))
        assert max(map(len, lines)) < width
        assert lines[-1].startswith(" tiny  temperature 0.8  seed 0  " if width == 80 else " tiny  ")
        lines = shown.type("/variants 2", "Enter", until="1-2>")
        assert any(line.startswith("1" + " " * 40 + "2") for line in lines) == (width == 80)
        lines = shown.type("/branch end", "Enter", until="stays")
        lines = shown.type("/go m", "Tab", "Enter", until="story main")
        shown.tmux("resize-window", "-x", "30", "-y", str(height))
        lines = shown.type("/help", "Enter", until="/quit")
        assert max(map(len, lines)) <= 30


# ---------------------------------------------------------------- the command with a session


def test_the_command_goes_on_with_a_session_and_flags_win_over_its_settings(models_dir, tmp_path):
    arguments = ["tiny", "--models-dir", str(models_dir), "--session", str(tmp_path / "desk")]
    first = CliRunner().invoke(repl, [*arguments, "-n", "9", "-t", "0.5"], input=b"it was\n")
    assert first.stderr.splitlines()[2] == f"the session is kept in {tmp_path}/desk from now on"
    again = CliRunner().invoke(repl, [*arguments, "-t", "2"], input=b"/text\n/set temperature\n/set length\n")
    assert (again.exit_code, again.stdout) == (0, f"it was{first.stdout}")
    said = again.stderr.splitlines()
    end = first.stdout.removesuffix("\n").replace("\n", "\\n")
    assert said[2:4] == [f"the session of {tmp_path}/desk goes on", f"the story ends: it was{end}"]
    assert [line.split()[:2] for line in said[4:]] == [["temperature", "2.0"], ["length", "9"]]


def test_a_file_that_is_no_session_ends_the_command_before_it_begins(models_dir, tmp_path):
    (tmp_path / "novel").write_text("It was.")
    arguments = ["tiny", "--models-dir", str(models_dir), "--session", str(tmp_path / "novel")]
    result = CliRunner().invoke(repl, arguments, input=b"a\n")
    assert isinstance(result.exception, CommandError)
    assert str(result.exception).startswith(f"{tmp_path}/novel is no session of textgen")
    assert (tmp_path / "novel").read_text() == "It was."
    arguments[-1] = ""  # as of a variable of the shell that is not set
    result = CliRunner().invoke(repl, arguments, input=b"a\n")
    assert str(result.exception) == "--session expects the name of a file"


def test_settings_that_contradict_each_other_begin_no_session_and_join_none(models_dir, tmp_path):
    arguments = ["tiny", "--models-dir", str(models_dir), "--session", str(tmp_path / "desk")]
    refused = CliRunner().invoke(repl, [*arguments, "--beams", "3"], input=b"a\n")
    assert str(refused.exception).startswith("`beams` looks for the likeliest text")
    assert not (tmp_path / "desk").exists()
    assert CliRunner().invoke(repl, [*arguments, "-t", "0"], input=b"a\n").exit_code == 0
    assert CliRunner().invoke(repl, [*arguments, "--beams", "3"], input=b"a\n").exit_code == 0
    assert isinstance(CliRunner().invoke(repl, [*arguments, "-t", "1"], input=b"a\n").exception, SettingError)
