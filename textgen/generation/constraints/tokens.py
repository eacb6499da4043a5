"""What the ids of a tokenizer write, what each costs of the length, and after which others it is barred.

Cost and bar depend on the id before, of which little matters: its *state*, which is its group in `Barred`, and whether
it leaves its unit open. An id's *type* is all else that matters, its text aside.
"""

import re
from collections.abc import Sequence

import numpy as np

from textgen.config import SamplingConfig
from textgen.errors import SettingError
from textgen.generation.barred import Barred
from textgen.messages import counted
from textgen.tokenizers import Tokenizer
from textgen.tokenizers.text_blocks import code_points
from textgen.tokenizers.word_classes import MARK, classes_of
from textgen.tokenizers.word_pieces import MAX_PIECE

UNIT_BITS = 24
UNIT = 1 << UNIT_BITS  # a need is so many times the units of length that it takes, plus the tokens
WORD_CHARACTER = re.compile(r"\w")
NEVER = 1 << 61  # the need of what cannot be


class Tokens:
    """The ids of a model that writes with `config`; K states, T types."""

    def __init__(self, tokenizer: Tokenizer, config: SamplingConfig, barred: Barred | None):
        self.tokenizer, self.config = tokenizer, config
        self._groups = np.zeros(tokenizer.vocabulary_size, np.int64) if barred is None else barred.groups
        self.texts: Sequence[str] = tokenizer.pieces  # "" writes nothing, and ends the text
        self.eod_id = None if config.passes_ends else tokenizer.eod_id
        if config.passes_ends and tokenizer.document_separator is not None:
            self.texts = (*tokenizer.pieces[:-1], tokenizer.document_separator)
        self.alphabet = "".join(sorted(set(tokenizer.symbols).union(tokenizer.document_separator or "")))
        ids = [np.zeros(0, np.int64)] if barred is None else barred.ids
        is_barred = np.array([np.isin(np.arange(tokenizer.vocabulary_size), row) for row in ids])
        if barred is not None and barred.banned is not None:
            is_barred |= barred.banned.holds
        states = 2 * self._groups + tokenizer.continued
        columns, types = np.unique(
            np.concatenate([states[None], tokenizer.continues[None], is_barred]).astype(np.int64),
            axis=1,
            return_inverse=True,
        )
        self.types = types.reshape(-1)  # int [V]
        self.state_after = columns[0]  # int [T]
        self.is_open = np.arange(2 * len(ids)) % 2 == 1  # bool [K]
        self.costs = 1 - (self.is_open[:, None] & (columns[1] == 1)).astype(np.int64)  # [K, T]: units of length
        # The same as lists, which are asked for every token.
        self.type_list, self.state_list = self.types.tolist(), self.state_after.tolist()
        self.cost_list, self.open_list = self.costs.tolist(), self.is_open.tolist()
        self.is_barred = np.repeat(columns[2:] == 1, 2, axis=0)  # [K, T]
        self.needs = np.where(self.is_barred, NEVER, self.costs * UNIT + 1)  # int64 [K, T]
        self.is_text = np.array([text != "" for text in self.texts])  # bool [V]
        self.lengths = np.array([len(text) for text in self.texts])  # int [V]
        self.begins_at = np.cumsum(self.lengths) - self.lengths  # int [V], in `characters`
        alphabet, points = code_points(self.alphabet), code_points("".join(self.texts))
        self.characters = np.searchsorted(alphabet, points)  # of all texts, as places in the alphabet
        # bool [V]: the texts that end a word before them: those that begin with no part of one
        self.marks = "".join(np.array(list(self.alphabet))[classes_of(alphabet) == MARK])
        is_part = np.array([s in self.marks or WORD_CHARACTER.match(s) is not None for s in self.alphabet])
        self.may_follow = self.is_text.copy()
        self.may_follow[self.is_text] = ~is_part[self.characters[self.begins_at[self.is_text]]]

    @property
    def num_states(self) -> int:
        """K."""
        return len(self.costs)

    def begins(self, state: int) -> np.ndarray:
        """The ids that begin a unit, bool [V], of those that are not barred."""
        return ((self.costs[state] == 1) & ~self.is_barred[state])[self.types]

    def state_of(self, recent: np.ndarray) -> int:
        """The state of a text that begins behind the ids `recent`, oldest first: its first id begins a unit."""
        return 2 * int(self._groups[recent[-1]]) if len(recent) else 0


def within(needs: np.ndarray, units: int, num_tokens: int) -> np.ndarray:
    """Which needs are met by so many units and tokens; bool."""
    return (needs >> UNIT_BITS <= units) & (needs & (UNIT - 1) <= num_tokens)


def check_length(what: str, need: int, tokens: Tokens, problem: type[SettingError] = SettingError) -> None:
    """Raise `problem` where the text of a setting needs more than the length."""
    units, num_tokens = divmod(need, UNIT)
    least = max(units, -(-num_tokens // MAX_PIECE))
    if least > tokens.config.length:
        unit = "character" if tokens.tokenizer.level == "char" else "word"
        raise problem(
            f"{what} cannot be met in `length={tokens.config.length}`: it takes {counted(least, unit)}. Give at least "
            f"`length={least}`"
        )


class UnwritableError(SettingError):
    """No text of any length is what a setting asks for; what the model does not know and would have to is named."""

    def __init__(self, message: str, unknown: Sequence[str] = (), *, was_dear: bool = False):
        """Args: message: what, without a stop. unknown: for people. was_dear: it took long to find out."""
        self.was_dear = was_dear
        names = ", ".join(unknown[:5])
        super().__init__(f"{message}: it does not know {names}. Leave that out" if unknown else message)
