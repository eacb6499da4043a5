"""What a model says about itself: how it was made, of which text, and what came out.

`ModelRecord` is the `config.json` of a model directory; sampling needs its part `model` alone. `Progress` is the
`progress.json` of a checkpoint, `Evaluated` a line of `metrics.jsonl`. All are read strictly.
"""

import dataclasses
import platform
import re
from importlib import metadata
from typing import Any, Self

from textgen.config import ModelConfig, TextConfig, TrainingConfig
from textgen.errors import SettingError
from textgen.schema import Settings, setting


@dataclasses.dataclass(frozen=True)
class CorpusRecord(Settings):
    """The text a model learned from: enough to find it again and to know that it is the same."""

    name: str = setting("", "Name of the corpus.")
    sources: tuple[str, ...] = setting((), "Files, catalogue names, - for standard input, or texts in memory.")
    sha256: str = setting("", "SHA-256 of the text in UTF-8.")
    characters: int = setting(0, "Characters of the whole text.", minimum=0)
    documents: int = setting(0, "Documents in it; 0 where the text is one whole.", minimum=0)
    sketch: str = setting("", "Sample of the hashes of its passages, see sketch.py.", is_new=True)
    encodings: tuple[str, ...] = setting(
        (), "Encodings of the files, in their order; a single one where all have the same.", is_new=True
    )


@dataclasses.dataclass(frozen=True)
class ResultRecord(Settings):
    """What came out of a run, or has so far. Losses are nats per token."""

    parameters: int = setting(0, "Trainable numbers.", minimum=0)
    vocabulary_size: int = setting(0, "Token ids.", minimum=0)
    steps: int = setting(0, "Optimizer steps done.", minimum=0)
    total_steps: int = setting(0, "Optimizer steps of the whole run.", minimum=0)
    best_step: int = setting(0, "The step whose weights are kept.", minimum=0)
    epochs: float = setting(0.0, "Passes over the training part.", minimum=0)
    train_loss: float | None = setting(None, "Mean loss since the last evaluation.")
    validation_loss: float | None = setting(None, "Best loss on the validation part.")
    validation_bits_per_character: float | None = setting(None, "The same in bits, shared out over its characters.")
    tokens_per_second: float = setting(0.0, "Training speed.", minimum=0)
    seconds: float = setting(0.0, "Wall-clock seconds of the whole command, interruptions not counted.", minimum=0)
    samples_new: int = setting(0, "Documents the model wrote at the end that are in no part of the corpus.", minimum=0)
    samples_in_training: int = setting(0, "Those that it learned from.", minimum=0)
    samples_in_validation: int = setting(0, "Those that are in the validation part.", minimum=0)
    longest_copy: int | None = setting(
        None, "Longest run of characters in its samples that stands in the training text.", minimum=0, is_new=True
    )
    longest_copy_text: str = setting("", "The run, or its first 200 characters.", is_new=True)
    longest_copy_among: int = setting(0, "Characters of these samples.", minimum=0, is_new=True)


