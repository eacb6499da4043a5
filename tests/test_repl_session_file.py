"""A session that goes on tomorrow, and files that are none."""

import json
import os
import re
from pathlib import Path

import pytest
from conftest import make_stored_model, make_word_tokenizer
from repl_transcript import AlphabetEngine, Transcript, notices, transcript

from textgen.generation.generator import open_generator
from textgen.repl import session_file
from textgen.repl.session import ModelFacts

TALK = ["it was", "/branch \u738b end", "so. x", "/words 2", "/back", "/go main", "", "/undo", "/set temperature 1.5"]
TALK += ["/set stop q ' z'", "/new", "/undo", "/variants 2", "1", "/to a"]
LATER = ["", "/regen", "/undo", "/undo", "/redo", "/go \u738b end", "/regen", "/alt", "2", "/branches", "/show", "/set"]


def state(session):
    history = session.history

    def desk(one):
        return one.name, {name: [(t.given, t.written, t.reach) for t in s.turns] for name, s in one.branches.items()}

    desks = desk(history.present), [desk(one) for one in history.past], [desk(one) for one in history.future]
    return desks, session.config, session.next_sample


@pytest.mark.parametrize(
    "tokenizer", [None, make_word_tokenizer(), make_word_tokenizer("\n")], ids=["char", "word", "eod"]
)
def test_a_session_that_goes_on_from_its_file_is_the_one_that_never_ended(tokenizer, tmp_path):
    def generator():
        return open_generator(make_stored_model(tokenizer=tokenizer))

    whole = Transcript(*TALK, *LATER, generator=generator())
    shown = whole.run()
    today = Transcript(f"/session {tmp_path}/desk", *TALK, generator=generator())
    today.run()
    tomorrow = Transcript(f"/session {tmp_path}/desk", generator=generator())
    tomorrow.run()
    assert state(tomorrow.session) == state(today.session)
    tomorrow.lines += LATER
    tomorrow.shown = ""
    assert shown.endswith(tomorrow.run())
    assert state(tomorrow.session) == state(whole.session)


def test_a_loaded_session_reads_each_text_once(tmp_path):
    Transcript(f"/session {tmp_path}/desk", "a", "x", "/branch b", "y").run()
    engine = AlphabetEngine()
    Transcript(f"/session {tmp_path}/desk", "", "/go main", "", engine=engine).run()
    assert engine.num_read == len("abcd xyza yzab")


def test_what_takes_long_to_read_is_told_wherever_it_is_read(tmp_path):
    (tmp_path / "long").write_text("It was. " * 4000)
    said = "# reading 32,000 characters; Ctrl-C stops it\n"
    shown = transcript(f"/read {tmp_path}/long", "", "", f"/session {tmp_path}/desk")
    assert shown.count(said) == shown.count("# reading ") == 1
    shown = transcript(f"/session {tmp_path}/desk", "x", "y", "/back 9")
    assert shown.split("> x\n")[1].startswith("# reading 32,0")  # and what was written since
    assert shown.count("# reading ") == 2
    assert "# reading 31,9" in shown.split("> /back 9\n")[1]


