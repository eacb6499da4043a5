"""Regular expressions, made at random: for what is said of all of them."""

import random
import re

ATOMS = [
    "a",
    "b",
    "c",
    " ",
    r"\n",
    ".",
    r"\w",
    r"\W",
    r"\d",
    r"\s",
    r"\S",
    "[ab]",
    "[^a]",
    "[^\\n1]",
    "[a-c_]",
    r"\x61",
    "é",
    "1",
]
ATOMS += [r"\u00e9", "[^\\W\\d]", "(?i:A)", "(?s:.)", "(?a:\\w)", "(?i:[^B])", "A", r"\.", "[.-]", "[]a]"]
ANCHORS = ["^", "$", r"\b", r"\B", r"\A", r"\Z", "(?m:^)", "(?m:$)", r"(?a:\b)", "()"]
REPETITIONS = ["*", "+", "?", "*?", "+?", "??", "{2}", "{0}", "{1,3}", "{,2}", "{2,}", "{1,2}?"]
FLAGS = ["", "", "", "", "(?i)", "(?s)", "(?m)", "(?a)", "(?x)"]
SYMBOLS = "ab cA\n1é_.-Éß"


def random_pattern(draw: random.Random, depth: int = 3) -> str:
    """A pattern that Python's `re` reads and that is regular."""
    return draw.choice(FLAGS) + _part(draw, depth)


def _part(draw: random.Random, depth: int) -> str:
    kind = draw.random()
    if depth == 0 or kind < 0.25:
        return draw.choice(ATOMS) if draw.random() < 0.85 else draw.choice(ANCHORS)
    if kind < 0.6:
        return "".join(_part(draw, depth - 1) for _ in range(draw.randint(2, 4)))
    if kind < 0.75:
        return "(" + draw.choice(["", "?:"]) + "|".join(_part(draw, depth - 1) for _ in range(draw.randint(1, 3))) + ")"
    part = _part(draw, depth - 1)
    return f"(?:{part})" + draw.choice(REPETITIONS)


def random_text(draw: random.Random, symbols: str = SYMBOLS, longest: int = 7) -> str:
    """A short text."""
    return "".join(draw.choice(symbols) for _ in range(draw.randint(0, longest)))


def is_match(pattern: str, text: str) -> bool:
    """What Python says."""
    return re.fullmatch(pattern, text) is not None


# Of the letters of conftest.ALPHABET and the words of its word tokenizer.
LOOSE = {
    "char": [
        ".*",
        "[a-z ]*",
        "[^e]*",
        r"(\w+ )*",
        r"(.|\n)*",
        "([a-m]|[n-z ])+",
        r"\D*",
        "(?i:[A-Z]*).?",
        r"(\w+\W+)+",
    ],
    "word": [
        ".*",
        "( the| cat| sat)*",
        "[^e]*",
        r"( \w+)*",
        r"(.|\n)*",
        r"( [a-z]+[,.]?)+",
        r"\D*",
        "(?i:( THE|[^b])*)",
    ],
}
STRICT = {
    "char": ["the ", "cat", "[abc]{3}", r"\bsat\b", "(on|in) ", r"\.", "q{2}", r"\n", "[.,] ?", ".{4}", "(dog|cat)"],
    "word": [
        " the",
        "( cat| dog)",
        r" sat\b",
        " on the mat",
        r"\.",
        r"\n",
        "[.,]",
        "( [a-m]+){2}",
        " ?",
        ".{4}",
        "( a)+",
    ],
}


def made_pattern(draw: random.Random, level: str, is_strict: bool) -> str:
    """A pattern that many texts of a model match, or few."""
    parts = [draw.choice(LOOSE[level])] if not is_strict else []
    parts += draw.choices(STRICT[level], k=draw.randint(0, 2) + 3 * is_strict)
    draw.shuffle(parts)
    return draw.choice(["", "", "^"]) + "".join(map("(?:{})".format, parts)) + draw.choice(["", "$"])


def made_words(draw: random.Random, level: str) -> tuple[str, ...]:
    """Words that a text can hold."""
    words = ["the", "cat", "sat", "on", "mat", "a", "dog", ".", "the cat", "cat sat on", "\n", ", the"]
    words += ["zebra", "abc", "xyz", "q"] if level == "char" else ["ing", ".."]
    return tuple(draw.sample(words, draw.randint(1, 8)))
