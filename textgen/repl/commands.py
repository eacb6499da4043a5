"""The slash commands, as one table, from which dispatch, `/help` and completion are made.

A command takes the session and the text after its name. It raises a TextgenError where it cannot be done, and then
nothing has changed.
"""

import dataclasses
import functools
import re
import shlex
import textwrap
import typing
from collections.abc import Callable
from typing import Any

from textgen.config import SamplingConfig
from textgen.generation.following import check_together
from textgen.messages import counted, nearest, shown, unescape
from textgen.repl.branching import go_to_branch, list_branches, make_branch, show_difference
from textgen.repl.choosing import go_on_to, go_on_words, show_alternatives, show_variants
from textgen.repl.editing import edit_story
from textgen.repl.files import load_text, path_of, save_text
from textgen.repl.session import CommandError, Session
from textgen.repl.session_file import SessionFile
from textgen.repl.showing import show_text, show_turns
from textgen.repl.story import Story, start_of_last_sentences

SETTINGS = {field.name: field for field in dataclasses.fields(SamplingConfig)}

INTRODUCTION = r"""Text that you type is added to the story, and the model goes on.
An empty line lets it go on alone. Ctrl-C stops it, Ctrl-D leaves.
A line is joined to the story with a space where one belongs: not after white
space, not before a comma. Type \n for a new line, \t for a tab, \\ for a \.
A line that begins with // begins with one /.
"""


QUOTES = "\"'"
SWITCH = {"on": True, "true": True, "yes": True, "off": False, "false": False, "no": False}


def show_help(session: Session, _argument: str) -> None:
    """Print the introduction and the table of commands."""
    usages = {f"{c.name} {c.arguments}".rstrip(): c.summary for c in COMMANDS.values()}
    width = max(map(len, usages))
    lines = [f"{usage:{width}}  {summary}" for usage, summary in usages.items()]
    if max(map(len, lines)) > session.columns():  # a narrow screen
        lines = [line for usage, summary in usages.items() for line in (usage, f"  {summary}")]
    session.notice("\n".join([INTRODUCTION, *lines]))


def set_value(session: Session, argument: str) -> None:
    """Change one setting; without a value show it, without a name show all."""
    given = re.split(r"[\s=]", argument, maxsplit=1)[0]
    text = argument.removeprefix(given).lstrip().removeprefix("=").lstrip()
    name = given.lstrip("-").replace("-", "_")
    if name and name not in SETTINGS:
        raise CommandError(f"no setting {given!r}. {nearest(name, SETTINGS) or 'There are: ' + ', '.join(SETTINGS)}")
    if not text:
        session.notice(_settings_table(session.config, [name] if name else list(SETTINGS)))
        return
    config = session.config.replace(**{name: parse_setting(name, text)})
    check_together(config)
    session.config = config
    if name == "seed":
        session.next_sample = 0
    session.notice(f"{name} = {shown_value(getattr(session.config, name))}")


def parse_setting(name: str, text: str) -> Any:
    """The value that `text` stands for. What is no number stays text, which the settings refuse."""
    hint = typing.get_type_hints(SamplingConfig)[name]
    if typing.get_origin(hint) is tuple:
        return _strings(text)
    kinds = typing.get_args(hint) or (hint,)
    if str in kinds:
        return None if text == "off" else _unquoted(text)
    if bool in kinds:
        return SWITCH.get(text.lower(), text)
    reads = SETTINGS[name].metadata.get("reads") or (int if int in kinds else float)
    try:
        return reads(text)
    except ValueError:
        return text


def _strings(text: str) -> tuple[str, ...]:
    """Words, or strings in quotes: `END "\\n\\n"`; `off` is none."""
    if text == "off":
        return ()
    words = shlex.shlex(text, posix=True, punctuation_chars=False)
    words.whitespace_split, words.escape, words.commenters = True, "", ""
    try:
        return tuple(unescape(word) for word in words)
    except ValueError:
        raise CommandError(f"a quote is not closed. Received: {text}") from None


