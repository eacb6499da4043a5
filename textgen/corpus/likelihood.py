"""How likely some bytes are as a text in each encoding: in bits, of which the right reading needs the fewest.

A reading is measured as a language model of the simplest kind would measure it: every character costs the bits of its
frequency in the language, and more where it stands beside what it does not stand beside, as a capital after a small
letter, a currency sign in a word, an opening quotation mark behind one. The same bytes are told by every reading, so
bits can be compared. Each encoding has the language in which its reading is cheapest.
"""

import collections
import functools
import re
import unicodedata
from typing import NamedTuple

from textgen.corpus.alphabets import (
    AFTER_NUMBERS,
    ALONE_LETTERS,
    APOSTROPHE,
    BEFORE_NUMBERS,
    BULLETS,
    CJK_SIGNS,
    CLOSING,
    CLOSING_ALONE,
    DASHES,
    EAST_ASIAN,
    ENCODINGS,
    LANGUAGES,
    LAST_LETTERS,
    OPENING,
    OPENING_ALONE,
    SENTENCE_SIGNS,
    TRADE_MARKS,
    USUAL_SIGNS,
    Language,
)
from textgen.corpus.counting import EAST_ASIAN_LANGUAGES, Bytes, Counts, counted, counts_of
from textgen.corpus.misfits import ERRORS, MARK, MARK_ON

LETTERS = ("lower", "upper", "letter")
WORDS = (*LETTERS, "digit")
DIGITS = frozenset("0123456789")

ASCII_BITS = 4.5
CONTROL_BITS = 14.0
C1_BITS = 20.0
FOREIGN_BITS = 15.0  # a letter that the language does not have
UNLIKELY_BITS = 18.0  # what is no letter and not usual
INVALID_BITS = 25.0
HOPELESS_BITS = 200.0  # more than another reading takes in all, for bytes that do not fit
WORD_BITS, MOST_WORD_BITS = 2.5, 40.0  # what a word of the language is worth, and all of them
ALONE_BITS, BULLET_BITS = 6.0, -4.0  # of a letter that is no word, and of a sign that stands so
LAST_BITS = 3.0  # of a letter in which no word of the language ends
CAPITALS_BITS = -1.5  # of a word in capitals, whose first one costs as much as one of a name
RUN_BITS, MOST_RUN = 8.0, 10  # of a letter that stands a fourth time, and of as many others
FEW_BYTES, MOST_OF_FEW, MOSTLY = 6, 4, 0.9  # of so few bytes in a text of ASCII, so many of each say something
BOX_BITS, LINE_BITS, CORNER_BITS = 14.0, -10.0, -3.0  # of what boxes are drawn with, beside the same, beside others
HALF_WIDTH_BITS, VOICED_BITS, UNVOICED_BITS = 7.0, -3.0, 8.0  # of katakana, and of their marks where they can stand
ALSO_EAST_ASIAN, ALSO_BITS = ("Russian", "Greek"), 3.0  # what the encodings of East Asia hold too
AMID_BITS, MOST_AMID_BITS = 1.0, 16.0  # what a Latin word says against a language of other letters, and all of them

VOICING, VOICED = "ﾞﾟ", "ｳｶｷｸｹｺｻｼｽｾｿﾀﾁﾂﾃﾄﾊﾋﾌﾍﾎ"
WORD = re.compile(rb"(?<![A-Za-z\x80-\xff])[A-Za-z]+(?![A-Za-z\x80-\xff])")
HIGH_BYTES, NOT_ASCII = frozenset(range(0x80, 0x100)), re.compile(rb"[\x80-\xff]+")
LAST = re.compile(r"(?<=[A-Za-z])[^\x00-\x7f](?![^\W_])")


class Readings(NamedTuple):
    """The readings of a sample, the likeliest first: each an encoding with its bits, and the text in it."""

    bits: dict[str, float]
    texts: dict[str, str]


