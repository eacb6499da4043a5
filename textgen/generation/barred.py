"""Which ids a word model does not write after which. The rule, which both engines and the export apply:

- Unless new words are wanted, it does not spell: a character that never stands alone is not written. Each rare word is
  unlikely, all of them together are not: a low temperature would write little else.
- Then it writes no letters after letters either, as "t" after " house", nor after the space that begins a word. A text
  has them next to each other only where a word is spelled or is too long; anywhere else they are one piece.
- Where new words are wanted, letters may follow letters one by one, but neither a letter follows a word nor a word a
  letter.

It depends on the latest id alone, whether it was written or read. A prompt may spell: reading is free. The start token
counts as the piece that it is.

Beside these, what is banned (`banning.py`) and the end of a document before the least length are told here too, where
they are asked for.
"""

from typing import NamedTuple, Self

import numpy as np

from textgen.config import SamplingConfig
from textgen.errors import SettingError
from textgen.generation.banning import Banned, banned_by
from textgen.tokenizers import Tokenizer, WordTokenizer


class Units(NamedTuple):
    """What is counted until a document may end: the units of `--length`, as in `ending.py`."""

    least: int  # units that a text has before its document ends
    eod_id: int
    continues: np.ndarray  # bool [V], which tokens go on with a unit that was left open
    continued: np.ndarray  # bool [V], which tokens leave their unit open


class Barred(NamedTuple):
    """The ids that are not written, by the group of the latest id. After group 0 a new piece of text may begin."""

    groups: np.ndarray  # int32 [V], the group of each id
    ids: tuple[np.ndarray, ...]  # for each of G groups the ids that do not follow it, int [N], fewer than V
    banned: Banned | None = None
    units: Units | None = None

    def group_after(self, recent: np.ndarray) -> int:
        """The group of the latest of `recent`, int [R], oldest first; 0 where there is none."""
        return int(self.groups[recent[-1]]) if len(recent) else 0

    @classmethod
    def of(cls, tokenizer: Tokenizer, config: SamplingConfig) -> Self | None:
        """What is barred while a model writes with this `tokenizer`; None is nothing.

        Raises SettingError where what is banned leaves no token.
        """
        groups, ids = _of_words(tokenizer, config) if isinstance(tokenizer, WordTokenizer) else _nothing(tokenizer)
        banned, units = banned_by(config.ban, tokenizer, config.passes_ends), None
        if config.min_length and tokenizer.eod_id is not None and not config.passes_ends:
            units = Units(config.min_length, tokenizer.eod_id, tokenizer.continues, tokenizer.continued)
        if banned is not None:
            is_left = ~banned.holds
            is_left[ids[0]] = False
            if not is_left[: tokenizer.eod_id].any():  # an end is no text
                raise SettingError("`ban` leaves nothing that the model could write. Ban less")
        return cls(groups, ids, banned, units) if any(map(len, ids)) or banned or units else None


def _nothing(tokenizer: Tokenizer) -> tuple[np.ndarray, tuple[np.ndarray, ...]]:
    return np.zeros(tokenizer.vocabulary_size, np.int32), (np.zeros(0, int),)


def _of_words(tokenizer: WordTokenizer, config: SamplingConfig) -> tuple[np.ndarray, tuple[np.ndarray, ...]]:
    """Groups and ids as `Barred` holds them."""
    joins, joined = tokenizer.joins, tokenizer.joined
    is_symbol = np.arange(tokenizer.vocabulary_size) < len(tokenizer.symbols)
    if config.new_words:
        groups = np.where(joined, np.where(is_symbol, 2, 1), 0)
        always = np.zeros_like(joins)
        barred = [always, joins, joins & ~is_symbol]
    else:
        groups = joined
        unwritten = np.concatenate([tokenizer.spelling_ids, tokenizer.silent_ids])
        always = np.isin(np.arange(tokenizer.vocabulary_size), unwritten)
        barred = [always, always | joins]
    # A vocabulary may hold nothing but letters. What is barred always leaves something.
    return groups.astype(np.int32), tuple(np.flatnonzero(always if row.all() else row) for row in barred)
