"""The encoding that a page of HTML declares, read as browsers read it."""

import codecs
import re

# What browsers read by a name that says less; source: https://encoding.spec.whatwg.org/#names-and-labels
BROWSERS = {"iso8859-1": "cp1252", "ascii": "cp1252", "iso8859-9": "cp1254", "iso8859-11": "cp874", "tis-620": "cp874"}
BROWSERS |= {"gb2312": "gb18030", "gbk": "gb18030", "euc_kr": "cp949", "shift_jis": "cp932", "utf-16": "utf-8"}
BROWSERS |= {"utf-16-le": "utf-8", "utf-16-be": "utf-8", "utf-7": "utf-8"}
META = re.compile(rb"""<meta\b[^>]*?\bcharset\s*=\s*["']?\s*([\w.:-]+)""", re.IGNORECASE)
DECLARATION = re.compile(rb"""\s*<\?xml\b[^>]*?\bencoding\s*=\s*["']([\w.:-]+)""")
DECLARED_WITHIN = 1 << 12  # bytes
MARKS = {codecs.BOM_UTF8: "utf-8", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}


def declared_encoding(data: bytes) -> str | None:
    """The encoding that a page declares, as browsers read its name; None where it does not, or is in UTF-8 anyway.

    A page that is valid UTF-8, with characters beyond ASCII, is just that: the declaration is older than the file.
    """
    for mark in MARKS:
        if data.startswith(mark):
            return MARKS[mark]
    found = DECLARATION.match(data) or META.search(data, 0, DECLARED_WITHIN)
    if found is None or (not data.isascii() and fits(data, "utf-8")):
        return None
    try:
        name = codecs.lookup(found[1].decode()).name
        "a".encode(name)
    except (LookupError, ValueError):
        return None
    return BROWSERS.get(name, name)


def decode_page(data: bytes) -> tuple[str, int]:
    """The text of a page, and how many of its bytes fit neither UTF-8 nor the encoding that it declares."""
    text = data.decode(declared_encoding(data) or "utf-8", "replace").removeprefix("\ufeff")
    return text, max(0, text.count("\ufffd") - data.count("\ufffd".encode()))


def fits(data: bytes, encoding: str) -> bool:
    """Whether `data` is text in `encoding`."""
    try:
        data.decode(encoding)
    except UnicodeError:
        return False
    return True
