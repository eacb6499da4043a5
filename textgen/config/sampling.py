"""How a model writes."""

import dataclasses
import os
import re
import warnings
from collections.abc import Mapping
from typing import Any, Self

from textgen.errors import SettingError
from textgen.messages import shown
from textgen.schema import Settings, received, setting

LONGEST_CYCLE = 1000  # temperatures that take turns
MAX_BANNED = 1000  # characters of all banned texts together
MAX_PATTERN = 10_000  # characters
MAX_WORDS, MAX_WORD = 100, 200  # words that a text must hold, and characters of each
RANDOM = "random"  # as a seed: a fresh one


def temperature_of(text: str) -> float | tuple[float, ...]:
    """The temperature that is written `0.8`, or the temperatures that take turns, `1.0,0.5`. Raises ValueError."""
    numbers = tuple(float(part) for part in text.split(","))
    return numbers[0] if len(numbers) == 1 else numbers


def seed_of(text: str) -> int | str:
    """The seed that is written so; `random` is one that is drawn when it is used. Raises ValueError."""
    return text if text == RANDOM else int(text)


def with_seed(settings: Mapping[str, Any]) -> dict[str, Any]:
    """`settings` in which the seed `random` has become one that nobody has chosen."""
    seed = settings.get("seed")
    is_random = isinstance(seed, str) and seed == RANDOM
    return {**settings, **({"seed": int.from_bytes(os.urandom(8)) >> 1} if is_random else {})}


