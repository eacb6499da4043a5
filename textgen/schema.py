"""What a settings dataclass is: fields with a range and a sentence, checked when made, to and from JSON strictly.

The settings themselves are in `config` and, of what a model says about itself, in `records.py`.

A message names a setting as code, `` `units` `` or `` `units=64` ``. The command line spells such a name as the flag.

Numbers of NumPy become Python's own, so that what is written as JSON is plain.
"""

import dataclasses
import re
import reprlib
import sys
import types
import typing
from collections.abc import Mapping
from typing import Any, Self

from textgen.errors import SettingError, WrongTypeError
from textgen.messages import shown

KIND_NAMES = {bool: "true or false", int: "a whole number", float: "a number", str: "text", tuple: "a list of strings"}
LONGEST_RECEIVED = 300  # characters of a value in a message
LARGEST_SHOWN = 10**LONGEST_RECEIVED


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


_FOUND: dict[type, tuple[tuple[dataclasses.Field[Any], tuple[type, ...]], ...]] = {}  # by `fields_with_kinds`


@dataclasses.dataclass(frozen=True)
class Settings:
    """Base of every settings dataclass: checks ranges when made, converts to and from JSON strictly."""

    def __post_init__(self) -> None:
        for field, kinds in fields_with_kinds(type(self)):
            given = getattr(self, field.name)
            value = plain(given)
            if value is not given:
                object.__setattr__(self, field.name, value)
            if not (field.default is None and value is None):
                _check(field, kinds, value)

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
            raise SettingError(f"{cls.__name__} expects exactly the keys of its settings. {_odd(document, names, new)}")
        for field, kinds in fields:
            if field.name in document and document[field.name] is None and types.NoneType not in kinds:
                raise SettingError(f"`{field.name}` must be {form_of(field, kinds)}. Received: None")
        older = {field.name: field.metadata["before"] for field, _ in fields if field.metadata["before"] is not None}
        values = (older | document).items()
        return cls(**{name: tuple(value) if isinstance(value, list) else value for name, value in values})

    def replace(self, **changes: Any) -> Self:
        """A copy with some fields changed, validated again."""
        return dataclasses.replace(self, **changes)

    def filled(self, values: Mapping[str, Any]) -> Self:
        """A copy in which `values` stand where nothing was decided: in fields that are None."""
        return self.replace(**{name: value for name, value in values.items() if getattr(self, name) is None})


def _odd(document: Any, names: set[str], new: set[str]) -> str:
    """How the keys of `document` differ from `names`, of which those that are `new` may be missing."""
    if not isinstance(document, dict):
        return f"Received: {type(document).__name__}"
    found = {"Unknown": set(map(str, document)) - names, "Missing": names - new - set(document)}
    return ". ".join(f"{what}: {received(sorted(odd))[1:-1]}" for what, odd in found.items() if odd)


def plain(value: Any) -> Any:
    """A scalar of NumPy as Python's own number, string or bool; anything else as it is."""
    numpy = sys.modules.get("numpy")  # nobody has one of its numbers without it
    if numpy is None or not (isinstance(value, (numpy.generic, numpy.ndarray)) and value.ndim == 0):
        return value
    return float(value) if isinstance(value, numpy.longdouble) else value.item()


def from_python(settings: type[Settings], values: Mapping[str, Any]) -> dict[str, Any]:
    """Those of `values` that a Python program gave for fields of `settings`, each in its type and in its range.

    Where several strings are meant, one alone or a list of them will do. Raises SettingError.
    """
    found = {}
    for field, kinds in fields_with_kinds(settings):
        if field.name not in values:
            continue
        value = plain(values[field.name])
        if tuple in kinds and isinstance(value, (str, list)):
            value = (value,) if isinstance(value, str) else tuple(map(plain, value))
        if not (field.default is None and value is None):
            _check(field, kinds, value)
        found[field.name] = value
    return found


def check_known(values: Mapping[str, Any], *settings: type[Settings]) -> None:
    """Raise SettingError at a name in `values` that none of `settings` has."""
    known = sorted({name for cls in settings for name in names_of(cls)})
    if unknown := sorted(set(values) - set(known)):
        raise SettingError(f"unknown setting {unknown[0]!r}. There are: {', '.join(known)}")


