"""What a completion must be as a whole: every text is that, or one line says that none can be."""

import random
import re

import numpy as np
import pytest
from conftest import ALPHABET, make_stored_model, make_word_tokenizer, slow
from patterns import SYMBOLS, is_match, made_pattern, made_words, random_pattern, random_text

from textgen.config import SamplingConfig
from textgen.errors import SettingError
from textgen.generation.barred import Barred
from textgen.generation.constraints import constraint_of, including
from textgen.generation.constraints.automaton import Automaton
from textgen.generation.constraints.items import both, items_of, kinds_of
from textgen.generation.constraints.patterns import Graph
from textgen.generation.constraints.rows import Row
from textgen.generation.ending import Ending
from textgen.generation.engines import ENGINES
from textgen.generation.generator import open_generator
from textgen.generation.state import Context
from textgen.tokenizers import CharacterTokenizer, WordTokenizer


def accepted(patterns: list[str], texts: list[str]) -> list[bool]:
    """Which texts the automaton of all patterns accepts."""
    graphs = [(graph := Graph(), graph.add_pattern(pattern)) for pattern in patterns]
    kinds = kinds_of(SYMBOLS, [graph for graph, _ in graphs])
    items, *others = [items_of(graph, [start], kinds) for graph, start in graphs]
    for other in others:
        items = both(items, other)
    automaton = Automaton(items, kinds)
    return [automaton.may_end(automaton.read(items.starts[0], text)) for text in texts]


@pytest.mark.parametrize("seeds", [range(200), slow(range(1000, 21000))], ids=["few", "many"])
def test_a_pattern_means_what_it_means_to_python(seeds):
    num_matches = 0
    for seed in seeds:
        draw = random.Random(seed)
        patterns = [random_pattern(draw) for _ in range(1 + (seed % 5 == 0))]
        texts = [random_text(draw) for _ in range(30)]
        expected = [all(is_match(pattern, text) for pattern in patterns) for text in texts]
        assert accepted(patterns, texts) == expected, (seed, patterns)
        num_matches += any(expected)
    assert num_matches > len(seeds) / 4


# ---- what is allowed is exactly what leads to a match

LETTERS = CharacterTokenizer("\n ab")
NAMES = CharacterTokenizer(" ab", "\n")
WORDS = WordTokenizer("\n abc\u0301", ["ab", " a", " ab", "bc", "..".replace(".", "\n")], None, "none", "\n a")
TITLES = WordTokenizer("\n abc", ["ab", " a", " ab", "bc"], "\n\n", "none", "\n a")
PART = re.compile(r"[\w\u0301]")  # of a word
TINY = {"letters": LETTERS, "names": NAMES, "words": WORDS, "titles": TITLES}


def context_behind(tokenizer, text: str) -> Context:
    return Context(np.zeros((1, 1)), np.zeros((1, 1)), np.zeros(1), tokenizer.encode(text))


def every_text(tokenizer, config, context) -> dict[tuple[int, ...], str]:
    """All that the model could write in the length without a constraint, by its ids."""
    barred = Barred.of(tokenizer, config)
    pieces = [*tokenizer.pieces]
    if tokenizer.eod_id is not None:
        pieces[-1] = tokenizer.document_separator
    found, waiting = {}, [((), 0 if barred is None else barred.group_after(context.recent), 0)]
    while waiting:
        token_ids, group, units = waiting.pop()
        found[token_ids] = "".join(pieces[i] for i in token_ids)
        for token_id in range(tokenizer.vocabulary_size):
            goes_on = token_ids and tokenizer.continued[token_ids[-1]] and tokenizer.continues[token_id]
            units_then = units + (not goes_on)
            is_barred = barred is not None and token_id in barred.ids[group]
            ends = token_id == tokenizer.eod_id and not config.ignore_eod
            if units_then <= config.length and not is_barred and not ends:
                next_group = 0 if barred is None else int(barred.groups[token_id])
                waiting.append(((*token_ids, token_id), next_group, units_then))
    return found


