"""A zoo of small files as people have them: what becomes of each, in encodings, containers, dialects and scripts.

A case is a file's name (`-` is standard input, and of a name with a folder the folder is read), its bytes, the settings
that are given, and the right outcome: how many documents, a piece of the text, of a note, or of the error.
"""

import bz2
import codecs
import gzip
import io
import json
import lzma
import re
import tempfile
import zipfile
from pathlib import Path
from typing import NamedTuple

import pytest

from textgen.config import END_OF_DOCUMENT, TextConfig
from textgen.corpus import open_corpus
from textgen.errors import TextgenError
from textgen.schema import from_python
from textgen.tokenizers import CharacterTokenizer
from textgen.tokenizers.unknown import make_readable


class Case(NamedTuple):
    """A file and its right outcome. Where `error` is given beside a text, either will do."""

    name: str
    content: bytes
    settings: dict = {}  # noqa: RUF012 (nobody changes it)
    documents: int | None = None  # None where the corpus is one text, or where it does not matter
    text: str = ""  # stands in the text; several pieces, separated by `|`
    without: str = ""  # does not, nor does any of its pieces; nor in the error
    note: str = ""  # a pattern
    error: str = ""  # a pattern, of what is said beside the file's name
    model: str = ""  # a piece of the name of a model of it


LINES, PARAGRAPHS, FILES = ({"documents": kind} for kind in ("line", "blank-line", "file"))


def encoded(encoding: str, text: str, *, name: str = "text.txt", named: bool = True, error: str = "") -> Case:
    """A text in some encoding, which is named or has to be found; then a refusal shows how it would be read, too."""
    piece = text.split("\n")[0][:12]
    settings = {"encoding": encoding} if named else {}
    return Case(name, (text + "\n").encode(encoding), settings, text=piece, error=error or ("" if named else piece))


