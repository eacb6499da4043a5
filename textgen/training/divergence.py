"""Whether a run still learns, or its numbers have run away.

A DivergenceError sends the run back to its last good checkpoint with half the learning rate.

A run has diverged when
- a loss, or a number among the weights, optimizer slots and carried state that would be saved, is not finite;
- its loss has exploded: the running mean lies more than EXPLOSION nats above log V, the loss of a uniform guess. The
  mean starts at log V and a step counts for a tenth of it, so it takes one step of 200 nats above, or several of 30.

Why 20 nats: normal runs stay below log V, bumps that a run outgrows stay well below 20 above it, and runs that are lost
go far beyond. Largest running mean less log V of CPU runs of 100 to 18,000 steps:

    -0.3 to 0.1  default settings: Shakespeare by characters (LSTM, GRU, plain RNN), its lines as documents, 30 KB of
                 it, batches of 1 x 8 (single steps reach log V + 1.7), Tang poems (V 5,387) and Wikipedia words
                 (V 10,000), both with sampled tokens, whose loss is an estimate
     0.0         learning rates 0.03 and 0.1; 1 with a warm-up of 75 steps; 0.3 without clipping
     1 to 6      learning rate 1 with a warm-up of 8 steps, 0.1 for a plain RNN without clipping; English that turns
                 into Chinese, and 'a' into 'b' for ever, in batches of one stream
     4 to 14     texts whose second half shares no symbol with the first, in batches of one stream
    35 to 790    learning rates 3, 10, 1 without clipping, 1 for words, 1 for a GRU or a plain RNN; warm-ups of 5 to 30
                 steps, found at step 6 to 20; the best ended at 3.2 nats, what letter frequencies alone give

A checkpoint is good when it was due and the mean was at most SUSPICION above log V then: a run whose loss is climbing
is not what to go back to.
"""

import math
from collections.abc import Iterable

import numpy as np

MEMORY = 0.9  # share of the running mean that a step leaves
EXPLOSION = 20.0  # nats above log V
SUSPICION = 2.0  # nats above log V


class DivergenceError(Exception):
    """Inside a run only: what ran away and at which step. The loop goes back, or gives up with a TrainingError."""


def updated_mean(mean: float | None, loss: float, vocabulary_size: int) -> float:
    """The running mean after one more loss, in nats; None before the first."""
    before = math.log(vocabulary_size) if mean is None else mean
    return MEMORY * before + (1 - MEMORY) * loss


def is_suspicious(mean: float | None, vocabulary_size: int) -> bool:
    """Whether the loss is climbing: nothing to come back to."""
    return mean is not None and mean > math.log(vocabulary_size) + SUSPICION


def check_explosion(mean: float, vocabulary_size: int, step: int) -> None:
    """Raise DivergenceError when the running mean is one of an exploded loss."""
    guess = math.log(vocabulary_size)
    if mean > guess + EXPLOSION:
        raise DivergenceError(
            f"the loss exploded at step {step:,}: a mean of {mean:,.1f} nats, where a uniform guess has {guess:.1f}"
        )


def check_finite(what: str, loss: float, step: int) -> None:
    """Raise DivergenceError when a loss is no number or infinite."""
    if not math.isfinite(loss):
        raise DivergenceError(f"the {what} is {loss} at step {step:,}")


def check_tensors(tensors: Iterable[np.ndarray], step: int) -> None:
    """Raise DivergenceError when a number in what is to be kept is not finite."""
    if not all(np.isfinite(tensor).all() for tensor in tensors):
        raise DivergenceError(f"the weights or the optimizer's slots are no longer finite at step {step:,}")


def advice(clip_norm: float) -> str:
    """What to try when going back did not help."""
    clipping = f"--clip-norm below {clip_norm:g}" if clip_norm else "--clip-norm 1"
    return f"Train anew with a lower --learning-rate, or with {clipping}"
