"""No run that is too long is written, whatever stands before it, and what is copied is found: against every run."""

import random

import pytest
from conftest import make_stored_model, make_word_tokenizer, slow
from keeping import index_of, too_long
from test_generation_graph import engines

from textgen.config import SamplingConfig
from textgen.errors import SettingError
from textgen.generation.copied_runs import CopyFinder, copied_runs, marked, with_marks
from textgen.generation.generator import Generator
from textgen.generation.numpy_engine import NumpyEngine
from textgen.tokenizers import CharacterTokenizer


def runs_of(prompt: str, completion: str, text: str, at_least: int) -> list[tuple[int, int, int]]:
    """All that cannot be longer, by trying every run."""
    whole, found = prompt + completion, []
    for start in range(len(whole)):
        for end in range(max(len(prompt) + 1, start + at_least), len(whole) + 1):
            longer = [whole[start - 1 : end]] if start else []
            longer += [whole[start : end + 1]] if end < len(whole) else []
            if whole[start:end] in text and not any(run in text for run in longer):
                found.append((start, end, text.find(whole[start:end])))
    return found


def drawn_tokenizer(draw: random.Random):
    separator = "\n" if draw.random() < 0.3 else None
    if draw.random() < 0.5:
        return make_word_tokenizer(separator)
    return CharacterTokenizer(draw.choice(["ab", "\n abc", "\n\u00e9\u4e00"]), separator)


@pytest.mark.parametrize(("seed", "rounds"), [(1, 12), slow(2, 400)])
def test_no_run_that_is_too_long_is_written_and_every_copied_run_is_found(tmp_path, seed, rounds):
    draw, reasons = random.Random(seed), set()
    for number in range(rounds):
        tokenizer = drawn_tokenizer(draw)
        pieces = [piece for piece in tokenizer.pieces if piece]
        text = "".join(draw.choices(pieces, k=draw.choice([20, 200, 800])))
        index, model = index_of(tmp_path / "index", text), make_stored_model(tokenizer=tokenizer, seed=number, units=4)
        generator = Generator(tokenizer, NumpyEngine(model.record.model, model.weights), copy_index=lambda i=index: i)
        most, ignored = draw.choice([1, 2, 3, 5, 9]), draw.random() < 0.5
        config = SamplingConfig(length=50, temperature=1.0, max_copy=most, seed=number, ignore_eod=ignored)
        config = config.replace(new_words=draw.random() < 0.5)
        place = draw.randrange(len(text))
        prompt = generator.readable_prompt(draw.choice(["", text[place : place + 12]]))
        completions = generator.generate(prompt, config, 2)
        texts = [c.completion for c in completions] + ["".join(generator.stream(prompt, config))]
        reasons |= {c.finish_reason for c in completions}
        for completion in texts:
            assert too_long(prompt, completion, text, most) == []
        for at_least in (2, 4):
            found = copied_runs(prompt, texts[0], index, at_least)
            assert sorted(map(tuple, found)) == sorted(runs_of(prompt, texts[0], text, at_least))
    assert {"length", "nothing"} <= reasons


@pytest.mark.slow
def test_both_engines_write_the_same_text_without_long_copies(tmp_path):
    symbols = CharacterTokenizer("".join(map(chr, range(97, 97 + engines("lstm")[0].config.vocabulary_size))))
    text, texts = "".join(random.Random(0).choices(symbols.symbols, k=3000)), []
    index = index_of(tmp_path / "index", text)
    for engine in engines("lstm"):
        generator = Generator(symbols, engine, copy_index=lambda: index)
        texts.append(generator.generate("ab", SamplingConfig(length=60, max_copy=2), 2))
        assert not any(too_long("ab", c.completion, text, 2) for c in texts[-1])
    assert texts[0] == texts[1]


def test_a_text_that_cannot_go_on_ends_and_that_is_said(tmp_path):
    model, said = make_stored_model(tokenizer=CharacterTokenizer("ab")), []
    index = index_of(tmp_path / "index", "aabba")
    engine = NumpyEngine(model.record.model, model.weights)
    generator = Generator(model.tokenizer, engine, copy_index=lambda: index, on_ended=said.append)
    (completion,) = generator.generate("a", SamplingConfig(max_copy=1))
    assert (completion.completion, completion.finish_reason, len(said)) == ("", "nothing", 1)
    assert "".join(generator.stream("a", SamplingConfig(max_copy=1))) == ""


def test_without_an_index_it_is_said_what_to_do():
    model = make_stored_model()
    generator = Generator(model.tokenizer, NumpyEngine(model.record.model, model.weights))
    with pytest.raises(SettingError, match="`max_copy` needs an index"):
        generator.generate("", SamplingConfig(max_copy=9))


@pytest.mark.parametrize("size", [1, 3, 100])
def test_what_is_copied_is_marked_wherever_the_text_is_cut(tmp_path, size):
    finder = CopyFinder(index_of(tmp_path / "index", "the cat sat on the mat"), 6)
    finder.read("on th")
    text = "e dog saw the cat sat here."
    pieces = [text[i : i + size] for i in range(0, len(text), size)]
    assert "".join(with_marks(marked(pieces, finder))) == "\u27e6e \u27e7dog saw \u27e6the cat sat \u27e7here."


def test_a_long_copy_is_followed_character_by_character(tmp_path):
    text = "".join(random.Random(0).choices("abcdefgh", k=100_000))
    whole = text[10_000:30_000]
    (run,) = copied_runs("", whole + "!", index_of(tmp_path / "index", text))
    assert run == (0, 20_000, 10_000)
