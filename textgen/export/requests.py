"""What an export is asked: a prompt, and the settings of SamplingConfig that choose its text.

A new filter is therefore a setting of every export, and part of every check.
"""

import dataclasses
from typing import Any

from textgen.config import FILTERS, SamplingConfig

OTHERS = ("length", "temperature", "seed")  # that are asked for, beside the filters
SETTINGS = {f.name: f for f in dataclasses.fields(SamplingConfig) if f.name in FILTERS or f.name in OTHERS}

# An export is checked with a plain draw, with all filters and a seed of more than 32 bits, and at temperature 0.
PLAIN = SamplingConfig(length=200)
TRIED = {name: field.metadata["tried"] for name, field in FILTERS.items()}
CHECKED = (PLAIN, PLAIN.replace(temperature=1.0, seed=2**40 + 1, **TRIED), PLAIN.replace(temperature=0.0))

Requests = list[dict[str, Any]]  # each as `request_of` makes it
Answers = list[dict[str, list[str]]]  # for each request, "text" (prompt and completion) and "completion" of each prompt


class CannotRunError(Exception):
    """What would run an export to check it is not installed; says what was not compared."""


def request_of(prompts: list[str], config: SamplingConfig) -> dict[str, Any]:
    """The inputs for `prompts` under `config`, by name, as JSON values."""
    return {"prompt": prompts, **{name: getattr(config, name) for name in SETTINGS}}
