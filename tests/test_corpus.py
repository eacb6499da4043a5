"""Reading texts: what comes out of real files, and what is said of bad ones."""

import codecs
import dataclasses
import hashlib
import io
import os
import socket
import unicodedata
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from whole_texts import Corpus, read_corpus, write

from textgen.config import END_OF_DOCUMENT, TextConfig
from textgen.corpus.decoding import BLOCK_BYTES, Tally, iter_text
from textgen.corpus.names import model_name
from textgen.errors import CorpusError, SettingError
from textgen.recipe import suited_level
from textgen.store.names import is_name

ENCODINGS = (
    "utf-8",
    "utf-8-sig",
    "ascii",
    "utf-16-le",
    "utf-32-be",
    "gb18030",
    "shift_jis",
    "cp1252",
    "utf-7",
)
block_sizes = st.integers(1, 9)
# Whole and broken sequences of several encodings, so that errors lie deep in the file and across blocks.
chunks = st.sampled_from((b"a", b"a\0", b"\n", b"\n\0", "é".encode(), "\u4e00".encode("gb18030"), b"\xe4", b"\0\xd8"))
contents = st.lists(chunks, max_size=30).map(b"".join) | st.binary(max_size=40)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch) -> Path:
    """An empty working directory, so that messages show paths as they were given."""
    monkeypatch.setenv("TEXTGEN_CACHE_DIR", str(tmp_path / ".cache"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def message_of(*sources: str, **settings) -> str:
    """The one line that reading `sources` fails with."""
    with pytest.raises(CorpusError) as caught:
        read_corpus(sources, **settings)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# ---- what comes out


def test_a_file_becomes_its_text_with_its_name_its_path_and_its_hash(folder):
    write("novel.txt", "Élan\x00\n")
    corpus = read_corpus(["novel.txt"])
    digest = hashlib.sha256("Élan\x00\n".encode()).hexdigest()
    notes = ("1 NUL character, the first in line 1 of novel.txt",)
    assert corpus == Corpus("novel", (str(folder / "novel.txt"),), "Élan\x00\n", digest, notes)
    with pytest.raises(dataclasses.FrozenInstanceError):
        corpus.text = ""


def test_a_single_path_is_not_taken_for_a_sequence_of_letters():
    assert read_corpus(write("ab.txt", "text")).text == read_corpus(Path("ab.txt")).text == "text"


def test_several_sources_are_joined_by_one_newline_only_where_one_is_missing(folder):
    corpus = read_corpus([write("b.txt", "no end"), write("a.txt", "end\n"), write("c.txt", "last")])
    assert corpus.text == "no end\nend\nlast"
    assert corpus.name == "b"
    assert corpus.sources == tuple(str(folder / name) for name in ("b.txt", "a.txt", "c.txt"))
    assert corpus.notes == ("3 files read",)


def test_a_folder_is_read_recursively_in_the_order_of_its_relative_paths(folder):
    texts = {
        "b.txt": "2",
        "a/z.txt": "1",
        "c/UPPER.TXT": "3",
        ".hidden.txt": "H",
        ".git/x.txt": "G",
        "d.md": "M",
    }
    for name, text in texts.items():
        write(f"My Tales/{name}", text)
    write("My Tales/c/empty.txt", "")
    corpus = read_corpus(["My Tales/"])
    assert corpus.text == "1\n2\n3\nM"
    assert (corpus.name, corpus.sources) == ("My-Tales", (str(folder / "My Tales"),))
    assert corpus.notes == ("4 files read", "1 empty file skipped")


def test_the_working_directory_gives_its_own_name(folder):
    write("one.txt", "1")
    assert read_corpus(["."]).name == model_name(folder.name)


def test_stdin_is_read_as_bytes(monkeypatch):
    corpus = read_corpus(["-"], stdin=io.BytesIO(b"caf\xe9"), encoding="latin-1")
    assert (corpus.name, corpus.sources, corpus.text) == ("stdin", ("-",), "café")
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"own")))
    assert read_corpus(["-"]).text == "own"
    assert "more than once" in message_of("-", "-")


