"""The reader: the same text again and again, from files, tables, compressed files, folders and standard input."""

import gzip
import io
import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from whole_texts import read_corpus

from textgen.config import END_OF_DOCUMENT, TextConfig
from textgen.corpus import open_corpus
from textgen.corpus.decoding import BLOCK_BYTES
from textgen.corpus.sources import BYTES_IN_MEMORY
from textgen.errors import CorpusError, SettingError

LINES = TextConfig(documents="line")
COLUMN = TextConfig(column="text")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch) -> Path:
    """An empty working directory, so that messages show paths as they were given."""
    monkeypatch.setenv("TEXTGEN_CACHE_DIR", str(tmp_path / ".cache"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(path: str, content: bytes | str) -> str:
    """Write a file, compressed where its name says so."""
    content = content.encode() if isinstance(content, str) else content
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_bytes(gzip.compress(content) if path.endswith(".gz") else content)
    return path


def documents(*sources: str, config: TextConfig = LINES, **arguments) -> list[str]:
    *found, rest = "".join(open_corpus(sources, config, **arguments).blocks()).split(END_OF_DOCUMENT)
    assert rest == ""
    return found


def message_of(*sources: str, config: TextConfig = LINES, **arguments) -> str:
    with pytest.raises(CorpusError) as caught:
        documents(*sources, config=config, **arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# ---- what comes out


def test_every_kind_of_document_ends_where_its_file_ends():
    write("a.txt", "Ann\nBob\n\nCid")
    write("b.txt", "\nDee\n")
    assert documents("a.txt", "b.txt") == ["Ann", "Bob", "Cid", "Dee"]
    assert documents("a.txt", "b.txt", config=TextConfig(documents="blank-line")) == ["Ann\nBob", "Cid", "Dee"]
    assert documents("a.txt", "b.txt", config=TextConfig(documents="file")) == ["Ann\nBob\n\nCid", "\nDee\n"]


def test_a_corpus_that_is_one_text_has_no_ends():
    reader = open_corpus([write("a.txt", "Ann"), write("b.txt", "Bob\n")], TextConfig(level="char"))
    assert "".join(reader.blocks()) == "".join(reader.blocks()) == "Ann\nBob\n"
    assert (reader.name, reader.sources) == ("a", tuple(os.path.abspath(name) for name in ("a.txt", "b.txt")))


def test_what_was_met_on_the_way_is_known_after_a_pass():
    reader = open_corpus([write("names.txt", b"\xef\xbb\xbfAnn\r\n\r\nBob\r\n"), write("t.csv", "a,b\n")], LINES)
    assert reader.notes == ()
    list(reader.blocks())
    assert reader.notes == (
        "2 files read",
        "1 empty document skipped",
        "1 byte-order mark removed",
        "3 CRLF line ends turned into LF",
        "t.csv is read as plain text; --column NAME takes one column",
    )


def test_compressed_files_are_read_as_what_they_hold_and_named_after_it():
    assert documents(write("names.txt.gz", "Ann\nBob\n")) == ["Ann", "Bob"]
    assert open_corpus(["names.txt.gz"], LINES).name == "names"
    assert documents(write("t.csv.gz", "id,text\n1,a\n"), config=COLUMN) == ["a"]
    assert documents(write("t.tsv.gz", "text\tid\nb\t1\n"), config=COLUMN) == ["b"]
    assert documents(write("t.jsonl.gz", '{"text": "c"}\n'), config=COLUMN) == ["c"]


def test_compressed_parts_that_were_joined_are_one_file():
    Path("both.txt.gz").write_bytes(gzip.compress(b"one ") + gzip.compress(b"two"))
    assert read_corpus("both.txt.gz").text == "one two"


def test_a_folder_gives_its_texts_or_its_tables_in_one_order():
    write("data/b.txt", "2")
    write("data/a/z.txt.gz", "1")
    write("data/c.csv", "text\nC\n")
    write("data/a/y.jsonl.gz", '{"text": "J"}')
    write("data/d.tsv", "text\nT\n")
    write("data/.hidden.csv", "text\nH\n")
    assert documents("data") == ["1", "2"]
    assert documents("data", config=COLUMN) == ["J", "C", "T"]
    write("texts/a.txt", "1")
    assert message_of("texts", config=COLUMN) == (
        "texts holds no *.csv, *.tsv, *.jsonl, *.ndjson or *.json file; left out: a.txt. "
        "Name the files to read instead."
    )


@pytest.mark.parametrize(
    ("content", "notes"),
    [
        (b"id,text\n1,a\n2,b\n", ()),
        (b"id\ttext\n1\ta\n2\tb\n", ("1 table whose cells are parted by a tab (first: stdin)",)),
        (b'{"text": "a"}\n{"text": "b"}\n', ("1 table read as JSON (first: stdin)",)),
        (b'[{"text": "a"},\n{"text": "b"}]', ("1 table read as JSON (first: stdin)",)),
    ],
)
def test_the_content_of_standard_input_says_which_table_it_is(content, notes):
    reader = open_corpus(["-"], COLUMN, stdin=io.BytesIO(content))
    assert "".join(reader.blocks()) == f"a{END_OF_DOCUMENT}b{END_OF_DOCUMENT}"
    assert reader.notes == notes


def test_a_mark_parts_documents_in_every_file_and_one_without_it_is_noted():
    write("a.txt", "one<|x|>\ntwo\n<|x|><|x|>\n\nthree<|x|>")
    write("b.txt", "four\n\nfive\n")
    reader = open_corpus(["a.txt", "b.txt"], TextConfig(document_separator="<|x|>"))
    assert "".join(reader.blocks()).split(END_OF_DOCUMENT) == ["one", "two", "three", "four\n\nfive", ""]
    assert reader.notes == (
        "2 files read",
        "1 empty document skipped",
        "1 file without the separator '<|x|>', read as one document (first: b.txt)",
    )


def test_bad_rows_that_are_left_out_are_counted_and_the_first_is_named():
    write("a.csv", "id,text\n1\n2,a\n")
    write("b.jsonl", '{"text": "b"}\nno\n{"text": ""}')
    reader = open_corpus(["a.csv", "b.jsonl"], TextConfig(column="text", bad_rows="skip"))
    assert "".join(reader.blocks()) == f"a{END_OF_DOCUMENT}b{END_OF_DOCUMENT}"
    assert reader.notes == (
        "2 files read",
        "1 empty document skipped",
        "2 bad rows left out (first: a.csv, line 2: 1 cell in a row where the header has 2)",
    )


def test_standard_input_can_be_read_twice_and_is_a_table_where_a_column_is_wanted(monkeypatch):
    reader = open_corpus(["-"], COLUMN, stdin=io.BytesIO(b"id,text\n1,a\n"))
    assert list(reader.blocks()) == list(reader.blocks()) == [f"a{END_OF_DOCUMENT}"]
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"own")))
    assert documents("-") == ["own"]


