"""How a corpus is read."""

import dataclasses
from collections.abc import Mapping
from typing import Any, Self

from textgen.errors import SettingError
from textgen.messages import unescape
from textgen.schema import Settings, setting

# The one symbol that stands behind every document where a corpus is many short texts. Half of a surrogate pair: no
# valid text can hold it, so documents need no escaping.
END_OF_DOCUMENT = "\udc00"
NORMAL_FORMS = ("none", "nfc", "nfkc", "casefold")
ENCODING_ERRORS = ("strict", "replace", "skip")
DOCUMENT_KINDS = ("whole", "file", "line", "blank-line")
TABLES = ("csv", "tsv", "jsonl")
MODEL_ONLY = ("level", "vocabulary_size", "normalize")  # what the tokenizer says of a text, and not the files
FILE_FORMATS = ("auto", "text", "html", "ipynb", "srt", "vtt", *TABLES)
# What was taken of a folder before there was `include`, in any case: texts, or tables where a column was wanted.
TEXTS_BEFORE = ("*.[tT][xX][tT]",)
TABLES_BEFORE = ("*.[cC][sS][vV]", "*.[tT][sS][vV]", "*.[jJ][sS][oO][nN][lL]")


@dataclasses.dataclass(frozen=True)
class TextConfig(Settings):
    """How a corpus is read and cut into tokens."""

    level: str = setting(
        None,
        "What a token is: a character or a word.",
        choices=("char", "word"),
        unset="that of the model it begins with, else char; word for the starter corpus",
    )
    vocabulary_size: int | None = setting(
        None,
        "Size of a word model's vocabulary: all characters of the text and its most frequent words.",
        minimum=1,
        maximum=4_194_304,
        unset="30000, or all words that occur twice",
    )
    normalize: str = setting(
        "none", "Unicode form to convert every text to. The original form is lost.", choices=NORMAL_FORMS
    )
    documents: str = setting(
        "whole", "What counts as one document. The model learns where documents end.", choices=DOCUMENT_KINDS
    )
    document_separator: str | None = setting(
        None,
        "Text that stands between two documents, such as '<|endoftext|>' or '\\n---\\n'; \\n and \\t are a line "
        "end and a tab.",
        is_new=True,
    )
    column: str | None = setting(
        None,
        "Column of a CSV, TSV, JSON, JSON Lines, Parquet or Arrow file, by name or, except in JSON, by number; a.b is "
        "b within a, and title,body joins two. Each of its cells is a document.",
    )
    bad_rows: str = setting(
        "error",
        "What happens at a row of the table that cannot be read: an error, or it is left out and counted.",
        choices=("error", "skip"),
        is_new=True,
    )
    file_format: str = setting(
        "auto",
        "Format of the files: auto tells it by name and content, text reads them as they are.",
        choices=FILE_FORMATS,
        before="text",
    )
    include: tuple[str, ...] | None = setting(
        None,
        "Files of a folder to read, by a pattern such as '*.py'; may be repeated.",
        unset="all that is text",
        is_new=True,
    )
    exclude: tuple[str, ...] = setting(
        (), "Files and folders of a folder to leave out, by a pattern; may be repeated.", is_new=True
    )
    encoding: str = setting("auto", "Encoding of the corpus. auto is UTF-8 where it is valid, else what is found.")
    encoding_errors: str = setting(
        "strict",
        "What happens to bytes that do not fit the encoding: an error, \ufffd in their place, or nothing.",
        choices=ENCODING_ERRORS,
        is_new=True,
    )

    def read_as(self, asked: Mapping[str, Any]) -> Self:
        """The same, with what is `asked` of files; where that says what documents are, nothing else says it."""
        parting = {"documents": "whole", "document_separator": None, "column": None, "bad_rows": "error"}
        if not asked.keys() & (parting.keys() - {"bad_rows"}):
            parting = {}
        elif self.file_format in TABLES:
            parting["file_format"] = "auto"
        return self.replace(**parting | dict(asked))

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.column is not None and self.documents != "whole":
            raise SettingError(f"`column` makes every row a document; leave out `documents={self.documents}`")
        if self.document_separator is not None:
            self._check_separator(self.document_separator)
        if self.bad_rows != "error" and self.column is None:
            raise SettingError(
                f"`bad_rows` is for the rows of a table; add `column`, or leave out `bad_rows={self.bad_rows}`"
            )
        if self.vocabulary_size is not None and self.level != "word":
            raise SettingError(
                "`vocabulary_size` is for `level=word`; a character model has all characters of its text"
            )
        if self.column is None and self.file_format in TABLES:
            raise SettingError(f"`file_format={self.file_format}` is for a table; add the `column` to read")
        if self.column is not None and self.file_format not in ("auto", "text", *TABLES):
            raise SettingError(f"`column` is for tables; leave out `file_format={self.file_format}`")
        for name, patterns in (("include", self.include), ("exclude", self.exclude)):
            for pattern in patterns or ():
                _check_pattern(name, pattern)

    @classmethod
    def from_json(cls, document: Any) -> Self:
        """As of all settings; of a folder, an older version took what it knew."""
        if isinstance(document, dict) and "include" not in document:
            before = TEXTS_BEFORE if document.get("column") is None else TABLES_BEFORE
            document = document | {"include": list(before)}
        return super().from_json(document)

    def _check_separator(self, separator: str) -> None:
        for name, is_given in (("documents", self.documents != "whole"), ("column", self.column is not None)):
            if is_given:
                raise SettingError(
                    f"`document_separator` says where documents end; leave out `{name}={getattr(self, name)}`"
                )
        if not separator or any("\ud800" <= symbol < "\ue000" for symbol in separator):
            raise SettingError(
                f"`document_separator` must be a text of at least one character. Received: {separator!r}"
            )

    @property
    def has_documents(self) -> bool:
        """Whether the corpus is many texts, each with an end that a model learns."""
        return self.between_documents is not None

    @property
    def mark(self) -> str | None:
        """What stands between two documents of the corpus, as it stands there; None where other things part them."""
        return None if self.document_separator is None else unescape(self.document_separator).replace("\r\n", "\n")

    @property
    def between_documents(self) -> str | None:
        """What is written between two documents when text goes on; None where there are none. Tokenizers keep it."""
        if self.column is not None or self.documents == "line":
            return "\n"
        return None if self.documents == "whole" and self.document_separator is None else "\n\n"


def _check_pattern(name: str, pattern: str) -> None:
    """Raise SettingError for a pattern that no name fits, or that cannot be written down."""
    try:
        pattern.encode()
    except UnicodeEncodeError:
        raise SettingError(f"`{name}` must be valid Unicode. Received: {pattern!a:.300}") from None
    if not pattern.strip("/"):
        raise SettingError(f"`{name}` must be a pattern such as '*.py'. Received: {pattern!r}")
