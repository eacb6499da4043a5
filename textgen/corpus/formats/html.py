"""Pages of HTML -> paragraphs: a block is a paragraph, <br> a line end, <pre> stays as it is, entities are resolved.

Scripts, styles, templates, navigation, buttons, pictures, what is hidden, comments and marks of footnotes are left out.

A page is read tag by tag in one pass, and no tree is built of it, so that a page takes time in proportion to its
length, whatever it holds. Python's html.parser takes 33 seconds for the 60 kB of 20,000 tags that are never closed
(`<a <a <a`), and four times as long for twice as many.
"""

import html
import re
from collections.abc import Iterator
from typing import NamedTuple

from textgen.corpus.formats import Extract
from textgen.corpus.formats.markup import joined
from textgen.messages import counted

# A quote counts after "=" alone, as for browsers: <p title=it's> ends where it seems to.
TAG = re.compile(r"""</?[a-zA-Z](?:=\s*+"[^"]*+"|=\s*+'[^']*+'|[^>=]++|=)*+>""")
DOCTYPE = re.compile(r"<![^<>\[]*+\[[^\]]*+\]\s*+>")  # with declarations of its own in brackets
TAG_BEGINS = re.compile("</?[a-zA-Z]")
SIMPLE_TAG = re.compile(r"</?[a-zA-Z][^<>]*+>")
NAME = re.compile(r"</?(?:\w+:)?([a-zA-Z][a-zA-Z0-9]*)")
ATTRIBUTE = re.compile(r"""([^\s"'<>/=]+)(?:\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'=<>`]+)))?""")
WHITE_SPACE = re.compile(r"[ \t\r\n\f]+")
WIDE = "\u3001-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff01-\uff60\U00020000-\U0003ffff"
WRAPPED = re.compile(rf"(?<=[{WIDE}])[ \t\f]*[\r\n][ \t\r\n\f]*(?=[{WIDE}])")  # no space amid Chinese or Japanese
COMMENT_END = re.compile("--!?>")
AROUND_LINE_ENDS = re.compile(r" *\n *")
SPACES = re.compile(r" {2,}")


def _words(text: str) -> set[str]:
    return set(text.split())


BLOCKS = _words(
    """address article aside blockquote body caption center dd details dialog dir div dl dt fieldset figcaption figure
    footer form frameset h1 h2 h3 h4 h5 h6 header hgroup hr html legend li listing main menu nav ol optgroup p pre
    search section summary table tbody td tfoot th thead tr ul"""
)
RAW = {  # no tag begins in them but their own end
    name: re.compile(rf"</{name}(?=[\s/>])[^<>]*>", re.IGNORECASE)
    for name in ("script", "style", "title", "textarea", "xmp")
}
SKIPPED = _words(
    """annotation audio button canvas datalist iframe map nav noembed noframes noscript object rp rt rtc select svg
    template video"""
)
VOID = _words("area base br col embed hr img input link meta param source track wbr")
RUBY = {"rp", "rt", "rtc"}  # each ends where the next begins

# What only a reader with a finger or a mouse needs, by what the tag says.
TELLING = ("hidden", "none", "type", "role", "class")
SKIPPED_ROLES = {"navigation", "doc-noteref", "doc-pagebreak", "doc-backlink", "doc-toc", "noteref", "pagebreak", "toc"}
SKIPPED_CLASSES = {"pagenum", "pageno", "pagebreak", "noteref", "fnanchor", "footnote-ref", "footnote-back"}
SKIPPED_CLASSES |= {"mw-editsection", "mw-jump-link"}  # what Wikipedia offers its editors
NO_DISPLAY = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.IGNORECASE)
SIGN = r"(?:\d{1,4}|[a-zA-Z]|[ivxlcIVXLC]{1,6}|[*†‡§¶#]{1,4}|(?:note|fn|nb)\.?\s?\d{1,3})"
MARK = re.compile(rf"\s*[\[(]?\s*{SIGN}\s*[\])]?\s*|\s*[↩↑⏎^←]\ufe0e?\s*")  # of a footnote, where it is a raised link
BRACKETED_MARK = re.compile(rf"\s*\[\s*{SIGN}\s*\]\s*|\s*[↩↑⏎]\ufe0e?\s*")

