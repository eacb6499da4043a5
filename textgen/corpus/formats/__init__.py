"""Documents that people write in -> their text: paragraphs with blank lines between them, and no markup.

    telling    bytes -> what they are, whatever the name says
    archives   a zip archive, read in bounded memory
    markup     XML -> events, without entities; what paragraphs have in common
    word       .docx
    epub       .epub, in the order of its spine; its chapters are HTML
    odt        .odt
    html       .html               (page_encoding: which encoding a page declares, and whether it is in that)
    notebook   .ipynb: the sources of its cells
    subtitles  .srt and .vtt: what is said
    rtf, pdf   with the libraries of the extra `documents`
    kept       texts that were read once, for the passes that follow

Each of the readers has a function `extract`, and is imported when there is something to read. Nothing in a document is
executed, fetched or written to a disk. What is read is bounded in bytes, as they come and not as a header says.
"""

import importlib
import importlib.util
from typing import NamedTuple

from textgen.errors import CorpusError
from textgen.messages import counted

LARGEST_DOCUMENT = 1 << 29  # bytes of a file that has to be in memory as a whole
EXTRA = "pip install 'textgen[documents]'"


class DocumentError(CorpusError):
    """Seen by users whose document is damaged, protected, empty, or of a kind that is not read."""


class Extract(NamedTuple):
    """The text of a document, and what it was made of, such as `31 chapters`."""

    text: str
    parts: str

    def facts(self) -> str:
        """What is said of it."""
        return f"{self.parts}, {counted(len(self.text), 'character')} of text"


class Format(NamedTuple):
    """A kind of document."""

    title: str  # with its article
    endings: tuple[str, ...]
    module: str  # whose `extract` reads it
    is_binary: bool = False  # read from bytes; else from the decoded text
    library: str | None = None  # that is not always installed


FORMATS = {
    "docx": Format("a Word document", ("docx", "docm", "dotx"), "word", is_binary=True),
    "epub": Format("an EPUB book", ("epub",), "epub", is_binary=True),
    "odt": Format("an OpenDocument text", ("odt", "ott"), "odt", is_binary=True),
    "pdf": Format("a PDF document", ("pdf",), "pdf", is_binary=True, library="pypdf"),
    "rtf": Format("an RTF document", ("rtf",), "rtf", is_binary=True, library="striprtf"),
    "html": Format("a page of HTML", ("html", "htm", "xhtml", "shtml"), "html"),
    "ipynb": Format("a notebook", ("ipynb",), "notebook"),
    "srt": Format("a file of subtitles", ("srt",), "subtitles"),
    "vtt": Format("a file of subtitles", ("vtt",), "subtitles"),
}
BY_ENDING = {ending: name for name, kind in FORMATS.items() for ending in kind.endings}


def is_installed(name: str) -> bool:
    """Whether the library that reads the format `name` is here; most need none."""
    library = FORMATS[name].library
    return library is None or importlib.util.find_spec(library) is not None


def extract(name: str, content: bytes | str, shown_name: str) -> Extract:
    """The text of a document.

    Args:
        name: of its format.
        content: its bytes, or its text where the format is made of text.

    Raises:
        DocumentError: it cannot be read, or holds no text.
    """
    if not is_installed(name):
        raise DocumentError(f"{shown_name} is {FORMATS[name].title}. To read it: {EXTRA}")
    module = importlib.import_module(f"{__name__}.{FORMATS[name].module}")
    found: Extract = module.extract(content, shown_name)
    text = clean(found.text)
    if not text:
        raise DocumentError(f"{shown_name} is {FORMATS[name].title} without any text in it. {_advice(name)}")
    return found._replace(text=text)


def clean(text: str) -> str:
    """`text` with LF line ends, without marks that only a typesetter needs, and with one newline at its end.

    A soft hyphen says where a word may be broken, and would cut it in two for a model. Pairs of surrogates become the
    character that they stand for, halves U+FFFD.
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\xad", "").replace("\0", "")
    if not text.isascii():
        text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    text = text.strip("\n")
    return f"{text}\n" if text.strip() else ""


def _advice(name: str) -> str:
    if name == "pdf":
        return "Pages that are pictures need a program that recognises letters (OCR)."
    return "Give a file that holds text." if FORMATS[name].is_binary else "--file-format text reads it as it is."
