"""Columns of Parquet and Arrow tables: what comes out of them, and how what is wrong with one is said."""

import contextlib
import io
import struct
from pathlib import Path

import pytest

from textgen.config import END_OF_DOCUMENT, TextConfig
from textgen.corpus import columnar, open_corpus
from textgen.errors import CorpusError

ROWS = [
    {"text": "one\r\ntwo", "n": 1, "f": 0.1, "is": True, "a": {"b": "x", "c": {"d": 7}}, "l": [1]},
    {"text": None, "n": None, "f": float("nan"), "is": None, "a": None, "l": None},
    {"text": "ü", "n": 2**60, "f": 2.0, "is": False, "a": {"b": None, "c": None}, "l": []},
]
FORMS = ("parquet", "file", "stream")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def table_of(rows: list[dict] | None = None):
    return pytest.importorskip("pyarrow").Table.from_pylist(ROWS if rows is None else rows)


def write(table, form: str = "parquet", path: str = "t.parquet") -> str:
    import pyarrow.parquet

    if form == "parquet":
        pyarrow.parquet.write_table(table, path, row_group_size=2, data_page_size=64)
        return path
    with (pyarrow.ipc.new_file if form == "file" else pyarrow.ipc.new_stream)(path, table.schema) as writer:
        writer.write_table(table, max_chunksize=2)
    return path


def documents(*sources: str, column: str = "text", **settings) -> list[str]:
    stdin = settings.pop("stdin", None)
    *found, rest = "".join(open_corpus(sources, TextConfig(column=column, **settings), stdin=stdin).blocks()).split(
        END_OF_DOCUMENT
    )
    assert rest == ""
    return found


def message_of(*sources: str, **settings) -> str:
    with pytest.raises(CorpusError) as caught:
        documents(*sources, **settings)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("column", "expected"),
    [
        ("text", ["one\ntwo", "ü"]),
        ("n", ["1", str(2**60)]),
        ("f", ["0.1", "2.0"]),
        ("is", ["true", "false"]),
        ("a.b", ["x"]),
        ("a.c.d", ["7"]),
        ("text, n,a.b", ["one\ntwo\n\n1\n\nx", f"ü\n\n{2**60}"]),
    ],
)
def test_cells_are_documents(form, column, expected):
    for path in (write(table_of(), form), write(table_of(), form, "t.csv"), write(table_of(), form, "t.arrow")):
        assert documents(path, column=column) == expected
    assert documents("-", column=column, stdin=io.BytesIO(Path(path).read_bytes())) == expected


def test_other_types_become_text_or_are_bad_rows():
    pa = pytest.importorskip("pyarrow")
    columns = {
        "dict": (pa.array(["x", None, "x"]).dictionary_encode(), ["x", "x"]),
        "f4": (pa.array([0.1, 3, None], pa.float32()), ["0.1", "3.0"]),
        "day": (pa.array([0, None, 1], pa.date32()), ["1970-01-01", "1970-01-02"]),
        "dec": (pa.array([1, 2, None], pa.decimal128(5, 2)), ["1.00", "2.00"]),
        "large": (pa.array(["a", "", "b"], pa.large_string()), ["a", "b"]),
        "bytes": (pa.array([b"a", b"\xff", b"c"]), ["a", "c"]),
        "dotted.name": (pa.array(["1", "2", "3"]), ["1", "2", "3"]),
    }
    table = pa.table({name: array for name, (array, _) in columns.items()})
    for form in FORMS:
        path = write(table, form)
        for name, (_, expected) in columns.items():
            assert documents(path, column=name, bad_rows="skip") == expected, (form, name)
    assert message_of(path, column="bytes") == (
        "t.parquet, row 2: is not UTF-8: byte 0xFF at offset 0 of the cell. --bad-rows skip leaves such rows out."
    )


