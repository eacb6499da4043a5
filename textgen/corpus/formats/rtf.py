"""RTF documents (.rtf), by striprtf: paragraphs, cells of tables included, without notes and the addresses of links."""

import re

from striprtf.striprtf import rtf_to_text

from textgen.corpus.formats import DocumentError, Extract
from textgen.corpus.formats.markup import joined
from textgen.messages import counted

# striprtf writes a line end within a paragraph as it does the end of one, and `|` between cells.
CONTROL = re.compile(r"\\(?:\\|(line|lbr|cell|nestcell|row|nestrow)(?![a-zA-Z])-?\d* ?)")
LINE = "\u2028"
INSTEAD = {"line": r"\u8232?", "lbr": r"\u8232?"}
LINK = re.compile(r"(\\fldinst[^\"}]{0,300}?)HYPERLINK", re.IGNORECASE)  # striprtf would write where it leads


def extract(data: bytes, shown_name: str) -> Extract:
    """The text of an .rtf. Raises DocumentError."""
    source = data.decode("cp1252", "replace")
    source = CONTROL.sub(lambda match: INSTEAD.get(match[1], r"\par ") if match[1] else match[0], source)
    try:
        text = rtf_to_text(LINK.sub(r"\1LINK", source), errors="replace")
    except (ValueError, LookupError, TypeError, OverflowError, RecursionError) as error:
        raise DocumentError(f"{shown_name} is damaged: {type(error).__name__}. Save it anew.") from None
    text = joined(paragraph.replace(LINE, "\n").strip() for paragraph in text.split("\n"))
    return Extract(text, counted(text.count("\n\n") + 1, "paragraph"))
