"""A text in a few numbers, before a model has seen it.

What goes in: a text. What comes out: counts, and two floors that any model of the text should get below.
They are measured on the text itself, so a text that is short for its number of symbols has a bigram floor
that flatters.
"""

import dataclasses

import numpy as np

NUM_MOST_COMMON = 10


@dataclasses.dataclass(frozen=True)
class CorpusFacts:
    """What a text is made of.

    `symbols` counts distinct characters; `words` are separated by white space; a last line without its
    newline counts. `unigram_bits` and `bigram_bits` are bits per character of the best guess that knows
    only how frequent each character is, without and with the character before it. `most_common` holds
    (character, count), best first.
    """

    characters: int
    symbols: int
    lines: int
    words: int
    unigram_bits: float
    bigram_bits: float
    most_common: tuple[tuple[str, int], ...]


def describe(text: str) -> CorpusFacts:
    """Count and measure `text`; an empty text has zeros only."""
    code_points = np.frombuffer(text.encode("utf-32-le"), dtype="<u4")  # [N]
    symbols, ids, counts = np.unique(code_points, return_inverse=True, return_counts=True)  # [V], [N], [V]
    order = np.argsort(-counts, kind="stable")[:NUM_MOST_COMMON]  # ties: lower code point first
    return CorpusFacts(
        characters=len(text),
        symbols=len(symbols),
        lines=text.count("\n") + (text[-1:] not in ("", "\n")),
        words=len(text.split()),
        unigram_bits=_entropy(counts),
        bigram_bits=_conditional_entropy(ids.astype(np.int64), len(symbols)),
        most_common=tuple((chr(symbols[i]), int(counts[i])) for i in order),
    )


def _conditional_entropy(ids: np.ndarray, num_symbols: int) -> float:
    """H(next | this) = H(this, next) - H(this), in bits, over the N - 1 pairs of neighbours."""
    this, after = ids[:-1], ids[1:]
    _, pair_counts = np.unique(this * num_symbols + after, return_counts=True)
    _, this_counts = np.unique(this, return_counts=True)
    return max(0.0, _entropy(pair_counts) - _entropy(this_counts))


def _entropy(counts: np.ndarray) -> float:
    """Bits per draw from the distribution that `counts` (all above zero) are in proportion to."""
    probabilities = counts / max(1, counts.sum())
    return max(0.0, float(-(probabilities * np.log2(probabilities)).sum()))
