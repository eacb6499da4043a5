"""EBCDIC, which mainframes keep texts in: its letters are bytes beyond ASCII, and its spaces are what ASCII calls `@`.

Countries differ in punctuation and accents, which hardly tells them apart. So it is named, and not read unasked.
"""

from textgen.errors import CorpusError
from textgen.messages import harmless

ENCODING = "cp037"
SPACE, ASCII_SPACES = b"\x40", b" \n"  # carriage returns are the same in both
LETTERS_SHARE, SPACES_SHARE = 0.8, 0.05  # of letters and spaces in the text, and of its spaces
PIECE = 40  # characters of a text that are shown


def check_no_ebcdic(content: bytes, shown_name: str, where: str) -> None:
    """Raise CorpusError where the first bytes of a file are EBCDIC, with what it reads."""
    if content.count(SPACE) < SPACES_SHARE * len(content) or any(byte in content for byte in ASCII_SPACES):
        return
    text = content.decode(ENCODING)
    if sum(c == " " or (c.isascii() and c.isalpha()) for c in text) > LETTERS_SHARE * len(text):
        raise CorpusError(
            f"{shown_name} is not UTF-8: {where}; it seems to be EBCDIC. Give the right one: --encoding {ENCODING} "
            f"reads “{harmless(' '.join(text.split())[:PIECE])}”; other countries have cp500 or cp1140."
        )
