"""The learning rate of every step."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from textgen.training.schedule import FINAL_SHARE, SLANTED_WARMUP_SHARE, WARMUP_SHARE, learning_rate, peak_after

SHARES = {"one-cycle": WARMUP_SHARE, "slanted": SLANTED_WARMUP_SHARE}


def rates(total: int, peak: float = 1.0, schedule: str = "one-cycle") -> list[float]:
    return [learning_rate(step, total, peak, schedule) for step in range(total)]


def test_a_hundred_steps_by_hand():
    """Five steps up to the peak, then a cosine down to a fiftieth of it, half-way at the middle."""
    found = rates(100, peak=0.01)
    assert found[:6] == pytest.approx([0.002, 0.004, 0.006, 0.008, 0.01, 0.01])
    assert found[52] == pytest.approx(0.01 * (FINAL_SHARE + 1) / 2, rel=0.001)
    assert found[-1] == pytest.approx(0.0002)


def test_ten_slanted_steps_by_hand():
    """Two steps up to the peak, and eight down in a straight line."""
    assert rates(10, 0.8, "slanted") == pytest.approx([0.4, 0.8, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1])


@given(st.integers(1, 3000), st.floats(1e-6, 10), st.sampled_from(list(SHARES)))
def test_the_rate_rises_to_the_peak_and_then_only_falls(total, peak, schedule):
    found = rates(total, peak, schedule)
    top = found.index(max(found))
    assert max(found) == pytest.approx(peak)
    assert min(found) > 0
    assert all(a < b for a, b in itertools.pairwise(found[: top + 1]))
    assert all(a >= b for a, b in itertools.pairwise(found[top:]))
    assert top <= max(1, round(SHARES[schedule] * total))


@given(st.integers(3, 100_000))
def test_the_last_step_has_the_final_share_of_the_peak(total):
    assert learning_rate(total - 1, total, 1.0) == pytest.approx(FINAL_SHARE)


def test_a_run_of_one_step_takes_it_at_the_peak():
    assert rates(1, peak=0.5) == [0.5]


@given(st.integers(1, 3000), st.floats(1e-6, 10))
def test_a_constant_rate_is_the_peak_in_every_step(total, peak):
    assert {learning_rate(step, total, peak, "constant") for step in range(total)} == {peak}


def test_every_time_that_a_run_went_back_halves_the_peak():
    assert [peak_after(rollbacks, 0.01) for rollbacks in range(4)] == [0.01, 0.005, 0.0025, 0.00125]
