"""A session in a file: every story with its turns, what /undo and /redo go to, the settings and the sample number.

The file is JSON, made for textgen and not for reading. It is replaced whole after each change. Nothing else is ever
replaced: not a file that is no session, nor a session that another program has written to since.

A place in a story is a number in the list of passages, and a story a number in the list of stories, so that what
stories have in common stands in the file once. Each refers to smaller numbers only.
"""

import json
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from textgen.config import SamplingConfig
from textgen.errors import SettingError
from textgen.messages import shown
from textgen.repl.desk import MAX_BRANCHES, MAX_NAME, Desk, History
from textgen.repl.reach import MAX_MARK, MAX_WORDS, Reach
from textgen.repl.session import CommandError, ModelFacts, Session
from textgen.repl.story import Passage, Story, Turn
from textgen.schema import received
from textgen.store.opening import open_regular
from textgen.store.output_file import write_file
from textgen.store.strict_json import parse_json

KIND, VERSION = "textgen session", 1
BEGINNING = f'{{"kind": "{KIND}"'.encode()
MAX_BYTES = 16 * 2**20
MAX_CHANGES = 1000  # to be taken back tomorrow, and as many to be done again
MAX_PASSAGES_IN_TURN = 4  # what was given, what was written, and where one of them was cut
MAX_SAMPLE = 2**62
ADVICE = "It stays as it is. Name another file"
KINDS = {dict: "an object", list: "a list", str: "a text", int: "a whole number"}


class SessionFile:
    """Keeps a session in a file."""

    def __init__(self, path: Path):
        self.path = path
        self._kept: tuple[object, ...] = ()  # what the file holds
        self._stamp: tuple[int, ...] | None = None  # of the file as we know it

    def open(self, session: Session) -> str:
        """Begin to keep `session`, or go on with the one that the file holds. Returns what is to be said of that.

        Raises:
            CommandError: the file holds no session, or cannot be read or written, or a story that is kept nowhere would
                be lost. Then nothing has changed.
        """
        if session.file is not None:
            session.file.keep(session)
        content, stamp = _read(self.path)
        if content is None:
            self._write(session)
            session.file = self
            return f"the session is kept in {self.path} from now on"
        facts = _parsed(self.path, content)
        if session.file is None and any(story.text for story in session.desk.branches.values()):
            raise CommandError(
                f"{self.path} holds a session, and the story here is kept in no file. /session OTHER keeps it first"
            )
        try:
            history, config, next_sample, model = _from_json(facts)
        except SettingError as problem:
            said = str(problem).replace("`", "")
            raise CommandError(f"{shown(self.path)} is a damaged session: in settings, {said:.200}. {ADVICE}") from None
        except ValueError as problem:
            raise CommandError(f"{shown(self.path)} is a damaged session: {problem!s:.200}. {ADVICE}") from None
        session.history, session.config, session.next_sample = history, config, next_sample
        self._kept, self._stamp, session.file = _state_of(session), stamp, self
        other = "" if model.sha256 == session.model.sha256 else f"; it was written with another model, {model.name}"
        return f"the session of {self.path} goes on{other}"

    def keep(self, session: Session) -> None:
        """Write the session if it has changed. Raises CommandError; the next change tries again."""
        if _state_of(session) == self._kept:
            return
        if _stamp_of(self.path) != self._stamp:
            session.file = None
            raise CommandError(
                f"{self.path} was changed or removed by another program, and is left as it is. The session is kept "
                "no longer: /session FILE keeps it in another file"
            )
        self._write(session)

    def _write(self, session: Session) -> None:
        state = _state_of(session)
        text = json.dumps(_to_json(session), ensure_ascii=False, allow_nan=False) + "\n"
        if len(text.encode()) > MAX_BYTES:
            raise CommandError(f"the session is too large to be kept: more than {MAX_BYTES:,} bytes. /save the story")
        try:
            write_file(self.path, text)
        except (OSError, ValueError) as problem:
            said = getattr(problem, "strerror", None) or problem
            raise CommandError(f"the session cannot be kept in {self.path}: {said}") from None
        self._kept, self._stamp = state, _stamp_of(self.path)


