"""How much more text a match needs at least, wherever a text stands: what tells which ids lead to a match.

The need of an item is the least number of units, and of tokens among those, of a way to an end; it is found backwards
from the ends, over ids and not characters, as a model writes. The need of a set is the least of its items', because a
set is where a text *may* stand. So nothing has to be known of the sets that a text does not meet.

Ids whose texts no item tells apart are followed together: of the words of a model, `[A-Z][a-z ]+` sees some hundred
kinds.
"""

from typing import NamedTuple

import numpy as np

from textgen.generation.constraints.automaton import NOWHERE, Automaton
from textgen.generation.constraints.items import Items, members, too_large
from textgen.generation.constraints.tokens import NEVER, UNIT, Tokens

MAX_WORK = 3_000_000  # steps over characters before a text begins: seconds
MAX_EDGES = 1_000_000
MAX_KEPT_BYTES = 64 * 2**20


class Ahead(NamedTuple):
    """What can be written where a text stands."""

    needs: np.ndarray  # int64 [V]: with each id, of the whole way to an end; NEVER where there is none
    after: dict[int, int]  # by the number of an id's text: the set where the text stands behind it
    leads: np.ndarray  # bool [V]: whether an id leads to an end at all
    most: tuple[int, int]  # the most units, and the most tokens, that one of those needs


