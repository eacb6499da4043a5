"""A prompt in, text out. Most of it with an engine that writes the alphabet, so that every answer can be read."""

import itertools
import string

import numpy as np
import pytest
from conftest import make_stored_model
from hypothesis import given, settings
from hypothesis import strategies as st

from textgen import memory
from textgen.config import SamplingConfig
from textgen.errors import SettingError, TokenizerError
from textgen.generation import sizes
from textgen.generation.completion import Completion
from textgen.generation.engines import open_engine
from textgen.generation.generator import Generator, open_generator
from textgen.generation.numpy_engine import NumpyEngine
from textgen.tokenizers import CharacterTokenizer, WordTokenizer

LETTERS = string.ascii_lowercase


class AlphabetEngine:
    """The next letter is the one after it: sample 0 writes "bcdef" from "a", sample 1 every second letter, "cegik".

    A context is the last letter's id.
    """

    def __init__(self, block_length: int = 1):
        self.block_length = block_length
        self.was_read: list[list[int]] = []
        self.num_written = 0

    def read(self, token_ids, context=None):
        self.was_read.append(list(token_ids))
        return int(token_ids[-1]) if len(token_ids) else context

    def write(self, context, config, samples, barred=None, steering=None):
        for start in itertools.count(1, self.block_length):
            steps = np.arange(start, start + self.block_length)[:, None]
            self.num_written += self.block_length
            yield ((context + steps * (samples + 1)) % 26).astype(np.int32)


class ScriptEngine(AlphabetEngine):
    """Writes a given text, over and over."""

    def __init__(self, text: str, block_length: int):
        super().__init__(block_length)
        self.script = itertools.cycle(LETTERS.index(letter) for letter in text)

    def write(self, context, config, samples, barred=None, steering=None):
        while True:
            column = list(itertools.islice(self.script, self.block_length))
            yield np.tile(np.int32(column)[:, None], (1, len(samples)))


def alphabet(block_length: int = 1, **options) -> Generator:
    return Generator(CharacterTokenizer(LETTERS), AlphabetEngine(block_length), **options)


def writing(length: int, *stop: str, **changes) -> SamplingConfig:
    return SamplingConfig(length=length, stop=stop, **changes)


# ---- what is written


def test_the_alphabet_is_continued():
    assert alphabet().generate("a", writing(5, seed=3)) == [Completion("a", "bcdef", 3, 0, "length")]
    assert list(alphabet().stream("a", writing(5))) == ["b", "c", "d", "e", "f"]


def test_every_sample_is_its_own():
    completions = alphabet().generate("xa", writing(4), num_samples=3)
    assert [c.completion for c in completions] == ["bcde", "cegi", "dgjm"]
    assert [c.sample for c in completions] == [0, 1, 2]
    assert {c.prompt for c in completions} == {"xa"}


@pytest.mark.parametrize("block_length", [1, 2, 3, 7, 50])
def test_the_length_is_exact_whatever_the_engine_yields(block_length):
    generator = alphabet(block_length)
    assert generator.generate("a", writing(7))[0].completion == "bcdefgh"
    assert "".join(generator.stream("a", writing(7))) == "bcdefgh"


@pytest.mark.parametrize("num_samples", [1, 2, 3, 4, 5])
def test_many_samples_are_made_in_parts_and_keep_their_numbers(monkeypatch, num_samples):
    monkeypatch.setattr(sizes, "SAMPLES_AT_ONCE", 2)
    completions = alphabet().generate("a", writing(3), num_samples)
    assert [c.sample for c in completions] == list(range(num_samples))
    assert [c.completion for c in completions] == ["bcd", "ceg", "dgj", "eim", "fkp"][:num_samples]


