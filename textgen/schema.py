"""What a settings dataclass is: fields with a range and a sentence, checked when made, to and from JSON strictly.

The settings themselves are in `config` and, of what a model says about itself, in `records.py`.

A message names a setting as code, `` `units` `` or `` `units=64` ``. The command line spells such a name as the flag.
"""

import dataclasses
import re
import sys
import types
import typing
from collections.abc import Mapping
from typing import Any, Self

from textgen.errors import SettingError

KIND_NAMES = {bool: "true or false", int: "a whole number", float: "a number", str: "text", tuple: "a list of strings"}


def setting(
    default: Any,
    description: str,
    *,
    minimum: float | None = None,
    maximum: float | None = None,
    above: float | None = None,
    choices: tuple[str, ...] = (),
    is_new: bool = False,
    before: Any = None,
    is_starting: bool = False,
    unset: str = "",
    **others: Any,
) -> Any:
    """A dataclass field with its sentence and its range.

    Args:
        default: None leaves the choice to `recipe`, unless the field's type knows None.
        above: an exclusive minimum.
        is_new: whether models were written before there was this setting. Its default must then be what they did.
        before: what they did, where the default is None; the setting is new then.
        is_starting: whether it acts on weights before the first step alone, and so not on those of a trained model.
        unset: what help says of a default that is None.
        others: what else the users of the settings look up in the field's metadata.
    """
    limits = {"minimum": minimum, "maximum": maximum, "above": above, "choices": tuple(choices)}
    facts = {"is_new": is_new or before is not None, "before": before, "is_starting": is_starting, "unset": unset}
    if isinstance(default, (list, dict, set)):
        raise TypeError(f"a default must be immutable. Received: default={default}")
    return dataclasses.field(default=default, metadata={"description": description, **limits, **facts, **others})


@dataclasses.dataclass(frozen=True)
class Settings:
    """Base of every settings dataclass: checks ranges when made, converts to and from JSON strictly."""

    def __post_init__(self) -> None:
        for field, kinds in fields_with_kinds(type(self)):
            if not (field.default is None and getattr(self, field.name) is None):
                _check(field, kinds, getattr(self, field.name))

    def to_json(self) -> dict[str, Any]:
        """A dictionary of JSON values; `from_json` gives the same settings back."""
        values = {name: getattr(self, name) for name in names_of(type(self))}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}

    @classmethod
    def from_json(cls, document: Any) -> Self:
        """The settings in `document`.

        Raises:
            SettingError: a key is unknown, ill-typed, or missing, unless it is one that older versions did not write.
        """
        fields = fields_with_kinds(cls)
        names = {field.name for field, _ in fields}
        new = {field.name for field, _ in fields if field.metadata["is_new"]}
        if not isinstance(document, dict) or not names - new <= set(document) <= names:
            given = sorted(map(str, document)) if isinstance(document, dict) else type(document).__name__
            raise SettingError(f"{cls.__name__} expects exactly the keys {sorted(names)}. Received: {given!s:.300}")
        for field, kinds in fields:
            if field.name in document and document[field.name] is None and types.NoneType not in kinds:
                raise SettingError(f"`{field.name}` must be {KIND_NAMES[kinds[0]]}. Received: None")
        older = {field.name: field.metadata["before"] for field, _ in fields if field.metadata["before"] is not None}
        values = (older | document).items()
        return cls(**{name: tuple(value) if isinstance(value, list) else value for name, value in values})

    def replace(self, **changes: Any) -> Self:
        """A copy with some fields changed, validated again."""
        return dataclasses.replace(self, **changes)

    def filled(self, values: Mapping[str, Any]) -> Self:
        """A copy in which `values` stand where nothing was decided: in fields that are None."""
        return self.replace(**{name: value for name, value in values.items() if getattr(self, name) is None})


def names_of(settings: type[Settings]) -> list[str]:
    """The names of the fields, in their order."""
    return [field.name for field, _ in fields_with_kinds(settings)]


def fields_with_kinds(settings: type[Settings]) -> list[tuple[dataclasses.Field[Any], tuple[type, ...]]]:
    """Each field with the types that its annotation allows: `int | None` -> (int, NoneType)."""
    hints = typing.get_type_hints(settings)

    def kinds(hint: Any) -> tuple[type, ...]:
        if isinstance(hint, types.UnionType):
            return tuple(kind for part in typing.get_args(hint) for kind in kinds(part))
        return (typing.get_origin(hint) or hint,)

    return [(field, kinds(hints[field.name])) for field in dataclasses.fields(settings)]


def flag_of(field_name: str) -> str:
    """`sequence_length` -> `--sequence-length`."""
    return "--" + field_name.replace("_", "-")


def off_flag_of(field_name: str) -> str:
    """`skip` -> `--no-skip`."""
    return flag_of(f"no_{field_name}")


def with_flags(message: str) -> str:
    """A message that names settings as code, for the command line: `` `units=64` `` becomes `--units 64`."""

    def spelled(match: re.Match[str]) -> str:
        name, value = match.groups()
        if value in (None, "True"):
            return flag_of(name)
        return off_flag_of(name) if value == "False" else f"{flag_of(name)} {value}"

    return re.sub(r"`(\w+)(?:=([^`]*))?`", spelled, message)


def _check(field: dataclasses.Field[Any], kinds: tuple[type, ...], value: Any) -> None:
    name, limits = f"`{field.name}`", field.metadata
    if float in kinds:
        kinds = (*kinds, int)
    if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
        raise SettingError(f"{name} must be {KIND_NAMES[kinds[0]]}. Received: {value!r:.300}")
    if isinstance(value, tuple) and not all(isinstance(item, str) for item in value):
        raise SettingError(f"{name} must hold strings only. Received: {value!r:.300}")
    if limits["choices"] and value not in limits["choices"]:
        raise SettingError(f"{name} must be one of {', '.join(limits['choices'])}. Received: {value!r:.300}")
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return
    if not abs(value) <= sys.float_info.max:  # NaN too; math.isfinite fails on integers beyond this
        raise SettingError(f"{name} must be a finite number. Received: {value}")
    if limits["minimum"] is not None and value < limits["minimum"]:
        raise SettingError(f"{name} must be at least {limits['minimum']}. Received: {value}")
    if limits["above"] is not None and value <= limits["above"]:
        raise SettingError(f"{name} must be above {limits['above']}. Received: {value}")
    if limits["maximum"] is not None and value > limits["maximum"]:
        raise SettingError(f"{name} must be at most {limits['maximum']}. Received: {value}")
