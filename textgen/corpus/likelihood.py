"""How likely some bytes are as a text in each encoding: in bits, of which the right reading needs the fewest.

A reading is measured as a language model of the simplest kind would measure it: every character costs the bits of its
frequency in the language, and more where it stands beside what it does not stand beside, as a capital after a small
letter, a currency sign in a word, an opening quotation mark behind one. The same bytes are told by every reading, so
bits can be compared. Each encoding has the language in which its reading is cheapest.
"""

import collections
import functools
import itertools
import re
import unicodedata
from typing import NamedTuple

from textgen.corpus.alphabets import (
    APOSTROPHE,
    CJK_SIGNS,
    CLOSING,
    CLOSING_ALONE,
    DASHES,
    EAST_ASIAN,
    ENCODINGS,
    LANGUAGES,
    OPENING,
    OPENING_ALONE,
    SENTENCE_SIGNS,
    USUAL_SIGNS,
    Language,
)
from textgen.corpus.misfits import ERRORS, MARK, MARK_ON

LETTERS = ("lower", "upper", "letter")
WORDS = (*LETTERS, "digit")

ASCII_BITS = 4.5
CONTROL_BITS = 14.0
C1_BITS = 20.0
FOREIGN_BITS = 15.0  # a letter that the language does not have
UNLIKELY_BITS = 18.0  # what is no letter and not usual
INVALID_BITS = 25.0
WORD_BITS, MOST_WORD_BITS = 2.5, 40.0  # what a word of the language is worth, and all of them
AMID_BITS, MOST_AMID_BITS = 1.0, 8.0  # what a Latin word says against a language of other letters, and all of them

WORD = re.compile(rb"(?<![A-Za-z\x80-\xff])[A-Za-z]+(?![A-Za-z\x80-\xff])")
HIGH = re.compile(r"[^\x00-\x7f]")


class Readings(NamedTuple):
    """The readings of a sample, the likeliest first: each an encoding with its bits, and the text in it."""

    bits: dict[str, float]
    texts: dict[str, str]
    num_high: dict[str, int]  # characters beyond ASCII, of each


def readings_of(sample: bytes, encodings: tuple[str, ...] = tuple(ENCODINGS)) -> Readings:
    """What `sample` says in each of `encodings`, the likeliest first."""
    words = _words_of(sample)
    bits, texts = {}, {}
    for encoding in encodings:
        texts[encoding] = text = sample.decode(encoding, ERRORS)
        bits[encoding] = bits_of(text, encoding, words)
    order = sorted(bits, key=bits.__getitem__)
    num_high = {encoding: len(HIGH.findall(texts[encoding])) for encoding in order}
    return Readings({e: bits[e] for e in order}, {e: texts[e] for e in order}, num_high)


def bits_of_sample(text: str, encoding: str, sample: bytes) -> float:
    """Bits of `text`, as `sample` was read in some way, in the language of `encoding` that it is cheapest in."""
    return bits_of(text, encoding, _words_of(sample))


def _words_of(sample: bytes) -> collections.Counter[str]:
    return collections.Counter(word.lower().decode() for word in WORD.findall(sample))


def bits_of(text: str, encoding: str, words: collections.Counter[str]) -> float:
    """Bits of `text`, read in `encoding`, in the language that it is cheapest in."""
    languages, prior = ENCODINGS[encoding]
    num_words = words.total()
    counts = collections.Counter(text)
    high = {c: n for c, n in counts.items() if c >= "\x7f" or c < " "}
    pairs = {p: n for p, n in collections.Counter(itertools.pairwise(text)).items() if max(p) > "\x7f"}
    shared = ASCII_BITS * sum(n for c, n in counts.items() if c not in high)
    shared += sum(_beside_bits(before, after) * n for (before, after), n in pairs.items())

    def bits_in(name: str) -> float:
        known = sum(n for word, n in words.items() if word in LANGUAGES[name].words)
        letters = sum(_bits(name, c) * n for c, n in high.items())
        amid_others = min(MOST_AMID_BITS, AMID_BITS * num_words) if LANGUAGES[name].script != "LATIN" else 0.0
        return letters + amid_others - min(MOST_WORD_BITS, WORD_BITS * known)

    return prior + shared + min(map(bits_in, languages))