def _state_of(session: Session) -> tuple[object, ...]:
    return session.history, session.config, session.next_sample


def _stamp_of(path: Path) -> tuple[int, ...] | None:
    try:
        return _stamp(os.stat(path))
    except OSError:
        return None


def _stamp(status: os.stat_result) -> tuple[int, ...]:
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def _read(path: Path) -> tuple[bytes | None, tuple[int, ...] | None]:
    """The bytes of a file, None where there is none, and its stamp."""
    try:
        with open_regular(path) as file:
            status = os.fstat(file.fileno())
            if status.st_size > MAX_BYTES:
                raise _no_session(path)
            return file.read(MAX_BYTES), _stamp(status)
    except FileNotFoundError:
        return None, None
    except (OSError, ValueError) as problem:
        said = getattr(problem, "strerror", None) or problem
        raise CommandError(f"{path} cannot be opened as a session: {said}") from None


def _no_session(path: Path) -> CommandError:
    return CommandError(f"{path} is no session of textgen, and stays as it is. Name another file")


def _parsed(path: Path, content: bytes) -> dict[str, Any]:
    try:
        document = parse_json(content)
    except (ValueError, RecursionError) as problem:
        if content.startswith(BEGINNING):
            raise CommandError(f"{path} is a damaged session: {problem!s:.200}. {ADVICE}") from None
        raise _no_session(path) from None
    if not isinstance(document, dict) or document.get("kind") != KIND:
        raise _no_session(path)
    if document.get("version") != VERSION:
        raise CommandError(f"{path} is a session of another version of textgen than this one. {ADVICE}")
    return document


class _Table:
    """Rows that get their numbers as they come; what a row builds on comes before it. Number -1 is nothing."""

    def __init__(self, earlier: Callable[[Any], Any], row: Callable[[Any, int], list[Any]]):
        self.rows: list[list[Any]] = []
        self._earlier, self._row = earlier, row
        self._numbers: dict[Any, int] = {None: -1}

    def number(self, item: Any) -> int:
        """The number of `item`, which may be None."""
        unknown = []
        while item not in self._numbers:
            unknown.append(item)
            item = self._earlier(item)
        number = self._numbers[item]
        for one in reversed(unknown):
            self.rows.append(self._row(one, number))
            number = self._numbers[one] = len(self.rows) - 1
        return number


def _to_json(session: Session) -> dict[str, Any]:
    passages = _Table(lambda passage: passage.previous, lambda passage, previous: [previous, passage.text])

    def story_row(story: Story, earlier: int) -> list[Any]:
        turn: Any = story.last
        places = passages.number(turn.prompted), passages.number(turn.after)
        return [earlier, *places, turn.reach.words, turn.reach.to, *([1] if turn.reach.after_piece else [])]

    stories = _Table(lambda story: _unless_empty(story.earlier), story_row)

    def desk_json(desk: Desk) -> dict[str, Any]:
        numbers = {name: stories.number(_unless_empty(story)) for name, story in desk.branches.items()}
        return {"name": desk.name, "stories": numbers}

    history = session.history
    return {
        "kind": KIND,
        "version": VERSION,
        "model": {"name": session.model.name, "sha256": session.model.sha256},
        "settings": session.config.to_json(),
        "next_sample": session.next_sample,
        "present": desk_json(history.present),
        "past": [desk_json(desk) for desk in history.past[-MAX_CHANGES:]],
        "future": [desk_json(desk) for desk in history.future[-MAX_CHANGES:]],
        "stories": stories.rows,
        "passages": passages.rows,
    }


def _unless_empty(story: Story) -> Story | None:
    return story if story.last else None


