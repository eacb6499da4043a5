"""The likeliest text that a beam of so many texts finds, in place of one drawn token by token.

At every token the likeliest continuations of all texts in the beam are kept, as many as it is wide. Penalties and bans
act as in `sampling.py`; a text's score is the sum of what they leave of its tokens' log-probabilities. A beam of one
is the likeliest token again and again, which temperature 0 takes.

Source: Lowerre 1976, "The Harpy Speech Recognition System".
"""

import dataclasses
from typing import Self

import numpy as np

from textgen.config import SamplingConfig
from textgen.generation.barred import Barred
from textgen.generation.ending import Ending
from textgen.generation.logprobs import log_softmax
from textgen.generation.numpy_engine import NumpyEngine
from textgen.generation.past import Past
from textgen.generation.sampling import penalised
from textgen.generation.state import Context
from textgen.tokenizers import Tokenizer


@dataclasses.dataclass(frozen=True)
class Hypothesis:
    """A text in the beam, or one that left it because it is over."""

    score: float  # the sum of its tokens' scores
    ending: Ending
    text: str = ""
    token_ids: tuple[int, ...] = ()

    def followed_by(self, token_id: int, score: float) -> Self:
        """The text with one token more, which makes its score `score`."""
        ending = self.ending.fork()
        text = self.text + ending.feed(np.array([token_id]))
        return dataclasses.replace(
            self, score=score, ending=ending, text=text, token_ids=(*self.token_ids, token_id)[: ending.num_tokens]
        )


def beam_search(
    engine: NumpyEngine,
    tokenizer: Tokenizer,
    context: Context,
    config: SamplingConfig,
    first: np.ndarray | None = None,
) -> tuple[str, str, np.ndarray]:
    """The text that continues `context`, why it ends, as `Ending.reason`, and its ids, int [T].

    Args:
        config: its `beams` is the width of the beam.
        first: bool [V], the ids of which the text begins with one; None is any.
    """
    hidden, memory, logits = context.hidden[:, None], context.memory[:, None], context.logits[None]
    past = Past(context, config, 1, Barred.of(tokenizer, config))
    may_rise = config.repeat_penalty < 1 or min(config.presence_penalty, config.frequency_penalty) < 0
    beam, best = [Hypothesis(0.0, Ending(tokenizer, config))], Hypothesis(-np.inf, Ending(tokenizer, config))
    while True:
        scores = _scores(logits, past, config)
        scores += np.array([[text.score] for text in beam])
        if first is not None:
            scores, first = np.where(first, scores, -np.inf), None
        kept: list[tuple[int, int, Hypothesis]] = []  # the row it continues, its last id, and the text
        for row, token_id in _best(scores, config.beams):
            text = beam[row].followed_by(token_id, float(scores[row, token_id]))
            if not text.ending.is_over:
                kept.append((row, token_id, text))
            elif text.score > best.score:
                best = text
        for row in np.flatnonzero(scores.max(axis=-1) == -np.inf).tolist():  # nothing may follow
            best = max(best, beam[row].followed_by(-1, beam[row].score), key=lambda text: text.score)
        # Without a penalty that is a gain scores only sink, and none of the beam can overtake what is better now.
        if not kept or (best.score >= kept[0][2].score and not may_rise):
            whole = best.text + best.ending.finish()
            return whole, best.ending.reason, np.array(best.token_ids, np.int32)
        rows, token_ids = np.array([row for row, _, _ in kept]), np.array([token_id for _, token_id, _ in kept])
        beam = [text for _, _, text in kept]
        past = past.rows(rows)
        past.advance(token_ids)
        hidden, memory = hidden[:, rows], memory[:, rows]  # copies, which `run` changes
        logits = engine.logits(engine.run(token_ids[None], hidden, memory)[0])


def _scores(logits: np.ndarray, past: Past, config: SamplingConfig) -> np.ndarray:
    """What each id adds to the score of each row, float64 [B, V]; minus infinity where it may not be written."""
    scores = log_softmax(logits)
    if config.penalises:
        scores = penalised(scores, past.recent, config)
    for row, ids in zip(scores, past.barred_ids() or [], strict=False):
        row[ids] = -np.inf
    return scores


def _best(scores: np.ndarray, number: int) -> list[tuple[int, int]]:
    """Row and id of the best scores, the best first; of equals the first row and then the first id."""
    flat = scores.ravel()
    least = np.partition(flat, -number)[-number] if number < flat.size else -np.inf
    candidates = np.flatnonzero((flat >= least) & (flat > -np.inf))
    order = candidates[np.argsort(-flat[candidates], kind="stable")[:number]]
    rows, token_ids = np.divmod(order, scores.shape[1])
    return list(zip(rows.tolist(), token_ids.tolist(), strict=True))
