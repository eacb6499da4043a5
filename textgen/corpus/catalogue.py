"""The corpora that have a name.

Two are always there: the starter corpus, which is part of the package, and the language reference of CPython. The
others are downloads, pinned to a commit, a size and a hash. Every text is UTF-8.
"""

import dataclasses
import importlib
from pathlib import Path

from textgen.errors import CorpusError
from textgen.messages import nearest, shown

STARTER_NAME = "chronicles"
PACKAGE = Path(__file__).parents[1]


@dataclasses.dataclass(frozen=True)
class Download:
    """A file to fetch. `url_path` follows the base URL; `bytes` and `sha256` say what must arrive."""

    url_path: str
    bytes: int
    sha256: str


@dataclasses.dataclass(frozen=True)
class CatalogueEntry:
    """A named corpus. `download` is None for a built-in text; `level`, "char" or "word", is its model's by default."""

    name: str
    description: str
    language: str
    license: str
    download: Download | None = None
    level: str = "char"


CATALOGUE = (
    CatalogueEntry(
        name=STARTER_NAME,
        description="Chronicles of a kingdom whose guardians keep, forget and pass on memories",
        language="English",
        license="CC0-1.0",
        level="word",
    ),
    CatalogueEntry(
        name="python-docs",
        description="The language reference that this Python carries (pydoc_data.topics)",
        language="English",
        license="PSF-2.0",
    ),
    CatalogueEntry(
        name="tiny-shakespeare",
        description="Scenes of Shakespeare's plays; the field's usual benchmark",
        language="English",
        license="public domain",
        download=Download(
            url_path="/karpathy/char-rnn/6f9487a6fe5b420b7ca9afb0d7c078e37c1d1b4e/data/tinyshakespeare/input.txt",
            bytes=1_115_394,
            sha256="86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed",
        ),
    ),
    CatalogueEntry(
        name="names",
        description="32,033 first names, one per line",
        language="English",
        license="MIT",
        download=Download(
            url_path="/karpathy/makemore/988aa59e4d8fefa526d06f3b453ad116258398d4/names.txt",
            bytes=228_145,
            sha256="0a30b5557f192f32ab962680889aac5f6fda0f4cecf40a6d0b5694f58ea8cc4d",
        ),
    ),
    CatalogueEntry(
        name="war-and-peace",
        description="Tolstoy's novel in English",
        language="English",
        license="public domain",
        download=Download(
            url_path="/yxtay/char-rnn-text-generation/b8585e3a3609c945bdfc48daa21658bfc4128f1b/data/warpeace.txt",
            bytes=3_258_246,
            sha256="fb66ba999dafe24017cdd59e04c56d385a9c8466993d374fd4c6f08b2142985e",
        ),
    ),
    CatalogueEntry(
        name="nietzsche",
        description="Beyond Good and Evil, in English",
        language="English",
        license="public domain",
        download=Download(
            url_path="/yxtay/char-rnn-text-generation/b8585e3a3609c945bdfc48daa21658bfc4128f1b/data/nietzsche.txt",
            bytes=600_901,
            sha256="23cf69874ab69d3d256099ab530ea4be24d47d9675b673bcc67cbcd6298ec647",
        ),
    ),
    CatalogueEntry(
        name="tang-poetry",
        description="Poems of the Tang dynasty; thousands of symbols",
        language="Chinese",
        license="public domain",
        download=Download(
            url_path="/hzy46/Char-RNN-TensorFlow/7d23f2f1b436afbd5baf67af466d3b5a72f04b71/data/poetry.txt",
            bytes=2_683_016,
            sha256="ffc4d1112de038bc26cd0271ef3094fe9bae98e36c72537f4997959dec167154",
        ),
    ),
)


def find_entry(name: str) -> CatalogueEntry:
    """The entry called `name`. Raises CorpusError that names the nearest one."""
    entries = {entry.name: entry for entry in CATALOGUE}
    if name not in entries:
        hint = nearest(name, entries) or f"There are: {', '.join(entries)}."
        raise CorpusError(f"No corpus is called {shown(name) or repr(name)}. {hint}")
    return entries[name]


def starter_path() -> Path:
    """The starter corpus: inside an installed package, beside the package in a checkout."""
    places = [PACKAGE / "corpora", PACKAGE.parent / "corpora"]
    for place in places:
        if (place / f"{STARTER_NAME}.txt").is_file():
            return place / f"{STARTER_NAME}.txt"
    raise CorpusError(f"There is no {STARTER_NAME}.txt in {places[1]}. Reinstall textgen.")


def built_in_bytes(entry: CatalogueEntry) -> bytes:
    """The UTF-8 text of a built-in entry. Raises CorpusError when this installation lacks it."""
    if entry.name != STARTER_NAME:
        return python_docs().encode("utf-8")
    try:
        return starter_path().read_bytes()
    except OSError as error:
        raise CorpusError(f"{entry.name} cannot be read: {error.strerror}. Reinstall textgen.") from error


def python_docs() -> str:
    """Every topic of Python's language reference in alphabetical order, each under its name."""
    try:
        topics = importlib.import_module("pydoc_data.topics").topics
    except ImportError:
        raise CorpusError("This Python comes without pydoc_data, so there is no python-docs.") from None
    sections = (f"{name}\n{'=' * len(name)}\n\n{topics[name].strip()}\n" for name in sorted(topics))
    return "\n".join(sections)
