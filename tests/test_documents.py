"""From text to documents: the same ones wherever the text is cut."""

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from textgen.config import END_OF_DOCUMENT
from textgen.corpus.decoding import Tally
from textgen.corpus.documents import documents_between, end_documents, without_empty

KINDS = ("file", "line", "blank-line")
texts = st.text("ab \t\n", max_size=30) | st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


def documents_of(pieces: list[str], kind: str, tally: Tally | None = None) -> list[str]:
    *documents, rest = "".join(end_documents(pieces, kind, tally or Tally())).split(END_OF_DOCUMENT)
    assert rest == ""
    return documents


def slow_documents(text: str, kind: str) -> list[str]:
    """What the module's docstring says, line by line."""
    if kind == "file":
        return [text] if text else []
    lines = text.split("\n")
    if kind == "line":
        return [line for line in lines if line]
    documents, paragraph = [], []
    for line in [*lines, ""]:
        if line.strip(" \t"):
            paragraph.append(line)
        elif paragraph:
            documents.append("\n".join(paragraph))
            paragraph = []
    return documents


def cut(text: str, places: list[int]) -> list[str]:
    """`text` in pieces, some of them perhaps empty."""
    marks = sorted(place % (len(text) + 1) for place in places)
    return [text[start:end] for start, end in zip([0, *marks], [*marks, len(text)], strict=True)]


def test_every_kind_on_a_text_that_can_be_checked_by_eye():
    text = "\n  Ann\nBob \n\n\t\n Cid\n\n"
    assert documents_of([text], "file") == [text]
    assert documents_of([text], "line") == ["  Ann", "Bob ", "\t", " Cid"]
    assert documents_of([text], "blank-line") == ["  Ann\nBob ", " Cid"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_text_of_nothing_has_no_documents(kind):
    assert documents_of([], kind) == documents_of(["", ""], kind) == []


@given(texts, st.lists(st.integers(0, 40), max_size=8), st.sampled_from(KINDS))
@example("abc   \n\ndef", [3, 9], "blank-line")  # spaces at the end of a line, cut off from it
@example("abc\n   ", [3, 4], "blank-line")
@example("a\n\n\nb", [2, 3], "line")
def test_any_cut_gives_the_documents_of_the_whole_text(text, places, kind):
    assert documents_of(cut(text, places), kind) == slow_documents(text, kind)


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\n"), min_size=1)), st.booleans())
def test_lines_joined_back_are_the_text(lines, ends_in_newline):
    text = "\n".join(lines) + "\n" * ends_in_newline
    assert documents_of([text], "line") == lines


@given(texts, st.lists(st.integers(0, 40), max_size=8))
def test_every_empty_line_is_counted(text, places):
    tally = Tally()
    documents_of(cut(text, places), "line", tally)
    lines = text.removesuffix("\n").split("\n") if text else []
    assert tally.empty_documents == lines.count("")


def test_a_document_that_folding_left_empty_is_dropped():
    tally, end = Tally(), END_OF_DOCUMENT
    assert "".join(without_empty(["a", f"{end}{end}", end, f"b{end}"], tally)) == f"a{end}b{end}"
    assert tally.empty_documents == 2


# ---- marks


def marked_documents(pieces: list[str], mark: str, tally: Tally | None = None) -> list[str]:
    *documents, rest = "".join(documents_between(pieces, mark, "t", tally or Tally())).split(END_OF_DOCUMENT)
    assert rest == ""
    return documents


def slow_marked_documents(text: str, mark: str) -> list[str]:
    """What the docstring of `documents_between` says, line by line."""
    core = mark.strip("\n")
    before, after = len(mark) - len(mark.lstrip("\n")), len(mark) - len(mark.rstrip("\n"))
    if core:
        pattern, text = (
            f"(?<={before * chr(10)}){re.escape(core)}(?={after * chr(10)})",
            before * "\n" + text + after * "\n",
        )
    else:
        pattern = r"\n(?:[ \t]*\n)" + f"{{{len(mark) - 1},}}"
    documents = []
    for part in re.split(pattern, text):
        lines = part.split("\n")
        while lines and not lines[0].strip(" \t"):
            del lines[0]
        while lines and not lines[-1].strip(" \t"):
            del lines[-1]
        documents += ["\n".join(lines)] if lines else []
    return documents


@pytest.mark.parametrize(
    ("mark", "text", "documents", "num_empty"),
    [
        ("<|x|>", "one<|x|>two\n<|x|>\n\n  three \n\nfour\n<|x|><|x|> \n<|x|>", ["one", "two", "  three \n\nfour"], 2),
        ("---", "---\none\n---\n\ntwo\n---\n", ["one", "two"], 0),
        ("\n---\n", "---\na---b\n-----\n---\n---\n---", ["a---b\n-----"], 2),
        ("\n\n\n", "\n\none\n\ntwo\n\n\nthree\n \n\t\n\n\n\nfour\n", ["one\n\ntwo", "three", "four"], 0),
        ("\t", "a\tb", ["a", "b"], 0),
        ("<|x|>", "one\n", ["one"], 0),
        ("<|x|>", " \n<|x|>", [], 0),
    ],
)
def test_documents_between_marks_on_texts_that_can_be_checked_by_eye(mark, text, documents, num_empty):
    for pieces in ([text], list(text)):
        tally = Tally()
        assert marked_documents(pieces, mark, tally) == documents
        assert tally.empty_documents == num_empty
        assert bool(tally.met) == (mark not in text)


@given(
    st.lists(st.sampled_from([*"ab \t\n-", "---", "<x>", "<x", "\n---\n"]), max_size=14).map("".join),
    st.lists(st.integers(0, 40), max_size=5),
    st.sampled_from(["<x>", "---", "\n---\n", "\n\n\n", "\n", "\n\n-\n", "-\n", "--\n--"]),
)
def test_any_cut_gives_the_documents_between_marks_of_the_whole_text(text, places, mark):
    assert marked_documents(cut(text, places), mark) == slow_marked_documents(text, mark)
