"""The learning rate of every step, as a pure function of the step: a short linear warm-up, then a cosine to near zero.

A model that knows the text already gets a longer warm-up and a straight fall. A constant rate serves for comparison.

Source: Smith and Topin 2017, "Super-Convergence", with the cosine of Loshchilov and Hutter 2016; Howard and Ruder 2018,
"Universal Language Model Fine-tuning for Text Classification", section 3.2, for what is slanted.
"""

import math

WARMUP_SHARE = 0.05  # of the steps
SLANTED_WARMUP_SHARE = 0.2
ROLLBACK_SHARE = 0.5  # of the peak that is left each time that a run went back
FINAL_SHARE = 0.02  # of the peak; at zero the last steps would be wasted


def peak_after(rollbacks: int, peak: float) -> float:
    """The peak of a run that went back so many times."""
    return peak * ROLLBACK_SHARE**rollbacks


def learning_rate(step: int, total_steps: int, peak: float, schedule: str = "one-cycle") -> float:
    """The rate for `step` (from 0) of `total_steps`.

    Args:
        schedule: "one-cycle", whose warm-up ends at `peak` and whose last step has about `FINAL_SHARE` of it;
            "slanted", which falls in a straight line that would reach zero behind the last step; or "constant", which
            is `peak` in every step.
    """
    if schedule == "constant":
        return peak
    warmup = max(1, round((SLANTED_WARMUP_SHARE if schedule == "slanted" else WARMUP_SHARE) * total_steps))
    if step < warmup:
        return peak * (step + 1) / warmup
    if schedule == "slanted":
        return peak * (total_steps - step) / (total_steps - warmup)
    done = (step - warmup) / max(1, total_steps - 1 - warmup)
    return peak * (FINAL_SHARE + (1 - FINAL_SHARE) * 0.5 * (1 + math.cos(math.pi * min(done, 1.0))))
