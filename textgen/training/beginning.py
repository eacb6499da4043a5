"""What a run begins with: the model that was named, nothing, or the pretrained model where that reads the text well."""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from textgen import pretrained
from textgen.config import TextConfig
from textgen.corpus import CorpusReader
from textgen.dataset.batches import minimum_tokens
from textgen.schema import names_of
from textgen.store import model_directory
from textgen.store.model_directory import StoredModel
from textgen.training.init_from import contradiction
from textgen.training.request import Request, configs_of, given_settings, open_requested

NOTHING = "none"  # what --init-from says for it
# How a text is read, which is known before its level is.
READING = tuple(name for name in names_of(TextConfig) if name not in ("level", "vocabulary_size"))


class Beginning(NamedTuple):
    """A model to begin with, or None for nothing, and why."""

    parent: StoredModel | None = None
    reason: str = ""  # for a user, who did not decide
    reader: CorpusReader | None = None  # of the corpus, where it was opened
    share: float | None = None  # at which the model reads the text, of its floor


def begin(request: Request) -> Beginning:
    """What the run of `request` begins with.

    Raises:
        TextgenError: the model that was named, or the pretrained one, is missing or damaged; the corpus cannot be read.
    """
    if request.init_from == NOTHING:
        return Beginning()
    if request.init_from is not None:
        parent = model_directory.load_model(request.init_from, request.models_dir)
        reader = open_requested(request, configs_of(request, parent)[0])
        return Beginning(parent, "", reader, pretrained.read(parent, reader).share)
    return choose(request)


def choose(request: Request) -> Beginning:
    """The pretrained model, where the run of `request` can begin with it and it reads the text well; else nothing."""
    given = given_settings(request)
    if request.preset is not None:
        return Beginning(reason=f"from nothing: `preset={request.preset}` was given, which is a size of its own")
    if found := _contradiction(given):
        return Beginning(reason=f"from nothing: {found[0]} was given, and {found[1]}")
    model = pretrained.load()
    reader = open_requested(request, TextConfig(**{name: given[name] for name in READING if name in given}))
    reading = pretrained.read(model, reader)
    figures = f"reads this text at {reading.bits:.2f} bits per character before a step"
    text, _, training = configs_of(request, model)
    needed = minimum_tokens(training.batch_size or 1, training.sequence_length)
    needed = math.ceil(needed / (1 - training.val_fraction))
    if reading.suits and not pretrained.has_tokens(model, reader.read_as(text), needed):
        return Beginning(
            None, f"from nothing: {model.name} {figures}, but has too few words in it to learn from", reader
        )
    if reading.suits:
        return Beginning(model, f"with {model.name}: {figures}", reader, reading.share)
    floor = f"where the character before alone gives {reading.floor:.2f}"
    return Beginning(None, f"from nothing: {model.name} {figures}, {floor}", reader)


def _contradiction(given: Mapping[str, Any]) -> tuple[str, str] | None:
    return contradiction(given, pretrained.read_record(), pretrained.NAME)
