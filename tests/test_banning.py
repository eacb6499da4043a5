"""Which tokens would write a banned text: by hand, and against a search in the text, with NumPy and in the graph."""

import re

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from textgen.generation.banning import banned_by, is_capital
from textgen.generation.graph_banning import tables
from textgen.tokenizers import CharacterTokenizer, WordTokenizer

SYMBOLS = "\n -ABab\u00c9\u00e9\u0130"
TOKENIZERS = [
    CharacterTokenizer(SYMBOLS),
    CharacterTokenizer(SYMBOLS, "\n"),
    WordTokenizer(SYMBOLS, [" ab", "ab", "aab", "Ba", " b", "--"], "\n\n"),
]
texts = st.lists(
    st.text("abAB-\u00e9 ", min_size=1, max_size=4) | st.text("ab^-A", max_size=3).map("[{}]".format), max_size=3
)


def found(banned: str, text: str) -> list[int]:
    """Where `banned` ends in `text`, as a regular expression finds it."""
    flags = 0 if any(map(is_capital, banned)) else re.IGNORECASE
    pattern = re.escape(banned)
    if len(banned) > 2 and (banned[0], banned[-1]) == ("[", "]"):
        inside = banned[1:-1]
        negated, inside = (True, inside[1:]) if len(inside) > 1 and inside[0] == "^" else (False, inside)
        last, members = len(inside) - 1, set()
        for place, symbol in enumerate(inside):
            ends = sorted(inside[place - 1 : place + 2 : 2]) if symbol == "-" and 0 < place < last else [symbol, symbol]
            members |= {chr(point) for point in range(ord(ends[0]), ord(ends[1]) + 1)}
        text = text if flags == 0 else "".join(c.lower() if len(c.lower()) == 1 else c for c in text)
        return [place + 1 for place, symbol in enumerate(text) if (symbol in members) != negated]
    text = text if flags == 0 else "".join(c.lower() if len(c.lower()) == 1 else c for c in text)
    return [match.start() + len(banned) for match in re.finditer(f"(?={pattern})", text)]


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(TOKENIZERS), texts, st.lists(st.integers(0, 8), max_size=6), st.booleans())
def test_a_token_is_banned_where_the_text_would_hold_what_is_banned(tokenizer, banned, read, writes_separators):
    """What the prompt holds already bans nothing; what it began is not completed."""
    pieces = list(tokenizer.pieces)
    if tokenizer.eod_id is not None:
        pieces[-1] = tokenizer.document_separator
    before = "".join(pieces[i] for i in read)
    expected = {
        token_id
        for token_id, piece in enumerate(pieces)
        if token_id != tokenizer.eod_id or writes_separators
        for text in banned
        if any(end > len(before) for end in found(text, before + piece))
    }
    ours = banned_by(tuple(banned), tokenizer, writes_separators)
    assert set() == expected if ours is None else set(ours.ids(ours.open_after(np.array(read, int)))) == expected
    if ours is not None and not writes_separators:
        theirs = tables(tf.constant(banned), tokenizer)
        for name, other in theirs._asdict().items():
            assert np.array_equal(getattr(ours, name), other.numpy())


@pytest.mark.parametrize(
    ("banned", "pieces"),
    [
        ("a", "Aa"),
        ("A", "A"),
        ("[ab]", "ABab"),
        ("[aB]", "Ba"),
        ("[a-b]", "ABab"),
        ("[b-a]", "ABab"),
        ("[-a]", "-Aa"),
        ("[^ab]", "\n -\u00c9\u00e9\u0130"),
        ("[", ""),
        ("[]", ""),
        ("#", ""),
        ("\u00e9", "\u00c9\u00e9"),
    ],
)
def test_what_a_banned_text_stands_for(banned, pieces):
    assert "".join(SYMBOLS[i] for i in np.flatnonzero(banned_by((banned,), TOKENIZERS[0], False).holds)) == pieces
