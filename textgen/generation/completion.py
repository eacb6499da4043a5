"""One text that a model wrote after a prompt; and who is told of one that could not be written."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence

from textgen.errors import DeadEndError
from textgen.generation.logprobs import ScoredToken
from textgen.messages import few

MOST_NAMED = 5  # texts that fail
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


def dead_end(failed: Mapping[int, DeadEndError], completions: Sequence[Completion], num_samples: int) -> DeadEndError:
    """One error for the samples that failed, of so many, with the others in it."""
    first = next(iter(failed.values()))
    if num_samples == 1:
        error = DeadEndError(str(first))
    else:
        which = ", ".join(few([f"sample {sample}" for sample in failed], MOST_NAMED))
        others = ". The others are in `completions` of this error" if completions else ""
        error = DeadEndError(f"{which} of 0 to {num_samples - 1} could not be written: {first}{others}")
    error.completions, error.samples = tuple(completions), tuple(failed)
    return error
