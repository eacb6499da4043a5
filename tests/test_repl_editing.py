"""The story in an editor: small programs stand for it."""

import glob
import os
import stat
import sys
import tempfile

import pytest
from repl_transcript import AlphabetEngine, Transcript, notices, story

EDITOR = "import os, pathlib, sys; path = pathlib.Path(sys.argv[1]); {}"


@pytest.fixture(autouse=True)
def private_tmp(tmp_path, monkeypatch):
    """Whatever an editor does, nothing is left."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.delenv("VISUAL", raising=False)
    monkeypatch.delenv("EDITOR", raising=False)
    yield tmp_path
    assert glob.glob(f"{tmp_path}/*", include_hidden=True) == []


def use(monkeypatch, program: str) -> None:
    monkeypatch.setenv("EDITOR", f"{sys.executable} -c '{EDITOR.format(program)}'")


def test_what_was_edited_is_the_story_and_its_beginning_is_not_read_again(monkeypatch):
    use(monkeypatch, 'path.write_text(path.read_text().replace("x", "one"))')
    engine = AlphabetEngine()
    session = Transcript("a b", "x", "/edit", "/undo", "/redo", engine=engine)
    assert session.run().count("# the story ends: a bcde oneyza\n") == 2
    assert session.story == "a bcde oneyza"
    assert engine.num_read == len("a b") + len("cde x") + len(" oneyza")
    assert session.context.recent.tolist() == session.generator.read("a bcde oneyza").recent.tolist()


@pytest.mark.parametrize(
    ("lines", "program", "result"),
    [
        (["a"], "pass", "abcd"),
        (["a"], 'path.write_text(path.read_text().rstrip("\\n"))', "abcd"),
        (["a\\n"], "pass", "a\nabc"),
        ([], 'path.write_text("new\\n")', "new"),
        (["a"], 'path.write_text("")', ""),
        (["a b"], 'path.write_text("a\\n")', "a"),
        (["a"], 'path.write_bytes(b"\\xff\\xfeb\\x00")', "b"),  # another encoding, as /read takes it
    ],
)
def test_editing_gives_what_was_saved(monkeypatch, lines, program, result):
    use(monkeypatch, program)
    assert story(*lines, "/edit") == result


def test_what_is_added_behind_the_end_leaves_it_the_models_that_it_wrote(monkeypatch):
    use(monkeypatch, 'path.write_text(path.read_text().rstrip() + " x")')
    session = Transcript("a", "/edit")
    session.run()
    assert [(turn.given, turn.written) for turn in session.session.story.turns] == [("a", "bcd"), (" x", "")]


def test_nothing_changed_is_nothing(monkeypatch):
    use(monkeypatch, "pass")
    session = Transcript("a", "/edit")
    assert session.run().endswith("# nothing was changed\n")
    assert len(session.session.history.past) == 1


def test_only_its_owner_sees_the_file(monkeypatch, private_tmp):
    use(monkeypatch, "path.write_text(oct(os.stat(path.parent).st_mode))")
    assert story("/edit") == oct(stat.S_IFDIR | 0o700)


FAILING = [
    ("sys.exit(3)", "ended with status 3. The story is as it was"),
    ("path.unlink()", "cannot be read: "),
    ("path.unlink(); os.mkfifo(path)", "it is not a regular file. The story is as it was"),
    ("path.unlink(); path.mkdir()", "Is a directory. The story is as it was"),
    ('path.unlink(); path.symlink_to("/dev/zero")', "it is not a regular file. The story is as it was"),
    ("os.truncate(path, 2**31)", "is too large: expected at most 16,777,216 bytes"),
    ("path.write_bytes(bytes(range(256)) * 9)", "cannot be read: "),
]


@pytest.mark.parametrize(("program", "said"), FAILING, ids=lambda value: value[:24])
def test_an_editor_that_fails_costs_one_line_and_not_the_story(monkeypatch, program, said):
    use(monkeypatch, program)
    session = Transcript("a", "/edit")
    lines = session.run().split("> /edit\n")[1].splitlines()
    assert (len(lines), said in lines[0], ".." in lines[0], session.story) == (1, True, False, "abcd"), lines


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({}, "no editor is named. Set $VISUAL or $EDITOR to one, as in EDITOR=nano"),
        ({"EDITOR": " "}, "no editor is named. Set $VISUAL or $EDITOR to one, as in EDITOR=nano"),  # not the story
        ({"VISUAL": " ", "EDITOR": "/none/vi"}, "the editor /none/vi cannot be run: No such file or directory"),
        ({"EDITOR": "/none/vi"}, "the editor /none/vi cannot be run: No such file or directory"),
        ({"EDITOR": "vi 'x"}, "the editor vi 'x cannot be run: No closing quotation"),
        (
            {"EDITOR": "true", "VISUAL": "/none/code -w"},
            "the editor /none/code -w cannot be run: No such file or directory",
        ),
        ({"EDITOR": "/"}, "the editor / cannot be run: Permission denied"),
    ],
)
def test_a_missing_editor_is_one_line(monkeypatch, variables, said):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert notices("a", "/edit") == [said]


def test_ctrl_c_in_the_editor_is_the_editors(monkeypatch):
    use(monkeypatch, f'import signal; os.kill({os.getpid()}, signal.SIGINT); path.write_text("new")')
    assert story("a", "/edit") == "new"
