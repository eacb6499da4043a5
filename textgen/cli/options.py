"""Flags that several commands share, made from the settings' dataclasses so that they cannot drift apart.

A field's name is the flag, its sentence the help, its default the default; what a flag may hold is checked by the
dataclass alone.
"""

import dataclasses
import types
import typing
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from textgen.config import LEVEL_DEFAULTS, SamplingConfig, TextConfig, TrainingConfig
from textgen.settings import Settings, flag_of, off_flag_of

SHORT_FLAGS = {"length": "-n", "temperature": "-t"}
SWITCHES = ("tied", "skip", "unigram_bias")  # that may be on where nothing is said


def options_of(
    settings: type[Settings], skip: tuple[str, ...] = (), defaults: dict[str, str] | None = None
) -> Callable:
    """A decorator that adds one option for each field of `settings`.

    A flag that is not given arrives as None, so that the command can tell it from the default.

    Args:
        defaults: what help says of a default that is not the field's own.
    """

    def decorate(command: Callable) -> Callable:
        for field in reversed([f for f in dataclasses.fields(settings) if f.name not in skip]):
            command = _option(settings, field, (defaults or {}).get(field.name))(command)
        return command

    return decorate


def _option(settings: type[Settings], field: dataclasses.Field, default_note: str | None) -> Callable:
    flags = [flag_of(field.name) + (f"/{off_flag_of(field.name)}" if field.name in SWITCHES else "")]
    flags += [SHORT_FLAGS[field.name]] if field.name in SHORT_FLAGS else []
    kind = _kind(typing.get_type_hints(settings)[field.name])
    help_text = field.metadata["description"]
    if default_note is None:
        default_note = _default_note(field)
    if default_note:
        help_text += f"  [default: {default_note}]"
    choices = field.metadata["choices"]
    return click.option(
        *flags,
        field.name,
        type=click.Choice(choices) if choices else {tuple: str}.get(kind, kind),
        is_flag=kind is bool,
        multiple=kind is tuple,
        default=None,
        help=help_text,
    )


def _default_note(field: dataclasses.Field) -> str:
    """The field's own default, and that of word models where it is another."""
    own = "" if field.default is False or field.default in (None, ()) else str(field.default)
    own = "on" if field.default is True else own
    word = LEVEL_DEFAULTS["word"].get(field.name)
    of_words = "" if word is None else "on for words" if word is True else f"words: {word}"
    return "; ".join(filter(None, (own, of_words)))


def _kind(hint: Any) -> type:
    if isinstance(hint, types.UnionType):
        return next(part for part in typing.get_args(hint) if part is not types.NoneType)
    return typing.get_origin(hint) or hint


def given(values: dict[str, Any]) -> dict[str, Any]:
    """Only the flags that were given on the command line."""
    return {name: value for name, value in values.items() if value is not None and value != ()}


sampling_options = options_of(SamplingConfig)

SUITED = "suits text and budget"
training_options = options_of(
    TrainingConfig,
    defaults={
        "num_sampled": "0 up to 4096 ids, else 1024",
        "batch_size": SUITED,
        "dropout": SUITED,
        "learning_rate": SUITED,
        "weight_decay": SUITED,
        "activation_reg": SUITED,
    },
)

text_options = options_of(
    TextConfig,
    defaults={
        "level": "char; word for the starter corpus",
        "vocabulary_size": "30000, or all words that occur twice",
    },
)


def sampling_config(**flags: Any) -> SamplingConfig:
    """The sampling settings of the flags that were given."""
    return SamplingConfig(**given(flags))


def models_dir_option(command: Callable) -> Callable:
    """Adds `--models-dir` as the parameter `models_dir: Path`."""

    def resolve(_context: click.Context, _parameter: click.Parameter, value: str | None) -> Path:
        if value:
            return Path(value)
        from textgen.model_store import default_models_dir

        return default_models_dir()

    return click.option(
        "--models-dir",
        callback=resolve,
        help="Where models live.  [default: $TEXTGEN_MODELS_DIR or saved_models]",
    )(command)


def json_option(command: Callable) -> Callable:
    """Adds `--json` as the parameter `as_json: bool`."""
    return click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")(command)


def engine_option(command: Callable) -> Callable:
    """Adds `--engine` as the parameter `engine: str`."""
    return click.option(
        "--engine",
        type=click.Choice(("numpy", "tensorflow")),
        default="numpy",
        show_default=True,
        help="What runs the network; both write the same text.",
    )(command)


def on_unknown_option(command: Callable) -> Callable:
    """Adds `--on-unknown` as the parameter `on_unknown: str`."""
    return click.option(
        "--on-unknown",
        type=click.Choice(("replace", "skip", "error")),
        default="replace",
        show_default=True,
        help="What to do with symbols the model has never seen.",
    )(command)
