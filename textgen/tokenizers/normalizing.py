"""Texts brought to one Unicode form. The form that they had before is lost.

nfc composes letters and accents. nfkc also replaces compatibility forms (ligatures, fullwidth letters, superscripts).
casefold is NFKC_Casefold: nfkc without case and without what is invisible by default (soft hyphens, joiners, variation
selectors), as tensorflow_text's `case_fold_utf8` has it. `graph_characters.py` does the same inside an export.

NOTE: `unicodedata` and tensorflow_text may have different versions of Unicode. A code point that is unassigned in this
Python's version (category Cn) stays here, and may be changed or composed there. Other text is treated alike.
"""

import functools
import unicodedata
from collections.abc import Iterable, Iterator

from textgen.config import END_OF_DOCUMENT
from textgen.errors import TokenizerError
from textgen.tokenizers.text_blocks import CODE_POINTS, regrouped

# The property Default_Ignorable_Code_Point, ends included. Source: Unicode 16, DerivedCoreProperties.txt.
IGNORABLE = (
    (0x00AD, 0x00AD),
    (0x034F, 0x034F),
    (0x061C, 0x061C),
    (0x115F, 0x1160),
    (0x17B4, 0x17B5),
    (0x180B, 0x180F),
    (0x200B, 0x200F),
    (0x202A, 0x202E),
    (0x2060, 0x206F),
    (0x3164, 0x3164),
    (0xFE00, 0xFE0F),
    (0xFEFF, 0xFEFF),
    (0xFFA0, 0xFFA0),
    (0xFFF0, 0xFFF8),
    (0x1BCA0, 0x1BCA3),
    (0x1D173, 0x1D17A),
    (0xE0000, 0xE0FFF),
)
SAFE_WITHIN = 4096  # characters at the end of a block that are searched for a simple place to cut


def normalize_text(text: str, form: str) -> str:
    """`text` in `form`, one of NORMAL_FORMS; END_OF_DOCUMENT stays where it is."""
    if form == "none":
        return text
    if form == "nfc":
        return unicodedata.normalize("NFC", text)
    if form == "nfkc":
        return unicodedata.normalize("NFKC", text)
    if form == "casefold":
        return text.lower() if text.isascii() else unicodedata.normalize("NFC", text.translate(_FOLDED))
    raise TokenizerError(f"--normalize must be one of none, nfc, nfkc, casefold. Received: {form!r}")


def normalize_blocks(blocks: Iterable[str], form: str) -> Iterator[str]:
    """The blocks whose concatenation is the normalised concatenation of `blocks`, wherever it is cut."""
    if form == "none":
        yield from blocks
        return
    waiting: list[str] = []  # text behind the last safe cut
    for block in regrouped(blocks):
        cut = safe_cut(block)
        if cut is not None:
            yield normalize_text("".join([*waiting, block[:cut]]), form)
            waiting, block = [], block[cut:]
        waiting.append(block)
    if waiting:
        yield normalize_text("".join(waiting), form)


def safe_cut(text: str) -> int | None:
    """A late place in `text` before which and from which on it can be normalised apart; None when there is none.

    That is before any character that never changes what is before it. ASCII and Chinese ideographs are simple cases.
    """
    for i in range(len(text) - 1, max(-1, len(text) - 1 - SAFE_WITHIN), -1):
        if text[i] < "\x80" or "\u4e00" <= text[i] <= "\u9fff" or text[i] == END_OF_DOCUMENT:
            return i
    return next((i for i in range(len(text) - 1, -1, -1) if _begins_afresh(text[i])), None)


@functools.cache
def _begins_afresh(symbol: str) -> bool:
    """Whether no form of `symbol` is reordered before, or composed with, what is before it."""
    forms = (unicodedata.normalize("NFKD", symbol), unicodedata.normalize("NFKD", _FOLDED[ord(symbol)]))
    return all(form and not unicodedata.combining(form[0]) and form[0] not in _seconds() for form in forms)


@functools.cache
def _seconds() -> frozenset[str]:
    """What may be composed with a character before it: all but the first of every decomposition, and Hangul jamo."""
    decompositions = (unicodedata.decomposition(chr(point)).split() for point in range(CODE_POINTS))
    seconds = {chr(int(part, 16)) for parts in decompositions for part in parts[1:] if not part.startswith("<")}
    return frozenset(seconds.union(map(chr, range(0x1100, 0x1200))))


class _Folds(dict[int, str]):
    """code point -> its NFKC_Casefold, worked out when it is first met."""

    def __missing__(self, point: int) -> str:
        self[point] = folded = fold_symbol(chr(point))
        return folded


_FOLDED = _Folds()


def fold_symbol(symbol: str) -> str:
    """NFKC_Casefold of one code point. Source: Unicode 16, section 5.18.4 and definition R5 of section 3.13."""
    folded, before = symbol, None
    while folded != before:
        before = folded
        folded = unicodedata.normalize("NFKC", "".join(s for s in folded if not is_ignorable(s)).casefold())
    return folded


def is_ignorable(symbol: str) -> bool:
    """Whether `symbol` is invisible by default."""
    return any(first <= ord(symbol) <= last for first, last in IGNORABLE)
