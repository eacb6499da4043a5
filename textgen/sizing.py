"""How large a model suits a corpus and a budget, and how it is then trained: the defaults of a run.

What goes in: the level, the size of the training part and of the vocabulary, the budget, and the speed of this machine.
What comes out: a preset, settings, and the reason in one clause. What a user gives overrules each of them. The speed is
reckoned from a moment of NumPy; where training turns out much faster or slower, the choice is made again.

The rule: the largest preset that meets enough tokens for each weight that a token is multiplied with, and that the text
is long enough for; then the batch by how many steps that makes, the learning rate by that and by how long the text is
for the size, dropout and the penalty on activations by how often the text is read, and weight decay by how many steps a
pass over it takes. The runs behind it are in `tests/benchmarks/quality.md`.
"""

import math
import time
from typing import Any, NamedTuple

import numpy as np

from textgen.config import LEVEL_DEFAULTS, PRESET_NAMES, ModelConfig, TrainingConfig
from textgen.dataset import minimum_tokens
from textgen.errors import SettingError


class Preset(NamedTuple):
    """A size of model, and what suits it."""

    units: int
    batch_size: int
    tokens_per_weight: float  # from so many on it is better than the next smaller one,
    characters_per_weight: float  # if the text itself has so many; of words nothing is known
    share: float  # of `recurrent_rate` that training reaches, by six operations per weight and token, measured


LONG_TEXT = 0.8  # characters for each weight; of a shorter text a model learns more by heart than it understands
PRESETS = dict(
    zip(
        PRESET_NAMES,
        (
            Preset(64, 16, 0.0, 0.0, 0.7),
            Preset(128, 16, 2.0, 0.0, 1.25),
            Preset(256, 32, 2.0, LONG_TEXT, 1.75),
            Preset(384, 32, 2.5, LONG_TEXT, 2.0),
        ),
        strict=True,
    )
)
LARGEST = {"char": "large", "word": "medium"}  # larger word models were not measured
EMBEDDING_SIZE = 64  # of a character; words have one as wide as their layers
TRAINING_SHARE = 0.8  # of the minutes; the rest is starting, compiling, evaluating and saving
FEW_STEPS = 4_000  # a budget that pays for no more of them is better spent on twice as many smaller ones
SMALL_BATCH = 16
HIGH_RATE = 0.012  # peak of the learning rate for characters of a long text, and
LEARNING_RATE = ((4_500, HIGH_RATE), (math.inf, TrainingConfig.learning_rate))  # for others, up to so many steps
DROPOUT = {  # up to so many passes over the text, so much
    "char": ((2.0, 0.05), (5.0, 0.1), (8.0, 0.2), (math.inf, 0.3)),
    "word": ((12.0, LEVEL_DEFAULTS["word"]["dropout"]), (40.0, 0.3), (math.inf, 0.4)),
}
ACTIVATION_REG = {"char": ((math.inf, 0.0),), "word": ((12.0, 0.0), (math.inf, 2.0))}  # likewise
DECAY_PASSES = 4.0  # in so many passes over the text, at the peak rate, weight decay shrinks a weight by a factor of e
DECAY_STEPS = 200  # but in no fewer steps
MAX_DECAY = 10.0  # the most that --weight-decay takes
COMPARED_WORDS = 1_024  # the output layer's share of a step at word level: a sample of the vocabulary


class Choice(NamedTuple):
    """What a user has settled; the rest is made to suit."""

    given: dict[str, Any]  # settings of the shape and the training
    preset: str | None = None


class Suited(NamedTuple):
    """What suits a run."""

    preset: str
    shape: dict[str, Any]  # of ModelConfig
    training: dict[str, Any]  # of TrainingConfig
    tokens: float  # that the budget pays for, about
    reason: str  # one clause
    choice: Choice  # that it was made to
    tokens_per_second: float  # that were reckoned with,
    operations_per_second: float  # from this


