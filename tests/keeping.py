"""What the rules of drawing promise, read off a text."""

import re

from textgen.generation.banning import is_capital
from textgen.store.copy_index import CopyIndex, write_copy_index


def found(banned: str, text: str) -> list[int]:
    """Where `banned` ends in `text`, as a regular expression finds it."""
    flags = 0 if any(map(is_capital, banned)) else re.IGNORECASE
    pattern = re.escape(banned)
    if len(banned) > 2 and (banned[0], banned[-1]) == ("[", "]"):
        inside = banned[1:-1]
        negated, inside = (True, inside[1:]) if len(inside) > 1 and inside[0] == "^" else (False, inside)
        last, members = len(inside) - 1, set()
        for place, symbol in enumerate(inside):
            ends = sorted(inside[place - 1 : place + 2 : 2]) if symbol == "-" and 0 < place < last else [symbol, symbol]
            members |= {chr(point) for point in range(ord(ends[0]), ord(ends[1]) + 1)}
        text = text if flags == 0 or negated else "".join(c.lower() if len(c.lower()) == 1 else c for c in text)
        return [place + 1 for place, symbol in enumerate(text) if (symbol in members) != negated]
    text = text if flags == 0 else "".join(c.lower() if len(c.lower()) == 1 else c for c in text)
    return [match.start() + len(banned) for match in re.finditer(f"(?={pattern})", text)]


def index_of(path, text: str) -> CopyIndex:
    write_copy_index(path, [text], "\n")
    return CopyIndex.read(path)


def too_long(prompt: str, completion: str, text: str, most: int) -> list[str]:
    """The runs of `most` + 1 characters that end in `completion` and stand in `text`."""
    whole = prompt + completion
    ends = range(max(len(prompt), most) + 1, len(whole) + 1)
    return [run for end in ends if (run := whole[end - most - 1 : end]) in text]
