"""A continuous cache: the model's probabilities mixed with those of the tokens that followed similar states.

From the last layer's hidden states h, the tokens that followed and their nats under the model alone, block by block,
it works out their nats under

    p(w | t) = (1 - weight) p_model(w | t) + weight p_cache(w | t)
    p_cache(w | t)  proportional to  sum of exp(theta h_t . h_i) over the last `size` positions i < t followed by w

The cache is empty before the first token, which the model predicts alone. A token enters the cache after it was
predicted. Nothing is trained.

Source: Grave, Joulin and Usunier 2017, "Improving Neural Language Models with a Continuous Cache".
"""

import numpy as np

from textgen.config import CacheConfig

ROWS = 256  # positions that are predicted at once
MAX_SCORES = 1_000_000  # pairs of a position and one in the cache that are compared at once


class NeuralCache:
    """The last hidden states of one pass over a text, each with the token that followed."""

    def __init__(self, config: CacheConfig, units: int):
        self.config = config
        self.hiddens = np.empty((0, units), np.float32)  # [M, H], M <= size, oldest first
        self.followers = np.empty(0, np.int64)  # [M]
        self.rows_at_once = max(1, min(ROWS, MAX_SCORES // config.cache_size))

    def read(self, hiddens: np.ndarray, targets: np.ndarray, nats: np.ndarray) -> np.ndarray:
        """Nats of the next positions under the mixture; afterwards they are in the cache.

        Args:
            hiddens: the last layer's states, float32 [T, H].
            targets: the token that follows each, int [T].
            nats: of the targets under the model alone, float64 [T].

        Returns:
            float64 [T].
        """
        size, known = self.config.cache_size, len(self.hiddens)
        keys = np.concatenate([self.hiddens, hiddens])  # [M + T, H]
        followers = np.concatenate([self.followers, targets.astype(np.int64)])  # [M + T]
        mixed = nats.copy()
        for start in range(0 if known else 1, len(hiddens), self.rows_at_once):
            rows = slice(start, start + self.rows_at_once)
            seen = slice(max(0, known + start - size), known + min(rows.stop, len(hiddens)) - 1)
            share = self._log_share(
                hiddens[rows], keys[seen], followers[seen], targets[rows], known + start - seen.start
            )
            mixed[rows] = self._mix(nats[rows], share)
        self.hiddens, self.followers = keys[-size:], followers[-size:]
        return mixed

    def _log_share(
        self, hiddens: np.ndarray, keys: np.ndarray, followers: np.ndarray, targets: np.ndarray, offset: int
    ) -> np.ndarray:
        """Logarithm of the cache's probability of each target, [T]; `offset` is how many keys precede the first row."""
        behind = offset + np.arange(len(hiddens))[:, None] - np.arange(len(keys))  # of a row, how far a key lies
        scores = self.config.cache_theta * (hiddens @ keys.T).astype(np.float64)  # [T, K]
        scores[(behind < 1) | (behind > self.config.cache_size)] = -np.inf
        scores -= scores.max(axis=1, keepdims=True)
        odds = np.exp(scores)
        followed = np.where(followers == targets[:, None], odds, 0.0).sum(axis=1)
        with np.errstate(divide="ignore"):  # what is not in the cache has the logarithm minus infinity
            return np.log(followed) - np.log(odds.sum(axis=1))

    def _mix(self, nats: np.ndarray, log_share: np.ndarray) -> np.ndarray:
        weight = self.config.cache_weight
        if weight == 0:
            return nats
        return -np.logaddexp(np.log1p(-weight) - nats, np.log(weight) + log_share)