def every_allowed_text(tokenizer, config, constraint) -> tuple[set[tuple[int, ...]], set[tuple[int, ...]]]:
    """All beginnings that the constraint allows, and all texts that end by it."""
    beginnings, ended, waiting = set(), set(), [()]
    while waiting:
        token_ids = waiting.pop()
        row = Row(constraint)
        for token_id in token_ids:
            assert row.allowed[token_id]
            row.advance(token_id)
        ending = Ending(tokenizer, config, row)
        ending.feed(np.array(token_ids, np.int64))
        if ending.reason == "document" or ending.units > config.length:
            ended.add(token_ids[:-1])
            continue
        beginnings.add(token_ids)
        if ending.is_over:
            ended.add(token_ids)
            assert row.is_over
            continue
        assert row.allowed.any()
        waiting += [(*token_ids, int(token_id)) for token_id in np.flatnonzero(row.allowed)]
    return beginnings, ended


def stands_in(word: str, text: str, before: str = "") -> bool:
    """Whether `text` holds `word`, and not as a part of a longer one; `before` is what stands before the text."""
    whole = f"{before}{text} "
    for place in range(len(before), len(whole) - len(word)):
        end = place + len(word)
        is_inside = PART.match(word[0]) and PART.match(whole[place - 1 : place] or " ")
        is_inside = is_inside or (PART.match(word[-1]) and PART.match(whole[end]))
        if whole[place:end] == word and not is_inside:
            return True
    return False


@pytest.mark.parametrize("seeds", [range(50), slow(range(1000, 9000))], ids=["few", "many"])
def test_what_is_allowed_is_what_leads_to_a_match(seeds):
    num_matches = 0
    for seed in seeds:
        draw = random.Random(seed)
        tokenizer = TINY[draw.choice([*TINY])]
        pattern = random_pattern(draw, 2)
        words = tuple(random_text(draw, " ab", 2) or "a" for _ in range(draw.choice([0, 0, 0, 1, 2])))
        config = SamplingConfig(length=3, regex=pattern, must_include=words, ignore_eod=draw.random() < 0.5)
        prompt = draw.choice(["", "a", " ", "b "])
        context = context_behind(tokenizer, prompt)
        texts = every_text(tokenizer, config, context)
        before = prompt[-1:]
        matching = {
            ids
            for ids, text in texts.items()
            if is_match(pattern, text) and all(stands_in(word, text, before) for word in words)
        }
        if not matching:
            with pytest.raises(SettingError, match=r"must_include|regex"):
                constraint_of(tokenizer, config, context)
            continue
        num_matches += 1
        beginnings, ended = every_allowed_text(tokenizer, config, constraint_of(tokenizer, config, context))
        assert beginnings == {ids[:n] for ids in matching for n in range(len(ids) + 1)}, (seed, pattern, words)
        assert ended <= matching, (seed, pattern, words)
    assert num_matches > len(seeds) / 5


# ---- texts of models

MODELS = {
    "letters": make_stored_model(),
    "names": make_stored_model(tokenizer=CharacterTokenizer(ALPHABET, "\n")),
    "words": make_stored_model(tokenizer=make_word_tokenizer()),
    "titles": make_stored_model(tokenizer=make_word_tokenizer("\n\n")),
}
GENERATORS = {name: open_generator(model) for name, model in MODELS.items()}
PROMPTS = ["", "the", "a cat ", "the cat,\n", "on."]


def random_settings(draw: random.Random) -> dict:
    """Settings that a constraint has to get along with, most of them plain."""
    choices = {
        "temperature": [0, 0.7, 1.0, 3.0],
        "top_k": [0, 0, 3],
        "top_p": [1, 1, 0.5],
        "repeat_penalty": [1, 1, 2.0],
        "ignore_eod": [False, True],
        "new_words": [False, True],
    }
    settings = {name: draw.choice(values) for name, values in choices.items()}
    return settings | {"seed": draw.randrange(1000), "length": draw.choice([8, 20, 40])}