def readings_of(sample: bytes, encodings: tuple[str, ...] = tuple(ENCODINGS)) -> Readings:
    """What `sample` says in each of `encodings`, the likeliest first.

    A reading that so many bytes do not fit that it is worse than another one for these alone is measured by them.
    """
    facts = _facts_of(sample)
    counted_bytes = Bytes(sample, facts.most)
    texts = {encoding: sample.decode(encoding, ERRORS) for encoding in encodings}
    misfits = {e: INVALID_BITS * min(text.count(MARK), facts.most) for e, text in texts.items()}
    bits = dict(misfits)
    least = float("inf")
    for encoding in sorted(encodings, key=misfits.__getitem__):
        if misfits[encoding] < least + HOPELESS_BITS:
            bits[encoding] = _bits_of(counted_bytes.counts(encoding, texts[encoding]), encoding, texts[encoding], facts)
            least = min(least, bits[encoding])
    order = sorted(bits, key=bits.__getitem__)
    return Readings({e: bits[e] for e in order}, {e: texts[e] for e in order})


def bits_of_sample(text: str, encoding: str, sample: bytes) -> float:
    """Bits of `text`, as `sample` was read in some way, in the language of `encoding` that it is cheapest in."""
    facts = _facts_of(sample)
    return _bits_of(counts_of(text, facts.most), encoding, text, facts)


class _Facts(NamedTuple):
    """What a sample says in every encoding."""

    num_words: int  # in ASCII
    num_known: dict[str, int]  # of them, by language
    most: int  # times that the same character counts


@functools.lru_cache(maxsize=1)
def _facts_of(sample: bytes) -> _Facts:
    words = collections.Counter(word.lower().decode() for word in WORD.findall(sample))
    num_known = {name: sum(words[word] for word in language.words) for name, language in LANGUAGES.items()}
    # A text of few bytes beyond ASCII says the same again and again.
    is_rare = len(NOT_ASCII.sub(b"", sample)) > MOSTLY * len(sample)
    most = MOST_OF_FEW if is_rare and len(set(sample) & HIGH_BYTES) <= FEW_BYTES else len(sample)
    return _Facts(words.total(), num_known, most)


def _bits_of(counts: Counts, encoding: str, text: str, facts: _Facts) -> float:
    """Bits of `text`, read in `encoding`, in the language that it is cheapest in."""
    languages, prior = ENCODINGS[encoding]
    num_words, num_known, most = facts
    most_known = max(num_known.values())
    high = [(c, n) for c, n in counts.characters.items() if c >= "\x7f" or c < " "]
    shared = ASCII_BITS * (sum(counts.characters.values()) - sum(n for _, n in high))
    shared += sum(_beside_bits(before, after) * n for (before, after), n in counts.pairs.items())
    runs = ((run, n) for run, n in counts.runs.items() if _kind(run[0]) in LETTERS)
    shared += RUN_BITS * sum(n * min(MOST_RUN, len(run) - 3) for run, n in runs)
    shared += CAPITALS_BITS * sum(counts.capitals.values())
    last = counted(LAST.findall(text), most) if not LAST_LETTERS.keys().isdisjoint(languages) else {}

    def bits_in(name: str) -> float:
        language = LANGUAGES[name]
        letters = sum(_bits(name, c) * n for c, n in high)
        letters += sum(_alone_bits(name, c) * n for c, n in counts.alone.items())
        if (usual := LAST_LETTERS.get(name)) is not None:
            letters += LAST_BITS * sum(n for c, n in last.items() if _kind(c) in LETTERS and c not in usual)
        amid_others = min(MOST_AMID_BITS, AMID_BITS * num_words) if language.script != "LATIN" else 0.0
        share = num_known[name] / max(1, most_known)  # a language that has but some of the words in common is another
        return letters + amid_others - share * min(MOST_WORD_BITS, WORD_BITS * most_known)

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
    if language_name in EAST_ASIAN_LANGUAGES:
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
    if _is_box(character):
        return BOX_BITS
    category = unicodedata.category(character)
    if category in ("Cn", "Co", "Cs"):
        return INVALID_BITS
    is_own = category[0] in "LM" and unicodedata.name(character, "").startswith(language.script)
    if not is_own:
        return UNLIKELY_BITS
    return FOREIGN_BITS if language.script == "LATIN" else UNLIKELY_BITS


