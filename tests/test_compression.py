"""Files that are compressed by Zstandard: read as if they were not, in bounded memory, or named in one line."""

import gzip
import os
import sys
import tracemalloc
from pathlib import Path

import pytest
from click.testing import CliRunner

from textgen.cli import cli
from textgen.config import END_OF_DOCUMENT, TextConfig
from textgen.corpus import compression, open_corpus
from textgen.errors import CorpusError
from textgen.generation.prompts import read_prompt

TEXT = "Ann and Bob\nand Cid\n"
SKIPPED = b"\x50\x2a\x4d\x18\x04\0\0\0abcd"  # a frame that holds no data


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def zstd():
    return pytest.importorskip("backports.zstd")


def text_of(*sources: str, **settings) -> str:
    return "".join(open_corpus(sources, TextConfig(**settings)).blocks())


def message_of(*sources: str, **settings) -> str:
    with pytest.raises(CorpusError) as caught:
        text_of(*sources, **settings)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_what_is_compressed_is_read_whatever_it_is_called(zstd):
    packed = zstd.compress(TEXT.encode())
    for name in ("a.txt.zst", "a.TXT.ZST", "a.txt", "a", "a.txt.gz"):
        Path(name).write_bytes(packed)
        assert text_of(name) == TEXT, name
    Path("b.txt.zst").write_bytes(gzip.compress(TEXT.encode()))
    assert text_of("b.txt.zst") == TEXT
    assert open_corpus(["a.txt.zst"], TextConfig()).name == "a"
    Path("c.txt.zst").write_bytes(SKIPPED + packed + SKIPPED + packed)  # as pzstd writes them
    assert text_of("c.txt.zst") == TEXT + TEXT


def test_rows_folders_and_prompts_are_read_too(zstd):
    Path("mine").mkdir()
    Path("mine/a.jsonl.zst").write_bytes(zstd.compress(b'{"text": "one"}\n{"text": "two"}\n'))
    Path("mine/b.txt.zst").write_bytes(zstd.compress(b"three"))
    Path("mine/c.zst").write_bytes(zstd.compress(b"four"))
    Path("mine/d.zst").write_bytes(zstd.compress(bytes(range(256))))
    assert text_of("mine", column="text") == f"one{END_OF_DOCUMENT}two{END_OF_DOCUMENT}"
    assert text_of("mine") == "three\nfour"
    left_out = "left out of mine: a.jsonl.zst, d.zst; --column NAME reads tables"
    assert open_corpus(["mine"], TextConfig()).left_out == (left_out,)
    Path("long.zst").write_bytes(zstd.compress(TEXT.encode() * 100))
    result = CliRunner().invoke(cli, ["inspect", "long.zst", "--json"])
    assert result.exit_code == 0, result.output
    assert read_prompt(Path("mine/b.txt.zst"), 1000) == "three"


def test_what_is_damaged_or_cut_is_named_in_one_line(zstd):
    draw = os.urandom(3000).hex().encode()
    whole = zstd.compress(draw, options={zstd.CompressionParameter.checksum_flag: 1})
    for length in (3, 5, 20, len(whole) // 2, len(whole) - 1):
        Path("cut.txt.zst").write_bytes(whole[:length])
        assert message_of("cut.txt.zst").startswith("cut.txt.zst is cut: its compressed data end too early."), length
    changed = bytearray(whole)
    changed[-2] ^= 1  # the checksum
    for content in (changed, whole + b"and more"):
        Path("bad.txt.zst").write_bytes(content)
        assert message_of("bad.txt.zst").startswith("bad.txt.zst is damaged: Unable to decompress Zstandard data")
    Path("bad.txt.zst").write_bytes(b"plain text")
    assert message_of("bad.txt.zst") == (
        "bad.txt.zst is not compressed by Zstandard, whatever its name says. Take .zst off its name."
    )
    Path("empty.txt.zst").write_bytes(b"")
    assert message_of("empty.txt.zst") == "empty.txt.zst is empty. Give a file that holds text."


def test_memory_is_bounded_however_much_a_file_unpacks_to(zstd):
    """A hundred megabytes in ten kilobytes, and a window of a gigabyte."""
    Path("bomb.txt.zst").write_bytes(zstd.compress(b"a" * 100_000_000))
    assert os.path.getsize("bomb.txt.zst") < 20_000
    tracemalloc.start()
    assert sum(map(len, open_corpus(["bomb.txt.zst"], TextConfig()).blocks())) == 100_000_000
    assert tracemalloc.get_traced_memory()[1] < 20_000_000
    tracemalloc.stop()
    wide = zstd.ZstdCompressor(options={zstd.CompressionParameter.window_log: 30})
    Path("wide.txt.zst").write_bytes(wide.compress(b"a" * 100) + wide.flush())
    assert message_of("wide.txt.zst").startswith("wide.txt.zst is damaged: ")
    assert "Frame requires too much memory" in message_of("wide.txt.zst")


def test_where_the_library_is_missing_one_line_says_how_to_have_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "backports", None)
    monkeypatch.setitem(sys.modules, "backports.zstd", None)
    Path("a.zst").write_bytes(compression.ZSTD_MAGIC + b"whatever it is")
    assert message_of("a.zst") == "a.zst is compressed by Zstandard. To read it: pip install 'textgen[zstd]'"
    monkeypatch.setattr(compression.importlib.util, "find_spec", lambda name: None)
    Path("mine").mkdir()
    Path("mine/a.txt.zst").write_bytes(b"")
    Path("mine/b.txt").write_text("text")
    reader = open_corpus(["mine"], TextConfig())
    assert "".join(reader.blocks()) == "text"
    assert reader.left_out == ("left out of mine: a.txt.zst; pip install 'textgen[zstd]' reads .zst",)
