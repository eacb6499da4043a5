"""What a Python program gives, checked, and notices on their way to it as warnings.

An error names the argument, says what it must be and what was received. What is written for the command line names
arguments, too, where it reaches a program: `--top-k` is `top_k`.
"""

import codecs
import functools
import io
import os
import re
import sys
import warnings
from collections.abc import Callable, Collection, Iterable, Mapping, Set
from typing import Any, ParamSpec, TypeVar

from textgen.errors import SettingError, TextgenError, TextgenWarning, WrongTypeError
from textgen.schema import Settings, fields_with_kinds, plain, received

P = ParamSpec("P")
R = TypeVar("R")
OTHERS = (
    "name",
    "models_dir",
    "preset",
    "init_from",
    "on_unknown",
    "engine",
    "dynamic",
    "cache",
    "resume",
    "overwrite",
)
SWITCHES = ("dynamic", "cache", "resume", "overwrite")
POLICIES = ("replace", "skip", "error")
FLAG = re.compile(r"--([a-z][a-z-]*)(?: (?P<value>NAME\b|[\w.-]*\w))?")
LONGEST_FILE_NAME = 255  # bytes, on nearly every file system
PACKAGE = __name__.partition(".")[0]


def warn_caller(message: str) -> None:
    """Warn of `message` at the line of the program that called textgen."""
    level, frame = 1, sys._getframe()
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] == PACKAGE:
        level, frame = level + 1, frame.f_back
    warnings.warn(in_python(message), TextgenWarning, stacklevel=level)


def for_python(function: Callable[P, R]) -> Callable[P, R]:
    """`function`, whose errors name arguments and not flags."""

    @functools.wraps(function)
    def call(*arguments: P.args, **settings: P.kwargs) -> R:
        try:
            return function(*arguments, **settings)
        except TextgenError as problem:
            problem.args = (in_python(str(problem)), *problem.args[1:])
            raise

    return call


def in_python(message: str) -> str:
    """`message` with arguments where it names flags: `--bad-rows skip` becomes `` `bad_rows='skip'` ``."""
    choices = {
        field.name: field.metadata["choices"]
        for cls in Settings.__subclasses__()
        for field, _ in fields_with_kinds(cls)
    }
    choices |= dict.fromkeys(OTHERS) | {"on_unknown": POLICIES}

    def spelled(match: re.Match[str]) -> str:
        name, value = match[1].replace("-", "_"), match["value"] or ""
        if name.removeprefix("no_") in choices and name not in choices:
            return f"`{name.removeprefix('no_')}=False`{match[0][len(match[1]) + 2 :]}"
        if name not in choices:
            return match[0]
        if name in SWITCHES:
            return f"`{name}=True`{match[0][len(match[1]) + 2 :]}"
        if value == "NAME":
            return f"`{name}`"
        if value.isdigit():
            return f"`{name}={value}`"
        is_value = value in (choices[name] or ()) or (name == "encoding" and _is_encoding(value))
        return f"`{name}={value!r}`" if is_value else f"`{name}`{match[0][len(match[1]) + 2 :]}"

    return FLAG.sub(spelled, message) if "--" in message else message


def _is_encoding(name: str) -> bool:
    try:
        return name == "auto" or bool(codecs.lookup(name))
    except LookupError:
        return False


def text_of(name: str, value: object) -> str:
    """`value`, if it is text. Raises WrongTypeError."""
    value = plain(value)
    if not isinstance(value, str):
        hint = "; decode it" if isinstance(value, (bytes, bytearray)) else ""
        raise WrongTypeError(f"`{name}` must be text{hint}. Received: {received(value)}")
    return value


def optional_text(name: str, value: object) -> str | None:
    """The same, or None."""
    return None if value is None else text_of(name, value)


def choice_of(name: str, value: object, choices: Collection[str]) -> str:
    """`value`, if it is one of `choices`. Raises SettingError."""
    text = text_of(name, value)
    if text not in choices:
        raise SettingError(f"`{name}` must be one of {', '.join(choices)}. Received: {received(text)}")
    return text


def switch_of(name: str, value: object) -> bool:
    """`value`, if it is True or False. Raises WrongTypeError."""
    value = plain(value)
    if not isinstance(value, bool):
        raise WrongTypeError(f"`{name}` must be true or false. Received: {received(value)}")
    return value


def whole_number_of(name: str, value: object) -> int:
    """`value`, if it is a whole number. Raises WrongTypeError."""
    value = plain(value)
    if not isinstance(value, int) or isinstance(value, bool):
        raise WrongTypeError(f"`{name}` must be a whole number. Received: {received(value)}")
    return value


def path_of(name: str, value: object, what: str = "a path") -> str:
    """`value` as a path, of text. Raises SettingError where it is empty or cannot be one.

    Args:
        what: is expected, as an error says it.
    """
    try:
        path = plain(os.fspath(value)) if isinstance(value, os.PathLike) else plain(value)
    except Exception:  # whatever a class of somebody else does
        path = None
    if not isinstance(path, str):
        raise WrongTypeError(f"`{name}` must be {what}, as text or pathlib.Path. Received: {received(value)}")
    if not path or "\0" in path:
        raise SettingError(f"`{name}` must be {what}. Received: {received(path)}")
    return path


def list_of(name: str, value: object, what: str) -> list[Any]:
    """The items of `value`, in their order. Raises WrongTypeError where it has none or no order.

    Args:
        what: is expected, as an error says it.
    """
    is_list = isinstance(value, Iterable) and not isinstance(value, (str, bytes, bytearray, Mapping, Set, io.IOBase))
    try:
        return list(value) if is_list and isinstance(value, Iterable) else _refuse(name, value, what)
    except TypeError:  # an array without dimensions, a class that only looks like a list
        return _refuse(name, value, what)


def sources_of(sources: Iterable[object]) -> tuple[str, ...]:
    """The paths that `sources` hold, alone and in lists. Raises SettingError."""
    paths: list[str] = []
    for source in sources:
        if isinstance(source, (str, os.PathLike)):
            paths.append(path_of("sources", source))
            continue
        several = [path_of("sources", path) for path in list_of("sources", source, "paths or lists of paths")]
        if not several:
            raise SettingError("`sources` must hold paths, or be left out for the starter corpus. Received: []")
        paths += several
    for path in paths:
        if ("\n" in path or _is_too_long(path)) and not os.path.exists(path):
            raise SettingError(f"`sources` must be paths; give a text as texts=... Received: {received(path)}")
    return tuple(paths)


def _is_too_long(path: str) -> bool:
    """Whether no file can be called so, as a text that was given in the place of a path."""
    return max(map(len, path.encode(errors="surrogateescape").split(os.sep.encode()))) > LONGEST_FILE_NAME


def texts_of(name: str, texts: object) -> str | tuple[str, ...]:
    """One text, or several. Raises WrongTypeError."""
    if isinstance(texts, str):
        return str(texts)
    return tuple(text_of(name, text) for text in list_of(name, texts, "a text, or a list of texts"))


def _refuse(name: str, value: object, what: str) -> list[Any]:
    hint = "; an open file is none, give its path or its text" if isinstance(value, io.IOBase) else ""
    raise WrongTypeError(f"`{name}` must be {what}{hint}. Received: {received(value)}")
