"""From the text of one file to documents, each with END_OF_DOCUMENT behind it.

Pieces of the text, cut anywhere, become blocks, also cut anywhere, whose concatenation does not depend on the cuts.
Four kinds of documents are found here; the cells of a column are in tables.py.

    file        the whole file
    line        what stands between newlines
    blank-line  what stands between lines that hold nothing but spaces and tabs, without the newlines around it
    a mark      what stands between two places of a text such as <|endoftext|>, without the blank lines around it

Empty documents are left out: a file of newlines has none. Whole blocks are worked on at once, so a gigabyte of short
lines takes no longer than one of long lines.
"""

import re
from collections.abc import Iterable, Iterator
from itertools import chain

from textgen.config import END_OF_DOCUMENT
from textgen.corpus.decoding import Tally
from textgen.messages import shown

BLANK_LINES = re.compile(r"\n(?:[ \t]*\n)+")  # the end of a line, and the blank ones after it
WHITE = " \t\n"
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


def documents_between(pieces: Iterable[str], mark: str, shown_name: str, tally: Tally) -> Iterator[str]:
    """What stands before, between and after the places of `mark`, without the blank lines at its start and end.

    A mark counts wherever it stands. Line ends at its start or end are those of the line it stands in, which it shares
    with its neighbours, and the borders of the file are line ends. In a mark of line ends alone, such as two blank
    lines, a line of spaces is blank too.

    Args:
        pieces: the text of one file, without END_OF_DOCUMENT.
        mark: not empty.
        tally: its `empty_documents` goes up for each two marks that have nothing between them.
    """
    core = mark.strip("\n")
    before, after = len(mark) - len(mark.lstrip("\n")), len(mark) - len(mark.rstrip("\n"))
    if core:
        pattern = re.compile(f"(?<={before * chr(10)}){re.escape(core)}(?={after * chr(10)})")
        pieces = chain([before * "\n"], pieces, [after * "\n"])
    else:
        pattern = re.compile(rf"\n(?:[ \t]*\n){{{len(mark) - 1},}}")
    held = ""  # white space that may end a document, and what may be the beginning of a mark
    is_open = is_marked = False  # whether a document has begun, and whether there was a mark
    for piece in filter(None, pieces):
        *parts, rest = pattern.split(held + piece)
        ended = []
        for part in parts:
            text = _without_blank_lines(part, is_open)
            if text or is_open:
                ended.append(text + END_OF_DOCUMENT)
            elif is_marked and core:
                tally.empty_documents += 1
            is_open, is_marked = False, True
        if not is_open and (blank := LEADING_BLANK_LINES.match(rest)):
            rest = rest[max(0, blank.end() - len(mark)) :]  # a line end before the text may be one of a mark
        text = rest[: max(0, len(rest) - len(mark) + 1)].rstrip(WHITE)
        held = rest[len(text) :]
        if not is_open and (blank := LEADING_BLANK_LINES.match(text)):
            text = text[blank.end() :]
        is_open = is_open or text != ""
        yield "".join((*ended, text))
    if (text := _without_blank_lines(held, is_open)) or is_open:
        yield text + END_OF_DOCUMENT
    if not is_marked:
        tally.meet("file", f"without the separator {shown(repr(mark))}, read as one document", shown_name)


def _without_blank_lines(text: str, is_open: bool) -> str:
    """`text` without the blank lines at its end, and at its start unless a document has begun before it."""
    num_text = len(text.rstrip(WHITE))
    if not num_text and not is_open:
        return ""
    line_end = text.find("\n", num_text)
    text = text if line_end < 0 else text[:line_end]
    blank = None if is_open else LEADING_BLANK_LINES.match(text)
    return text[blank.end() :] if blank else text
