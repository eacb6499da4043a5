"""What happens to the symbols of a prompt that a model has never seen.

`replace` (the default) takes the nearest known form of each code point: the other case; a plain form of typographic
punctuation; its Unicode compatibility decomposition, of which unknown parts (such as accents) are dropped. A symbol
with none of these is skipped. The form depends on the code point alone, so an export carries the rule as a table.

A symbol is known when it is a character of the vocabulary: a word model spells what is no word, so it knows the same
symbols as a character model of the same text.
"""

import unicodedata
from collections.abc import Collection
from typing import NamedTuple

from textgen.errors import TokenizerError
from textgen.tokenizers.base import Tokenizer
from textgen.tokenizers.normalizing import normalize_text

POLICIES = ("replace", "skip", "error")

# Unicode has no decomposition to ASCII for these, and every word processor writes them. (½ is 1, U+2044, 2.)
PLAIN_PUNCTUATION = {
    **dict.fromkeys("\u2018\u2019\u201a\u201b\u2032", "'"),
    **dict.fromkeys("\u201c\u201d\u201e\u201f\u00ab\u00bb\u2033", '"'),
    **dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212", "-"),
    **dict.fromkeys("\t\r\u2028\u2029", " "),
    "\u2044": "/",
}


class ReadablePrompt(NamedTuple):
    """A prompt in symbols that the model knows, and what was replaced."""

    text: str
    replaced: dict[str, str]  # unknown symbol -> what stands for it; "" when skipped


def nearest_known(symbol: str, known: Collection[str]) -> str:
    """The known form of one unknown code point, "" when there is none."""
    if symbol in known:
        return symbol
    # casefold before upper: ß is ss and ﬁ is fi where small letters are known, SS and FI where they are not.
    cases = (symbol.lower(), symbol.casefold(), symbol.upper())
    swapped = [form for form in cases if form and all(s in known for s in form)]
    if swapped:
        return swapped[0]
    plain = PLAIN_PUNCTUATION.get(symbol, "")
    if plain and plain in known:
        return plain
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
    unknown = tokenizer.unknown_symbols(text)
    if not unknown:
        return ReadablePrompt(text, {})
    if policy == "error":
        shown = " ".join(repr(s) for s in unknown[:10])
        raise TokenizerError(f"the model has never seen {shown}. Change the prompt, or use --on-unknown replace")
    known = set(tokenizer.symbols)
    replaced = {s: nearest_known(s, known) if policy == "replace" else "" for s in unknown}
    return ReadablePrompt(text.translate({ord(s): form for s, form in replaced.items()}), replaced)


def trim_prompt(text: str, tokenizer: Tokenizer) -> str:
    """`text` without a space at its end where the model's next word brings its own; of several, one is dropped."""
    return text[:-1] if tokenizer.level == "word" and text.endswith(" ") else text


def describe_replacements(replaced: dict[str, str], most: int = 10) -> str:
    """One line for people: `the model has never seen 'é' (read as 'e'), '☃' (skipped)`."""
    shown = [f"{s!r} ({f'read as {form!r}' if form else 'skipped'})" for s, form in replaced.items()]
    more = f" and {len(shown) - most} more" if len(shown) > most else ""
    return f"the model has never seen {', '.join(shown[:most])}{more}"
