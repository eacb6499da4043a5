"""From the text of one file to documents, each with END_OF_DOCUMENT behind it.

Pieces of the text, cut anywhere, become blocks, also cut anywhere, whose concatenation does not depend on the cuts.
Three kinds of documents are found here; the cells of a column are in tables.py.

    file        the whole file
    line        what stands between newlines
    blank-line  what stands between lines that hold nothing but spaces and tabs, without the newlines around it

Empty documents are left out: a file of newlines has none. Whole blocks are worked on at once, so a gigabyte of short
lines takes no longer than one of long lines.
"""

import re
from collections.abc import Iterable, Iterator

from textgen.config import END_OF_DOCUMENT
from textgen.corpus.decoding import Tally

BLANK_LINES = re.compile(r"\n(?:[ \t]*\n)+")  # the end of a line, and the blank ones after it
LEADING_BLANK_LINES = re.compile(r"(?:[ \t]*\n)+")


def end_documents(pieces: Iterable[str], kind: str, tally: Tally) -> Iterator[str]:
    """The documents of one file.

    Args:
        pieces: the text of the file, without END_OF_DOCUMENT.
        kind: "file", "line" or "blank-line".
        tally: its `empty_documents` goes up for each empty line, where lines are documents.
    """
    finders = {"file": _end_file, "line": _end_lines, "blank-line": _end_paragraphs}
    return finders[kind](filter(None, pieces), tally)


def _end_file(pieces: Iterable[str], tally: Tally) -> Iterator[str]:
    is_empty = True
    for piece in pieces:
        yield piece
        is_empty = False
    if not is_empty:
        yield END_OF_DOCUMENT


def _end_lines(pieces: Iterable[str], tally: Tally) -> Iterator[str]:
    last = ""
    for block in without_empty((piece.replace("\n", END_OF_DOCUMENT) for piece in pieces), tally):
        yield block
        last = block[-1:] or last
    if last not in ("", END_OF_DOCUMENT):
        yield END_OF_DOCUMENT


def without_empty(blocks: Iterable[str], tally: Tally) -> Iterator[str]:
    """The documents of `blocks` that are not empty; the others are counted. A last document need not be ended."""
    is_open = False  # whether the last document so far goes on in the next block
    for block in blocks:
        kept = block if is_open else block.lstrip(END_OF_DOCUMENT)
        while END_OF_DOCUMENT * 2 in kept:  # every round halves the runs
            kept = kept.replace(END_OF_DOCUMENT * 2, END_OF_DOCUMENT)
        if len(kept) < len(block):
            tally.empty_documents += len(block) - len(kept)
        if kept:
            yield kept
            is_open = not kept.endswith(END_OF_DOCUMENT)


def _end_paragraphs(pieces: Iterable[str], tally: Tally) -> Iterator[str]:
    held = ""  # white space that may be part of blank lines, as the next piece will show
    is_open = False  # whether a paragraph has begun
    for piece in pieces:
        block = held + piece
        if not is_open and (blank := LEADING_BLANK_LINES.match(block)):
            block = block[blank.end() :]
        body, held = _split_tail(block, is_open)
        is_open = is_open or body != ""
        yield BLANK_LINES.sub(END_OF_DOCUMENT, body)
        if is_open and held.count("\n") > 1:
            yield END_OF_DOCUMENT
            is_open, held = False, held[held.rindex("\n") + 1 :]
    if is_open:
        yield END_OF_DOCUMENT


def _split_tail(block: str, is_open: bool) -> tuple[str, str]:
    """What surely belongs to a paragraph, and what may turn out to be blank lines behind or before one."""
    num_text = len(block.rstrip(" \t\n"))
    if not num_text and not is_open:
        return "", block
    line_end = block.find("\n", num_text)
    return (block, "") if line_end < 0 else (block[:line_end], block[line_end:])