def test_standard_input_that_is_large_goes_through_a_file_that_leaves_no_trace(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "spool"))
    content = b"0123456789abcde\n" * (BYTES_IN_MEMORY // 16 + 1)
    assert "cannot keep stdin in" in message_of("-", stdin=io.BytesIO(content))
    (tmp_path / "spool").mkdir()
    reader = open_corpus(["-"], TextConfig(level="char"), stdin=io.BytesIO(content))
    assert sum(map(len, reader.blocks())) == sum(map(len, reader.blocks())) == len(content)
    assert list((tmp_path / "spool").iterdir()) == []


def test_progress_counts_the_bytes_of_the_files_as_they_lie_there():
    text = "".join(f"{i} is a number\n" for i in range(200_000))
    seen = []
    reader = open_corpus([write("a.txt.gz", text), write("b.txt", "end")], LINES)
    for _ in reader.blocks(lambda done, total: seen.append((done, total))):
        pass
    total = sum(os.path.getsize(name) for name in ("a.txt.gz", "b.txt"))
    assert seen == sorted(seen)
    assert seen[-1] == (total, total)
    assert len(seen) > 3
    fingerprinting = []
    reader.fingerprint(lambda done, total: fingerprinting.append((done, total)))
    assert fingerprinting[-1] == (total, total)


def test_blocks_stay_small_whatever_the_text_is():
    write("long.txt", "x" * (5 * BLOCK_BYTES))
    write("short.txt", "ab\n" * (2 * BLOCK_BYTES))
    for config in (TextConfig(level="char"), LINES, TextConfig(documents="blank-line"), TextConfig(documents="file")):
        sizes = [len(block) for block in open_corpus(["long.txt", "short.txt"], config).blocks()]
        assert max(sizes) <= BLOCK_BYTES + 1


# ---- fingerprints


def test_a_pass_and_a_fingerprint_see_the_same_bytes():
    reader = open_corpus([write("a.txt.gz", "one"), write("b.txt", "two")], LINES)
    assert reader.passed == ""
    list(reader.blocks())
    assert reader.passed == reader.fingerprint()


def test_the_fingerprint_tells_bytes_order_and_borders_of_files_apart():
    contents = {"a.txt": "ab", "b.txt": "c", "c.txt": "a", "d.txt": "bc", "e.csv": "ab", "f.txt.gz": "ab"}
    for name, content in contents.items():
        write(name, content)
    found = [
        open_corpus(list(names), LINES).fingerprint()
        for names in (("a.txt", "b.txt"), ("b.txt", "a.txt"), ("c.txt", "d.txt"), ("a.txt",), ("e.csv",), ("f.txt.gz",))
    ]
    assert len(set(found)) == len(found)
    write("copy.txt", "ab")
    assert open_corpus(["copy.txt"], LINES).fingerprint() == open_corpus(["a.txt"], LINES).fingerprint()


# ---- what is refused


def test_a_compressed_file_that_is_cut_damaged_or_none_is_named():
    whole = gzip.compress(os.urandom(100).hex().encode() * 30_000)
    Path("cut.txt.gz").write_bytes(whole[: len(whole) // 2])
    assert message_of("cut.txt.gz") == "cut.txt.gz is cut: its compressed data end too early. Copy it again, whole."
    damaged = bytearray(whole)
    damaged[-6] ^= 0xFF
    Path("crc.txt.gz").write_bytes(damaged)
    assert message_of("crc.txt.gz").startswith("crc.txt.gz is damaged: CRC check failed")
    damaged[10] = 0xFF  # the first bits after the header say how the data are packed
    Path("bits.txt.gz").write_bytes(damaged)
    assert message_of("bits.txt.gz").startswith("bits.txt.gz is damaged: Error -3 while decompressing data")
    Path("plain.txt.gz").write_bytes(b"plain text")
    assert message_of("plain.txt.gz").startswith(
        "plain.txt.gz is not compressed by gzip, whatever its name says. Take .gz off its name."
    )
    Path("twice.txt.gz").write_bytes(gzip.compress(gzip.compress(b"text")))
    assert message_of("twice.txt.gz") == (
        "twice.txt.gz is compressed more than once, at last by gzip, not plain text. Unpack it (gunzip), and give the "
        "file in it."
    )
    Path("empty.txt.gz").write_bytes(b"")
    assert message_of("empty.txt.gz") == "empty.txt.gz is empty. Give a file that holds text."


@given(st.integers(0, 200))
def test_a_compressed_file_that_is_cut_anywhere_is_refused(length):
    whole = gzip.compress(b"Ann and Bob and Cid\n", mtime=0)
    if 0 < length < len(whole):
        Path("part.txt.gz").write_bytes(whole[:length])
        assert "part.txt.gz is " in message_of("part.txt.gz")


def test_a_byte_that_is_not_utf_8_in_the_middle_of_a_large_compressed_file_is_named_with_its_place():
    text = b"fifteen letters\n" * 200_000
    write("large.txt.gz", text + b"\xe9\n" + text)
    utf_8 = TextConfig(encoding="utf-8")
    assert message_of("large.txt.gz", config=utf_8).startswith(
        "large.txt.gz is not UTF-8: byte 0xE9 at offset 3,200,000 (line 200,001)."
    )


def test_a_row_that_is_wrong_is_named_with_its_file():
    write("good.csv", "id,text\n1,a\n")
    write("bad.csv", "id,text\n1\n")
    assert message_of("good.csv", "bad.csv", config=COLUMN).startswith("bad.csv, line 2: 1 cell in a row")


def test_a_column_of_what_is_no_table_is_refused():
    expected = "a.txt is no .csv, .tsv, .jsonl, .ndjson or .json file, so it has no columns. "
    expected += "Leave out --column, or say what it is: --file-format csv, tsv or jsonl."
    assert message_of(write("a.txt", "text\n"), config=COLUMN) == expected
    assert message_of("chronicles", config=COLUMN).startswith("chronicles is no .csv")


def test_a_corpus_without_a_document_is_refused():
    assert "nothing but white space" in message_of(write("newlines.txt", "\n\n\n"))
    for name, content in {"header.csv": "id,text\n", "empty.json": "[]"}.items():
        assert message_of(write(name, content), config=COLUMN).endswith(
            f"{name}: there is no row of a table in it. Give a table that has some."
        )
    assert message_of(write("blank.csv", "id,text\n1,\n"), config=COLUMN).endswith(
        "blank.csv: the column 'text' holds nothing but white space. Name another one."
    )
    assert "nothing but white space" in message_of(write("blank.txt", " \n\t\n"))
    assert message_of(write("empty.csv", ""), config=COLUMN) == "empty.csv is empty. Give a file that holds text."


@pytest.mark.parametrize(
    ("encoding", "content"),
    [("utf-7", b"a+3AA-b"), ("unicode_escape", b"a\\udc00b"), ("raw_unicode_escape", b"a\\udc00b")],
)
def test_the_end_of_a_document_cannot_be_written_into_a_file(encoding, content):
    write("trick.txt", content)
    message = message_of("trick.txt", config=TextConfig(documents="line", encoding=encoding))
    assert "trick.txt holds half of a surrogate pair (U+DC00 at character 1)" in message


def test_an_encoding_that_is_none_is_refused_before_anything_is_read():
    with pytest.raises(SettingError, match="`encoding` must be"):
        open_corpus(["missing.txt"], TextConfig(encoding="utf-9"))