@pytest.mark.parametrize(("num_logits", "at_once"), [(1, 1), (26 * 3 + 25, 3), (10**9, 64)])
def test_fewer_samples_are_made_at_once_where_the_vocabulary_is_large(monkeypatch, num_logits, at_once):
    monkeypatch.setattr(sizes, "LOGITS_AT_ONCE", num_logits)
    generator, widths = alphabet(), []
    blocks = generator.blocks
    generator.blocks = lambda *given: widths.append(len(given[2])) or blocks(*given)
    completions = generator.generate("a", writing(3), 70)
    assert widths == [at_once] * (70 // at_once) + [70 % at_once] * (70 % at_once > 0)
    assert [c.completion for c in completions[:5]] == ["bcd", "ceg", "dgj", "eim", "fkp"]


def test_what_has_no_room_in_memory_is_refused_before_it_is_begun(monkeypatch):
    monkeypatch.setattr(memory, "available_bytes", lambda: 10**8)
    generator = alphabet()
    with pytest.raises(SettingError, match=r"writing 50 texts of `length=1000000` .* Lower `length` or `num_samples`$"):
        generator.generate("a", writing(1_000_000), 50)
    with pytest.raises(SettingError, match=r"reading 4,000,000 characters needs .* Give the end of the text alone$"):
        generator.generate("abcd" * 1_000_000, writing(3))
    assert generator.engine.was_read == []
    generator.generate("a", SamplingConfig(length=1_000_000, stop=("a",)), 50)  # which end long before


@pytest.mark.parametrize("num_samples", [1_000_001, 10**30])
def test_more_samples_than_memory_holds_are_wrong_usage(num_samples):
    with pytest.raises(SettingError, match=f"`num_samples` must be at most 1000000. Received: {num_samples}"):
        alphabet().generate("a", writing(3), num_samples)


@pytest.mark.parametrize("num_samples", [0, -1])
def test_no_samples_is_wrong_usage(num_samples):
    with pytest.raises(SettingError, match=f"`num_samples` must be at least 1. Received: {num_samples}"):
        alphabet().generate("a", writing(3), num_samples)


# ---- the prompt


def test_an_empty_prompt_begins_after_the_tokenizers_start():
    generator = Generator(CharacterTokenizer("\nab"), AlphabetEngine())
    generator.read("")
    assert generator.engine.was_read == [[0]]
    assert alphabet().generate("", writing(3))[0].completion == "bcd"  # no newline: the first letter
    assert alphabet().generate("", writing(3))[0].prompt == ""


def test_an_empty_text_after_a_context_leaves_it_as_it_is():
    generator = alphabet()
    context = generator.read("x")
    assert generator.read("", context) == context
    assert "".join(generator.write(context, writing(2))) == "yz"


def test_a_prompt_of_unknown_symbols_is_read_in_known_ones():
    told = []
    generator = alphabet(on_replaced=told.append)
    assert generator.generate("Café☃", writing(2)) == [Completion("cafe", "fg", 0, 0, "length")]
    assert told == [{"C": "c", "é": "e", "☃": ""}]
    assert "".join(generator.stream("É", writing(2))) == "fg"
    assert told[1:] == [{"É": "e"}]


def test_a_prompt_of_which_nothing_is_left_is_an_empty_one():
    assert alphabet().generate("☃", writing(3)) == [Completion("", "bcd", 0, 0, "length")]


def test_a_known_prompt_tells_nobody():
    told = []
    alphabet(on_replaced=told.append).generate("cafe", writing(2))
    assert told == []


def test_the_policies_skip_and_error_are_followed():
    assert alphabet(on_unknown="skip").generate("cafÉ", writing(2))[0] == Completion("caf", "gh", 0, 0, "length")
    with pytest.raises(TokenizerError, match="has never seen 'É'"):
        alphabet(on_unknown="error").generate("cafÉ", writing(2))
    with pytest.raises(TokenizerError, match="--on-unknown must be one of"):
        alphabet(on_unknown="ignore").generate("cafe", writing(2))


def test_a_bad_prompt_fails_before_the_stream_is_read():
    with pytest.raises(TokenizerError):
        alphabet(on_unknown="error").stream("É", writing(2))


# ---- stop strings


def test_text_ends_before_the_stop_string():
    generator = alphabet()
    assert generator.generate("a", writing(20, "fg")) == [Completion("a", "bcde", 0, 0, "stop")]
    assert "".join(generator.stream("a", writing(20, "fg"))) == "bcde"


def test_a_stop_string_that_the_length_cuts_short_is_text():
    assert alphabet().generate("a", writing(5, "fgh")) == [Completion("a", "bcdef", 0, 0, "length")]
    assert "".join(alphabet().stream("a", writing(5, "fgh"))) == "bcdef"


def test_a_stop_string_that_ends_with_the_length_still_counts():
    assert alphabet(block_length=9).generate("a", writing(5, "ef"))[0] == Completion("a", "bcd", 0, 0, "stop")


def test_a_stop_string_is_not_looked_for_in_the_prompt():
    assert alphabet().generate("ab", writing(3, "bc", "ab"))[0].completion == "cde"


def test_each_sample_stops_on_its_own_and_the_others_go_on():
    completions = alphabet().generate("a", writing(6, "d"), num_samples=3)
    assert [c.completion for c in completions] == ["bc", "cegikm", ""]
    assert [c.finish_reason for c in completions] == ["stop", "length", "stop"]


def test_nothing_is_written_once_every_sample_has_stopped():
    generator = alphabet()
    generator.generate("a", writing(10**6, "c"), num_samples=2)
    assert generator.engine.num_written == 2
    list(generator.stream("a", writing(10**6, "c")))
    assert generator.engine.num_written == 4


scripts = st.text("ab", min_size=1, max_size=30)
stops = st.lists(st.text("ab", min_size=1, max_size=5), max_size=4).map(tuple)


def cut(text: str, stop: tuple[str, ...]) -> tuple[str, str]:
    """`text` before the stop string that is complete first, and the reason for its end."""
    for end in range(len(text) + 1):
        if found := [s for s in stop if text[:end].endswith(s)]:
            return text[: end - max(map(len, found))], "stop"
    return text, "length"


@settings(max_examples=300, deadline=None)
@given(scripts, stops, st.integers(1, 9), st.integers(1, 9))
def test_what_is_shown_is_the_text_cut_at_the_first_stop_string_whatever_the_blocks(script, stop, block, other_block):
    config = SamplingConfig(length=len(script), stop=stop)
    tokenizer = CharacterTokenizer(LETTERS)
    expected = cut(script, stop)
    assert "".join(Generator(tokenizer, ScriptEngine(script, block)).stream("a", config)) == expected[0]
    (completion,) = Generator(tokenizer, ScriptEngine(script, other_block)).generate("a", config)
    assert (completion.completion, completion.finish_reason) == expected


# ---- documents and words

NAMES = CharacterTokenizer("\n" + LETTERS, "\n")  # "\n" is 0, "a" is 1, <eod> is 27
WORDS = WordTokenizer(" " + LETTERS, [" cat", " dog"])


class BarredEngine(AlphabetEngine):
    """Notes what it must not write."""

    def write(self, context, config, samples, barred=None, steering=None):
        self.was_barred = barred
        return super().write(context, config, samples)


@pytest.mark.parametrize(
    ("tokenizer", "config", "expected"),
    [
        (WordTokenizer(" abc", [" ab"], alone=" b"), SamplingConfig(), [[1, 3], [1, 2, 3]]),
        (WordTokenizer(" abc", [" ab"], alone=" b"), SamplingConfig(new_words=True), [[], [1, 2, 3], []]),
        (WordTokenizer(" abc", [" ab"]), SamplingConfig(), [[], [1, 2, 3]]),
        (CharacterTokenizer(" abc"), SamplingConfig(), None),
    ],
    ids=["known words", "new words", "all stand alone", "characters"],
)
def test_the_engine_is_told_what_is_barred(tokenizer, config, expected):
    engine = BarredEngine(1)
    generator = Generator(tokenizer, engine)
    for write in (lambda: next(generator.write(0, config)), lambda: generator.generate("", config.replace(length=1))):
        engine.was_barred = "nothing"
        write()
        assert expected == (engine.was_barred and [ids.tolist() for ids in engine.was_barred.ids])


class IdEngine(AlphabetEngine):
    """Sample s writes the s-th list of ids, then that again and again."""

    def __init__(self, *scripts: list[int], block_length: int = 1):
        super().__init__(block_length)
        self.scripts = scripts

    def write(self, context, config, samples, barred=None, steering=None):
        columns = [itertools.cycle(self.scripts[s]) for s in samples]
        while True:
            self.num_written += self.block_length
            yield np.array([[next(c) for c in columns] for _ in range(self.block_length)], np.int32)


def spelled(text: str) -> list[int]:
    """Ids of names, "|" being the end of a document."""
    return [NAMES.eod_id if s == "|" else NAMES.pieces.index(s) for s in text]


def names(*scripts: str, block_length: int = 1) -> Generator:
    return Generator(NAMES, IdEngine(*map(spelled, scripts), block_length=block_length))


@pytest.mark.parametrize("block_length", [1, 3, 50])
def test_a_text_ends_with_its_document_and_says_so(block_length):
    generator = names("nna|bob|", block_length=block_length)
    assert generator.generate("a", writing(20)) == [Completion("a", "nna", 0, 0, "document")]
    assert "".join(generator.stream("a", writing(20))) == "nna"


def test_each_sample_ends_with_its_own_document():
    completions = names("nna|", "bo|", "|", "cdefgh").generate("", writing(5), num_samples=4)
    assert [(c.completion, c.finish_reason) for c in completions] == [
        ("nna", "document"),
        ("bo", "document"),
        ("", "document"),
        ("cdefg", "length"),
    ]


def test_nothing_is_written_once_every_document_has_ended():
    generator = names("nna|", "bo|")
    generator.generate("", writing(10**6), num_samples=2)
    assert generator.engine.num_written == len("nna|")


def test_a_length_that_is_reached_with_the_document_is_the_length():
    assert names("nna|").generate("", writing(3))[0] == Completion("", "nna", 0, 0, "length")


@pytest.mark.parametrize("block_length", [1, 3, 50])
def test_ends_that_are_ignored_are_separators_and_count(block_length):
    generator = names("nna|bo|", block_length=block_length)
    config = writing(9, ignore_eod=True)
    assert generator.generate("", config)[0] == Completion("", "nna\nbo\nnn", 0, 0, "length")
    assert "".join(generator.stream("", config)) == "nna\nbo\nnn"
    assert generator.generate("", writing(9, "\n", ignore_eod=True))[0].finish_reason == "stop"


def test_a_document_begins_after_the_end_of_one():
    generator = names("b|")
    generator.read("an")
    generator.read("")
    generator.read("n", context=3)
    assert generator.engine.was_read == [[27, 1, 14], [27], [14]]


def test_a_separator_that_no_document_holds_is_read_as_an_end_and_in_a_prompt_it_is_unknown():
    tokenizer, told = CharacterTokenizer("abc", "\n"), []
    generator = Generator(tokenizer, IdEngine([0]), on_replaced=told.append)
    generator.read("a\nb\n")
    assert generator.engine.was_read == [[3, 0, 3, 1, 3]]
    assert told == []
    assert generator.generate("a\nb", writing(1))[0].prompt == "ab"  # as in an exported model
    assert told == [{"\n": ""}]
    in_cells = Generator(CharacterTokenizer("\nabc", "\n"), IdEngine([0]))
    in_cells.read("a\nb")
    assert in_cells.engine.was_read == [[4, 1, 0, 2]]


def test_a_document_s_end_that_is_typed_is_no_end():
    told = []
    generator = Generator(NAMES, IdEngine(spelled("b|")), on_replaced=told.append)
    assert generator.generate("a\udc00n", writing(3))[0].prompt == "an"
    assert told == [{"\udc00": ""}]


def test_the_length_of_a_word_model_counts_words_and_spelled_ones_once():
    cat, dog, space, o, x = 27, 28, 0, WORDS.symbols.index("o"), WORDS.symbols.index("x")
    generator = Generator(WORDS, IdEngine([cat, space, o, x, dog]))
    assert generator.generate("cat", writing(1))[0].completion == " cat"
    assert generator.generate("cat", writing(2))[0] == Completion("cat", " cat ox", 0, 0, "length")
    assert generator.generate("cat", writing(4))[0].completion == " cat ox dog cat"
    assert generator.generate("cat", writing(4, " d"))[0] == Completion("cat", " cat ox", 0, 0, "stop")
    assert list(generator.stream("cat", writing(3))) == [" cat", " ", "o", "x", " dog"]


def test_a_word_model_reads_a_prompt_without_its_last_space():
    generator = Generator(WORDS, IdEngine([27]))
    for prompt, shown in (("ox", "ox"), ("ox ", "ox"), ("ox  ", "ox "), ("ox\u2603 ", "ox"), (" ", ""), ("", "")):
        assert generator.generate(prompt, writing(1))[0].prompt == shown
    assert generator.engine.was_read[0] == generator.engine.was_read[1] == [15, 24]


def test_a_normalising_model_reads_the_normal_form():
    told = []
    folded = CharacterTokenizer(LETTERS, normalize="casefold")
    generator = Generator(folded, AlphabetEngine(), on_replaced=told.append)
    assert generator.generate("CAF\u00df", writing(1))[0].prompt == "cafss"
    assert told == []


# ---- a real network


@pytest.fixture(scope="module")
def real() -> Generator:
    return open_generator(make_stored_model())


prompts = st.text("\n ,.abcdefghijklmnopqrstuvwxyzÉ☃", max_size=8)


# Not at random: side by side, a matrix product is rounded otherwise, and one token in about 30 million is another.
@settings(max_examples=25, deadline=None, derandomize=True)
@given(prompts, st.integers(0, 2**63 - 1), st.integers(1, 40), st.integers(1, 5))
def test_a_stream_is_the_sample_of_that_number(prompt, seed, length, num_samples):
    generator = open_generator(make_stored_model())
    config = SamplingConfig(length=length, seed=seed, stop=("e",))
    for completion in generator.generate(prompt, config, num_samples):
        assert "".join(generator.stream(prompt, config, completion.sample)) == completion.completion
        assert completion.seed == seed


def test_a_sample_is_the_same_alone_and_among_many(real, monkeypatch):
    config = SamplingConfig(length=60, seed=4)
    together = real.generate("it was", config, num_samples=7)
    assert len({c.completion for c in together}) == 7
    monkeypatch.setattr(sizes, "SAMPLES_AT_ONCE", 3)
    assert real.generate("it was", config, num_samples=7) == together
    assert real.generate("it was", config, num_samples=2) == together[:2]


def test_a_context_can_be_written_from_again_and_again(real):
    config = SamplingConfig(length=30, repeat_penalty=1.5)
    context = real.read("it was")
    first = "".join(real.write(context, config))
    assert "".join(real.write(context, config, sample=1)) != first
    real.read("something else", context)
    assert "".join(real.write(context, config)) == first


def test_reading_in_turns_is_reading_at_once(real):
    config = SamplingConfig(length=30)
    in_turns = real.read(" was", real.read("it"))
    assert "".join(real.write(in_turns, config)) == real.generate("it was", config)[0].completion


def test_temperature_zero_ignores_the_seed_and_the_sample(real):
    texts = {
        completion.completion
        for seed in (0, 1)
        for completion in real.generate("it", SamplingConfig(length=20, temperature=0, seed=seed), num_samples=3)
    }
    assert len(texts) == 1


def test_another_seed_writes_another_text(real):
    texts = {real.generate("it", SamplingConfig(length=40, seed=seed))[0].completion for seed in range(5)}
    assert len(texts) == 5


# ---- engines


def test_the_numpy_engine_is_opened_by_name():
    model = make_stored_model()
    assert isinstance(open_engine(model, "numpy"), NumpyEngine)
    assert open_generator(model).tokenizer is model.tokenizer
    assert open_generator(model, on_unknown="error").on_unknown == "error"


@pytest.mark.parametrize("engine", ["", "NumPy", "torch"])
def test_an_engine_of_another_name_is_wrong_usage(engine):
    with pytest.raises(SettingError, match=f"`engine` must be one of numpy, tensorflow. Received: '{engine}'"):
        open_engine(make_stored_model(), engine)


def test_temperatures_take_turns_from_token_to_token(stored_model):
    generator = open_generator(stored_model)
    text = generator.generate("the", SamplingConfig(length=20, temperature=(0, 3.0), seed=1))[0].completion
    before = [generator.read("the" + text[:place]) for place in range(20)]
    is_likeliest = [stored_model.tokenizer.pieces[c.logits.argmax()] == s for c, s in zip(before, text, strict=True)]
    assert all(is_likeliest[::2])
    assert not all(is_likeliest[1::2])
