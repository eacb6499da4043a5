"""How one turn goes on, where somebody said it for this turn: for so many words, up to a text, behind a whole piece.

A word is a run of symbols without a space that holds a letter or a number; in writing without spaces it is one
character.
"""

import dataclasses
import re
from collections.abc import Iterable, Iterator

from textgen.config import SamplingConfig
from textgen.tokenizers.word_classes import UNSPACED
from textgen.tokenizers.word_pieces import MAX_PIECE

MAX_WORDS = 100_000
MAX_MARK = 1000  # characters of a text to go on to
LONGEST_TO = {"char": 2000, "word": 400}  # units that are written before a text is given up

_UNSPACED = "".join(f"{chr(first)}-{chr(last)}" for first, last in UNSPACED)
UNSPACED_SYMBOL = re.compile(f"[{_UNSPACED}]")
WORD = re.compile(rf"(?=\w)[{_UNSPACED}]|(?![{_UNSPACED}])\w[^\s{_UNSPACED}]*+")


def count_words(text: str) -> int:
    """The number of words of `text`."""
    return sum(1 for _ in WORD.finditer(text))


@dataclasses.dataclass(frozen=True)
class Reach:
    """How a turn goes on. With nothing of this: as the settings say."""

    words: int = 0  # so many
    to: str = ""  # up to this text, and with it
    after_piece: bool = False  # behind a piece that was chosen, which stays as it was offered

    @property
    def cuts(self) -> bool:
        """Whether it ends a text where the settings do not."""
        return bool(self.words or self.to)

    def settings(self, config: SamplingConfig, level: str) -> SamplingConfig:
        """`config` with a length that is enough. A model that never ends a word is stopped all the same."""
        if not self.cuts:
            return config
        length = self.words * MAX_PIECE if self.words else max(config.length, LONGEST_TO[level])
        least = min(config.min_length, length)
        return config.replace(length=length, min_length=least, endless=False, ignore_eod=config.passes_ends)

    def limit(self, pieces: Iterable[str]) -> Iterator[str]:
        """`pieces` up to where the turn ends."""
        if not self.cuts:
            yield from pieces
            return
        ends = _WordEnds(self.words) if self.words else _TextEnd(self.to)
        for piece in pieces:
            end = ends.find(piece)
            if shown := piece[:end]:
                yield shown
            if end is not None:
                return

    def is_missed_by(self, written: str) -> bool:
        """Whether the text to go on to is not there."""
        return bool(self.to) and not written.endswith(self.to)


AS_SET = Reach()


class _WordEnds:
    """Where in the next piece the last word is over: at the white space behind it, or where another begins."""

    def __init__(self, words: int):
        self._words_left, self._is_in_word = words, False

    def find(self, piece: str) -> int | None:
        for place, symbol in enumerate(piece):
            if symbol.isspace():
                begins = self._is_in_word = False
            elif UNSPACED_SYMBOL.match(symbol):
                begins, self._is_in_word = bool(WORD.match(symbol)), False
            else:
                begins = not self._is_in_word and bool(WORD.match(symbol))
                self._is_in_word |= begins
            if not self._words_left and (begins or symbol.isspace()):
                return place
            self._words_left -= begins
        return None


class _TextEnd:
    """Where in the next piece the text ends that is looked for."""

    def __init__(self, text: str):
        self._text, self._tail = text, ""

    def find(self, piece: str) -> int | None:
        known = self._tail + piece
        if (start := known.find(self._text)) >= 0:
            return start + len(self._text) - len(self._tail)
        self._tail = known[len(known) - min(len(self._text) - 1, len(known)) :]
        return None
