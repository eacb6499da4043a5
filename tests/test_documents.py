"""From text to documents: the same ones wherever the text is cut."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from textgen.config import END_OF_DOCUMENT
from textgen.corpus.decoding import Tally
from textgen.corpus.documents import end_documents, without_empty

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
