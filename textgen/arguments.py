"""What a Python program gives, checked, and notices on their way to it as warnings.

An error names the argument, says what it must be and what was received.
"""

import io
import os
import sys
import warnings
from collections.abc import Collection, Iterable, Mapping, Set
from typing import Any

from textgen.errors import SettingError, TextgenWarning, WrongTypeError
from textgen.schema import plain, received

PACKAGE = __name__.partition(".")[0]


def warn_caller(message: str) -> None:
    """Warn of `message` at the line of the program that called textgen."""
    level, frame = 1, sys._getframe()
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] == PACKAGE:
        level, frame = level + 1, frame.f_back
    warnings.warn(message, TextgenWarning, stacklevel=level)


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
        if "\n" in path and not os.path.exists(path):
            raise SettingError(f"`sources` must be paths; give a text as texts=... Received: {received(path)}")
    return tuple(paths)


def texts_of(name: str, texts: object) -> str | tuple[str, ...]:
    """One text, or several. Raises WrongTypeError."""
    if isinstance(texts, str):
        return str(texts)
    return tuple(text_of(name, text) for text in list_of(name, texts, "a text, or a list of texts"))


def _refuse(name: str, value: object, what: str) -> list[Any]:
    hint = "; an open file is none, give its path or its text" if isinstance(value, io.IOBase) else ""
    raise WrongTypeError(f"`{name}` must be {what}{hint}. Received: {received(value)}")
