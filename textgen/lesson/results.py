"""What a lesson measures: plain numbers, which the terminal and the page show."""

from collections.abc import Sequence
from typing import NamedTuple

# In the order of the story.
KINDS = {"rnn": "plain RNN", "gru": "GRU", "lstm": "LSTM", "transformer": "Transformer"}

Point = tuple[float, float]


class Learned(NamedTuple):
    """One of the four after it has learned one task."""

    kind: str  # of KINDS
    parameters: int
    rate: float  # peak of the learning rate, the best of those that were tried
    tried: dict[float, float]  # held-out loss by peak, each after a short training
    tokens: int  # that it read in training
    losses: Sequence[Point]  # seconds of training, and nats on held-out text
    accuracy: dict[int, float]  # share that is right, by distance
    gradient: Sequence[float]  # norm of d loss[t] / d input[t - k], by k
    untrained_gradient: Sequence[float]
    sample: str = ""

    @property
    def loss(self) -> float:
        """Nats on held-out text, in the end."""
        return self.losses[-1][1]


class Cost(NamedTuple):
    """What one more character costs."""

    kind: str
    context: int  # characters before it
    seconds: float
    kept_bytes: int  # of what must be kept of these characters


class Adding(NamedTuple):
    """An LSTM that learned to add two of many numbers."""

    length: int
    parameters: int
    code: str  # what built it
    errors: Sequence[Point]  # seconds of training, and mean squared error
    right: Sequence[Point]  # seconds of training, and the share that is less than 0.04 off
    blind_error: float  # mean squared error of always guessing the mean


class Lesson(NamedTuple):
    """All of it."""

    text_name: str
    characters: int
    symbols: int
    minutes: float
    longest: int  # distance of the delay task
    window: int  # characters of text that are read from nothing
    seconds_each: tuple[float, float]  # of training: on the delay task, on the text
    delay: Sequence[Learned]
    text: Sequence[Learned]
    costs: Sequence[Cost]
    adding: Adding
