"""Columns of tables: what the csv and json modules read, and where a table is wrong."""

import csv
import io
import json
import random
import re

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from textgen.config import END_OF_DOCUMENT
from textgen.corpus import delimited, rows, tables
from textgen.corpus.decoding import Tally
from textgen.corpus.rows import Rows
from textgen.corpus.spans import RowSpans
from textgen.errors import CorpusError

# What comes out of the decoder: no half surrogate pairs, and no CRLF.
cells = st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from('",\t\n\r; '), max_size=12).map(
    lambda text: text.replace("\r\n", "\n")
)


def read(
    text: str, table_format: str, column: str = "text", size: int | None = None, bad_rows: str = "error"
) -> tuple[list[str], Tally]:
    """The documents, and what was met on the way, of a text that comes in pieces of that size."""
    size, tally = size or len(text) + 1, Tally()
    pieces = [text[i : i + size] for i in range(0, len(text), size)]
    blocks = tables.column_documents(pieces, table_format, column, Rows("t", bad_rows, tally))
    return "".join(blocks).split(END_OF_DOCUMENT)[:-1], tally


def documents(*arguments, **others) -> list[str]:
    return read(*arguments, **others)[0]


def message_of(text: str, table_format: str, column: str = "text") -> str:
    with pytest.raises(CorpusError) as caught:
        read(text, table_format, column)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# What is read (format, text), which column, the documents, and parts of the notes on them, with the number of each.
