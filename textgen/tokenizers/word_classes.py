"""The class of every code point, from which `word_pieces.py` cuts text. `word.py` says what the classes are for."""

import functools
import unicodedata

import numpy as np

from textgen.config import END_OF_DOCUMENT
from textgen.tokenizers.text_blocks import CODE_POINTS

# From LETTER to OTHER: what a space joins. From IDEOGRAPH to END: what stands alone.
SPACE, BLANK, LETTER, NUMBER, OTHER, IDEOGRAPH, END, MARK, APOSTROPHE = range(9)
UNSET = 255

APOSTROPHES = "'\u2019"
JOINERS = "\u200c\u200d"  # zero width; they shape the word around them, in Persian and Hindi, and hold emoji together

# Blocks of the scripts that are written without spaces between words; ends included.
# Source: Unicode 16, Blocks.txt, and the Line_Break classes ID, CJ and SA of UAX #14.
UNSPACED = (
    (0x0E00, 0x0EFF),  # Thai, Lao
    (0x0F00, 0x0FFF),  # Tibetan
    (0x1000, 0x109F),  # Myanmar
    (0x1780, 0x17FF),  # Khmer
    (0x1950, 0x19FF),  # Tai Le, New Tai Lue, Khmer symbols
    (0x1A20, 0x1AAF),  # Tai Tham
    (0x1B00, 0x1B7F),  # Balinese
    (0x2E80, 0x312F),  # CJK radicals and marks, Hiragana, Katakana, Bopomofo
    (0x31A0, 0x31BF),  # more Bopomofo
    (0x31F0, 0x31FF),  # small Katakana
    (0x3400, 0x4DBF),  # CJK ideographs
    (0x4E00, 0xA4CF),  # CJK ideographs, Yi
    (0xA980, 0xA9FF),  # Javanese, more Myanmar
    (0xAA60, 0xAADF),  # more Myanmar, Tai Viet
    (0xF900, 0xFAFF),  # CJK compatibility ideographs
    (0xFF66, 0xFF9F),  # halfwidth Katakana
    (0x16FE0, 0x18DFF),  # Tangut, Khitan
    (0x1AFF0, 0x1B2FF),  # more Kana, Nushu
    (0x20000, 0x3FFFF),  # CJK ideographs
)


def class_of(symbol: str) -> int:
    """The class of one code point."""
    category = unicodedata.category(symbol)
    if symbol in APOSTROPHES:
        return APOSTROPHE
    if category[0] == "M" or symbol in JOINERS:
        return MARK
    if category[0] == "L" or category == "Nl":
        return IDEOGRAPH if _is_unspaced(ord(symbol)) else LETTER if category[0] == "L" else NUMBER
    if symbol.isspace():
        return SPACE if symbol == " " else BLANK
    if symbol == END_OF_DOCUMENT:
        return END
    return NUMBER if category[0] == "N" else OTHER


def _is_unspaced(code_point: int) -> bool:
    return any(first <= code_point <= last for first, last in UNSPACED)


@functools.cache
def _table() -> np.ndarray:
    """uint8 [CODE_POINTS], filled by `classes_of` as code points are met: all of them would take a quarter second."""
    return np.full(CODE_POINTS, UNSET, np.uint8)


def classes_of(points: np.ndarray) -> np.ndarray:
    """The classes of code points, uint8 of the same shape."""
    table, points = _table(), points.astype(np.intp)
    classes = table[points]
    if classes.size and classes.max() == UNSET:
        for point in np.unique(points[classes == UNSET]).tolist():
            table[point] = class_of(chr(point))
        classes = table[points]
    return classes
