"""How much more text a match needs at least, wherever a text stands: what tells which ids lead to a match.

The need of an item is the least number of units, and of tokens among those, of a way to an end; it is found backwards
from the ends, over ids and not characters, as a model writes. The need of a set is the least of its items', because a
set is where a text *may* stand. So nothing has to be known of the sets that a text does not meet.

Ids whose texts no item tells apart are followed together: of the words of a model, `[A-Z][a-z ]+` sees some hundred
kinds.
"""

from typing import NamedTuple

import numpy as np

from textgen.generation.constraints.automaton import NOWHERE, UNKNOWN, Automaton
from textgen.generation.constraints.items import Items, TooLargeError, members
from textgen.generation.constraints.tokens import NEVER, UNIT, UNIT_BITS, Tokens

MAX_WORK = 200_000_000  # characters of texts that are read before a text begins: a second or two
MAX_EDGES = 1_000_000
DEAR = 0.1  # of the most work, which is soon done again
MAX_KEPT_BYTES = 64 * 2**20


class Ahead(NamedTuple):
    """What can be written where a text stands."""

    needs: np.ndarray  # int64 [V]: with each id, of the whole way to an end; NEVER where there is none
    behind: np.ndarray  # int32 [V]: the number of the set where the text stands behind each id
    leads: np.ndarray  # bool [V]: whether an id leads to an end at all
    most: tuple[int, int]  # the most units, and the most tokens, that one of those needs


