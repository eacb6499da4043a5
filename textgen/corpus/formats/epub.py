"""EPUB books (.epub): the chapters in the order of the spine, each read as HTML; the table of contents is left out."""

import posixpath
import re
from collections.abc import Mapping
from urllib.parse import unquote, urlsplit

from textgen.corpus.formats import DocumentError, Extract
from textgen.corpus.formats.archives import Archive
from textgen.corpus.formats.html import text_of_page
from textgen.corpus.formats.markup import joined, read_xml
from textgen.corpus.formats.page_encoding import decode_page
from textgen.messages import counted

CONTAINER, ENCRYPTION = "META-INF/container.xml", "META-INF/encryption.xml"
PAGES = ("application/xhtml+xml", "text/html", "application/x-dtbook+xml", "text/x-oeb1-document")
PAGE_ENDINGS = (".xhtml", ".html", ".htm", ".xml")
ENCRYPTED = re.compile(rb"""CipherReference\s[^>]*?URI\s*=\s*["']([^"']*)["']""")


def extract(data: bytes, shown_name: str) -> Extract:
    """The text of an .epub. Raises DocumentError."""
    archive = Archive(data, shown_name)
    package = _package(archive)
    folder = posixpath.dirname(package)
    spine = _Spine()
    read_xml(archive.read(package), spine, shown_name)
    encrypted = _encrypted(archive)
    chapters, num_missing, num_replaced = [], 0, 0
    otherwise: dict[tuple[str, str], list[str]] = {}  # pieces of chapters that were read in what they do not declare
    passed: set[str] = set()  # names that may stand in the list more than once, for several places in a file
    for href in spine.pages():
        names = [_name_in(folder, unquote(urlsplit(href).path)), _name_in(folder, href)]
        name = next((name for name in names if name in archive), names[0])
        if name in passed:
            continue
        passed.add(name)
        if name in encrypted:
            raise DocumentError(f"{shown_name} is protected against copying (DRM), so it cannot be read.")
        if name not in archive:
            num_missing += 1
            continue
        page = decode_page(archive.read(name), shown_name)
        num_replaced += page.num_bad
        if page.found:
            otherwise.setdefault((page.found, page.declared), []).append(page.piece)
        if chapter := text_of_page(page.text)[0]:
            chapters.append(chapter)
    facts = [counted(len(chapters), "chapter")]
    facts += [f"{counted(num_missing, 'chapter')} missing from the file"] if num_missing else []
    for (found, declared), pieces in otherwise.items():
        though = f", though {declared} is declared" if declared else ""
        facts.append(f"{counted(len(pieces), 'chapter')} read as {found}{though} (“{pieces[0]}”)")
    facts += [f"{counted(num_replaced, 'undecodable byte')} shown as U+FFFD"] if num_replaced else []
    return Extract(joined(chapters), ", ".join(facts))


def _name_in(folder: str, path: str) -> str:
    return posixpath.normpath(posixpath.join(folder, path)).lstrip("/")


def _package(archive: Archive) -> str:
    """The name of the member that lists all others."""
    found = _Container()
    if CONTAINER in archive:
        read_xml(archive.read(CONTAINER), found, archive.shown_name)
    names = [name for name in (found.path, *archive.names) if name.endswith(".opf") or name == found.path]
    name = next((name for name in names if name and name in archive), None)
    if name is None:
        raise archive.damaged("it does not say what belongs to the book")
    return name


def _encrypted(archive: Archive) -> set[str]:
    """The names of the members that are encrypted; those of fonts are of no matter."""
    if ENCRYPTION not in archive:
        return set()
    found = ENCRYPTED.findall(archive.read(ENCRYPTION))
    return {posixpath.normpath(unquote(uri.decode("utf-8", "replace"))) for uri in found}


class _Container:
    """Finds the path of the package."""

    def __init__(self) -> None:
        self.path = ""

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        if tag.endswith("}rootfile") and not self.path:
            self.path = attributes.get("full-path", "")

    def end(self, tag: str) -> None:
        pass

    def data(self, text: str) -> None:
        pass


class _Spine:
    """Collects what a book is made of, and in which order that is read."""

    def __init__(self) -> None:
        self._items: dict[str, tuple[str, str, str]] = {}  # address, type and properties by id
        self._order: list[str] = []

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        name, get = tag.rpartition("}")[2], attributes.get
        if name == "item":
            self._items[get("id", "")] = get("href", ""), get("media-type", ""), get("properties", "")
        elif name == "itemref":
            self._order.append(get("idref", ""))

    def end(self, tag: str) -> None:
        pass

    def data(self, text: str) -> None:
        pass

    def pages(self) -> list[str]:
        """The addresses of the chapters, each once."""
        found = []
        for item in dict.fromkeys(self._order):
            href, kind, properties = self._items.get(item, ("", "", ""))
            is_page = kind in PAGES or (not kind.startswith("image/") and href.lower().endswith(PAGE_ENDINGS))
            if is_page and "nav" not in properties.split():
                found.append(href)
        return found
