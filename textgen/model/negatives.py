"""Which wrong tokens a training step compares the right ones with: a sample, as a pure function of (seed, step).

The sample is K different token ids, each with the probability that it had of being among them.

Token i is in the sample with probability p_i, proportional to its frequency but at most 1; the p_i sum to K.
Lay the p_i end to end on a line, and take the tokens on which the points u, u + 1, ..., u + K - 1 fall for one random
u in [0, 1): no token is taken twice, the frequent ones are in every sample, and as ids go from frequent to rare every
sample holds its share of each kind.

Source: systematic sampling with unequal probabilities, Madow 1949; Horvitz and Thompson 1952 for what it estimates.
"""

from typing import NamedTuple

import numpy as np


class Negatives(NamedTuple):
    """Wrong tokens that all positions of a batch share."""

    token_ids: np.ndarray  # int32 [K], ascending
    log_probabilities: np.ndarray  # float32 [K], of being in the sample


class NegativeSampler:
    """Draws `Negatives`; `draw(step)` is the same on every run."""

    def __init__(self, token_counts: np.ndarray, num_sampled: int, seed: int):
        """Args: token_counts: how often each id occurs, [V]; num_sampled: K, from 1 to V."""
        self.seed = seed
        self.probabilities = inclusion_probabilities(token_counts, num_sampled)
        self._ends = np.cumsum(self.probabilities)
        self._num_sampled = num_sampled

    def draw(self, step: int) -> Negatives:
        """The sample of a step."""
        points = np.random.default_rng([self.seed, step]).random() + np.arange(self._num_sampled)
        return self.at(points)

    def at(self, points: np.ndarray) -> Negatives:
        """The sample for the points u, u + 1, ..., u + K - 1."""
        # The last end may lie below K by rounding.
        token_ids = np.minimum(np.searchsorted(self._ends, points, side="right"), len(self._ends) - 1)
        log_probabilities = np.log(self.probabilities[token_ids])
        return Negatives(token_ids.astype(np.int32), log_probabilities.astype(np.float32))


def inclusion_probabilities(token_counts: np.ndarray, num_sampled: int) -> np.ndarray:
    """p_i = min(1, c (count_i + 1)), float64 [V], with the c for which they sum to `num_sampled`.

    Frequencies as they are: a term's share of the normaliser is about its token's frequency, and the estimate varies
    least when tokens are drawn by their shares. On two million words of Wikipedia text, V = 30,000 and K = 1024, that
    ended 0.03 nats below frequencies to the power of 3/4, as word2vec has them.
    """
    weights = np.asarray(token_counts, np.float64) + 1
    descending = np.sort(weights)[::-1]
    # With the m largest at 1, c is (K - m) / (sum of the rest); m is right when c times the next one is at most 1.
    rest = np.cumsum(descending[::-1])[::-1]  # [V], of the m-th largest (from 0) and all below
    factors = (num_sampled - np.arange(len(weights))) / rest
    certain = int(np.argmax(factors * descending <= 1)) if num_sampled < len(weights) else len(weights)
    if certain >= len(weights):
        return np.ones(len(weights))
    return np.minimum(1.0, factors[certain] * weights)
