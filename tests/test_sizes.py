"""How many texts are written side by side, and what is said of those that cannot be held."""

import pytest
from conftest import make_stored_model

from textgen.config import SamplingConfig
from textgen.errors import SettingError
from textgen.generation.generator import open_generator
from textgen.generation.sizes import MAX_SAMPLES, check_samples, needed_bytes, samples_at_once
from textgen.tokenizers import CharacterTokenizer

LETTERS, LINES = CharacterTokenizer("\n abc"), CharacterTokenizer("\n abc", "\n")
LONG = SamplingConfig(length=2**31 - 1)


class Many:
    vocabulary_size = 2**20 + 1


def test_fewer_are_written_side_by_side_where_there_are_many_tokens():
    assert samples_at_once(LETTERS) == 64
    assert samples_at_once(Many()) == 1
    Many.vocabulary_size = 2**30
    assert samples_at_once(Many()) == 1


def test_texts_of_a_length_take_memory_and_texts_that_may_end_before_it_little():
    assert needed_bytes(LETTERS, LONG, 1) > 2**32
    assert needed_bytes(LETTERS, LONG, 10) - needed_bytes(LETTERS, LONG, 9) > 2**33
    for tokenizer, config in ((LINES, LONG), (LETTERS, LONG.replace(stop=("a",))), (LETTERS, LONG.replace(regex="a"))):
        assert needed_bytes(tokenizer, config, 1) < 2**20
    assert needed_bytes(LINES, LONG.replace(ignore_eod=True), 1) > 2**32


@pytest.mark.parametrize(
    ("config", "number", "message"),
    [
        (LONG, 0, "`num_samples` must be at least 1. Received: 0"),
        (LONG, -1, "`num_samples` must be at least 1. Received: -1"),
        (LONG, MAX_SAMPLES + 1, "`num_samples` must be at most 1000000. Received: 1000001"),
        (LONG, MAX_SAMPLES, "Lower `length` or `num_samples`"),
        (SamplingConfig(beams=2, temperature=0), 2, "`beams` finds one text, the likeliest. Leave `num_samples` out"),
        (SamplingConfig(endless=True), 1, "`endless` text is written as it is made"),
    ],
)
def test_what_cannot_be_held_is_refused_before_it_is_begun(config, number, message):
    with pytest.raises(SettingError, match=message):
        check_samples(LETTERS, config, number)
    with pytest.raises(SettingError, match=message):
        open_generator(make_stored_model(tokenizer=LETTERS)).generate("a", config, number)
