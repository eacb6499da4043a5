"""What the rules of drawing know of each text so far: what is recent, repeated, open and begun.

`graph_past.py` holds the same as tensors that a loop carries.
"""

import copy
from typing import Self

import numpy as np

from textgen.config import SamplingConfig
from textgen.generation.banning import Banned
from textgen.generation.barred import Barred
from textgen.generation.state import MAX_RECENT, Context

NO_IDS = np.zeros(0, int)
MOST_KNOWN = 256  # sets of banned ids that are kept


class Past:
    """Follows the texts of a batch, from what they all continue to their ends."""

    def __init__(self, context: Context, config: SamplingConfig, num_rows: int, barred: Barred | None = None):
        """Begin after `context`; `barred` is of the same `config`."""
        self.recent = context.recent_rows(config.repeat_last_n, num_rows)  # int32 [B, R], while there are penalties
        self._barred, self._penalises = barred, config.penalises
        self._known: dict[bytes, np.ndarray] = {}  # what `_banned_ids` has found
        latest = context.recent
        if barred is not None:
            self._groups = np.full(num_rows, barred.group_after(latest))  # of each row's latest id
            if barred.banned is not None:
                self._is_open = np.tile(barred.banned.open_after(latest), (num_rows, 1))  # [B, P]
            if barred.units is not None:
                self._units, self._unit_is_open = np.zeros(num_rows, int), np.zeros(num_rows, bool)
        self._runs = [Runs(config.no_repeat_ngram, latest) for _ in range(num_rows if config.no_repeat_ngram else 0)]

    def barred_ids(self) -> list[np.ndarray] | None:
        """The ids that may not be drawn next, int [N] of each row; None is none at all."""
        by_rule: list[list[np.ndarray]] = []
        if (barred := self._barred) is not None:
            if any(map(len, barred.ids)):
                by_rule.append([barred.ids[group] for group in self._groups])
            if (banned := barred.banned) is not None:
                by_rule.append([self._banned_ids(banned, is_open) for is_open in self._is_open])
            if (units := barred.units) is not None:
                end = np.array([units.eod_id])
                by_rule.append([end[: int(begun < units.least)] for begun in self._units])
        if self._runs:
            by_rule.append([run.repeating() for run in self._runs])
        if len(by_rule) < 2:
            return by_rule[0] if by_rule else None
        return [np.concatenate(ids) for ids in zip(*by_rule, strict=True)]

    def _banned_ids(self, banned: Banned, is_open: np.ndarray) -> np.ndarray:
        """The ids that are banned while these texts are open; few sets of texts are open again and again."""
        key = is_open.tobytes()
        if key not in self._known:
            if len(self._known) >= MOST_KNOWN:
                self._known.clear()
            self._known[key] = banned.ids(is_open)
        return self._known[key]

    def rows(self, rows: np.ndarray) -> Self:
        """The same of texts that go on from these, int [N]; a text may go on in several ways."""
        past = copy.copy(self)
        past.recent = self.recent[rows]
        past._runs = [self._runs[row].fork() for row in rows.tolist()] if self._runs else []
        if (barred := self._barred) is not None:
            past._groups = self._groups[rows]
            if barred.banned is not None:
                past._is_open = self._is_open[rows]
            if barred.units is not None:
                past._units, past._unit_is_open = self._units[rows], self._unit_is_open[rows]
        return past

    def advance(self, token_ids: np.ndarray) -> None:
        """Take note of the ids that were drawn, int [B]; what follows the end of a row does not matter."""
        if self._penalises:
            self.recent[:, :-1] = self.recent[:, 1:]
            self.recent[:, -1] = token_ids
        for run, token_id in zip(self._runs, token_ids.tolist(), strict=False):
            run.append(token_id)
        if (barred := self._barred) is None:
            return
        self._groups = barred.groups[token_ids]
        if barred.banned is not None:
            self._is_open = barred.banned.after(self._is_open, token_ids)
        if (units := barred.units) is not None:
            self._units += ~(self._unit_is_open & units.continues[token_ids])
            self._unit_is_open = units.continued[token_ids]


class Runs:
    """The runs of `size` ids that one text holds among its last MAX_RECENT ids."""

    # The ids of a run but its last -> its last -> where it begins, the latest time.
    _followers: dict[tuple[int, ...], dict[int, int]]
    _latest: tuple[int, ...]  # as many ids as a run has but its last, or all there are

    def __init__(self, size: int, token_ids: np.ndarray):
        """Of a text that ends with `token_ids`, int [T]."""
        self._size, self._ids = size, token_ids[-MAX_RECENT:].tolist()
        self._index()

    def repeating(self) -> np.ndarray:
        """The ids that would write such a run again, int [N]."""
        if (found := self._followers.get(self._latest)) is None:
            return NO_IDS
        first = len(self._ids) - MAX_RECENT
        ids = [token_id for token_id, start in found.items() if start >= first]
        return np.array(ids) if ids else NO_IDS

    def fork(self) -> Self:
        """Those of a text that goes on from here on its own."""
        other = copy.copy(self)
        other._ids = self._ids.copy()
        other._followers = {run: ids.copy() for run, ids in self._followers.items()}
        return other

    def append(self, token_id: int) -> None:
        """The text goes on with `token_id`."""
        latest, ids = self._latest, self._ids  # this runs for every token
        if len(latest) < self._size - 1:
            self._latest = (*latest, token_id)
        else:
            start = len(ids) - self._size + 1
            if (found := self._followers.get(latest)) is None:
                self._followers[latest] = {token_id: start}
            else:
                found[token_id] = start
            self._latest = (*latest[1:], token_id) if latest else latest
        ids.append(token_id)
        if len(ids) >= 2 * MAX_RECENT:  # what is too long ago is forgotten at times
            del ids[:-MAX_RECENT]
            self._index()

    def _index(self) -> None:
        self._followers, self._latest = {}, ()
        ids, self._ids = self._ids, []
        for token_id in ids:
            self.append(token_id)


def streaks_of(recent: np.ndarray, most: int) -> np.ndarray:
    """How many ids that end at each place are the latest ids, `most` at most and of the latest id 0; int32 [W].

    Args: recent: int [W], the latest ids, oldest first, -1 where there is none.
    """
    streaks, is_equal = np.zeros(len(recent), np.int32), recent >= 0
    for back in range(min(most, len(recent) - 1)):
        shifted = np.concatenate([np.full(back, -1, recent.dtype), recent[: len(recent) - back]])
        is_equal &= shifted == recent[len(recent) - 1 - back]
        streaks += is_equal
    streaks[-1:] = 0
    return streaks
