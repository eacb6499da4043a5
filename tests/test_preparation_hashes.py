"""Hashes of documents: those of the definition, wherever the text is cut; and hashes in order."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from textgen.config import END_OF_DOCUMENT
from textgen.preparation import document_hash, entry
from textgen.preparation.document_hashes import SLICE, DocumentHasher


def test_the_hash_of_a_document_never_changes():
    assert [document_hash(text) for text in ("", "a", "Ann", "\U0001f400é")] == [
        0x0000000000000000,
        0x1AEEA757022B3A21,
        0xFB5491320FFE3264,
        0x98B47827ACB23E7C,
    ]


def slow_hash(text: str) -> int:
    """The polynomial, in Python's own integers."""
    mask = (1 << 64) - 1

    def mixed(x: int) -> int:
        x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9 & mask
        x = (x ^ (x >> 27)) * 0x94D049BB133111EB & mask
        return x ^ (x >> 31)

    total = sum(mixed(ord(symbol) + 1) * pow(0x9E3779B97F4A7C15, i, 1 << 64) for i, symbol in enumerate(text))
    return mixed((total + mixed(len(text))) & mask)


documents = st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=8), max_size=8)


@given(documents, st.lists(st.integers(0, 80), max_size=6))
def test_documents_have_the_hashes_of_the_definition_wherever_they_are_cut(texts, places):
    stream = "".join(text + END_OF_DOCUMENT for text in texts)
    marks = sorted(place % (len(stream) + 1) for place in places)
    hasher = DocumentHasher()
    found = [hasher.add(stream[a:b]) for a, b in zip([0, *marks], [*marks, len(stream)], strict=True)]
    assert np.concatenate(found).tolist() == [slow_hash(text) for text in texts]


def test_a_document_longer_than_a_slice_has_the_hash_of_the_definition():
    text = "abcdefg" * SLICE
    assert document_hash(text) == slow_hash(text)


def test_short_documents_that_are_alike_have_different_hashes():
    texts = {f"{a}{b}{c}" for a in "abcdefghij\0" for b in "abcdefghij\0" for c in "abcdefghij\0"} | {"", "\0", "\0\0"}
    stream = "".join(text + END_OF_DOCUMENT for text in texts)
    hashes = DocumentHasher().add(stream)
    assert len(set(hashes.tolist())) == len(texts)
    assert len(set((hashes & np.uint64(0xFFFFFFFF)).tolist())) == len(texts)


@pytest.mark.parametrize("count", [0, 1, 5, 1000])
def test_hashes_are_put_in_order_and_once_each_however_many_there_are(count, tmp_path, monkeypatch):
    monkeypatch.setattr(entry, "SORTED_AT_ONCE", 64)
    hashes = np.random.default_rng(0).integers(2**64, size=count, dtype=np.uint64)
    hashes[::3] = 7
    hashes.tofile(tmp_path / "hashes")
    entry.sort_hashes(tmp_path / "hashes")
    np.testing.assert_array_equal(np.fromfile(tmp_path / "hashes", np.uint64), np.unique(hashes))
    assert len(list(tmp_path.iterdir())) == 1