def _unquoted(text: str) -> str:
    """A pattern, which quotes may stand around, as where it begins with a space; backslashes are its own."""
    if text[0] not in QUOTES:
        return text
    if len(text) == 1 or text[-1] != text[0] or text[0] in text[1:-1]:
        other = QUOTES.replace(text[0], "")
        raise CommandError(
            f"a pattern that begins with {text[0]} is put between {other} and {other}, or begins with "
            f"\\x{ord(text[0]):x}. Received: {shown(text, 40)}"
        )
    return text[1:-1]


def _quoted(text: str) -> str:
    """A pattern as `_unquoted` reads it, in quotes where it needs some."""
    if text == text.strip() and text[:1] not in QUOTES and text != "off":
        return text
    return next((f"{quote}{text}{quote}" for quote in QUOTES if quote not in text), text)


def _as_string(text: str) -> str:
    """A string as `_strings` reads it; quotes of one kind stand between those of the other."""
    escaped = text.replace("\\", "\\\\").replace("\n", "\\n").replace("\t", "\\t")
    parts = re.findall('[^"]+|"+', escaped)
    if '"' in escaped and "'" not in escaped:
        return f"'{escaped}'"
    return "".join(f"'{part}'" if part.startswith('"') else f'"{part}"' for part in parts)


def _settings_table(config: SamplingConfig, names: list[str]) -> str:
    rows = [(name, shown_value(getattr(config, name)), SETTINGS[name].metadata["description"]) for name in names]
    widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
    return "\n".join(f"{name:{widths[0]}}  {value:{widths[1]}}  {text}" for name, value, text in rows)


def shown_value(value: Any) -> str:
    """A value of a setting, as it would be typed."""
    if isinstance(value, tuple):
        if value and not isinstance(value[0], str):
            return ",".join(map(str, value))
        return " ".join(map(_as_string, value)) or "off"
    if value is None:
        return "off"
    if isinstance(value, str):
        return _quoted(value)
    return str(value) if not isinstance(value, bool) else "on" if value else "off"


def show_status(session: Session, _argument: str) -> None:
    """Print the model, the settings, the size of the story, and where the session is kept."""
    settings = ", ".join(f"{name} {shown_value(getattr(session.config, name))}" for name in SETTINGS)
    story, width = session.story, min(session.columns(), 80) - 1
    settings = textwrap.fill(settings, width, initial_indent="settings  ", subsequent_indent=10 * " ")
    size = f"{counted(len(story.text), 'character')} in {counted(len(story.turns), 'turn')}"
    others = len(session.desk.branches) - 1
    session.notice(
        f"model     {session.model.description}\n"
        f"{settings}\n"
        f"story     {size}" + (f" ({shown(session.desk.name, 40)}, one of {others + 1} stories)" if others else "")
    )


def join_exactly(session: Session, argument: str) -> None:
    """Add text without a space before it, and let the model go on."""
    if not argument:
        raise CommandError("/join expects the text that goes on without a space. An empty line adds none")
    session.append(unescape(argument))


def regenerate(session: Session, _argument: str) -> None:
    """Write the last turn again."""
    session.regenerate()


def undo(session: Session, _argument: str) -> None:
    """Take back the last change."""
    session.undo()
    session.say_where()


def redo(session: Session, _argument: str) -> None:
    """Do again what was taken back."""
    session.redo()
    session.say_where()


def go_back(session: Session, argument: str) -> None:
    """Cut the last sentences off."""
    count = int(argument or 1) if re.fullmatch(r"[0-9]{0,9}", argument) else 0
    if count < 1:
        raise CommandError(f"/back expects how many sentences to cut off, 1 or more. Received: {argument}")
    text = session.story.text
    if not text:
        raise CommandError("nothing to cut off: the story is empty")
    session.cut(start_of_last_sentences(text, count))
    session.say_where()


def save(session: Session, argument: str, *, may_replace: bool = False) -> None:
    """Write the story to a file, which must not exist unless it may be replaced."""
    text = session.story.text
    path = save_text(argument, text, may_replace=may_replace)
    session.notice(f"saved {counted(len(text), 'character')} to {path}")


