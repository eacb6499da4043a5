"""What an export is asked: a prompt, and the settings of SamplingConfig that choose its text.

All that an export says of these settings is derived from their fields. A new filter is therefore a setting of every
export, and part of every check. It comes after those of older exports, with a default.
"""

import dataclasses
from typing import Any

from textgen.config import FILTERS, SamplingConfig
from textgen.generation.sampling import PENALTIES

REQUIRED = ("length", "temperature", "top_k", "top_p", "min_p", "seed")  # the others have defaults, where that is known
OTHERS = (*PENALTIES, "repeat_last_n", "no_repeat_ngram", "ban", "min_length")  # that are asked for, beside the filters
_FIELDS = {field.name: field for field in dataclasses.fields(SamplingConfig)}
OPTIONAL = [name for name in _FIELDS if (name in FILTERS or name in OTHERS) and name not in REQUIRED]
SETTINGS = {name: _FIELDS[name] for name in (*REQUIRED, *OPTIONAL)}

# An export is checked with a plain draw, with all rules and a seed of more than 32 bits, and at temperature 0.
PLAIN = SamplingConfig(length=200)
TRIED: dict[str, Any] = {name: field.metadata["tried"] for name, field in FILTERS.items()} | {
    "repeat_penalty": 1.1,
    "presence_penalty": 0.2,
    "frequency_penalty": 0.1,
    "repeat_last_n": 50,
    "no_repeat_ngram": 6,
    "ban": ("th",),
    "min_length": 100,
    "temperature": (1.0, 0.9),
}
CHECKED = (PLAIN, PLAIN.replace(seed=2**40 + 1, **TRIED), PLAIN.replace(temperature=0.0))

Requests = list[dict[str, Any]]  # each as `request_of` makes it
Answers = list[dict[str, list[str]]]  # for each request, "text" (prompt and completion) and "completion" of each prompt


class CannotRunError(Exception):
    """What would run an export to check it is not installed; says what was not compared."""


def simple(config: SamplingConfig, length: int) -> SamplingConfig:
    """The same of that length, with one temperature and no `ban`: what a page has, and the rules beside a step."""
    least = config.min_length * length // config.length
    return config.replace(length=length, min_length=least, ban=(), temperature=config.temperatures[0])


def request_of(prompts: list[str], config: SamplingConfig) -> dict[str, Any]:
    """The inputs for `prompts` under `config`, by name, as JSON values."""
    values = {name: getattr(config, name) for name in SETTINGS}
    return {"prompt": prompts} | {n: list(value) if isinstance(value, tuple) else value for n, value in values.items()}
