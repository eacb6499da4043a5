"""A text, a budget and a machine -> every setting that nobody has decided.

`fill` answers each None of a ModelConfig and a TrainingConfig, for the command line, Python, `benchmark` and `inspect`.

A larger model learns more from each token and fewer tokens per second. So the size of a model is the largest that meets
enough tokens in the budget for each of its recurrent weights, and whose weights the text is long enough for. The batch
follows from how many steps that makes. Dropout and the penalty on activations follow from how often the text is read,
the learning rate from the number of steps and the length of the text, and weight decay from the steps of a pass. The
runs behind these rules are in `tests/benchmarks/quality.md`.
"""

import math
import time
from collections.abc import Sequence
from typing import NamedTuple, TypeVar

import numpy as np

from textgen.adapting import KNOWS_WELL, MOST_PASSES, adapting_settings
from textgen.adapting import NUM_SAMPLED as ADAPTING_SAMPLED
from textgen.config import PRESET_NAMES, ModelConfig, TrainingConfig
from textgen.cores import available_cores
from textgen.corpus.sources import level_of
from textgen.dataset.batches import Batches, minimum_tokens
from textgen.errors import SettingError


class Size(NamedTuple):
    """A size of model, and what suits it."""

    units: int
    batch_size: int
    tokens_per_weight: float  # from so many on it is better than the next smaller one,
    characters_per_weight: float  # if the text itself has so many; of words nothing is known
    share: float  # of `recurrent_rate` that training reaches, by six operations per weight and token, measured


LONG_TEXT = 0.8  # characters for each weight; of a shorter text a model learns more by heart than it understands
SIZES = (
    Size(64, 16, 0.0, 0.0, 0.7),
    Size(128, 16, 2.0, 0.0, 1.25),
    Size(256, 32, 2.0, LONG_TEXT, 1.75),
    Size(384, 32, 2.5, LONG_TEXT, 2.0),
)
PRESETS = dict(zip(PRESET_NAMES, SIZES, strict=True))
LARGEST = {"char": "large", "word": "medium"}  # larger word models were not measured
EMBEDDING_SIZE = 64  # of a character; words have one as wide as their layers
MINUTES = 2.0
TRAINING_SHARE = 0.8  # of the minutes; the rest is starting, compiling, evaluating and saving
FEW_STEPS = 4_000  # a budget that pays for no more of them is better spent on twice as many smaller ones
SMALL_BATCH = 16  # the batch of words, too
RATE, HIGH_RATE = 0.006, 0.012  # peak of the learning rate
RATE_BY_STEPS = ((4_500, HIGH_RATE), (math.inf, RATE))  # where the text is not long for the size, up to so many steps
DROPOUT = {  # up to so many passes over the text, so much
    "char": ((2.0, 0.05), (5.0, 0.1), (8.0, 0.2), (math.inf, 0.3)),
    "word": ((12.0, 0.2), (40.0, 0.3), (math.inf, 0.4)),
}
ACTIVATION_REG = {"char": ((math.inf, 0.0),), "word": ((12.0, 0.0), (math.inf, 2.0))}  # likewise
DECAY_PASSES = 4.0  # in so many passes over the text, at the peak rate, weight decay shrinks a weight by a factor of e
DECAY_STEPS = 200  # but in no fewer steps
MAX_DECAY = 10.0  # the most that `weight_decay` takes
COMPARED_WORDS = 1_024  # the output layer's share of a step at word level: a sample of the vocabulary
MOST_SCORED, NUM_SAMPLED = 4_096, 1_024  # up to so many ids a step scores all of them; else it draws so many
MISJUDGED = 1.5  # a speed that is wrong by less does not change what is best by much


class Asked(NamedTuple):
    """What a user has decided. What is None is left to the recipe."""

    model: ModelConfig
    training: TrainingConfig
    preset: str | None = None


class Facts(NamedTuple):
    """What the recipe depends on."""

    level: str
    num_tokens: int  # of the training part
    num_ids: int  # different tokens
    operations_per_second: float  # of this machine, see `recurrent_rate`
    begins_at: float | None = None  # bits of the model that the run begins with, of the text's floor; None is no model
    storage: str = "float32"  # of that model
    passes: float | None = None  # that the run makes, where that was measured

    @property
    def begins_trained(self) -> bool:
        """Whether the weights are those of a model that has learned already."""
        return self.begins_at is not None

    @property
    def begins_well(self) -> bool:
        """Whether that model knows most of what there is to know about the text."""
        return self.begins_at is not None and self.begins_at < KNOWS_WELL


