"""Names: what a model is called, how a path is shown in one line, what a typing error meant."""

import difflib
import re
import unicodedata
from collections.abc import Iterable

LONGEST_NAME = 100  # a model's folder, with room for the prefix and suffix of a temporary one in 255 bytes
LONGEST_SHOWN = 300


def model_name(text: str) -> str:
    """`text` as a folder name of [A-Za-z0-9._-], not starting with '.' or '-'; "corpus" if empty.

    Accents are taken off (`Élan` -> `Elan`); every other run of foreign characters becomes one '-'.
    """
    letters = (c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", "".join(letters))
    return name.lstrip(".-")[:LONGEST_NAME].rstrip(".-") or "corpus"


def shown(text: object) -> str:
    """`text` fit for a one-line message: control characters escaped, very long text cut."""
    line = str(text)
    line = line if line.isprintable() else ascii(line)
    return line if len(line) <= LONGEST_SHOWN else line[: LONGEST_SHOWN - 1] + "…"


def nearest(name: str, candidates: Iterable[str]) -> str:
    """A sentence such as `Did you mean novel.txt?`, or nothing when no candidate is near."""
    matches = difflib.get_close_matches(name, list(candidates), n=2)
    return f"Did you mean {' or '.join(map(shown, matches))}?" if matches else ""