class Reach:
    """Sets of items and states of tokens, and what can be written there."""

    def __init__(self, items: Items, tokens: Tokens, kinds: dict[str, int]):
        """Raises SettingError where the pattern is too large for the vocabulary."""
        self.tokens, self.automaton = tokens, Automaton(items, kinds)
        self._trie = _Trie(tokens, self.automaton.class_of)
        self._item_needs = self._needs_of_items()  # int64 [Q, K]
        self._set_needs: dict[int, np.ndarray] = {}
        self._ahead: dict[tuple[int, int], Ahead] = {}
        self._most_kept = max(16, MAX_KEPT_BYTES // (9 * len(tokens.texts) + 100 * self._trie.num_texts))

    def need(self, found: int, state: int) -> int:
        """The least need of a match where a text stands at `found` and its last id has left it in `state`."""
        return int(self._needs_of_set(found)[state])

    def after(self, found: int, state: int, token_id: int) -> int:
        """The set where the text stands behind an id; 0 where it cannot match any more."""
        return self.ahead(found, state).after.get(int(self._trie.text_of[token_id]), 0)

    def are_texts(self, numbers: np.ndarray) -> np.ndarray:
        """Which ids have the texts of those numbers, bool [V]."""
        return np.isin(self._trie.text_of, numbers)

    def ahead(self, found: int, state: int) -> Ahead:
        """What can be written where a text stands at `found` and its last id has left it in `state`."""
        if (known := self._ahead.get((found, state))) is not None:
            return known
        if len(self._ahead) >= self._most_kept:
            self._ahead.clear()
        if self.automaton.is_full:
            self.automaton.forget()
            self._set_needs.clear()
        tokens, trie = self.tokens, self._trie
        after = dict(self._live(found))
        needs = np.full((trie.num_texts, tokens.num_states), NEVER)
        for text, found_after in after.items():
            needs[text] = self._needs_of_set(found_after)
        with_pair = tokens.needs[state, trie.pair_types] + needs[trie.pair_texts, tokens.state_after[trie.pair_types]]
        with_id = np.append(np.minimum(with_pair, NEVER), NEVER)[trie.pair_of]
        leads = with_id < NEVER
        units, num_tokens = np.divmod(with_id[leads], UNIT)
        most = (int(units.max(initial=0)), int(num_tokens.max(initial=0)))
        self._ahead[found, state] = ahead = Ahead(with_id, after, leads, most)
        return ahead

    def _live(self, found: int) -> list[tuple[int, int]]:
        automaton = self.automaton
        live, _ = self._trie.walk(automaton, automaton.number_of(found))
        return [(text, automaton.set_of(number)) for text, number in live]

    def _needs_of_set(self, found: int) -> np.ndarray:
        if found not in self._set_needs:
            rows = self._item_needs[list(members(found))]
            self._set_needs[found] = rows.min(axis=0) if len(rows) else np.full(self.tokens.num_states, NEVER)
        return self._set_needs[found]

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
        sources, targets, costs = np.concatenate(source), np.concatenate(target), np.concatenate(cost)
        needs = np.full(num_items * K, NEVER)
        is_new = np.zeros(num_items * K, bool)
        for item in members(self.automaton.items.ends):
            needs[item * K : item * K + K], is_new[item * K : item * K + K] = 0, True
        while is_new.any():
            edges = np.flatnonzero(is_new[targets])
            better = needs.copy()
            np.minimum.at(better, sources[edges], costs[edges] + needs[targets[edges]])
            needs, is_new = better, better < needs
        return needs.reshape(num_items, K)

    def _edges(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """From which item which type of id may lead to which item: three arrays."""
        found: set[tuple[int, int, int]] = set()
        work, automaton = 0, self.automaton
        for item in range(len(automaton.items.reads)):
            if automaton.is_full:
                automaton.forget()
            live, num_steps = self._trie.walk(automaton, automaton.number_of(1 << item))
            behind = {(kind, number) for text, number in live for kind in self._trie.types_of[text]}
            for kind, number in behind:
                found.update((item, kind, after) for after in members(automaton.set_of(number)))
            work += num_steps
            if work > MAX_WORK or len(found) > MAX_EDGES:
                raise too_large()
        edges = np.array(sorted(found), np.int64).reshape(-1, 3)
        return edges[:, 0], edges[:, 1], edges[:, 2]


class _Trie:
    """The texts of all ids, as classes of characters: texts of one beginning are read together."""

    def __init__(self, tokens: Tokens, class_of: dict[str, int]):
        table = {ord(symbol): chr(number) for symbol, number in class_of.items()}
        between = "\udc00"  # no symbol of a vocabulary
        table[ord(between)] = "\U0010ffff"
        texts = between.join(tokens.texts).translate(table).split("\U0010ffff")
        numbers: dict[str, int] = {}
        self.text_of = np.array([numbers.setdefault(text, len(numbers)) for text in texts])  # [V]: texts by number
        self.num_texts = len(numbers)
        is_text = tokens.is_text
        pairs, pair_of = np.unique(
            np.stack([self.text_of, tokens.types])[:, is_text], axis=1, return_inverse=True
        )  # of a text and a type of id
        self.pair_texts, self.pair_types = pairs
        self.pair_of = np.full(len(texts), pairs.shape[1])  # [V]; behind the last where nothing is written
        self.pair_of[is_text] = pair_of.reshape(-1)
        self.types_of: list[list[int]] = [[] for _ in numbers]
        for text, kind in pairs.T.tolist():
            self.types_of[text].append(kind)
        self._texts_at = [-1]  # for each node: the number of the text that ends there
        self._children: list[dict[int, int]] = [{}]  # by class
        for text, number in numbers.items():
            self._add(text, number)

    def _add(self, text: str, number: int) -> None:
        node = 0
        for symbol in text:
            child = self._children[node].setdefault(ord(symbol), len(self._children))
            if child == len(self._children):
                self._children.append({})
                self._texts_at.append(-1)
            node = child
        if text:
            self._texts_at[node] = number

    def walk(self, automaton: Automaton, start: int) -> tuple[list[tuple[int, int]], int]:
        """All texts that can be read from the set numbered `start`, each with the set behind it; and the steps taken.

        No set is forgotten meanwhile.
        """
        found, num_steps, step = [], 0, automaton.step
        waiting = [(0, start)]
        while waiting:
            node, number = waiting.pop()
            if (text := self._texts_at[node]) >= 0:
                found.append((text, number))
            children = self._children[node]
            num_steps += len(children)
            for class_number, child in children.items():
                if (after := step(number, class_number)) != NOWHERE:
                    waiting.append((child, after))
        return found, num_steps