@functools.lru_cache(maxsize=1 << 16)
def _bits(language_name: str, character: str) -> float:
    """Bits of a character that is not printable ASCII."""
    language = LANGUAGES[language_name]
    if character in "\t\n\r\f":
        return ASCII_BITS
    if character in (MARK, MARK_ON):
        return INVALID_BITS
    if character < " " or character == "\x7f":
        return CONTROL_BITS
    if "\x80" <= character < "\xa0":
        return C1_BITS
    if language.script in ("CJK", "HIRAGANA", "HANGUL"):
        return _east_asian_bits(language, character)
    small = character.lower()
    place = language.letters.find(small)
    if place < 0 and character in language.letters:
        small, place = character, language.letters.index(character)
    if place >= 0:
        share = place / len(language.letters)
        least = 5.0 if language.script == "LATIN" else 3.2
        return least + 4 * share + 3 * share**4 + (2.5 if small != character else 0.0)
    if character in USUAL_SIGNS:
        return 6.0 + 8.0 * USUAL_SIGNS.index(character) / len(USUAL_SIGNS)
    category = unicodedata.category(character)
    if category in ("Cn", "Co", "Cs"):
        return INVALID_BITS
    is_own = category[0] in "LM" and unicodedata.name(character, "").startswith(language.script)
    if not is_own:
        return UNLIKELY_BITS
    return FOREIGN_BITS if language.script == "LATIN" else UNLIKELY_BITS


def _east_asian_bits(language: Language, character: str) -> float:
    if character in CJK_SIGNS:
        return 5.0 + 4.0 * CJK_SIGNS.index(character) / len(CJK_SIGNS)
    place = language.letters.find(character)
    if place >= 0:
        return 6.0 + 4.0 * place / len(language.letters)
    name = unicodedata.name(character, "")
    if language.script == "HIRAGANA" and "\u3041" <= character <= "\u30fe":
        return 5.0 if character < "\u30a0" else 7.0
    if language.script == "HIRAGANA" and "\uff66" <= character <= "\uff9f":
        return 9.0
    if not name.startswith((language.script, "CJK UNIFIED")):
        return UNLIKELY_BITS + 2 * (unicodedata.category(character) in ("Cn", "Co", "Cs"))
    codec, last_usual = language.level
    try:
        first = character.encode(codec)[0]
    except UnicodeEncodeError:
        return 20.0
    return (11.0 if language.script == "HANGUL" else 12.0) if 0xA4 <= first <= last_usual else 16.0


@functools.lru_cache(maxsize=1 << 16)
def _kind(character: str) -> str:
    """Lower, upper or other letters, digits, white space, signs."""
    category = unicodedata.category(character)
    if category in ("Ll", "Lu"):
        return {"Ll": "lower", "Lu": "upper"}[category]
    return {"L": "letter", "M": "accent", "N": "digit", "Z": "space"}.get(category[0], "sign")


@functools.lru_cache(maxsize=1 << 16)
def _script(character: str) -> str:
    name = unicodedata.name(character, "").partition(" ")[0]
    return "LATIN" if name in ("FEMININE", "MASCULINE", "MICRO") else name


def _mixed_bits(before: str, after: str) -> float:
    scripts = {_script(before), _script(after)}
    if len(scripts) == 1 or scripts <= EAST_ASIAN:
        return 0.0
    return 3.0 if scripts & EAST_ASIAN else 10.0


@functools.lru_cache(maxsize=1 << 16)
def _beside_bits(before: str, after: str) -> float:
    """How much it says against a reading that `after` stands behind `before`; below zero, for it."""
    first, second = _kind(before), _kind(after)
    bits = 0.0
    if first in LETTERS and second in LETTERS:
        bits += 8.0 * ((first, second) == ("lower", "upper")) - 1.5 * (first == second == "upper")
        bits += _mixed_bits(before, after)
    is_latin = after < "\u0370" and first in LETTERS  # its accents are signs of their own in cp1258 alone
    if second == "accent" and first not in ("letter", "accent") and not is_latin:
        bits += 8.0
    if first in LETTERS and before > "\x7f" and second == "digit":
        bits += 2.0
    return bits + _sign_bits(before, after, first, second)


def _sign_bits(before: str, after: str, first: str, second: str) -> float:
    """The same of signs beyond ASCII: quotation marks open before words, currency signs stand at numbers."""
    is_space = first == "space" or before in "\n\t\r"
    if after in OPENING and first in WORDS:
        return 5.0
    if before in CLOSING and second in WORDS:
        return 5.0
    if (before in OPENING_ALONE and second == "space") or (after in CLOSING_ALONE and is_space):
        return 4.0
    if APOSTROPHE in (before, after) and first in (*LETTERS, "sign") and second in (*LETTERS, "sign"):
        return -1.5
    if (after in DASHES and is_space) or (before in DASHES and second == "space"):
        return -1.5
    if (before in "£€¥$" and second == "digit") or (after in "€°²³" and first == "digit"):
        return -3.0
    if second == "sign" and after > "\x7f" and after not in SENTENCE_SIGNS and first in LETTERS:
        return 5.0
    return 5.0 if first == "sign" and before > "\x7f" and before not in SENTENCE_SIGNS and second in LETTERS else 0.0