def zipped(**members: str) -> bytes:
    """A ZIP with members, whose names have `__` for a slash and `_` for a dot."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in members.items():
            archive.writestr(name.replace("__", "/").replace("_", "."), text)
    return content.getvalue()


def table(*rows: str, end: str = "\n") -> bytes:
    return "".join(row + end for row in rows).encode()


RUSSIAN = "Все счастливые семьи похожи друг на друга, каждая несчастливая семья несчастлива по-своему. Все смешалось. "
JAPANESE = "吾輩は猫である。名前はまだ無い。どこで生れたかとんと見当がつかぬ。何でも薄暗いじめじめした所で泣いていた。"
CHINESE = "学而时习之，不亦说乎？有朋自远方来，不亦乐乎？人不知而不愠，不亦君子乎？其为人也孝弟，而好犯上者，鲜矣。"
TAIWANESE = "學而時習之，不亦說乎？有朋自遠方來，不亦樂乎？人不知而不慍，不亦君子乎？其為人也孝弟，而好犯上者，鮮矣。"
KOREAN = "나라의 말이 중국과 달라 문자와 서로 통하지 아니하여서 이런 까닭으로 어리석은 백성이 이르고자 할 바가 있어도 "
ARABIC = "كان يا ما كان في قديم الزمان ملك عظيم له ثلاثة أبناء وكان أصغرهم أجملهم وأشجعهم في القتال والصيد "
GREEK = "Άνδρα μοι έννεπε, Μούσα, πολύτροπον, ος μάλα πολλά πλάγχθη, επεί Τροίης ιερόν πτολίεθρον έπερσε. "
FRENCH = (
    "Longtemps, je me suis couché de bonne heure. Parfois, à peine ma bougie éteinte, mes yeux se fermaient si vite. "
)
QUOTED = "“It’s late,” she said — “and I don’t know whether he’ll come.” He hadn’t come; it wasn’t his way. "
STRAY = b"caf\xc3\xa9 \x92\n" + FRENCH.encode()
STORY = "The ferryman kept the river and spoke to nobody."

# ---- what is read as it should be

READ = [
    # encodings and bytes
    Case("plain.txt", b"One.\nTwo.\n", text="One.\nTwo.\n"),
    Case("end.txt", b"no line end", text="no line end"),
    Case("accents.txt", "naïve café\n".encode(), text="naïve café"),
    Case("mark.txt", b"\xef\xbb\xbfOne.\n", text="One.", without="\ufeff", note="1 byte-order mark removed"),
    Case("two-marks.txt", b"\xef\xbb\xbf\xef\xbb\xbfOne.\n", text="\ufeffOne."),
    Case("windows.txt", b"one\r\ntwo\r\n", LINES, 2, "one|two", "\r", "2 CRLF line ends"),
    Case("feed.txt", b"one\x0ctwo\x0bthree\n", LINES, 1, "one\x0ctwo\x0bthree"),
    Case("separators.txt", "one\u2028two\x85three\n".encode(), LINES, 1, "one\u2028two"),
    Case("empty.txt", b"", error="is empty"),
    Case("mark-alone.txt", b"\xef\xbb\xbf", error="is empty"),
    Case("blank.txt", b" \n\t\n\n", error="white space"),
    Case("blank-lines.txt", b"\n\n\n", LINES, error="white space"),
    Case("emoji.txt", "👩‍👩‍👧 said 👋🏽\n".encode(), text="👩‍👩‍👧 said 👋🏽"),
    Case("private.txt", "\ue000 and \U0010ffff\n".encode(), text="\ue000 and \U0010ffff"),
    Case("half.txt", b"\xed\xb0\x80 half of a pair\n", {"encoding": "utf-8"}, error="0xED|half"),
    Case("unknown.txt", b"One.\n", {"encoding": "klingon"}, error="text encoding that Python knows"),
    Case("hex.txt", b"4f6e65\n", {"encoding": "hex"}, error="text encoding that Python knows"),
    encoded("utf-16", RUSSIAN),
    encoded("utf-16-le", GREEK),
    encoded("utf-16-be", CHINESE),
    encoded("utf-32", ARABIC),
    encoded("latin-1", FRENCH),
    encoded("cp1252", QUOTED),
    encoded("mac_roman", QUOTED),
    encoded("cp437", "é à ü, ░▒▓ and ½"),
    encoded("koi8-r", RUSSIAN),
    encoded("cp1251", RUSSIAN),
    encoded("iso-8859-6", "كان يا ما كان"),
    encoded("iso-8859-7", "Μουσα, πολυτροπον"),
    encoded("shift_jis", JAPANESE),
    encoded("euc_jp", JAPANESE),
    encoded("iso2022_jp", JAPANESE),
    encoded("gb18030", CHINESE),
    encoded("big5", TAIWANESE),
    encoded("euc_kr", KOREAN),
    encoded("utf-7", "café, £5"),
    Case("not-ascii.txt", b"caf\xe9\n", {"encoding": "ascii"}, error=r"0xE9 at offset 3 \(line 1\)"),
    Case("not-cp1252.txt", b"one\ntwo \x81\n", {"encoding": "cp1252"}, error=r"0x81 at offset 8 \(line 2\)"),
    Case("not-utf-8.txt", b"caf\xe9\n", {"encoding": "utf-8"}, error=r"0xE9 at offset 3 \(line 1\)"),
    Case("cut.txt", b"caf\xc3", {"encoding": "utf-8"}, error="0xC3 at offset 3"),
    Case("no-mark.txt", "One.\n".encode("utf-16-le"), {"encoding": "utf-16"}, text="One.", error="byte-order mark"),
    # scripts
    *(
        Case("script.txt", f"{text}\n".encode(), text=text)
        for text in (
            GREEK,
            RUSSIAN,
            ARABIC,
            CHINESE,
            TAIWANESE,
            JAPANESE,
            KOREAN,
            "बाज़ार में क्षमा",
            "ภาษาไทย",
            "שָׁלוֹם",
            "አማርኛ",
        )
    ),
    Case("decomposed.txt", "tie\u0302\u0301ng\n".encode(), text="tie\u0302\u0301ng"),
    Case("composed.txt", "tie\u0302\u0301ng\n".encode(), {"normalize": "nfc"}),
    # containers
    Case("packed.txt.gz", gzip.compress(b"One.\n"), text="One.\n"),
    Case("PACKED.TXT.GZ", gzip.compress(b"One.\r\n"), text="One.\n"),
    Case("half.txt.gz", gzip.compress(STORY.encode() * 9)[:-12], error="cut"),
    Case("damaged.txt.gz", b"\x1f\x8b\x08\x00 nothing of the kind", error="damaged|cut"),
    Case("no-gzip.txt.gz", b"One.\n", error="damaged|gzip"),
    Case("-", b"One.\nTwo.\n", LINES, 2, "One.|Two."),
    Case("letters/one.txt", b"One.\n", FILES, 1, "One."),
    Case("hidden/.one.txt", b"One.\n", error="no .*file|nothing"),
    # documents
    Case("lines.txt", b"Ann\n\nBob\n \nCid", LINES, 4, "Ann|Bob|Cid", note="1 empty document skipped"),
    Case("verse.txt", b"\n\na\nb\n \t\nc\n\n\n\nd\n\n", PARAGRAPHS, 3, "a\nb"),
    Case("stray-strict.txt", STRAY, {"encoding": "utf-8"}, error=r"0x92 at offset 6 \(line 1\)"),
    Case("notes.md", b"# Title\n\nSome *prose*.\n", text="# Title|Some *prose*."),
    Case("notes.rst", b"Title\n=====\n\nSome *prose*.\n", text="Some *prose*."),
    Case("whole.txt", b"a\n\nb\n", FILES, 1, "a\n\nb\n"),
    # tables
    Case("a.csv", table("id,text", '1,"Hi, you"', '2,"a ""b"""'), {"column": "text"}, 2, 'Hi, you|a "b"'),
    Case("b.csv", table("id,text", '1,"two\nlines"', "2,", "3,c"), {"column": "text"}, 2, "two\nlines", note="1 empty"),
    Case("c.csv", table("id,text", "1,a", end="\r\n"), {"column": "text"}, 1, "a", "\r"),
    Case("d.csv", b"\xef\xbb\xbf" + table("text,id", "a,1"), {"column": "text"}, 1, "a"),
    Case("e.csv", table("id,tekst", "1,a"), {"column": "text"}, error="no column.*tekst"),
    Case("f.csv", table("text", "a", "", "b"), {"column": "text"}, 2, "a|b"),
    Case("g.csv.gz", gzip.compress(table("id,text", "1,a", "2,b")), {"column": "text"}, 2, "a|b"),
    Case("h.csv", table("id,text", "1,a"), text="id,text\n1,a", note="column"),
    Case("i.tsv", table("id\ttext", "1\tone, two", "2\t'b"), {"column": "text"}, 2, "one, two|'b"),
    Case("j.jsonl", table('{"text": "a\\nb"}', "", '{"text": "\\u00e9"}'), {"column": "text"}, 2, "a\nb|é"),
    Case("k.jsonl", table('{"text": "a\\r\\nb\\rc"}'), {"column": "text"}, 1, "a\nb\nc", note="1 CRLF.*\n1 CR line"),
    Case("k.jsonl", table('{"text": null}', '{"text": "a"}'), {"column": "text"}, 1, "a"),
    Case("l.jsonl", table('{"text": "a"}', "{text: b}"), {"column": "text"}, error="line 2.*JSON"),
    Case(
        "m.jsonl",
        table('{"text": "a"}', '{"txt": "b"}'),
        {"column": "text"},
        1,
        "a",
        note="empty document.* line 2|1 empty",
    ),
    Case("n.jsonl", table('{"text": "\\ud800"}'), {"column": "text"}, error="surrogate"),
    Case("o.csv", table("id,text", "1,a", "2,b,c"), {"column": "text"}, error="line 3"),
    Case("p.txt", b"One.\n", {"column": "text"}, error="column"),
    Case("-", table("id,text", "1,a", "2,b"), {"column": "text"}, 2, "a|b"),
    Case("q.csv", table("id,text", "1,a"), {"column": "text", "documents": "line"}, error="`documents=line`"),
    Case("r.csv", table("id,text,text", "1,a,b"), {"column": "text"}, error="2 columns"),
]


