"""Stories side by side, as whole transcripts, and Ctrl-C at any moment."""

import sys
from pathlib import Path

import pytest
from conftest import slow
from hypothesis import given, settings
from hypothesis import strategies as st
from repl_transcript import Transcript, notices, transcript

import textgen.repl
from textgen.repl.desk import MAX_BRANCHES, MAX_NAME
from textgen.repl.layout import fit_end, side_by_side, width_of, wrap
from textgen.repl.story import common_beginning


def test_a_story_by_another_name_leaves_the_first_as_it_is():
    assert transcript("a", "/branch end", "x", "/branches", "/go main", "/diff end", "/undo") == (
        "> a\nbcd\n"
        "> /branch end\n# this is the story end now; main stays as it is\n"
        "> x\nyza\n"
        "> /branches\n"
        "|   main   1 word  abcd\n"
        "| * end   2 words  abcd xyza\n"
        "> /go main\n# the story main ends: abcd\n"
        "> /diff end\n"
        "| Both begin: abcd\n"
        "| [main]                                   [end]\n"
        "| (nothing)                                 xyza\n"
        "> /undo\n# the story end ends: abcd xyza\n"
    )  # fmt: skip


def test_undo_takes_back_branches_too():
    session = Transcript("a", "/branch b", "x", "/undo", "/undo")
    session.run()
    assert (session.session.desk.name, list(session.session.desk.branches), session.story) == ("main", ["main"], "abcd")


def test_a_difference_in_the_middle_is_shown_between_what_both_have():
    lines = ("/join one two six", "/branch b", "/back 9", "/join one ten six", "/diff")
    shown = transcript(*lines, length=1, stop=(" ",))
    assert "| Both begin: one\n" in shown
    assert (
        "| [b]                                      [main]\n|  ten                                      two\n" in shown
    )


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("/branch", f"/branch expects a name of 1 to {MAX_NAME} characters. Received nothing"),
        (f"/branch {'x' * 81}", f"/branch expects a name of 1 to {MAX_NAME} characters. Received: {'x' * 39}…"),
        ("/branch main", "there is a story main already. /go main goes to it"),
        ("/go", "/go expects the name of a story. /branches lists them"),
        ("/go mian", "no story mian. Did you mean main?"),
        ("/go \x1b[2J", r"no story '\x1b[2J'. /branches lists them"),
        ("/diff", "there is one story alone. /branch NAME begins another one here"),
        ("/diff x", "no story x. /branches lists them"),
    ],
)
def test_what_cannot_be_done_is_one_line_and_changes_nothing(line, said):
    session = Transcript(line)
    assert session.run() == f"> {line}\n# {said}\n"
    assert not session.session.history.past


def test_there_are_so_many_stories_and_no_more():
    lines = [f"/branch {number}" for number in range(MAX_BRANCHES)]
    assert notices(*lines)[-1] == f"there are {MAX_BRANCHES} stories already, which is as many as are kept"


def test_any_text_is_a_name_and_is_harmless():
    shown = transcript("a", "/branch \x1b[2J\u738b", "/branches", columns=40)
    assert "\x1b" not in shown.split("> /branches")[1]
    assert "| * ␛[2J王  1 word  abcd\n" in shown
    assert notices("a", "/branch \u738b", "/diff main")[-1] == "\u738b and main are the same"


# ---------------------------------------------------------------- layout

TEXTS = st.text(st.sampled_from("ab \n\t\u738b\u0301-\u200b\x1b"), max_size=60)


@given(st.lists(TEXTS, min_size=1, max_size=4), st.integers(10, 90))
@settings(max_examples=60)
def test_texts_side_by_side_fit_the_width_and_lose_nothing(texts, width):
    lines = side_by_side([str(number) for number, _ in enumerate(texts)], texts, width)
    assert max(map(width_of, lines)) <= width
    assert sum(line.count("a") for line in lines) == sum(text.count("a") for text in texts)


@given(st.text("ab 王\u0301\u200d\U0001f469\U0001f680\u2764\ufe0f", max_size=30), st.integers(1, 40))
@settings(max_examples=60)
def test_the_end_of_a_text_fits_and_begins_with_a_whole_symbol(text, width):
    end = fit_end(text, width)
    assert width_of(end) <= width
    assert end == text or (end[0] == "…" and text.endswith(end[1:]) and (end == "…" or width_of(end[1]) > 0))


def test_the_end_of_a_story_is_shown_as_it_is_read():
    text = "\U0001f469\u200d\U0001f680 \u0645\u06cc\u200c\u062e"  # an emoji of three, and Persian
    assert f"  1 word  {text}abc\n" in transcript(text, "/branches")
    shown = transcript(text, "/branch b", "x\\ty", "/diff")
    assert f"| Both begin: {text}abc\n" in shown


def test_lines_are_broken_between_words_and_long_words_where_they_must():
    assert wrap("the cat\n  sat onthemat on", 6, indent="> ") == ["the", "> cat", "  sat", "> onth", "emat", "> on"]
    assert wrap("\u738b\u8005\u738b", 5) == ["\u738b\u8005", "\u738b"]


@pytest.mark.parametrize(
    ("one", "other", "length"),
    [("", "", 0), ("a b", "a b", 3), ("a b", "a b c", 3), ("a bc", "a bd", 1), ("abc", "abd", 0), ("a  b", "a  c", 1)],
)
def test_what_two_texts_have_in_common_ends_between_words(one, other, length):
    assert common_beginning(one, other) == common_beginning(other, one) == length


def test_a_megabyte_is_compared_at_once():
    assert common_beginning("x" * 10**6 + "a", "x" * 10**6 + "b") == 0


# ---------------------------------------------------------------- Ctrl-C

ROOM = str(Path(textgen.repl.__file__).parent)
LINES = ["x. y", "", "/regen", "/back", "/undo", "/redo", "/branch b", "/go main", "/variants 2", "2", "/alt 2", "1"]
LINES += ["/words 2", "/to d", "/show", "/diff b", "/new", "/set temperature 1"]


def state_of(session):
    return session.desk.name, {name: story.text for name, story in session.desk.branches.items()}


def interrupted_at(index: int, moment: int) -> bool:
    """Type lines up to one, in which Ctrl-C comes at the moment; whether it came before the line was answered."""
    session = Transcript(*LINES[:index])
    session.run()
    before, past, count = state_of(session.session), len(session.session.history.past), 0

    def trace(frame, event, _argument):
        nonlocal count
        if not frame.f_code.co_filename.startswith(ROOM):
            return None
        if event == "line":
            count += 1
            if count == moment:
                sys.settrace(None)
                raise KeyboardInterrupt
        return trace

    sys.settrace(trace)
    try:
        session.repl.answer(LINES[index])
    except KeyboardInterrupt:
        pass  # before the line was looked at; `run` goes on
    finally:
        sys.settrace(None)
    after = state_of(session.session)
    if after != before:  # then the whole change is there, and can be taken back
        undoing = LINES[index] in ("/undo", "/redo")
        assert undoing or len(session.session.history.past) == past + 1
        session.session.redo() if LINES[index] == "/undo" else session.session.undo()
        assert state_of(session.session) == before
    session.repl.answer("x")
    assert session.story.endswith("xyza")
    return count >= moment


@pytest.mark.parametrize("step", [61, slow(1)])
def test_ctrl_c_at_any_moment_leaves_a_session_that_goes_on(step):
    for index in range(len(LINES)):
        moment = 1
        while interrupted_at(index, moment):
            moment += step