class Recipe(NamedTuple):
    """Every setting of a run, and why."""

    model: ModelConfig
    training: TrainingConfig
    preset: str
    reason: str  # one clause: what the budget pays for
    tokens: float  # that the budget pays for, about
    tokens_per_second: float  # the speed that was expected
    asked: Asked
    facts: Facts

    def most_steps(self, batches: Batches) -> int | None:
        """After so many steps a model that knew the text well learns it by heart; None where it knew little.

        It limits minutes, not steps or passes that were asked for.
        """
        is_limited = self.facts.begins_well and self.training.minutes is not None
        return batches.steps_for(MOST_PASSES) if is_limited else None

    def at_speed(self, tokens_per_second: float) -> "Recipe":
        """The recipe for the speed that training was measured to have; itself where that changes nothing."""
        misjudged = tokens_per_second / self.tokens_per_second
        is_about_right = 1 / MISJUDGED <= misjudged <= MISJUDGED
        if is_about_right or self.facts.begins_trained or self.training.minutes is None:
            return self
        rate = self.facts.operations_per_second * misjudged
        other = fill(self.asked, self.facts._replace(operations_per_second=rate))
        return self if (other.model, other.training) == (self.model, self.training) else other

    def in_passes(self, passes: float) -> "Recipe":
        """The recipe for a run whose minutes were measured to pay for so many passes over the text."""
        is_known = self.facts.begins_well and self.training.minutes is not None
        return fill(self.asked, self.facts._replace(passes=passes)) if is_known else self


def suited_level(sources: Sequence[str]) -> str:
    """The level of a model of these sources: that of a corpus of the catalogue alone, else characters."""
    return level_of(sources) or "char"


def fill(asked: Asked, facts: Facts) -> Recipe:
    """What was asked for, with every None decided.

    Raises:
        SettingError: there is no such preset, or a setting that was asked for does not fit the others.
    """
    budget = asked.training
    if (budget.minutes, budget.epochs, budget.steps) == (None, None, None):
        budget = budget.replace(minutes=MINUTES)
    trials = [_try(name, asked.model, budget, facts) for name in _candidates(asked, facts.level)]
    chosen = next((trial for trial in trials if trial.fits_budget and trial.fits_text), trials[-1])
    limit = any(trial.fits_budget for trial in trials[: trials.index(chosen)])
    per_weight, passes = chosen.tokens / chosen.weights, facts.passes or chosen.tokens / max(1, facts.num_tokens)
    batch_size = chosen.batch_size
    if budget.steps is None and chosen.tokens < FEW_STEPS * batch_size * budget.sequence_length:
        batch_size = min(SMALL_BATCH, batch_size)
    step_tokens = (budget.batch_size or batch_size) * budget.sequence_length
    is_long = facts.level == "char" and facts.num_tokens >= LONG_TEXT * chosen.weights
    rate = budget.learning_rate or (HIGH_RATE if is_long else up_to(RATE_BY_STEPS, chosen.tokens / step_tokens))
    is_word = facts.level == "word"
    shape = {"units": chosen.size.units, "embedding_size": chosen.embedding_size, "tied": is_word, "skip": not is_word}
    model = asked.model.replace(vocabulary_size=facts.num_ids).filled(shape)
    num_sampled = ADAPTING_SAMPLED if facts.begins_well else NUM_SAMPLED
    if facts.begins_at is not None and facts.begins_well:
        read = passes if budget.minutes is None else min(passes, MOST_PASSES)  # see `most_steps`
        budget = budget.filled(adapting_settings(facts.begins_at, read, facts.num_tokens, is_word=is_word))
    training = budget.filled(
        {
            "batch_size": batch_size,
            "learning_rate": rate,
            "dropout": up_to(DROPOUT[facts.level], passes),
            "activation_reg": up_to(ACTIVATION_REG[facts.level], passes),
            # What a trained model knows must not fade.
            "weight_decay": 0.0 if facts.begins_trained else weight_decay(facts.num_tokens / step_tokens, rate),
            "bias_rate": 1.0,
            "schedule": "one-cycle",
            "num_sampled": num_sampled if facts.num_ids > MOST_SCORED else 0,
            "storage": facts.storage,
            "cores": available_cores(),
        }
    )
    if training.num_sampled is not None and training.num_sampled >= facts.num_ids:
        training = training.replace(num_sampled=0)  # a sample of all tokens is all of them
    reason = f"{per_weight:.1f} tokens for each weight, {passes:.1f} passes"
    reason += "; the text is too short for more weights" if limit else ""
    speed = tokens_per_second(chosen.size, facts)
    return Recipe(model, training, chosen.preset, reason, chosen.tokens, speed, asked, facts)