save_over = functools.partial(save, may_replace=True)


def read_file(session: Session, argument: str) -> None:
    """Add a file's text to the story; the model reads it and writes nothing."""
    text = load_text(argument, session.notice)
    session.read(text)
    session.notice(f"read {counted(len(text), 'character')} of {argument}; an empty line goes on from there")


def keep_session(session: Session, argument: str) -> None:
    """Keep the session in a file, or go on with the one that it holds; without a name say where it is kept."""
    if argument:
        before = session.history
        session.notice(SessionFile(path_of(argument, "/session")).open(session))
        if session.history is not before:
            session.say_where()
    elif session.file:
        session.notice(f"the session is kept in {session.file.path}")
    else:
        session.notice("the session is kept in no file. /session FILE keeps it")


def start_afresh(session: Session, _argument: str) -> None:
    """Begin an empty story."""
    session.change(Story())
    session.say_where()


def leave(session: Session, _argument: str) -> None:
    """End the session."""
    session.is_over = True


@dataclasses.dataclass(frozen=True)
class Command:
    """One row of the table."""

    name: str
    arguments: str  # as `/help` shows them; "" takes none
    summary: str
    run: Callable[[Session, str], None]
    completes: str = ""  # what its argument is completed with: "setting", "file" or "branch"


COMMANDS = {
    command.name: command
    for command in (
        Command("/help", "", "this list", show_help),
        Command("/set", "[NAME [VALUE]]", "change or show a setting; text in quotes, or off", set_value, "setting"),
        Command("/status", "", "the model, the settings, the size of the story", show_status),
        Command("/regen", "", "write the last turn again, with other random numbers", regenerate),
        Command("/alt", "[K]", "the K likeliest next pieces (5), to choose from", show_alternatives),
        Command("/variants", "[K]", "K ways to go on (3), side by side, to choose from", show_variants),
        Command("/words", "N [TEXT]", "go on for N words", go_on_words),
        Command("/to", "TEXT", 'go on up to a text, as in /to "."', go_on_to),
        Command("/undo", "", "take back the last change, again and again to the start", undo),
        Command("/redo", "", "do again what /undo took back", redo),
        Command("/back", "[N]", "cut the last N sentences off (1), to try another branch", go_back),
        Command("/join", "TEXT", "add text without a space before it", join_exactly),
        Command("/branch", "NAME", "keep the story as it is, go on with a copy", make_branch),
        Command("/branches", "", "all stories, with their names", list_branches),
        Command("/go", "NAME", "go on with another story", go_to_branch, "branch"),
        Command("/diff", "[NAME]", "where another story differs from this one", show_difference, "branch"),
        Command("/text", "", "the whole story", show_text),
        Command("/show", "[N]", "the story turn by turn, or its last N turns", show_turns),
        Command("/edit", "", "change the story in $VISUAL or $EDITOR", edit_story),
        Command("/save", "FILE", "write the story to a new file", save, "file"),
        Command("/save!", "FILE", "write the story to a file that may exist", save_over, "file"),
        Command("/read", "FILE", "add the text of a file to the story", read_file, "file"),
        Command("/session", "[FILE]", "keep all this in a file, or go on with one", keep_session, "file"),
        Command("/new", "", "begin an empty story", start_afresh),
        Command("/exit", "", "leave, as Ctrl-D does", leave),
        Command("/quit", "", "leave", leave),
    )
}


def run_command(session: Session, line: str) -> None:
    """Do what `line` says, which begins with a slash. Raises TextgenError where that cannot be done."""
    name, *rest = line.split(maxsplit=1)  # a pasted line may end with a line end
    argument = "".join(rest).strip()
    command = COMMANDS.get(name)
    if command is None:
        advice = nearest(name, COMMANDS) or "/help lists them, and text that begins with / is typed with //"
        raise CommandError(f"no command {name}. {advice}")
    if argument and not command.arguments:
        raise CommandError(f"{name} takes nothing after it. Received: {argument}")
    command.run(session, argument)