# ---- what becomes of bytes

BYTES = [
    Case("quotes.txt", b"\x93Hi\x94 he said\n", text="“Hi” he said", error="“Hi” he said"),
    encoded("cp1252", QUOTED * 3, named=False),
    encoded("latin-1", FRENCH * 3, named=False),
    encoded("mac_roman", QUOTED * 3, named=False),
    encoded("koi8-r", RUSSIAN * 3, named=False),
    encoded("cp1251", RUSSIAN * 3, named=False),
    encoded("cp1256", ARABIC * 3, named=False),
    encoded("shift_jis", JAPANESE * 3, named=False),
    encoded("euc_jp", JAPANESE * 3, named=False),
    encoded("gb18030", CHINESE * 3, named=False),
    encoded("big5", TAIWANESE * 3, named=False),
    encoded("euc_kr", KOREAN * 3, named=False),
    encoded("utf-8", RUSSIAN, named=False),
    Case("le.txt", codecs.BOM_UTF16_LE + RUSSIAN.encode("utf-16-le"), text=RUSSIAN, without="\ufeff"),
    Case("be.txt", codecs.BOM_UTF16_BE + RUSSIAN.encode("utf-16-be"), text=RUSSIAN, without="\ufeff"),
    Case("le-32.txt", codecs.BOM_UTF32_LE + RUSSIAN.encode("utf-32-le"), text=RUSSIAN, without="\ufeff"),
    Case("no-mark-le.txt", STORY.encode("utf-16-le"), text=STORY, without="\0"),
    Case("no-mark-be.txt", STORY.encode("utf-16-be"), text=STORY, without="\0"),
    Case("no-mark-32.txt", STORY.encode("utf-32-be"), text=STORY, without="\0"),
    Case("guessed.txt", (RUSSIAN * 3).encode("cp1251"), note="(?i)1251.*Все счаст"),
    Case("stray.txt", STRAY, without="cafÃ©|latin-1", error="0x92.*encoding.errors"),
    Case("replaced.txt", STRAY, {"encoding_errors": "replace"}, text="café \ufffd\n|couché", note="1 .*offset 6"),
    Case(
        "skipped.txt", STRAY, {"encoding_errors": "skip"}, text="café \n|couché", without="\ufffd", note="1 .*offset 6"
    ),
    Case("old-mac.txt", b"one\rtwo\rthree\r", LINES, 3, "one|two|three", "\r", "CR"),
    Case("mixed.txt", b"one\r\ntwo\rthree\nfour", LINES, 4, "one|four", "\r", "CR"),
    Case("nul.txt", b"one \0 two\n", text="one ", note="(?i)nul"),
    Case("c1.txt", "one \x93two\x94\n".encode(), text="one ", note="(?i)control"),
    *(
        Case(name, content, without="latin-1", error=error)
        for name in ("book.txt", "-")
        for content, error in (
            (zipped(a_txt=STORY), "(?i)zip"),
            (zipped(word__document_xml="<w:document/>", **{"[Content_Types]_xml": "<Types/>"}), "(?i)word|docx|zip"),
            (zipped(xl__workbook_xml="<workbook/>", **{"[Content_Types]_xml": "<Types/>"}), "(?i)excel|xlsx|zip"),
            (bz2.compress(STORY.encode()), "(?i)bzip2|bz2"),
            (lzma.compress(STORY.encode()), "(?i)xz"),
            (b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj\n<< >>\nendobj\n", "(?i)pdf"),
            (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "(?i)png|image|binary|not text|no text"),
        )
    ),
    Case("-", gzip.compress(STORY.encode()), text=STORY, error="(?i)gzip"),
    encoded("iso2022_kr", KOREAN, named=False),
    encoded("johab", KOREAN, named=False),
    Case("table.txt", "id\ttext\n1\ta\n2\tb\n3\tc\n".encode("utf-16"), text="1\ta", note="looks like TSV"),
    Case("hz.txt", "学，而，时\n习，之，不\n亦，说，乎\n".encode("hz"), text="学，而", note=r"\A(?![\s\S]*looks)"),
    Case("mixed/b.docx", b"PK\3\4", error=r"\A(?!.*empty).*nothing in it can be read"),
    Case("pictures/a.txt", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", error="nothing in it can be read.*a picture"),
]

# ---- documents that people write

WORDS = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
PARAGRAPH = "<w:p><w:r><w:t>{}</w:t></w:r></w:p>"
DOCX = zipped(
    **{"[Content_Types]_xml": '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"/>'},
    word__document_xml=f'<w:document xmlns:w="{WORDS}"><w:body>'
    f"{PARAGRAPH.format('Fish &amp; chips.')}{PARAGRAPH.format('A new day.')}</w:body></w:document>",
)
PAGE = (
    "<!DOCTYPE html><html><head><title>T</title><style>p {color: red}</style><script>alert(1)</script></head>"
    "<body><h1>One</h1><p>Fish &amp; <b>chips</b>.</p><p>Caf&eacute;.</p></body></html>"
)
EPUB = zipped(
    mimetype="application/epub+zip",
    **{
        "META-INF__container_xml": '<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles>'
        '<rootfile full-path="book.opf" media-type="application/oebps-package+xml"/></rootfiles></container>',
        "book_opf": '<package xmlns="http://www.idpf.org/2007/opf"><manifest>'
        '<item id="b" href="b.xhtml" media-type="application/xhtml+xml"/>'
        '<item id="a" href="a.xhtml" media-type="application/xhtml+xml"/></manifest>'
        '<spine><itemref idref="a"/><itemref idref="b"/></spine></package>',
        "a_xhtml": '<html xmlns="http://www.w3.org/1999/xhtml"><body><p>First chapter.</p></body></html>',
        "b_xhtml": '<html xmlns="http://www.w3.org/1999/xhtml"><body><p>Second chapter.</p></body></html>',
    },
)
NOTEBOOK = json.dumps(
    {
        "nbformat": 4,
        "nbformat_minor": 5,
        "metadata": {},
        "cells": [
            {"cell_type": "markdown", "metadata": {}, "source": ["# A title\n", "Some prose."]},
            {"cell_type": "code", "metadata": {}, "source": "print(6 * 7)", "outputs": [], "execution_count": 1},
        ],
    }
).encode()
SUBTITLES = b"1\n00:00:01,000 --> 00:00:02,500\nHello, <i>you</i>.\n\n2\n00:00:03,000 --> 00:00:04,000\nGood night.\n"
WEB_SUBTITLES = (
    b"WEBVTT\n\nNOTE not said\n\n00:01.000 --> 00:02.500\nHello, <v Ann>you.\n\n00:03.000 --> 00:04.000\nBye.\n"
)
FILE = "file:///etc/passwd"
EXTERNAL = f'<!DOCTYPE w:document [<!ENTITY e SYSTEM "{FILE}">]><w:document xmlns:w="{WORDS}"><w:body>'
EXTERNAL += f"{PARAGRAPH.format('Safe. &e;')}</w:body></w:document>"
LAUGHS = '<!DOCTYPE d [<!ENTITY a "lol">' + "".join(
    f'<!ENTITY {name} "{f"&{before};" * 10}">' for before, name in zip("abcdefghi", "bcdefghij", strict=True)
)
LAUGHS += f']><w:document xmlns:w="{WORDS}"><w:body>{PARAGRAPH.format("&j;")}</w:body></w:document>'
DOCUMENTS = [
    Case("letter.docx", DOCX, text="Fish & chips.|A new day.", without="<w:|&amp;"),
    Case("letter.docx", DOCX, FILES, 1, "Fish & chips."),
    Case("letter.csv", DOCX, text="Fish & chips.", note="^(?!.*plain text).*read as a Word document"),
    Case("letter.docx", DOCX, {"column": "text"}, error="Word document.*no columns. Leave out --column"),
    Case("sheet.xlsx", zipped(xl__workbook_xml="<workbook/>"), {"column": "text"}, error="Save the sheet as CSV"),
    Case("rows.txt", b"id,text\n1,a\n", {"column": "text"}, error="--file-format csv"),
    Case("page.csv", PAGE.encode(), text="<p>", note="--file-format html"),
    Case("notes.json", NOTEBOOK, text="cell_type", note="--file-format ipynb"),
    Case("page.html", PAGE.encode(), text="Fish & chips.|Café.", without="<p>|alert|color|&amp;"),
    Case("page.htm", PAGE.encode(), text="Fish & chips.|Café.", without="<p>|alert|color"),
    Case("book.epub", EPUB, text="First chapter.|Second chapter.", without="<p>|opf"),
    Case("notes.ipynb", NOTEBOOK, text="Some prose.", without="cell_type|nbformat"),
    Case("film.srt", SUBTITLES, text="Hello, you.|Good night.", without="-->|00:00|<i>"),
    Case("film.vtt", WEB_SUBTITLES, text="Hello, |Bye.", without="-->|WEBVTT|<v"),
    Case("notes/one.md", b"# Title\n\nSome prose.\n", text="Some prose."),
    Case("letters/letter.docx", DOCX, text="Fish & chips."),
    Case("source/one.py", b"print('hello')\n", {"include": ["*.py"]}, text="print('hello')"),
    Case("source/one.py", b"print('hello')\n", text="print('hello')", error="include"),
    Case("old.doc", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), error="(?i)word|doc"),
    Case("paper.pdf", b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj\n<< >>\nendobj\n", error="(?i)pdf"),
    Case("text.rtf", rb"{\rtf1\ansi Fish \b chips\b0 .\par}", text="chips", without="\\b|rtf1", error="(?i)rtf"),
    Case("no-zip.docx", b"Not a ZIP at all.\n", error="(?i)docx|zip|word"),
    Case("no-book.epub", zipped(a_txt=STORY), error="(?i)epub"),
    Case("page.txt", PAGE.encode(), text="<p>", note="(?i)html"),
    Case("rows.jsonl", table('{"text": "a"}', '{"text": "b"}'), text='"a"', note="column"),
    Case(
        "external.docx", zipped(word__document_xml=EXTERNAL), text="Safe.", without="root:", error="(?i)entit|docx|xml"
    ),
    Case("laughs.docx", zipped(word__document_xml=LAUGHS), error="(?i)entit|docx|xml|large"),
    Case("bomb.docx", zipped(word__document_xml="<w:document>" + " " * 30_000_000), error="(?i)large|bomb|docx|bytes"),
]

# ---- tables

LONE_QUOTE = table("id\ttext", '1\t"Unclosed start', "2\tsecond", "3\tthird", '4\t"again', "5\tfifth")
TEXT = {"column": "text"}
TABLES = [
    Case("quotes.tsv", LONE_QUOTE, TEXT, 5, '"Unclosed start|"again|fifth'),
    Case("semicolons.csv", table("id;text", "1;Hi, you", '2;"a;b"'), TEXT, 2, "Hi, you|a;b", note=";|semicolon"),
    Case(
        "apostrophes.csv", table("id,text", "1,'Hi, you'", "2,'it''s'"), TEXT, 2, "Hi, you|it's", "'Hi", "apostrophes"
    ),
    Case(
        "marks.txt",
        b"one<|end|>two\nmore<|end|>b\nfour<|end|>c\nfive<|end|>\n",
        {"document_separator": "<|end|>"},
        4,
        "one|two\nmore",
        note=r"\A(?![\s\S]*looks like)",
    ),
    Case("apostrophe.csv", table("id,text", "1,'Tis he", "2,'No', he said"), TEXT, error="3 cells"),
    Case("ended.csv", table("id;text", '1;"a, b";', "2;c;"), TEXT, 2, "a, b|c", note="2 rows with an empty cell"),
    Case("bars.csv", table("id|text", "1|one, two", "2|b"), TEXT, 2, "one, two", note=r"\||bar"),
    Case("tabs.csv", table("id\ttext", "1\tone, two", "2\tb"), TEXT, 2, "one, two", note="(?i)tab"),
    Case("spaces.csv", table("id, text", "1, a", "2, b"), TEXT, 2, "a|b"),
    Case("no-header.csv", table("1,One day.", "2,Two days."), {"column": "2"}, 2, "One day.|Two days."),
    Case("array.json", json.dumps([{"text": "a"}, {"text": "b\nc"}]).encode(), TEXT, 2, "a|b\nc"),
    Case("rows.ndjson", table('{"text": "a"}', '{"text": "b"}'), TEXT, 2, "a|b"),
    Case("-", table('{"text": "a"}', '{"text": "b"}'), TEXT, 2, "a|b"),
    Case("nested.jsonl", table('{"a": {"b": "deep"}}'), {"column": "a.b"}, 1, "deep"),
    Case("dotted.jsonl", table('{"a.b": "flat"}'), {"column": "a.b"}, 1, "flat"),
    Case("joined.csv", table("title,body", "A,b c", "D,e f"), {"column": "title,body"}, 2, "A|b c|D|e f"),
    Case("joined.jsonl", table('{"title": "A", "body": "b c"}'), {"column": "title,body"}, 1, "A|b c"),
    Case("numbers.jsonl", table('{"text": 5}', '{"text": 2.5}', '{"text": "a"}'), TEXT, 3, "5|2.5|a"),
    Case("bad.csv", table("id,text", "1,a", "2,b,c", "3,d"), TEXT, error="line 3.*bad.rows"),
    Case("bad.csv", table("id,text", "1,a", "2,b,c", "3,d"), TEXT | {"bad_rows": "skip"}, 2, "a|d", note="1 .*line 3"),
    Case("bad.jsonl", table('{"text": "a"}', "{", '{"text": "b"}'), TEXT | {"bad_rows": "skip"}, 2, note="1 .*line 2"),
    Case("marks.txt", b"One.<|endoftext|>Two.<|endoftext|>", {"document_separator": "<|endoftext|>"}, 2, "One.|Two."),
    Case("rules.txt", b"One.\n---\nTwo.\n---\nThree.\n", {"document_separator": "---"}, 3, "One.|Two.|Three."),
    Case("gaps.txt", b"One.\n\nstill\n\n\nTwo.\n", {"document_separator": "\n\n\n"}, 2, "One.\n\nstill|Two."),
    Case("lines.csv", table("id,text", '1,"two\nlines"', "2,b"), TEXT, 2, "two\nlines", note="(?i)line|newline"),
]

# ---- names that models of files get

NAMES = [
    Case(name, STORY.encode(), text=STORY, model=model)
    for name, model in {
        "Война и мир.txt": "Война",
        "論語.txt": "論語",
        "الف ليلة.txt": "ليلة",
        "Élan vital.txt": "lan-vital",
        "심청전.txt": "심청전",
    }.items()
]

# ---- harness


CASES = [
    *READ,
    *BYTES,
    *DOCUMENTS,
    *TABLES,
    *NAMES,
]


class Outcome(NamedTuple):
    """What became of a file."""

    text: str = ""
    notes: str = ""
    model: str = ""
    error: str = ""


@pytest.fixture(scope="module")
def cage(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("zoo")


def read(case: Case, cage: Path) -> Outcome:
    path = Path(tempfile.mkdtemp(dir=cage), *case.name.split("/"))
    path.parent.mkdir(exist_ok=True)
    if case.name != "-":
        path.write_bytes(case.content)
    source = "-" if case.name == "-" else path.parent if "/" in case.name else path
    try:
        config = TextConfig(**from_python(TextConfig, case.settings))
        assert set(case.settings) <= set(config.to_json()), "a setting that there is not"
        reader = open_corpus(source, config, stdin=io.BytesIO(case.content))
        return Outcome("".join(reader.blocks()), "\n".join(reader.notes), reader.name)
    except TextgenError as problem:
        return Outcome(error=str(problem).replace(str(path), "").replace(str(source), "") or "nothing")


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.name}-{'-'.join(map(str, case.settings.values()))}")
def test_every_animal_is_what_it_is(cage, case):
    outcome = read(case, cage)
    for piece in filter(None, case.without.split("|")):
        assert piece not in outcome.text + outcome.error
    if outcome.error:
        assert case.error, outcome.error
        assert re.search(case.error, outcome.error), outcome.error
        assert "\n" not in outcome.error
        return
    assert case.text or case.documents or not case.error, f"it was read as {outcome.text[:200]!r}"
    for piece in filter(None, case.text.split("|")):
        assert piece in outcome.text
    assert re.search(case.note, outcome.notes), outcome.notes
    assert case.model in outcome.model
    if case.documents is not None:
        assert outcome.text.count(END_OF_DOCUMENT) == case.documents


PROMPTS = [
    ("tiếng", "tie\u0302\u0301ng", "tie\u0302\u0301ng"),
    ("한글", "\u1112\u1161\u11ab\u1100\u1173\u11af", "\u1112\u1161\u11ab\u1100\u1173\u11af"),
    ("it’s “so”", "it's \"o", 'it\'s "so"'),
    ("ÉTÉ", "éte", "été"),
]
DECOMPOSED = [
    ("tie\u0302\u0301ng Vie\u0323\u0302t", "tiếng Việt", "tiếng Việt"),
    ("\u1112\u1161\u11ab\u1100\u1173\u11af", "한글", "한글"),
    ("it´s", "it's", "it's"),
    ("it`s", "it's", "it's"),
    ("علي ١٢", "علی 12", "علی 12"),
    ("یک 12", "يك ۱۲", "يك ۱۲"),
]


@pytest.mark.parametrize(("typed", "known", "form"), [*PROMPTS, *DECOMPOSED])
def test_a_prompt_in_another_form_loses_nothing(typed, known, form):
    assert make_readable(typed, CharacterTokenizer("".join(sorted(set(known))))).text == form


def test_the_zoo_is_large_enough():
    assert len(CASES) >= 60
