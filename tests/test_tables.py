"""Columns of tables: what the csv and json modules read, and where a table is wrong."""

import csv
import io
import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from textgen.config import END_OF_DOCUMENT
from textgen.corpus import tables
from textgen.corpus.decoding import Tally
from textgen.errors import CorpusError

# What comes out of the decoder: no half surrogate pairs, and no CRLF.
cells = st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from('",\t\n\r; '), max_size=12).map(
    lambda text: text.replace("\r\n", "\n")
)


def read(text: str, table_format: str, column: str = "text", size: int | None = None) -> list[str]:
    size = size or len(text) + 1
    pieces = [text[i : i + size] for i in range(0, len(text), size)]
    blocks = tables.column_documents(pieces, table_format, column, "t", Tally())
    return "".join(blocks).split(END_OF_DOCUMENT)[:-1]


def message_of(text: str, table_format: str, column: str = "text") -> str:
    with pytest.raises(CorpusError) as caught:
        read(text, table_format, column)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_quotes_newlines_inside_quotes_and_doubled_quotes_are_read_as_the_csv_module_does():
    text = 'id,text\n1,plain\n2,"one\ntwo, and ""three"""\n\n3,\n'
    tally = Tally()
    assert "".join(tables.column_documents([text], "csv", "text", "t", tally)) == (
        f'plain{END_OF_DOCUMENT}one\ntwo, and "three"{END_OF_DOCUMENT}'
    )
    assert tally.empty_documents == 1


def test_tabs_separate_the_cells_of_tsv():
    assert read('text\tid\n"a\tb"\t1\nc, d\t2', "tsv") == ["a\tb", "c, d"]


def test_objects_of_jsonl_need_not_be_alike_and_null_is_empty():
    text = '{"text": "a\\nb", "n": 1}\n\n{"text": null}\n{"text": ""}\n{"other": [2], "text": "\\u00e9"}'
    assert read(text, "jsonl") == ["a\nb", "é"]


@pytest.mark.parametrize(("table_format", "dialect"), [("csv", csv.excel), ("tsv", csv.excel_tab)])
@given(rows=st.lists(st.tuples(cells, cells, cells), max_size=6), size=st.integers(1, 40), column=st.integers(0, 2))
def test_what_the_csv_module_writes_is_read_back_wherever_it_is_cut(table_format, dialect, rows, size, column):
    file = io.StringIO(newline="")
    csv.writer(file, dialect).writerows([("a", "b", "c"), *rows])
    expected = [row[column] for row in rows if row[column]]
    assert read(file.getvalue().replace("\r\n", "\n"), table_format, "abc"[column], size) == expected


@given(st.lists(cells, max_size=6), st.booleans(), st.integers(1, 40))
def test_what_the_json_module_writes_is_read_back_wherever_it_is_cut(texts, is_ascii, size):
    lines = [json.dumps({"n": i, "text": text}, ensure_ascii=is_ascii) for i, text in enumerate(texts)]
    assert read("\n".join(lines), "jsonl", "text", size) == [text for text in texts if text]


def test_many_cells_come_in_blocks_of_bounded_size():
    text = "text\n" + "x" * 999 + "\n"
    rows = text + ("y" * 999 + "\n") * 2500
    blocks = list(tables.column_documents([rows], "csv", "text", "t", Tally()))
    assert len(blocks) == 3
    assert max(map(len, blocks)) < tables.BLOCK_CHARACTERS + 3000


# ---- what is refused


def test_a_missing_column_names_the_nearest_and_all():
    expected = "t, line 1: there is no column 'txt'. Did you mean text? There are: id, text"
    assert message_of("id,text\n1,a\n", "csv", "txt") == expected
    assert message_of('{"text": "a"}\n{"tex": "b", "id": 1}', "jsonl") == (
        "t, line 2: there is no column 'text'. Did you mean tex? There are: tex, id"
    )
    assert message_of("id;text\n1;a\n", "csv").endswith("There are: id;text")


def test_a_column_that_stands_twice_is_ambiguous():
    assert message_of("text,text\na,b\n", "csv") == "t, line 1: there are 2 columns 'text'"


def test_a_row_that_is_shorter_or_longer_than_the_header_is_named_by_its_first_line():
    text = 'id,text\n1,"a\nb"\n2\n'
    assert message_of(text, "csv") == "t, line 4: 1 cell in a row where the header has 2"
    text = 'id,text\n1,"a\nb"\n2,"c\nd",e\n'
    assert message_of(text, "csv") == "t, line 4: 3 cells in a row where the header has 2"


def test_a_quote_that_is_never_closed_does_not_swallow_the_rest_in_silence():
    text = 'id,text\n1,a\n2,"b\n3,c\n4,d\n'
    assert message_of(text, "csv") == 't, line 3: a quote (") is opened and never closed'


def test_a_cell_beyond_the_limit_is_named_by_its_first_line(monkeypatch):
    monkeypatch.setattr(tables, "LONGEST_CELL", 10)
    previous = csv.field_size_limit(10)
    try:
        message = message_of('id,text\n1,a\n2,"bcde\nfghi\njklm"\n', "csv")
    finally:
        csv.field_size_limit(previous)
    assert message == 't, line 3: field larger than field limit (10). Is a quote (") never closed?'


def test_an_article_fits_into_a_cell():
    article = "word " * 100_000
    assert read(f'text\n"{article}"\n', "csv") == [article]


def test_a_line_without_end_is_refused_before_it_fills_memory(monkeypatch):
    monkeypatch.setattr(tables, "LONGEST_LINE", 100)
    pieces = ('{"text": "a"}\n', *["x" * 10] * 1000)
    taken = []
    stream = (taken.append(piece) or piece for piece in pieces)
    with pytest.raises(CorpusError, match="t, line 2: it is longer than 100 characters"):
        list(tables.column_documents(stream, "jsonl", "text", "t", Tally()))
    assert len(taken) < 20


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ('{"text": "a"', "it is not JSON: .* at column 13"),
        ("[1, 2]", r"every line must be an object. Received: \[1, 2\]"),
        ('{"text": 7}', "'text' must be text. Received: int 7"),
        ('{"text": ["a"]}', r"'text' must be text. Received: list \['a'\]"),
        ('{"text": "\\ud800"}', "'text' holds half of a surrogate pair"),
        ('{"text": "\\udc00"}', "'text' holds half of a surrogate pair"),
        ('{"text": ' + "9" * 5000 + "}", "it is not JSON that Python reads"),
        ("[" * 100_000, "it is not JSON that Python reads"),
    ],
    ids=lambda value: value[:20],
)
def test_a_line_of_jsonl_that_is_wrong_is_named(line, problem):
    message = message_of('{"text": "fine"}\n\n' + line + "\n", "jsonl")
    assert re.fullmatch(f"t, line 3: {problem}.*", message), message


def test_the_end_of_a_document_can_be_written_as_a_pair_only():
    """A whole surrogate pair in JSON is one character, and its half of a pair is no END_OF_DOCUMENT."""
    assert read('{"text": "\\ud83d\\udc00"}', "jsonl") == ["\U0001f400"]
