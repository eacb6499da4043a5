"""The texts of the memory benchmark: what must be remembered is where they say, as far back as they say."""

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent / "benchmarks"))
from memory_tasks import REBER, EmbeddedReber, legal_symbols

from textgen.lesson.delays import Copying

TASKS = [Copying(longest=30), EmbeddedReber()]


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_what_is_asked_for_was_shown_so_many_tokens_before(task):
    rows = task.rows(np.random.default_rng(0), 200)
    everywhere = np.arange(200)
    asked = rows.token_ids[everywhere, rows.asked]
    assert np.array_equal(asked, rows.token_ids[everywhere, rows.asked - rows.distance])
    assert len(set(asked.tolist())) > 1, "always the same answer would need no memory"


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_nothing_but_the_shown_symbol_gives_the_answer_away(task):
    """Rows that are alike between the two places have different answers."""
    rows = task.rows(np.random.default_rng(1), 3_000)
    answers: dict[bytes, set[int]] = {}
    for ids, asked, distance in zip(*rows, strict=True):
        between = ids[asked - distance + 1 : asked].tobytes()
        answers.setdefault(between, set()).add(int(ids[asked]))
    assert sum(len(found) > 1 for found in answers.values()) > 5


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_rows_of_a_distance_have_it(task):
    for distance, below in zip(task.distances, [*task.distances[1:], 10**9], strict=True):
        rows = task.rows_of(np.random.default_rng(2), 5, distance)
        assert len(rows.asked) == 5
        assert (rows.distance >= distance).all()
        assert (rows.distance < below).all()


def test_copying_delays_reach_the_longest_and_fit_the_row():
    rows = Copying(longest=12).rows(np.random.default_rng(0), 2_000)
    assert set(rows.distance.tolist()) == set(range(2, 13))
    assert rows.inputs().shape == rows.targets().shape == (2_000, 13)


def test_strings_are_those_of_the_grammar():
    draw, task = np.random.default_rng(0), EmbeddedReber()
    strings = {task.string(draw) for _ in range(2_000)}
    assert {"BTBTXSETE", "BPBPVVEPE", "BTBPVVETE"} <= strings
    for string in strings:
        assert all(symbol in legal for symbol, legal in zip(string[1:], legal_symbols(string), strict=True)), string
        assert string[1] == string[-2]


def test_legal_symbols_know_the_border():
    assert legal_symbols("BPBTXSEPE") == [
        {"T", "P"},
        {"B"},
        {"T", "P"},
        {"S", "X"},
        {"X", "S"},
        {"E"},
        {"P"},
        {"E"},
    ]


def test_every_state_of_the_grammar_leads_to_the_end():
    reached = {6}
    for _ in REBER:
        reached |= {state for state, following in REBER.items() if set(following.values()) & reached}
    assert reached == set(REBER)
