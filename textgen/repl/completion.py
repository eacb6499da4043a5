"""What a line can become at a press of the tab key."""

from collections.abc import Callable, Iterable, Iterator

from prompt_toolkit.buffer import Buffer
from prompt_toolkit.completion import (
    CompleteEvent,
    Completer,
    Completion,
    PathCompleter,
    get_common_complete_suffix,
)
from prompt_toolkit.document import Document
from prompt_toolkit.utils import is_dumb_terminal

from textgen.repl.commands import COMMANDS, SETTINGS


def complete(buffer: Buffer, completer: Completer) -> None:
    """Add at once what is certain, and otherwise show a menu or go on in it.

    What prompt_toolkit does at a tab comes later than a key that follows it, as when keys waited in the terminal.
    """
    found = list(completer.get_completions(buffer.document, CompleteEvent(completion_requested=True)))
    if is_dumb_terminal():  # it shows no menu, and of what is added only the last symbol
        for symbol in get_common_complete_suffix(buffer.document, found):
            buffer.insert_text(symbol)
        return
    if buffer.complete_state:
        buffer.complete_next()
        return
    if len(found) == 1:
        buffer.apply_completion(found[0])
    elif certain := get_common_complete_suffix(buffer.document, found):
        buffer.insert_text(certain)
    elif found:
        buffer.start_completion()


class CommandCompleter(Completer):
    """Completes commands, settings and their values, names of stories, and paths."""

    def __init__(self, branches: Callable[[], Iterable[str]]):
        """Args: branches: gives the names of the stories as they are now."""
        self.branches = branches

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterator[Completion]:
        """What the line before the cursor can become."""
        name, space, argument = document.text_before_cursor.partition(" ")
        if not name.startswith("/"):
            return
        completes = COMMANDS[name].completes if name in COMMANDS else ""
        if not space:
            yield from _words(COMMANDS, name)
        elif completes == "setting":
            yield from self._settings(argument)
        elif completes == "branch":
            yield from _words(self.branches(), argument)
        elif completes == "file":
            yield from PathCompleter(expanduser=True).get_completions(Document(argument), complete_event)

    def _settings(self, argument: str) -> Iterator[Completion]:
        given, space, value = argument.partition(" ")
        name = given.lstrip("-").replace("-", "_")
        if not space:
            yield from (Completion(word, start_position=-len(given)) for word in SETTINGS if word.startswith(name))
        elif name in SETTINGS:
            default, choices = SETTINGS[name].default, SETTINGS[name].metadata["choices"]
            switches = ("on", "off") if isinstance(default, bool) else ("off",) if default in ((), None) else ()
            yield from _words((*choices, *switches), value)


def _words(words: Iterable[str], typed: str) -> Iterator[Completion]:
    yield from (Completion(word, start_position=-len(typed)) for word in words if word.startswith(typed))
