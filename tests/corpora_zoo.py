"""Small made corpora of many kinds: what people bring, and whether it is a list of short, different lines."""

import json
import random
from pathlib import Path
from typing import NamedTuple

from textgen import sketch

SYLLABLES = [a + b for a in ("b", "d", "fr", "g", "k", "l", "m", "st") for b in ("a", "en", "il", "or", "u")]
NOUNS = """
    river lantern winter harbour letter mountain garden silence tower orchard machine summer horse island
""".split()  # noqa: SIM905
WORDS = """
    the a of and old small quiet under behind never waited walked stood they she his her light door rain
""".split()  # noqa: SIM905
HAN = "\u5929\u5730\u5c71\u6c34\u98ce\u6708\u4eba\u5fc3\u65e5\u91cd\u767d\u82b1\u6625\u79cb\u591c\u6c5f"
KANA = "\u3042\u3044\u3046\u304b\u304d\u3057\u3066\u306e\u306f\u307e\u308b\u3092"
ARABIC = ["في", "البيت", "ولد", "قرأ", "كتاب"]
THAI = "\u0e01\u0e32\u0e23\u0e40\u0e14\u0e34\u0e19\u0e17\u0e32\u0e07"


class Corpus(NamedTuple):
    """A text, how it lies on the disk, and what is true of it."""

    is_list: bool
    text: str
    file: str = "text.txt"
    flags: tuple[str, ...] = ()
    has_words: bool = True  # between white space
    is_too_small: bool = False


