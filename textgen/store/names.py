"""What a model may be called: the name of its directory, which people type and lists show."""

import unicodedata

from textgen.tokenizers.normalizing import is_ignorable

LONGEST_NAME = 100  # characters
MOST_BYTES = 200  # in UTF-8; the prefixes and suffixes of temporary names have room beside them in 255


def is_name(text: str) -> bool:
    """Whether a model can be called `text`.

    It consists of letters, digits and their marks, of any script, and of '.', '_' and '-'. It begins with a letter, a
    digit or '_', is in Unicode's composed form (NFC), and holds nothing that is invisible.
    """
    return (
        0 < len(text) <= LONGEST_NAME
        and all(symbol in "._-" or is_letter(symbol) or is_mark(symbol) for symbol in text)
        and (text[0] == "_" or is_letter(text[0]))
        and len(text.encode()) <= MOST_BYTES
        and unicodedata.is_normalized("NFC", text)
    )


def is_letter(symbol: str) -> bool:
    """Whether `symbol` is a letter or a digit of some script, and visible."""
    return unicodedata.category(symbol)[0] in "LN" and not is_ignorable(symbol)


def is_mark(symbol: str) -> bool:
    """Whether `symbol` belongs to the letter before it: an accent, a vowel sign."""
    return unicodedata.category(symbol)[0] == "M" and not is_ignorable(symbol)
