"""A session of the REPL as a transcript, with a model that knows the alphabet."""

import itertools
import string

import numpy as np

from textgen.config import SamplingConfig
from textgen.generation.generator import Generator
from textgen.generation.state import Context
from textgen.repl import Repl, Session
from textgen.repl.session import ModelFacts
from textgen.tokenizers import CharacterTokenizer, WordTokenizer
from textgen.tokenizers.unknown import describe_replacements

LETTERS = string.ascii_lowercase
SYMBOLS = "".join(sorted("\n !,./\\" + LETTERS))


class AlphabetEngine:
    """After "a" comes "b", for sample 0; sample s leaves s letters out each time. Anything else counts as "z"."""

    def __init__(self, interrupt_after: int | None = None, skips: bool = False):
        self.interrupt_after = interrupt_after
        self.skips = skips
        self.num_read = 0

    def read(self, token_ids, context=None):
        self.num_read += len(token_ids)
        before = context.recent if context else np.zeros(0, np.int32)
        state = np.zeros((1, 1), np.float32)
        return Context(state, state, np.zeros(len(SYMBOLS), np.float32), np.concatenate([before, token_ids]))

    def write(self, context, config, samples, barred=None, steering=None):
        letter = SYMBOLS[context.recent[-1]]
        position = LETTERS.find(letter) if letter in LETTERS else 25
        steps = 1 + np.asarray(samples) * self.skips
        for count in range(10**6):
            if count == self.interrupt_after:
                raise KeyboardInterrupt
            letters = [LETTERS[place] for place in (position + steps * (count + 1)) % 26]
            yield np.array([[SYMBOLS.index(letter) for letter in letters]], np.int32)


class DocumentEngine(AlphabetEngine):
    """Writes "a" to "e" as AlphabetEngine does; behind "e" the document ends, and behind that comes "a" again.

    For a tokenizer of SYMBOLS with ends of documents, whose id is one more.
    """

    def write(self, context, config, samples, barred=None, steering=None):
        last = int(context.recent[-1])
        while True:
            after = "abcde".find(SYMBOLS[last]) + 1 if last < len(SYMBOLS) else 0
            last = len(SYMBOLS) if after == 5 else SYMBOLS.index("abcde"[after])
            yield np.array([[last]], np.int32)


class WordEngine(AlphabetEngine):
    """Writes " cat", spells " ox", and so on; after " ox" it begins again. For WORDS."""

    def write(self, context, config, samples, barred=None, steering=None):
        yield from (np.array([[token_id]], np.int32) for token_id in itertools.cycle(WORDS.encode(" cat ox").tolist()))


WORDS = WordTokenizer(SYMBOLS, [" cat", " the", "the", " sat"])
DOCUMENTS = CharacterTokenizer(SYMBOLS, "\n\n")


MODEL = ModelFacts("novel", "a model")


class Transcript:
    """A session whose lines are known beforehand; an exception among them is raised where a line would come."""

    def __init__(self, *lines, generator=None, engine=None, columns=80, model=MODEL, **sampling):
        self.lines = [*lines]
        self.shown = ""
        engine = engine or AlphabetEngine()
        self.generator = generator or Generator(
            CharacterTokenizer(SYMBOLS),
            engine,
            on_replaced=self.replaced,
            on_ended=lambda reason: self.session.ended(reason),
        )
        self.session = Session(
            self.generator,
            SamplingConfig(**({"length": 3} | sampling)),
            write=self.write,
            notice=self.notice,
            show=self.show,
            columns=lambda: columns,
            model=model,
        )
        self.repl = Repl(self.session, self.read_line)

    def read_line(self, prompt):
        line = self.lines.pop(0) if self.lines else EOFError()
        if isinstance(line, BaseException):
            raise line
        self.shown += f"{prompt}{line}\n"
        return line

    def write(self, text):
        self.shown += text

    def notice(self, text):
        self.shown += "".join(f"# {line}\n" for line in text.split("\n"))

    def show(self, text):
        self.shown += "".join(f"| {line}".rstrip() + "\n" for line in text.split("\n"))

    def replaced(self, replaced):
        self.notice(describe_replacements(replaced))

    def run(self) -> str:
        self.repl.run()
        return self.shown

    @property
    def story(self) -> str:
        return self.session.story.text

    @property
    def context(self):
        session = self.session
        return session.reader.context(session.story.end) if session.story.end else None


def transcript(*lines, **options) -> str:
    return Transcript(*lines, **options).run()


def story(*lines, **options) -> str:
    session = Transcript(*lines, **options)
    session.run()
    return session.story


def notices(*lines, **options) -> list[str]:
    shown = transcript(*lines, **options)
    return [line[2:] for line in shown.splitlines() if line.startswith("# ")]


def assert_same(context, other):
    np.testing.assert_array_equal(context.recent, other.recent)
    for name in ("hidden", "memory", "logits"):
        np.testing.assert_allclose(getattr(context, name), getattr(other, name), atol=1e-5)
