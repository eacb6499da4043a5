"""The rows of JSON files: objects in lines, in a list, or one behind another.

A list is not held in memory: its objects are read one by one. Numbers keep their digits. Behind what is not JSON, the
reading goes on at the next object that begins as the one before did.
"""

import json
import re
from collections.abc import Iterable, Iterator
from functools import partial
from itertools import chain
from typing import Any

from textgen.corpus.controls import MAYBE_ESCAPED, count_escaped
from textgen.corpus.rows import LONGEST_LINE, Rows, joined, no_column, split_names, whole_lines
from textgen.corpus.surrogates import find_surrogate
from textgen.messages import shown

BEGINNING = re.compile(r'\s*(?:\[\s*)?(?P<row>\{\s*["}])')  # of rows
BEHIND_GAP = re.compile(r"[^\s,]")
IN_LINES = re.compile(r"\{.*[^\s{\[,]\s*")  # a line that begins an object and does not leave it open on purpose
NUM_SAMPLED = 20  # lines
MOST_NAMES = 100  # of columns, in an error
SURE = 16  # characters before the end of a block in which a word or a number may be cut
LONGEST_GAP = 64  # characters between two objects on one line, or before one at the start of a line
MISSING = object()
OF_LISTS = "make a row of each of its items"  # what can be done

# NaN is how pandas writes a missing cell.
DECODER = json.JSONDecoder(parse_int=str, parse_float=str, parse_constant=lambda name: None if name == "NaN" else name)


def is_json(head: str) -> bool:
    """Whether a text of that beginning holds rows of JSON, and is no CSV whose first cell is JSON."""
    if not (match := BEGINNING.match(head)):
        return False
    try:
        _, end = DECODER.raw_decode(head, match.start("row"))
    except (ValueError, RecursionError):
        return True
    behind = BEHIND_GAP.search(head, end)
    return behind is None or behind[0] in "{[]"


def json_cells(head: str, pieces: Iterable[str], column: str, rows: Rows) -> Iterator[list[str]]:
    """The text of each row in `column`, in a list; it is empty where a row has no such column.

    Args:
        head: the first characters of the file.
        pieces: all of it.

    Raises:
        CorpusError: no row has such a column, or a row is bad.
    """
    objects = _lined(pieces, rows) if _is_lined(head) else _listed(pieces, rows)
    found: set[str] = set()  # names of columns that some row has
    missed: dict[str, tuple[int, str]] = {}  # those that some row has not, its line, and the list that it has there
    known: dict[str, None] = {}
    for line, row in objects:
        value = row.get(column)
        if isinstance(value, str) and find_surrogate(value) < 0:  # nearly always
            found.add(column)
            yield [value]
            continue
        cells = []
        for name in split_names(column, partial(_has, row)):
            value = _look_up(row, name)
            if value is MISSING:
                missed.setdefault(name, (line, _list_before(row, name)))
                if len(known) < MOST_NAMES:
                    known |= dict.fromkeys(_names(row))
                continue
            found.add(name)
            text, problem = _text_of(value)
            if problem:
                rows.bad(line, f"{shown(name)!r} {problem}")
                break
            cells.append(text)
        else:
            yield [joined(cells)]
    if column not in found and (never := [name for name in missed if name not in found]):
        line, outer = missed[never[0]]
        if outer:
            raise rows.wrong(
                line, f"there is no column {shown(never[0])!r}, for {shown(outer)!r} is a list; {OF_LISTS}"
            )
        raise rows.wrong(line, no_column(never[0], list(known)[:MOST_NAMES]))


def _list_before(row: dict[str, Any], name: str) -> str:
    """Of the column `a.b`, `a`, if that is a list; else nothing."""
    outer = (name[: match.start()] for match in re.finditer(r"\.", name))
    return next((before for before in outer if isinstance(_look_up(row, before), list)), "")


def _has(row: dict[str, Any], name: str) -> bool:
    return _look_up(row, name) is not MISSING


