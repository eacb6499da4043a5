"""What is done before a constrained text begins is bounded, and is not done again where it was much."""

import pytest
from conftest import make_stored_model, make_word_tokenizer

from textgen.config import SamplingConfig
from textgen.errors import SettingError
from textgen.generation.constraints import automaton, including, reach
from textgen.generation.constraints.items import TooLargeError
from textgen.generation.generator import open_generator

GENERATOR = open_generator(make_stored_model(tokenizer=make_word_tokenizer()))


def write(pattern: str, prompt: str = "") -> str:
    return GENERATOR.generate(prompt, SamplingConfig(regex=pattern, length=12))[0].completion


def test_two_words_that_lead_to_one_place_are_counted_once(monkeypatch):
    monkeypatch.setattr(reach, "MAX_EDGES", 500)  # there are 435
    assert write("(?:[a-z]{0,5}[a-m ]{0,5})+")


def test_a_pattern_that_takes_too_long_before_a_text_begins_is_one_line(monkeypatch):
    monkeypatch.setattr(automaton, "MAX_FOLLOWED", 200)
    with pytest.raises(TooLargeError, match=r"^`regex` is too large: .*\Z"):
        write("(?:[a-z]{0,5}[a-m ]{0,5})+")


def test_once_a_text_has_begun_nothing_bounds_what_it_meets(monkeypatch):
    pattern = "(?:[a-z]+,? ?)+"
    config = SamplingConfig(regex=pattern, length=12)
    expected = write(pattern)
    pieces = GENERATOR.write(GENERATOR.read(""), config)
    first = next(pieces)
    monkeypatch.setattr(automaton, "MAX_FOLLOWED", 1)
    assert first + "".join(pieces) == expected


def test_what_took_long_to_find_out_is_not_asked_again_for_advice(monkeypatch):
    with pytest.raises(SettingError, match="behind this prompt"):
        write("sat on", "a cat")
    monkeypatch.setattr(reach, "DEAR", 0.0)
    with pytest.raises(SettingError, match=r"^`regex` asks for a text that this model cannot write\Z"):
        write("sat on", "a cat")


def test_what_is_kept_of_many_words_has_a_bound_and_changes_no_text(monkeypatch):
    kept = []

    class Counted(including._Word):
        def plans(self, found, state):
            plans = super().plans(found, state)
            kept.append(max(len(self._plans), len(self.reach._ahead)))
            return plans

    def written(kept_bytes: int) -> tuple[str, int]:
        kept.clear()
        monkeypatch.setattr(including, "KEPT_BYTES", kept_bytes)
        config = SamplingConfig(must_include=("abab", "ababab cat", "b"), length=30, new_words=True, temperature=3.0)
        return GENERATOR.generate("ab", config)[0].completion, max(kept)

    monkeypatch.setattr(including, "_Word", Counted)
    expected, most = written(2**28)
    assert most > including.LEAST_KEPT
    assert written(0) == (expected, including.LEAST_KEPT)
