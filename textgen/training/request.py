"""What `textgen train` and `textgen.train` ask for, checked as far as that goes without reading a text."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from textgen.cells import CELLS
from textgen.config import ModelConfig, TextConfig, TrainingConfig
from textgen.cores import MOST_CORES
from textgen.corpus import CorpusReader, open_corpus
from textgen.corpus.sources import references, suggested_name
from textgen.corpus.texts import ENCODING, IN_MEMORY, NAME, TextsReader
from textgen.errors import SettingError
from textgen.recipe import suited_level
from textgen.schema import Settings, from_python, names_of, received
from textgen.store.model_directory import StoredModel
from textgen.training.init_from import inherited_settings

FOR_FILES = (
    "column",
    "bad_rows",
    "file_format",
    "include",
    "exclude",
    "encoding",
    "encoding_errors",
)  # settings that texts in memory cannot have


@dataclasses.dataclass(frozen=True)
class Request:
    """A new run, or one to go on with.

    Raises:
        SettingError: settings are given for a run that keeps its own, or one is of the wrong type or out of its range;
            texts are given twice, or with settings that are for files.
    """

    models_dir: Path
    sources: tuple[str, ...] = ()  # files, folders, catalogue names, or -; none is the starter corpus
    texts: str | tuple[str, ...] | None = None  # instead of sources: one text, or several that are documents
    name: str | None = None  # of the model; None is the corpus's
    settings: Mapping[str, Any] = dataclasses.field(default_factory=dict)  # fields of the configs; None is not given
    preset: str | None = None  # the size; None suits
    init_from: str | None = None  # name or path of the model to begin with, "none" for nothing; None suits
    resume: bool = False
    overwrite: bool = False
    jobs: int | None = None  # processes that prepare a large text; None is as many as there are cores
    dry_run: bool = False  # plan and measure, and write nothing

    def __post_init__(self) -> None:
        if self.resume:
            options = {"preset": self.preset, "init_from": self.init_from, "overwrite": self.overwrite or None}
            given = {name: value for name, value in ({**self.settings} | options).items() if value is not None}
            if given:
                names = ", ".join(f"`{name}=False`" if value is False else f"`{name}`" for name, value in given.items())
                raise SettingError(f"`resume` goes on with the settings of the run; leave out {names}")
        if self.texts is not None:
            self._check_texts()
        if self.jobs is not None and not 1 <= self.jobs <= MOST_CORES:
            raise SettingError(f"`jobs` must be from 1 to {MOST_CORES}. Received: {received(self.jobs)}")
        _typed(self.settings)

    def _check_texts(self) -> None:
        if not self.texts:
            raise SettingError("`texts` holds no text. Give a text, or a list of texts")
        if self.sources:
            raise SettingError("give either files or `texts`, not both")
        for name in FOR_FILES:
            if self.settings.get(name) is not None:
                raise SettingError(f"`{name}` is for files; leave it out with `texts`")


def given_settings(request: Request) -> dict[str, Any]:
    """The settings that the user has decided, and those that texts in memory have."""
    given = _typed(request.settings)
    if request.texts is not None:
        given["encoding"] = ENCODING
        if not isinstance(request.texts, str) and "document_separator" not in given:
            given.setdefault("documents", "file")  # each is a document
    return given


def _typed(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Those of `settings` that are not None, as the configs have them. What no config knows is left as it is."""
    given = {name: value for name, value in settings.items() if value is not None}
    for config, names in _known_names().items():
        given |= from_python(config, {name: given[name] for name in names if name in given})
    return given


def _chosen(given: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What is given of the text, the model and the training. Raises SettingError for an unknown setting."""
    known = _known_names()
    all_known = sorted({name for names in known.values() for name in names})
    if unknown := sorted(given.keys() - all_known):
        raise SettingError(f"unknown setting {unknown[0]!r}. There are: {', '.join(all_known)}")
    return [{name: given[name] for name in names if name in given} for names in known.values()]


def _known_names() -> dict[type[Settings], list[str]]:
    """The settings that can be given, by their configs."""
    return {
        TextConfig: names_of(TextConfig),
        ModelConfig: [name for name in names_of(ModelConfig) if name != "vocabulary_size"],  # the tokenizer's
        TrainingConfig: names_of(TrainingConfig),
    }


def open_requested(request: Request, config: TextConfig, encodings: Sequence[str] = ()) -> CorpusReader:
    """The corpus that a run is asked for, to be read as `config` says. Raises CorpusError.

    Args:
        encodings: what was found when its files were read before.
    """
    if request.texts is None:
        return open_corpus(request.sources, config, encodings=encodings)
    return TextsReader([request.texts] if isinstance(request.texts, str) else request.texts, config)


def name_of(request: Request) -> str:
    """What a model of its text is called. Raises CorpusError where the text is missing."""
    return NAME if request.texts is not None else suggested_name(request.sources)


def references_of(request: Request) -> tuple[str, ...]:
    """What its model will remember of where its text is. Raises CorpusError where that is missing."""
    return (IN_MEMORY,) if request.texts is not None else references(request.sources)


def check_settings(request: Request) -> None:
    """Raise SettingError for what is wrong with the settings whatever the run begins with."""
    TrainingConfig(**_chosen(given_settings(request))[2])


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
    given.setdefault("level", "char" if request.texts is not None else suited_level(request.sources))
    of_text, of_model, of_training = _chosen(given)
    text, model, training = TextConfig(**of_text), ModelConfig(**of_model), TrainingConfig(**of_training)
    if "forget_bias" in given and "forget" not in CELLS[model.cell].gates:
        raise SettingError(f"`forget_bias` is for `cell=lstm`; {model.cell} has no forget gate")
    return text, model, training
