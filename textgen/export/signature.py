"""What a SavedModel takes and gives, in TensorFlow's words.

All that it says of the settings of `requests.py` is derived here from their fields: order, types, ranges and notes.
"""

import dataclasses
import inspect
import operator
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from textgen.config import FILTERS
from textgen.export.requests import PLAIN, SETTINGS, request_of

MAX_LENGTH = 1_000_000  # anyone may send a request


def _type_of(field: dataclasses.Field) -> tf.DType:
    if field.type is float:
        return tf.float32
    return tf.int64 if field.metadata["maximum"] > tf.int32.max else tf.int32


INPUTS = {
    "prompt": tf.TensorSpec([None], tf.string, "prompt"),
    **{name: tf.TensorSpec([], _type_of(field), name) for name, field in SETTINGS.items()},
}
OUTPUTS = {"text": "string [B]: the prompt as the model read it, and what it wrote", "completion": "string [B]"}


def signature() -> dict[str, dict[str, str]]:
    """Inputs and outputs by name, as text."""
    inputs = {name: f"{spec.dtype.name}{' [B]' if spec.shape.rank else ''}" for name, spec in INPUTS.items()}
    return {"inputs": inputs, "outputs": dict(OUTPUTS)}


def how_to_call() -> str:
    """A line of Python that loads an export in `directory` and calls it."""
    values = request_of(["Once"], PLAIN)
    values["seed"] = f"{values['seed']}, tf.int64"
    arguments = ", ".join(f"{name}=tf.constant({value})" for name, value in values.items())
    return f"loaded = tf.saved_model.load(directory); loaded.signatures['serving_default']({arguments})['text']"


def notes() -> list[str]:
    """What the numbers of a request mean, in sentences."""
    off = _listed([f"{name} {field.default:g}" for name, field in FILTERS.items()])
    decimals = _listed([name for name, spec in INPUTS.items() if spec.dtype == tf.float32])
    return [
        f"Temperature 0 takes the likeliest; {off} are off.",
        "Each row of a batch is the text of its prompt and the seed alone: equal prompts give equal rows.",
        f"{decimals} count with six significant digits.",
    ]


def _listed(names: list[str]) -> str:
    return f"{', '.join(names[:-1])} and {names[-1]}"


def as_function(texts: Callable[[tf.Tensor, dict[str, tf.Tensor]], dict[str, tf.Tensor]]) -> Any:
    """`texts(prompt, settings)` as a `tf.function` with one parameter for each input, under the input's name."""

    def generate(prompt: tf.Tensor, *settings: tf.Tensor) -> dict[str, tf.Tensor]:
        return texts(prompt, checked_settings(dict(zip(SETTINGS, settings, strict=True))))

    function: Any = generate
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    function.__signature__ = inspect.Signature([inspect.Parameter(name, kind) for name in INPUTS])
    return tf.function(function, input_signature=list(INPUTS.values()), autograph=False)


def checked_settings(settings: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    """The settings of a request, float64 where they were float32, once all are found to be in range."""
    settings = {name: as_decimal(value) if value.dtype == tf.float32 else value for name, value in settings.items()}
    with tf.control_dependencies([check for name, value in settings.items() for check in _range_checks(name, value)]):
        return {name: tf.identity(value) for name, value in settings.items()}


def as_decimal(value: tf.Tensor) -> tf.Tensor:
    """The number that was meant by a float32, float64: the nearest with six significant digits.

    float32(0.8) is 0.800000012, and text drawn at that temperature may differ from text drawn at 0.8.
    """
    return tf.strings.to_number(tf.strings.as_string(value, shortest=True), tf.float64)


def _range_checks(name: str, value: tf.Tensor) -> list[tf.Operation]:
    """Assertions of the range that `SamplingConfig` gives the setting."""
    limits = SETTINGS[name].metadata
    rules = [
        ("at least", operator.ge, limits["minimum"]),
        ("above", operator.gt, limits["above"]),
        ("at most", operator.le, MAX_LENGTH if name == "length" else limits["maximum"]),
    ]
    return [
        tf.debugging.Assert(holds(value, tf.constant(limit, value.dtype)), [f"{name} must be {words} {limit}", value])
        for words, holds, limit in rules
        if limit is not None
    ]
