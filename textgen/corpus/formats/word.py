"""Word documents (.docx): the paragraphs of the main part, cells of tables included, and the footnotes after them.

Headers, footers, comments, deleted text, hidden text and a table of contents are left out. So are the marks of
footnotes, which would stand in the middle of a sentence.
"""

import posixpath
import re
from collections.abc import Iterable, Mapping

from textgen.corpus.formats import Extract
from textgen.corpus.formats.archives import Archive
from textgen.corpus.formats.markup import joined, read_xml
from textgen.messages import counted

MAIN = "word/document.xml"
SIGNS = {"tab": "\t", "ptab": "\t", "br": "\n", "cr": "\n", "noBreakHyphen": "-"}
# Where text was moved from, how a word sounds, what paragraphs and fields are set to; and what older programs get in
# place of what stands before it.
SKIPPED = {"moveFrom", "rt", "pPr", "delText", "Fallback", "sectPr", "tblPr"}
NOTES = ("footnotes.xml", "endnotes.xml")
CONTENTS = re.compile(r"\s*TOC\b", re.IGNORECASE)  # the instruction of a field


def extract(data: bytes, shown_name: str) -> Extract:
    """The text of a .docx. Raises DocumentError."""
    archive = Archive(data, shown_name)
    main = _main_part(archive)
    notes = [posixpath.join(posixpath.dirname(main), name) for name in NOTES]
    parts = [archive.read(name) for name in (main, *(name for name in notes if name in archive))]
    body = _read(parts, shown_name)
    if body.is_in_contents:  # its field is never ended, and would take all that follows
        body = _read(parts, shown_name, with_contents=True)
    text = joined(body.paragraphs)
    return Extract(text, counted(text.count("\n\n") + 1, "paragraph"))


def _read(parts: Iterable[bytes], shown_name: str, with_contents: bool = False) -> "_Body":
    body = _Body(with_contents)
    for part in parts:
        read_xml(part, body, shown_name)
    return body


def _main_part(archive: Archive) -> str:
    relations = _Relations()
    if "_rels/.rels" in archive:
        read_xml(archive.read("_rels/.rels"), relations, archive.shown_name)
    return relations.main if relations.main in archive else MAIN


class _Relations:
    """Finds the name of the main part."""

    def __init__(self) -> None:
        self.main = MAIN

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        if attributes.get("Type", "").endswith("/officeDocument"):
            self.main = posixpath.normpath(attributes.get("Target", MAIN)).lstrip("/")

    def end(self, tag: str) -> None:
        pass

    def data(self, text: str) -> None:
        pass


class _Body:
    """Collects paragraphs. One may stand in another, in a text box."""

    def __init__(self, with_contents: bool) -> None:
        self.paragraphs: list[str] = []
        self._with_contents = with_contents
        self._open: list[list[str]] = []
        self._fields: list[bool | None] = []  # of those that are open: whether it makes contents, once that is told
        self._num_contents = 0  # fields that do so
        self._is_instruction = False
        self._num_skipped = 0  # elements that are open around here, from the one that is left out
        self._is_text = self._is_hidden = self._is_contents = self._is_initial = False
        self._initial = ""  # a large first letter, which is a paragraph of its own before the rest of it

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        name = _name(tag)
        if name == "framePr":
            self._is_initial = _value(attributes, "dropCap") in ("drop", "margin")
        is_left_out = name in SKIPPED or (name == "sdtContent" and self._is_contents)
        if self._num_skipped or is_left_out:
            self._num_skipped += 1
        elif name == "p":
            self._open.append([])
        elif name == "t":
            self._is_text = not (self._is_hidden or self.is_in_contents)
        elif name == "fldChar":
            self._change_field(_value(attributes, "fldCharType"))
        elif name == "instrText":
            self._is_instruction = True
        elif name == "vanish":
            self._is_hidden = _value(attributes) not in ("0", "false", "off")
        elif name == "docPartGallery":
            self._is_contents = _value(attributes) == "Table of Contents"
        elif name in SIGNS and self._open:
            self._open[-1].append(SIGNS[name])
        if name == "sdtContent":
            self._is_contents = False

    def end(self, tag: str) -> None:
        name = _name(tag)
        if self._num_skipped:
            self._num_skipped -= 1
        elif name in ("t", "instrText"):
            self._is_text = self._is_instruction = False
        elif name == "r":
            self._is_hidden = False
        elif name == "p" and self._open:
            text = self._initial + "".join(self._open.pop()).strip()
            self._initial = text if self._is_initial else ""
            if not self._is_initial:
                self.paragraphs.append(text)
            self._is_initial = False

    def data(self, text: str) -> None:
        if self._is_text and self._open and not self._num_skipped:
            self._open[-1].append(text)
        elif self._is_instruction and self._fields and self._fields[-1] is None and text.strip():
            makes_contents = CONTENTS.match(text) is not None
            self._fields[-1] = makes_contents
            self._num_contents += makes_contents

    @property
    def is_in_contents(self) -> bool:
        """Whether a field is open that makes a table of contents."""
        return self._num_contents > 0 and not self._with_contents

    def _change_field(self, change: str) -> None:
        if change == "begin":
            self._fields.append(None)
        elif change == "end" and self._fields:
            self._num_contents -= self._fields.pop() or False


def _name(tag: str) -> str:
    """The name of an element of text, of a formula or of what is compatible; that of others is of no use."""
    namespace, _, name = tag.rpartition("}")
    is_known = "/wordprocessingml/" in namespace or namespace.endswith(("/math", "/markup-compatibility/2006"))
    return name if is_known else ""


def _value(attributes: Mapping[str, str], wanted: str = "val") -> str:
    return next((value for name, value in attributes.items() if name.endswith(f"}}{wanted}")), "")
