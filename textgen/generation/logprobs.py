"""How likely a model found each token of a text, and what it found likelier.

The probabilities are the model's own: before penalties, bans, temperature and filters. They come from a second pass of
the NumPy engine over the tokens, whichever engine wrote them.
"""

import collections
import dataclasses
from collections.abc import Iterable, Iterator

import numpy as np

from textgen.generation.numpy_engine import NumpyEngine
from textgen.generation.state import Context
from textgen.tokenizers import Tokenizer

AT_ONCE = 2**21  # scores that are held at once, and some 16 bytes for each


@dataclasses.dataclass(frozen=True)
class ScoredToken:
    """One token of a text."""

    piece: str
    logprob: float  # natural logarithm
    others: tuple[tuple[str, float], ...]  # the likeliest other tokens and theirs, the likeliest first


class Scorer:
    """Follows a text token by token, as the model does."""

    def __init__(self, engine: NumpyEngine, tokenizer: Tokenizer, context: Context, num_others: int):
        """Begin after `context`, which is not changed; so many others are told beside each token, 0 or more."""
        self.engine, self.tokenizer = engine, tokenizer
        self.num_others = min(num_others, tokenizer.vocabulary_size - 1)
        self._hidden, self._memory = context.hidden[:, None].copy(), context.memory[:, None].copy()
        self._logits = context.logits  # of the next token

    def read(self, token_ids: np.ndarray) -> Iterator[ScoredToken]:
        """The tokens that come next, int [T]."""
        size = max(1, AT_ONCE // self.tokenizer.vocabulary_size)
        for start in range(0, len(token_ids), size):
            yield from self._block(np.asarray(token_ids[start : start + size]))

    def _block(self, token_ids: np.ndarray) -> Iterator[ScoredToken]:
        outputs = self.engine.run(token_ids[:, None], self._hidden, self._memory)[:, 0]  # [T, F]
        after = self.engine.logits(outputs)
        before = np.concatenate([self._logits[None], after[:-1]])
        self._logits = after[-1]
        scores = log_softmax(before)
        chosen = scores[np.arange(len(token_ids)), token_ids].tolist()
        for token_id, logprob, row in zip(token_ids.tolist(), chosen, scores, strict=True):
            others = likeliest_others(self.tokenizer, row, token_id, self.num_others)
            yield ScoredToken(piece_of(self.tokenizer, token_id), logprob, others)


def likeliest_others(
    tokenizer: Tokenizer, scores: np.ndarray, token_id: int, most: int
) -> tuple[tuple[str, float], ...]:
    """The `most` likeliest tokens but that one, fewer than V, of equals the first ids; `scores` [V] is changed."""
    if not most:
        return ()
    scores[token_id] = -np.inf
    least = np.partition(scores, -most)[-most]
    ids = np.flatnonzero(scores >= least)
    best = ids[np.argsort(-scores[ids], kind="stable")[:most]]
    return tuple((piece_of(tokenizer, other), float(scores[other])) for other in best.tolist())


def piece_of(tokenizer: Tokenizer, token_id: int) -> str:
    """What the token writes; for the end of a document, what stands between two of them."""
    return (tokenizer.document_separator or "") if token_id == tokenizer.eod_id else tokenizer.pieces[token_id]


class Waiting:
    """Tokens that do not stand whole yet in the text that is shown: some of it may be held back, and dropped where a
    stop string ends the text.
    """

    def __init__(self) -> None:
        self._tokens: collections.deque[ScoredToken] = collections.deque()
        self._room = 0  # characters that are shown and belong to no token yet

    def add(self, tokens: Iterable[ScoredToken], shown: str) -> Iterator[ScoredToken]:
        """The tokens that stand whole once these are written and `shown` is shown."""
        self._tokens.extend(tokens)
        self._room += len(shown)
        while self._tokens and len(self._tokens[0].piece) <= self._room:
            self._room -= len(self._tokens[0].piece)
            yield self._tokens.popleft()


def shown_tokens(blocks: Iterable[tuple[Iterable[ScoredToken], str]]) -> Iterator[ScoredToken]:
    """The tokens that stand whole in the text that is shown.

    Args: blocks: of a text, tokens and what is shown once they are written.
    """
    waiting = Waiting()
    for tokens, shown in blocks:
        yield from waiting.add(tokens, shown)


def log_softmax(logits: np.ndarray) -> np.ndarray:
    """Natural logarithms of the probabilities, float64 [..., V]."""
    scores = logits.astype(np.float64)
    scores -= scores.max(axis=-1, keepdims=True)
    scores -= np.log(np.exp(scores).sum(axis=-1, keepdims=True))
    return scores


def table(tokens: Iterable[ScoredToken]) -> Iterator[str]:
    """A line for each token: its text, its probability, and the likeliest with theirs."""
    for token in tokens:
        others = "  ".join(f"{_shown(piece)} {_percent(logprob)}" for piece, logprob in token.others)
        yield f"{_shown(token.piece):<14} {_percent(token.logprob):>7}   {others}".rstrip() + "\n"


def _shown(piece: str) -> str:
    return repr(piece)


def _percent(logprob: float) -> str:
    return f"{100 * float(np.exp(logprob)):.1f}%"
