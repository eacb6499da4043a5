"""Flags that several commands share, made from the settings' dataclasses so that they cannot drift apart.

A field's name is the flag, its sentence the help, its default the default; what a flag may hold is checked by the
dataclass alone.
"""

import dataclasses
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from textgen.config import SamplingConfig
from textgen.config.sampling import RANDOM
from textgen.cores import MOST_CORES
from textgen.messages import unescape
from textgen.schema import Settings, fields_with_kinds, flag_of, off_flag_of
from textgen.streams import tell

SHORT_FLAGS = {"length": "-n", "temperature": "-t"}

UNDECODED = re.compile("[\udc80-\udcff]")  # what stands for a byte that is not UTF-8

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


def options_of(
    settings: type[Settings],
    skip: tuple[str, ...] = (),
    only: tuple[str, ...] | None = None,
    default: str | None = None,
) -> Decorator:
    """A decorator that adds one option for each field of `settings`, or for those of `only`.

    Args:
        default: what the help says of a flag that is not given, where that is not the field's own default.

    A flag that is not given arrives as None, so that the command can tell it from the default.
    """

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        for field, kinds in reversed(fields_with_kinds(settings)):
            if field.name not in skip and (only is None or field.name in only):
                command = _option(field, kinds[0], default)(command)
        return command

    return decorate


def _option(field: dataclasses.Field[Any], kind: type, said_default: str | None) -> Decorator:
    can_be_switched_off = kind is bool and field.default is not False
    flags = [flag_of(field.name) + (f"/{off_flag_of(field.name)}" if can_be_switched_off else "")]
    flags += [SHORT_FLAGS[field.name]] if field.name in SHORT_FLAGS else []
    if said_default is not None:
        default = said_default
    elif field.default is None:
        default = field.metadata["unset"]
    elif isinstance(field.default, bool):
        default = "on" if field.default else ""
    else:
        default = "" if field.default == () else str(field.default)
    choices = field.metadata["choices"]
    scalar = _Written(field) if "reads" in field.metadata else str if kind is tuple else kind
    return click.option(
        *flags,
        field.name,
        type=click.Choice(choices) if choices else scalar,
        metavar=field.metadata.get("metavar"),
        is_flag=kind is bool,
        multiple=kind is tuple,
        default=None,
        help=field.metadata["description"] + (f"  [default: {default}]" if default else ""),
    )


class _Written(click.ParamType):
    """A number that may also be written in another way, which the field's `reads` knows and its `form` tells."""

    def __init__(self, field: dataclasses.Field[Any]):
        self.name, self._field = field.name, field.metadata

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """What `value` stands for."""
        try:
            return self._field["reads"](value)
        except ValueError:
            self.fail(f"{value!r} is not {self._field['form']}.", param, ctx)


class _Text(click.ParamType):
    """Text, without the halves of surrogate pairs that stand for bytes of an argument that is not UTF-8."""

    name = "text"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """`value`, if it is text."""
        if found := UNDECODED.search(value):
            byte, place = ord(found[0]) - 0xDC00, found.start() + 1
            self.fail(f"it is not UTF-8: byte 0x{byte:02X} at character {place:,}. Give it in a file.", param, ctx)
        return str(value)


TEXT = _Text()


def given(values: dict[str, Any]) -> dict[str, Any]:
    """Only the flags that were given on the command line."""
    return {name: value for name, value in values.items() if value is not None and value != ()}


sampling_options = options_of(SamplingConfig)


def sampling_config(**flags: Any) -> SamplingConfig:
    """The sampling settings of the flags that were given; what is to end a text or banned is typed as in `repl`.

    A seed that is drawn is told.
    """
    texts = {name: tuple(map(unescape, flags.get(name) or ())) for name in ("stop", "ban")}
    config = SamplingConfig(**given({**flags, **texts}))
    if flags.get("seed") == RANDOM:
        tell(f"textgen: the seed is {config.seed}")
    return config


def models_dir_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds `--models-dir` as the parameter `models_dir: Path`."""

    def resolve(_context: click.Context, _parameter: click.Parameter, value: str | None) -> Path:
        if value:
            return Path(value)
        from textgen.store.model_directory import default_models_dir

        return default_models_dir()

    return click.option(
        "--models-dir",
        callback=resolve,
        help="Directory of the models.  [default: $TEXTGEN_MODELS_DIR or saved_models]",
    )(command)


def json_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds `--json` as the parameter `as_json: bool`."""
    return click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")(command)


def jobs_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds `--jobs` as the parameter `jobs: int | None`."""
    return click.option(
        "--jobs",
        type=click.IntRange(1, MOST_CORES),
        help="Processes that count and encode a large text. Their number changes no byte.  [default: the cores]",
    )(command)


def engine_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds `--engine` as the parameter `engine: str`."""
    return click.option(
        "--engine",
        type=click.Choice(("numpy", "tensorflow")),
        default="numpy",
        show_default=True,
        help="Engine that runs the network; both write the same text.",
    )(command)


def on_unknown_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds `--on-unknown` as the parameter `on_unknown: str`."""
    return click.option(
        "--on-unknown",
        type=click.Choice(("replace", "skip", "error")),
        default="replace",
        show_default=True,
        help="What happens to symbols that the model has never seen.",
    )(command)
