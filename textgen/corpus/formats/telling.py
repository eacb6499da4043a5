"""What a file is by its first bytes: a document, a binary file, or a text that looks like something else.

A name is a hint: a Word document may be called .txt, and a page of HTML anything.
"""

import csv
import json
import re
from collections.abc import Sequence

from textgen.corpus.containers import container_of
from textgen.corpus.shifting import find_shifted

HEAD_BYTES = 1 << 13  # of a file, that tell what it is
UTF_16_MARKS = (b"\xff\xfe", b"\xfe\xff")
BYTE_ORDER_MARKS = (b"\xef\xbb\xbf", *UTF_16_MARKS, b"\0\0\xfe\xff")
CONTROLS = bytes(set(range(0x20)) - set(b"\t\n\x0b\x0c\r\x1a\x1b")) + b"\x7f"
MOST_CONTROLS = 1 / 200  # of the bytes of a text; old ones hold a few

PROLOGUE = re.compile(r"(?:\s+|<\?xml[^>]*+>|<!--(?:(?!-->).)*+-->)*+", re.DOTALL)
PAGE = re.compile(r"<(?:!doctype\s+html|html|head|body|title|meta|link)\b", re.IGNORECASE)
TAGS = r"(?:p|div|h[1-6]|ul|ol|li|table|tr|td|span|article|section|main|header|a|b|i|em|strong|font|center|blockquote)"
FRAGMENT = re.compile(rf"<(?:{TAGS}|br|hr|img)\b[^<>]*>", re.IGNORECASE)
CLOSED = re.compile(rf"</{TAGS}\s*>|<p\b[^<>]*>|<br\s*/?>", re.IGNORECASE)
TO_SRT = "no flag reads that. Save it as .srt"
XML = ("XML", "no flag reads that")
OTHERS = (
    (re.compile(r"\[Script Info\]"), "subtitles (.ass)", TO_SRT),
    (re.compile(r"\{\d+\}\{\d*\}"), "subtitles (MicroDVD)", TO_SRT),
    (
        re.compile(r"(?:From .*\n)?(?:[\w-]+:.*\n(?:[ \t].*\n)*+){0,40}?MIME-Version:", re.IGNORECASE),
        "a mail or a page in MIME",
        "no flag reads that. Save it as .html or .txt",
    ),
    (re.compile(r"<[A-Za-z_][\w.:-]*\s[^<>]*?\bxmlns(?::[\w.-]+)?\s*="), *XML),
)
SUBTITLES = re.compile(r"(?:\d+[ \t]*\r?\n)?(?:\d{1,3}:)?\d{1,2}:\d{2}[.,]\d{1,3}[ \t]*-->")
NOTEBOOK = re.compile(r'\{.*"(?:cell_type|nbformat)"\s*:', re.DOTALL)
DELIMITERS, ENDS = ("\t", ";", "|", ","), (".", "!", "?", ":")
TABLES = {"JSON Lines": "jsonl", "JSON": "jsonl", "TSV": "tsv", "CSV": "csv"}
HZ_SHIFT = "~{"  # what follows are pairs of ASCII that stand for Chinese, commas among them
FEWEST_ROWS, MOST_ROWS, LONGEST_TITLE = 3, 50, 40
FEWEST_CELLS = 3  # of rows whose commas have spaces behind them


def is_text(head: bytes) -> bool:
    """Whether a file that begins with `head` is text, in whatever encoding."""
    if head.startswith(BYTE_ORDER_MARKS):
        return True
    if container_of(head) is not None:
        return False
    if 0 in head:
        return _is_utf_16(head)
    return len(head) - len(head.translate(None, CONTROLS)) <= len(head) * MOST_CONTROLS


def _is_utf_16(head: bytes) -> bool:
    """Whether there is a NUL in every second place nearly, as in Latin letters of two bytes each."""
    even, odd = head[0::2].count(0), head[1::2].count(0)
    return min(even, odd) * 20 < max(even, odd) and max(even, odd) * 2 > len(head) // 2


def _text_of(head: bytes) -> str:
    """The text that a file begins with, as far as markup and delimiters go, which are ASCII nearly everywhere."""
    if head.startswith(UTF_16_MARKS):
        return head.decode("utf-16", "ignore")
    if 0 in head and _is_utf_16(head):
        return head.decode("utf-16-be" if head[0::2].count(0) > head[1::2].count(0) else "utf-16-le", "ignore")
    shifted = find_shifted(head)  # whose pairs of bytes look like delimiters
    return shifted[1] if shifted else head.decode("utf-8", "ignore")


def looks_like(head: bytes) -> tuple[str, str] | None:
    """What a text that is not named so looks like, and which flag reads it; None where it is just text.

    Args:
        head: the first bytes of the file.
    """
    text = _text_of(head).removeprefix("\ufeff")
    prologue = PROLOGUE.match(text)
    start = text[prologue.end() :] if prologue else text
    if PAGE.match(start) or (FRAGMENT.match(start) and len(CLOSED.findall(start)) >= 2):
        return "HTML", "--file-format html reads its text"
    if start.startswith("WEBVTT") or SUBTITLES.match(start):
        return "subtitles", f"--file-format {'vtt' if start.startswith('WEBVTT') else 'srt'} reads what is said"
    if NOTEBOOK.match(start):
        return "a notebook", "--file-format ipynb reads its cells"
    for pattern, kind, way in OTHERS:
        if pattern.match(start):
            return kind, way
    if text.lstrip().startswith("<?xml"):
        return XML
    if found := _table(start):
        return found, f"--file-format {TABLES[found]} --column NAME takes one column"
    return None


def _table(text: str) -> str | None:
    """JSON, JSON Lines, TSV or CSV, if `text` begins like a table."""
    if text.startswith("["):
        return "JSON" if re.match(r"\[\s*\{\s*\"(?:[^\"\\]|\\.)*\"\s*:", text) else None
    lines = [] if HZ_SHIFT in text else text.splitlines()
    whole = lines if len(text) < HEAD_BYTES // 4 else lines[:-1]  # the last one may be cut
    if text.startswith("{"):
        return "JSON Lines" if whole and all(_is_object(line) for line in whole[:3]) else None
    for delimiter in DELIMITERS:
        if whole and delimiter in whole[0] and _are_rows(whole, delimiter):
            return "TSV" if delimiter == "\t" else "CSV"
    return None


def _are_rows(lines: Sequence[str], delimiter: str) -> bool:
    """Whether the first lines of a file are a header and rows with as many cells, not sentences with commas."""
    try:
        rows = [row for row in csv.reader(lines, delimiter=delimiter) if row]
    except csv.Error:
        return False
    is_open = "".join(lines).count('"') % 2 == 1
    if is_open and delimiter != "\t":
        rows.pop()  # it goes on behind what was read
    if len(rows) + is_open < FEWEST_ROWS:
        return False
    rows = rows[:MOST_ROWS]
    titles = [title.strip() for title in rows[0]]
    if not all(titles) or len(set(titles)) < len(titles) or max(map(len, titles)) > LONGEST_TITLE:
        return False
    has_spaces = any(cell.startswith(" ") for row in rows for cell in row[1:])  # behind delimiters, as in sentences
    if delimiter == "," and has_spaces and (len(titles) < FEWEST_CELLS or any(t.endswith(ENDS) for t in titles)):
        return False
    are_names = any(map(str.isalpha, "".join(titles))) and not any("<" in title or ">" in title for title in titles)
    return are_names and len(titles) > 1 and {len(row) for row in rows} == {len(titles)}


def _is_object(line: str) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False
