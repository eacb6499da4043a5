"""A model that knows a language, and a text -> the settings that teach it that text and spoil nothing.

How well a model knows a text is `begins_at`: what it makes of the text before a step, in bits, of the text's floor
(`pretrained`). The runs behind these rules are in `tests/benchmarks/quality.md`.
"""

from typing import Any

KNOWS_WELL = 0.85  # one that knows less has to learn as much as one that begins from nothing, and gets that one's rate
KNOWS_VERY_WELL = 0.6
MOST_PASSES = 8.0  # over the text; after more of them it is learned by heart
NUM_SAMPLED = 2_048  # words a step, more than a run from nothing takes: there are few steps, which that makes truer
BIAS_RATE = 20.0  # of words: how often each occurs is learned sooner than what it stands beside
SETTINGS: dict[str, Any] = {"dropout": 0.25, "activation_reg": 0.0, "weight_decay": 0.0}
HIGH_RATE, RATE = 0.003, 0.002  # of learning: the high one up to two passes over a text that is known very well, ...
TWO_PASSES, FOUR_PASSES = 2.0, 4.0  # ... and up to four over one that is not
SHORT_TEXT = 10_000  # tokens
SHORT_SHARE = 0.5  # of the rate, for a shorter text


def adapting_settings(begins_at: float, passes: float, num_tokens: int, *, is_word: bool) -> dict[str, Any]:
    """The settings of a training that begins with a model which knows the text well: fields of TrainingConfig.

    Args:
        begins_at: less than KNOWS_WELL.
        passes: over the training part.
        num_tokens: of the training part.
    """
    is_known = begins_at < KNOWS_VERY_WELL
    others = HIGH_RATE if passes <= FOUR_PASSES else RATE
    rate = known_rate(passes, num_tokens) if is_known else others
    of_words = {"bias_rate": BIAS_RATE, "schedule": "slanted" if is_known else "one-cycle"}
    return SETTINGS | {"learning_rate": rate} | (of_words if is_word else {})


def known_rate(passes: float, num_tokens: int) -> float:
    """The learning rate for a text that is known very well: the more often it is read, the gentler, of two digits.

    It was measured up to MOST_PASSES, and is taken to go on so up to twice as many.
    """
    rate = HIGH_RATE if passes <= TWO_PASSES else RATE * min(1.0, FOUR_PASSES / min(passes, 2 * MOST_PASSES))
    rate *= SHORT_SHARE if num_tokens < SHORT_TEXT else 1.0
    return float(f"{rate:.2g}")