def received(value: object) -> str:
    """`value` in an error message: on one line, and cut where it is long."""
    if isinstance(value, int) and abs(value) > LARGEST_SHOWN:  # Python refuses to write one of thousands of digits
        return f"a number of {value.bit_length():,} bits"
    limited = reprlib.Repr()
    limited.maxstring = limited.maxother = limited.maxlong = LONGEST_RECEIVED
    return shown(" ".join(limited.repr(value).split()), LONGEST_RECEIVED)


def readable(settings: Settings) -> dict[str, str]:
    """The fields as people read them, by name: `on` and `off`, numbers with commas and few digits, `-` for nothing.

    A number is `off` where its own sentence says so.
    """
    found = {}
    for field, _ in fields_with_kinds(type(settings)):
        value = getattr(settings, field.name)
        off = re.search(r"\b(\d+) is (?:off|none)\b", field.metadata["description"])
        found[field.name] = "off" if off and value == float(off[1]) else _read_as(value)
    return found


def _read_as(value: Any) -> str:
    if isinstance(value, tuple):
        return ", ".join(map(shown, value)) or "-"
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, float):
        is_plain = value == 0 or 0.001 <= abs(value) < 1e15
        return f"{value:,.4f}".rstrip("0").rstrip(".") if is_plain else f"{value:.4g}"
    return "-" if value in (None, "") else f"{value:,}" if isinstance(value, int) else shown(value)


def names_of(settings: type[Settings]) -> list[str]:
    """The names of the fields, in their order."""
    return [field.name for field, _ in fields_with_kinds(settings)]


def fields_with_kinds(settings: type[Settings]) -> tuple[tuple[dataclasses.Field[Any], tuple[type, ...]], ...]:
    """Each field with the types that its annotation allows: `int | None` -> (int, NoneType)."""
    if settings not in _FOUND:  # hints take longer to evaluate than all that is done with them
        hints = typing.get_type_hints(settings)
        _FOUND[settings] = tuple((field, _kinds(hints[field.name])) for field in dataclasses.fields(settings))
    return _FOUND[settings]


def _kinds(hint: Any) -> tuple[type, ...]:
    if isinstance(hint, types.UnionType):
        return tuple(kind for part in typing.get_args(hint) for kind in _kinds(part))
    return (typing.get_origin(hint) or hint,)


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


def form_of(field: dataclasses.Field[Any], kinds: tuple[type, ...]) -> str:
    """What the value of a field is, as an error says it."""
    return field.metadata.get("form") or KIND_NAMES[kinds[0]]


def _check(field: dataclasses.Field[Any], kinds: tuple[type, ...], value: Any) -> None:
    name, limits = f"`{field.name}`", field.metadata
    if float in kinds:
        kinds = (*kinds, int)
    if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
        raise WrongTypeError(f"{name} must be {form_of(field, kinds)}. Received: {received(value)}")
    if isinstance(value, tuple) and float in kinds:  # numbers that take turns
        for item in value:
            _check(field, (float,), item)
        return
    if isinstance(value, tuple) and not all(isinstance(item, str) for item in value):
        raise WrongTypeError(f"{name} must hold strings only. Received: {received(value)}")
    if limits["choices"] and value not in limits["choices"]:
        raise SettingError(f"{name} must be one of {', '.join(limits['choices'])}. Received: {received(value)}")
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return
    if not abs(value) <= sys.float_info.max:  # NaN too; math.isfinite fails on integers beyond this
        raise SettingError(f"{name} must be a finite number. Received: {received(value)}")
    if limits["minimum"] is not None and value < limits["minimum"]:
        raise SettingError(f"{name} must be at least {limits['minimum']}. Received: {received(value)}")
    if limits["above"] is not None and value <= limits["above"]:
        raise SettingError(f"{name} must be above {limits['above']}. Received: {received(value)}")
    if limits["maximum"] is not None and value > limits["maximum"]:
        raise SettingError(f"{name} must be at most {limits['maximum']}. Received: {received(value)}")
