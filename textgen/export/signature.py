"""What a SavedModel takes and gives, in TensorFlow's words.

All that it says of the settings of `requests.py` is derived here from their fields: order, types, ranges and notes.

NOTE: the function `generate` of a loaded export knows the defaults. Its signature holds them for TensorFlow Serving,
but the one that Python loads asks for all inputs.
"""

import dataclasses
import inspect
import operator
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from textgen.config import FILTERS
from textgen.config.sampling import LONGEST_CYCLE, MAX_BANNED
from textgen.export.requests import OPTIONAL, PLAIN, SETTINGS, request_of
from textgen.generation.graph_sampling import OFF
from textgen.generation.sampling import PENALTIES

MAX_LENGTH = 1_000_000  # anyone may send a request


def _spec_of(field: dataclasses.Field) -> tf.TensorSpec:
    if field.name == "temperature":
        return tf.TensorSpec(None, tf.float32, field.name)  # one, or several that take turns
    if field.name == "ban":
        return tf.TensorSpec([None], tf.string, field.name)
    whole = tf.int64 if (field.metadata["maximum"] or 0) > tf.int32.max else tf.int32
    return tf.TensorSpec([], tf.float32 if field.type is float else whole, field.name)


INPUTS = {
    "prompt": tf.TensorSpec([None], tf.string, "prompt"),
    **{name: _spec_of(field) for name, field in SETTINGS.items()},
}
OUTPUTS = {"text": "string [B]: the prompt as the model read it, and what it wrote", "completion": "string [B]"}


def signature() -> dict[str, dict[str, str]]:
    """Inputs and outputs by name, as text."""
    shapes = {"prompt": " [B]", "temperature": " or several", "ban": " [K]"}
    inputs = {name: f"{spec.dtype.name}{shapes.get(name, '')}" for name, spec in INPUTS.items()}
    return {"inputs": inputs, "outputs": dict(OUTPUTS)}


def how_to_call() -> str:
    """A line of Python that loads an export in `directory` and calls it."""
    values = request_of(["Once"], PLAIN)
    values["seed"], values["ban"] = f"{values['seed']}, tf.int64", "[], tf.string"
    arguments = ", ".join(f"{name}=tf.constant({value})" for name, value in values.items())
    return f"loaded = tf.saved_model.load(directory); loaded.signatures['serving_default']({arguments})['text']"


def notes() -> list[str]:
    """What the numbers of a request mean, in sentences."""
    off = [f"{name} {field.default:g}" for name, field in SETTINGS.items() if name in OFF] + ["min_length 0"]
    decimals = [name for name, spec in INPUTS.items() if spec.dtype == tf.float32]
    return [
        f"Temperature 0 takes the likeliest; {_listed([*off, 'an empty ban'])} are off.",
        "Of several temperatures each is for one token in turn.",
        f"{_listed(OPTIONAL)} may be left out where the loaded model's generate is called.",
        f"{_listed([*PENALTIES, 'no_repeat_ngram', 'ban', 'min_length', 'temperature', *FILTERS])} act in this order.",
        "There are no beams, no regex, no must_include and no max_copy. Stop strings are left to the caller.",
        "Where no token may follow, the text ends.",
        "Each row of a batch is the text of its prompt and the seed alone: equal prompts give equal rows.",
        f"{_listed(decimals)} count with six significant digits.",
    ]


def _listed(names: list[str]) -> str:
    return f"{', '.join(names[:-1])} and {names[-1]}"


def as_function(texts: Callable[[tf.Tensor, dict[str, tf.Tensor]], dict[str, tf.Tensor]]) -> Any:
    """`texts(prompt, settings)` as a `tf.function` with one parameter for each input, under the input's name."""

    def generate(prompt: tf.Tensor, *settings: tf.Tensor) -> dict[str, tf.Tensor]:
        return texts(prompt, checked_settings(dict(zip(SETTINGS, settings, strict=True))))

    function: Any = generate
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    optional = {name: tf.constant(SETTINGS[name].default, INPUTS[name].dtype) for name in OPTIONAL}
    function.__signature__ = inspect.Signature(
        [inspect.Parameter(name, kind, default=optional.get(name, inspect.Parameter.empty)) for name in INPUTS]
    )
    return tf.function(function, input_signature=list(INPUTS.values()), autograph=False)


def checked_settings(settings: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    """The settings of a request, float64 where they were float32, once all are found to be in range.

    The temperatures become a row.
    """
    settings = {**settings, "temperature": tf.reshape(settings["temperature"], [-1])}
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
    most = min(MAX_LENGTH, limits["maximum"]) if name in ("length", "min_length") else limits["maximum"]
    rules: list[tuple[str, Callable[..., tf.Tensor], float | None]] = [
        ("at least", operator.ge, limits["minimum"]),
        ("above", operator.gt, limits["above"]),
        ("at most", operator.le, most),
    ]
    checks = [
        tf.debugging.Assert(
            tf.reduce_all(holds(value, tf.constant(limit, value.dtype))), [f"{name} must be {words} {limit}", value]
        )
        for words, holds, limit in rules
        if limit is not None
    ]
    sizes = {
        "temperature": (tf.size(value), f"temperature takes 1 to {LONGEST_CYCLE} numbers", 1, LONGEST_CYCLE),
        "ban": (tf.size(value), f"ban may hold {MAX_BANNED} characters in all", 0, MAX_BANNED),
    }
    if name in sizes:
        size, message, least, largest = sizes[name]
        if value.dtype == tf.string:
            size = tf.reduce_sum(tf.strings.length(value, unit="UTF8_CHAR"))
        checks.append(tf.debugging.Assert((size >= least) & (size <= largest), [message, size]))
    return checks
