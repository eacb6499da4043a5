"""The places of a pattern at which a text may stand, and what may come there.

Of a graph's places only those that read a character and the end matter. `$` and `\\b` look ahead, so a place behind
them is an *item* of its own, with a condition on the rest of the text. A set of items is a number with a bit for each.
"""

import dataclasses
import re
from collections.abc import Iterator, Mapping, Sequence

from textgen.errors import SettingError
from textgen.generation.constraints.patterns import END, Assertion, Graph, Reading

MAX_ITEMS = 20_000
MAX_FOLLOWING = 2_000_000  # places that are looked at for what follows all items

# What a rest of a text may be: nothing, a newline alone, more after a newline, or a text with another first character.
NOTHING, NEWLINE_ALONE, NEWLINE_AND_MORE, ASCII_WORD, OTHER_WORD, OTHER = (1 << i for i in range(6))
ANYTHING = 63
NEWLINE = NEWLINE_ALONE | NEWLINE_AND_MORE
START = 0  # the kind of what stands before a text
WORD_CHARACTER = re.compile(r"\w")
# Whether `\B` matches an empty text depends on Python's version.
IS_INSIDE_NOTHING = re.fullmatch(r"\B", "") is not None


@dataclasses.dataclass(frozen=True)
class Items:
    """Where a text may stand; an item's number is its place in the lists."""

    starts: list[int]  # sets: where texts begin, one for each kind of beginning
    ends: int  # the set of those where a text may end
    reads: list[frozenset[str]]  # the characters that each reads
    following: list[dict[int, int]]  # for each, by the kind of the character: the set where the text then stands


def kinds_of(alphabet: str, graphs: Sequence[Graph]) -> dict[str, int]:
    """The kind of each character, which is that of a text that begins with it; all alike where none is asked for."""
    if not any(isinstance(place.what, Assertion) for graph in graphs for place in graph.places):
        return dict.fromkeys(alphabet, OTHER)
    return {symbol: _kind_of(symbol) for symbol in alphabet}


def _kind_of(symbol: str) -> int:
    if symbol == "\n":
        return NEWLINE
    if WORD_CHARACTER.match(symbol):
        return ASCII_WORD if symbol.isascii() else OTHER_WORD
    return OTHER


def members(bits: int) -> Iterator[int]:
    """The numbers in a set."""
    while bits:
        last = bits & -bits
        yield last.bit_length() - 1
        bits ^= last


def items_of(graph: Graph, starts: Sequence[int], kinds: Mapping[str, int]) -> Items:
    """The items of a graph, in which texts begin at one of the places `starts`, over the alphabet of `kinds`.

    Raises SettingError where they are too many.
    """
    alphabet = "".join(kinds)
    readings = {place.what for place in graph.places if isinstance(place.what, Reading)}
    read = {what: frozenset(re.findall(what.pattern, alphabet, what.flags)) for what in readings}
    read_kinds = {what: frozenset(kinds[symbol] for symbol in symbols) for what, symbols in read.items()}
    search = _Search(graph)
    first = [search.reach(start, START, ANYTHING) for start in starts]
    reads: list[frozenset[str]] = []
    following: list[dict[int, int]] = []
    ends = 0
    for number, (place, rest) in enumerate(search.items):  # which grow meanwhile
        what = graph.places[place].what
        if isinstance(what, Reading):
            reads.append(read[what])
            following.append({kind: search.follow(place, rest, kind) for kind in read_kinds[what] if kind & rest})
        else:
            ends |= 1 << number
            reads.append(frozenset())
            following.append({})
    return Items(first, ends, reads, following)


