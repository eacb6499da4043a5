"""Pieces of texts for people, which show what an encoding makes of some bytes."""

import codecs

from textgen.corpus.misfits import MARK, MARK_ON
from textgen.messages import harmless

PIECE, BEFORE = 40, 12  # characters of a text that are shown, and those of them before what decides
REPLACEMENT = "\ufffd"


def piece_of(text: str, other: str = "") -> str:
    """A piece of `text` for people, around the first character beyond ASCII at which `other` says something else."""
    lines, others = text.split("\n"), other.split("\n")
    for number, line in enumerate(lines):
        rival = others[number] if number < len(others) else ""
        if line != rival and (place := _first_difference(line, rival)) >= 0:
            return _cut(line, place)
    return _cut(lines[0], 0)


def _first_difference(line: str, rival: str) -> int:
    different = (i for i, c in enumerate(line) if c > "\x7f" and (i >= len(rival) or rival[i] != c))
    return next(different, -1)


def _cut(line: str, place: int) -> str:
    start = max(0, place - BEFORE)
    if start and (space := line.find(" ", start, place)) >= 0:
        start = space + 1
    piece = line[start : start + PIECE]
    return harmless(" ".join(piece.replace(MARK, REPLACEMENT).replace(MARK_ON, "").split()))


def beginning_of(head: bytes, encoding: str) -> str:
    """A piece of the first line of a file that begins with `head`, without its mark."""
    text = codecs.getincrementaldecoder(encoding)("replace").decode(head)
    return _cut(text.removeprefix("\ufeff").lstrip().split("\n")[0], 0)