def written(generator, prompt: str, config: SamplingConfig) -> list:
    """Two texts; none where it is said that there can be none."""
    try:
        return generator.generate(prompt, config, 2)
    except SettingError as problem:
        if not re.search(r"cannot write|cannot be met in `length=\d+`: it takes", str(problem)):
            raise
        return []


@pytest.mark.parametrize("number", [12, slow(200)])
@pytest.mark.parametrize("name", MODELS)
def test_every_text_matches_its_pattern(name, number):
    generator, num_texts = GENERATORS[name], 0
    for seed in range(number):
        draw = random.Random(seed)
        pattern = made_pattern(draw, generator.tokenizer.level, is_strict=seed % 2 == 0)
        config, prompt = SamplingConfig(regex=pattern, **random_settings(draw)), draw.choice(PROMPTS)
        texts = written(generator, prompt, config)
        for completion in texts:
            assert is_match(pattern, completion.completion), (seed, pattern, completion)
        num_texts += len(texts)
    assert num_texts > number / 2


@pytest.mark.parametrize("number", [12, slow(200)])
@pytest.mark.parametrize("name", MODELS)
def test_every_text_holds_its_words(name, number):
    generator, num_texts = GENERATORS[name], 0
    for seed in range(number):
        draw = random.Random(seed)
        words = made_words(draw, generator.tokenizer.level)
        config, prompt = SamplingConfig(must_include=words, **random_settings(draw)), draw.choice(PROMPTS)
        texts = written(generator, prompt, config)
        for completion in texts:
            assert all(stands_in(word, completion.completion) for word in words), (seed, words, completion)
        num_texts += len(texts)
    assert num_texts > number / 2


