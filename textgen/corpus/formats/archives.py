"""A zip archive of unknown origin: its members, in bounded memory.

Nothing is unpacked to a disk. What is read is counted as it comes out, since a header may say anything: a member that
grows too much is a bomb, and so are many that do so together.
"""

import io
import struct
import zipfile
import zlib

from textgen.corpus.containers import KINDS, NUM_BYTES, container_of
from textgen.corpus.formats import DocumentError
from textgen.messages import counted, shown

LARGEST = 1 << 28  # bytes that come out of one archive
LARGEST_RATIO = 200  # to the bytes of the archive; the markup of real documents stays below 50
FREE = 1 << 24  # bytes that may come out at any ratio
MOST_MEMBERS = 50_000  # the names of a million would fill the memory
CHUNK = 1 << 16
DIRECTORY_ENTRY = b"PK\1\2"
DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, struct.error, OverflowError, LookupError)
IS_ENCRYPTED = 1  # in a member's flags

OFFICE = {
    "xl/": "an Excel workbook. Save the sheet as CSV; --column NAME takes one column of it",
    "ppt/": "a PowerPoint presentation. Save its text as .txt or .docx",
    "visio/": "a Visio drawing, which holds no text to learn from",
}
OPEN_DOCUMENT = {
    "spreadsheet": "an OpenDocument spreadsheet. Save the sheet as CSV; --column NAME takes one column of it",
    "presentation": "an OpenDocument presentation. Save its text as .txt or .odt",
    "graphics": "an OpenDocument drawing. Save its text as .txt or .odt",
}


class Archive:
    """The zip archive in `data`. Raises DocumentError, also while it is read."""

    def __init__(self, data: bytes, shown_name: str):
        self.shown_name = shown_name
        self._first = data[:NUM_BYTES]
        self._num_bytes = len(data)
        self._num_read = 0
        if data.count(DIRECTORY_ENTRY) > MOST_MEMBERS:
            raise DocumentError(f"{shown_name} has more than {MOST_MEMBERS:,} members, so it is not read.")
        try:
            self._zip = zipfile.ZipFile(io.BytesIO(data))
        except (*DAMAGED, RuntimeError) as error:
            raise self.damaged(f"its list of members cannot be read ({_reason(error)})") from None
        self._members = {member.filename: member for member in self._zip.infolist()}
        self._folded = {name.casefold(): name for name in self._members}

    def __contains__(self, name: str) -> bool:
        return name.casefold() in self._folded

    @property
    def names(self) -> list[str]:
        """The names of all members."""
        return list(self._members)

    def read(self, name: str) -> bytes:
        """The bytes of a member, whose name may differ in case."""
        if name not in self:
            raise self.damaged(f"it has no {name!a:.80}")
        member = self._members[self._folded[name.casefold()]]
        if member.flag_bits & IS_ENCRYPTED:
            raise DocumentError(f"{self.shown_name} is encrypted. Save it without a password.")
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise self.damaged(f"a part is compressed by method {member.compress_type}, which no document uses")
        chunks = []
        try:
            with self._zip.open(member) as file:
                while chunk := file.read(CHUNK):
                    chunks.append(chunk)
                    self._count(len(chunk))
        except (*DAMAGED, RuntimeError) as error:
            raise self.damaged(f"its part {name!a:.80} cannot be read ({_reason(error)})") from None
        return b"".join(chunks)

    def damaged(self, what: str) -> DocumentError:
        """The error that says `what` is wrong."""
        title = KINDS[container_of(self._first) or "zip"][0]
        return DocumentError(
            f"{self.shown_name} is damaged: it looks like {title}, but {what}. Copy it again, or save it anew."
        )

    def _count(self, num_bytes: int) -> None:
        self._num_read += num_bytes
        if self._num_read > LARGEST or self._num_read > max(FREE, LARGEST_RATIO * self._num_bytes):
            raise DocumentError(
                f"{self.shown_name} holds far more than its size says, {self._num_read:,} bytes and more in "
                f"{self._num_bytes:,}, so it is not read."
            )


def format_of(data: bytes, shown_name: str, named: str = "") -> str:
    """The document that a zip archive is: "docx", "epub" or "odt".

    Args:
        named: what the file's name says it is.

    Raises:
        DocumentError: it is none; says what it is.
    """
    archive = Archive(data, shown_name)
    mimetype = archive.read("mimetype")[:200].decode("ascii", "replace").strip() if "mimetype" in archive else ""
    if mimetype == "application/epub+zip" or "META-INF/container.xml" in archive:
        return "epub"
    if mimetype.startswith("application/vnd.oasis.opendocument.text"):
        return "odt"
    for kind, what in OPEN_DOCUMENT.items():
        if mimetype.startswith(f"application/vnd.oasis.opendocument.{kind}"):
            raise DocumentError(f"{shown_name} is {what}.")
    if "word/document.xml" in archive:
        return "docx"
    for folder, what in OFFICE.items():
        if any(name.startswith(folder) for name in archive.names):
            raise DocumentError(f"{shown_name} is {what}.")
    if "[Content_Types].xml" in archive:  # which says where in it the text is
        return "docx"
    if any(name.startswith(("Index/", "Index.zip")) for name in archive.names):
        raise DocumentError(f"{shown_name} is a document of Apple's Pages or Numbers. Export it as .docx or .txt.")
    what = f"a zip archive of {counted(len(archive.names), 'file')}"
    is_not = f"not {named}, whatever its name says, but " if named else ""
    raise DocumentError(f"{shown_name} is {is_not}{what}. Unpack it, and give the folder.")


def _reason(error: Exception) -> str:
    """What is wrong, in the words of the library that found it."""
    return shown(str(error) or type(error).__name__, 100)


def what_ole_is(data: bytes, shown_name: str) -> DocumentError:
    """The error for a file in the container of Word, Excel and PowerPoint up to 2003."""
    if _names(data, "EncryptedPackage"):
        return DocumentError(f"{shown_name} is encrypted. Save it without a password.")
    kinds = {"WordDocument": "an old Word document (.doc)", "PowerPoint Document": "an old PowerPoint presentation"}
    kinds |= {"Workbook": "an old Excel workbook (.xls)", "Book": "an old Excel workbook (.xls)"}
    what = next((kind for name, kind in kinds.items() if _names(data, name)), "a file of an old office program")
    advice = "CSV" if "Excel" in what else ".docx or .txt"
    return DocumentError(f"{shown_name} is {what}, which is not read. Save it as {advice}.")


def _names(data: bytes, stream: str) -> bool:
    return stream.encode("utf-16-le") in data
