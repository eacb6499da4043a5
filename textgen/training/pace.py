"""How many steps a run makes so that it ends in its minutes, and at which of them it evaluates."""

from textgen.records import Progress

MIN_STEPS = 20  # below that, nothing is learned; a tiny budget is overrun instead
MOST_OF_PLANNED = 1.25  # of the steps; with more of them another size, dropout and decay would have been chosen
WORTH_CUTTING, WORTH_RAISING = 0.02, 0.05  # of the steps; what is less is not worth another schedule
NEAR_THE_END = 0.25  # of the steps between two evaluations


def is_evaluation_due(progress: Progress, *, is_asked_for: bool) -> bool:
    """Whether a run evaluates now: after its last step, and every so many steps before, unless the last one is near.

    As the number of steps is settled on the way, an evaluation would else come a few steps before the last one.

    Args:
        is_asked_for: somebody has said how many steps lie between evaluations, and gets each of them.
    """
    every, left = progress.evaluate_every, progress.total_steps - progress.step
    is_near = left < NEAR_THE_END * every and not is_asked_for
    return left == 0 or (progress.step % every == 0 and not is_near)


class Pace:
    """Settles the number of steps again at each evaluation.

    The schedule needs a number before the first step, which a rehearsal gives. Where the machine turns out slower, the
    number is cut on the way: a laptop that gets hot would make the minutes a third longer. Where it turns out faster,
    or recovers, the number is raised, so that the minutes that were given are used.
    """

    def __init__(self, planned_steps: int, deadline: float | None, most_steps: int | None = None):
        """Args:
        planned_steps: what the rehearsal promised.
        deadline: seconds of the run by which the last step should be done; None keeps the number as it is.
        most_steps: that the text is worth. However fast the machine, no more are made than a quarter more than planned.
        """
        self.planned_steps = planned_steps
        more = int(MOST_OF_PLANNED * planned_steps)
        self.most_steps = more if most_steps is None else min(more, most_steps)
        self.deadline = deadline
        self.from_moments = [(0, 0.0)]  # step and second of the last two evaluations

    def restart(self, step: int, seconds: float) -> None:
        """Measure from here on: the run begins, or has gone back."""
        self.from_moments = [(step, seconds)]

    def settle(self, total_steps: int, step: int, seconds: float) -> int:
        """How many steps the run makes, after `step` of them in `seconds`: as many as fit, up to `most_steps`.

        The speed is the slower of two: since the last evaluation and since the one before.

        Args:
            total_steps: the number so far.
        """
        if self.deadline is None:
            return total_steps
        seconds_per_step = max((seconds - since) / (step - from_step) for from_step, since in self.from_moments)
        self.from_moments = [self.from_moments[-1], (step, seconds)]
        fitting = step + int(max(0.0, self.deadline - seconds) / seconds_per_step)
        affordable = max(min(MIN_STEPS, self.planned_steps), fitting)
        found = min(self.most_steps, affordable)
        is_worth_it = (
            found - total_steps > WORTH_RAISING * self.planned_steps
            or total_steps - found > WORTH_CUTTING * self.planned_steps
        )
        return found if is_worth_it else total_steps