@dataclasses.dataclass(frozen=True)
class SamplingConfig(Settings):
    """How text is drawn. `generation/sampling.py` has the order in which settings act, and whose order that is.

    OpenAI's two penalties, which transformers does not have, act with the repeat penalty.

    A field with a value to be `tried` is a filter: it drops unlikely tokens, none of them at its default. Checks of an
    engine or an export set it to that value.
    """

    length: int = setting(
        300, "Number of characters to write, or of words with a word model.", minimum=1, maximum=2**31 - 1
    )
    new_words: bool = setting(False, "Allow a word model to spell words outside its vocabulary.")
    max_copy: int = setting(
        0,
        "Longest run of characters that the text may share with the training text; 0 is off. It needs an index, see "
        "train --copy-index.",
        minimum=0,
        maximum=4096,
        is_new=True,
    )
    repeat_penalty: float = setting(
        1.0, "Divide the odds of recent tokens by this; 1 is off.", minimum=0.01, maximum=100
    )
    presence_penalty: float = setting(
        0.0, "Subtract this from the score of every recent token; 0 is off.", minimum=-2, maximum=2, is_new=True
    )
    frequency_penalty: float = setting(
        0.0,
        "Subtract this from the score of a token once for each time it is among the recent ones; 0 is off.",
        minimum=-2,
        maximum=2,
        is_new=True,
    )
    repeat_last_n: int = setting(
        64, "Number of recent tokens that the penalties apply to, the prompt's included.", minimum=1, maximum=4096
    )
    no_repeat_ngram: int = setting(
        0,
        "Write no run of this many tokens that is among the last 4096, the prompt's included; 0 is off.",
        minimum=0,
        maximum=100,
        is_new=True,
    )
    ban: tuple[str, ...] = setting(
        (),
        "Never write this text; may be repeated. [aeiou] is each of these characters. A text without a capital bans "
        "capitals, too.",
        is_new=True,
    )
    min_length: int = setting(
        0,
        "Number of characters, or of words with a word model, before which no stop string counts and no document ends.",
        minimum=0,
        maximum=2**31 - 1,
        is_new=True,
    )
    temperature: float | tuple[float, ...] = setting(
        0.8,
        "Randomness: lower is safer, higher is bolder, 0 always takes the likeliest token. Of several, as 1.0,0.5, "
        "each is for one token in turn.",
        minimum=0,
        maximum=1000,
        reads=temperature_of,
        form="a number, or several as 1.0,0.5",
        metavar="FLOAT[,FLOAT...]",
    )
    top_k: int = setting(0, "Keep only the k likeliest tokens; 0 is off.", minimum=0, maximum=2**31 - 1, tried=12)
    top_p: float = setting(
        1.0,
        "Keep only the smallest set of tokens with this total probability; 1 is off.",
        above=0,
        maximum=1,
        tried=0.9,
    )
    min_p: float = setting(
        0.0,
        "Drop tokens below this share of the likeliest token's probability; 0 is off.",
        minimum=0,
        maximum=1,
        tried=0.02,
    )
    typical: float = setting(
        1.0,
        "Keep only the tokens whose probability is nearest to what is expected, with this total probability; 1 is off.",
        above=0,
        maximum=1,
        is_new=True,
        tried=0.8,
    )
    seed: int = setting(
        0,
        "Seed of the random numbers: the same seed, prompt and settings give the same text. random draws a fresh one.",
        minimum=0,
        maximum=2**63 - 1,
        reads=seed_of,
        form="a whole number, or random",
        metavar="INTEGER|random",
    )
    stop: tuple[str, ...] = setting(
        (), r"Stop before this text; may be repeated. On a command line \n is a new line, \t a tab, \\ a backslash."
    )
    ignore_eod: bool = setting(False, "Continue with another document where one ends.")
    endless: bool = setting(False, "Write without end, until Ctrl-C; the length does not count.", is_new=True)
    beams: int = setting(
        1,
        "Look for the likeliest text with a beam of so many; costs as many times the work, and shows nothing before "
        "the end. Goes with temperature 0.",
        minimum=1,
        maximum=1000,
        is_new=True,
    )
    must_include: tuple[str, ...] = setting(
        (), "Write this word or text, at a place that the model chooses; may be repeated.", is_new=True
    )
    regex: str | None = setting(
        None, "Write a text that matches this regular expression as a whole, as Python's re.fullmatch.", is_new=True
    )

    def __post_init__(self) -> None:
        object.__setattr__(self, "seed", with_seed({"seed": self.seed})["seed"])
        super().__post_init__()
        for name in ("stop", "ban"):
            if "" in getattr(self, name):
                raise SettingError(f"`{name}` must not be empty. Received: ''")
        if (banned := sum(map(len, self.ban))) > MAX_BANNED:
            raise SettingError(f"`ban` must hold at most {MAX_BANNED:,} characters in all. Received: {banned:,}")
        if self.min_length > self.length:
            raise SettingError(f"`min_length` must be at most `length={self.length}`. Received: {self.min_length}")
        if isinstance(self.temperature, tuple):
            if not 0 < len(self.temperature) <= LONGEST_CYCLE:
                raise SettingError(
                    f"`temperature` takes 1 to {LONGEST_CYCLE:,} numbers. Received: {received(len(self.temperature))}"
                )
            if len(self.temperature) == 1:
                object.__setattr__(self, "temperature", self.temperature[0])
        if self.endless and (self.is_constrained or self.beams > 1 or self.min_length):
            raise SettingError("`endless` has no end, which `regex`, `must_include`, `beams` and `min_length` look to")
        if self.is_constrained and self.min_length:
            raise SettingError(
                "`min_length` does not hold where `regex` or `must_include` decide the end. Leave it out"
            )
        if self.regex is not None:
            _check_pattern(self.regex)
        if len(self.must_include) > MAX_WORDS or any(not 0 < len(word) <= MAX_WORD for word in self.must_include):
            raise SettingError(
                f"`must_include` must be at most {MAX_WORDS} words of 1 to {MAX_WORD} characters each. "
                f"Received: {received(list(self.must_include))}"
            )
        if self.stop and self.is_constrained:
            name = "must_include" if self.regex is None else "regex"
            raise SettingError(
                f"`{name}` decides where a text ends, and `stop` would cut it there. Leave one of them out"
            )

    @property
    def temperatures(self) -> tuple[float, ...]:
        """The temperatures of the tokens, which take turns."""
        return self.temperature if isinstance(self.temperature, tuple) else (self.temperature,)

    def at(self, position: int) -> Self:
        """The settings of the token at `position`, from 0: with one temperature."""
        return self.replace(temperature=self.temperatures[position % len(self.temperatures)])

    @property
    def passes_ends(self) -> bool:
        """Whether a text goes on where a document ends."""
        return self.ignore_eod or self.endless

    @property
    def penalises(self) -> bool:
        """Whether recent tokens are counted."""
        return self.repeat_penalty != 1 or self.presence_penalty != 0 or self.frequency_penalty != 0

    @property
    def is_constrained(self) -> bool:
        """Whether a text has to be something as a whole."""
        return self.regex is not None or bool(self.must_include)


def _check_pattern(pattern: str) -> None:
    if not pattern:
        raise SettingError("`regex` must not be empty, which matches nothing but an empty text. Received: ''")
    if len(pattern) > MAX_PATTERN:
        raise SettingError(f"`regex` must have at most {MAX_PATTERN:,} characters. Received: {len(pattern):,}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what another Python may read in another way
            re.compile(pattern)
    except RecursionError:
        raise SettingError("`regex` must not be nested so deeply. Give a pattern with fewer groups in groups") from None
    except (re.error, OverflowError) as problem:
        raise SettingError(
            f"`regex` must be a regular expression: {shown(problem)}. Received: {received(pattern)}"
        ) from None


FILTERS = {field.name: field for field in dataclasses.fields(SamplingConfig) if "tried" in field.metadata}