class Reach:
    """Sets of items and states of tokens, and what can be written there."""

    def __init__(self, items: Items, tokens: Tokens, kinds: dict[str, int], most_kept: int | None = None):
        """Args: most_kept: places for which it is kept what can be written there; None is as many as MAX_KEPT_BYTES.

        Raises SettingError where the pattern is too large for the vocabulary.
        """
        self.tokens, self.automaton = tokens, Automaton(items, kinds)
        self._texts = _Texts(tokens, self.automaton)
        self._item_needs = self._needs_of_items()  # int64 [Q, K]
        self._set_needs = np.full((64, tokens.num_states), UNKNOWN)  # by number
        self._ahead: dict[tuple[int, int], Ahead] = {}
        self._most_kept = most_kept or max(16, MAX_KEPT_BYTES // (13 * len(tokens.texts) + 500))

    @property
    def was_dear(self) -> bool:
        """Whether what is done before a text begins was so much that it is not done again for advice."""
        num_read = len(self.automaton.items.reads) * self._texts.size
        return max(num_read / MAX_WORK, self._followed) > DEAR

    def need(self, found: int, state: int) -> int:
        """The least need of a match where a text stands at `found` and its last id has left it in `state`."""
        number = np.array([self.automaton.number_of(found)])
        return int(self._needs_of_sets(number, np.array([state]))[0])

    def after(self, found: int, state: int, token_id: int) -> int:
        """The set where the text stands behind an id; 0 where it cannot match any more."""
        return self.automaton.set_of(int(self.ahead(found, state).behind[token_id]))

    def ahead(self, found: int, state: int) -> Ahead:
        """What can be written where a text stands at `found` and its last id has left it in `state`."""
        if (known := self._ahead.get((found, state))) is not None:
            return known
        if len(self._ahead) >= self._most_kept:
            self._ahead.clear()
        if self.automaton.is_full:
            self.automaton.forget()
            self._set_needs.fill(UNKNOWN)
            self._ahead.clear()
        tokens, texts = self.tokens, self._texts
        behind = texts.read(self.automaton, self.automaton.number_of(found))
        needs = tokens.needs[state, texts.pair_types] + self._needs_of_sets(behind[texts.pair_texts], texts.pair_states)
        possible = needs[needs < NEVER]
        most = (int(possible.max(initial=0)) >> UNIT_BITS, int((possible & (UNIT - 1)).max(initial=0)))
        needs = np.append(np.minimum(needs, NEVER), NEVER)[texts.pair_of]
        leads = needs < NEVER
        self._ahead[found, state] = ahead = Ahead(needs, behind[texts.text_of], leads, most)
        return ahead

    def left(self, ahead: Ahead, state: int) -> np.ndarray:
        """The needs behind each id, without its own; int64 [V]."""
        own = self.tokens.needs[state][self.tokens.types]
        return ahead.needs - np.minimum(own, ahead.needs)

    def _needs_of_sets(self, numbers: np.ndarray, states: np.ndarray) -> np.ndarray:
        """The need at each set, by its number, in each state; int64 [N]."""
        while numbers.max(initial=0) >= len(self._set_needs):
            self._set_needs = np.concatenate([self._set_needs, np.full_like(self._set_needs, UNKNOWN)])
        needs = self._set_needs[numbers, states]
        if (is_unknown := needs == UNKNOWN).any():
            for number in set(numbers[is_unknown].tolist()):
                items = list(members(self.automaton.set_of(number)))
                self._set_needs[number] = self._item_needs[items].min(axis=0, initial=NEVER)
            needs = self._set_needs[numbers, states]
        return needs

    def _needs_of_items(self) -> np.ndarray:
        tokens, num_items, K = self.tokens, len(self.automaton.items.reads), self.tokens.num_states
        begin, kind, end = self._edges()
        source, target, cost = [], [], []
        for state in range(K):
            costs = tokens.needs[state, kind]
            is_free = costs < NEVER
            source.append(begin[is_free] * K + state)
            target.append(end[is_free] * K + tokens.state_after[kind[is_free]])
            cost.append(costs[is_free])
        order = np.argsort(sources := np.concatenate(source), kind="stable")
        sources, targets, costs = sources[order], np.concatenate(target)[order], np.concatenate(cost)[order]
        needs = np.full(num_items * K, NEVER)
        is_new = np.zeros(num_items * K, bool)
        for item in members(self.automaton.items.ends):
            needs[item * K : item * K + K], is_new[item * K : item * K + K] = 0, True
        while len(edges := np.flatnonzero(is_new[targets])):
            begins = np.flatnonzero(np.diff(sources[edges], prepend=-1))  # where the next source begins
            least, better = np.minimum.reduceat(costs[edges] + needs[targets[edges]], begins), needs.copy()
            better[sources[edges[begins]]] = np.minimum(needs[sources[edges[begins]]], least)
            needs, is_new = better, better < needs
        return needs.reshape(num_items, K)

    def _edges(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """From which item which type of id may lead to which item: three arrays."""
        automaton, texts = self.automaton, self._texts
        num_items, num_types = len(automaton.items.reads), len(self.tokens.state_after)
        if num_items * texts.size > MAX_WORK:
            raise TooLargeError
        found: list[tuple[int, int, int]] = []
        automaton.is_limited = True
        for item in range(num_items):
            if automaton.is_full:
                automaton.forget()
            behind = texts.read(automaton, automaton.number_of(1 << item))[texts.pair_texts]
            by_kind: dict[int, int] = {}  # the set of the items behind all ids of a type
            for pair in np.unique((behind * num_types + texts.pair_types)[behind != NOWHERE]).tolist():
                number, kind = divmod(pair, num_types)
                by_kind[kind] = by_kind.get(kind, 0) | automaton.set_of(number)
            found += [(item, kind, after) for kind, reached in by_kind.items() for after in members(reached)]
            if len(found) > MAX_EDGES:
                raise TooLargeError
        automaton.is_limited, self._followed = False, automaton.followed
        edges = np.array(found, np.int64).reshape(-1, 3)
        return edges[:, 0], edges[:, 1], edges[:, 2]


class _Texts:
    """The texts of all ids as classes of characters: a tree, level by level, in which texts of one beginning are one.

    A text's number is that of its last character in the tree.
    """

    def __init__(self, tokens: Tokens, automaton: Automaton):
        table = np.array([automaton.class_of[symbol] for symbol in tokens.alphabet], np.int64)
        self._levels: list[tuple[np.ndarray, np.ndarray]] = []  # for each node: its parent in the level before, a class
        self.text_of = np.zeros(len(tokens.texts), np.int64)  # [V]
        ids, nodes, self.size = np.flatnonzero(tokens.lengths), np.zeros(len(tokens.texts), np.int64), 0
        while len(ids):
            classes = table[tokens.characters[tokens.begins_at[ids] + len(self._levels)]]
            keys, places = np.unique(nodes[ids] * automaton.num_classes + classes, return_inverse=True)
            self._levels.append(np.divmod(keys, automaton.num_classes))
            nodes[ids] = places
            self.text_of[ids] = self.size + places  # of those that go on, until the next level
            self.size += len(keys)
            ids = ids[tokens.lengths[ids] > len(self._levels)]
        num_types = len(tokens.state_after)
        pairs, pair_of = np.unique((self.text_of * num_types + tokens.types)[tokens.is_text], return_inverse=True)
        self.pair_texts, self.pair_types = np.divmod(pairs, num_types)  # a text and a type of id
        self.pair_states = tokens.state_after[self.pair_types]
        self.pair_of = np.full(len(tokens.texts), len(pairs))  # [V]; behind the last where nothing is written
        self.pair_of[tokens.is_text] = pair_of

    def read(self, automaton: Automaton, start: int) -> np.ndarray:
        """The number of the set behind each text that begins at the set numbered `start`, int32 [size].

        Of an id without a text it means nothing.
        """
        level, levels = np.array([start], np.int32), []
        for parents, classes in self._levels:
            level = automaton.steps(level[parents], classes)
            levels.append(level)
        return np.concatenate(levels)