TSV = "id\ttext\n"
LONE = "read as it stands"
READ = {
    # quotes in TSV
    "lone quotes": ("tsv", TSV + '1\t"Open\n2\tb\n3\tc\n4\t"again\n5\te\n', "text", '"Open|b|c|"again|e', {LONE: 2}),
    "a lone quote and one at an end": ("tsv", TSV + '1\t"Open\n2\tb\n3\tc"\n4\td', "text", '"Open|b|c"|d', {LONE: 1}),
    "a lone quote at the end": ("tsv", TSV + '1\ta\n2\t"', "text", 'a|"', {LONE: 1}),
    "a quoted word": ("tsv", TSV + '1\t"Weird Al" Yankovic\n2\tb', "text", '"Weird Al" Yankovic|b', {LONE: 1}),
    "tabs, line ends and quotes in quotes": (
        "tsv",
        TSV + '1\t"a\tb"\n2\t"one\ntwo"\n3\t"with ""q"""\n4\t"x\ny\tz"\n5\t5" disk\n',
        "text",
        'a\tb|one\ntwo|with "q"|x\ny\tz|5" disk',
        {"a line end inside": 1, "looks like other rows": 1, "with a tab inside quotes": 1},
    ),
    "every cell is quoted": ("tsv", '"id"\t"text"\n"1"\t"a\nb\tc"\n', "text", "a\nb\tc", {"looks like other rows": 1}),
    "lone and good quotes": (
        "tsv",
        TSV + '1\t"Open\n2\t"a\tb"\n3\t"one\ntwo"\n4\t"two\n5\trows"\n',
        "text",
        '"Open|a\tb|one\ntwo|"two|rows"',
        {LONE: 2, "a line end inside": 1, "with a tab inside quotes": 1},
    ),
    # quotes in CSV
    "CSV": (
        "csv",
        'id,text\n1,plain\n2,"one\ntwo, and ""three"""\n\n3,\n',
        "text",
        'plain|one\ntwo, and "three"',
        {"a line end inside": 1},
    ),
    "text behind a quoted cell": ("csv", 'id,text\n1,"a, b" and "c"\n2,5" disk\n', "text", 'a, b and "c"|5" disk', {}),
    "what looks like rows": (
        "csv",
        'id,text\n1,"open\n2,b\n3,c"\n4,d\n',
        "text",
        "open\n2,b\n3,c|d",
        {"looks like other rows inside its quotes: is a quote never closed?": 1},
    ),
    "escaped quotes": (
        "csv",
        'id,text\n1,"a \\"hi\\", b"\n2,"a ""doubled"" q"\n3,"c \\"d\\"\ne"\n4,"C:\\\\"\n',
        "text",
        'a "hi", b|a "doubled" q|c "d"\ne|C:\\\\',
        {"escaped by backslashes": 1, "a line end inside": 1},
    ),
    # dialects
    "semicolons": ("csv", "id;text\n1;Hello, world\n2;b, c\n", "text", "Hello, world|b, c", {"parted by ';'": 1}),
    "semicolons and quotes": (
        "csv",
        '"id";"text"\n"1";"a; ""b"""\n',
        "text",
        'a; "b"',
        {"parted by ';'": 1, "with ';' inside quotes": 1},
    ),
    "a rare delimiter in quotes": (
        "csv",
        'sep=^\nid^text\n1^a\n2^"b^c"\n',
        "text",
        "a|b^c",
        {"parted by '^'": 1, "with '^' inside quotes": 1},
    ),
    "a usual comma in quotes": (
        "csv",
        'id,text\n1,a\n2,"b, c"\n' + "3,d\n" * 90,
        "text",
        "a|b, c" + "|d" * 90,
        {"with a comma inside quotes": 1},
    ),
    "a rare comma in quotes": (
        "csv",
        'id,text\n1,a\n2,"b, c"\n' + "3,d\n" * 200,
        "text",
        "a|b, c" + "|d" * 200,
        {"a comma inside quotes, as hardly": 1},
    ),
    "many rare commas in quotes": (
        "csv",
        "id,text\n" + ('1,"a, b"\n' + "2,c\n" * 200) * 21,
        "text",
        "a, b" + "|c" * 200 + ("|a, b" + "|c" * 200) * 20,
        {"with a comma inside quotes in more than 20 rows": 1},
    ),
    "bars": ("csv", "id|text\n1|a, b; c\n", "text", "a, b; c", {"parted by '|'": 1}),
    "tabs in .csv": ("csv", TSV + "1\ta, b\n", "text", "a, b", {"parted by a tab": 1}),
    "commas in .tsv": ("tsv", "id,text\n1,a\n", "text", "a", {"parted by a comma": 1}),
    "a first line with the delimiter": ("csv", "sep=;\nid;text\n1;a, b\n", "text", "a, b", {"parted by ';'": 1}),
    "a header over several lines": ("csv", '"a\nb; c",text\n1,"d\ne"\n', "text", "d\ne", {"a line end inside": 1}),
    "a column whose name has several lines": (
        "csv",
        'id;"a\n\nb"\n1;c\n',
        "2",
        "c",
        {"parted by ';'": 1, r"calls the wanted column 'a\n\nb'": 1},
    ),
    "spaces around names": ("csv", " id , text \n1,a\n", "text", "a", {"spaces around the names": 1}),
    "spaces and quotes around names": (
        "csv",
        'id, "text"\n1,"a, b"\n',
        "text",
        "a, b",
        {"spaces around the names": 1, "a comma inside quotes": 1},
    ),
    "spaces behind delimiters": (
        "csv",
        'id, text\n1, "a, b"\n2, c\n',
        "text",
        "a, b|c",
        {"a space behind": 1, "a comma inside quotes": 1},
    ),
    "spaces everywhere": (
        "csv",
        "id | text | n\n1 | a | 1\n",
        "text",
        "a",
        {"parted by '|'": 1, "behind": 1, "around": 1},
    ),
    "one column": ("csv", "text\nHello, world\nb\n", "text", "Hello, world|b", {}),
    "blank lines first": ("csv", "\n \nid,text\n\n1,a\n", "text", "a", {}),
    "missing cells of a database": ("tsv", "id\ttext\n1\t\\N\n2\ta\n", "text", "a", {}),
    "JSON in a cell": ("csv", '{"a": 1},Hello there\n{"a": 2},b\n', "2", "Hello there|b", {"without a header": 1}),
    "brackets in a cell": ("csv", "[Chorus],a\n[Verse],b\n", "2", "a|b", {"without a header": 1}),
    "JSON in .csv": ("csv", ' [{"text": "a"}]', "text", "a", {"read as JSON": 1}),
    # columns by number
    "no header": ("csv", "1,Hello there\n2,b\n", "2", "Hello there|b", {"without a header": 1}),
    "no header, texts": ("csv", "Ann,Hi, all of you\nBo,Is it, really?\n", "1", "Ann|Bo", {"without a header": 1}),
    "no header, semicolons": ("csv", "1;Hello, there\n2;b\n", "2", "Hello, there|b", {"without a header": 1, "';'": 1}),
    "no header, numbers": ("csv", "2,Hello\n3,Bye\n", "2", "Hello|Bye", {"without a header": 1}),
    "a header": ("csv", "id,text\n1,Hello there\n", "2", "Hello there", {"calls the wanted column 'text'": 1}),
    "a header of texts": ("csv", "name,said\nAnn,Woof! she said\n", "2", "Woof! she said", {"calls the wanted": 1}),
    "a name that is a number": ("csv", ",0\n0,Hello\n1,b\n", "0", "Hello|b", {}),
    # several columns
    "two columns": ("csv", "title,body\nA,b\n,c\nD,\n,\n", "title,body", "A\n\nb|c|D", {}),
    "in their order": ("csv", "title,body,x\nA,b,1\n", "x, title", "1\n\nA", {}),
    "a name with a comma": ("csv", '"title,body",title,body\nA,b,c\n', "title,body", "A", {}),
    "a name with a comma and another": ("csv", '"a,b",c\nA,d\n', "a,b,c", "A\n\nd", {}),
    "numbers": ("csv", "1,Ann,a\n2,Bo,b\n", "2,3", "Ann\n\na|Bo\n\nb", {"without a header": 1}),
    # JSON
    "JSON Lines": (
        "ndjson",
        '{"text": "a\\nb"}\n\n{"text": null}\n{"o": [2], "text": "\\u00e9"}',
        "text",
        "a\nb|é",
        {},
    ),
    "a list": ("json", '[{"text": "a"},\n {"o": [1], "text": "b"}, {"text": ""}]\n', "text", "a|b", {}),
    "a list over many lines": (
        "json",
        '[\n  {\n    "text": "a"\n  },\n  {\n    "text": "b"\n  }\n]',
        "text",
        "a|b",
        {},
    ),
    "objects over many lines": ("json", '{\n  "text": "a"\n}\n{\n  "text": "b"\n}\n', "text", "a|b", {}),
    "lines in .json": ("json", '{"text": "a"}\n{"text": "b"}\n', "text", "a|b", {}),
    "a list in .jsonl": ("jsonl", '[{"text": "a"}, {"text": "b"}]', "text", "a|b", {}),
    "what is no string": (
        "jsonl",
        '{"text": 7}\n{"text": 1.50}\n{"text": true}\n{"text": -1e5}\n{"text": NaN}\n{"text": ' + "9" * 5000 + "}",
        "text",
        "7|1.50|true|-1e5|" + "9" * 5000,
        {},
    ),
    "nested": ("jsonl", '{"a": {"b": {"c": "x"}}}\n{"a": {"b.c": "y"}}\n{"a": 1}\n', "a.b.c", "x|y", {}),
    "a key with a dot": ("jsonl", '{"a.b": "x", "a": {"b": "y"}}\n{"a": {"b": "z"}}\n', "a.b", "x|z", {}),
    "several keys": ("jsonl", '{"t": "A", "b": {"c": 1}}\n{"t": "D"}\n{"t,b.c": "e"}', "t,b.c", "A\n\n1|D|e", {}),
}
EMPTY = {
    "CSV": 1,
    "missing cells of a database": 1,
    "two columns": 1,
    "JSON Lines": 1,
    "a list": 1,
    "what is no string": 1,
    "nested": 1,
}


