"""Continuous batching: the texts of many requests in one product, which they join and leave at every token.

A row is drawn by the settings of its own text. Rows of equal settings are drawn together; what a rule has to know of a
text is kept for each text alone. Token n of sample s under a seed uses the random number that it always uses, so a
text is that of `textgen sample`, whoever else is served.
"""

import dataclasses
import time
from collections.abc import Callable, Hashable
from typing import Any

import numpy as np

from textgen.config import FILTERS, SamplingConfig
from textgen.errors import TextgenError
from textgen.generation.ending import Ending
from textgen.generation.following import Following
from textgen.generation.logprobs import ScoredToken, Waiting, likeliest_others, log_softmax, piece_of
from textgen.generation.numpy_engine import UNIFORM_BLOCK, NumpyEngine
from textgen.generation.numpy_rows import Rows
from textgen.generation.past import Past
from textgen.generation.philox import uniforms
from textgen.generation.sampling import next_ids
from textgen.generation.tally import Tally
from textgen.tokenizers import Tokenizer

LEAST_PAUSE, PAUSE_PER_ROW = 0.016, 0.0008  # seconds between two pieces of a text that are told: a screen shows no more
NO_RECENT = np.zeros((1, 0), np.int32)


class Text:
    """One text that is asked for, and what is written of it."""

    def __init__(
        self,
        config: SamplingConfig,
        sample: int,
        most_tokens: int,
        tell: Callable[["Text"], None],
        *,
        is_streamed: bool = False,
        num_others: int | None = None,
    ):
        """Ask for a text.

        Args:
            tell: called in the loop of the request after more of the text was written, and when it is over.
            is_streamed: whether it is told piece by piece.
            num_others: so many of the likeliest tokens are told beside each token; None tells of no token.
        """
        self.config, self.sample, self.most_tokens, self.tell = config, sample, most_tokens, tell
        self.is_streamed, self.num_others = is_streamed, num_others
        self.is_cancelled = False  # set by the request, read by the thread that writes
        # Written by that thread:
        self.reason, self.problem, self.num_tokens = "", "", 0
        self.details = ""  # of the problem, for the log alone
        self.scored: list[ScoredToken] = []  # that do not stand in the text yet
        self.waiting = Waiting()
        # In the loop of the request:
        self.pieces: list[str] = []  # that are not answered yet
        self.written: list[str] = []
        self.tokens: list[ScoredToken] = []
        self.is_over = False

    def begin(self, following: Following, tokenizer: Tokenizer) -> None:
        """Make what follows and steers the text."""
        self.following = following
        (ending,), self.steering = following.rows(1)
        self.ending = Ending(tokenizer, self.config, ending.row, self.most_tokens)
        config = self.config
        needs_past = config.penalises or config.no_repeat_ngram or following.barred is not None
        self.past = Past(following.context, config, 1, following.barred) if needs_past else None

    @property
    def rule(self) -> Hashable:
        """Texts of equal rules are drawn together."""
        config = self.config
        if len(config.temperatures) > 1:
            return id(self)
        penalties = (config.repeat_penalty, config.presence_penalty, config.frequency_penalty, config.repeat_last_n)
        filters = tuple(getattr(config, name) for name in FILTERS)
        is_barred = self.following.barred is not None or bool(config.no_repeat_ngram)
        return config.temperature, penalties * config.penalises, filters, is_barred, self.steering is not None


class _Group:
    """Rows that are drawn together."""

    def __init__(self, rows: list[int], texts: list[Text], is_all: bool):
        self.rows: Any = slice(None) if is_all else np.array(rows)
        config = texts[0].config
        self.texts, self.config = texts, config
        self.configs = [config.at(turn) for turn in range(len(config.temperatures))]
        self.pasts = [text.past for text in texts if text.past is not None]
        self.steerings = [text.steering for text in texts if text.steering is not None]

    def draw(self, logits: np.ndarray, uniform: np.ndarray, position: int) -> np.ndarray:
        """The next ids, int [B]."""
        config = self.configs[position % len(self.configs)]
        recent = np.concatenate([past.recent for past in self.pasts]) if self.config.penalises else NO_RECENT
        barred = [ids[0] for past in self.pasts if (ids := past.barred_ids()) is not None]
        allowed = None
        if self.steerings:
            everything = np.ones((1, logits.shape[-1]), bool)
            masks = [steering.allowed() for steering in self.steerings]
            allowed = np.concatenate([everything if mask is None else mask for mask in masks])
        token_ids = next_ids(logits, uniform, config, recent, barred or None, allowed)
        for row, steering in enumerate(self.steerings):
            steering.advance(token_ids[row : row + 1])
        for row, past in enumerate(self.pasts):
            past.advance(token_ids[row : row + 1])
        return token_ids


def end_of(token: ScoredToken) -> ScoredToken:
    """The token that ended a text, which shows nothing; clients that sum up log-probabilities count it."""
    return dataclasses.replace(token, piece="")


