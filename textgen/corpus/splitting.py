"""One text to two: what is learnt from, and what is only measured on.

The cut is contiguous, and the validation part is the end. An interleaved split would let the model see the
text on both sides of every validation passage, and its loss would read too low.
"""

import math
from fractions import Fraction

from textgen.errors import SettingError


def split_text(text: str, val_fraction: float) -> tuple[str, str]:
    """The training part and the validation part of `text`; together they are `text`.

    The training part holds floor((1 - val_fraction) * len(text)) characters. `val_fraction` counts as the
    decimal number that it prints as, since in binary 10 * (1 - 0.9) is a little less than 1.
    """
    if not 0 <= val_fraction < 1:
        raise SettingError(f"--val-fraction must be at least 0 and below 1. Received: {val_fraction}")
    num_train = math.floor((1 - Fraction(repr(float(val_fraction)))) * len(text))
    return text[:num_train], text[num_train:]
