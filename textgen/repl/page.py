"""The story on a screen: as it comes, symbol by symbol, and with its lines broken between words.

A word that reaches the edge is taken back and written again on the next line. The last column stays free, since
terminals differ in where the cursor is once it is filled.
"""

import functools
from collections.abc import Callable

from textgen.messages import visible
from textgen.repl.layout import width_of

TAB = 8
EMOJI = "\ufe0f"  # makes a picture of a narrow symbol, which then takes two columns
BACK, CLEAR = "\x1b[{}D", "\x1b[K"


class Page:
    """Says what to send to a terminal so that text appears in whole words."""

    def __init__(self, columns: Callable[[], int]):
        """Args: columns: how wide the screen is now."""
        self._columns = columns
        self._column = 0
        self._word = ""  # what stands on the line of the word that is being written
        self._last = ""

    def place(self, piece: str) -> str:
        """What shows `piece` behind what was shown before, harmless."""
        text, self._last = visible(piece, self._last), piece[-1:] or self._last
        return "".join(map(self._place, text))

    def _place(self, symbol: str) -> str:
        if symbol == "\n":
            self._column, self._word = 0, ""
            return symbol
        most = self._columns() - 1
        word = self._word
        if symbol == EMOJI:
            width = _width(word[-1:] + symbol) - _width(word[-1:])
        else:
            width = TAB - self._column % TAB if symbol == "\t" else _width(symbol)
        is_over = self._column + width > most
        if symbol.isspace():
            self._column, self._word = (0 if is_over else self._column + width), ""
            return "\n" if is_over else symbol
        moved = ""
        if is_over:
            behind = width_of(word)
            if symbol == EMOJI and not behind < self._column:
                word, behind = word[-1], 1  # stays with what it widens, which is the least that can move
            can_move = 0 < behind < self._column and behind + width <= most
            moved = f"{BACK.format(behind)}{CLEAR}\n{word}" if can_move else "\n"
            self._column, self._word = (behind, word) if can_move else (0, "")
        self._column += width
        if width > 1:  # ideographs may stand apart
            self._word = ""
        elif width or self._word:  # else it belongs to an ideograph
            self._word += symbol
        return moved + symbol


@functools.cache
def _width(symbol: str) -> int:
    return width_of(symbol)
