"""How many texts are written side by side, and what texts take that are held until the last of them is made."""

from textgen.config import SamplingConfig
from textgen.errors import SettingError
from textgen.memory import check_fits
from textgen.schema import received
from textgen.tokenizers import Tokenizer

SAMPLES_AT_ONCE = 64
LOGITS_AT_ONCE = 2**21  # of these samples, if it is more than one; some 100 MB with what is made of them
MAX_SAMPLES = 1_000_000  # all of them are held in memory
BYTES_PER_LOGIT = 48
BYTES_PER_UNIT = {"char": 4, "word": 20}  # of a text that is held, until it is written
BYTES_PER_PIECE = {"char": 8, "word": 64}  # of those that are being made


def samples_at_once(tokenizer: Tokenizer) -> int:
    """How many texts are written side by side."""
    return max(1, min(SAMPLES_AT_ONCE, LOGITS_AT_ONCE // tokenizer.vocabulary_size))


def needed_bytes(tokenizer: Tokenizer, config: SamplingConfig, num_samples: int) -> int:
    """About what `num_samples` texts take that are held until the last is made.

    Texts that may end before their length count as short.
    """
    at_once = min(num_samples, samples_at_once(tokenizer))
    may_end = bool(config.stop) or config.regex is not None or (tokenizer.eod_id is not None and not config.passes_ends)
    units = 0 if may_end else config.length
    held = BYTES_PER_UNIT[tokenizer.level] * num_samples + BYTES_PER_PIECE[tokenizer.level] * at_once
    return units * held + BYTES_PER_LOGIT * at_once * tokenizer.vocabulary_size


def check_samples(tokenizer: Tokenizer, config: SamplingConfig, num_samples: int) -> None:
    """Raise SettingError where there cannot be so many texts, or where they need more memory than is free."""
    if not 1 <= num_samples <= MAX_SAMPLES:
        bound = "at least 1" if num_samples < 1 else f"at most {MAX_SAMPLES}"
        raise SettingError(f"`num_samples` must be {bound}. Received: {received(num_samples)}")
    if config.endless:
        raise SettingError("`endless` text is written as it is made, piece by piece. Leave it out, or stream the text")
    if num_samples > 1 and config.beams > 1:
        raise SettingError("`beams` finds one text, the likeliest. Leave `num_samples` out")
    what = f"writing {num_samples:,} texts of `length={config.length}`"
    advice = "Lower `length`" + (" or `num_samples`" if num_samples > 1 else "")
    check_fits(needed_bytes(tokenizer, config, num_samples), what, advice)
