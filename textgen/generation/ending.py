"""Where a text begins and where it ends. `graph_ending.py` holds the rules as TensorFlow operations, by these numbers:

1. A text begins with the start token where the model knows documents, and where there is nothing else to read.
2. `<eod>` ends the text before it, unless ends of documents are ignored.
3. A token begins a unit of `--length` unless the token before it left its unit open and it goes on with that unit. A
   character is a unit; so is a word, however many tokens spell it.
4. The text ends before the token that begins one unit too many.
5. The text ends after the token that closes its last unit.
6. The text ends after MAX_PIECE tokens for each unit of its length: a model may spell one word for ever.
7. The text ends before a stop string that stands behind the first units that `--min-length` asks for. (An exported
   model leaves this rule to its caller.)
8. The text ends where no token may follow, which an engine writes as -1.
9. The text ends where it is what a constraint asks for and nothing can follow. (An exported model has none.)
"""

import copy
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Self

import numpy as np

from textgen.config import SamplingConfig
from textgen.tokenizers import Tokenizer
from textgen.tokenizers.word_pieces import MAX_PIECE

if TYPE_CHECKING:
    from textgen.generation.constraints.rows import Row


def with_start(token_ids: np.ndarray, tokenizer: Tokenizer) -> np.ndarray:
    """What a model reads of a text that begins with `token_ids`, int32 [T]."""
    if tokenizer.eod_id is None and len(token_ids):  # rule 1
        return token_ids
    return np.concatenate([[tokenizer.start_id], token_ids]).astype(np.int32)


class Ending:
    """Follows one text from its first token to its last."""

    def __init__(
        self,
        tokenizer: Tokenizer,
        config: SamplingConfig,
        row: "Row | None" = None,
        most_tokens: int | None = None,
    ):
        """Follow a text.

        Args:
            row: the same text as a constraint follows it, which hears of its tokens first.
            most_tokens: the text ends after so many tokens, if it has not ended before.
        """
        self.reason = ""  # "length", "document", "stop", "match" or "nothing", once the text is over
        self.units = 0  # begun so far
        self._pieces = tokenizer.pieces
        self._separator = tokenizer.document_separator or ""
        self._eod_id = tokenizer.eod_id
        # As bytes, of which an element is an int: this runs for every token.
        self._continues, self._continued = tokenizer.continues.tobytes(), tokenizer.continued.tobytes()
        self._joins_tokens = b"\1" in self._continues  # in one unit
        self.ignores_eod, self._length, self._least = config.passes_ends, config.length, config.min_length
        self._num_tokens, self._most_tokens = 0, config.length * MAX_PIECE
        if config.endless:
            self._length = self._most_tokens = sys.maxsize
        if most_tokens is not None:
            self._most_tokens = min(self._most_tokens, most_tokens)
        self._is_open = 0  # whether the last token left its unit open
        self._scanner = StopScanner(config.stop)
        self.row = row
        self._see_whether_complete()

    @property
    def num_tokens(self) -> int:
        """Of the text so far."""
        return self._num_tokens

    @property
    def is_over(self) -> bool:
        """Whether no more tokens are wanted."""
        return self.reason != ""

    @property
    def stop(self) -> tuple[str, ...]:
        """The texts before which it ends."""
        return self._scanner.stop

    @property
    def is_constrained(self) -> bool:
        """Whether a constraint may end it after any token."""
        return self.row is not None

    @property
    def room(self) -> int:
        """So many tokens can come before the length ends the text; it ends with the last of them at the earliest."""
        return min(max(1, min(self._length - self.units, self._most_tokens - self._num_tokens)), 2**40)

    def fork(self) -> Self:
        """Another that goes on from here on its own."""
        other = copy.copy(self)
        other._scanner = copy.copy(self._scanner)
        return other

    def feed(self, token_ids: np.ndarray) -> str:
        """The text that can be shown after `token_ids`, int [T]. Tokens after the end are ignored."""
        ids = token_ids.tolist()
        if len(ids) > 1 and self._is_calm(ids):
            self.units += len(ids)
            self._num_tokens += len(ids)
            return self._scanner.feed("".join([self._pieces[token_id] for token_id in ids]))
        passed: list[str] = []  # before a stop string counts
        pieces: list[str] = []
        for token_id in ids:
            if self.is_over:
                break
            piece = self._piece(token_id)
            (pieces if self.units > self._least else passed).append(piece)
        shown = "".join(passed) + self._scanner.feed("".join(pieces))  # rule 7
        if self._scanner.is_stopped:
            self.reason = "stop"
        self._see_whether_complete()
        return shown

    def finish(self) -> str:
        """The text that was held back because a stop string may begin with it."""
        return self._scanner.finish()

    def _is_calm(self, ids: list[int]) -> bool:
        """Whether each of `ids` is a unit, and none can end the text."""
        is_watched = self._joins_tokens or self.stop or self._least or self.row is not None or self.is_over
        return not is_watched and len(ids) < self.room and self._eod_id not in ids and min(ids) >= 0

    def _see_whether_complete(self) -> None:
        if self.row is not None and self.row.is_complete and not self.is_over:  # rule 9
            self.reason = "match" if self.units < self._length else "length"

    def _piece(self, token_id: int) -> str:
        """The text of the next token, "" where the text ends before it."""
        if token_id < 0:  # rule 8
            self.reason = "nothing"
            return ""
        if token_id == self._eod_id and not self.ignores_eod:  # rule 2
            self.reason = "document"
            return ""
        self.units += not (self._is_open and self._continues[token_id])  # rule 3
        if self.units > self._length:  # rule 4
            self.reason = "length"
            return ""
        self._is_open = self._continued[token_id]
        self._num_tokens += 1
        if (self.units == self._length and not self._is_open) or self._num_tokens == self._most_tokens:  # rules 5 and 6
            self.reason = "length"
        return self._separator if token_id == self._eod_id else self._pieces[token_id]


class StopScanner:
    """Passes text on until a stop string appears. It holds back what may still become one, and the stop string."""

    def __init__(self, stop: Sequence[str]):
        self.stop = tuple(stop)
        self.is_stopped = False
        self._held = ""

    def feed(self, piece: str) -> str:
        """The text that can be shown after `piece`. Sets `is_stopped` when a stop string is complete."""
        text = self._held + piece
        # (end, start): the stop string that is complete first counts, however the text is cut into pieces.
        found = [(start + len(s), start) for s in self.stop if (start := text.find(s)) >= 0]
        if found:
            self.is_stopped, self._held = True, ""
            return text[: min(found)[1]]
        held = max((_overlap(text, s) for s in self.stop), default=0)
        self._held = text[len(text) - held :]
        return text[: len(text) - held]

    def finish(self) -> str:
        """The text that was held back, once no more comes."""
        held, self._held = self._held, ""
        return held


def _overlap(text: str, stop: str) -> int:
    """Length of the longest end of `text` that begins `stop`."""
    longest = min(len(stop) - 1, len(text))
    return next((n for n in range(longest, 0, -1) if text.endswith(stop[:n])), 0)
