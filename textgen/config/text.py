"""How a corpus is read."""

import dataclasses

from textgen.errors import SettingError
from textgen.schema import Settings, setting

# The one symbol that stands behind every document where a corpus is many short texts. Half of a surrogate pair: no
# valid text can hold it, so documents need no escaping.
END_OF_DOCUMENT = "\udc00"
NORMAL_FORMS = ("none", "nfc", "nfkc", "casefold")
ENCODING_ERRORS = ("strict", "replace", "skip")
DOCUMENT_KINDS = ("whole", "file", "line", "blank-line")


@dataclasses.dataclass(frozen=True)
class TextConfig(Settings):
    """How a corpus is read and cut into tokens."""

    level: str = setting(
        None,
        "What a token is: a character or a word.",
        choices=("char", "word"),
        unset="word for the starter corpus, else char",
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
    column: str | None = setting(None, "Column of a CSV, TSV or JSONL file. Each of its cells is a document.")
    encoding: str = setting("auto", "Encoding of the corpus. auto is UTF-8 where it is valid, else what is found.")
    encoding_errors: str = setting(
        "strict",
        "What happens to bytes that do not fit the encoding: an error, \ufffd in their place, or nothing.",
        choices=ENCODING_ERRORS,
        is_new=True,
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.column is not None and self.documents != "whole":
            raise SettingError(f"`column` makes every row a document; leave out `documents={self.documents}`")
        if self.vocabulary_size is not None and self.level != "word":
            raise SettingError(
                "`vocabulary_size` is for `level=word`; a character model has all characters of its text"
            )

    @property
    def has_documents(self) -> bool:
        """Whether the corpus is many texts, each with an end that a model learns."""
        return self.document_separator is not None

    @property
    def document_separator(self) -> str | None:
        """What is written between two documents when text goes on; None where there are none."""
        if self.column is not None or self.documents == "line":
            return "\n"
        return None if self.documents == "whole" else "\n\n"