def test_the_file_is_kept_after_every_change_and_is_only_written_for_one(tmp_path):
    path = tmp_path / "desk"
    session = Transcript(f"/session {path}")
    assert session.run() == f"> /session {path}\n# the session is kept in {path} from now on\n"
    for line in ("a", "/set seed 3", "/undo", "/branch b"):
        before = path.read_bytes()
        session.lines += [line]
        session.run()
        assert path.read_bytes() != before
    before = os.stat(path)
    session.lines += ["/help", "/branches", "/status", "/session", "/text", "/go nowhere"]
    assert f"# the session is kept in {path}\n" in session.run()
    assert (os.stat(path).st_ino, os.stat(path).st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert os.listdir(tmp_path) == ["desk"]


def test_what_is_kept_nowhere_is_not_dropped_for_a_session(tmp_path):
    Transcript(f"/session {tmp_path}/one", "a").run()
    session = Transcript(
        "x", f"/session {tmp_path}/one", f"/session {tmp_path}/other", f"/session {tmp_path}/one", "/text"
    )
    assert f"# {tmp_path}/one holds a session, and the story here is kept in no file. /session OTHER" in session.run()
    assert session.story == "abcd"
    assert notices(f"/session {tmp_path}/other")[-1] == "the story ends: xyza"


def test_a_session_of_another_model_is_said(tmp_path):
    path = tmp_path / "desk"
    Transcript(f"/session {path}", "a", model=ModelFacts("first", "", "1" * 64)).run()
    said = Transcript(f"/session {path}", model=ModelFacts("other", "", "2" * 64)).run().splitlines()[1]
    assert said == f"# the session of {path} goes on; it was written with another model, first"
    same = Transcript(f"/session {path}", model=ModelFacts("renamed", "", "1" * 64)).run()
    assert f"# the session of {path} goes on\n" in same


def test_a_session_that_an_older_version_wrote_has_the_settings_that_there_were(tmp_path):
    path = tmp_path / "desk"
    Transcript(f"/session {path}", "/set temperature 2").run()
    document = json.loads(path.read_text())
    del document["settings"]["min_p"]
    path.write_text(json.dumps(document))
    session = Transcript(f"/session {path}")
    session.run()
    assert (session.session.config.temperature, session.session.config.min_p) == (2.0, 0.0)


def test_another_program_that_writes_the_file_keeps_what_it_wrote(tmp_path):
    path = tmp_path / "desk"
    first = Transcript(f"/session {path}", "a")
    first.run()
    Transcript(f"/session {path}", "x").run()
    theirs = path.read_bytes()
    first.lines += ["y", "z", "/session"]
    said = [line for line in first.run().splitlines() if line.startswith("#")][-2:]
    assert said[0].startswith(f"# {path} was changed or removed by another program, and is left as it is.")
    assert said[1].startswith("# the session is kept in no file")
    assert path.read_bytes() == theirs


def test_a_full_disk_costs_a_line_and_the_next_change_is_kept(tmp_path, monkeypatch):
    session = Transcript(f"/session {tmp_path}/desk", "a")
    session.run()

    def full(path, text):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(session_file, "write_file", full)
        session.lines += ["x"]
        assert session.run().endswith(f"# the session cannot be kept in {tmp_path}/desk: No space left on device\n")
    assert session.story == "abcd xyza"
    session.lines += ["/set seed 1"]
    session.run()
    assert notices(f"/session {tmp_path}/desk")[-1] == "the story ends: abcd xyza"


def test_a_link_leads_to_the_session(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "desk")
    Transcript(f"/session {tmp_path}/link", "a").run()
    assert (tmp_path / "link").is_symlink()
    assert notices(f"/session {tmp_path}/desk")[-1] == "the story ends: abcd"


# ---------------------------------------------------------------- what is no session

FOREIGN = {
    "a novel": b"It was a dark night.\n",
    "nothing": b"",
    "other JSON": b'{"kind": "something else"}',
    "a list": b"[1, 2]",
    "a tensor": bytes(range(256)),
    "deep": b"[" * 10**6,
}
DAMAGED = {
    "cut": lambda d: json.dumps(d)[:-40],
    "NaN": lambda d: json.dumps(d).replace('"next_sample": 3', '"next_sample": NaN'),
    "deep": lambda d: json.dumps(d).replace('"next_sample": 3', '"next_sample": ' + "[" * 10**5),
    "twice": lambda d: json.dumps(d)[:-1] + ', "kind": "textgen session"}',
    "surrogate": lambda d: json.dumps(d).replace("bcd", "bc\\ud800"),
    **{
        name: lambda d, changes=changes: json.dumps(d | changes)
        for name, changes in {
            "no passages": {"passages": []},
            "a loop": {"passages": [[0, "a"], [1, "bcd"], [1, " x"], [2, "yza"]]},
            "later": {"passages": [[-1, "a"], [3, "bcd"], [1, " x"], [2, "yza"]]},
            "text": {"passages": [[-1, 7], [0, "bcd"], [1, " x"], [2, "yza"]]},
            "a row": {"passages": [[-1, "a", 1]]},
            "a number": {"next_sample": 2**63},
            "a truth": {"next_sample": True},
            "a fraction": {"next_sample": 1.5},
            "a setting": {"settings": {"temperature": -1}},
            "an unknown setting": {"settings": {"heat": 1}},
            "settings": {"settings": 7},
            "no desk": {"present": None},
            "no name": {"present": {"name": "x", "stories": {"main": 1}}},
            "a list of stories": {"present": {"name": "main", "stories": ["main"]}},
            "many stories": {"present": {"name": "0", "stories": {str(n): 1 for n in range(200)}}},
            "a long name": {"present": {"name": "x" * 99, "stories": {"x" * 99: 1}}},
            "a past": {"past": 3},
            "no model": {"model": "novel"},
        }.items()
    },
    **{
        name: lambda d, row=row: json.dumps(d | {"stories": [row, *d["stories"][1:]]})
        for name, row in {
            "a story of later": [1, 0, 1, 0, ""],
            "a turn that goes back": [-1, 1, 0, 0, ""],
            "words": [-1, 0, 1, 10**9, ""],
        }.items()
    },
    "less": lambda d: json.dumps({name: value for name, value in d.items() if name != "future"}),
}


@pytest.fixture(scope="module")
def sound(tmp_path_factory) -> str:
    """A session of two turns."""
    path = tmp_path_factory.mktemp("sound") / "desk"
    Transcript("a", "x", "/undo", "/redo", "/regen", f"/session {path}").run()
    return path.read_text()


def test_the_session_that_is_damaged_here_is_sound(tmp_path, sound):
    (tmp_path / "desk").write_text(sound)
    assert notices(f"/session {tmp_path}/desk")[-1] == "the story ends: abcd xyza"


def assert_refused(path: Path, said: str):
    before = os.stat(path) if path.is_file() else None
    session = Transcript(f"/session {path}", "a")
    lines = session.run().splitlines()
    assert said in lines[1]
    assert lines[2:] == ["> a", "bcd"]
    assert session.session.file is None
    assert before is None or (os.stat(path).st_ino, os.stat(path).st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


@pytest.mark.parametrize("content", FOREIGN.values(), ids=FOREIGN)
def test_a_file_that_is_no_session_is_one_line_and_stays(tmp_path, content):
    (tmp_path / "file").write_bytes(content)
    assert_refused(tmp_path / "file", "is no session of textgen, and stays as it is. Name another file")


@pytest.mark.parametrize("damage", DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_session_is_one_line_and_stays(tmp_path, sound, damage):
    path = tmp_path / "desk"
    path.write_text(damage(json.loads(sound)))
    assert_refused(path, f"{path} is a damaged session: ")
    assert notices(f"/session {path}")[0].endswith(". It stays as it is. Name another file")


def test_a_session_of_a_later_version_is_said(tmp_path):
    (tmp_path / "desk").write_text('{"kind": "textgen session", "version": 2}')
    assert_refused(
        tmp_path / "desk", "is a session of another version of textgen than this one. It stays as it is. Name"
    )


def test_what_is_no_file_is_one_line(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with (tmp_path / "large").open("wb") as file:
        file.truncate(2**30)
    for name, said in {
        "pipe": "cannot be opened as a session: it is not a regular file",
        "large": "is no session of textgen",
        ".": "Is a directory",
        "none/desk": "No such file or directory",
        "\0": "cannot be opened as a session",
    }.items():
        assert_refused(tmp_path / name, said)
    assert notices("/session ~nobody-here/x") == ["~nobody-here/x names no home directory"]


def test_a_session_too_large_to_be_read_again_is_not_written(tmp_path, monkeypatch):
    monkeypatch.setattr(session_file, "MAX_BYTES", 2000)
    lines = [f"/session {tmp_path}/desk", "/join " + "x" * 3000, "/new"]
    assert notices(*lines)[1] == "the session is too large to be kept: more than 2,000 bytes. /save the story"
    assert (tmp_path / "desk").stat().st_size < 2000


FIELDS = ["model", "settings", "next_sample", "present", "past", "future", "stories", "passages"]


@pytest.mark.parametrize("name", FIELDS)
@pytest.mark.parametrize("value", [None, [1], {"a": 1}, [["x"] * 5], ...], ids=["none", "list", "object", "row", "-"])
def test_of_a_damaged_session_the_field_is_named_and_what_is_expected_there(tmp_path, sound, name, value):
    document = json.loads(sound)
    document[name] = value
    if value is ...:
        del document[name]
    path = tmp_path / "desk"
    path.write_text(json.dumps(document))
    wanted = "expects exactly the keys" if (name, value) == ("settings", {"a": 1}) else "must (be|hold) an? "
    said = notices(f"/session {path}", "a")[0]
    assert re.match(rf".* is a damaged session: (in )?{name}\b.*{wanted}", said), said


def test_every_field_of_a_session_is_tried_with_a_wrong_value(sound):
    assert {"kind", "version", *FIELDS} == {*json.loads(sound)}
