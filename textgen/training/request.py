"""What `textgen train` and `textgen.train` ask for, checked as far as that goes without reading a text."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from textgen.cells import CELLS
from textgen.config import ModelConfig, TextConfig, TrainingConfig
from textgen.errors import SettingError
from textgen.recipe import suited_level
from textgen.schema import names_of
from textgen.store.model_directory import StoredModel
from textgen.training.init_from import inherited_settings


@dataclasses.dataclass(frozen=True)
class Request:
    """A new run, or one to go on with.

    Raises:
        SettingError: settings are given for a run that keeps its own.
    """

    models_dir: Path
    sources: tuple[str, ...] = ()  # files, folders, catalogue names, or -; none is the starter corpus
    name: str | None = None  # of the model; None is the corpus's
    settings: Mapping[str, Any] = dataclasses.field(default_factory=dict)  # fields of the configs; None is not given
    preset: str | None = None  # the size; None suits
    init_from: str | None = None  # name or path of the model to begin with, "none" for nothing; None suits
    resume: bool = False
    overwrite: bool = False
    dry_run: bool = False  # plan and measure, and write nothing

    def __post_init__(self) -> None:
        if self.resume:
            options = {"preset": self.preset, "init_from": self.init_from, "overwrite": self.overwrite or None}
            given = {name: value for name, value in ({**self.settings} | options).items() if value is not None}
            if given:
                names = ", ".join(f"`{name}=False`" if value is False else f"`{name}`" for name, value in given.items())
                raise SettingError(f"`resume` goes on with the settings of the run; leave out {names}")


def given_settings(request: Request) -> dict[str, Any]:
    """The settings that the user has decided; one that holds several texts may be given as one, or as a list."""
    given = {name: value for name, value in request.settings.items() if value is not None}
    for name in ("include", "exclude"):
        if isinstance(given.get(name), str):
            given[name] = (given[name],)
        elif isinstance(given.get(name), list):
            given[name] = tuple(given[name])
    return given


def configs_of(request: Request, parent: StoredModel | None = None) -> tuple[TextConfig, ModelConfig, TrainingConfig]:
    """How the text is read, the model's shape, and how it is trained; what is None is left to the recipe.

    Args:
        parent: the model to begin with, whose shape and kind of text the new one has.

    Raises:
        SettingError: a setting is unknown, out of its range, or contradicts another or the parent.
    """
    given = given_settings(request)
    if parent is not None:
        given = inherited_settings(given, parent)
    given.setdefault("level", suited_level(request.sources))
    known = {
        TextConfig: names_of(TextConfig),
        ModelConfig: [name for name in names_of(ModelConfig) if name != "vocabulary_size"],  # the tokenizer's
        TrainingConfig: names_of(TrainingConfig),
    }
    all_known = sorted({name for names in known.values() for name in names})
    if unknown := sorted(given.keys() - all_known):
        raise SettingError(f"unknown setting {unknown[0]!r}. There are: {', '.join(all_known)}")
    text, model, training = (
        config(**{name: given[name] for name in names if name in given}) for config, names in known.items()
    )
    if "forget_bias" in given and "forget" not in CELLS[model.cell].gates:
        raise SettingError(f"`forget_bias` is for `cell=lstm`; {model.cell} has no forget gate")
    return text, model, training