def _from_json(document: dict[str, Any]) -> tuple[History, SamplingConfig, int, ModelFacts]:
    """What `_to_json` wrote. Raises ValueError, which names the field and says what is expected, or SettingError."""
    given = _field(document, "settings", dict)
    config = SamplingConfig.from_json(SamplingConfig().to_json() | given)  # older ones had fewer
    passages: list[Passage] = []
    for what, (previous, text) in _rows(document, "passages", 2):
        passages.append(Passage(_text(text, what), _earlier(previous, what, passages, None)))
    stories: list[Story] = []
    for what, (number, prompted, after, words, to, *others) in _rows(document, "stories", 5):
        earlier = _earlier(number, what, stories, Story())
        begin, end = (passages[_number(place, what, len(passages) - 1)] for place in (prompted, after))
        reach = Reach(_number(words, what, MAX_WORDS), _text(to, what, MAX_MARK), after_piece=others == [1])
        stories.append(earlier.add(_turn(what, earlier.end, begin, end, reach)))

    def desk_of(facts: dict[str, Any], what: str) -> Desk:
        name, numbers, empty = _field(facts, "name", str, what), _field(facts, "stories", dict, what), Story()
        if not 1 <= len(numbers) <= MAX_BRANCHES or name not in numbers:
            raise ValueError(f"{what}.stories must be 1 to {MAX_BRANCHES} stories, with {what}.name among them")
        found = {
            _text(name, f"{what}.stories", MAX_NAME): _earlier(number, f"{what}.stories", stories, empty)
            for name, number in numbers.items()
        }
        return Desk(name, found)

    past, future = (
        tuple(desk_of(_kind(facts, dict, what), what) for what, facts in _items(document, name))
        for name in ("past", "future")
    )
    facts = _field(document, "model", dict)
    name, sha256 = (_text(_field(facts, part, str, "model"), f"model.{part}", 1000) for part in ("name", "sha256"))
    present = desk_of(_field(document, "present", dict), "present")
    next_sample = _number(_field(document, "next_sample", int), "next_sample")
    return History(present, past, future), config, next_sample, ModelFacts(name=name, sha256=sha256)


def _kind(value: Any, kind: type, what: str) -> Any:
    if not isinstance(value, kind):
        raise ValueError(f"{what} must be {KINDS[kind]}. Received: {received(value):.80}")
    return value


def _field(facts: dict[str, Any], name: str, kind: type, within: str = "") -> Any:
    """The value of a field, of that kind; `within` names what it is a part of."""
    what = f"{within}.{name}" if within else name
    if name not in facts:
        raise ValueError(f"{what} is missing, which must be {KINDS[kind]}")
    return _kind(facts[name], kind, what)


def _items(document: dict[str, Any], name: str) -> list[tuple[str, Any]]:
    """The items of a list, each with its name."""
    return [(f"{name}[{number}]", item) for number, item in enumerate(_field(document, name, list))]


def _rows(document: dict[str, Any], name: str, size: int) -> Iterator[tuple[str, list[Any]]]:
    """The rows of a table, each with its name; a story's may have one value more."""
    for what, row in _items(document, name):
        if not isinstance(row, list) or not size <= len(row) <= size + (name == "stories"):
            raise ValueError(f"{what} must be a list of {size} values. Received: {received(row):.80}")
        yield what, row


def _number(value: Any, what: str, most: int = MAX_SAMPLE, least: int = 0) -> int:
    if type(value) is not int or not least <= value <= most:
        raise ValueError(f"{what} must hold a whole number from {least} to {most}. Received: {received(value):.80}")
    return value


def _earlier(number: Any, what: str, rows: Sequence[Any], nothing: Any) -> Any:
    """One of `rows`, of those before it; -1 is `nothing`."""
    return nothing if _number(number, what, len(rows) - 1, -1) == -1 else rows[number]


def _text(value: Any, what: str, most: int = MAX_BYTES) -> str:
    if not isinstance(value, str) or len(value) > most:
        raise ValueError(f"{what} must hold a text of at most {most} characters. Received: {received(value):.80}")
    return value


def _turn(what: str, before: Passage | None, prompted: Passage, after: Passage, reach: Reach) -> Turn:
    """A turn of places that follow each other; what lies between is short, so that no file makes it long to find."""
    for begin, end in ((before, prompted), (prompted, after)):
        place: Passage | None = end
        for _ in range(MAX_PASSAGES_IN_TURN):
            if place is not begin and place is not None:
                place = place.previous
        if place is not begin:
            raise ValueError(f"{what} must have places that follow each other")
    return Turn(before, prompted, after, reach)