def _look_up(row: dict[str, Any], name: str) -> Any:
    """The value of a column; `a.b` is `b` in the object `a`, unless there is a key of that name."""
    if name in row:
        return row[name]
    for match in re.finditer(r"\.", name):
        inner = row.get(name[: match.start()])
        if isinstance(inner, dict) and (value := _look_up(inner, name[match.end() :])) is not MISSING:
            return value
    return MISSING


def _names(row: dict[str, Any]) -> Iterator[str]:
    for name, value in row.items():
        if isinstance(value, dict) and value:
            yield from (f"{name}.{inner}" for inner in value)
        else:
            yield name


def _text_of(value: Any) -> tuple[str, str]:
    """A cell as text, and what is wrong with it if it is none."""
    if value is None:
        return "", ""
    if isinstance(value, bool):
        return str(value).lower(), ""
    if not isinstance(value, str):
        kind = "an object; name a field of it" if isinstance(value, dict) else f"a list; {OF_LISTS}"
        return "", f"must be text, a number, true or false. Received: {kind}"
    return value, "holds half of a surrogate pair, which is not text" if find_surrogate(value) >= 0 else ""


def _is_lined(head: str) -> bool:
    """Whether every line is an object, or wants to be one."""
    head = head.lstrip()
    first, *others = head.splitlines()[:NUM_SAMPLED] or [""]
    if head.startswith("["):
        return _is_list_of_cells(first) and any(map(_is_list_of_cells, others))
    if not head.startswith("{") or _is_object(first):
        return True
    try:
        DECODER.raw_decode(head)
    except (ValueError, RecursionError):
        return any(map(_is_object, others)) or bool(IN_LINES.fullmatch(first))
    return False


def _is_list_of_cells(line: str) -> bool:
    """Whether a line by itself is a list that holds no rows, as some programs write what should be an object."""
    try:
        value = DECODER.decode(line)
    except (ValueError, RecursionError):
        return False
    return isinstance(value, list) and value != [] and not any(isinstance(item, dict) for item in value)


def _is_object(line: str) -> bool:
    try:
        return isinstance(DECODER.decode(line), dict)
    except (ValueError, RecursionError):
        return False


def _reason(error: json.JSONDecodeError) -> str:
    """What is wrong, of which a place follows."""
    return error.msg.rstrip(": ").removesuffix(" at")


def _lined(pieces: Iterable[str], rows: Rows) -> Iterator[tuple[int, dict[str, Any]]]:
    """The object of each line, with the number of the line."""
    for number, line in enumerate(chain.from_iterable(whole_lines(pieces, "\n", rows)), 1):
        if line.isspace():
            continue
        try:
            row = _decoded(line)
        except json.JSONDecodeError as error:
            rows.bad(number, f"it is not JSON: {_reason(error)} at column {error.colno:,}")
        except (ValueError, RecursionError) as error:  # thousands of brackets
            rows.bad(number, f"it is not JSON that Python reads: {shown(error)}")
        else:
            if isinstance(row, dict):
                if MAYBE_ESCAPED in line:
                    count_escaped(line, number, rows.shown_name, rows.tally)
                yield number, row
            else:
                rows.bad(number, f"every row must be an object. Received: {shown(line.strip()[:40])}")


def _decoded(line: str) -> Any:
    """The value in a line. Raises ValueError where there is none, or more, and RecursionError."""
    try:
        row, end = DECODER.raw_decode(line)  # nearly always; `decode` looks for white space around it first
        if end >= len(line) - 1 and line[end:] in ("\n", ""):
            return row
    except ValueError:
        pass
    return DECODER.decode(line.removesuffix("\n"))