def write(generator=None, prompt="", **settings):
    return (generator or GENERATORS["letters"]).generate(prompt, SamplingConfig(**settings))[0]


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        ("", "must not be empty"),
        ("a" * 1_000_000, "must have at most 10,000"),
        ("a(", "must be a regular expression: missing )"),
        ("(" * 4000 + ")" * 4000, "must not be nested so deeply"),
        (r"(a)\1", "a reference to a group"),
        (r"(a)?(?(1)b|c)", "a condition on a group"),
        ("a(?=b)b", "a look-around"),
        ("(?<!b)a", "a look-around"),
        ("(?!)", "a look-around"),
        ("(?>a+)", "an atomic group"),
        ("a++", "a possessive repetition"),
        ("a{99999999999}", "must be a regular expression"),
        ("(a{1000}){1000}", "too large"),
        slow("(a?){3000}", "too large"),
        ("(|a){4294967294}", "too large"),
        (".*".join("abcdefghij" * 100), "takes 1,000 characters"),
        (r"[^\d\D]", "cannot write"),
        (r"\Ba*\Z\b", "cannot write"),
        ("Qu[ai]", "it does not know 'Q'"),
        ("Qu[ai]\u00e9?", "it does not know 'Q'. Leave that out"),
        ("[0-9]\u00e9?", "it does not know any of [0-9]. Leave that out"),
        (r"a?\d(\u00e9|Z\u00fc)", "it does not know any of [\\d], '\u00e9'. Leave that out"),
        ("[a-z]{30}", "takes 30 characters. Give at least `length=30`"),
    ],
    ids=range(23),
)
def test_a_pattern_that_cannot_be_matched_is_one_line(pattern, said):
    with pytest.raises(SettingError) as problem:
        write(regex=pattern, length=20)
    assert said in str(problem.value)
    assert len(str(problem.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("pattern", "same"),
    [
        ("(a*)*b", "a*b"),
        ("(a|a)*b", "a*b"),
        ("(.*a.{18})", ".?a.{18}|a.{18}"),
        ("(x+x+)+y", "xx+y"),
        ("(){4294967294}a", "a"),
        ("((a{0}){99999}){99999}", ""),
        ("(?:" * 200 + "a" + ")*" * 200, "a*"),
    ],
)
def test_a_pattern_that_is_hard_for_others_is_matched(pattern, same):
    """Python does not come to an end with some of them, so another pattern of the same texts is asked."""
    assert is_match(same, write(regex=pattern, length=20).completion)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"must_include": ("",)}, "1 to 200 characters"),
        ({"must_include": ("a" * 201,)}, "1 to 200 characters"),
        ({"must_include": ("a",) * 101}, "at most 100 words"),
        ({"must_include": ("Zoe",)}, "'Zoe', which this model cannot write: it does not know 'Z'"),
        ({"must_include": ("cat", "mouse"), "length": 8}, "takes 9 characters. Give at least `length=9`"),
        (
            {"must_include": ("the cat", "cat sat"), "length": 10},
            "`must_include` cannot be met in `length=10`: it takes 11",
        ),
        (  # "the cat sat on my mat dog" has 25, which is not found for so many
            {"must_include": ("the cat", "cat sat", "sat on", "on my", "my mat", "mat dog"), "length": 28},
            "`must_include`, one word after the other, cannot be met in `length=28`: it takes ",
        ),
        (
            {"must_include": ("cat", "dog"), "ban": ("q", "[^a-z]")},
            "asks for a text that this model cannot write beside what `ban` forbids: '[^a-z]'. Leave one of them out",
        ),
        (
            {"regex": r"[a-z]+\.", "ban": (".", "q")},
            "write beside what `ban` forbids: '.'. Leave one of them out",
        ),
        ({"regex": r"Z[a-z]+\.", "ban": (".",)}, "cannot write: it does not know 'Z'. Leave that out"),
        ({"regex": "[ab]", "ban": ("a", "b")}, "cannot write beside what `ban` forbids. Leave one of them out"),
        ({"must_include": ("cat",), "stop": ("d",)}, "`must_include` decides where a text ends, and `stop`"),
        ({"regex": "a", "stop": ("d",)}, "`regex` decides where a text ends, and `stop`"),
        ({"regex": "[a-c]*", "must_include": ("dog",)}, "`regex` together with `must_include` asks for a text"),
        ({"regex": ".*", "must_include": ("Zoe",)}, "this model cannot write: it does not know 'Z'"),
        ({"regex": ".*", "must_include": tuple("abcdefghij")}, "too large"),
        ({"regex": 3}, "must be text"),
    ],
)
def test_what_cannot_be_asked_for_is_one_line(settings, said):
    with pytest.raises(SettingError) as problem:
        write(**settings)
    assert said in str(problem.value)


def test_words_that_no_memory_could_follow_are_refused(monkeypatch):
    monkeypatch.setattr(including, "BYTES", 2**40)
    with pytest.raises(SettingError, match=r"following 2 words needs about .* Ask for fewer words"):
        write(must_include=("cat", "dog"))


def test_a_word_model_says_what_would_let_it_write():
    for settings in ({"must_include": ("zebra",)}, {"regex": "zeb+ra"}):
        with pytest.raises(SettingError, match=r"words that it knows\. `new_words` lets it spell others"):
            write(GENERATORS["words"], **settings)
        assert "zebra" in write(GENERATORS["words"], **settings, new_words=True, length=40).completion
    with pytest.raises(SettingError, match=r"behind this prompt\. Let it begin with a space"):
        write(GENERATORS["words"], "a cat", regex="the .*")
    assert write(GENERATORS["words"], "a cat.", regex="the.*").completion.startswith("the")
    for pattern in ("sat on", "\u00e9?sat on", "(?i)(?s)sat on", "(?x) sat [ ] on # or so"):  # never at first
        with pytest.raises(SettingError, match=r"behind this prompt\. Let it begin with a space"):
            write(GENERATORS["words"], "a cat", regex=pattern)
    with pytest.raises(SettingError, match=r"cannot write beside what `ban` forbids: ' sat'\. Leave one of them out"):
        write(GENERATORS["words"], "a cat", must_include=("sat",), ban=(" sat", "q"))


# ---- where a text ends