@pytest.mark.parametrize("case", READ)
def test_tables_are_read_as_they_were_written_wherever_they_are_cut(case):
    table_format, text, column, expected, notes = READ[case]
    for size in (None, 1, 7):
        found, tally = read(text, table_format, column, size)
        assert found == expected.split("|")
        assert tally.empty_documents == EMPTY.get(case, 0)
        for part, number in notes.items():
            assert [count for (_, what), (count, _) in tally.met.items() if part in what] == [number]
        assert len(tally.met) == len(notes), tally.met


# ---- bad rows

CUT = '[{"text": "a"}, {"text": "b"}, {"te'
BAD = {
    "cells": ("csv", "id,text\n1\n2,b\n3,c,d\n4,e\n", "b|e", 2, "line 2: 1 cell in a row where the header has 2"),
    "an open quote": (
        "csv",
        'id,text\n1,"Open\n2,b\n3,c\n4,"again\n5,e\n',
        "b|c|e",
        2,
        'line 2: a quote (") is opened and never closed',
    ),
    "an open quote at the end": ("csv", 'id,text\n1,a\n2,"b\n', "a", 1, "line 3: a quote"),
    "a long row": ("csv", 'id,text\n1,"a\nb",c\n2,d\n', "d", 1, "line 2: 3 cells in a row"),
    "cells of TSV": ("tsv", TSV + '1\t"a\n2\n3\tb\n4\tc\td\n', '"a|b', 2, "line 3: 1 cell in a row"),
    "lines": (
        "jsonl",
        '{"text": "a"}\nno\n[1]\n"x"\n{"text": ["b"]}\n{"text": {"c": 1}}\n{"text": "\\ud800"}\n{"text": "d"}',
        "a|d",
        6,
        "line 2: it is not JSON: Expecting value at column 1",
    ),
    "the first line": ("jsonl", '{"text": "a"\n{"text": "b"}\n', "b", 1, "line 1: it is not JSON"),
    "in a list": ("json", '[{"text": "a"},\n3, {"text": [1]},\n{"text": "b"}]', "a|b", 2, "line 2: every row must be"),
    "what is not JSON in a list": (
        "json",
        '[{"text": "a"}, {"text": x}, {"text": "b"}]',
        "a|b",
        1,
        "line 1: it is not JSON",
    ),
    "what is not JSON over many lines": (
        "json",
        '[\n  {\n    "text": "a",\n    "o": {}\n  },\n  {\n    "text": "b" "c",\n    "o": [\n      {\n      }\n    ]\n'
        '  },\n  {\n    "text": "d"\n  }\n]',
        "a|d",
        1,
        "line 6: it is not JSON: Expecting ',' delimiter in line 7",
    ),
    "a list that is cut": ("json", CUT, "a|b", 1, "line 1: it is not JSON: Unterminated string"),
    "a list that is cut behind a row": ("json", CUT[:-6], "a|b", 1, "line 1: the list of rows is never closed"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_row_costs_that_row_or_ends_the_reading_in_one_line(case):
    table_format, text, expected, number, problem = BAD[case]
    for size in (None, 1, 7):
        found, tally = read(text, table_format, size=size, bad_rows="skip")
        assert found == expected.split("|")
        count, first = tally.met["bad row", "left out"]
        assert (count, first.startswith(f"t, {problem}")) == (number, True), (count, first)
    message = message_of(text, table_format)
    assert message.startswith(f"t, {problem}")
    assert message.endswith(" --bad-rows skip leaves such rows out.")


@given(
    st.lists(st.sampled_from([*'",;|\\\n\t12 ', '""', '\\"', "a", "text", "id,text\n", "id\ttext\n"]), max_size=16),
    st.lists(
        st.sampled_from([*'{}[],:"\n\\-1', '{"text": "x"}', '"text"', '{"text": {"a": 1}},', "true", "\n  "]),
        max_size=16,
    ),
    st.integers(1, 9),
    st.sampled_from(["text", "1", "id,text", "text.a"]),
    st.sampled_from(["error", "skip"]),
)
def test_whatever_a_table_holds_it_is_read_alike_wherever_it_is_cut(marks, symbols, size, column, bad_rows):
    def outcome(text: str, table_format: str, size: int | None) -> object:
        try:
            return read(text, table_format, column, size, bad_rows)
        except CorpusError as error:
            return str(error)

    for text, formats in (("".join(marks), ("csv", "tsv")), ("".join(symbols), ("json", "jsonl", "csv"))):
        for table_format in formats:
            assert outcome(text, table_format, size) == outcome(text, table_format, None)


def test_a_table_without_a_good_row_is_refused():
    with pytest.raises(CorpusError, match=r"^No row can be read. t, line 2: 1 cell in a row"):
        read("id,text\n1\n2\n", "csv", bad_rows="skip")


def test_a_list_is_read_row_by_row():
    taken = []
    row = json.dumps({"text": "x" * 1000})
    stream = (taken.append(1) or piece for piece in ["[", *[f"{row},\n"] * 5000, row, "]"])
    blocks = tables.column_documents(stream, "json", "text", Rows("t", "error", Tally()))
    next(blocks)
    assert len(taken) < 1200
    assert sum(block.count(END_OF_DOCUMENT) for block in blocks) == 5001 - tables.BLOCK_CHARACTERS // 1000 - 1


def test_a_lone_quote_in_every_row_does_not_take_the_square_of_the_rows():
    for table_format, delimiter in (("tsv", "\t"), ("csv", ",")):
        text = f"id{delimiter}text\n" + "".join(f'{i}{delimiter}"a ""\n' for i in range(5000)) + f"1{delimiter}b\n"
        found, tally = read(text, table_format, bad_rows="skip")
        assert len(found) in (1, 5001)
        assert sum(number for number, _ in tally.met.values()) == 5000


# ---- what the csv and json modules write


def unified(text: str) -> str:
    """As it leaves a table: with LF line ends."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


@pytest.mark.parametrize(("table_format", "dialect"), [("csv", csv.excel), ("tsv", csv.excel_tab)])
@given(rows=st.lists(st.tuples(cells, cells, cells), max_size=6), size=st.integers(1, 40), column=st.integers(0, 2))
def test_what_the_csv_module_writes_is_read_back_wherever_it_is_cut(table_format, dialect, rows, size, column):
    written = []
    for row in [("a", "b", "c"), *rows]:
        file = io.StringIO(newline="")
        csv.writer(file, dialect).writerow(row)
        written.append(file.getvalue().replace("\r\n", "\n"))
        # The lines of such a row cannot be told from rows with lone quotes.
        lines = io.StringIO(written[-1], newline="").readlines()
        assume(table_format == "csv" or len(lines) == 1 or {line.count("\t") for line in lines} != {2})
    expected = [unified(row[column]) for row in rows if row[column]]
    assert documents("".join(written), table_format, "abc"[column], size) == expected


@given(st.lists(cells, max_size=6), st.booleans(), st.integers(1, 40), st.sampled_from([None, 0, 2]))
def test_what_the_json_module_writes_is_read_back_wherever_it_is_cut(texts, is_ascii, size, indent):
    rows = [{"n": i, "text": text} for i, text in enumerate(texts)]
    lines = "\n".join(json.dumps(row, ensure_ascii=is_ascii) for row in rows)
    listed = json.dumps(rows, ensure_ascii=is_ascii, indent=indent)
    for text, table_format in ((lines, "jsonl"), (listed, "json")):
        assert documents(text, table_format, size=size) == [unified(text) for text in texts if text]


def test_many_cells_come_in_blocks_of_bounded_size():
    text = "text\n" + "x" * 999 + "\n"
    rows = text + ("y" * 999 + "\n") * 2500
    pieces = [rows[start : start + 2**18] for start in range(0, len(rows), 2**18)]
    blocks = list(tables.column_documents(pieces, "csv", "text", Rows("t", "error", Tally())))
    assert len(blocks) == 2
    assert max(map(len, blocks)) < tables.BLOCK_CHARACTERS + 2**18 + 3000


# ---- what is refused


def test_a_missing_column_names_the_nearest_and_all():
    expected = "t, line 1: there is no column 'txt'. Did you mean text? There are: id, text"
    assert message_of("id,text\n1,a\n", "csv", "txt") == expected
    assert message_of('{"tex": "a"}\n{"tex": "b", "o": {"id": 1}}', "jsonl") == (
        "t, line 1: there is no column 'text'. Did you mean tex? There are: tex, o.id"
    )
    assert message_of("id;texts\n1;a\n", "csv").endswith("There are: id, texts")
    assert message_of("id,text\n1,a\n", "csv", "text,body").startswith("t, line 1: there is no column 'body'.")
    assert message_of("id,text\n1,a\n", "csv", "3") == "t, line 1: there is no column 3. There are 2 columns"
    assert message_of("text\na\n", "csv", "3") == "t, line 1: there is no column 3. There is 1 column"
    assert message_of("id,text\n1,a\n", "csv", "0").startswith("t, line 1: there is no column 0.")


def test_a_missing_column_of_a_table_without_a_header_is_asked_for_by_number():
    for text in ("1,the cat\n2,the dog\n", "Ann,b\nAnn,c\n"):
        assert message_of(text, "csv", "text").endswith(
            f"it seems to have no header ({text.splitlines()[0].replace(',', ', ')}). Give a number, from 1 to 2"
        )


def test_what_lies_in_a_list_within_a_row_is_named_with_what_to_do():
    nested = '{"data": [{"text": "a"}]}'
    assert message_of(nested, "json", "data.text") == (
        "t, line 1: there is no column 'data.text', for 'data' is a list; make a row of each of its items"
    )
    assert "Received: a list; make a row of each of its items. " in message_of(nested, "json", "data")
    assert "Received: an object; name a field of it. " in message_of('{"a": {"text": "b"}}', "jsonl", "a")


def test_a_row_that_is_a_list_is_shown_whole():
    message = message_of('["a", "text one"]\n["b", "text two"]\n', "jsonl", "text")
    assert message.startswith('t, line 1: every row must be an object. Received: ["a", "text one"]')


def test_json_that_ends_in_a_string_is_said_to_be_cut():
    message = message_of('[{"text": "a"},\n{"text": "b', "json", "text")
    assert "not JSON: Unterminated string starting in line 2. Is the file cut? --bad-rows skip" in message


def test_a_column_that_stands_twice_is_ambiguous():
    assert message_of("text,text\na,b\n", "csv") == "t, line 1: there are 2 columns 'text'"


def test_a_cell_beyond_the_limit_is_named_by_its_first_line(monkeypatch):
    monkeypatch.setattr(delimited, "LONGEST_CELL", 10)
    previous = csv.field_size_limit(10)
    try:
        message = message_of('id,text\n1,a\n2,"bcde\nfghi\njklm"\n', "csv")
    finally:
        csv.field_size_limit(previous)
    assert message.startswith('t, line 3: field larger than field limit (10). Is a quote (") never closed?')


def test_an_article_fits_into_a_cell():
    article = "word " * 100_000
    assert documents(f'text\n"{article}"\n', "csv") == [article]


def test_a_line_without_end_is_refused_before_it_fills_memory(monkeypatch):
    monkeypatch.setattr(rows, "LONGEST_LINE", 100)
    monkeypatch.setattr(tables, "NUM_LOOKED_AT", 10)
    pieces = ('{"text": "a"}\n', *["x" * 10] * 1000)
    taken = []
    stream = (taken.append(piece) or piece for piece in pieces)
    with pytest.raises(CorpusError, match="t, line 2: it is longer than 100 characters"):
        list(tables.column_documents(stream, "jsonl", "text", Rows("t", "error", Tally())))
    assert len(taken) < 20


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ('{"text": "a"', "it is not JSON: .* at column 13"),
        ("[1, 2]", r"every row must be an object. Received: \[1, 2\]"),
        ('{"text": ["a"]}', "'text' must be text, a number, true or false. Received: a list"),
        ('{"text": "\\ud800"}', "'text' holds half of a surrogate pair"),
        ('{"text": "\\udc00"}', "'text' holds half of a surrogate pair"),
        ("[" * 100_000, "it is not JSON that Python reads"),
    ],
    ids=lambda value: value[:20],
)
def test_a_line_of_jsonl_that_is_wrong_is_named(line, problem):
    message = message_of('{"text": "fine"}\n\n' + line + "\n", "jsonl")
    assert re.fullmatch(f"t, line 3: {problem}.*", message), message


def test_the_end_of_a_document_can_be_written_as_a_pair_only():
    """A whole surrogate pair in JSON is one character, and its half of a pair is no END_OF_DOCUMENT."""
    assert documents('{"text": "\\ud83d\\udc00"}', "jsonl") == ["\U0001f400"]


def test_rows_of_several_lines_are_told_from_those_that_swallowed_others():
    lines = ["1,a\n", '2,"b\n', "\n", 'c"\n', '3,"d\n', "4,e\n", 'f"\n', '5,"g\n', '6,h"\n', '7,"i, j"']
    for delimiter in ",§":  # the second takes two bytes
        spans = RowSpans([line.replace(",", delimiter) for line in lines], [1, 4, 7, 9, 10], delimiter, width=2)
        assert spans.starts.tolist() == [0, 1, 4, 7, 9]
        assert spans.holding == [2, 3]
        assert spans.broken(0, 5) == (1, 1)
        assert spans.with_more(0, 5) == [9]
    assert RowSpans(["a\n", '"b\n', "c\n", 'd"\n'], [1, 4], ",", width=1).holding == []


ODD_CELLS = (
    '"open',
    '"a\nb"',
    '"a{0}b"',
    '"l\n3{0}x{0}z\nend"',
    '"l{0}x\n3{0}y"',
    'close"',
    '"x" y',
    r'"e \"x"',
    "plain",
)


def odd_table(draw: random.Random, delimiter: str) -> str:
    """Of rows with quotes of all kinds, right and wrong."""
    rows_of_it = [f"{number}{delimiter}{draw.choice(ODD_CELLS).format(delimiter)}" for number in range(40)]
    return "\n".join([f"id{delimiter}text", *rows_of_it])


@pytest.mark.parametrize(("table_format", "delimiter"), [("tsv", "\t"), ("csv", ",")])
def test_rows_are_found_alike_one_by_one_and_all_at_once(table_format, delimiter, monkeypatch):
    draw = random.Random(3)
    for _ in range(60):
        table, found = odd_table(draw, delimiter), []
        for few, fewest, near in ((0, 16, rows.NEAR), (16, 2, rows.NEAR), (10**9, 16, rows.NEAR), (16, 2, 7)):
            monkeypatch.setattr(delimited, "FEW_ROWS", few)
            monkeypatch.setattr(delimited, "FEWEST_ROWS", fewest)
            monkeypatch.setattr(rows, "NEAR", near)
            texts, tally = read(table, table_format, bad_rows="skip")
            found.append((texts, tally.met))
        assert found == found[:1] * 4