@functools.lru_cache(maxsize=1 << 16)
def _alone_bits(language_name: str, character: str) -> float:
    """What it says against a reading that a character beyond ASCII stands alone; below zero, for it."""
    if character in BULLETS:
        return BULLET_BITS
    is_word = character.lower() in ALONE_LETTERS.get(language_name, "") or language_name in EAST_ASIAN_LANGUAGES
    return 0.0 if is_word or _kind(character) not in LETTERS else ALONE_BITS


def _east_asian_bits(language: Language, character: str) -> float:
    if character in CJK_SIGNS:
        return 5.0 + 4.0 * CJK_SIGNS.index(character) / len(CJK_SIGNS)
    place = language.letters.find(character)
    if place >= 0:
        return 6.0 + 4.0 * place / len(language.letters)
    if language.script == "HIRAGANA" and "\u3041" <= character <= "\u30fe":
        return 5.0 if character < "\u30a0" else 7.0
    if language.script == "HIRAGANA" and "\uff61" <= character <= "\uff9f":
        return HALF_WIDTH_BITS
    for name in ALSO_EAST_ASIAN:
        if character.lower() in LANGUAGES[name].letters:
            return _bits(name, character) + ALSO_BITS
    if not unicodedata.name(character, "").startswith((language.script, "CJK UNIFIED")):
        return UNLIKELY_BITS + 2 * (unicodedata.category(character) in ("Cn", "Co", "Cs"))
    codec, last_usual = language.level
    try:
        first = character.encode(codec)[0]
    except UnicodeEncodeError:
        return 20.0
    return (11.0 if language.script == "HANGUL" else 12.0) if 0xA4 <= first <= last_usual else 16.0


def _is_box(character: str) -> bool:
    """Whether it is one of those that boxes, lines and bars are drawn with."""
    return "\u2500" <= character <= "\u259f"


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
        bits += 8.0 * ((first, second) == ("lower", "upper")) - 2.5 * (first == second == "upper")
        bits += _mixed_bits(before, after)
    is_latin = after < "\u0370" and first in LETTERS  # its accents are signs of their own in cp1258 alone
    if after in VOICING:
        bits += VOICED_BITS if before in VOICED else UNVOICED_BITS
    if second == "accent" and first not in ("letter", "accent") and not is_latin:
        bits += 8.0
    is_amid_digits = max(before, after) > "\x7f" and (before in DIGITS or after in DIGITS)
    if is_amid_digits and not {before, after} & set("ªº") and not {_script(before), _script(after)} & EAST_ASIAN:
        is_letter = first in LETTERS or second in LETTERS
        bits += (6.0 if max(before, after) < "\u0250" else 2.0) if is_letter else 0.0
    if _is_box(before) or _is_box(after):
        bits += LINE_BITS if before == after else CORNER_BITS if {before, after} & {"\n", " "} else 0.0
    if "\xa0" in (before, after) and first == second == "space":
        bits += 3.0
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
    if after in "ªº" and first == "digit":
        return -7.0
    if (before in BEFORE_NUMBERS and second == "digit") or (after in AFTER_NUMBERS and first == "digit"):
        return -3.0
    if after in "§¶" and first == "digit":
        return 4.0
    if after in TRADE_MARKS and first in LETTERS and (before <= "\x7f" or first != "upper"):  # Ã© is é of UTF-8
        return -1.5
    if second == "sign" and after > "\x7f" and after not in SENTENCE_SIGNS and first in LETTERS:
        return 5.0
    is_unit = after in "CF" and before == "°"
    is_sign = first == "sign" and before > "\x7f" and before not in SENTENCE_SIGNS
    return 5.0 if is_sign and second in LETTERS and not is_unit else 0.0
