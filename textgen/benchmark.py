"""How fast this machine trains and samples, by size of model: what a user needs to choose one.

The ids are made up, since speed depends on shapes and not on what a text says. For comparisons with other libraries see
`tests/benchmarks/`.
"""

import time
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from textgen.config import ModelConfig, SamplingConfig, TrainingConfig
from textgen.dataset.batches import Batch
from textgen.generation.numpy_engine import NumpyEngine
from textgen.model.devices import choose_device
from textgen.model.language_model import build_model
from textgen.model.recurrent import State
from textgen.recipe import Asked, Facts, fill, recurrent_rate
from textgen.store.model_directory import num_parameters
from textgen.training.needs import check_needs
from textgen.training.step import TrainStep

VOCABULARY = 96  # about that of English prose
TOKENS = 1_000_000  # a long novel
UNITS = (64, 128, 256, 512)
MEASURED_SECONDS = 2.0
MIN_STEPS = 3


class Measurement(NamedTuple):
    """One line of the table."""

    units: int
    num_layers: int
    parameters: int
    training_tokens_per_second: float
    sampling_tokens_per_second: float
    seconds_to_compile: float


def measure(training: TrainingConfig, units: Sequence[int] = UNITS) -> Iterator[Measurement]:
    """Measure models of characters, one for each size, as `train` would make them for a text of TOKENS characters.

    Args:
        training: settings of the training step; what is None suits the size.

    Raises:
        SettingError: a size needs more memory than is free; nothing is measured then.
    """
    rate = recurrent_rate()
    facts = Facts("char", TOKENS, VOCABULARY, rate)
    recipes = [fill(Asked(ModelConfig(units=size), training), facts) for size in units]
    for recipe in recipes:
        check_needs(facts.level, recipe.model, recipe.training)
    return (_measure_one(recipe.model, recipe.training) for recipe in recipes)


def _measure_one(config: ModelConfig, training: TrainingConfig) -> Measurement:
    model = build_model(config, training.seed)
    step = TrainStep(model, training, compile_with_xla=choose_device().name == "CPU")
    shape = (training.batch_size, training.sequence_length)
    inputs, targets = np.random.default_rng(0).integers(VOCABULARY, size=(2, *shape)).astype(np.int32)
    batch, state = Batch(inputs, targets, is_first=False), step.zero_state()
    begin = time.perf_counter()
    loss, state = step(batch, state, 1e-3, 0)
    float(loss)
    seconds_to_compile = time.perf_counter() - begin
    engine = NumpyEngine(config, model.get_named_weights())
    written = engine.write(engine.read(np.array([0], np.int32)), SamplingConfig(), np.array([0]))
    return Measurement(
        config.units,
        config.num_layers,
        num_parameters(config),
        _rate(_train_steps(step, batch, state), batch.inputs.size),
        _rate(written, 1),
        seconds_to_compile,
    )


def _train_steps(step: TrainStep, batch: Batch, state: State) -> Iterator[float]:
    while True:
        loss, state = step(batch, state, 1e-3, 1)
        yield float(loss)  # waits for the device


def _rate(work: Iterator[Any], tokens: int) -> float:
    """Tokens per second of an endless iterator, after a first item that is not counted."""
    next(work)
    begin, count = time.perf_counter(), 0
    while time.perf_counter() - begin < MEASURED_SECONDS or count < MIN_STEPS:
        next(work)
        count += 1
    return count * tokens / (time.perf_counter() - begin)
