"""How a model writes."""

import dataclasses
import re
import warnings

from textgen.errors import SettingError
from textgen.messages import shown
from textgen.schema import Settings, setting

MAX_PATTERN = 10_000  # characters
MAX_WORDS, MAX_WORD = 100, 200  # words that a text must hold, and characters of each


@dataclasses.dataclass(frozen=True)
class SamplingConfig(Settings):
    """How text is drawn. Settings act in the order of the fields, from new_words to min_p.

    A field with a value to be `tried` is a filter: it drops unlikely tokens, none of them at its default. Checks of an
    engine or an export set it to that value.
    """

    length: int = setting(
        300, "Number of characters to write, or of words with a word model.", minimum=1, maximum=2**31 - 1
    )
    new_words: bool = setting(False, "Allow a word model to spell words outside its vocabulary.")
    repeat_penalty: float = setting(
        1.0, "Divide the odds of recent tokens by this; 1 is off.", minimum=0.01, maximum=100
    )
    repeat_last_n: int = setting(
        64, "Number of recent tokens that the repeat penalty applies to.", minimum=1, maximum=4096
    )
    temperature: float = setting(
        0.8,
        "Randomness: lower is safer, higher is bolder, 0 always takes the likeliest token.",
        minimum=0,
        maximum=1000,
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
    seed: int = setting(
        0,
        "Seed of the random numbers: the same seed, prompt and settings give the same text.",
        minimum=0,
        maximum=2**63 - 1,
    )
    stop: tuple[str, ...] = setting(
        (), r"Stop before this text; may be repeated. On a command line \n is a new line, \t a tab, \\ a backslash."
    )
    ignore_eod: bool = setting(False, "Continue with another document where one ends.")
    must_include: tuple[str, ...] = setting(
        (), "Write this word or text, at a place that the model chooses; may be repeated.", is_new=True
    )
    regex: str | None = setting(
        None, "Write a text that matches this regular expression as a whole, as Python's re.fullmatch.", is_new=True
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if "" in self.stop:
            raise SettingError("`stop` must not be empty. Received: ''")
        if self.regex is not None:
            _check_pattern(self.regex)
        if len(self.must_include) > MAX_WORDS or any(not 0 < len(word) <= MAX_WORD for word in self.must_include):
            raise SettingError(f"`must_include` takes at most {MAX_WORDS} words of 1 to {MAX_WORD} characters each")
        if self.stop and self.is_constrained:
            name = "must_include" if self.regex is None else "regex"
            raise SettingError(
                f"`{name}` decides where a text ends, and `stop` would cut it there. Leave one of them out"
            )

    @property
    def is_constrained(self) -> bool:
        """Whether a text has to be something as a whole."""
        return self.regex is not None or bool(self.must_include)


def _check_pattern(pattern: str) -> None:
    if not pattern:
        raise SettingError("`regex` is empty, which only an empty text matches. Leave it out, or give a pattern")
    if len(pattern) > MAX_PATTERN:
        raise SettingError(f"`regex` has {len(pattern):,} characters. Give at most {MAX_PATTERN:,}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what another Python may read in another way
            re.compile(pattern)
    except RecursionError:
        raise SettingError("`regex` is nested too deeply. Give a pattern with fewer groups in groups") from None
    except (re.error, OverflowError) as problem:
        raise SettingError(f"`regex` is no regular expression: {shown(problem)}") from None


FILTERS = {field.name: field for field in dataclasses.fields(SamplingConfig) if "tried" in field.metadata}
