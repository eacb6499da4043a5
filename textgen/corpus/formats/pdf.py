"""PDF documents (.pdf), by pypdf: the lines of the pages as they stand there. A word that a line end parts is joined,
and ligatures are letters.

A page has no paragraphs, only letters at places; so the lines of a paragraph stay lines.
"""

import contextlib
import io
import logging
import re
from collections.abc import Iterator

from pypdf import PdfReader
from pypdf.errors import DependencyError, FileNotDecryptedError, WrongPasswordError

from textgen.corpus.formats import DocumentError, Extract
from textgen.corpus.formats.markup import joined
from textgen.messages import counted, shown

LARGEST_TEXT = 1 << 27  # characters
PARTED = re.compile("(?<=[^\\W\\d_])[-\u2010\xad]\n(?=[^\\W\\d_])")
LIGATURES = dict(zip(range(0xFB00, 0xFB07), ("ff", "fi", "fl", "ffi", "ffl", "st", "st"), strict=True))
ENDS = re.compile(
    "[.!?:;\u2026\"'\u201d\u2019\u00bb)\\]]\\s*\\Z"
)  # a page that ends so does not go on in the middle of a sentence


def extract(data: bytes, shown_name: str) -> Extract:
    """The text of a .pdf. Raises DocumentError."""
    try:
        with _quiet():
            reader = PdfReader(io.BytesIO(data))
            if reader.is_encrypted and not reader.decrypt(""):  # many are closed to changes alone
                raise WrongPasswordError
            pages = list(_pages(reader))
    except (DependencyError, FileNotDecryptedError, WrongPasswordError):
        raise DocumentError(f"{shown_name} is encrypted. Save it without a password.") from None
    except Exception as error:  # pypdf raises whatever a damaged file leads it to
        reason = shown(error, 80) or type(error).__name__
        raise DocumentError(
            f"{shown_name} is damaged: it looks like a PDF document, but: {reason}. Copy it again."
        ) from None
    parts = [""]
    for page in filter(None, pages):
        goes_on = page[0].islower() and not ENDS.search(parts[-1][-9:])
        parts += ["\n" if goes_on else "\n\n", page]
    text = PARTED.sub(_unparted, "".join(parts)).translate(LIGATURES)
    return Extract(joined(text.split("\n\n")), counted(len(pages), "page"))


def _pages(reader: PdfReader) -> Iterator[str]:
    num_characters = 0
    for page in reader.pages:
        text = "\n".join(line.rstrip() for line in page.extract_text().splitlines()).strip("\n")
        num_characters += len(text)
        if num_characters > LARGEST_TEXT:
            raise ValueError(f"it has more than {LARGEST_TEXT:,} characters")
        yield text


def _unparted(match: re.Match[str]) -> str:
    """What stands in place of a hyphen at a line end: nothing, unless a capital follows one that is not soft."""
    return "" if match.string[match.end()].islower() or match[0][0] == "\xad" else "-"


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """pypdf says on standard error what it mends."""
    logger = logging.getLogger("pypdf")
    before = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        logger.setLevel(before)
