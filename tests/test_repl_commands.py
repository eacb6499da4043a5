"""The slash commands: what each says, and what each refuses."""

import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from repl_transcript import AlphabetEngine, Transcript, notices, story, transcript

from textgen.config import SamplingConfig
from textgen.errors import SettingError
from textgen.repl.commands import COMMANDS, SETTINGS, parse_setting, shown_value
from textgen.repl.files import MAX_READ_BYTES


def test_help_lists_every_command():
    lines = notices("/help")
    assert all(any(line.startswith(name) for line in lines) for name in COMMANDS)
    assert max(map(len, lines)) < 80


@pytest.mark.parametrize(
    ("line", "notice"),
    [
        ("/hlep", "no command /hlep. Did you mean /help?"),
        ("/xyzzy", "no command /xyzzy. /help lists them, and text that begins with / is typed with //"),
        ("/undo 3", "/undo takes nothing after it. Received: 3"),
        ("/regen", "nothing to write again: the story is empty"),
        ("/back", "nothing to cut off: the story is empty"),
        ("/text", "the story is empty"),
        ("/join", "/join expects the text that goes on without a space. An empty line adds none"),
        ("/save", "/save expects the name of a file"),
        ("/undo\n", "nothing to undo: this is the start"),
        ("/undo\n/undo", "/undo takes nothing after it. Received: /undo"),
        ("/set temprature 1", "no setting 'temprature'. Did you mean temperature?"),
        ('/set stop "a', 'a quote is not closed. Received: "a'),
        ("/set beams 3", "beams looks for the likeliest text and draws nothing. Set temperature=0, too"),
        (
            '/set regex "Go',
            "a pattern that begins with \" is put between ' and ', or begins with \\x22. Received: \"Go",
        ),
        (
            "/set regex 'a' 'b'",
            "a pattern that begins with ' is put between \" and \", or begins with \\x27. Received: 'a' 'b'",
        ),
    ],
)
def test_wrong_lines_give_one_notice_and_change_nothing(line, notice):
    session = Transcript(line)
    before = session.session.config
    assert session.run() == f"> {line}\n# {notice}\n"
    assert session.session.config == before
    assert session.story == ""


@pytest.mark.parametrize(
    ("line", "name", "value"),
    [
        ("/set temperature -1", "temperature", -1.0),
        ("/set temperature hot", "temperature", "hot"),
        ("/set temperature nan", "temperature", float("nan")),
        ("/set length 1.5", "length", "1.5"),
        ("/set length 0", "length", 0),
        ("/set top-p 0", "top_p", 0.0),
        ("/set ignore_eod 1", "ignore_eod", "1"),
        ("/set ignore_eod maybe", "ignore_eod", "maybe"),
        ("/set stop a ''", "stop", ("a", "")),
    ],
)
def test_a_wrong_value_is_refused_in_the_words_of_the_settings(line, name, value):
    with pytest.raises(SettingError) as refusal:
        SamplingConfig(**{name: value})
    session, said = Transcript(line), str(refusal.value).replace("`", "")
    assert session.run() == f"> {line}\n# {said}\n"
    assert session.session.config == SamplingConfig(length=3)


@pytest.mark.parametrize(
    ("line", "name", "value"),
    [
        ("/set temperature 0.5", "temperature", 0.5),
        ("/set temperature 1", "temperature", 1.0),
        ("/set temperature=0", "temperature", 0.0),
        ("/set top-k 40", "top_k", 40),
        ("/set --top_p 0.9", "top_p", 0.9),
        ("/set  seed  7 ", "seed", 7),
        ("/set stop END", "stop", ("END",)),
        (r'/set stop "\n\n" "the end" it\'s', "stop", ("\n\n", "the end", "it's")),
        ("/set ignore-eod on", "ignore_eod", True),
        ("/set ignore_eod = true", "ignore_eod", True),
        ("/set ignore_eod No", "ignore_eod", False),
        ("/set ignore_eod off", "ignore_eod", False),
        ("/set stop off", "stop", ()),
        ("/set stop 'off'", "stop", ("off",)),
    ],
)
def test_set_changes_one_setting(line, name, value):
    session = Transcript(line.replace(r"\'", '"\'"'), stop=("x",))
    session.run()
    assert session.session.config == SamplingConfig(**({"length": 3, "stop": ("x",)} | {name: value}))


@pytest.mark.parametrize(
    ("line", "pattern"),
    [
        ('/set regex " [a-z]+ "', " [a-z]+ "),
        ("/set regex ' [a-z]+'", " [a-z]+"),
        ("/set regex '\"[a-z]+\"'", '"[a-z]+"'),
        ("/set regex [a-z]+ it's", "[a-z]+ it's"),
        (r'/set regex "a\n|b"', r"a\n|b"),
        ("/set regex 'off'", "off"),
        ("/set regex off", None),
    ],
)
def test_a_pattern_may_stand_in_quotes(line, pattern):
    session = Transcript(line, regex="x")
    session.run()
    assert session.session.config.regex == pattern


@pytest.mark.parametrize("pattern", [" a", "a ", "off", '"a"', "'a", "a b", "it's"])
def test_a_pattern_is_shown_as_it_can_be_typed(pattern):
    description = SETTINGS["regex"].metadata["description"]
    (line,) = notices("/set regex", regex=pattern)
    session = Transcript(f"/set {line.removesuffix(description)}")
    session.run()
    assert session.session.config.regex == pattern