def _listed(pieces: Iterable[str], rows: Rows) -> Iterator[tuple[int, dict[str, Any]]]:
    """The objects of a list, or those that stand one behind another, with the number of the line each begins in."""
    text = _Text(pieces, rows)
    is_open = False
    while text.skip_gap():
        symbol = text.buffer[text.place]
        if symbol == "]" or (symbol == "[" and not is_open):
            is_open = symbol == "["
            text.pass_to(text.place + 1)
            continue
        value, end = text.value()
        if isinstance(value, dict):
            count_escaped(text.buffer[text.place : end], text.line, rows.shown_name, rows.tally)
            yield text.line, value
        elif end:
            received = shown(text.buffer[text.place : min(end, text.place + 40)])
            rows.bad(text.line, f"every row must be an object. Received: {received}")
        else:
            rows.bad(text.line, value)
            is_open = text.skip_bad() and is_open
            continue
        text.pass_to(end)
    if is_open:
        rows.bad(text.line, "the list of rows is never closed. Is the file cut?")


class _Text:
    """The text of a file from some place on, of which no more is held than one value takes."""

    def __init__(self, pieces: Iterable[str], rows: Rows):
        self.buffer, self.place, self.line = "", 0, 1
        self._pieces, self._rows = iter(pieces), rows
        self._indent: str | None = ""  # what stands before the value on its line; None where that is another value

    def more(self) -> bool:
        """Hold more of the text, at least as much as before; False at its end, where nothing changes."""
        num_held = len(self.buffer) - self.place
        if num_held > LONGEST_LINE:
            raise self._rows.wrong(self.line, f"the row is longer than {LONGEST_LINE:,} characters")
        parts, num_new = [self.buffer[self.place :]], 0
        for piece in self._pieces:
            parts.append(piece)
            num_new += len(piece)
            if num_new > num_held:
                break
        if num_new:
            self.buffer, self.place = "".join(parts), 0
        return num_new > 0

    def pass_to(self, place: int) -> None:
        """Go on from that place of the buffer."""
        self.line += self.buffer.count("\n", self.place, place)
        self.place = place
        self._indent = None

    def skip_gap(self) -> bool:
        """Pass over white space and commas; False at the end of the text."""
        while True:
            match = BEHIND_GAP.search(self.buffer, self.place)
            end = match.start() if match else len(self.buffer)
            indent, gap = self._indent, self.buffer[self.place : end]
            if "\n" in gap:
                indent = gap.rpartition("\n")[2]
            elif indent is not None:
                indent += gap
            self.pass_to(end)
            self._indent = indent if indent is not None and len(indent) <= LONGEST_GAP else None
            if match:
                return True
            if not self.more():
                return False

    def value(self) -> tuple[Any, int]:
        """The value at this place and its end in the buffer; of what is not JSON, the problem and 0."""
        while True:
            try:
                value, end = DECODER.raw_decode(self.buffer, self.place)
            except json.JSONDecodeError as error:
                is_cut = error.msg.startswith("Unterminated") or error.pos > len(self.buffer) - SURE
                if is_cut and self.more():
                    continue
                line = self.line + self.buffer.count("\n", self.place, error.pos)
                is_open = ". Is the file cut?" if error.msg.startswith("Unterminated") else ""
                return f"it is not JSON: {_reason(error)} in line {line:,}{is_open}", 0
            except (ValueError, RecursionError) as error:
                return f"it is not JSON that Python reads: {shown(error)}", 0
            if isinstance(value, dict) or end <= len(self.buffer) - SURE or not self.more():
                return value, end

    def skip_bad(self) -> bool:
        """Pass over a value that is not JSON, to where the next object seems to begin; False where there is none."""
        pattern = r"\}\s*,\s*(?=\{)"
        if self._indent is not None:
            pattern = rf"\n{self._indent}(?:{pattern}|(?=\{{))"
        while (match := re.compile(pattern).search(self.buffer, self.place + 1)) is None:
            self.pass_to(max(self.place, len(self.buffer) - LONGEST_GAP))
            if not self.more():
                self.pass_to(len(self.buffer))
                return False
        indent = self._indent
        self.pass_to(match.end())
        self._indent = indent
        return True
