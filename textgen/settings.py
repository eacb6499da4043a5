"""What a settings dataclass is: fields with a range and a sentence, checked when made, to and from JSON strictly.

What goes in: a class whose fields are made by `setting`. What comes out: one that refuses a wrong value with the name
of its flag. The settings themselves are in `config.py` and, of what a model says about itself, in `records.py`.
"""

import dataclasses
import sys
import types
import typing
from typing import Any, Self

from textgen.errors import SettingError

KIND_NAMES = {bool: "true or false", int: "a whole number", float: "a number", str: "text", tuple: "a list of strings"}


def setting(
    default: Any, description: str, *, minimum=None, maximum=None, above=None, choices=(), is_new: bool = False, **facts
) -> Any:
    """A dataclass field with its sentence and its range.

    Args:
        above: an exclusive minimum.
        is_new: whether models were written before there was this setting. Its default must then be what they did.
        facts: what else the users of the settings look up in the field's metadata.
    """
    limits = {"minimum": minimum, "maximum": maximum, "above": above, "choices": tuple(choices)}
    metadata = {"description": description, "is_new": is_new, **limits, **facts}
    if isinstance(default, (list, dict, set)):
        raise TypeError(f"a default must be immutable. Received: default={default}")
    return dataclasses.field(default=default, metadata=metadata)


class Settings:
    """Base of every settings dataclass: checks ranges when made, converts to and from JSON strictly."""

    def __post_init__(self):
        for field, kinds in _typed_fields(type(self)):
            _check(field, kinds, getattr(self, field.name))

    def to_json(self) -> dict[str, Any]:
        """A dictionary of JSON values; `from_json` gives the same settings back."""
        return {f.name: _plain(getattr(self, f.name)) for f in dataclasses.fields(self)}

    @classmethod
    def from_json(cls, document: Any) -> Self:
        """The settings in `document`.

        Raises:
            SettingError: a key is unknown, ill-typed, or missing, unless it is one that older versions did not write.
        """
        names = {f.name for f in dataclasses.fields(cls)}
        new = {f.name for f in dataclasses.fields(cls) if f.metadata["is_new"]}
        if not isinstance(document, dict) or not names - new <= set(document) <= names:
            given = sorted(map(str, document)) if isinstance(document, dict) else type(document).__name__
            raise SettingError(f"{cls.__name__} expects exactly the keys {sorted(names)}. Received: {given!s:.300}")
        values = {k: tuple(v) if isinstance(v, list) else v for k, v in document.items()}
        return cls(**values)

    def replace(self, **changes: Any) -> Self:
        """A copy with some fields changed, validated again."""
        return dataclasses.replace(self, **changes)


def flag_of(field_name: str) -> str:
    """`sequence_length` -> `--sequence-length`."""
    return "--" + field_name.replace("_", "-")


def off_flag_of(field_name: str) -> str:
    """`skip` -> `--no-skip`."""
    return flag_of(f"no_{field_name}")


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _typed_fields(cls: type) -> list[tuple[dataclasses.Field, tuple[type, ...]]]:
    """Each field with the types its annotation allows: `int | None` -> (int, NoneType)."""
    hints = typing.get_type_hints(cls)

    def kinds(hint):
        if isinstance(hint, types.UnionType):
            return tuple(k for part in typing.get_args(hint) for k in kinds(part))
        return (typing.get_origin(hint) or hint,)

    return [(f, kinds(hints[f.name])) for f in dataclasses.fields(cls)]


def _check(field: dataclasses.Field, kinds: tuple[type, ...], value: Any) -> None:
    flag = flag_of(field.name)
    if float in kinds:
        kinds = (*kinds, int)
    if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
        raise SettingError(f"{flag} must be {KIND_NAMES[kinds[0]]}. Received: {value!r:.300}")
    if isinstance(value, tuple) and not all(isinstance(item, str) for item in value):
        raise SettingError(f"{flag} must hold strings only. Received: {value!r:.300}")
    limits = field.metadata
    if limits["choices"] and value not in limits["choices"]:
        raise SettingError(f"{flag} must be one of {', '.join(limits['choices'])}. Received: {value!r:.300}")
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        _check_range(flag, value, limits)


def _check_range(flag: str, value: float, limits: typing.Mapping[str, Any]) -> None:
    if not abs(value) <= sys.float_info.max:  # NaN too; math.isfinite fails on integers beyond this
        raise SettingError(f"{flag} must be a finite number. Received: {value}")
    if limits["minimum"] is not None and value < limits["minimum"]:
        raise SettingError(f"{flag} must be at least {limits['minimum']}. Received: {value}")
    if limits["above"] is not None and value <= limits["above"]:
        raise SettingError(f"{flag} must be above {limits['above']}. Received: {value}")
    if limits["maximum"] is not None and value > limits["maximum"]:
        raise SettingError(f"{flag} must be at most {limits['maximum']}. Received: {value}")
