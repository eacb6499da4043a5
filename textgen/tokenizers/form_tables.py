"""What `unknown.py` does to the symbols of a prompt, as tables, for programs that know nothing of Unicode: exports.

A symbol's form depends on the symbol alone, and what an accent joins on the symbol before it.
"""

import functools
import itertools
import unicodedata

from textgen.tokenizers.base import SURROGATES
from textgen.tokenizers.look_alikes import LOOK_ALIKES
from textgen.tokenizers.normalizing import IGNORABLE, fold_symbol
from textgen.tokenizers.text_blocks import CODE_POINTS
from textgen.tokenizers.unknown import HALF_WIDTH, HALF_WIDTH_MARKS, joined, nearest_known

HANGUL_SYLLABLES = range(0xAC00, 0xD7A4)  # decomposed by a formula that unicodedata.decomposition leaves out


def known_forms(symbols: str) -> dict[str, str]:
    """What stands for each symbol under the policy `replace`, sorted; symbols without a form are left out."""
    known = set(symbols)
    readable = sorted(known.union(symbols_with_forms()))
    return {symbol: form for symbol in readable if (form := nearest_known(symbol, known))}


def joining_pairs(symbols: str) -> dict[int, int]:
    """What a letter and an accent that are not both of `symbols` are together; keys are first * CODE_POINTS + second.

    Korean syllables are left out where none is known: their parts are then read one by one with the same result.
    """
    known = set(symbols)
    has_no_syllable = known.isdisjoint(map(chr, HANGUL_SYLLABLES))
    return {
        ord(first) * CODE_POINTS + ord(second): ord(one)
        for first, second, one in letters_and_accents()
        if not (first in known and second in known) and not (has_no_syllable and ord(one) in HANGUL_SYLLABLES)
    }


@functools.cache
def letters_and_accents() -> tuple[tuple[str, str, str], ...]:
    """Every letter and accent for which `joined` finds one symbol, and that."""
    composed = [chr(code) for code in range(CODE_POINTS) if unicodedata.decomposition(chr(code))[:1] not in ("", "<")]
    found = []
    for one in (*composed, *map(chr, HANGUL_SYLLABLES)):
        parts = unicodedata.normalize("NFD", one)
        for place in range(1, len(parts)):
            first = unicodedata.normalize("NFC", parts[:place] + parts[place + 1 :])
            if len(first) == 1 and joined(first, parts[place]) == one:
                found.append((first, parts[place], one))
    half_width = itertools.product(map(chr, HALF_WIDTH), HALF_WIDTH_MARKS)
    found += [(first, mark, one) for first, mark in half_width if (one := joined(first, mark))]
    return tuple(found)


@functools.cache
def symbols_with_forms() -> tuple[str, ...]:
    """Every symbol for which `nearest_known` may find something else: with a case, a decomposition, a plain form."""
    found = set(LOOK_ALIKES)
    for code_point in range(CODE_POINTS):
        symbol = chr(code_point)
        if symbol.lower() != symbol or symbol.upper() != symbol or unicodedata.decomposition(symbol):
            found.add(symbol)
    return tuple(found.difference(map(chr, SURROGATES)).union(map(chr, HANGUL_SYLLABLES)))


def folded_symbols() -> dict[str, str]:
    """Every symbol that `fold_symbol` changes, and what it becomes."""
    may_change = {chr(code) for first, last in IGNORABLE for code in range(first, last + 1)}
    for symbol in (chr(code) for code in range(CODE_POINTS) if code not in SURROGATES):
        if symbol.casefold() != symbol or unicodedata.decomposition(symbol):
            may_change.add(symbol)
    return {symbol: folded for symbol in sorted(may_change) if (folded := fold_symbol(symbol)) != symbol}
