"""The text of the lesson, as ids of characters; without TensorFlow, so that a bad one is refused at once."""

from collections import Counter
from collections.abc import Iterable

import numpy as np

from textgen.errors import CorpusError

MOST_CHARACTERS = 2_000_000
MOST_SYMBOLS = 256  # rarer ones are one symbol
OTHERS = "\ufffd"
HELD_SHARE = 0.1


class Text:
    """A text of characters as ids: the first part is for training, the last tenth for tests."""

    def __init__(self, blocks: Iterable[str], name: str, fewest: int = 10_000):
        """Reads up to MOST_CHARACTERS. Raises CorpusError where it has less than `fewest`."""
        held, length = [], 0
        for block in blocks:
            held.append(block)
            length += len(block)
            if length >= MOST_CHARACTERS:
                break
        text = "".join(held)[:MOST_CHARACTERS]
        if len(text) < fewest:
            raise CorpusError(
                f"the text has {len(text):,} characters, and the lesson needs {fewest:,}. Name a longer one"
            )
        self.name = name
        common = sorted(symbol for symbol, _ in Counter(text).most_common(MOST_SYMBOLS))
        self.symbols = [*common, OTHERS] if len(set(text)) > len(common) else common
        places = {symbol: index for index, symbol in enumerate(common)}
        self.ids = np.fromiter((places.get(symbol, len(common)) for symbol in text), np.int32, len(text))
        cut = len(text) - round(HELD_SHARE * len(text))
        self.training, self.tests = self.ids[:cut], self.ids[cut:]

    def decode(self, token_ids: np.ndarray) -> str:
        """The text of ids."""
        return "".join(self.symbols[index] for index in token_ids.tolist())
