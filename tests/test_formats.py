"""Documents: the text of every format, and what is said of those that are damaged, protected or made to do harm."""

import contextlib
import gzip
import io
import random
import tracemalloc
import zipfile
from pathlib import Path

import pytest
from languages import TEXTS
from small_documents import archive, encrypted, epub, notebook, odt, paragraph, pdf, word
from whole_texts import read_corpus, whole, write

from textgen.config import END_OF_DOCUMENT, TextConfig
from textgen.corpus import extracting, formats, open_corpus
from textgen.corpus.formats import archives
from textgen.corpus.formats.html import text_of_page
from textgen.corpus.formats.page_encoding import declared_encoding
from textgen.errors import CorpusError, SettingError


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch) -> Path:
    """An empty working directory, so that messages show paths as they were given."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def text_of(name: str, content: bytes | str, **settings) -> str:
    return read_corpus([write(name, content)], config=TextConfig(**settings)).text


def message_of(name: str, content: bytes | str, **settings) -> str:
    """The one line that reading a file fails with."""
    with pytest.raises(CorpusError) as caught:
        text_of(name, content, **settings)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# ---- what comes out

NOTE_MARK = '<w:r><w:footnoteReference w:id="2"/></w:r>'
BOX = (
    "<w:r><mc:AlternateContent><mc:Choice><w:txbxContent>{0}</w:txbxContent></mc:Choice><mc:Fallback>{0}</mc:Fallback>"
)
CONTENTS = '<w:sdt><w:sdtPr><w:docPartObj><w:docPartGallery w:val="Table of Contents"/></w:docPartObj></w:sdtPr>'
FRENCH = "Longtemps, je me suis couché de bonne heure. Parfois, à peine ma bougie éteinte, mes yeux se fermaient."
FIELD = '<w:r><w:fldChar w:fldCharType="{}"/></w:r>'
PAGE = "<html><body>{}</body></html>"

DOCUMENTS = {
    "paragraphs, headings and lists": (
        "a.docx",
        word(
            '<w:p><w:pPr><w:pStyle w:val="Heading1"/><w:tabs><w:tab w:val="left"/></w:tabs></w:pPr><w:r><w:t>Head</w:t>'
            "</w:r></w:p>" + paragraph("One &amp; tw") + paragraph("") + paragraph("Item")
        ),
        "Head\n\nOne & tw\n\nItem\n",
    ),
    "cells of a table": (
        "a.docx",
        word("<w:tbl><w:tr>" + "".join(f"<w:tc>{paragraph(cell)}</w:tc>" for cell in "ab") + "</w:tr></w:tbl>"),
        "a\n\nb\n",
    ),
    "a footnote in the middle of a word": (
        "a.docx",
        word(
            f"<w:p><w:r><w:t>sun</w:t></w:r>{NOTE_MARK}<w:r><w:t>light</w:t></w:r></w:p>",
            footnotes=f'<w:footnote w:id="2">{paragraph("A note.")}</w:footnote>',
        ),
        "sunlight\n\nA note.\n",
    ),
    "signs of Word": (
        "a.docx",
        word("<w:p><w:r><w:t>a</w:t><w:tab/><w:t>b</w:t><w:br/><w:t>c</w:t><w:noBreakHyphen/><w:t>d</w:t></w:r></w:p>"),
        "a\tb\nc-d\n",
    ),
    "changes, hidden text and fields": (
        "a.docx",
        word(
            "<w:p><w:del><w:r><w:delText>gone</w:delText></w:r></w:del>"
            "<w:moveFrom><w:r><w:t>moved</w:t></w:r></w:moveFrom><w:ins><w:r><w:t>new</w:t></w:r></w:ins><w:r><w:instrText>PAGE</w:instrText></w:r>"
            "<w:r><w:rPr><w:vanish/></w:rPr><w:t>hidden</w:t></w:r><w:r><w:t>!</w:t></w:r></w:p>"
        ),
        "new!\n",
    ),
    "a text box once": (
        "a.docx",
        word(f"<w:p><w:r><w:t>out</w:t></w:r>{BOX.format(paragraph('box'))}</mc:AlternateContent></w:r></w:p>"),
        "box\n\nout\n",
    ),
    "a large first letter": (
        "a.docx",
        word('<w:p><w:pPr><w:framePr w:dropCap="drop"/></w:pPr><w:r><w:t>O</w:t></w:r></w:p>' + paragraph("nce")),
        "Once\n",
    ),
    "no table of contents that is a field": (
        "a.docx",
        word(
            f"<w:p>{FIELD.format('begin')}<w:r><w:instrText> TOC \\o </w:instrText></w:r>{FIELD.format('separate')}"
            f"<w:r><w:t>One</w:t><w:tab/></w:r>{FIELD.format('begin')}<w:r><w:instrText>PAGEREF</w:instrText></w:r>"
            f"<w:r><w:t>3</w:t></w:r>{FIELD.format('end')}</w:p>{paragraph('Two 9')}<w:p>{FIELD.format('end')}</w:p>"
            f"{paragraph('One')}"
        ),
        "One\n",
    ),
    "a table of contents that does not end": (
        "a.docx",
        word(f"<w:p>{FIELD.format('begin')}<w:r><w:instrText>TOC</w:instrText></w:r></w:p>{paragraph('One')}"),
        "One\n",
    ),
    "no table of contents": (
        "a.docx",
        word(f"{CONTENTS}<w:sdtContent>{paragraph('One 3')}</w:sdtContent></w:sdt>{paragraph('One')}"),
        "One\n",
    ),
    "the reading order of a book": (
        "a.epub",
        epub(
            {"b.xhtml": PAGE.format("no"), "a.xhtml": PAGE.format("<h1>I</h1><p>x</p>"), "z.xhtml": "<p>end"},
            ["z.xhtml", "a.xhtml"],
        ),
        "end\n\nI\n\nx\n",
    ),
    "a page of a book as XML": (
        "a.epub",
        epub(
            {
                "a.xhtml": '<?xml version="1.0"?><!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.1//EN" "x.dtd">'
                '<html xmlns:epub="x"><head><title/><script src="x"/></head><body><p>caf&eacute;&nbsp;!'
                '<a epub:type="noteref" href="#n">1</a></p><span epub:type="pagebreak">7</span><![CDATA[a<b]]>'
                "</body></html>"
            }
        ),
        "café\xa0!\n\na<b\n",
    ),
    "a chapter whose name is not escaped": ("a.epub", epub({"a%20b.xhtml": "<p>x"}), "x\n"),
    "a chapter that is listed twice": (
        "a.epub",
        epub({"a.xhtml": "<p>x", "b.xhtml": "<p>y", "a.xhtml#y": ""}),
        "x\n\ny\n",
    ),
    "a page with entities of its own": (
        "a.epub",
        epub({"a.xhtml": '<?xml version="1.0"?><!DOCTYPE html [<!ENTITY x "y"><!ENTITY z "">]><p>a &lt;&x;</p>'}),
        "a <&x;\n",
    ),
    "hidden text of OpenDocument": (
        "a.odt",
        odt(
            '<s:style xmlns:s="s" s:name="T1"><s:text-properties text:display="none"/></s:style>'
            '<text:section text:display="none"><text:p>no</text:p></text:section><text:p>y<text:span '
            'text:style-name="T1">no</text:span>es<text:span text:style-name="T2">!</text:span></text:p>'
        ),
        "yes!\n",
    ),
    "an OpenDocument text": (
        "a.odt",
        odt(
            "<text:tracked-changes><text:p>gone</text:p></text:tracked-changes><text:h>Head</text:h>"
            "<text:p>sun<text:note><text:note-citation>1</text:note-citation><text:note-body><text:p>A note.</text:p>"
            "</text:note-body></text:note>light<text:line-break/>two<text:s text:c='2'/>x<text:tab/>\n y</text:p>"
            "<table:table><table:table-cell><text:p>cell</text:p></table:table-cell></table:table>"
            "<text:list><text:list-item><text:p><text:span>It</text:span>em</text:p></text:list-item></text:list>"
        ),
        "Head\n\nsunlight\ntwo  x\t y\n\ncell\n\nItem\n\nA note.\n",
    ),
    "blocks of a page": (
        "a.html",
        "<!doctype html><title>T</title><h1>Head</h1><p>One\n <b>bo</b>ld<br>two<p>three<ul><li>a<li>b</ul>"
        "<table><tr><th>c<td>d</table>end",
        "Head\n\nOne bold\ntwo\n\nthree\n\na\n\nb\n\nc\n\nd\n\nend\n",
    ),
    "what is not for reading": (
        "a.htm",
        '<body><script>var a = "<p>no</p>";</script><style>p{}</style><template><p>no</template>'
        '<nav><ul><li>no</ul></nav><noscript>no</noscript><!-- no --><div hidden>no</div>'
        '<div style="display: none">no</div><svg><text>no</svg>'
        '<DIV STYLE="DISPLAY:NONE">no</DIV><p style="visibility: hidden">no<span class="mw-editsection">no</span></p>'
        '<div role="navigation">no</div><button>no</button><p>yes<img alt="no">',
        "yes\n",
    ),
    "entities, and text between pointed brackets": (
        "a.html",
        "<p>&lt;b&gt; &amp;amp; &#233;&hellip; &copy 1 < 2 &nosuch; so&shy;lar</p>",
        "<b> &amp; é… © 1 < 2 &nosuch; solar\n",
    ),
    "Chinese and Japanese that is wrapped": (
        "a.html",
        "<p>日本語の\n文章です。\r\n  改行と word\nand 漢字\nなど 字</p><p>한국어\n문장</p><pre>天\n地</pre>",
        "日本語の文章です。改行と word and 漢字など 字\n\n한국어 문장\n\n天\n地\n",
    ),
    "comments": ("a.html", "<p>a<!-- no --!>b<!-->c<!-- -- no -->d", "abcd\n"),
    "preformatted text": ("a.html", "<p>a</p><pre>\n  x\n\n    <b>y</b> &lt;\n</pre>", "a\n\n  x\n\n    y <\n"),
    "marks of footnotes": (
        "a.html",
        '<p>one<sup><a href="#f1">1</a></sup> two<a href="#f2"><sup>[2]</sup></a> three<a href="#F">[3]</a> four'
        '<a class="noteref" href="n.html">*</a> the 1<sup>st</sup> <a href="#x">of</a> May '
        '<span class="pagenum">[12]</span>',
        "one two three four the 1st of May\n",
    ),
    "ruby": ("a.html", "<p><ruby>漢<rp>(<rt>kan<rp>)</ruby>字</p>", "漢字\n"),
    "a page without tags": ("a.html", "One.\n\nTwo &amp; three.\n", "One.\n\nTwo & three.\n"),
    "a tag that is never closed": ("a.html", "<p>One<nav>menu<p>two", "One\n\nmenu\n\ntwo\n"),
    "an attribute with pointed brackets": (
        "a.html",
        "<p title=\"a > b\" data-x='<p>'>it's</p><p title=it's>x</p>",
        "it's\n\nx\n",
    ),
    "a page with a charset": ("a.html", '<meta charset="windows-1251"><p>Война'.encode("cp1251"), "Война\n"),
    "a page whose charset is none of it": (
        "a.html", f'<meta charset="utf-8"><p>{FRENCH}</p>'.encode("cp1252"), f"{FRENCH}\n"),
    "a notebook": (
        "a.ipynb",
        notebook(
            ("markdown", ["# T\n", "x"]),
            ("code", "a = 1"),
            ("raw", "no"),
            ("code", " "),
            ("code", "\ud83d\ude00\udc00"),
        ),
        "# T\nx\n\na = 1\n\n\U0001f600\ufffd\n",
    ),
    "an old notebook": (
        "a.ipynb",
        '{"nbformat": 3, "worksheets": [{"cells": [{"cell_type": "code", "input": ["a\\n", "b"]}]}]}',
        "a\nb\n",
    ),
    "subtitles": (
        "a.srt",
        "\ufeff1\r\n00:00:01,000 --> 00:00:02,500 X1:10\r\n<i>Hi</i> <font color=red>there</font>,\r\n"
        "{\\an8}you<br/>\u202b<3\u202c\r\n\r\n2\r\n00:00:03,000 --> 00:00:04,000\r\n1984\r\n\r\n"
        "3\r\n00:00:05,000 --> 00:00:06,000\r\n- No &amp; no.\r\n",
        "Hi there,\nyou\n<3\n\n1984\n\n- No & no.\n",
    ),
    "subtitles for the web": (
        "a.vtt",
        "WEBVTT - title\nKind: captions\n\nNOTE no\nno\n\nSTYLE\n::cue {}\n\n"
        "intro\n00:01.000 --> 00:02.000 align:start\n<v Bob>Hello <c.x>you</c>\n\nREGION\nid:no\n\n"
        "01:00:03.000 --> 01:00:04.000\n<b>Bye</b>\n",
        "Hello you\n\nBye\n",
    ),
    "captions that a machine repeats": (
        "a.vtt",
        "WEBVTT\n\n00:01.000 --> 00:02.000\none<00:01.500><c> two</c>\n\n"
        "00:02.000 --> 00:03.000\none two\nthree<00:02.500> four\n",
        "one two\n\nthree four\n",
    ),
    "an RTF document": (
        "a.rtf",
        r"{\rtf1\ansi\ansicpg1252{\fonttbl{\f0 Arial;}}{\info{\author no}}\f0 Caf\'e9 one\line two\par "
        r'{\field{\*\fldinst{HYPERLINK "http://no.no"}}{\fldrslt a link}} \u8364?\u-10179?\u-8704?{\footnote no}\par'
        r" \trowd b\cell c\cell\row}",
        "Café one\ntwo\n\na link €\U0001f600\n\nb\n\nc\n",
    ),
    "what is hidden or deleted in RTF": (
        "a.rtf",
        r"{\rtf1\ansi a{\rtlch\v no{\b no}} b {\deleted no}\v no\{\v0 c\v no\plain d\column\viewkind1 \\v e}",
        "a b cd\n\n\\v e\n",
    ),
    "bytes of RTF": (
        "a.rtf",
        b"{\\rtf1\\ansi\\ansicpg1251 " + "Война".encode("cp1251") + b"}",
        "Война\n",
    ),
    "UTF-8 in RTF": ("a.rtf", "{\\rtf1\\ansi caf\u00e9}", "café\n"),
    "RTF of an old Mac": ("a.rtf", rb"{\rtf1\mac caf\'8e}", "café\n"),
    "signs of two bytes in RTF": (
        "a.rtf",
        rb"{\rtf1\ansi\ansicpg932{\fonttbl{\f0\fcharset128 M;}}\f0 \'83e\'83X\'83g A\'b1\'83A}",
        "テスト Aｱア\n",
    ),
    "ligatures of a PDF": (
        "a.pdf", pdf(["o\\336ce"]).replace(b"/Helvetica", b"/Helvetica /Encoding /MacRomanEncoding"), "ofice\n"),
    "soft hyphens of a PDF": (
        "a.pdf",
        pdf(["exam\\255", "ple"]).replace(b"/Helvetica", b"/Helvetica /Encoding /WinAnsiEncoding"),
        "example\n",
    ),
    "a PDF": ("a.pdf", pdf(["One two exam-", "ple and on"], ["the next page.", "Jean-", "Paul"], ["End"]),
        "One two example and on\nthe next page.\nJean-Paul\n\nEnd\n"),
    "a PDF closed to changes": ("a.pdf", encrypted(pdf(["Open"]), ""), "Open\n"),
    "Markdown as it is": ("a.md", "# One\n\n<b>*two*</b>\n", "# One\n\n<b>*two*</b>\n"),
    "reStructuredText as it is": ("a.rst", "One\n===\n\n.. note::\n", "One\n===\n\n.. note::\n"),
}  # fmt: skip


@pytest.mark.parametrize("case", DOCUMENTS)
def test_a_document_becomes_its_paragraphs(case):
    name, content, expected = DOCUMENTS[case]
    assert text_of(name, content) == expected


@pytest.mark.parametrize("case", ["cells of a table", "the reading order of a book", "a PDF", "an RTF document"])
def test_a_document_is_known_by_its_content(case):
    name, content, expected = DOCUMENTS[case]
    content = content.encode() if isinstance(content, str) else content
    found = [read_corpus([write("a.txt", content)]), read_corpus(["-"], stdin=io.BytesIO(content))]
    found.append(read_corpus([write(f"{name}.gz", gzip.compress(content))]))
    assert [corpus.text for corpus in found] == [expected] * 3
    kind = formats.FORMATS[name.removeprefix("a.")].title
    assert [f": read as {kind}: " in corpus.notes[-1] for corpus in found] == [True, True, False]


def test_what_was_read_is_said():
    cells = notebook(("code", "x"), ("raw", "y"), ("raw", " "))
    assert read_corpus([write("a.ipynb", cells)]).notes == (
        "a.ipynb: 1 cell, 1 raw cell left out, 2 characters of text",
    )
    assert read_corpus([write("a.epub", DOCUMENTS["the reading order of a book"][1])]).notes == (
        "a.epub: 2 chapters, 10 characters of text",
    )
    for number in range(5):
        write(f"books/{number}.html", "<p>12345")
    notes = read_corpus(["books"]).notes
    assert notes[-2:] == ("books/2.html: 1 paragraph, 6 characters of text", "2 other documents: 12 characters of text")


def test_documents_join_the_stream_of_any_other_text():
    write("all/a.txt", "one")
    write("all/b.docx", word(paragraph("two") + paragraph("three")))
    write("all/c.html", "<p>four</p>")
    assert read_corpus(["all"]).text == "one\ntwo\n\nthree\nfour\n"
    by_file = read_corpus(["all"], config=TextConfig(documents="file")).text
    assert by_file.split(END_OF_DOCUMENT) == ["one", "two\n\nthree\n", "four\n", ""]
    by_paragraph = read_corpus(["all"], config=TextConfig(documents="blank-line")).text
    assert by_paragraph.split(END_OF_DOCUMENT) == ["one", "two", "three", "four", ""]


def test_a_document_is_read_once_and_its_bytes_are_seen_in_every_pass(monkeypatch):
    reader = open_corpus([write("a.docx", word(paragraph("one")))], TextConfig())
    before = whole(reader)
    assert reader.passed == reader.fingerprint()
    monkeypatch.setattr(extracting, "extract", lambda *_: pytest.fail("it is read again"))
    assert whole(reader) == whole(reader.read_as(TextConfig(level="word"))) == before
    write("a.docx", word(paragraph("two")))
    with pytest.raises(pytest.fail.Exception):
        whole(reader)


ENCODINGS = {
    "a mark wins": (b"\xef\xbb\xbf<meta charset=latin-1>", "utf-8"),
    "UTF-8 whatever it declares": ('<meta charset="iso-8859-1">é'.encode(), None),
    "as browsers read it": (b'<meta charset="iso-8859-1">\x93', "cp1252"),
    "the old way": (b'<meta http-equiv="Content-Type" content="text/html; charset=Shift_JIS">\x82', "cp932"),
    "in escapes": (b"<meta charset='iso-2022-jp'>\x1b$B", "iso2022_jp"),
    "of XML": (b'<?xml version="1.0" encoding="gb2312"?><p>\xc4', "gb18030"),
    "UTF-16 that cannot be": (b"<meta charset=utf-16>\xff", "utf-8"),
    "unknown": (b"<meta charset=klingon>\xff", None),
    "no text encoding": (b"<meta charset=hex>\xff", None),
    "of names": (b"<meta charset=idna>\xff", None),  # in which nothing can be replaced
    "of names, another": (b"<meta charset=punycode>\xff", None),
    "none": (b"<p>\xff", None),
}


@pytest.mark.parametrize("case", ENCODINGS)
def test_a_page_is_in_the_encoding_that_it_declares(case):
    content, expected = ENCODINGS[case]
    assert declared_encoding(content) == expected


RUSSIAN = "Все счастливые семьи похожи друг на друга, каждая несчастливая семья несчастлива по-своему."
POLISH = "Zażółć gęślą jaźń. W Szczebrzeszynie chrząszcz brzmi w trzcinie."
JAPANESE = "すべての人間は、生まれながらにして自由であり、かつ、尊厳と権利とについて平等である。"
GREEK = "Η Ελλάδα είναι μια χώρα της Ευρώπης, και η Αθήνα είναι η πρωτεύουσά της. Σήμερα ήταν καλός ο καιρός."
ARABIC = "ذهب الولد إلى المدرسة في الصباح وكان الجو جميلا، ثم عاد إلى البيت مع أصدقائه."
HEBREW = " ".join(TEXTS["Hebrew"][1].split())
DECLARING = '<html><meta charset="{}"><p>{}</p></html>'
MENU = "Nächste » © 2003 · ½ Tag "


@pytest.mark.parametrize(
    ("declared", "encoding", "text"),
    [
        ("iso-8859-1", "cp1251", RUSSIAN),
        ("us-ascii", "koi8-r", RUSSIAN),
        ("windows-1251", "koi8-r", RUSSIAN),
        ("windows-1252", "cp1250", POLISH),
        ("iso-8859-2", "cp1250", POLISH),
        ("iso-8859-1", "euc_jp", JAPANESE),
        ("utf-8", "cp1252", FRENCH),
        ("windows-1251", "cp1253", GREEK),
        ("koi8-r", "cp1253", GREEK),
        ("windows-1251", "cp1256", ARABIC),
        ("windows-1253", "cp1255", HEBREW),
        ("windows-1251", "cp1255", HEBREW),
    ],
)
def test_a_page_that_declares_the_wrong_encoding_is_read_by_its_bytes_and_that_is_said(declared, encoding, text):
    reader = open_corpus(write("a.html", DECLARING.format(declared, text).encode(encoding)), TextConfig())
    for _ in range(2):  # passes, of which the second knows the encoding
        assert whole(reader).text == text + "\n"
        assert reader.encodings == (encoding,)
        note, piece = reader.notes[0].rsplit(": ", 1)
        assert note == f"a.html: read as {encoding}, though it declares {declared}"
        assert piece in text


@pytest.mark.parametrize(
    ("chapter", "text", "fact"),
    [
        (b'<?xml version="1.0" encoding="koi8-r"?><p>' + RUSSIAN.encode("cp1251"), RUSSIAN, "cp1251, though koi8-r is"),
        (b'<?xml version="1.0" encoding="utf-8"?><p>' + FRENCH.encode("cp1252"), FRENCH, "cp1252, though utf-8 is"),
        (b"<p>" + JAPANESE.encode("euc_jp"), JAPANESE, "euc_jp ("),
        (b'<?xml version="1.0" encoding="windows-1251"?><p>' + RUSSIAN.encode("cp1251"), RUSSIAN, ""),
    ],
)
def test_a_chapter_is_believed_what_it_declares_as_far_as_a_page_is(chapter, text, fact):
    book = read_corpus([write("a.epub", epub({"a.xhtml": chapter}))])
    assert book.text == text + "\n"
    assert (f"1 chapter read as {fact}" if fact else "a.epub: 1 chapter, ") in book.notes[0]


@pytest.mark.parametrize(
    ("declared", "encoding", "text"),
    [
        ("windows-1251", "cp1251", RUSSIAN),
        ("koi8-r", "koi8-r", RUSSIAN.upper()),
        ("iso-8859-2", "iso8859-2", POLISH),
        ("shift_jis", "cp932", JAPANESE),
        ("iso-8859-1", "cp1252", FRENCH),
        ("iso-8859-1", "cp1252", MENU * 50),
        ("iso-8859-3", "iso8859-3", "Ĉiuj homoj estas denaske liberaj kaj egalaj laŭ digno kaj rajtoj."),
        ("ibm437", "cp437", "╔══╗ Menu ╚══╝ " * 20),
        ("utf-16", "utf-16", FRENCH),
        ("windows-1251", "cp1251", "ФЗ №44 п.3 ст.12; ГОСТ 12.1.004; ЖКХ; ЦБ РФ; МВД; ФСБ"),
        ("koi8-u", "koi8-u", "СВИ ЉУДИ РАЂАЈУ СЕ СЛОБОДНИ".replace("Љ", "Л").replace("Ђ", "Д").replace("Ј", "Й")),
        ("windows-1255", "cp1255", "יעדער מענטש ווערט געבוירן פריי און גלייך אין כבוד און רעכט"),
    ],
)
def test_a_page_stays_in_the_encoding_that_it_declares_rightly_which_is_said(declared, encoding, text):
    corpus = read_corpus([write("a.html", DECLARING.format(declared, text).encode(encoding))])
    assert corpus.text.strip() == text.strip()
    assert corpus.notes[0].startswith(f"a.html: read as {encoding}: ")
    assert not any("declares" in note for note in corpus.notes)


@pytest.mark.parametrize("name", ["a.rtf", "a.txt"])
def test_marks_that_are_letters_are_read_as_they_are_where_text_is_asked_for(name):
    for content in ("{\\rtf1\\ansi Hello\\par}\n", "%!PS-Adobe-3.0\n(Hello) show\n"):
        assert text_of(name, content, file_format="text") == content
    assert "which has no columns" in message_of("b.csv", "{\\rtf1\\ansi Hello\\par}\n", column="text")
    assert "is a picture (PNG), not plain text" in message_of(name, b"\x89PNG\r\n\x1a\n", file_format="text")


# ---- what looks like something else

LOOKALIKES = {
    "a page": ("<!-- saved --><!DOCTYPE html><p>x", "HTML", "--file-format html"),
    "a part of a page": ("\n<div class=a><p>One</p><p>Two</p></div>", "HTML", "--file-format html"),
    "a notebook": (notebook(("code", "x")), "a notebook", "--file-format ipynb"),
    "subtitles": (DOCUMENTS["subtitles"][1], "subtitles", "--file-format srt"),
    "subtitles for the web": (DOCUMENTS["subtitles for the web"][1], "subtitles", "--file-format vtt"),
    "XML": ("<?xml version='1.0'?><book/>", "XML", "no flag"),
    "XML that declares its names alone": ('<TEI xml:id="a" xmlns="http://x">\n<text>a</text></TEI>', "XML", "no flag"),
    "CSV": ("id,name,text\n1,a,b\n2,c,d\n", "CSV", "--file-format csv --column NAME"),
    "CSV of two columns": ("id,text\n1,a\n2,b\n", "CSV", "--file-format csv --column NAME"),
    "CSV with commas in its cells": ('id,text\n1,"a, b"\n2,"c\n\nd"\n', "CSV", "--file-format csv --column NAME"),
    "CSV of long articles": (
        'title,body\nA,"' + "one, two\n" * 70 + '"\nB,"' + "three, four\n" * 700 + '"\n',
        "CSV",
        "--file-format csv --column NAME",
    ),
    "TSV": ("id\ttext\n1\ta\n2\tb\n", "TSV", "--file-format tsv --column NAME"),
    "JSON Lines": ('{"text": "a"}\n{"text": "b"}\n', "JSON Lines", "--file-format jsonl --column NAME"),
    "subtitles of a player": (
        "{1}{25}Hi|you\n{30}{40}Bye\n",
        "subtitles (MicroDVD)",
        "no flag reads that. Save it as .srt",
    ),
    "a page with its pictures": (
        "From: <x>\nContent-Type: a;\n b\nMIME-Version: 1.0\n\n<p>",
        "a mail or a page in MIME",
        "no flag",
    ),
    "JSON": ('[{"text": "a"}]', "JSON", "--file-format jsonl --column NAME"),
}
LIKE_NOTHING = {
    "prose": "Well, it rained, and rained.\nThen, at last, it stopped.\nSo we went, all of us, home.\n",
    "a chat": "<john> hi\n<ann> hello\n<john> bye\n",
    "sentences with as many commas": "Well, he said, it is so.\nThen, after all, we went.\nBut, of course, not now.\n",
    "lines that end in commas": "Roses are red,\nViolets are blue,\nSugar is sweet,\n",
    "numbers": "1,234\n2,345\n3,456\n",
    "verse": "O, my love\nO, my dove\nO, above\n",
    "Markdown": "# One\n\n<b>two</b>\n",
    "code": "{\n  x: 1,\n}\n",
    "nothing": "\n",
}


@pytest.mark.parametrize("case", LOOKALIKES)
def test_a_text_that_looks_like_something_else_is_said_with_the_flag_that_reads_it(case):
    content, kind, flag = LOOKALIKES[case]
    corpus = read_corpus([write("a.txt", content)])
    assert corpus.text == content.removeprefix("\ufeff").replace("\r\n", "\n")
    assert corpus.notes[-1].startswith(f"a.txt looks like {kind}, and it is read as plain text; {flag}")
    write("b", content)
    assert read_corpus(["a.txt", "b"]).notes[-1].startswith(f"a.txt and 1 other file look like {kind}, and they are")
    assert not any("looks like" in note for note in read_corpus(["a.txt"], config=TextConfig(file_format="text")).notes)


@pytest.mark.parametrize(("name", "is_said"), [("a.xml", True), ("a.rss", True), ("a.svg", True), ("a.xsl", False)])
def test_markup_is_said_of_data_by_a_name_of_their_own_and_not_of_code(name, is_said):
    notes = read_corpus([write(name, LOOKALIKES["XML"][0])]).notes
    assert any("looks like XML" in note for note in notes) == is_said


@pytest.mark.parametrize("case", LIKE_NOTHING)
def test_a_text_that_is_just_text_is_not_said_to_be_something_else(case):
    assert read_corpus([write("a.txt", f"{LIKE_NOTHING[case]}x")]).notes == ()


@pytest.mark.parametrize("encoding", ["iso2022_jp", "utf-16-le", "utf-16-be", "utf-16"])
def test_what_a_text_looks_like_is_told_by_its_letters_and_not_by_their_bytes(encoding):
    """The bytes of this Japanese in ISO-2022-JP have a bar in each line."""
    prose = "今日はとても良い天気です。\n明日もとても良い天気です。\n昨日もとても良い天気です。\n"
    assert not any("looks like" in note for note in read_corpus([write("a.txt", prose.encode(encoding))]).notes)
    content = f"<html><body><p>a</p><p>{prose if '2022' in encoding else 'b'}</p></body></html>"
    notes = read_corpus([write("b.txt", content.encode(encoding))]).notes
    assert notes[-1].startswith("b.txt looks like HTML")


@pytest.mark.parametrize("case", ["blocks of a page", "a notebook", "subtitles", "subtitles for the web"])
def test_the_flag_that_is_named_reads_it(case):
    name, content, expected = DOCUMENTS[case]
    file_format = name.removeprefix("a.")
    assert text_of("a.txt", content, file_format="html" if file_format == "htm" else file_format) == expected
    assert text_of(name, content, file_format="text") != expected


def test_the_flags_that_are_named_for_a_table_read_it():
    write("a.txt", LOOKALIKES["TSV"][0])
    table = read_corpus(["a.txt"], config=TextConfig(file_format="tsv", column="text")).text
    assert table == f"a{END_OF_DOCUMENT}b{END_OF_DOCUMENT}"
    for settings in ({"file_format": "csv"}, {"file_format": "html", "column": "a"}):
        with pytest.raises(SettingError, match="`file_format="):
            TextConfig(**settings)


# ---- what is refused

DTD = '<!DOCTYPE a [<!ENTITY l "lol"><!ENTITY m "&l;&l;&l;"><!ENTITY x SYSTEM "file:///etc/hostname">]>'
OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(504)
WHOLE = word(paragraph("one"))
DRM = '<encryption><CipherData><CipherReference URI="OEBPS/a.xhtml"/></CipherData></encryption>'
FONT = DRM.replace("a.xhtml", "font.otf")

LOCKED = bytearray(WHOLE)
for signature, place in ((b"PK\3\4", 6), (b"PK\1\2", 8)):  # where the flags of a member stand
    for start in range(len(LOCKED) - place):
        LOCKED[start + place] |= LOCKED.startswith(signature, start)

REFUSED = {
    "a cut archive": ("a.docx", WHOLE[: len(WHOLE) // 2], "a.docx is damaged"),
    "no archive": ("a.docx", b"\0\1\2" * 9, "a.docx is not a Word document, whatever its name says. It is damaged"),
    "a text by the name of a document": ("a.epub", "one", "looks like plain text; --file-format text"),
    "a page by the name of a document": ("a.docx", "<html><p>x", "looks like HTML; --file-format html"),
    "an empty document": ("a.docx", word(paragraph("")), "a.docx is a Word document without any text in it"),
    "a page of scripts": ("a.html", "<script>x</script>", "a.html is a page of HTML without any text in it"),
    "a PDF of pictures": ("a.pdf", pdf([]), "(OCR)"),
    "a PDF with a password": ("a.pdf", encrypted(pdf(["x"]), "secret"), "a.pdf is encrypted. Save it without"),
    "a damaged PDF": ("a.pdf", b"%PDF-1.4\nnonsense", "a.pdf is damaged"),
    "a book with a lock": ("a.epub", epub({"a.xhtml": "x"}, encryption=DRM), "a.epub is protected against copying"),
    "a text with a lock": ("a.odt", odt("", "<encryption-data/>"), "a.odt is encrypted"),
    "a Word document with a lock": ("a.docx", OLE + "EncryptedPackage".encode("utf-16-le"), "a.docx is encrypted"),
    "an archive with a lock": ("a.docx", bytes(LOCKED), "a.docx is encrypted"),
    "an old Word document": ("a.doc", OLE + "WordDocument".encode("utf-16-le"), "an old Word document (.doc)"),
    "a workbook": ("a.txt", archive({"[Content_Types].xml": "", "xl/workbook.xml": ""}), "a.txt is an Excel workbook"),
    "a presentation": ("a.docx", archive({"[Content_Types].xml": "", "ppt/x": ""}), "a PowerPoint presentation"),
    "an archive": ("a.zip", archive({"a.txt": "x", "b.txt": "y"}), "a zip archive of 2 files. Unpack it"),
    "no notebook": ("a.ipynb", "{", "a.ipynb is no notebook"),
    "a deep notebook": ("a.ipynb", "[" * 100_000, "a.ipynb is no notebook"),
    "no subtitles": ("a.srt", "one\ntwo\n", "a.srt holds no subtitles"),
    "entities that multiply": ("a.docx", word("&m;", before=DTD), "defines entities in its XML"),
    "an entity that fetches": ("a.odt", archive({"mimetype": "application/vnd.oasis.opendocument.text",
        "content.xml": f"{DTD}<a>&x;</a>"}), "defines entities in its XML"),
    "a compression of no document": ("a.docx", archive({"[Content_Types].xml": "", "word/document.xml": "x"},
        zipfile.ZIP_LZMA), "compressed by method 14"),
    "a book without a list": ("a.epub", archive({"mimetype": "application/epub+zip"}), "a.epub is damaged"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_read_is_one_line_that_says_why(case):
    name, content, expected = REFUSED[case]
    assert expected in message_of(name, content)


def test_obscured_fonts_are_no_lock_and_a_missing_chapter_is_said():
    book = epub({"a.xhtml": "<p>x\xff</p>".encode("latin-1")}, ["a.xhtml", "gone"], encryption=FONT)
    assert text_of("a.epub", book) == "x\ufffd\n"
    assert "1 chapter, 1 undecodable byte shown as U+FFFD, 4 characters" in read_corpus(["a.epub"]).notes[-1].replace(
        "3 c", "4 c"
    )


def test_a_damaged_part_of_an_archive_is_named_with_what_is_wrong_with_it():
    whole = bytearray(word(paragraph("Fish and chips, and some more of it.")))
    place = whole.index(b"word/document.xml") + len("word/document.xml")
    whole[place : place + 4] = bytes(byte ^ 0xFF for byte in whole[place : place + 4])
    message = message_of("a.docx", bytes(whole))
    assert "its part 'word/document.xml' cannot be read (Error -3 while decompressing" in message


def test_in_a_folder_what_cannot_be_read_is_left_out_and_said():
    for number, case in enumerate(["a cut archive", "a PDF with a password", "an old Word document"]):
        name, content, _ = REFUSED[case]
        write(f"mine/{number}{name[1:]}", content)
    write("mine/z.txt", "text")
    reader = open_corpus(["mine"], TextConfig())
    corpus = whole(reader)
    assert corpus.text == "text"
    assert [note.split(".")[0] for note in corpus.notes if note.startswith("left out")] == [
        "left out: mine/0", "left out: mine/1"
    ]  # fmt: skip
    assert "2.doc" in reader.left_out[0]
    assert reader.passed == reader.fingerprint()


def test_without_its_library_a_document_is_named_with_what_installs_it(monkeypatch):
    monkeypatch.setattr(formats.importlib.util, "find_spec", lambda name: None)
    assert message_of("a.pdf", pdf(["x"])) == "a.pdf is a PDF document. To read it: pip install 'textgen[documents]'"
    assert "a.txt is an RTF document. To read it" in message_of("a.txt", r"{\rtf1 x}")
    write("mine/z.txt", "text")
    write("mine/a.pdf", pdf(["x"]))
    assert open_corpus(["mine"], TextConfig()).left_out == (
        "left out of mine: a.pdf; pip install 'textgen[documents]' reads .pdf",
    )


# ---- what would do harm


def test_a_bomb_is_refused_while_it_is_read_whatever_its_header_says(monkeypatch):
    monkeypatch.setattr(archives, "FREE", 1 << 18)
    bomb = word(" " * (1 << 22))
    place = bomb.rindex(b"PK\1\2") + 24  # where the size of the last member stands, said to be one byte
    for content in (bomb, bomb[:place] + b"\1\0\0\0" + bomb[place + 4 :]):
        tracemalloc.start()
        message = message_of("a.docx", content)
        assert tracemalloc.get_traced_memory()[1] < 1 << 21
        tracemalloc.stop()
        assert "holds far more than its size says" in message or "is damaged" in message
    many = epub({f"{number}.xhtml": " " * (1 << 17) for number in range(30)})
    assert "holds far more than its size says" in message_of("b.epub", many)
    monkeypatch.setattr(archives, "MOST_MEMBERS", 10)
    assert "more than 10 members" in message_of("b.epub", many)


def test_nested_elements_and_open_tags_take_time_in_proportion():
    """With html.parser some of these pages would take minutes."""
    assert text_of("a.docx", word("<w:x>" * 20_000 + paragraph("deep") + "</w:x>" * 20_000)) == "deep\n"
    for part in ("<div>", "<p>", "<b>", "</i>", "<!", "<!--", "<![CDATA[", "<title>", "<nav>", "<rt>", "<pre>", "<sup>",
                 "<script></script ", "<a href='", '<a b="c', "<a <", "<a href=#>x"):  # fmt: skip
        text_of_page(f"<p>x</p>{part * 5_000}")


@pytest.mark.parametrize("case", ["signs of Word", "a page of a book as XML", "an OpenDocument text",
    "what is not for reading", "a notebook", "subtitles", "an RTF document", "a PDF"])  # fmt: skip
def test_a_document_that_is_damaged_anywhere_is_read_or_refused_in_one_line(case):
    name, content, _ = DOCUMENTS[case]
    content = content.encode() if isinstance(content, str) else content
    draw = random.Random(case)
    for _ in range(25):
        damaged = bytearray(content)
        for _ in range(draw.choice((1, 3, 20))):
            damaged[draw.randrange(len(damaged))] = draw.choice((0, 60, 255, draw.randrange(256)))
        cut = damaged[: draw.choice((len(damaged), draw.randrange(1, len(damaged))))]
        with contextlib.suppress(CorpusError):
            text_of(name, bytes(cut), encoding="latin-1")