@pytest.mark.parametrize("form", FORMS)
def test_what_is_wrong_is_said_in_one_line(form):
    path = write(table_of(), form)
    assert message_of(path, column="txt") == (
        "t.parquet: there is no column 'txt'. Did you mean text? There are: text, n, f, is, a.b, a.c, l"
    )
    assert message_of(path, column="l").startswith("t.parquet, row 1: must be text, a number, true or false. Received:")
    assert message_of(path, column="a").startswith("t.parquet, row 1: must be text, a number, true or false. Received:")
    with pytest.raises(CorpusError, match=r"^t.parquet is an? (Parquet|Arrow) table, not plain text. Give it with"):
        list(open_corpus([path], TextConfig()).blocks())
    whole = Path(path).read_bytes()
    for length in (20, len(whole) // 3, len(whole) // 2):
        Path(path).write_bytes(whole[:length])
        assert message_of(path).startswith("t.parquet is damaged, or is not read: "), length
    for content, expected in ((b"", "t.parquet is empty."), (b"plain text", "t.parquet is no table of Parquet")):
        Path(path).write_bytes(content)
        assert message_of(path).startswith(expected)


@pytest.mark.parametrize("form", FORMS)
def test_changed_bytes_are_read_or_refused_in_one_line(form):
    path = write(table_of(ROWS * 20), form)
    whole = Path(path).read_bytes()
    for place in range(8, len(whole), max(1, len(whole) // 60)):
        changed = bytearray(whole)
        changed[place] ^= 0xFF
        Path(path).write_bytes(changed)
        with contextlib.suppress(CorpusError):
            documents(path)


@pytest.mark.parametrize("kind", ["string", "large_string", "dictionary"])
@pytest.mark.parametrize("form", ["file", "stream"])
def test_a_cell_that_lies_outside_of_the_data_is_damage(form, kind):
    """pyarrow reads whatever is in memory there, and may end the process."""
    pa = pytest.importorskip("pyarrow")
    cells = pa.array(["first", "other", "third"], pa.string() if kind == "dictionary" else getattr(pa, kind)())
    size = "q" if kind == "large_string" else "i"
    whole, changed = (struct.pack(f"<3{size}", 0, 5, end) for end in (10, 21))  # of the first two rows
    if kind == "dictionary":
        cells = pa.DictionaryArray.from_arrays(pa.array([2, 1, 2], pa.int32()), cells)
        whole, changed = struct.pack("<2i", 2, 1), struct.pack("<2i", 2, 3)
    path = Path(write(pa.Table.from_batches([pa.record_batch({"text": cells})]), form))
    assert documents(str(path))[1] == "other"
    path.write_bytes(path.read_bytes().replace(whole, changed))
    assert message_of(str(path)).startswith("t.parquet is damaged, or is not read: ")


def test_a_name_that_is_no_utf_8_is_damage():
    path = Path(write(table_of(), "file"))
    path.write_bytes(path.read_bytes().replace(b"text", b"te\xfft"))
    assert message_of(str(path)).startswith("t.parquet is damaged, or is not read: ")


def test_a_column_has_a_number_too_and_two_of_a_name_are_refused():
    pa = pytest.importorskip("pyarrow")
    path = write(table_of())
    assert documents(path, column="1") == documents(path, column="text")
    assert documents(path, column="2,1") == documents(path, column="n,text")
    for number in ("0", "7"):
        assert message_of(path, column=number).startswith(f"t.parquet: there is no column '{number}'. There are: text")
    path = write(pa.table([["a"], ["b"]], names=["text", "text"]))
    assert message_of(path) == "t.parquet: there are 2 columns 'text'"


def test_bad_rows_that_are_left_out_are_named_where_nothing_else_is_there():
    path = write(table_of())
    assert message_of(path, column="l", bad_rows="skip").endswith(
        "t.parquet: the column 'l' holds nothing but white space, and 2 bad rows left out (first: t.parquet, row 1: "
        "must be text, a number, true or false. Received: a list). Name another one."
    )


def test_a_table_that_is_larger_than_memory_may_be_is_read_in_parts(monkeypatch):
    pa = pytest.importorskip("pyarrow")
    text = "a line of text, again and again. " * 300
    path = write(pa.table({"text": [f"{number} {text}" for number in range(3000)], "id": range(3000)}))
    import pyarrow.parquet

    pyarrow.parquet.write_table(pyarrow.parquet.read_table(path), path, row_group_size=3000, compression="zstd")
    assert Path(path).stat().st_size < 1_000_000
    before = pa.total_allocated_bytes()
    most = 0
    for block in open_corpus([path], TextConfig(column="text")).blocks():
        most = max(most, pa.total_allocated_bytes() - before)
        assert len(block) < 3_000_000
    assert most < 12_000_000  # of 30


def test_of_a_folder_tables_of_all_kinds_are_read():
    Path("mine").mkdir()
    write(table_of(), path="mine/a.parquet")
    write(table_of(), "file", path="mine/b.feather")
    Path("mine/c.csv").write_text("text,id\nthree,3\n")
    Path("mine/d.txt").write_text("four")
    assert documents("mine") == ["one\ntwo", "ü", "one\ntwo", "ü", "three"]
    reader = open_corpus(["mine"], TextConfig())
    assert "".join(reader.blocks()) == "four"
    assert reader.left_out == ("left out of mine: a.parquet, b.feather, c.csv; --column NAME reads tables",)


def test_where_the_library_is_missing_one_line_says_how_to_have_it(monkeypatch):
    monkeypatch.setattr(columnar, "is_installed", lambda: False)
    Path("mine").mkdir()
    Path("mine/t.parquet").write_bytes(b"PAR1\x15\x04" + bytes(60))
    Path("mine/t.csv").write_text("text,id\nthree,3\n")
    assert message_of("mine/t.parquet") == (
        "mine/t.parquet is a table of Parquet or Arrow. To read it: pip install 'textgen[parquet]'"
    )
    assert documents("mine") == ["three"]
    left_out = "left out of mine: t.parquet; pip install 'textgen[parquet]' reads .parquet"
    assert open_corpus(["mine"], TextConfig(column="text")).left_out == (left_out,)
