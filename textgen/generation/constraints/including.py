"""Texts that hold some words, in any order.

A word stands in a text where its characters do, and not inside a longer word: where it begins or ends with a letter,
digit or underscore, none of these is next to it there, and no accent. What stands before the completion counts too.

Each word is followed by an automaton of its own, so their number costs in proportion. What all of them need is not the
least, which nobody can find fast for many, but that of a plan: to go on with one word that has begun, and to write each
of the others anew behind something that is no letter. An id is allowed where such a plan has room behind it. So words
are forced only where the rest of the length is needed for them, and one plan always has room.
"""

import re
from collections.abc import Sequence
from functools import cache, lru_cache
from typing import NamedTuple

import numpy as np

from textgen.errors import SettingError
from textgen.generation.constraints.items import items_of, kinds_of
from textgen.generation.constraints.patterns import Graph
from textgen.generation.constraints.reach import Reach
from textgen.generation.constraints.tokens import (
    NEVER,
    UNIT,
    WORD_CHARACTER,
    Tokens,
    UnwritableError,
    check_length,
    within,
)
from textgen.memory import check_fits
from textgen.messages import counted, shown

MOST_KEPT = 10_000  # places of a text, and steps between them
BYTES = 200  # of a word and an id: 190 were measured, of 100 words and 30,000 ids
KEPT_BYTES = 256 * 2**20  # of what is needed at the places of all words
PLACE_BYTES = 37  # of a word, an id and a place
LEAST_KEPT, MOST_PLACES = 4, 50  # places of a word; a text stands nearly always at the same few
STANDS = 0  # where a word is in the text for good, whatever follows


def graph_of(word: str, marks: str) -> tuple[Graph, int, int]:
    """A graph of the texts that hold `word`; where they begin; and where they do behind a letter.

    Args: marks: the accents that belong to a letter before them.
    """
    graph = Graph()
    other = rf"[^\w{re.escape(marks)}]"
    end = graph.add_pattern(rf"(?:{other}(?s:.*))?" if WORD_CHARACTER.match(word[-1]) else r"(?s:.*)")
    begin = graph.add_pattern(re.escape(word), end)
    if not WORD_CHARACTER.match(word[0]):
        anywhere = graph.add_pattern(r"(?s:.*)", begin)
        return graph, anywhere, anywhere
    behind_other = graph.add_pattern(rf"(?s:.*){other}", begin)
    return graph, graph.add([begin, behind_other]), behind_other


def needed(words: Sequence[str]) -> list[str]:
    """Those of `words` that are in no other, so that a text with them holds all."""
    words = list(dict.fromkeys(words))
    return [w for w in words if not any(w != other and holds(other, w) for other in words)]


def holds(text: str, word: str) -> bool:
    """Whether `word` stands in `text`."""
    before = r"(?<!\w)" if WORD_CHARACTER.match(word[0]) else ""
    after = r"(?!\w)" if WORD_CHARACTER.match(word[-1]) else ""
    return re.search(before + re.escape(word) + after, text) is not None


class NoPlanError(SettingError):
    """No plan writes the words one after the other; a text in which they overlap, or that ends with one, may be."""


