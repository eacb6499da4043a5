"""What a model of a corpus is called."""

import re
import unicodedata

from textgen.store.names import LONGEST_NAME, MOST_BYTES, is_letter, is_mark

OTHER = "\0"


def model_name(text: str) -> str:
    """The name of a model whose corpus is called `text`, as `is_name` allows it; "corpus" where nothing is left.

    Letters and digits of every script stay as they are, apart from Latin ones, whose accents are taken off (`Élan` ->
    `Elan`). What is invisible is left out. Every other run of characters that no name has becomes one '-'.
    """
    kept: list[str] = []
    for symbol in unicodedata.normalize("NFKC", text):
        plain = unicodedata.normalize("NFD", symbol)[0]
        if plain.isascii() and (plain.isalnum() or plain in "._-"):
            kept.append(plain)
        elif is_letter(symbol):
            kept.append(symbol)
        elif unicodedata.category(symbol)[0] == "M":
            if is_mark(symbol) and kept and not kept[-1].isascii():
                kept.append(symbol)
        elif unicodedata.category(symbol) != "Cf":
            kept.append(OTHER)
    name = unicodedata.normalize("NFC", re.sub(f"{OTHER}+", "-", "".join(kept))).lstrip(".-")
    name = name[:LONGEST_NAME].encode()[:MOST_BYTES].decode(errors="ignore")
    return name.rstrip(".-") or "corpus"
