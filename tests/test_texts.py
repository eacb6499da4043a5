"""Texts in memory are read as the files that would hold them."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from textgen.config import END_OF_DOCUMENT, TextConfig
from textgen.corpus import open_corpus
from textgen.corpus.texts import BLOCK_CHARACTERS, IN_MEMORY, TextsReader, text_reader
from textgen.errors import CorpusError

KINDS = ("whole", "file", "line", "blank-line")


def read(reader) -> str:
    return "".join(reader.blocks())


@pytest.mark.parametrize("kind", KINDS)
@given(texts=st.lists(st.text("ab é\ufeff\r\n\x1a", max_size=12), min_size=1, max_size=4))
def test_they_are_read_as_the_files_of_a_folder(tmp_path_factory, kind, texts):
    folder, config = tmp_path_factory.mktemp("texts"), TextConfig(documents=kind)
    for number, text in enumerate(texts):
        (folder / f"{number}.txt").write_bytes(text.encode())
    from_files, reader = open_corpus(folder, config), TextsReader(texts, config)
    if not "".join(text.removeprefix("\ufeff").rstrip("\x1a") for text in texts).strip():
        for blank in (from_files, reader):
            with pytest.raises(CorpusError, match="nothing but white space"):
                read(blank)
        return
    expected = read(from_files)
    assert read(reader) == expected
    assert reader.passed == reader.fingerprint()
    notes = [re.sub(r"/\S+/(\d+)\.txt", lambda path: f"file {int(path[1]) + 1}", note) for note in from_files.notes]
    files = [note for note in notes if not note.endswith("read")]
    assert [note.replace("text", "file") for note in reader.notes] == files
    if len(texts) == 1:
        assert read(text_reader(texts[0], config)) == expected


def test_what_is_odd_in_them_is_said_with_its_place():
    reader = TextsReader(["fine\n", "a\nb\0\0c", "{\\rtf\r\n\x93d\x94"], TextConfig())
    assert read(reader) == "fine\na\nb\0\0c\n{\\rtf\n\x93d\x94"
    assert reader.notes == (
        "1 CRLF line end turned into LF",
        "2 NUL characters, the first in line 2 of text 2",
        "2 C1 control characters, the first in line 2 of text 3 (U+0093): it may be cp1252 that was read as latin-1",
    )


def test_long_texts_come_in_blocks_and_short_ones_together():
    lines = ["word " * 3] * 100_000
    blocks = list(TextsReader(lines, TextConfig(documents="file")).blocks())
    assert "".join(blocks) == "".join(line + END_OF_DOCUMENT for line in lines)
    assert max(map(len, blocks)) <= BLOCK_CHARACTERS + 100
    assert len(blocks) == 2
    long = "ab\n" * BLOCK_CHARACTERS
    assert [len(block) for block in TextsReader([long], TextConfig()).blocks()] == [BLOCK_CHARACTERS] * 3


def test_a_fingerprint_is_of_the_texts_and_of_where_they_end():
    prints = {TextsReader(texts, TextConfig()).fingerprint() for texts in (["ab", "c"], ["a", "bc"], ["abc"], ["ab c"])}
    assert len(prints) == 4


def test_they_are_nobody_else_s_and_are_named_as_what_they_are():
    reader = TextsReader(["One text.", "Another."], TextConfig(column="text", encoding="latin-1"))
    assert (reader.name, reader.sources, reader.is_public) == ("texts", (IN_MEMORY,), False)
    assert reader.config.encoding == "utf-8"
    assert read(reader) == f"One text.{END_OF_DOCUMENT}Another.{END_OF_DOCUMENT}"  # cells of the column
    assert read(reader.read_as(TextConfig())) == "One text.\nAnother."


def test_half_of_a_surrogate_pair_is_named_by_its_text_and_place():
    message = r"^text 2 holds half of a surrogate pair \(U\+DC00 at character 3\), which is not text"
    with pytest.raises(CorpusError, match=message):
        TextsReader(["fine", f"bad{END_OF_DOCUMENT}"], TextConfig())
    with pytest.raises(CorpusError, match=r"^the text holds half of a surrogate pair"):
        text_reader("\ud800", TextConfig())
