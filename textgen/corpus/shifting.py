"""Encodings of seven bits a byte, which shift out of ASCII and back: ISO-2022-JP, ISO-2022-KR and HZ.

They are valid ASCII, and so UTF-8. Their shifts tell them: ESC stands in hardly any text. HZ shifts by `~{` and `~}`,
which a program may hold too. There each `~{` must have its `~}`, with nothing but pairs of bytes between them that read
as usual Chinese.
"""

import codecs
import re

from textgen.corpus.likelihood import bits_of_sample

SHIFT, KOREAN_MARK = b"\x1b$", b"\x1b$)C"  # what Japanese shifts with, and Korean begins with
HZ_SHIFT = b"~{"
HZ_RUN = re.compile(rb"~\{((?:[\x21-\x77][\x21-\x7e])+)~\}")
HZ_CUT = re.compile(rb"~\{(?:[\x21-\x77][\x21-\x7e])*[\x21-\x77]?~?\Z")  # a run that goes on in the next block
MOST_BITS = 11.0  # per sign, of a text; made ones have 7.7 to 9.9, and words of English in their place mostly more


def find_shifted(block: bytes) -> tuple[str, str] | None:
    """The encoding of a block that is ASCII, if it shifts, and the text in it; None where it does not."""
    if b"\x1b" in block and SHIFT in block:
        for encoding in ("iso2022_kr", "iso2022_jp_2") if KOREAN_MARK in block else ("iso2022_jp_2",):
            if not (text := _decoded(block, encoding)).isascii():
                return encoding, text
    if b"~" in block and HZ_SHIFT in block and _is_hz(block):
        return "hz", _decoded(block, "hz")
    return None


def _is_hz(block: bytes) -> bool:
    bare = block.replace(b"~~", b"")  # which stands for one ~
    runs = HZ_RUN.findall(bare)
    if not runs or bare.count(HZ_SHIFT) != len(runs) + (HZ_CUT.search(bare) is not None):
        return False
    signs = _decoded(b"~{" + b"".join(runs), "hz")
    return bool(signs) and bits_of_sample(signs, "gb18030", b"") <= MOST_BITS * len(signs)


def _decoded(block: bytes, encoding: str) -> str:
    """The text of a block, whose last character may be cut; nothing where it is not of that encoding."""
    try:
        return codecs.getincrementaldecoder(encoding)().decode(block)
    except UnicodeError:
        return ""
