"""One text that a model wrote after a prompt; and who is told of one that could not be written."""

import dataclasses
from collections.abc import Callable

from textgen.errors import DeadEndError
from textgen.generation.logprobs import ScoredToken

OnFailed = Callable[[int, DeadEndError], None]  # told of a sample, by its number, that cannot become what it must be


@dataclasses.dataclass(frozen=True)
class Completion:
    """One sample: the prompt as the model read it, and what it wrote."""

    prompt: str
    completion: str
    seed: int
    sample: int
    finish_reason: str  # "length", "stop", "document", "match", or "nothing" where no token might follow
    logprobs: list[ScoredToken] | None = None  # of each token that was written, where they were asked for
