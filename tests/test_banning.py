"""Which tokens would write a banned text: by hand, and against a search in the text, with NumPy and in the graph."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from keeping import found

from textgen.generation.banning import banned_by
from textgen.generation.graph_banning import tables
from textgen.tokenizers import CharacterTokenizer, WordTokenizer

SYMBOLS = "\n -ABab\u00c9\u00e9\u0130"
TOKENIZERS = [
    CharacterTokenizer(SYMBOLS),
    CharacterTokenizer(SYMBOLS, "\n"),
    WordTokenizer(SYMBOLS, [" ab", "ab", "aab", "Ba", " b", "--"], "\n\n"),
]
texts = st.lists(
    st.text("abAB-\u00e9 ", min_size=1, max_size=4)
    | st.text("ab", min_size=3, max_size=4)
    | st.text("ab^-A", max_size=3).map("[{}]".format),
    max_size=3,
)
reads = st.lists(st.sampled_from([*range(9), *[SYMBOLS.index(symbol) for symbol in "abab"] * 3]), max_size=6)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(TOKENIZERS), texts, reads, st.booleans())
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


@settings(max_examples=30, deadline=None)
@given(st.sampled_from(TOKENIZERS), texts.filter(bool))
def test_the_tables_of_the_graph_are_the_same(tokenizer, banned):
    ours = banned_by(tuple(banned), tokenizer, False)
    for name, theirs in tables(tf.constant(banned), tokenizer)._asdict().items():
        assert np.array_equal(getattr(ours, name), theirs.numpy())


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
        ("[^ab]", "\n -AB\u00c9\u00e9\u0130"),
        ("[^aB]", "\n -Ab\u00c9\u00e9\u0130"),
        ("[^ab\u00e9]", "\n -AB\u00c9\u0130"),
        ("[^ -\u0130]", "\n"),
        ("[", ""),
        ("[]", ""),
        ("#", ""),
        ("\u00e9", "\u00c9\u00e9"),
    ],
)
def test_what_a_banned_text_stands_for(banned, pieces):
    assert "".join(SYMBOLS[i] for i in np.flatnonzero(banned_by((banned,), TOKENIZERS[0], False).holds)) == pieces


def test_texts_without_anything_banned_between_others_make_no_tables_again():
    tables = banned_by(("ab",), TOKENIZERS[0], False)
    assert banned_by((), TOKENIZERS[0], False) is None
    assert banned_by(("ab",), TOKENIZERS[0], False) is tables