class Batch:
    """Writes texts side by side. All methods are for one thread."""

    def __init__(self, engine: NumpyEngine, tokenizer: Tokenizer, most: int):
        self.tokenizer, self.most, self.texts = tokenizer, most, list[Text]()
        self._rows, self._tally = Rows(engine, most), Tally(tokenizer, most)
        self._uniforms = np.zeros((most, UNIFORM_BLOCK))
        self._positions = np.zeros(most, int)
        self._numbers = np.arange(most)
        self._groups: list[_Group] = []
        self._told, self._has_new = 0.0, False

    def join(self, text: Text) -> None:
        """A text that has begun is written from the next step on."""
        row = len(self.texts)
        self.texts.append(text)
        self._rows.put(slice(row, row + 1), text.following.context)
        self._tally.put(row, text.ending)
        self._positions[row], self._has_new = 0, True
        self._refill(row)
        self._arrange()

    def step(self) -> list[tuple[Text, str, list[ScoredToken], bool]]:
        """Write a token of each text.

        Returns:
            what is to be told: a text, what is new of it, its new tokens, and whether it is over.
        """
        size = len(self.texts)
        uniform = self._uniforms[self._numbers[:size], self._positions[:size] % UNIFORM_BLOCK]
        token_ids = np.empty(size, np.int64)
        for group in self._groups:
            token_ids[group.rows] = self._draw(group, uniform[group.rows])
        for row, text in enumerate(self.texts):
            if text.num_others is not None and token_ids[row] >= 0:
                text.scored.append(self._scored(row, int(token_ids[row]), text.num_others))
        self._rows.advance(token_ids)
        positions = self._positions[:size]
        positions += 1
        if not (used := positions % UNIFORM_BLOCK).all():
            for row in np.flatnonzero(used == 0).tolist():
                self._refill(row)
        return self._news(self._tally.add(token_ids))

    def drop_cancelled(self) -> None:
        """Let go of the texts that nobody wants any more."""
        if any(text.is_cancelled for text in self.texts):
            for row in reversed(range(len(self.texts))):
                if self.texts[row].is_cancelled:
                    self._leave(row)
            self._arrange()

    def _draw(self, group: _Group, uniform: np.ndarray) -> np.ndarray:
        position = int(self._positions[group.rows][0])
        try:
            return group.draw(self._rows.logits[group.rows], uniform, position)
        except (TextgenError, ArithmeticError, LookupError, ValueError, MemoryError) as problem:
            for text in group.texts:  # others go on
                text.problem = str(problem) if isinstance(problem, TextgenError) else f"the text failed: {problem!r}"
            return np.full(len(group.texts), -1)

    def _scored(self, row: int, token_id: int, num_others: int) -> ScoredToken:
        scores = log_softmax(self._rows.logits[row])
        logprob, most = float(scores[token_id]), min(num_others, self.tokenizer.vocabulary_size - 1)
        others = likeliest_others(self.tokenizer, scores, token_id, most)
        return ScoredToken(piece_of(self.tokenizer, token_id), logprob, others)

    def _news(self, due: list[int]) -> list[tuple[Text, str, list[ScoredToken], bool]]:
        now, rows = time.monotonic(), set(due)
        if now - self._told >= max(LEAST_PAUSE, PAUSE_PER_ROW * len(self.texts)):
            self._told = now
            rows |= {row for row, text in enumerate(self.texts) if text.is_streamed}
        elif self._has_new:  # the first piece of a text does not wait
            rows |= {*np.flatnonzero(self._positions[: len(self.texts)] == 1).tolist()}
        self._has_new = False
        found: list[tuple[Text, str, list[ScoredToken], bool]] = []
        has_left = False
        for row in sorted(rows, reverse=True):  # the last row moves into a gap
            text = self.texts[row]
            shown = self._tally.take(row)
            text.num_tokens = text.ending.num_tokens
            tokens: list[ScoredToken] = []
            if text.num_others is not None:
                num_shown = len(text.scored) - (text.ending.reason == "document")
                tokens = list(text.waiting.add(text.scored[:num_shown], shown))
                tokens += map(end_of, text.scored[num_shown:])
                text.scored = []
            if is_over := text.ending.is_over:
                text.reason, has_left = text.ending.reason, True
                try:
                    text.following.check(text.ending)
                except TextgenError as problem:
                    text.problem = text.problem or str(problem)
                self._leave(row)
            if shown or is_over:
                found.append((text, shown, tokens, is_over))
        if has_left:
            self._arrange()
        return found

    def _leave(self, row: int) -> None:
        last = len(self.texts) - 1
        if row != last:
            self.texts[row] = self.texts[last]
            self._rows.copy(last, row)
            self._tally.move(last, row)
            self._positions[row], self._uniforms[row] = self._positions[last], self._uniforms[last]
        self._tally.clear(last)
        self.texts.pop()

    def _arrange(self) -> None:
        """Group the rows anew."""
        self._rows.resize(len(self.texts))
        by_rule: dict[Hashable, list[int]] = {}
        for row, text in enumerate(self.texts):
            by_rule.setdefault(text.rule, []).append(row)
        self._groups = [_Group(rows, [self.texts[row] for row in rows], len(by_rule) == 1) for rows in by_rule.values()]

    def _refill(self, row: int) -> None:
        text, position = self.texts[row], int(self._positions[row])
        self._uniforms[row] = uniforms(text.config.seed, np.array([text.sample]), position, UNIFORM_BLOCK)[:, 0]
