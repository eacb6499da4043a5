"""What was written -> OpenAI's JSON."""

import asyncio
import secrets
import time
from collections.abc import Generator as Slices
from collections.abc import Iterable
from typing import Any

import numpy as np

from textgen.generation.generator import Generator
from textgen.generation.logprobs import ScoredToken, Scorer, piece_of
from textgen.serving.batch import Text

READ_AT_ONCE = 128  # tokens of a prompt or text that are read in one slice
FACTS_AT_ONCE = 5000  # tokens, each with the likeliest beside it, that are made into an answer at once
REASONS = {"length": "length"}  # whatever else ends a text is "stop"


def reason_of(text: Text) -> str:
    """Why a text is over, in OpenAI's words."""
    return REASONS.get(text.reason, "stop")


class Answer:
    """The head that all parts of one answer share."""

    def __init__(self, model: str):
        self.model, self.id, self.created = model, f"cmpl-{secrets.token_hex(12)}", int(time.time())

    def document(self, choices: list[dict[str, Any]]) -> dict[str, Any]:
        """One JSON object of the answer."""
        head = {"id": self.id, "object": "text_completion", "created": self.created, "model": self.model}
        return head | {"choices": choices}


def choice(index: int, text: str, logprobs: dict[str, Any] | None, reason: str | None) -> dict[str, Any]:
    """One text, or a piece of it."""
    return {"index": index, "text": text, "logprobs": logprobs, "finish_reason": reason}


def usage_of(num_prompt: int, num_completion: int) -> dict[str, int]:
    """Tokens that were read and written."""
    total = num_prompt + num_completion
    return {"prompt_tokens": num_prompt, "completion_tokens": num_completion, "total_tokens": total}


Scored = tuple[str, float | None, tuple[tuple[str, float], ...]]  # None: the model predicts no first token


def facts_of(tokens: Iterable[ScoredToken]) -> list[Scored]:
    """Tokens as `logprobs_of` takes them."""
    return [(token.piece, token.logprob, token.others) for token in tokens]


def logprobs_of(tokens: list[Scored], most: int, offset: int) -> dict[str, Any]:
    """OpenAI's `logprobs`; the first token stands at `offset` of the text that is answered.

    Beside the `most` likeliest tokens of each place stands the one that was written, as with OpenAI.
    """
    offsets: list[int] = []
    tops: list[dict[str, float] | None] = []
    for piece, logprob, others in tokens:
        offsets.append(offset)
        offset += len(piece)
        if logprob is None:
            tops.append(None)
            continue
        ranked = sorted([(piece, logprob), *others], key=lambda each: -each[1])[:most]
        top: dict[str, float] = {}
        for name, number in [*ranked, (piece, logprob)]:
            top[name] = max(number, top.get(name, number))
        tops.append(top)
    return {
        "tokens": [piece for piece, _, _ in tokens],
        "token_logprobs": [logprob for _, logprob, _ in tokens],
        "top_logprobs": tops if most else None,
        "text_offset": offsets,
    }


def tokens_at_once(most: int) -> int:
    """How many tokens are made into an answer at once, each with the `most` likeliest."""
    return FACTS_AT_ONCE // (1 + most)


async def all_logprobs_of(tokens: list[Scored], most: int) -> dict[str, Any]:
    """`logprobs_of` many tokens, of a text that is answered whole. Others are served in between."""
    found, offset, size = logprobs_of([], most, 0), 0, tokens_at_once(most)
    for start in range(0, len(tokens), size):
        block = tokens[start : start + size]
        for name, values in logprobs_of(block, most, offset).items():
            if values is not None:
                found[name] += values
        offset += sum(len(piece) for piece, _, _ in block)
        await asyncio.sleep(0)
    return found


def scored_prompt(
    generator: Generator, token_ids: np.ndarray, read_ids: np.ndarray, num_others: int
) -> Slices[None, None, list[Scored]]:
    """The tokens of a prompt with their own log-probabilities, found slice by slice.

    Args: read_ids: `token_ids` as they are read: with a start token before them, where the model knows documents.
    Then the first token has a log-probability, too.
    """
    engine, tokenizer = generator.engine.in_numpy(), generator.tokenizer
    found: list[Scored] = []
    if len(read_ids) == len(token_ids):  # nothing stands before the first token
        found = [(piece_of(tokenizer, int(read_ids[0])), None, ())]
    scorer = Scorer(engine, tokenizer, engine.read(read_ids[:1]), num_others)
    for start in range(1, len(read_ids), READ_AT_ONCE):
        found += facts_of(scorer.read(read_ids[start : start + READ_AT_ONCE]))
        yield
    return found
