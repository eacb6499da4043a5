"""The tokens of texts that are written side by side, kept until an `Ending` has to hear of them.

An `Ending` costs Python for every call, as much in a batch as a layer of the network. Most tokens can end no text, and
NumPy sees for all rows at once which may: an end of a document, a last character of a stop string, the last token for
which there is room. A row's ending hears of all its tokens when one may end its text, and when the block is full.
"""

from typing import NamedTuple

import numpy as np

from textgen.generation.ending import Ending
from textgen.tokenizers import Tokenizer

BLOCK = 64  # tokens of a row that are kept
NEVER = 2**62


class Tally:
    """Tokens and endings of the rows of a batch."""

    def __init__(self, tokenizer: Tokenizer, most_rows: int):
        self._tokenizer = tokenizer
        self.endings: list[Ending | None] = [None] * most_rows
        # [N, V + 1]: for each kind of rows the ids after which an ending is asked, the last of them -1; none in kind 0.
        self._asked = np.zeros((1, tokenizer.vocabulary_size + 1), bool)
        self._kinds: dict[_Kind, int] = {}
        self._kind = np.zeros(most_rows, int)
        self._due = np.full(most_rows, NEVER)  # the step after which the ending is asked in any case
        self._first = [0] * most_rows  # the step of the first token that the ending has not heard of
        self._ids = np.empty((BLOCK, most_rows), np.int32)
        self._step = self._begin = 0  # so many tokens so far; so many of them before the block
        self._calm_until = 0  # no ending is asked before this step, unless an id is -1

    def put(self, row: int, ending: Ending) -> None:
        """A text begins in `row`."""
        self.endings[row], self._first[row] = ending, self._step
        kind = _Kind(ending.stop, ending.ignores_eod, ending.is_constrained)
        if kind not in self._kinds:
            if len(self._kinds) >= 256:  # of texts that came and went
                self._forget()
            self._kinds[kind] = len(self._asked)
            self._asked = np.concatenate([self._asked, kind.asked(self._tokenizer)[None]])
        self._kind[row], self._due[row] = self._kinds[kind], self._step + ending.room
        self._calm_until = 0

    def move(self, source: int, target: int) -> None:
        """The text in the row `source` goes on in the row `target`."""
        self.endings[target], self._first[target] = self.endings[source], self._first[source]
        for each in (self._kind, self._due):
            each[target] = each[source]
        self._ids[:, target] = self._ids[:, source]
        self._calm_until = 0

    def clear(self, row: int) -> None:
        """No text is in `row`."""
        self.endings[row], self._kind[row], self._due[row] = None, 0, NEVER

    def add(self, token_ids: np.ndarray) -> list[int]:
        """Take note of the next id of each of the first rows, int [B].

        Returns:
            the rows to `take`: those whose text may be over, or all, where the block is full.
        """
        size = len(token_ids)
        if self._step - self._begin == BLOCK:
            self._begin = self._step
        self._ids[self._step - self._begin, :size] = token_ids
        self._step += 1
        if self._step - self._begin == BLOCK:
            self._see_how_long_calm()
            return [row for row in range(size) if self.endings[row] is not None]
        if self._step < self._calm_until and np.minimum.reduce(token_ids) >= 0:
            return []
        may_end = self._asked[self._kind[:size], token_ids]
        may_end |= self._due[:size] <= self._step
        return np.flatnonzero(may_end).tolist()

    def take(self, row: int) -> str:
        """What can be shown of the text in `row` now; a row whose text is over is cleared."""
        ending = self.endings[row]
        if ending is None:
            return ""
        first = max(self._first[row], self._begin) - self._begin
        self._first[row] = self._step
        shown = ending.feed(self._ids[first : self._step - self._begin, row])
        if ending.is_over:
            self.clear(row)
            return shown + ending.finish()
        self._due[row] = self._step + ending.room
        return shown

    def _see_how_long_calm(self) -> None:
        is_watched = self._asked[self._kind, :-1].any()
        self._calm_until = 0 if is_watched else int(self._due.min())

    def _forget(self) -> None:
        """Forget the kinds that no row is of."""
        used = sorted({0, *self._kind.tolist()})
        numbers = {before: now for now, before in enumerate(used)}
        self._asked = self._asked[used]
        self._kinds = {kind: numbers[number] for kind, number in self._kinds.items() if number in numbers}
        self._kind = np.array([numbers[number] for number in self._kind.tolist()])


class _Kind(NamedTuple):
    """What decides after which ids an ending is asked."""

    stop: tuple[str, ...]
    ignores_eod: bool
    is_constrained: bool

    def asked(self, tokenizer: Tokenizer) -> np.ndarray:
        """bool [V + 1]; a stop string can only be complete after a piece that holds its last character."""
        size = tokenizer.vocabulary_size
        last = {text[-1] for text in self.stop}
        pieces = list(tokenizer.pieces)
        if tokenizer.eod_id is not None:
            pieces[tokenizer.eod_id] = tokenizer.document_separator or ""
        asked = np.array([not last.isdisjoint(piece) for piece in pieces] if last else [False] * size)
        if tokenizer.eod_id is not None and not self.ignores_eod:
            asked[tokenizer.eod_id] = True
        return np.append(asked | self.is_constrained, True)