def test_a_pattern_is_set_as_it_is_typed_and_words_as_strings():
    assert notices(
        r'/set regex  \d+ "a\n"\s', "/set regex", "/set regex (", "/set regex off", "/set must-include a 'b c'"
    ) == [
        r'regex = \d+ "a\n"\s',
        rf'regex  \d+ "a\n"\s  {SETTINGS["regex"].metadata["description"]}',
        "regex must be a regular expression: missing ), unterminated subpattern at position 0. Received: '('",
        "regex = off",
        'must_include = "a" "b c"',
    ]


@given(st.lists(st.text(st.sampled_from("ab \"'\\\nt\t#["), min_size=1), min_size=1, max_size=3))
@settings(max_examples=60)
def test_strings_are_shown_as_they_can_be_typed(strings):
    assert parse_setting("stop", shown_value(tuple(strings))) == tuple(strings)


def test_set_says_what_is_set():
    assert notices("/set temperature 0.5", r'/set stop "\n" END', "/set top-k", "/set stop off") == [
        "temperature = 0.5",
        r'stop = "\n" "END"',
        "top_k  0  Keep only the k likeliest tokens; 0 is off.",
        "stop = off",
    ]


def test_set_alone_shows_every_setting():
    assert [line.split()[0] for line in notices("/set")] == list(SETTINGS)


def test_setting_the_seed_begins_its_samples_again():
    engine = AlphabetEngine(skips=True)
    assert story("a", "/undo", "/set seed 0", "a", engine=engine) == "abcd"
    assert story("a", "/undo", "a", engine=engine) == "aceg"


def test_status_tells_model_settings_and_size():
    lines = notices("a", "b", "/status")
    assert lines[0] == "model     a model"
    assert lines[1].startswith("settings  length 3, new_words off, max_copy 0, repeat_penalty 1.0,")
    assert lines[-1] == "story     9 characters in 2 turns"


def test_text_shows_the_whole_story():
    assert transcript("a", "b", "/text").endswith("> /text\nabcd bcde\n")


def test_new_starts_afresh():
    assert story("a", "/new", "x") == "xyza"


@pytest.mark.parametrize("line", ["/exit", "/quit"])
def test_leaving(line):
    assert transcript(line, "a") == f"> {line}\n"


def test_save_writes_the_story_exactly_and_replaces_nothing_unasked(tmp_path):
    path = tmp_path / "my story.txt"
    assert notices("a\u00e9", f"/save {path}", f"/save {path}", f"/save! {path}")[1:] == [
        f"saved 5 characters to {path}",
        f"{path} exists. /save! {path} replaces it",
        f"saved 5 characters to {path}",
    ]
    assert path.read_bytes() == "a\u00e9fgh".encode()
    assert os.listdir(tmp_path) == ["my story.txt"]


def test_read_adds_a_file_without_writing(tmp_path):
    path = tmp_path / "before.txt"
    path.write_bytes(b"\xef\xbb\xbfone\r\ntwo\n")
    session = Transcript("a", f"/read {path}", "")
    assert f"# read 8 characters of {path}; an empty line goes on from there\n" in session.run()
    assert session.story == "abcd one\ntwo\nabc"
    path.write_bytes(b"\x93a\x94 b\r")
    shown = transcript(f"/read {path}")
    assert f"# {path}: read as cp1252: “a” b\n" in shown
    assert "# 1 CR line end turned into LF\n" in shown


def test_what_was_saved_and_read_is_the_same_story(tmp_path):
    path = tmp_path / "story.txt"
    assert story("a", "\\n x", f"/save {path}", "/new", f"/read {path}") == story("a", "\\n x")


def test_files_that_cannot_be_read(tmp_path):
    for name, content in {"stray.txt": b"a\n\xc3\xa9b\xe9", "empty": b"", "large": bytes(MAX_READ_BYTES + 1)}.items():
        (tmp_path / name).write_bytes(content)
    names = ["missing", "stray.txt", "empty", "large", ".", "~nobody-here/x", "\0"]
    lines = notices("a", *(f"/read {tmp_path / name if name[0] != '~' else name}" for name in names))
    expected = [
        "No such file",
        "is UTF-8 with 1 stray byte: byte 0xE9 at offset 5 (line 2)",
        "is empty",
        "is too large",
    ]
    expected += ["is not a file", "names no home directory", "cannot be read"]
    assert [part in line for part, line in zip(expected, lines, strict=True)] == [True] * len(names)


def test_files_that_cannot_be_written(tmp_path):
    lines = notices("a", f"/save {tmp_path}/missing/x", f"/save! {tmp_path}", "/save /dev/null", "/save \0")
    assert lines[0] == f"{tmp_path}/missing/x cannot be written: No such file or directory"
    assert lines[1:3] == [f"{tmp_path} is not a file", "/dev/null exists. /save! /dev/null replaces it"]
    assert "cannot be written" in lines[3]


def test_rules_are_set_as_they_are_typed():
    lines = notices("/set temperature 1.0,0.5", '/set ban e [aeiou] "a b"', "/set ban off", "/set seed random")
    assert lines[:3] == ["temperature = 1.0,0.5", 'ban = "e" "[aeiou]" "a b"', "ban = off"]
    assert 0 < int(lines[3].removeprefix("seed = ")) < 2**63