def suit(
    level: str,
    num_tokens: int,
    num_symbols: int,
    budget: TrainingConfig,
    operations_per_second: float,
    choice: Choice,
) -> Suited:
    """The preset and the settings that suit a run.

    Args:
        num_tokens: of the training part.
        num_symbols: different tokens.
        budget: minutes, epochs or steps, and the sequence length; its other settings are of no account.
        operations_per_second: of this machine, see `recurrent_rate`.

    Raises:
        SettingError: there is no such preset.
    """
    given, preset = choice
    if preset is not None and preset not in PRESETS:
        raise SettingError(f"--preset must be one of {', '.join(PRESETS)}. Received: {preset!r}")
    if preset is not None or "units" in given:
        candidates = [preset or _nearest(given["units"])]
    else:
        candidates = [name for name in PRESETS if PRESETS[name].units <= PRESETS[LARGEST[level]].units]
    sequence_length = given.get("sequence_length", budget.sequence_length)
    limit = ""
    for name in reversed(candidates):
        size = PRESETS[name]._replace(units=given.get("units", PRESETS[name].units))
        shape, training = _settings(level, size, num_tokens, sequence_length)
        tokens = _tokens(level, num_tokens, num_symbols, budget, operations_per_second, size, training | given)
        weights = recurrent_weights(shape["units"], shape["embedding_size"])
        per_weight = tokens / weights
        text_suffices = level == "word" or num_tokens >= size.characters_per_weight * weights
        budget_suffices = per_weight >= size.tokens_per_weight
        if text_suffices and budget_suffices:
            break
        if budget_suffices and len(candidates) > 1:
            limit = "; the text is too short for more weights"
    if budget.steps is None and tokens < FEW_STEPS * training["batch_size"] * sequence_length:
        training["batch_size"] = min(SMALL_BATCH, training["batch_size"])
    passes = tokens / max(1, num_tokens)
    training["dropout"] = up_to(DROPOUT[level], passes)
    training["activation_reg"] = up_to(ACTIVATION_REG[level], passes)
    step_tokens = given.get("batch_size", training["batch_size"]) * sequence_length
    is_long = level == "char" and num_tokens >= LONG_TEXT * weights
    training["learning_rate"] = HIGH_RATE if is_long else up_to(LEARNING_RATE, tokens / step_tokens)
    learning_rate = given.get("learning_rate", training["learning_rate"])
    training["weight_decay"] = weight_decay(num_tokens / step_tokens, learning_rate)
    reason = f"{per_weight:.1f} tokens for each weight, {passes:.1f} passes{limit}"
    speed = tokens_per_second(level, size, num_symbols, operations_per_second)
    return Suited(name, shape, training, tokens, reason, choice, speed, operations_per_second)


def up_to(table: tuple[tuple[float, float], ...], number: float) -> float:
    """The value of the first row whose limit is at least `number`."""
    return next(value for limit, value in table if number <= limit)


def weight_decay(steps_per_pass: float, learning_rate: float) -> float:
    """The decay that suits a text that is read in so many steps.

    What matters is over how many passes the weights average what they learn: 1 / (decay * rate * steps of a pass).
    Source: Wang and Aitchison 2024, "How to set AdamW's weight decay as you scale model and dataset size".
    """
    decay = 1 / (learning_rate * max(DECAY_STEPS, DECAY_PASSES * steps_per_pass))
    return float(f"{min(decay, MAX_DECAY):.2g}")


def _nearest(units: int) -> str:
    return min(PRESETS, key=lambda name: abs(math.log(PRESETS[name].units / units)))


def _settings(level: str, size: Preset, num_tokens: int, sequence_length: int) -> tuple[dict[str, Any], dict[str, Any]]:
    of_level = {"embedding_size": EMBEDDING_SIZE, "skip": True} if level == "char" else {"embedding_size": size.units}
    shape = {"units": size.units, **of_level}
    batch_size = size.batch_size if level == "char" else TrainingConfig.batch_size
    while batch_size > 1 and minimum_tokens(batch_size, sequence_length) > num_tokens:
        batch_size //= 2  # a short text fills few streams
    return shape, {"batch_size": batch_size}


def _tokens(level, num_tokens, num_symbols, budget, operations_per_second, size: Preset, training: dict) -> float:
    """How many tokens the budget pays for, each pass over the text counted."""
    if budget.epochs is not None:
        return budget.epochs * num_tokens
    if budget.steps is not None:
        return budget.steps * training["batch_size"] * training.get("sequence_length", budget.sequence_length)
    rate = tokens_per_second(level, size, num_symbols, operations_per_second)
    return TRAINING_SHARE * 60 * (budget.minutes or 0.0) * rate


def tokens_per_second(level: str, size: Preset, num_symbols: int, operations_per_second: float) -> float:
    """About how fast a model of that size trains."""
    return size.share * operations_per_second / operations_per_token(level, size.units, num_symbols)


def operations_per_token(level: str, units: int, num_symbols: int) -> int:
    """Operations of a training step for one token, as textbooks count: six per weight that is multiplied."""
    embedding_size = EMBEDDING_SIZE if level == "char" else units
    scores = units * (COMPARED_WORDS if level == "word" else num_symbols)
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
