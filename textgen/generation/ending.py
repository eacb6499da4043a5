"""Where a text ends: at its length, at the end of its document, or before a stop string; whichever comes first.

What goes in: token ids as they are drawn. What comes out: the text that can be shown so far, and whether it is over.

Length counts units: the characters of a character model; the words of a word model, in which a word that is spelled
with characters counts once.
"""

import numpy as np

from textgen.config import SamplingConfig
from textgen.generation.stopping import StopScanner
from textgen.tokenizers import Tokenizer
from textgen.tokenizers.word_pieces import MAX_PIECE


class Ending:
    """Follows one text from its first token to its last."""

    def __init__(self, tokenizer: Tokenizer, config: SamplingConfig):
        self.reason: str | None = None  # "length", "document" or "stop", once the text is over
        self._pieces = tokenizer.pieces
        self._separator = tokenizer.document_separator
        self._eod_id = tokenizer.eod_id
        # As bytes, of which an element is an int: this runs for every token.
        self._continues, self._continued = tokenizer.continues.tobytes(), tokenizer.continued.tobytes()
        self._ignores_eod, self._length = config.ignore_eod, config.length
        self._most_tokens = config.length * MAX_PIECE  # a model may go on spelling one word for ever
        self._units = self._tokens = 0
        self._goes_on = 0  # whether the last token's unit may go on
        self._scanner = StopScanner(config.stop)

    @property
    def is_over(self) -> bool:
        """Whether no more tokens are wanted."""
        return self.reason is not None

    def feed(self, token_ids: np.ndarray) -> str:
        """Text that can be shown after `token_ids` [T]; those that come after the end are passed over."""
        if self.is_over:
            return ""
        pieces = []
        for token_id in token_ids.tolist():
            self.reason = self._end_before(token_id)
            if self.is_over:
                break
            pieces.append(self._read(token_id))
            self.reason = self._end_after()
            if self.is_over:
                break
        shown = self._scanner.feed("".join(pieces))
        if self._scanner.is_stopped:
            self.reason = "stop"
        return shown

    def finish(self) -> str:
        """What was held back in case it would become a stop string."""
        return self._scanner.finish()

    def _end_before(self, token_id: int) -> str | None:
        if token_id == self._eod_id and not self._ignores_eod:
            return "document"
        begins = not (self._goes_on and self._continues[token_id])
        self._units += begins
        return "length" if self._units > self._length else None

    def _read(self, token_id: int) -> str:
        self._tokens += 1
        self._goes_on = self._continued[token_id]
        return self._separator if token_id == self._eod_id else self._pieces[token_id]

    def _end_after(self) -> str | None:
        is_full = self._units == self._length and not self._goes_on
        return "length" if is_full or self._tokens >= self._most_tokens else None
