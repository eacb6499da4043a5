"""Texts that keep to a constraint, side by side: where each of them is, what may come next, and whether it is over.

A text is over by the rules of `ending.py`, and where it may end and no id leads on. Then it is *complete*.
"""

from typing import Any, Protocol

import numpy as np

from textgen.generation.constraints.tokens import Tokens
from textgen.tokenizers.word_pieces import MAX_PIECE


class Constraint(Protocol):
    """What texts have to be. Where a text stands, its place, is whatever the constraint makes of it."""

    tokens: Tokens
    start: Any  # where a text stands at its beginning
    start_state: int  # the state of `tokens` there

    def leads(self, place: Any, state: int, units: int, num_tokens: int) -> np.ndarray:
        """The ids that lead to an end within so many units and tokens, bool [V]. Ids without a text do not."""

    def after(self, place: Any, state: int, token_id: int) -> Any:
        """Where a text stands behind an id that leads to an end."""

    def may_end(self, place: Any) -> bool:
        """Whether a text may end there."""


class Row:
    """One text."""

    def __init__(self, constraint: Constraint):
        self._constraint, self._tokens = constraint, constraint.tokens
        self._place, self._state = constraint.start, constraint.start_state
        length = self._tokens.config.length
        self._units, self._num_tokens = length, length * MAX_PIECE  # that are left; rules 4 and 6 of `ending.py`
        self._unit_tokens = MAX_PIECE  # of the unit that is open, or was
        self.is_over = self.is_complete = False
        self._seen: tuple[Any, np.ndarray | None] = (None, None)  # the last place, and what led on there
        self.allowed = self._look()  # bool [V]

    def advance(self, token_id: int) -> None:
        """Take note of the next id."""
        if self.is_over:
            return
        kind = self._tokens.type_list[token_id]
        cost = self._tokens.cost_list[self._state][kind]
        if token_id == self._tokens.eod_id or cost > self._units:  # rules 2 and 4
            self._end()
            return
        self._place = self._constraint.after(self._place, self._state, token_id)
        self._state = self._tokens.state_list[kind]
        self._units, self._num_tokens = self._units - cost, self._num_tokens - 1
        self._unit_tokens = 1 if cost else self._unit_tokens + 1
        if (self._units == 0 and not self._tokens.open_list[self._state]) or self._num_tokens == 0:  # rules 5 and 6
            self._end()
        else:
            self.allowed = self._look()

    def _look(self) -> np.ndarray:
        tokens, constraint = self._tokens, self._constraint
        # A unit takes more than MAX_PIECE tokens only where it must: where a word is the last that there is room for,
        # no model would find an end to it.
        usual = min(self._num_tokens, (self._units + 1) * MAX_PIECE - self._unit_tokens)
        leads = constraint.leads(self._place, self._state, self._units, usual)
        if self._units and leads is self._seen[1] and self._place == self._seen[0]:  # as for most tokens
            return self.allowed
        self._seen = (self._place, leads)
        if not constraint.may_end(self._place):
            is_dead = usual < self._num_tokens and not leads.any()
            return constraint.leads(self._place, self._state, self._units, self._num_tokens) if is_dead else leads
        if not leads.any():
            self.is_complete = True
            return self._end()
        if tokens.eod_id is not None:
            leads = leads.copy()
            leads[tokens.eod_id] = True
        return leads if self._units else leads | tokens.begins(self._state)

    def _end(self) -> np.ndarray:
        self.is_over, self.allowed = True, np.ones(len(self._tokens.texts), bool)
        return self.allowed


class Rows:
    """The texts of a batch, as a `Steering`."""

    def __init__(self, constraint: Constraint, num_rows: int):
        self.rows = [Row(constraint) for _ in range(num_rows)]

    def allowed(self) -> np.ndarray:
        """As in `Steering`; all ids where a text is over."""
        return np.stack([row.allowed for row in self.rows])

    def advance(self, token_ids: np.ndarray) -> None:
        """As in `Steering`."""
        for row, token_id in zip(self.rows, token_ids.tolist(), strict=True):
            row.advance(token_id)

    def is_complete(self, row: int) -> bool:
        """Whether that text may end and nothing can follow."""
        return self.rows[row].is_complete
