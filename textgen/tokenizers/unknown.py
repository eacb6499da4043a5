"""What happens to the symbols of a prompt that a model has never seen.

First of all, an accent that stands apart joins its letter where the model does not know both: keyboards and file
systems write `é` in one symbol or in two, and the parts of Korean syllables likewise. That is the same text to Unicode,
and so it is done under every policy. A mark of half-width katakana joins its letter likewise, in one of full width.

`replace` (the default) then takes the nearest known form of each code point: its normal form, composed or decomposed;
the other case; what looks alike (look_alikes.py); its Unicode compatibility decomposition, of which unknown parts (such
as accents) are dropped. A symbol with none of these is skipped.

What joins depends on two neighbours, and the form on the code point alone. So an export carries both rules as tables.

A symbol is known when it is a character of the vocabulary: a word model spells what is no word, so it knows the same
symbols as a character model of the same text.
"""

import functools
import re
import unicodedata
from collections.abc import Collection, Mapping
from typing import NamedTuple

from textgen.errors import TokenizerError
from textgen.tokenizers.base import Tokenizer
from textgen.tokenizers.look_alikes import LOOK_ALIKES
from textgen.tokenizers.normalizing import normalize_text

POLICIES = ("replace", "skip", "error")

HALF_WIDTH, HALF_WIDTH_MARKS = range(0xFF66, 0xFF9E), "\uff9e\uff9f"
JAMO = range(0x1161, 0x1200)  # the parts of a Korean syllable that follow its first one


class ReadablePrompt(NamedTuple):
    """A prompt in symbols that the model knows, and what was replaced."""

    text: str
    replaced: dict[str, str]  # unknown symbol, or letter with unknown accents -> what stands for it; "" when skipped


def joined(first: str, second: str) -> str:
    """The one symbol that a letter and the accent behind it are; "" where they are none.

    Both are in the form that accents join: neither has a canonical form of another length. A half-width katakana and
    its mark are one symbol of full width, though not canonically.
    """
    if second in HALF_WIDTH_MARKS:
        form = unicodedata.normalize("NFKC", first + second)
        return form if len(form) == 1 and ord(first) in HALF_WIDTH else ""
    form = unicodedata.normalize("NFC", first + second)
    is_one = len(form) == 1 and unicodedata.normalize("NFC", first) == first
    return form if is_one and unicodedata.normalize("NFD", second) == second else ""


def join_accents(text: str, known: Collection[str]) -> tuple[str, dict[str, str]]:
    """`text` in which each accent has joined the letter before it unless both are `known`, and what became of what.

    NOTE: what they are together need not be known either; `nearest_known` then finds its nearest form.
    """
    accents = "".join(symbol for symbol in sorted(set(text)) if _can_join(symbol))
    if not accents:
        return text, {}
    forms: dict[str, str] = {}

    def form_of(match: re.Match[str]) -> str:
        cluster = match[0]
        if cluster not in forms:
            symbols: list[str] = []
            for symbol in cluster:
                is_apart = symbols and not (symbols[-1] in known and symbol in known)
                one = joined(symbols[-1], symbol) if is_apart else ""
                symbols[-1:] = [one] if one else [*symbols[-1:], symbol]
            forms[cluster] = "".join(symbols)
        return forms[cluster]

    text = re.sub(f"[^{accents}]?[{accents}]+", form_of, text)
    return text, {one: form for one, form in forms.items() if one != form and all(symbol in known for symbol in form)}


@functools.cache
def _can_join(symbol: str) -> bool:
    return unicodedata.category(symbol)[0] == "M" or ord(symbol) in JAMO or symbol in HALF_WIDTH_MARKS


def same_known(symbol: str, known: Collection[str]) -> str:
    """Known symbols that are canonically the unknown one, "" where there are none."""
    composed, parts = unicodedata.normalize("NFC", symbol), unicodedata.normalize("NFD", symbol)
    forms = [composed, parts]
    for place in range(1, len(parts)):  # Vietnamese keyboards type some accents with the letter and the others apart
        mixed = unicodedata.normalize("NFC", parts[:place] + parts[place + 1 :]) + parts[place]
        if unicodedata.normalize("NFC", mixed) == composed:
            forms.append(mixed)
    return next((form for form in forms if all(s in known for s in form)), "")


def nearest_known(symbol: str, known: Collection[str]) -> str:
    """The known form of one unknown code point, "" when there is none."""
    if symbol in known:
        return symbol
    # casefold before upper: ß is ss and ﬁ is fi where small letters are known, SS and FI where they are not.
    cases = (symbol.lower(), symbol.casefold(), symbol.upper())
    for form in (same_known(symbol, known), *cases, *LOOK_ALIKES.get(symbol, ())):
        if form and all(s in known for s in form):
            return form
    decomposed = unicodedata.normalize("NFKD", symbol)
    return "".join(nearest_known(part, known) for part in decomposed) if decomposed != symbol else ""


def make_readable(text: str, tokenizer: Tokenizer, policy: str = "replace") -> ReadablePrompt:
    """`text` in the form of the model, with every unknown symbol treated by `policy`.

    Raises:
        TokenizerError: under the policy "error", naming the symbols; or for a policy that is none of POLICIES.
    """
    if policy not in POLICIES:
        raise TokenizerError(f"--on-unknown must be one of {', '.join(POLICIES)}. Received: {policy!r}")
    text = normalize_text(text, tokenizer.normalize)
    if not tokenizer.unknown_symbols(text):
        return ReadablePrompt(text, {})
    known = set(tokenizer.symbols)
    text, replaced = join_accents(text, known)
    unknown = tokenizer.unknown_symbols(text)
    forms = {s: same_known(s, known) or (nearest_known(s, known) if policy == "replace" else "") for s in unknown}
    if policy == "error" and (lost := [s for s in unknown if not forms[s]]):
        shown = " ".join(repr(s) for s in lost[:10])
        raise TokenizerError(f"the model has never seen {shown}. Change the prompt, or use --on-unknown replace")
    return ReadablePrompt(read_as(text, forms), replaced | forms)


def read_as(text: str, forms: Mapping[str, str]) -> str:
    """`text` with the form of each symbol in its place."""
    return text.translate({ord(symbol): form for symbol, form in forms.items()}) if forms else text


def trim_prompt(text: str, tokenizer: Tokenizer) -> str:
    """`text` without a space at its end where the model's next word brings its own; of several, one is dropped."""
    return text[:-1] if tokenizer.level == "word" and text.endswith(" ") else text


def describe_replacements(replaced: Mapping[str, str], most: int = 10) -> str:
    """One line for people: `the model has never seen 'é' (read as 'e'), '☃' (skipped)`.

    Letters in another normal form are said apart, since the two forms look alike.
    """
    same = [form for cluster, form in replaced.items() if form and _is_same(cluster, form)]
    others = {symbol: form for symbol, form in replaced.items() if not (form and _is_same(symbol, form))}
    shown = [f"{s!r} ({f'read as {form!r}' if form else 'skipped'})" for s, form in others.items()]
    said = [f"the model has never seen {_listed(shown, most)}"] if shown else []
    if same:
        listed = _listed([repr(form) for form in same], most)
        said.append(f"letters and accents are read in the normal form that the model knows: {listed}")
    return "; ".join(said)


def _is_same(one: str, other: str) -> bool:
    return unicodedata.normalize("NFC", one) == unicodedata.normalize("NFC", other)


def _listed(shown: list[str], most: int) -> str:
    return ", ".join(shown[:most]) + (f" and {len(shown) - most} more" if len(shown) > most else "")