@dataclasses.dataclass(frozen=True)
class ParentRecord(Settings):
    """The model that a run began with, where it did not begin from nothing."""

    name: str = setting("", "Its name then.")
    sha256: str = setting("", "SHA-256 of its weights file.")
    symbols_added: int = setting(0, "Characters that it did not know.", minimum=0)
    words_added: int = setting(0, "Words that had no id in it.", minimum=0)
    read_before: float | None = setting(
        None, "Share of the text that it had read before, about.", minimum=0, maximum=1, is_new=True
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if not re.fullmatch("[0-9a-f]{64}", self.sha256):
            raise SettingError(f"a parent's sha256 must be 64 hexadecimal digits. Received: {self.sha256!r:.80}")


@dataclasses.dataclass(frozen=True)
class NoticeRecord(Settings):
    """Whose works a published model learned from, and what others may do with it."""

    licence: str = setting("", "Licence of the model, as SPDX names it: CC0-1.0.")
    text: str = setting("", "What it learned from, and who edited the texts.")
    works: tuple[str, ...] = setting((), "Each work with its author: The Warden, by Anthony Trollope.")


PARTS = ("model", "text", "training", "corpus", "results")


@dataclasses.dataclass(frozen=True)
class ModelRecord:
    """Everything in `config.json`."""

    model: ModelConfig
    text: TextConfig
    training: TrainingConfig
    corpus: CorpusRecord
    results: ResultRecord
    versions: dict[str, str]
    parent: ParentRecord | None = None
    notice: NoticeRecord | None = None

    def to_json(self) -> dict[str, Any]:
        """A dictionary of JSON values, "parent" and "notice" only where there are; `from_json` reads them back."""
        parts = {name: getattr(self, name).to_json() for name in PARTS}
        parent = {} if self.parent is None else {"parent": self.parent.to_json()}
        notice = {} if self.notice is None else {"notice": self.notice.to_json()}
        return parts | parent | {"versions": dict(self.versions)} | notice

    @classmethod
    def from_json(cls, document: Any) -> Self:
        """The record in `document`. Raises SettingError at anything unexpected."""
        if not isinstance(document, dict) or set(document) - {"parent", "notice"} != {*PARTS, "versions"}:
            given = sorted(document) if isinstance(document, dict) else type(document).__name__
            raise SettingError(f"a model's config expects {sorted({*PARTS, 'versions'})}. Received: {given!s:.300}")
        versions = document["versions"]
        if not isinstance(versions, dict) or not all(isinstance(v, str) for v in versions.values()):
            raise SettingError("a model's versions must be names and strings")
        return cls(
            ModelConfig.from_json(document["model"]),
            TextConfig.from_json(document["text"]),
            TrainingConfig.from_json(document["training"]),
            CorpusRecord.from_json(document["corpus"]),
            ResultRecord.from_json(document["results"]),
            versions,
            ParentRecord.from_json(document["parent"]) if "parent" in document else None,
            NoticeRecord.from_json(document["notice"]) if "notice" in document else None,
        )


MAX_ROLLBACKS = 3  # of one run; each halves the learning rate


@dataclasses.dataclass(frozen=True)
class Progress(Settings):
    """How far a run is. Numbers survive JSON exactly, so a resumed run goes on with the same ones."""

    step: int = setting(0, "Steps done.", minimum=0)
    total_steps: int = setting(1, "Steps of the whole run.", minimum=1)
    evaluate_every: int = setting(1, "Steps between evaluations.", minimum=1)
    checkpoint_every: int = setting(1, "Steps between checkpoints.", minimum=1)
    best_step: int = setting(0, "Step of the best weights.", minimum=0)
    best_loss: float | None = setting(None, "Validation loss of the best weights.")
    loss_sum: float = setting(0.0, "Sum of the train losses since the last evaluation.")
    loss_count: int = setting(0, "How many they are.", minimum=0)
    loss_mean: float | None = setting(None, "Running mean of the train loss, in nats; none before the first.")
    rollbacks: int = setting(0, "Times the run went back with a halved rate.", minimum=0, maximum=MAX_ROLLBACKS)
    train_seconds: float = setting(0.0, "Seconds spent in train steps.", minimum=0)
    seconds: float = setting(0.0, "Wall-clock seconds of the run so far.", minimum=0)
    evaluation_seconds: float | None = setting(None, "Seconds that an evaluation takes.", minimum=0, is_new=True)


@dataclasses.dataclass(frozen=True)
class Evaluated(Settings):
    """One row of the history: how the run stood after an evaluation. Losses are nats per token."""

    step: int = setting(0, "Steps done.", minimum=0)
    epoch: float = setting(0.0, "Passes over the training part.", minimum=0)
    learning_rate: float = setting(0.0, "Of the last step.", minimum=0)
    train_loss: float = setting(0.0, "Mean since the last evaluation.")
    validation_loss: float | None = setting(
        None, "On the validation part, or on pieces from all over it when it is long."
    )
    bits_per_character: float | None = setting(None, "The same in bits.")
    tokens_per_second: float = setting(0.0, "Training speed.", minimum=0)
    seconds: float = setting(0.0, "Wall-clock seconds since the run began.", minimum=0)
    sample: str = setting("", "What the model writes now.")


def installed_versions() -> dict[str, str]:
    """Versions that a result depends on."""
    packages = ("textgen", "tensorflow", "keras", "numpy")
    return {"python": platform.python_version(), **{name: version_of(name) for name in packages}}


def version_of(package: str) -> str:
    """The version of an installed package."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"
