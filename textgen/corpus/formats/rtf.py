"""RTF documents (.rtf), by striprtf: paragraphs, cells of tables included, without notes and the addresses of links.

Hidden and deleted text is left out, too, which striprtf would read. So would it read a byte that stands for itself in
the wrong encoding, and a sign of Chinese, Japanese or Korean whose second byte does.
"""

import re

from striprtf.striprtf import rtf_to_text

from textgen.corpus.formats import DocumentError, Extract
from textgen.corpus.formats.markup import joined
from textgen.messages import counted

# striprtf writes a line end within a paragraph as it does the end of one, and `|` between cells.
CONTROL = re.compile(r"\\(?:\\|(line|lbr|cell|nestcell|row|nestrow|column)(?![a-zA-Z])-?\d* ?)")
LINE = "\u2028"
INSTEAD = {"line": r"\u8232?", "lbr": r"\u8232?"}
LINK = re.compile(r"(\\fldinst[^\"}]{0,300}?)HYPERLINK", re.IGNORECASE)  # striprtf would write where it leads
HIGH_BYTE = re.compile(rb"[\x80-\xff]")
ENCODING = re.compile(r"\s*\{\\rtf\d*\s*\\(mac|pca|pc)(?![a-z])")
ENCODINGS = {"mac": "mac_roman", "pc": "cp437", "pca": "cp850"}  # else it is cp1252, or stated
OF_TWO_BYTES = re.compile(r"\\ansicpg(932|936|949|950)\b")
SECOND = r"[0-9a-f])(?:(\\'[0-9a-f]{2})|([@-\[\]-z|~]))"
JAPANESE, OTHERS = re.compile(rf"(\\'[89ef]{SECOND}"), re.compile(rf"(\\'[89a-f]{SECOND}")  # a first byte and the next
HIDES = re.compile(r"\\(?:v|deleted)(?![a-zA-Z0-9])")
SHOWN, HIDDEN, WITHIN = range(3)  # what a group is: hidden from a place in it on, or in a group that is
TOKEN = re.compile(r"\\[\\{}]|([{}])|\\(v|deleted|plain)(0?)(?![a-zA-Z0-9]) ?")


def extract(data: bytes, shown_name: str) -> Extract:
    """The text of an .rtf. Raises DocumentError."""
    source = _without_hidden(_source(data))
    source = CONTROL.sub(lambda match: INSTEAD.get(match[1], r"\par ") if match[1] else match[0], source)
    old = ENCODING.match(source)
    encoding = ENCODINGS[old[1]] if old else "cp1252"
    try:
        text = rtf_to_text(LINK.sub(r"\1LINK", source), encoding, errors="replace")
    except (ValueError, LookupError, TypeError, OverflowError, RecursionError) as error:
        raise DocumentError(f"{shown_name} is damaged: {type(error).__name__}. Save it anew.") from None
    text = joined(paragraph.replace(LINE, "\n").strip() for paragraph in text.split("\n"))
    return Extract(text, counted(text.count("\n\n") + 1, "paragraph"))


def _source(data: bytes) -> str:
    """The source, in which bytes beyond ASCII are escaped, unless they are UTF-8."""
    try:
        source = data.decode()
    except UnicodeDecodeError:
        if b"\\bin" in data:  # a picture whose bytes are counted
            return data.decode("cp1252", "replace")
        source = HIGH_BYTE.sub(lambda match: b"\\'%02x" % match[0][0], data).decode("ascii")
    if stated := OF_TWO_BYTES.search(source):
        pairs = JAPANESE if stated[1] == "932" else OTHERS
        source = pairs.sub(lambda match: match[1] + (match[2] or f"\\'{ord(match[3]):02x}"), source)
    return source


def _without_hidden(source: str) -> str:
    """`source` with hidden and deleted text in groups that every reader passes over."""
    if not HIDES.search(source):
        return source
    parts, place, groups = [], 0, [SHOWN]
    for token in TOKEN.finditer(source):
        brace, word, is_off = token.groups()
        parts.append(source[place : token.start()])
        place = token.start()
        if brace == "{":
            groups.append(WITHIN if groups[-1] else SHOWN)
        elif brace == "}":
            parts.append("}" if groups.pop() == HIDDEN else "")
            groups = groups or [SHOWN]
        elif word and (is_off or word == "plain"):
            parts.append("}" if groups[-1] == HIDDEN else "")
            groups[-1] = WITHIN if groups[-1] == WITHIN else SHOWN
        elif word and groups[-1] == SHOWN:
            parts.append(r"{\*")
            groups[-1] = HIDDEN
    return "".join(parts) + source[place:]