@pytest.mark.parametrize(
    ("name", "settings", "completion", "reason"),
    [
        ("letters", {"regex": "the cat"}, "the cat", "match"),
        ("letters", {"regex": "(the cat)?", "length": 3}, "", "match"),
        ("letters", {"regex": "z*", "length": 5}, "zzzzz", "length"),
        ("letters", {"regex": "z{5}", "length": 5}, "zzzzz", "length"),
        ("names", {"regex": "z{,5}", "length": 50, "ignore_eod": True}, "zzzzz", "match"),
        ("names", {"regex": r"z\nz", "ignore_eod": True}, "z\nz", "match"),
        ("words", {"regex": " the( cat){2}", "length": 3}, " the cat cat", "length"),
        ("words", {"regex": " the( cat){2}", "length": 9}, " the cat cat", "match"),
        ("titles", {"regex": r"( cat){3}\.*"}, None, "document"),
        ("letters", {"must_include": ("the cat", "cat sat"), "length": 11}, "the cat sat", "length"),
        ("letters", {"must_include": ("sat on", "the cat", "cat sat"), "length": 14}, "the cat sat on", "length"),
        ("letters", {"must_include": ("cat",), "ban": ("[^a-z]",)}, "cat", "match"),
        ("letters", {"must_include": ("cat", "cat"), "length": 3}, "cat", "length"),
    ],
)
def test_a_text_ends_where_it_is_complete(name, settings, completion, reason):
    written = write(GENERATORS[name], **settings)
    assert completion is None or written.completion == completion
    assert written.finish_reason == reason


def test_a_word_is_no_part_of_a_longer_one_even_of_the_prompt():
    assert write(prompt="un", must_include=("do",), length=3).completion[1:] == "do"
    assert write(prompt="un ", must_include=("do",), length=2).completion == "do"
    with pytest.raises(SettingError, match="takes 3 characters"):
        write(prompt="un", must_include=("do",), length=2)


def test_an_accent_belongs_to_the_letter_before_it():
    generator = open_generator(make_stored_model(tokenizer=CharacterTokenizer(" a\u0301"), units=4))
    for seed in range(20):
        completion = write(generator, must_include=("a",), length=3, seed=seed, temperature=3.0).completion
        assert stands_in("a", completion), completion


def test_many_words_stand_in_one_text_in_any_order():
    words = tuple(f"{a}{b}" for a in "abcde" for b in "vwxyz")
    for seed in range(3):
        completion = write(must_include=words, length=75, seed=seed).completion
        assert all(stands_in(word, completion) for word in words)


def test_a_text_is_the_same_alone_among_others_and_in_a_stream():
    generator = GENERATORS["titles"]
    for constraint in ({"regex": r"( \w+| the,)*\.?"}, {"must_include": ("cat", "on", "dog")}):
        config = SamplingConfig(length=15, temperature=1.0, **constraint)
        texts = [completion.completion for completion in generator.generate("a cat", config, 5)]
        assert len(set(texts)) > 1
        for sample in (0, 4):
            assert "".join(generator.stream("a cat", config, sample)) == texts[sample]


@pytest.mark.slow
def test_both_engines_write_the_same_under_a_constraint():
    config = SamplingConfig(length=12, regex=r"( [^e]+| the)*\.?", must_include=("cat",), temperature=1.0)
    texts = [open_generator(MODELS["words"], engine).generate("", config, 2) for engine in ENGINES]
    assert texts[0] == texts[1]


@pytest.mark.parametrize(
    "pattern",
    [r"a$\n?", r"(?m:a$)\n?b?", r"a\Z\n?", r"(?s)a(?-s:.)?.?", "(?i)a(?-i:a)?", r"a(?m:^|\n)*b?", r"\ba\b\n?b?"],
)
def test_anchors_and_flags_hold_where_python_says(pattern):
    texts = ["", "a", "a\n", "a\nb", "ab", "A", "Ab", "aA", "a\n\n", "a\na", "\n"]
    assert accepted([pattern], texts) == [is_match(pattern, text) for text in texts]
