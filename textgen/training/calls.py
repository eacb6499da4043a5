"""How many steps a run makes in one call of the compiled step.

A call costs about half a millisecond beside its steps, which small models feel. No call goes past a step at which
something happens (an evaluation, a checkpoint, the end), and none takes longer than a signal may wait. So a run is the
same whatever its calls, up to the moment at which somebody stops it.
"""

from textgen.records import Progress

STEPS = 8  # in a call, where they are more than one: each number of steps would have to be traced
LONGEST_CALL = 0.1  # seconds
WORTH_TRACING = 60.0  # seconds that are left of a run; tracing so many steps takes seconds


def steps_in_a_call(progress: Progress, seconds_per_step: float) -> int:
    """How many of the next steps are made together, 1 or STEPS.

    Args:
        seconds_per_step: of the call before.
    """
    done, left = progress.step, progress.total_steps - progress.step
    free = min(left, *(every - done % every for every in (progress.evaluate_every, progress.checkpoint_every)))
    is_short = STEPS * seconds_per_step <= LONGEST_CALL
    return STEPS if is_short and free >= STEPS and progress.total_steps * seconds_per_step >= WORTH_TRACING else 1
