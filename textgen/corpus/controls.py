"""NULs and C1 controls that are in a text but not among the bytes of its file: escapes of JSON, and parts of documents.

Those among the bytes are counted where these are decoded.
"""

import re

from textgen.corpus.decoding import C1, Tally

ESCAPED = re.compile(r"(?<!\\)(?:\\\\)*\\u00(00|[89][0-9a-fA-F])")  # an even number of backslashes escapes none
MAYBE_ESCAPED = "\\u00"  # what most rows do not hold
BEGINNING = re.compile(r"\\u00(?:00|[89])")  # of them, which is looked for in less time


def count_escaped(row: str, line: int, shown_name: str, tally: Tally) -> None:
    """Count what the escapes in a row of JSON stand for, which begins in that line and holds MAYBE_ESCAPED."""
    if not BEGINNING.search(row):
        return
    for code in ESCAPED.findall(row):
        _count(int(code, 16), f"line {line:,} of {shown_name}", tally)


def count_in_document(text: str, shown_name: str, tally: Tally) -> None:
    """Count the C1 controls in the text of a document, which holds no NUL."""
    if text.isascii():
        return
    for found in C1.finditer(text):
        place = "" if tally.c1_controls.count else f"line {text.count(chr(10), 0, found.start()) + 1:,} of "
        _count(ord(found[0]), f"{place}the text of {shown_name}", tally)


def _count(code: int, place: str, tally: Tally) -> None:
    if code:
        tally.c1_controls.add(1, f"{place} (U+{code:04X})")
    else:
        tally.nuls.add(1, place)