MOST_OPEN = 4  # links and raised texts that a mark may lie in


def extract(text: str, shown_name: str) -> Extract:
    """The text of a page."""
    page, num_paragraphs = text_of_page(text)
    return Extract(page, counted(num_paragraphs, "paragraph"))


def text_of_page(source: str) -> tuple[str, int]:
    """The paragraphs of a page with blank lines between them, and how many they are."""
    if not SIMPLE_TAG.search(source):
        return html.unescape(source), source.count("\n\n") + 1
    ignored: set[str] = set()
    paragraphs = _Page()
    for _ in range(len(SKIPPED) + 1):
        paragraphs = _Page(ignored)
        for token in _tokens(source):
            paragraphs.add(token)
        if paragraphs.skipping is None:
            break
        ignored.add(paragraphs.skipping)  # it is never closed, and would take all that follows
    paragraphs.end_paragraph()
    found = [paragraph for paragraph in paragraphs.done if paragraph.strip()]
    return joined(found), len(found)


class _Token(NamedTuple):
    """A tag, or the text between two."""

    text: str
    name: str = ""  # of a tag, in lower case
    is_end: bool = False


def _tokens(source: str) -> Iterator[_Token]:
    """All tags and texts, without comments and what lies in raw elements. Every character is looked at a few times."""
    place, num_characters = 0, len(source)
    tag, has_comments, has_sections, may_declare = TAG, True, True, True
    unclosed: set[str] = set()  # raw elements that do not end in the rest
    while place < num_characters:
        start = source.find("<", place)
        if start < 0:
            yield _Token(source[place:])
            return
        if start > place:
            yield _Token(source[place:start])
        place = start
        if source.startswith("<!--", place) and has_comments:
            end_of_comment = COMMENT_END.search(source, place + 2)
            has_comments = end_of_comment is not None
            place = end_of_comment.end() if end_of_comment else place + 4
        elif source.startswith("<![CDATA[", place) and has_sections:
            end = source.find("]]>", place)
            has_sections = end >= 0
            if has_sections:
                yield _Token(html.escape(source[place + 9 : end]))
            place = end + 3 if has_sections else place + 9
        elif source.startswith(("<!", "<?"), place):
            declared = DOCTYPE.match(source, place) if may_declare else None
            may_declare = may_declare and source[place + 1] == "?"  # it stands at the beginning, once
            end = declared.end() - 1 if declared else source.find(">", place)
            place = end + 1 if end >= 0 else num_characters
        elif TAG_BEGINS.match(source, place):
            found = tag.match(source, place)
            if found is None:  # no ">" is left that ends it, nor one of those that follow
                tag = SIMPLE_TAG
                found = tag.match(source, place)
            if found is None:
                yield _Token("<")
                place += 1
                continue
            place, name = found.end(), _name_of(found[0])
            if name not in RAW or name in unclosed or found[0].startswith("</") or found[0].endswith("/>"):
                yield _Token(found[0], name, found[0].startswith("</"))
                continue
            closing = RAW[name].search(source, place)
            if closing is None and name in ("script", "style"):
                return
            unclosed |= set() if closing else {name}
            place = closing.end() if closing else place
        else:
            yield _Token("<")
            place += 1


def _name_of(tag: str) -> str:
    """`p` of `</P>` and of `<html:p class="x">`."""
    found = NAME.match(tag)
    return found[1].lower() if found else "a tag without a name"


