"""The encoding that a page of HTML declares, read as browsers read it; and whether its bytes say another.

A page may have been saved in another encoding than it was written in, or be declared what its editor declares unasked.
Nearly any bytes fit cp1252, so that to fit proves nothing. So what is declared is believed unless another reading of
the page's words is clearly better.
"""

import codecs
import contextlib
import io
import re
from contextlib import nullcontext
from typing import NamedTuple

from textgen.corpus.alphabets import ENCODINGS, LANGUAGES
from textgen.corpus.detecting import find
from textgen.corpus.likelihood import bits_of_sample, readings_of
from textgen.corpus.misfits import ERRORS
from textgen.errors import CorpusError

# What browsers read by a name that says less; source: https://encoding.spec.whatwg.org/#names-and-labels
BROWSERS = {"iso8859-1": "cp1252", "ascii": "cp1252", "iso8859-9": "cp1254", "iso8859-11": "cp874", "tis-620": "cp874"}
BROWSERS |= {"gb2312": "gb18030", "gbk": "gb18030", "euc_kr": "cp949", "shift_jis": "cp932", "utf-16": "utf-8"}
BROWSERS |= {"utf-16-le": "utf-8", "utf-16-be": "utf-8", "utf-7": "utf-8"}
META = re.compile(rb"""<meta\b[^>]*?\bcharset\s*=\s*["']?\s*([\w.:-]+)""", re.IGNORECASE)
DECLARATION = re.compile(rb"""\s*<\?xml\b[^>]*?\bencoding\s*=\s*["']([\w.:-]+)""")
DECLARED_WITHIN = 1 << 12  # bytes
TAGS = re.compile(rb"<[^>]*+>?")
ASCII_TAGS = re.compile(rb"<[^<>\x80-\xff]*+>")
SAMPLE_BYTES = 48 << 10  # of words
# Another reading must be better by so many bits, and by so many for each character that it reads otherwise, where the
# declared one is of Latin letters; where both are of the same others; where both are of these alphabets, which leaves
# out the Hebrew letters of Yiddish; and else. Of 794 made pages of translated messages in 19 languages that were
# declared rightly, half in capitals, none was taken for another; of 1,307 that fit the Cyrillic, Greek or Arabic
# encoding that they wrongly declare, 1,177 were found.
LATIN_BITS, SAME_BITS, ALPHABET_BITS, OTHER_BITS = (20.0, 4.0), (40.0, 1.0), (40.0, 0.3), (20.0, 6.0)
DECLARED_ALPHABETS = {"CYRILLIC", "GREEK", "ARABIC", "THAI"}
OTHER_ALPHABETS = DECLARED_ALPHABETS | {"HEBREW"}
USUAL = tuple(e for e, (_, prior) in ENCODINGS.items() if prior <= 6 and not e.startswith("utf"))
DELIBERATE = re.compile(r"cp[478]\d\d")  # of DOS, which no program declares unasked
LATIN = "LATIN"
MARKS = {codecs.BOM_UTF8: "utf-8", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}


def declared_encoding(data: bytes) -> str | None:
    """The encoding that a page declares, as browsers read its name; None where it does not, or is in UTF-8 anyway.

    A page that is valid UTF-8, with characters beyond ASCII, is just that: the declaration is older than the file.
    """
    for mark in MARKS:
        if data.startswith(mark):
            return MARKS[mark]
    named = declared_name(data)
    if not named or (not data.isascii() and fits(data, "utf-8")):
        return None
    try:
        name = codecs.lookup(named).name
        b"a\xff".decode(name, "replace")  # which some of Python's codecs do not do
    except (LookupError, ValueError):
        return None
    return BROWSERS.get(name, name)


def declared_name(data: bytes) -> str:
    """The encoding that a page declares, as it spells it; nothing where it declares none."""
    found = DECLARATION.match(data) or META.search(data, 0, DECLARED_WITHIN)
    return found[1].decode() if found else ""


def without_tags(data: bytes) -> bytes:
    """The passages of a page, a line each, and tags that hold more than ASCII."""
    return ASCII_TAGS.sub(b"\n", data)


def words_of(data: bytes) -> bytes:
    """The words of a page beside its tags, in passages that hold more than ASCII; each once, as menus repeat theirs."""
    words: dict[bytes, None] = {}
    num_bytes = 0
    for passage in TAGS.split(data):
        if num_bytes < SAMPLE_BYTES and not passage.isascii():
            new = dict.fromkeys(passage[: SAMPLE_BYTES - num_bytes].split())
            num_bytes += sum(len(word) + 1 for word in new if word not in words)
            words |= new
    return b" ".join(words)


def is_contradicted(data: bytes, declared: str) -> bool:
    """Whether the bytes of a page say clearly that it is in another encoding than it declares."""
    if data.isascii() or declared not in USUAL or DELIBERATE.fullmatch(declared):
        return False
    sample = words_of(data)
    text = sample.decode(declared, ERRORS)
    bits = bits_of_sample(text, "utf-8", sample)  # in whatever language it is cheapest in
    readings = readings_of(sample, USUAL)
    best = next((encoding for encoding in readings.bits if readings.texts[encoding] != text), declared)
    other = readings.texts[best]
    if len(other) == len(text):
        num_different = sum(one != another for one, another in zip(text, other, strict=True))
    else:
        num_different = min(len(read) - len(read.encode("ascii", "ignore")) for read in (text, other))
    least, each = _clear_bits(*(LANGUAGES[ENCODINGS[encoding][0][0]].script for encoding in (declared, best)))
    return bits - readings.bits[best] > max(least, each * num_different)


def _clear_bits(declared: str, other: str) -> tuple[float, float]:
    """How many bits better a reading in another script must be, in all and for each character it reads otherwise."""
    if declared == LATIN:
        return LATIN_BITS
    if declared == other:
        return SAME_BITS
    return ALPHABET_BITS if declared in DECLARED_ALPHABETS and other in OTHER_ALPHABETS else OTHER_BITS


def believed_encoding(data: bytes, *, may_misfit: bool = False) -> str | None:
    """The encoding that a page declares, where its bytes fit that, if they have to, and do not say another."""
    declared = declared_encoding(data)
    if declared is None or not (may_misfit or fits(data, declared)) or is_contradicted(data, declared):
        return None
    return declared


class Page(NamedTuple):
    """The text of a page, and how it was read."""

    text: str
    num_bad: int  # of its bytes, those that do not fit its encoding
    found: str = ""  # the encoding, where it is not UTF-8 and not the one that is declared
    declared: str = ""  # what it declares then
    piece: str = ""  # of its text then


def decode_page(data: bytes, shown_name: str) -> Page:
    """The text of a page whose encoding nobody can name; where that is not clear, what does not fit is replaced."""
    encoding, found, piece = believed_encoding(data) or "utf-8", "", ""
    if encoding == "utf-8" and not fits(data, "utf-8"):
        encoding = declared_encoding(data) or "utf-8"
        with contextlib.suppress(CorpusError):
            guess = find(lambda: nullcontext(io.BytesIO(without_tags(data))), shown_name, "")
            encoding, piece = guess.encoding, guess.piece
            found = encoding if encoding != "utf-8" else ""
    text = data.decode(encoding, "replace").removeprefix("\ufeff")
    num_bad = max(0, text.count("\ufffd") - data.count("\ufffd".encode()))
    return Page(text, num_bad, found, declared_name(data) if found else "", piece)


def fits(data: bytes, encoding: str) -> bool:
    """Whether `data` is text in `encoding`."""
    try:
        data.decode(encoding)
    except UnicodeError:
        return False
    return True