class _Trial(NamedTuple):
    """A size, for a text and a budget."""

    preset: str
    size: Size
    embedding_size: int
    batch_size: int
    weights: int  # of the kernels of its recurrent layers
    tokens: float  # that the budget pays for
    fits_budget: bool
    fits_text: bool


def _candidates(asked: Asked, level: str) -> list[str]:
    """The presets to choose from, the largest first."""
    if asked.preset is not None and asked.preset not in PRESETS:
        raise SettingError(f"`preset` must be one of {', '.join(PRESETS)}. Received: {asked.preset!r}")
    if asked.preset is not None:
        return [asked.preset]
    if asked.model.units is not None:
        return [_nearest(asked.model.units)]
    return [name for name in reversed(PRESETS) if PRESETS[name].units <= PRESETS[LARGEST[level]].units]


def size_of(units: int) -> Size:
    """The size of a model with so many units: what suits the nearest preset."""
    return PRESETS[_nearest(units)]._replace(units=units)


def _nearest(units: int) -> str:
    return min(PRESETS, key=lambda name: abs(math.log(PRESETS[name].units / units)))


def _try(preset: str, model: ModelConfig, budget: TrainingConfig, facts: Facts) -> _Trial:
    size = PRESETS[preset] if model.units is None else size_of(model.units)
    is_word = facts.level == "word"
    embedding_size = size.units if is_word else EMBEDDING_SIZE
    batch_size = SMALL_BATCH if is_word else size.batch_size
    while batch_size > 1 and minimum_tokens(batch_size, budget.sequence_length) > facts.num_tokens:
        batch_size //= 2  # a short text fills few streams
    if budget.epochs is not None:
        tokens = budget.epochs * facts.num_tokens
    elif budget.steps is not None:
        tokens = float(budget.steps * (budget.batch_size or batch_size) * budget.sequence_length)
    else:
        tokens = TRAINING_SHARE * 60 * (budget.minutes or 0.0) * tokens_per_second(size, facts)
    weights = recurrent_weights(size.units, embedding_size)
    fits_text = is_word or facts.num_tokens >= size.characters_per_weight * weights
    fits_budget = tokens / weights >= size.tokens_per_weight
    return _Trial(preset, size, embedding_size, batch_size, weights, tokens, fits_budget, fits_text)


Value = TypeVar("Value")


def up_to(table: Sequence[tuple[float, Value]], number: float) -> Value:
    """The value of the first row whose limit is at least `number`."""
    return next(value for limit, value in table if number <= limit)


def weight_decay(steps_per_pass: float, learning_rate: float) -> float:
    """The decay that suits a text that is read in so many steps.

    What matters is over how many passes the weights average what they learn: 1 / (decay * rate * steps of a pass).
    Source: Wang and Aitchison 2024, "How to set AdamW's weight decay as you scale model and dataset size".
    """
    decay = 1 / (learning_rate * max(DECAY_STEPS, DECAY_PASSES * steps_per_pass))
    return float(f"{min(decay, MAX_DECAY):.2g}")


def tokens_per_second(size: Size, facts: Facts) -> float:
    """About how fast a model of that size trains."""
    return size.share * facts.operations_per_second / operations_per_token(facts.level, size.units, facts.num_ids)


def operations_per_token(level: str, units: int, num_ids: int) -> int:
    """Operations of a training step for one token, as textbooks count: six per weight that is multiplied."""
    embedding_size = EMBEDDING_SIZE if level == "char" else units
    scores = units * (COMPARED_WORDS if level == "word" else num_ids)
    return 6 * (recurrent_weights(units, embedding_size) + scores)


def recurrent_weights(units: int, embedding_size: int) -> int:
    """Weights of an LSTM's kernels, with as many layers as a model has by default."""
    return 4 * units * (embedding_size + units + 2 * units * (ModelConfig().num_layers - 1))


def recurrent_rate(units: int = 256, rows: int = 32, rounds: int = 60) -> float:
    """Operations per second of an LSTM's steps in NumPy, the best of some rounds.

    A step has a product with few rows and then elementwise work, as training has: large products alone are much faster
    on some machines and hardly on others.
    """
    kernel = np.full((units, 4 * units), 1e-3, np.float32)
    hidden = memory = np.ones((rows, units), np.float32)
    seconds = []
    for _ in range(rounds):
        begin = time.perf_counter()
        i, f, g, o = np.split(np.tanh(hidden @ kernel), 4, axis=1)
        memory = 0.5 * ((f + 1) * memory + (i + 1) * g)
        hidden = 0.5 * (o + 1) * np.tanh(memory)
        seconds.append(time.perf_counter() - begin)
    return 2 * rows * kernel.size / min(seconds)
