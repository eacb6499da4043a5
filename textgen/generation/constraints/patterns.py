"""A regular expression as a graph: what is read at each place, and which places follow.

Python's own parser reads the pattern, so a text matches here exactly where `re.fullmatch` says so. What makes a pattern
more than a regular expression is refused: backreferences, conditions, look-around, atomic groups and possessive
repetitions. Lazy repetitions match what greedy ones do.

NOTE: the parser is private to Python. Its operations have had the same names since `sre_parse`, and one that is not
known here is refused. Libraries that make automata (interegular, greenery) read other languages than `re` does, and
make the whole automaton at once, which `(.*a.{20})` blows up.
"""

import collections
import importlib
import re
import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple

from textgen.errors import SettingError
from textgen.messages import shown

MAX_PLACES = 10_000  # of a pattern whose repetitions are written out
END = 0  # the place where a pattern is over

# What is not regular, or would be another language if it were read as if it were.
REFUSED = {
    "GROUPREF": "a reference to a group",
    "GROUPREF_EXISTS": "a condition on a group",
    "ASSERT": "a look-around",
    "ASSERT_NOT": "a look-around",
    "FAILURE": "a look-around",
    "ATOMIC_GROUP": "an atomic group",
    "POSSESSIVE_REPEAT": "a possessive repetition",
}
CATEGORIES = {
    "CATEGORY_DIGIT": r"\d",
    "CATEGORY_NOT_DIGIT": r"\D",
    "CATEGORY_SPACE": r"\s",
    "CATEGORY_NOT_SPACE": r"\S",
    "CATEGORY_WORD": r"\w",
    "CATEGORY_NOT_WORD": r"\W",
}
KINDS_OF_TEXT = re.ASCII | re.LOCALE | re.UNICODE  # of which one group has one
READING_FLAGS = re.ASCII | re.IGNORECASE | re.DOTALL  # which change what one character may be


class Reading(NamedTuple):
    """One character: a pattern of it, and flags that it is read with."""

    pattern: str
    flags: int


class Assertion(NamedTuple):
    """A condition on the characters beside a place: the parser's name of it, and flags that it is read with."""

    name: str
    flags: int


class Place(NamedTuple):
    """Reads a character, asserts something, or does neither; then one of `following` comes."""

    what: Reading | Assertion | None
    following: list[int]


class Graph:
    """The places of one or more patterns. Patterns are added from their end, each before a place that there is."""

    def __init__(self) -> None:
        self.places = [Place(None, [])]  # END

    def add(self, following: list[int], what: Reading | Assertion | None = None) -> int:
        """The number of a new place. Raises SettingError where there are too many."""
        if len(self.places) > MAX_PLACES:
            raise SettingError(
                f"`regex` is too large: it has more than {MAX_PLACES:,} characters when its repetitions are written "
                "out. Give a shorter pattern, or smaller numbers"
            )
        self.places.append(Place(what, following))
        return len(self.places) - 1

    def add_pattern(self, pattern: str, following: int = END) -> int:
        """The place where `pattern` begins, after which `following` comes. Raises SettingError."""
        try:
            tree = parsed(pattern)
            return self._sequence(tree, tree.state.flags, following)
        except RecursionError:
            raise SettingError("`regex` is nested too deeply. Give a pattern with fewer groups in groups") from None

    def _sequence(self, tree: Any, flags: int, following: int) -> int:
        for operation, value in reversed(tree):
            following = self._operation(operation.name, value, flags, following)
        return following

    def _operation(self, name: str, value: Any, flags: int, following: int) -> int:
        if name == "AT":
            return self.add([following], Assertion(value.name, flags))
        if name == "BRANCH":
            return self.add([self._sequence(tree, flags, following) for tree in value[1]])
        if name == "SUBPATTERN":
            _, added, removed, tree = value
            kept = flags & ~KINDS_OF_TEXT if added & KINDS_OF_TEXT else flags
            return self._sequence(tree, (kept | added) & ~removed, following)
        if name in ("MAX_REPEAT", "MIN_REPEAT"):
            least, most, tree = value
            return self._repeat(least, most, tree, flags, following)
        if name in ("LITERAL", "NOT_LITERAL", "ANY", "IN"):
            return self.add([following], Reading(_pattern_of(name, value), int(flags & READING_FLAGS)))
        what = REFUSED.get(name, f"an operation that textgen does not know ({shown(name)})")
        raise SettingError(
            f"`regex` has {what}, which no automaton can follow. Write the pattern with characters, sets, groups, "
            "alternatives, repetitions and anchors alone"
        )

    def _repeat(self, least: int, most: int, tree: Any, flags: int, following: int) -> int:
        end = following
        if most >= _MAX_REPEAT:
            following = self.add([end])
            self.places[following].following.insert(0, self._sequence(tree, flags, following))
        for number in range(most if following == end else least, 0, -1):
            first = self._sequence(tree, flags, following)
            if first == following:  # what is repeated reads nothing
                break
            following = first if number <= least else self.add([first, end])
        return following


_MAX_REPEAT = int(importlib.import_module("re._constants").MAXREPEAT)


def parsed(pattern: str) -> Any:
    """The tree of `pattern`, as Python's parser makes it. Raises SettingError where it is no regular expression."""
    parser = importlib.import_module("re._parser")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what another Python may read in another way
            return parser.parse(pattern)
    except (re.error, OverflowError) as problem:
        raise SettingError(f"`regex` is no regular expression: {shown(problem)}") from None


def unknown_on_the_way(graph: Graph, start: int, alphabet: str) -> list[str]:
    """What keeps a text of `alphabet` from an end of `graph`, for people: what must be read and is none of it.

    Of all ways from `start` it is that with the least of such characters; [] where there is one without any. Assertions
    are taken to hold.
    """
    readings = {place.what for place in graph.places if isinstance(place.what, Reading)}
    is_known = {what: re.search(what.pattern, alphabet, what.flags) is not None for what in readings}
    before: dict[int, int] = {}  # the place that each was first reached from, the start from itself
    waiting = collections.deque([(start, start)])
    while END not in before:
        place, previous = waiting.popleft()
        if place in before:
            continue
        before[place] = previous
        what, following = graph.places[place]
        is_free = not isinstance(what, Reading) or is_known[what]
        (waiting.extendleft if is_free else waiting.extend)((other, place) for other in following)
    found, place = [], END
    while place != start:
        place = before[place]
        what = graph.places[place].what
        if isinstance(what, Reading) and not is_known[what]:
            found.append(_shown(what))
    return list(dict.fromkeys(reversed(found)))


def _shown(reading: Reading) -> str:
    """What is read, as people write it."""
    pattern = re.sub(r"\\U([0-9a-f]{8})", lambda match: chr(int(match[1], 16)), reading.pattern)
    return shown(repr(pattern) if len(pattern) == 1 else f"any of {pattern}", 60)


def _pattern_of(name: str, value: Any) -> str:
    """A pattern of one character, which the parser reads as this operation again."""
    if name == "ANY":
        return "."
    if name == "LITERAL":
        return _escaped(value)
    if name == "NOT_LITERAL":
        return f"[^{_escaped(value)}]"
    return f"[{''.join(map(_item, value))}]"


def _item(item: Sequence[Any]) -> str:
    operation, value = item
    if operation.name == "NEGATE":
        return "^"
    if operation.name == "RANGE":
        return f"{_escaped(value[0])}-{_escaped(value[1])}"
    return CATEGORIES[value.name] if operation.name == "CATEGORY" else _escaped(value)


def _escaped(point: int) -> str:
    return f"\\U{point:08x}"
