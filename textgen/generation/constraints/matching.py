"""Texts that match a pattern as a whole, and that hold some words where these are given too."""

from collections.abc import Sequence
from functools import reduce

import numpy as np

from textgen.generation.constraints.items import both, items_of, kinds_of
from textgen.generation.constraints.patterns import Graph, unknown_on_the_way
from textgen.generation.constraints.reach import Reach
from textgen.generation.constraints.tokens import NEVER, Tokens, UnwritableError, check_length, within


class Matching:
    """The constraint of `regex`, as `rows.Constraint`. A place is a set of items."""

    def __init__(self, tokens: Tokens, start_state: int, pattern: str | None, others: Sequence[tuple[Graph, int]] = ()):
        """Args:

        pattern: None allows any text.
        others: graphs of what a text has to match too, each with the place where it begins.

        Raises:
            SettingError: the pattern is none, too large, or cannot be matched in the length.
        """
        self.tokens, self.start_state = tokens, start_state
        graph = Graph()
        graphs = [(graph, graph.add_pattern(r"(?s:.*)" if pattern is None else pattern)), *others]
        kinds = kinds_of(tokens.alphabet, [graph for graph, _ in graphs])
        items = reduce(both, [items_of(graph, [start], kinds) for graph, start in graphs])
        self.start = items.starts[0]
        self._reach = Reach(items, tokens, kinds)
        self._check(graphs, ["`regex`"] * (pattern is not None) + ["`must_include`"] * bool(others))

    def leads(self, place: int, state: int, units: int, num_tokens: int) -> np.ndarray:
        """As in `Constraint`."""
        ahead = self._reach.ahead(place, state)
        if ahead.most[0] <= units and ahead.most[1] <= num_tokens:
            return ahead.leads
        return within(ahead.needs, units, num_tokens)

    def after(self, place: int, state: int, token_id: int) -> int:
        """As in `Constraint`."""
        return self._reach.after(place, state, token_id)

    def may_end(self, place: int) -> bool:
        """As in `Constraint`."""
        return self._reach.automaton.may_end(place)

    def _check(self, graphs: Sequence[tuple[Graph, int]], settings: list[str]) -> None:
        need, what = self._reach.need(self.start, self.start_state), " together with ".join(settings)
        if need >= NEVER:
            alphabet = self.tokens.alphabet
            unknown = [name for graph, start in graphs for name in unknown_on_the_way(graph, start, alphabet)]
            message = f"{what} asks for a text that this model cannot write"
            raise UnwritableError(message, unknown, was_dear=self._reach.was_dear)
        check_length(what, need, self.tokens)
