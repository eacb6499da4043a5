"""OpenDocument texts (.odt): paragraphs and headings, cells of tables included, and the footnotes after them.

Deleted text, hidden text, comments, descriptions of pictures and a table of contents are left out.
"""

import re
from collections.abc import Mapping

from textgen.corpus.formats import DocumentError, Extract
from textgen.corpus.formats.archives import Archive
from textgen.corpus.formats.markup import joined, read_xml
from textgen.messages import counted

WHITE_SPACE = re.compile(r"[ \t\r\n]+")
MOST_SPACES = 100  # that one element stands for
SKIPPED = {"note-citation", "annotation", "tracked-changes", "table-of-content", "title", "desc", "ruby-text", "script"}
HIDEABLE = ("p", "h", "span", "section")
SIGNS = {"tab": "\t", "line-break": "\n"}


def extract(data: bytes, shown_name: str) -> Extract:
    """The text of an .odt. Raises DocumentError."""
    archive = Archive(data, shown_name)
    manifest = archive.read("META-INF/manifest.xml") if "META-INF/manifest.xml" in archive else b""
    if b"encryption-data" in manifest or "encrypted-package" in archive:
        raise DocumentError(f"{shown_name} is encrypted. Save it without a password.")
    body = _Body()
    read_xml(archive.read("content.xml"), body, shown_name)
    text = joined(body.paragraphs + body.notes)
    return Extract(text, counted(text.count("\n\n") + 1, "paragraph"))


class _Body:
    """Collects paragraphs. One may stand in another, in a note or a frame."""

    def __init__(self) -> None:
        self.paragraphs: list[str] = []
        self.notes: list[str] = []
        self._open: list[list[str]] = []
        self._num_skipped = self._num_notes = 0  # elements that are open around here
        self._style = ""  # that is being told of
        self._hidden: set[str] = set()  # styles of hidden text

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        name = tag.rpartition("}")[2]
        if name == "style":
            self._style = _value(attributes, "name")
        elif name == "text-properties" and _value(attributes, "display") == "none":
            self._hidden.add(self._style)
        if self._num_skipped or name in SKIPPED or (name in HIDEABLE and self._is_hidden(attributes)):
            self._num_skipped += 1
        elif name in ("p", "h"):
            self._open.append([])
        elif name == "note-body":
            self._num_notes += 1
        elif self._open and name == "s":
            self._open[-1].append(" " * _number(attributes))
        elif self._open and name in SIGNS:
            self._open[-1].append(SIGNS[name])

    def _is_hidden(self, attributes: Mapping[str, str]) -> bool:
        return _value(attributes, "display") == "none" or _value(attributes, "style-name") in self._hidden

    def end(self, tag: str) -> None:
        name = tag.rpartition("}")[2]
        if self._num_skipped:
            self._num_skipped -= 1
        elif name in ("p", "h") and self._open:
            (self.notes if self._num_notes else self.paragraphs).append("".join(self._open.pop()).strip())
        elif name == "note-body":
            self._num_notes -= 1

    def data(self, text: str) -> None:
        if self._open and not self._num_skipped:
            self._open[-1].append(WHITE_SPACE.sub(" ", text))


def _number(attributes: Mapping[str, str]) -> int:
    """How many spaces are meant."""
    value = _value(attributes, "c") or "1"
    return min(int(value), MOST_SPACES) if value.isascii() and value.isdigit() and len(value) < 10 else 1


def _value(attributes: Mapping[str, str], wanted: str) -> str:
    return next((value for name, value in attributes.items() if name.endswith(f"}}{wanted}")), "")
