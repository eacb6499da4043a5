"""Subtitles (.srt and .vtt): what is said, without numbers, times, tags and notes; each cue a paragraph.

Captions that a machine made while somebody spoke repeat in each cue what the one before it ended with; such lines are
kept once. They are known by the times within their lines.
"""

import html
import re

from textgen.corpus.formats import DocumentError, Extract
from textgen.corpus.formats.markup import joined
from textgen.messages import counted

TIME = r"(?:\d{1,3}:)?\d{1,2}:\d{1,2}(?:[.,:]\d{1,3})?"
TIMES = re.compile(rf"\s*{TIME}\s*--?>\s*{TIME}(?:\s.*)?")
INNER_TIME = re.compile(rf"<{TIME}>")
# A tag is a name in pointed brackets; "<3" and "a < b" are text. Braces hold what only a player understands.
TAG = re.compile(r"</?[A-Za-z][^<>]*>|\{\\[^{}]*\}|\{[A-Za-z]:[^{}]*\}")
LINE_END = re.compile(r"<br\s*/?>|\\N", re.IGNORECASE)
DIRECTIONS = "\u200e\u200f\u202a\u202b\u202c\u2066\u2067\u2068\u2069"  # marks, embeddings and isolates
SOUND = re.compile(r"<rt\b[^<>]*>[^<>]*(?:</rt>)?")
NO_CUES = re.compile(r"(?:NOTE|STYLE|REGION|WEBVTT)(?:\s|$)")


def extract(text: str, shown_name: str) -> Extract:
    """The text of subtitles, in either dialect. Raises DocumentError."""
    text = LINE_END.sub("\n", text)
    lines = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n").split("\n")
    places = [number for number, line in enumerate(lines) if "->" in line and TIMES.fullmatch(line)]
    if not places:
        raise DocumentError(
            f"{shown_name} holds no subtitles: no line has times. --file-format text reads it as it is."
        )
    is_vtt = lines[0].lstrip().startswith("WEBVTT")
    cues: list[list[str]] = []
    for place, following in zip(places, [*places[1:], len(lines) + 1], strict=True):
        cues.append(_said(lines[place + 1 : following], is_vtt, is_last=following > len(lines)))
    if INNER_TIME.search(text):
        cues = _without_repetitions(cues)
    said = ["\n".join(filter(None, (_plain(line) for line in cue))) for cue in cues]
    return Extract(joined(said), counted(len(list(filter(None, said))), "cue"))


def _said(lines: list[str], is_vtt: bool, is_last: bool) -> list[str]:
    """The lines of one cue, out of those that stand before the times of the next."""
    if not is_last and lines and lines[-1].strip():
        is_name = len(lines) > 1 and not lines[-2].strip()  # of the next cue, after a blank line
        lines = lines[:-1] if is_name or (not is_vtt and lines[-1].strip().isdigit()) else lines
    if is_vtt:  # a blank line ends a cue, and what follows is a note
        end = next((number for number, line in enumerate(lines) if not line.strip()), len(lines))
        return lines[:end]
    notes = next((number for number, line in enumerate(lines) if NO_CUES.match(line)), len(lines)) if is_vtt else None
    return [line for line in lines[:notes] if line.strip()]


def _plain(line: str) -> str:
    return html.unescape(TAG.sub("", INNER_TIME.sub("", SOUND.sub("", line)))).strip().strip(DIRECTIONS).strip()


def _without_repetitions(cues: list[list[str]]) -> list[list[str]]:
    kept, last = [], ""
    for cue in cues:
        new = []
        for line in cue:
            if (plain := _plain(line)) and plain != last:
                new.append(line)
                last = plain
        kept.append(new)
    return kept
