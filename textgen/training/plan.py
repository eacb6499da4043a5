"""A corpus and settings in; everything that a run needs, checked, out. Nothing is computed or written here."""

import dataclasses
from pathlib import Path

import numpy as np

from textgen.config import ModelConfig, TrainingConfig
from textgen.corpus import Corpus, split_text
from textgen.dataset import Batches, memory_mapped
from textgen.errors import CorpusError
from textgen.model_store import num_parameters
from textgen.records import CorpusRecord
from textgen.tokenizers import CharacterTokenizer, Tokenizer


@dataclasses.dataclass(frozen=True)
class Plan:
    """A run before it starts."""

    name: str
    path: Path  # the model directory
    model: ModelConfig
    training: TrainingConfig
    corpus: CorpusRecord
    tokenizer: Tokenizer
    train_ids: np.ndarray  # unsigned [N], memory-mapped
    validation_ids: np.ndarray  # unsigned [N], memory-mapped; shorter than 2 when there is no validation
    notes: tuple[str, ...]
    total_steps: int | None  # None until minutes are turned into steps

    @property
    def batches(self) -> Batches:
        """The training batches."""
        config = self.training
        return Batches(self.train_ids, config.batch_size, config.sequence_length, config.seed)

    @property
    def num_parameters(self) -> int:
        """Trainable numbers."""
        return num_parameters(self.model)

    @property
    def has_validation(self) -> bool:
        """Whether there is a text to validate on."""
        return len(self.validation_ids) >= 2

    @property
    def epochs(self) -> float | None:
        """Passes over the training part that `total_steps` make."""
        return None if self.total_steps is None else self.batches.epoch_of(self.total_steps)


def make_plan(
    corpus: Corpus,
    *,
    name: str,
    path: Path,
    encoding: str,
    shape: dict,
    training: TrainingConfig,
    tokenizer: Tokenizer | None = None,
) -> Plan:
    """The plan of a run on `corpus`.

    Args:
        shape: fields of ModelConfig except vocabulary_size.
        tokenizer: of a run that is resumed; None makes one from the whole corpus.

    Raises:
        CorpusError: the training part is too short for one batch.
    """
    train_text, validation_text = split_text(corpus.text, training.val_fraction)
    tokenizer = tokenizer or CharacterTokenizer.fit(corpus.text)
    plan = Plan(
        name=name,
        path=path,
        model=ModelConfig(vocabulary_size=tokenizer.vocabulary_size, **shape),
        training=training,
        corpus=CorpusRecord(corpus.name, corpus.sources, encoding, corpus.sha256, len(corpus.text)),
        tokenizer=tokenizer,
        train_ids=memory_mapped(tokenizer.encode(train_text), tokenizer.vocabulary_size),
        validation_ids=memory_mapped(tokenizer.encode(validation_text), tokenizer.vocabulary_size),
        notes=corpus.notes,
        total_steps=None,
    )
    return dataclasses.replace(plan, total_steps=_fixed_steps(plan))


def _fixed_steps(plan: Plan) -> int | None:
    """The number of steps where the budget gives it; None for minutes."""
    batches = plan.batches  # raises CorpusError when the text is too short
    if plan.training.steps is not None:
        return plan.training.steps
    return None if plan.training.epochs is None else batches.steps_for(plan.training.epochs)


def check_same_corpus(corpus: Corpus, record: CorpusRecord) -> None:
    """Raise CorpusError unless `corpus` is the text that a run began with."""
    if corpus.sha256 != record.sha256:
        raise CorpusError(
            f"the corpus {corpus.name} is not the one this run began with (SHA-256 {corpus.sha256[:12]}, "
            f"expected {record.sha256[:12]}). Restore it, or train a new model"
        )
