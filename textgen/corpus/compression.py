"""Files that are compressed as a whole, by gzip or Zstandard: their first bytes tell, whatever they are called.

Where those do not, the name does. Both are read as a stream, in several parts where a file has several (members of
gzip, frames of Zstandard). No more is held than is asked for and the window of Zstandard, which is bounded.
"""

import gzip
import importlib
import importlib.util
import zlib
from typing import IO, TYPE_CHECKING

from textgen.errors import CorpusError

if TYPE_CHECKING:
    from textgen.corpus.decoding import ByteStream

GZIP_MAGIC, ZSTD_MAGIC = b"\x1f\x8b\x08", b"\x28\xb5\x2f\xfd"
MAGIC_BYTES = 4
SKIPPED = tuple(bytes([0x50 + number, 0x2A, 0x4D, 0x18]) for number in range(16))  # frames that hold something else
BEGINNINGS = {"gz": (GZIP_MAGIC,), "zst": (ZSTD_MAGIC, *SKIPPED)}
ENDINGS = (".gz", ".zst")
LARGEST_WINDOW = 27  # log 2 of its bytes; what `zstd` takes without being asked for more
EXTRA = "pip install 'textgen[zstd]'"


class DamagedError(Exception):
    """The data are not what was compressed."""


# What reading raises where the data are damaged or cut.
DAMAGED = (DamagedError, EOFError, gzip.BadGzipFile, zlib.error)


def uncompressed(name: str) -> str:
    """`name` without `.gz` or `.zst`."""
    return next((name[: -len(end)] for end in ENDINGS if name.lower().endswith(end)), name)


def kind_of(head: bytes, name: str = "") -> str:
    """How a file is compressed: "gz", "zst", or not at all: "".

    Args:
        head: its first bytes, MAGIC_BYTES at least; nothing of an empty file.
        name: of the file, where it says something.
    """
    if head.startswith(GZIP_MAGIC):
        return "gz"
    if head.startswith(ZSTD_MAGIC):
        return "zst"
    return next((end[1:] for end in ENDINGS if head and name.lower().endswith(end)), "")


def check_kind(kind: str, head: bytes, shown_name: str) -> None:
    """Raise CorpusError for a file that only its name calls compressed.

    Args:
        head: its first bytes, as of `kind_of`; fewer of a file that is cut.
    """
    if kind and not any(head[: len(begin)] == begin[: len(head)] for begin in BEGINNINGS[kind]):
        name, ending = {"gz": "gzip", "zst": "Zstandard"}[kind], f".{kind}"
        raise CorpusError(
            f"{shown_name} is not compressed by {name}, whatever its name says. Take {ending} off its name."
        )


def is_installed(name: str) -> bool:
    """Whether a file of that name can be read here: a library is needed for `.zst`."""
    try:
        return not name.lower().endswith(".zst") or importlib.util.find_spec("backports.zstd") is not None
    except ModuleNotFoundError:  # of `backports` itself
        return False


def decompressed(kind: str, stream: "ByteStream", shown_name: str) -> "ByteStream":
    """The bytes that `stream` was compressed from, by `kind`. Raises CorpusError where the library is missing."""
    if kind == "gz":
        # The types ask for `seek` too, which is never called in one pass.
        return gzip.GzipFile(fileobj=stream, mode="rb")  # type: ignore[call-overload]
    if kind == "zst":
        return _Zstandard(stream, shown_name)
    return stream


class _Zstandard:
    """The bytes of all frames."""

    def __init__(self, stream: "ByteStream", shown_name: str):
        try:
            zstd = importlib.import_module("backports.zstd")
        except ImportError:
            raise CorpusError(f"{shown_name} is compressed by Zstandard. To read it: {EXTRA}") from None
        options = {zstd.DecompressionParameter.window_log_max: LARGEST_WINDOW}
        self._file: IO[bytes] = zstd.ZstdFile(stream, options=options)
        self._error = zstd.ZstdError

    def read(self, size: int = -1, /) -> bytes:
        """As of a binary file."""
        try:
            return self._file.read(size)
        except self._error as error:
            raise DamagedError(str(error)) from None
