"""Tiny training steps, and what they did: what the tests of the step share."""

import functools

import numpy as np
from conftest import model_config, random_weights, training_config

from textgen.dataset.batches import Batch
from textgen.model.language_model import build_model
from textgen.training.step import TrainStep

B, T, V = 2, 4, 5
BETA_1 = 0.9  # Adam's: after one step its first moment is (1 - BETA_1) times the gradient


def new_step(
    cell: str = "lstm",
    *,
    compile_with_xla: bool = False,
    num_layers: int = 1,
    units: int = 3,
    tied: bool = False,
    skip: bool = False,
    **settings,
) -> TrainStep:
    """A step on a model with random weights; without noise and clipping unless they are asked for."""
    settings = {"batch_size": B, "sequence_length": T, "dropout": 0.0, "state_reset": 0.0, "clip_norm": 0.0} | settings
    shape = {"cell": cell, "embedding_size": 2, "units": units, "num_layers": num_layers, "tied": tied, "skip": skip}
    config = model_config(vocabulary_size=V, **shape)
    model = build_model(config)
    model.set_named_weights(random_weights(config))
    counts = np.array([9, 5, 2, 1, 0])
    return TrainStep(model, training_config(**settings), compile_with_xla=compile_with_xla, token_counts=counts)


new_step_once = functools.cache(new_step)


def step_of(cell: str = "lstm", **settings) -> TrainStep:
    """The same as a new step, traced already if these settings were asked for before."""
    step = new_step_once(cell, **settings)
    step.model.set_named_weights(random_weights(step.model.config))
    step.set_step_count(0)
    for variable in step.slots().values():
        variable.assign(np.zeros(variable.shape, np.float32))
    return step


def batch_of(number: int = 0, *, is_first: bool = False) -> Batch:
    block = np.random.default_rng(number).integers(V, size=(B, T + 1)).astype(np.int32)
    return Batch(block[:, :-1], block[:, 1:], is_first)


def state_of(step: TrainStep, seed: int = 0) -> list[list[np.ndarray]]:
    draw = np.random.default_rng(seed)
    return [[draw.normal(size=t.shape).astype(np.float32) * 0.3 for t in layer] for layer in step.zero_state()]


def run(step: TrainStep, batches, rate: float = 0.01) -> list[float]:
    """The losses of one step for each batch, the state carried."""
    state, losses = step.zero_state(), []
    for number, batch in enumerate(batches):
        loss, state = step(batch, state, rate, number)
        losses.append(float(loss))
    return losses


def variables_of(step: TrainStep) -> dict[str, bytes]:
    variables = step.model.named_weights() | step.slots()
    return {name: variable.numpy().tobytes() for name, variable in variables.items()}


def gradients_of(step: TrainStep, batch: Batch, state, number: int = 0) -> dict[str, np.ndarray]:
    """What the optimizer was given, read off its first moments after one step from the beginning."""
    step(batch, state, 0.0, number)
    moments = [v for v in step.slots().values() if v.path.endswith("_momentum")]
    return {name: v.numpy() / (1 - BETA_1) for name, v in zip(step.model.named_weights(), moments, strict=True)}


def norm_of(gradients: dict[str, np.ndarray]) -> float:
    return float(np.sqrt(sum((gradient.astype(np.float64) ** 2).sum() for gradient in gradients.values())))
