"""A corpus and settings in; everything that a run needs, checked, out. Texts become token ids; nothing is trained."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from textgen import sizing
from textgen.config import ModelConfig, TextConfig, TrainingConfig
from textgen.corpus import CorpusReader
from textgen.corpus.splitting import Split
from textgen.dataset import Batches, count_token_ids
from textgen.model.negatives import choose_num_sampled
from textgen.model_store import StoredModel, num_parameters
from textgen.preparation import Prepared, prepare
from textgen.records import CorpusRecord, ParentRecord
from textgen.sizing import Choice, Suited
from textgen.tokenizers import Tokenizer
from textgen.training.parent import initial_weights, parent_record

MISJUDGED = 1.5  # a speed that is wrong by less does not change what is best by much


@dataclasses.dataclass(frozen=True)
class Plan:
    """A run before it starts."""

    name: str
    path: Path  # the model directory
    model: ModelConfig
    text: TextConfig
    training: TrainingConfig
    corpus: CorpusRecord
    prepared: Prepared
    total_steps: int | None  # None until minutes are turned into steps
    parent: ParentRecord | None = None  # the model that it begins with; None begins from nothing
    initial_weights: dict[str, np.ndarray] | None = None  # of a new run that has a parent
    suited: Suited | None = None  # what was made to suit, and to what; None where nothing was

    @property
    def tokenizer(self) -> Tokenizer:
        """The tokenizer of the corpus."""
        return self.prepared.tokenizer

    @property
    def train_ids(self) -> np.ndarray:
        """Unsigned [N], memory-mapped."""
        return self.prepared.train_ids

    @property
    def validation_ids(self) -> np.ndarray:
        """Unsigned [N], memory-mapped; shorter than 2 when there is no validation."""
        return self.prepared.validation_ids

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

    def at_speed(self, tokens_per_second: float) -> "Plan":
        """The plan that suits the speed its model was measured to train at; itself where that changes nothing."""
        if self.suited is None or self.parent is not None or self.total_steps is not None:
            return self
        misjudged = tokens_per_second / self.suited.tokens_per_second
        if 1 / MISJUDGED <= misjudged <= MISJUDGED:
            return self
        again = _made_to_suit(self, self.suited.choice, self.suited.operations_per_second * misjudged)
        return self if (again.model, again.training) == (self.model, self.training) else again

    def tokens_per_character(self) -> float:
        """Of the validation part, where every end of a document counts as a character: 1 at character level."""
        lengths = np.array([max(1, len(piece)) for piece in self.tokenizer.pieces])
        counts = count_token_ids(self.validation_ids, self.tokenizer.vocabulary_size)
        return float(counts.sum() / max(1, counts @ lengths))


def make_plan(
    reader: CorpusReader,
    *,
    name: str,
    path: Path,
    shape: dict[str, Any],
    training: TrainingConfig,
    tokenizer: Tokenizer | None = None,
    parent: StoredModel | None = None,
    choice: Choice | None = None,
    expected: CorpusRecord | None = None,
    progress: Callable[[str, int, int], None] = lambda stage, done, total: None,
) -> Plan:
    """The plan of a run on a corpus.

    Args:
        shape: fields of ModelConfig except vocabulary_size.
        tokenizer: of a run that is resumed; None makes one from the corpus.
        parent: the model that a new run begins with; its shape is the one of `shape`.
        choice: what the user has fixed of `shape` and `training`; the rest is then made to suit corpus and budget.
        expected: the corpus that a resumed run began with.
        progress: called with what is being done to the corpus, bytes done and bytes to do.

    Raises:
        CorpusError: the training part is too short for one batch.
    """
    prepared = prepare(
        reader,
        Split(training.val_fraction, training.seed),
        tokenizer=tokenizer,
        base=None if parent is None else parent.tokenizer,
        expected=expected,
        progress=progress,
    )
    vocabulary_size = prepared.tokenizer.vocabulary_size
    training = training.replace(num_sampled=choose_num_sampled(training.num_sampled, vocabulary_size))
    plan = Plan(
        name=name,
        path=path,
        model=ModelConfig(vocabulary_size=vocabulary_size, **shape),
        text=reader.config,
        training=training,
        corpus=CorpusRecord(reader.name, reader.sources, prepared.sha256, prepared.characters, prepared.num_documents),
        prepared=prepared,
        total_steps=None,
    )
    if choice is not None:
        plan = _made_to_suit(plan, choice, sizing.recurrent_rate())
    plan = dataclasses.replace(plan, total_steps=_fixed_steps(plan))
    return plan if parent is None else _begun_with(parent, plan)


def _made_to_suit(plan: Plan, choice: Choice, operations_per_second: float) -> Plan:
    """`plan` with what suits corpus, budget and machine in place of what the user did not fix."""
    suited = sizing.suit(
        plan.text.level,
        len(plan.train_ids),
        plan.model.vocabulary_size,
        plan.training,
        operations_per_second,
        choice,
    )
    shape, training = (
        {name: value for name, value in settings.items() if name not in choice.given}
        for settings in (suited.shape, suited.training)
    )
    return dataclasses.replace(
        plan, model=plan.model.replace(**shape), training=plan.training.replace(**training), suited=suited
    )


def _begun_with(parent: StoredModel, plan: Plan) -> Plan:
    """`plan`, to begin with the parent's weights."""
    token_counts = count_token_ids(plan.train_ids, plan.model.vocabulary_size)
    weights = initial_weights(parent, plan.tokenizer, token_counts, plan.training.seed)
    return dataclasses.replace(plan, parent=parent_record(parent, plan.tokenizer), initial_weights=weights)


def _fixed_steps(plan: Plan) -> int | None:
    """The number of steps where the budget gives it; None for minutes."""
    batches = plan.batches  # raises CorpusError when the text is too short
    if plan.training.steps is not None:
        return plan.training.steps
    return None if plan.training.epochs is None else batches.steps_for(plan.training.epochs)