class Including:
    """The constraint of `must_include`, as `rows.Constraint`. A place is one set of items for each word, or STANDS."""

    def __init__(self, tokens: Tokens, start_state: int, words: Sequence[str], is_behind_letter: bool):
        """Args: is_behind_letter: whether the prompt ends with a letter, digit or underscore.

        Raises SettingError where a word cannot be written, and NoPlanError where not all can one after the other.
        """
        words = needed(words)
        size = BYTES * len(words) * len(tokens.texts)
        check_fits(size, f"following {counted(len(words), 'word')}", "Ask for fewer words")
        self.tokens, self.start_state = tokens, start_state
        kept = max(LEAST_KEPT, min(MOST_PLACES, KEPT_BYTES // (PLACE_BYTES * len(words) * len(tokens.texts))))
        self._words = [_Word(word, tokens, start_state, kept) for word in words]
        self.start = tuple(word.behind_letter if is_behind_letter else word.start for word in self._words)
        self._costs = cache(self._find_costs)
        self._missing = lru_cache(MOST_KEPT)(self._find_missing)
        self._after = lru_cache(MOST_KEPT)(self._find_after)
        begun = [word.reach.need(found, start_state) for word, found in zip(self._words, self.start, strict=True)]
        anew = [word.anew for word in self._words]
        need = sum(anew) + min(0, *(b - a for b, a in zip(begun, anew, strict=True)))
        check_length("`must_include`, one word after the other,", need, tokens, NoPlanError)

    def leads(self, place: tuple[int, ...], state: int, units: int, num_tokens: int) -> np.ndarray:
        """As in `Constraint`."""
        costs, may_follow = self._costs(state)
        missing, most = self._missing(place)
        if most // UNIT <= units and most % UNIT <= num_tokens:
            return may_follow
        all_anew = np.zeros(len(costs), np.int64)  # of the plan to write all anew that do not stand at the end
        others_anew = np.zeros(len(costs), np.int64)  # of the plan to go on with one
        gain = np.full(len(costs), NEVER)
        for word, found in missing:
            plans = word.plans(found, state)
            all_anew += plans.anew
            others_anew += plans.others
            np.minimum(gain, plans.gain, out=gain)
        return within(costs + np.minimum(all_anew, others_anew + gain), units, num_tokens)

    def after(self, place: tuple[int, ...], state: int, token_id: int) -> tuple[int, ...]:
        """As in `Constraint`."""
        return self._after(place, token_id)

    def may_end(self, place: tuple[int, ...]) -> bool:
        """As in `Constraint`."""
        return all(word.reach.automaton.may_end(found) for word, found in self._missing(place)[0])

    def _find_after(self, place: tuple[int, ...], token_id: int) -> tuple[int, ...]:
        text = self.tokens.texts[token_id]
        return tuple(word.read(found, text) for word, found in zip(self._words, place, strict=True))

    def _find_missing(self, place: tuple[int, ...]) -> "tuple[list[tuple[_Word, int]], int]":
        """The words that do not stand for good, and the need of an id with all of them anew behind it."""
        missing = [(word, found) for word, found in zip(self._words, place, strict=True) if found != STANDS]
        return missing, UNIT + 1 + sum(word.anew for word, _ in missing)

    def _find_costs(self, state: int) -> tuple[np.ndarray, np.ndarray]:
        """The need of each id alone, and which may follow at all."""
        costs = np.where(self.tokens.is_text, self.tokens.needs[state][self.tokens.types], NEVER)
        return costs, costs < NEVER


class _Plans(NamedTuple):
    """What is needed for one word behind each id, int64 [V]."""

    anew: np.ndarray  # to write it anew, unless the text may end there as far as it is concerned
    others: np.ndarray  # to write it anew behind another word, unless it stands for good
    gain: np.ndarray  # what it is better, to go on with it as far as it has begun; NEVER where it is there


class _Word:
    """One word, and where a text may stand in it."""

    def __init__(self, word: str, tokens: Tokens, start_state: int, most_kept: int):
        """Args: most_kept: places for which it is kept what is needed there."""
        self._most_kept = most_kept
        graph, start, behind_letter = graph_of(word, tokens.marks)
        kinds = kinds_of(tokens.alphabet, [graph])
        items = items_of(graph, [start, behind_letter], kinds)
        self.start, self.behind_letter = items.starts
        self.reach = Reach(items, tokens, kinds, most_kept)
        self._stands = cache(self._does_stand)
        self._plans: dict[tuple[int, int], _Plans] = {}
        states = {start_state, *tokens.state_after.tolist()}
        needs = [self.reach.ahead(self.behind_letter, s).needs[tokens.may_follow].min(initial=NEVER) for s in states]
        self.anew = int(max(needs))  # the need behind a word that ends there, whatever the last id was
        if self.anew >= NEVER and any(self.reach.need(found, start_state) < NEVER for found in items.starts):
            raise NoPlanError(f"`must_include` holds {shown(repr(word))}, which can only begin the text")
        if self.anew >= NEVER:
            unknown = [shown(repr(symbol)) for symbol in sorted(set(word).difference(tokens.tokenizer.symbols))]
            raise UnwritableError(f"`must_include` holds {shown(repr(word))}, which this model cannot write", unknown)

    def read(self, found: int, text: str) -> int:
        """Where a text stands behind `text`."""
        if found == STANDS:
            return STANDS
        found = self.reach.automaton.read(found, text)
        return STANDS if self._stands(found) else found

    def plans(self, found: int, state: int) -> _Plans:
        """What is needed behind each id that follows a text which stands at `found`."""
        if (plans := self._plans.get((found, state))) is None:
            if len(self._plans) >= self._most_kept:
                self._plans.clear()
            ahead = self.reach.ahead(found, state)
            left = self.reach.left(ahead, state)
            is_missing = left > 0
            numbers, places = np.unique(ahead.behind, return_inverse=True)
            sets = [self.reach.automaton.set_of(number) for number in numbers.tolist()]
            stands = np.array([self._stands(there) for there in sets])[places]
            plans = self._plans[found, state] = _Plans(
                np.where(is_missing, self.anew, 0),
                np.where(stands, 0, self.anew),
                np.where(is_missing, left - self.anew, NEVER),
            )
        return plans

    def _does_stand(self, found: int) -> bool:
        return all(self.reach.automaton.may_end(after) for after in self.reach.automaton.all_behind(found))
