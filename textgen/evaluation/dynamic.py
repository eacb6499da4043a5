"""Dynamic evaluation: the weights follow the text that they are measured on.

The text is cut into segments. Each is predicted with the weights that the segments before it left; only then do the
weights w take a step on it:

    w ← w - rate g / (sqrt(m) + epsilon) + decay (w0 - w)

g is the gradient of the segment's mean nats and w0 the model's own weights. m is the mean square of g, element by
element, over the segments so far; later ones count for more (a decay of 0.999), and the first ones by their mean. The
paper takes the mean square over the training text, which is not at hand where a model is measured.

Source: Krause, Kahembwe, Murray and Renals 2018, "Dynamic Evaluation of Neural Sequence Models".
"""

import numpy as np
import tensorflow as tf

from textgen.config import DynamicConfig, ModelConfig
from textgen.errors import TextgenError
from textgen.messages import Advance, unwatched
from textgen.model.devices import choose_device
from textgen.model.language_model import build_model
from textgen.model.recurrent import State

MEMORY = 0.999  # of the mean squares
EPSILON = 1e-4


def dynamic_surprisals(
    token_ids: np.ndarray,
    model: ModelConfig,
    weights: dict[str, np.ndarray],
    config: DynamicConfig,
    progress: Advance = unwatched,
) -> np.ndarray:
    """Nats of every token after the first, float64 [N - 1]; the state is carried from zero. `weights` stay as they are.

    Raises TextgenError when the steps are so large that the nats are no numbers any more.
    """
    follower = _Follower(model, weights, config)
    state = follower.model.zero_state(1)
    total, length = len(token_ids) - 1, config.dynamic_segment
    nats = np.empty(total)
    for start in range(0, total, length):
        stop = min(start + length, total)
        # The last segment is padded at its end, so that there is one program to compile.
        segment = np.zeros((length + 1, 1), np.int32)
        segment[: stop - start + 1, 0] = token_ids[start : stop + 1]
        losses, state = follower.step(segment[:-1], segment[1:], state)
        nats[start:stop] = losses.numpy()[: stop - start, 0]
        if not np.isfinite(nats[start:stop]).all():
            raise TextgenError(
                f"--dynamic-rate {config.dynamic_rate} is too large for this model: its loss is no number any more "
                f"after {start:,} tokens. Try {config.dynamic_rate / 10:.2g}"
            )
        progress(stop, total)
    return nats


class _Follower:
    """A model whose weights follow a text, one segment of it after the other."""

    def __init__(self, model: ModelConfig, weights: dict[str, np.ndarray], config: DynamicConfig):
        self.config = config
        self.model = build_model(model)
        self.model.set_named_weights(weights)
        named = self.model.named_weights()
        self.variables = [variable.value for variable in named.values()]
        self.original = [tf.constant(weights[name]) for name in named]
        self.squares = [tf.Variable(tf.zeros_like(weight)) for weight in self.original]
        self.num_steps = tf.Variable(0.0)
        with_xla = choose_device(model.cell).name == "CPU"
        self.step = tf.function(self._step, jit_compile=with_xla, autograph=False)

    def _step(self, inputs: tf.Tensor, targets: tf.Tensor, state: State) -> tuple[tf.Tensor, State]:
        """Nats of `targets` after each of `inputs` (int32 [T, 1] both) before the weights move, and the new state."""
        with tf.GradientTape() as tape:
            losses, state = self.model.losses(inputs, targets, state)
            loss = tf.reduce_mean(losses)
        self._move(tape.gradient(loss, self.variables))
        return losses, state

    def _move(self, gradients: list[tf.Tensor | tf.IndexedSlices]) -> None:
        self.num_steps.assign_add(1.0)
        counted = 1 - MEMORY**self.num_steps
        for variable, original, square, gradient in zip(
            self.variables, self.original, self.squares, gradients, strict=True
        ):
            gradient = tf.convert_to_tensor(gradient)  # the embedding's may come as rows
            square.assign(MEMORY * square + (1 - MEMORY) * gradient**2)
            step = self.config.dynamic_rate * gradient / (tf.sqrt(square / counted) + EPSILON)
            variable.assign(variable - step + self.config.dynamic_decay * (original - variable))
