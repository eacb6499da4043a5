"""The learning rate of every step, as a pure function of the step: a short linear warm-up, then a cosine to near zero.

A constant rate serves for comparison.

Source: Smith and Topin 2017, "Super-Convergence", with the cosine of Loshchilov and Hutter 2016.
"""

import math

WARMUP_SHARE = 0.05
ROLLBACK_SHARE = 0.5  # of the peak that is left each time that a run went back
FINAL_SHARE = 0.02  # of the peak; at zero the last steps would be wasted


def peak_after(rollbacks: int, peak: float) -> float:
    """The peak of a run that went back so many times."""
    return peak * ROLLBACK_SHARE**rollbacks


def learning_rate(step: int, total_steps: int, peak: float, schedule: str = "one-cycle") -> float:
    """The rate for `step` (from 0) of `total_steps`.

    Args:
        schedule: "one-cycle", whose warm-up ends at `peak` and whose last step has about `FINAL_SHARE` of it; or
            "constant", which is `peak` in every step.
    """
    if schedule == "constant":
        return peak
    warmup = max(1, round(WARMUP_SHARE * total_steps))
    if step < warmup:
        return peak * (step + 1) / warmup
    done = (step - warmup) / max(1, total_steps - 1 - warmup)
    return peak * (FINAL_SHARE + (1 - FINAL_SHARE) * 0.5 * (1 + math.cos(math.pi * min(done, 1.0))))