def test_byte_order_marks_and_other_line_ends_are_removed_and_noted():
    write("a.txt", b"\xef\xbb\xbfone\r\ntwo\rthree\r\r\n")
    write("b.txt", "x\ufeffy\n")
    corpus = read_corpus(["a.txt", "b.txt"])
    assert corpus.text == "one\ntwo\nthree\n\nx\ufeffy\n"
    assert corpus.notes == (
        "2 files read",
        "1 byte-order mark removed",
        "1 byte-order mark that is not at the beginning, the first in line 1 of b.txt: files may have been joined "
        "there",
        "2 CRLF line ends turned into LF",
        "2 CR line ends turned into LF",
        "a.txt mixes line ends: 2 CRLF, 2 CR",
    )
    corpus = read_corpus([write("c.txt", b"one\rtwo\rthree\r")])
    assert (corpus.text, corpus.notes) == ("one\ntwo\nthree\n", ("3 CR line ends turned into LF",))


def test_the_mark_that_dos_ended_files_with_is_removed_and_noted():
    note = "the end-of-file mark of DOS (0x1A) removed from 1 file"
    corpus = read_corpus([write("a.txt", b"one\x1atwo\n\x1a\x1a"), write("b.txt", b"three")])
    assert (corpus.text, corpus.notes) == ("one\x1atwo\nthree", ("2 files read", note))
    corpus = read_corpus([write("a.csv", b"id,text\n1,a\n2,b\n\x1a")], config=TextConfig(column="text"))
    assert (corpus.text, corpus.notes) == (f"a{END_OF_DOCUMENT}b{END_OF_DOCUMENT}", (note,))


def test_no_sources_are_the_starter_corpus_and_a_path_wins_over_a_catalogue_name():
    starter = read_corpus([])
    assert starter.name == "chronicles"
    assert starter.sources == ("chronicles",)
    assert starter == read_corpus(["chronicles"], encoding="utf-16")  # the encoding is of the user's own files
    assert read_corpus([write("chronicles", "mine")]).text == "mine"


def test_the_starter_corpus_alone_suits_words():
    assert suited_level([]) == suited_level(["chronicles"]) == "word"
    assert suited_level(["chronicles", "python-docs"]) == suited_level(["python-docs"]) == "char"
    assert suited_level(["-"]) == suited_level(["missing.txt"]) == "char"
    assert suited_level([write("chronicles", "mine")]) == "char"  # a path wins here too