class _Search:
    """Finds items, and numbers them as they are found."""

    def __init__(self, graph: Graph):
        self.places = graph.places
        self.items: list[tuple[int, int]] = []  # place, and what the rest of the text may be there
        self._numbers: dict[tuple[int, int], int] = {}
        self._num_seen = 0

    def follow(self, place: int, rest: int, kind: int) -> int:
        """The items behind `place`, which reads a character of that kind."""
        then = ANYTHING
        if kind == NEWLINE:
            alone = NOTHING if rest & NEWLINE_ALONE else 0
            then = alone | (ANYTHING & ~NOTHING if rest & NEWLINE_AND_MORE else 0)
        return self.reach(self.places[place].following[0], kind, then)

    def reach(self, place: int, before: int, rest: int) -> int:
        """The items of a text that stands at `place` behind a character of the kind `before`."""
        found, seen, waiting = 0, set(), [(place, rest)]
        while waiting:
            if (here := waiting.pop()) in seen:
                continue
            seen.add(here)
            place, rest = here
            what, following = self.places[place]
            if isinstance(what, Assertion):
                rest &= _asserted(what, before)
            elif isinstance(what, Reading) or place == END:
                found |= 1 << self._number(place, rest) if isinstance(what, Reading) or rest & NOTHING else 0
                continue
            if rest:
                waiting += [(next_place, rest) for next_place in following]
        self._num_seen += len(seen)
        if self._num_seen > MAX_FOLLOWING or len(self.items) > MAX_ITEMS:
            raise TooLargeError
        return found

    def _number(self, place: int, rest: int) -> int:
        number = self._numbers.setdefault((place, rest), len(self.items))
        if number == len(self.items):
            self.items.append((place, rest))
        return number


def _asserted(assertion: Assertion, before: int) -> int:
    """What the rest of a text may be where an assertion holds, behind a character of the kind `before`."""
    name, flags = assertion
    is_by_line = bool(flags & re.MULTILINE)
    if name in ("AT_BEGINNING", "AT_BEGINNING_STRING"):
        begins_line = is_by_line and name == "AT_BEGINNING" and before == NEWLINE
        return ANYTHING if before == START or begins_line else 0
    if name == "AT_END":
        return NOTHING | (NEWLINE if is_by_line else NEWLINE_ALONE)
    if name == "AT_END_STRING":
        return NOTHING
    word = ASCII_WORD if flags & re.ASCII else ASCII_WORD | OTHER_WORD
    boundary = ANYTHING & ~word if before & word else word
    if name == "AT_BOUNDARY":
        return boundary
    return ANYTHING & ~boundary & ~(NOTHING if before == START and not IS_INSIDE_NOTHING else 0)


def both(one: Items, other: Items) -> Items:
    """The items of the texts that match both, from the first start of each. Raises SettingError where they are many."""
    pairs: list[tuple[int, int]] = []
    numbers: dict[tuple[int, int], int] = {}

    def paired(set_one: int, set_other: int) -> int:
        found = 0
        others = list(members(set_other))
        for a in members(set_one):
            for b in others:
                number = numbers.setdefault((a, b), len(pairs))
                if number == len(pairs):
                    pairs.append((a, b))
                found |= 1 << number
            if len(pairs) > MAX_ITEMS:
                raise TooLargeError
        return found

    start = paired(one.starts[0], other.starts[0])
    reads: list[frozenset[str]] = []
    shared: dict[tuple[frozenset[str], frozenset[str]], frozenset[str]] = {}
    following: list[dict[int, int]] = []
    num_following = ends = 0
    for number, (a, b) in enumerate(pairs):  # which grow meanwhile
        after, after_other = one.following[a], other.following[b]
        sets = (one.reads[a], other.reads[b])
        reads.append(shared.setdefault(sets, sets[0] & sets[1]))
        following.append({k: paired(after[k], after_other[k]) for k in after.keys() & after_other.keys()})
        num_following += sum(found.bit_count() for found in following[-1].values())
        if num_following > MAX_FOLLOWING:
            raise TooLargeError
        ends |= (one.ends >> a & other.ends >> b & 1) << number
    return Items([start], ends, reads, following)


class TooLargeError(SettingError):
    """A pattern has more places than can be followed."""

    def __init__(self) -> None:
        super().__init__(
            "`regex` is too large: there are too many ways to match it. Give a shorter pattern, smaller numbers of "
            "repetitions, or fewer words with it"
        )