def corpora() -> dict[str, Corpus]:
    """All of them, by name; the same in every process."""
    draw = random.Random(19)
    name = lambda most=4: "".join(draw.choices(SYLLABLES, k=draw.randint(2, most))).capitalize()  # noqa: E731
    words = lambda most, fewest=3: " ".join(draw.choices(WORDS + NOUNS, k=draw.randint(fewest, most)))  # noqa: E731
    lines = lambda make, count=200: "".join(f"{make()}\n" for _ in range(count))  # noqa: E731
    title = lambda: f"The {draw.choice(NOUNS).title()} of {name()}{draw.choice(['', '', ' (1987)', ': Part II', '?'])}"  # noqa: E731
    clause = lambda: words(7, 5).capitalize() + draw.choice(",,;.\u2014!")  # noqa: E731
    sentence = lambda: words(14, 6).capitalize() + draw.choice("..?!")  # noqa: E731
    prose = " ".join(sentence() for _ in range(120))
    han = lambda most, fewest=2: "".join(draw.choices(HAN, k=draw.randint(fewest, most)))  # noqa: E731
    moves = lambda: f"{draw.choice(['e4', 'Nf3', 'Bb5', 'O-O'])} {draw.choice(['e5', 'Nc6', 'a6'])}"  # noqa: E731
    game = lambda: _wrapped(" ".join(f"{n}. {moves()}" for n in range(1, 25)), 70)  # noqa: E731
    pgn = lambda: f'[Event "{name()}"]\n[Result "1-0"]\n\n{game()}\n'  # noqa: E731
    message = lambda: f"{draw.choice(['anna', 'bo', 'Carl P'])}: {words(12, 1)}"  # noqa: E731
    return {
        "names": Corpus(True, lines(name, 400)),
        "full names": Corpus(True, lines(lambda: f"{name()} {name()}")),
        "names apart": Corpus(True, lines(lambda: f"{name()}\n", 250)),
        "invented words": Corpus(True, lines(lambda: name(6).lower(), 400)),
        "titles": Corpus(True, lines(title)),
        "headlines": Corpus(True, lines(lambda: words(9, 4))),
        "titles as documents": Corpus(True, lines(title), flags=("--documents", "line")),
        "chinese names": Corpus(True, lines(lambda: han(4), 500), has_words=False),
        "arabic titles": Corpus(True, lines(lambda: " ".join(draw.choices(ARABIC, k=draw.randint(3, 6))))),
        "numbers": Corpus(True, lines(lambda: str(draw.randint(10**3, 10**9)))),
        "a column of names": Corpus(
            True, "id,name\n" + lines(lambda: f"{draw.randint(1, 999)},{name()}", 300), "t.csv", ("--column", "name")
        ),
        "a table as it stands": Corpus(False, "id,name\n" + lines(lambda: f"{draw.randint(1, 999)},{name()}"), "t.csv"),
        "rows of jsonl": Corpus(
            True, lines(lambda: json.dumps({"id": draw.random(), "title": title()})), "t.jsonl", ("--column", "title")
        ),
        "verse": Corpus(False, "\n".join(lines(clause, 4) for _ in range(40))),
        "verse without stanzas": Corpus(False, lines(clause)),
        "verse without marks": Corpus(False, "\n".join(lines(lambda: words(7, 4), 5) for _ in range(40))),
        "prose in paragraphs": Corpus(False, prose.replace(". ", ".\n", 20) + "\n"),
        "prose that is wrapped": Corpus(False, _wrapped(prose, 72)),
        "arabic that is wrapped": Corpus(False, _wrapped(" ".join(draw.choices(ARABIC, k=900)), 70)),
        "code": Corpus(False, Path(sketch.__file__).read_text(encoding="utf-8")),
        "dna": Corpus(False, ">seq\n" + _wrapped("".join(draw.choices("ACGT", k=6000)), 60), has_words=False),
        "chess": Corpus(False, lines(pgn, 20)),
        "a chat": Corpus(False, lines(message)),
        "a chat with times": Corpus(False, lines(lambda: f"[12/01/21, 10:{draw.randint(10, 59)}] {message()}")),
        "lines that come again": Corpus(False, lines(lambda: draw.choice(["yes", "no", "perhaps so"]), 500)),
        "chinese": Corpus(False, lines(lambda: han(60, 20) + "\u3002", 60), has_words=False),
        "a chinese poem": Corpus(False, lines(lambda: f"{han(5, 5)}\uff0c{han(5, 5)}\u3002", 200), has_words=False),
        "japanese": Corpus(
            False, lines(lambda: "".join(draw.choices(KANA + HAN, k=50)) + "\u3002", 40), has_words=False
        ),
        "thai": Corpus(False, lines(lambda: "".join(draw.choices(THAI, k=70)) + "  ", 60), has_words=False),
        "arabic": Corpus(False, lines(lambda: " ".join(draw.choices(ARABIC, k=60)) + ".", 20)),
        "a folder": Corpus(False, prose, "notes/"),
        "tables as documents": Corpus(False, prose.replace(". ", ".\n\n"), flags=("--documents", "blank-line")),
        "a line": Corpus(False, "one small line of text\n", is_too_small=True),
        "a few names": Corpus(True, lines(name, 12), is_too_small=True),
        "empty lines": Corpus(False, "\n" * 3000 + "some text\n", is_too_small=False, has_words=False),
        "one long document": Corpus(
            False, "a b\n" + prose[:1200] + "\n", flags=("--documents", "line"), is_too_small=True
        ),
    }


def write(corpus: Corpus, folder: Path) -> list[str]:
    """Write a corpus into `folder`, and return how it is named on a command line."""
    path = folder / corpus.file
    if corpus.file.endswith("/"):
        path.mkdir()
        for index in range(0, len(corpus.text), 500):
            (path / f"{index:05}.txt").write_text(corpus.text[index : index + 500], encoding="utf-8")
    else:
        path.write_text(corpus.text, encoding="utf-8")
    return [corpus.file, *corpus.flags]


def _wrapped(text: str, width: int) -> str:
    if " " not in text:
        return "".join(f"{text[i : i + width]}\n" for i in range(0, len(text), width))
    lines = [""]
    for word in text.split():
        if len(lines[-1]) + len(word) >= width:
            lines.append("")
        lines[-1] += f"{' ' if lines[-1] else ''}{word}"
    return "".join(f"{line}\n" for line in lines)
