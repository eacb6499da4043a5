"""The longest run that two texts share, against a search that tries every run."""

from unittest import mock

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from textgen.generation import copies
from textgen.generation.copies import Run, longest_run


def longest_of_all(written: list[str], text: str) -> int:
    runs = [piece[i:j] for piece in written for i in range(len(piece)) for j in range(i + 1, len(piece) + 1)]
    return max((len(run) for run in runs if run in text), default=0)


def few_symbols(longest: int):
    return st.sampled_from(["ab", "abc\u4e00\U0001f600"]).flatmap(lambda symbols: st.text(symbols, max_size=longest))


@given(st.lists(few_symbols(12), max_size=3), few_symbols(60), st.integers(1, 9), st.integers(1, 9))
def test_no_run_is_longer_wherever_the_text_is_cut(written, text, size, piece):
    blocks = [text[i : i + size] for i in range(0, len(text), size)]
    with mock.patch.object(copies, "AT_ONCE", piece):
        run = longest_run(written, blocks)
    assert run.length == longest_of_all(written, text)
    if run.length:
        assert written[run.number][run.start :][: run.length] == text[run.place :][: run.length]
        same_length = [part[i : i + run.length] for part in written for i in range(len(part) - run.length + 1)]
        assert run.place == min(text.find(part) for part in same_length if part in text)


def test_a_run_that_can_be_checked_by_eye():
    text = "It was the best of times, it was the worst of times."
    assert longest_run(["He said: the best of days!", "times, it is"], [text[:20], text[20:]]) == Run(0, 8, 13, 6)


def test_a_run_does_not_go_on_from_one_text_to_the_next():
    assert longest_run(["ab", "cd"], ["abcd"]).length == 2


@pytest.mark.parametrize(
    ("written", "blocks"), [([], ["a"]), ([""], ["a"]), (["a"], []), (["a"], [""]), (["a"], ["b"])]
)
def test_where_nothing_is_shared_there_is_no_run(written, blocks):
    assert longest_run(written, blocks).length == 0


def test_runs_of_the_same_hash_are_told_apart():
    def few_hashes(sums: np.ndarray, length: int) -> np.ndarray:
        return np.zeros(len(sums) - length, np.uint64)

    with mock.patch.object(copies, "_hashes", few_hashes):
        assert longest_run(["xabcab"], ["yabcazz"]).length == 4
        assert longest_run(["aaaa"], ["bbbb"]).length == 0


def test_a_text_of_one_repeated_symbol_is_searched_as_fast_as_any():
    """Every run of the one stands at every place of the other, ten thousand million pairs."""
    assert longest_run(["a" * 5000] * 4, ["a" * 500_000]) == Run(0, 0, 5000, 0)