def with_lf(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


@given(
    text=st.text("ab\r\n\x1a\ufeffé€\U0001f600") | st.text(),
    encoding=st.sampled_from(("utf-8", "utf-16", "utf-16-le", "utf-32", "gb18030")),
    size=block_sizes,
)
@example(text="\ufeff\ufeffa", encoding="utf-8", size=3)  # only the first is a mark
def test_decoding_in_blocks_of_any_size_gives_the_whole_text(text, encoding, size):
    tally = Tally()
    pieces = iter_text(io.BytesIO(text.encode(encoding)), "t", encoding, tally, block_bytes=size)
    assert "".join(pieces) == with_lf(text.removeprefix("\ufeff")).rstrip("\x1a")
    assert tally.end_marks == text.endswith("\x1a")
    assert tally.inner_marks.count == text.removeprefix("\ufeff").count("\ufeff")
    assert tally.crlf_line_ends == text.count("\r\n")
    assert tally.cr_line_ends == text.count("\r") - text.count("\r\n")
    assert tally.byte_order_marks == text.startswith("\ufeff")


# ---- what is refused


def test_a_byte_that_is_not_utf_8_is_named_with_its_offset_and_line():
    write("corpus.txt", ("x" * 49 + "\n").encode() * 206 + b"x" * 112 + b"\xe9 and so on\n")
    expected = "corpus.txt is not UTF-8: byte 0xE9 at offset 10,412 (line 207). Leave --encoding out, and it is found; "
    expected += "or --encoding-errors replace or skip reads the rest."
    assert message_of("corpus.txt", encoding="utf-8") == expected


def test_offset_and_line_are_right_in_a_later_block_after_a_sequence_that_spans_blocks():
    valid = b"x" * (BLOCK_BYTES - 1) + "é\n\u20ac\n".encode()  # the é lies across the first two blocks
    write("long.txt", valid + b"\xe2\x82")  # and the last sequence is cut by the end of the file
    assert f"byte 0xE2 at offset {len(valid):,} (line 3)" in message_of("long.txt")


@given(content=contents, encoding=st.sampled_from(ENCODINGS), size=block_sizes)
@example(content=b"a\n\x1b$B0!\xff", encoding="iso2022_jp", size=9)  # a codec with modes
def test_any_invalid_bytes_are_found_where_the_whole_file_would_show_them(content, encoding, size):
    try:
        expected = (content.decode(encoding), None)
    except UnicodeDecodeError as error:
        shift = len(content) - len(error.object)  # `utf-8-sig` counts from after the mark
        line = with_lf(content[: error.start + shift].decode(encoding)).count("\n") + 1
        expected = (
            None,
            f"byte 0x{error.object[error.start]:02X} at offset {error.start + shift} (line {line})",
        )
    pieces = iter_text(io.BytesIO(content), "t", codecs.lookup(encoding).name, Tally(), block_bytes=size)
    if expected[1] is None:
        assert "".join(pieces) == with_lf(expected[0].removeprefix("\ufeff")).rstrip("\x1a")
    else:
        with pytest.raises(CorpusError) as caught:
            "".join(pieces)
        assert expected[1] in str(caught.value)


def test_other_encodings_are_named_and_the_advice_fits():
    write("wide.txt", "one\ntwo".encode("utf-16"))
    assert read_corpus(["wide.txt"], encoding="UTF16").text == "one\ntwo"
    assert read_corpus(["wide.txt"]).text == "one\ntwo"
    assert message_of("wide.txt", encoding="utf-8").startswith("wide.txt is not UTF-8: byte 0xFF at offset 0 (line 1).")
    write("half.txt", "a\n".encode("utf-16-le") + b"\x00\xd8b\x00")
    expected = "half.txt is not UTF-16-LE: byte 0x00 at offset 4 (line 2). Leave --encoding out"
    assert message_of("half.txt", encoding="utf-16-le").startswith(expected)
    assert "no byte-order mark at its start" in message_of(write("plain.txt", "text"), encoding="utf-16")


def test_half_a_surrogate_pair_never_gets_into_a_corpus():
    assert "U+D800 at character 2" in message_of(write("e.txt", "ab\\ud800"), encoding="unicode_escape")


@pytest.mark.parametrize("encoding", ["utf-9", "hex", "rot13", "", "a\0b", "undefined"])
def test_an_unknown_encoding_is_wrong_usage_and_names_the_flag(encoding):
    with pytest.raises(SettingError, match="`encoding` must be"):
        read_corpus([write("a.txt", "text")], encoding=encoding)


@pytest.mark.parametrize("content", [b"", b"\xef\xbb\xbf"])
def test_an_empty_file_that_was_named_is_refused_even_among_others(content):
    write("full.txt", "text")
    assert message_of("full.txt", write("empty.txt", content)) == "empty.txt is empty. Give a file that holds text."


def test_a_stray_byte_that_shows_nothing_is_named_in_words():
    content = "é\n".encode() * 9 + b"a\xa0b"
    assert ", which is a no-break space in cp1252 (“a\xa0b”)" in message_of(write("a.txt", content))


def test_a_corpus_of_white_space_or_of_empty_files_is_refused():
    assert "nothing but white space" in message_of(write("a.txt", " \n"), write("b.txt", "\t\u2003"))
    write("folder/empty.txt", "")
    assert "nothing but white space" in message_of("folder")


def test_a_missing_file_names_its_nearest_neighbour_or_catalogue_name():
    write("tales/novel.txt", "text")
    assert message_of("tales/novle.txt") == "tales/novle.txt does not exist. Did you mean tales/novel.txt?"
    assert "Did you mean" not in message_of("tales/三国.txt")  # an ending is all that it has in common
    assert message_of("chronicle") == "chronicle does not exist. Did you mean chronicles?"
    assert "Give a file, a folder, '-' for stdin" in message_of("nowhere/near/xyzzy")
    assert message_of("").startswith("'' does not exist.")
    assert message_of("two\nlines").startswith(r"'two\nlines' does not exist.")


def test_a_folder_without_text_files_is_refused():
    write("pictures/cat.png", b"\x89PNG\r\n\x1a\n")
    assert message_of("pictures") == (
        "pictures holds nothing to read; left out: cat.png. Name the files to read instead."
    )


def test_a_corpus_that_is_not_fetched_yet_says_how_to_fetch_it():
    assert message_of("names") == "names is not on this machine yet. Run: textgen corpora fetch names"


def test_what_is_no_file_on_a_disk_is_refused_without_being_opened():
    """The environment of a process is a regular file by its mode."""
    os.mkfifo("pipe.txt")
    os.symlink("/proc/self/environ", "link.txt")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("socket.txt")
    paths = ("pipe.txt", "socket.txt", "/dev/zero", "/proc/self/environ", "link.txt", "/sys/kernel/notes")
    for path in filter(os.path.exists, paths):
        assert message_of(path) == f"{path} is not a regular file. Pipe its text into stdin and give '-' instead."


def test_a_file_name_that_is_not_unicode_is_refused():
    path = os.fsdecode(b"caf\xe9.txt")
    try:
        Path(path).write_text("text")
    except OSError:
        pytest.skip("this file system has Unicode names only")
    assert message_of(path) == r"The name of 'caf\udce9.txt' is not valid Unicode. Rename it."


def test_files_that_the_system_does_not_let_us_read_are_named_with_its_reason(folder):
    write("secret.txt", "text")
    write("closed/in.txt", "text")
    os.chmod("secret.txt", 0)
    os.chmod("closed", 0)
    os.chmod(folder, 0o755)
    is_root = os.geteuid() == 0
    try:
        if is_root:
            os.seteuid(65534)
        assert "secret.txt cannot be read: Permission denied." in message_of("secret.txt")
        assert "closed cannot be read: Permission denied." in message_of("closed")
        assert "closed/in.txt cannot be read: Permission denied." in message_of("closed/in.txt")
    finally:
        if is_root:
            os.seteuid(0)
        os.chmod("closed", 0o755)
    assert "File name too long" in message_of("x" * 5000)


def test_a_file_that_fails_while_it_is_read_is_named():
    class Failing(io.BytesIO):
        def read(self, size=-1):
            raise OSError(5, "Input/output error")

    assert message_of("-", stdin=Failing()).startswith("stdin cannot be read: Input/output error.")


# ---- names


def test_model_names_are_plain_folder_names():
    names = {
        "Élan vital": "Elan-vital",
        "..": "corpus",
        "-rf": "rf",
        ".txt": "txt",
        "a/b": "a-b",
        "Moby Dick - 2": "Moby-Dick---2",
        "ti\u1ebfng Vi\u1ec7t": "tieng-Viet",
        "Война и мир": "Война-и-мир",
        unicodedata.normalize("NFD", "Толстой: Ёлка"): "Толстой-Ёлка",
        "\u5317\u4eac (1)": "\u5317\u4eac-1",
        "\u0915\u0939\u093e\u0928\u0940": "\u0915\u0939\u093e\u0928\u0940",
        unicodedata.normalize("NFD", "\u304c\u304e \ud55c\uad6d"): "\u304c\u304e-\ud55c\uad6d",
        "\u0645\u06cc\u200c\u0631\u0648\u062f": "\u0645\u06cc\u0631\u0648\u062f",
        "a\u202egpj": "agpj",
        "\u0301\u3164\U0001f389": "corpus",
        "\u5317" * 99: "\u5317" * 66,
    }
    assert {name: model_name(name) for name in names} == names


@given(st.text())
def test_any_text_makes_a_valid_model_name(text):
    name = model_name(text)
    assert is_name(name)
    assert model_name(name) == name
