"""What a model of a corpus is called."""

import re
import unicodedata

LONGEST_NAME = 100  # a model's folder, with room for the prefix and suffix of a temporary one in 255 bytes


def model_name(text: str) -> str:
    """`text` as a folder name of [A-Za-z0-9._-], not starting with '.' or '-'; "corpus" if empty.

    Accents are taken off (`Élan` -> `Elan`); every other run of foreign characters becomes one '-'.
    """
    letters = (c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", "".join(letters))
    return name.lstrip(".-")[:LONGEST_NAME].rstrip(".-") or "corpus"
