"""How a model writes."""

import dataclasses

from textgen.errors import SettingError
from textgen.schema import Settings, setting


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

    def __post_init__(self) -> None:
        super().__post_init__()
        if "" in self.stop:
            raise SettingError("`stop` must not be empty. Received: ''")


FILTERS = {field.name: field for field in dataclasses.fields(SamplingConfig) if "tried" in field.metadata}