class _Page:
    """Collects paragraphs."""

    def __init__(self, ignored: set[str] | None = None):
        self.done: list[str] = []
        self.skipping: str | None = None  # the element that is left out, while it is open
        self._ignored = ignored or set()
        self._depth = 0  # of elements of its name
        self._parts: list[str] = []
        self._num_pre = 0
        self._links: list[tuple[int, str]] = []  # the parts where links and raised texts begin that are open, and tags

    def add(self, token: _Token) -> None:
        """Take the next token."""
        if self.skipping is not None:
            self._skip(token)
        elif not token.name:
            self._add_text(html.unescape(token.text) if "&" in token.text else token.text)
        elif token.is_end:
            self._end(token.name)
        else:
            self._start(token)

    def end_paragraph(self) -> None:
        """Begin a new paragraph, unless this one is empty."""
        text = "".join(self._parts)
        self._parts, self._links = [], []
        if not self._num_pre:
            text = SPACES.sub(" ", AROUND_LINE_ENDS.sub("\n", text)).strip(" \n")
        if text:
            self.done.append(text)

    def _add_text(self, text: str) -> None:
        if self._num_pre and not self._parts:
            text = text.removeprefix("\n")
        if not self._num_pre:
            text = WHITE_SPACE.sub(" ", text if text.isascii() else WRAPPED.sub("", text))
        self._parts.append(text)

    def _skip(self, token: _Token) -> None:
        name = self.skipping
        if token.is_end and (token.name == name or (name in RUBY and token.name == "ruby")):
            self._depth = self._depth - 1 if token.name == name else 0
        elif name in RUBY and token.name in RUBY:
            self.skipping = token.name
        elif token.name == name and not token.is_end and not token.text.endswith("/>"):
            self._depth += 1
        if not self._depth:
            self.skipping = None
            if name in BLOCKS:
                self.end_paragraph()

    def _start(self, token: _Token) -> None:
        name, is_empty = token.name, token.text.endswith("/>") or token.name in VOID
        if name == "br":
            self._parts.append("\n")
        elif name not in self._ignored and (name in SKIPPED or _is_out_of_sight(token.text)):
            if name in BLOCKS:
                self.end_paragraph()
            if not is_empty:
                self.skipping, self._depth = name, 1
        elif name in BLOCKS:
            self._start_block(name, is_empty)
        elif name in ("a", "sup") and not is_empty:
            self._links.append((len(self._parts), token.text))

    def _start_block(self, name: str, is_empty: bool) -> None:
        if self._num_pre and name not in ("pre", "listing"):
            self._break_line()
            return
        self.end_paragraph()
        self._num_pre += name in ("pre", "listing") and not is_empty

    def _break_line(self) -> None:
        if self._parts and not self._parts[-1].endswith("\n"):
            self._parts.append("\n")

    def _end(self, name: str) -> None:
        if name in ("pre", "listing") and self._num_pre:
            self.end_paragraph()
            self._num_pre -= 1
        elif name in BLOCKS and self._num_pre:
            self._break_line()
        elif name in BLOCKS:
            self.end_paragraph()
        elif name in ("a", "sup"):
            self._end_link(name)

    def _end_link(self, name: str) -> None:
        """Take back what stood in a link or raised text, if it is the mark of a footnote."""
        last = len(self._links) - 1
        place = next((i for i in range(last, max(-1, last - MOST_OPEN), -1) if _is_tag(self._links[i][1], name)), None)
        if place is None:
            return
        start = self._links[place][0]
        around = [tag for _, tag in self._links[max(0, place - MOST_OPEN) :]]
        del self._links[place:]
        is_raised = any(_is_tag(tag, "sup") for tag in around)
        is_link = any(_is_tag(tag, "a") and "#" in _attributes(tag).get("href", "") for tag in around)
        if is_link and (MARK if is_raised else BRACKETED_MARK).fullmatch("".join(self._parts[start:])):
            del self._parts[start:]


def _is_tag(tag: str, name: str) -> bool:
    return tag[1 : 1 + len(name)].lower() == name and not tag[1 + len(name) : 2 + len(name)].isalnum()


def _is_out_of_sight(tag: str) -> bool:
    """Whether an element is hidden, leads elsewhere, or is a mark for the reader, by its attributes."""
    small = tag.lower()
    if not any(word in small for word in TELLING):
        return False
    attributes = _attributes(tag)
    if "hidden" in attributes or NO_DISPLAY.search(attributes.get("style", "")):
        return True
    roles = {*attributes.get("role", "").lower().split(), *attributes.get("epub:type", "").lower().split()}
    return bool(roles & SKIPPED_ROLES or set(attributes.get("class", "").lower().split()) & SKIPPED_CLASSES)


def _attributes(tag: str) -> dict[str, str]:
    inner = NAME.sub("", tag, count=1).rstrip(">")
    return {
        name.lower(): html.unescape(double or single or bare) for name, double, single, bare in ATTRIBUTE.findall(inner)
    }
