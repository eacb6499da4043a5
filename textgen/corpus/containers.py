"""What a file is that is no plain text, by its first bytes.

A kind is called by the ending that such files have. Each has a name for people, and what to do instead of reading its
bytes as letters.
"""

import re

from textgen.corpus.formats import FORMATS, DocumentError

NUM_BYTES = 1 << 16  # of a file's beginning, which are looked at

TO_TEXT = "Save its text as plain text, and give that file"
UNPACK = "Unpack it, and give the files in it"
NO_TEXT = "Give a file of text"

KINDS = {
    "docx": ("a Word document (.docx)", TO_TEXT),
    "xlsx": ("a spreadsheet (.xlsx)", "Save the sheet as CSV, and give that file with --column"),
    "pptx": ("a presentation (.pptx)", TO_TEXT),
    "odt": ("an OpenDocument text (.odt)", TO_TEXT),
    "ods": ("an OpenDocument spreadsheet (.ods)", "Save the sheet as CSV, and give that file with --column"),
    "epub": ("an e-book (.epub)", TO_TEXT),
    "mobi": ("an e-book (.mobi)", TO_TEXT),
    "djvu": ("a scanned document (.djvu)", TO_TEXT),
    "jar": ("a Java archive (.jar)", UNPACK),
    "pdf": ("a PDF document", TO_TEXT + " (pdftotext does it)"),
    "rtf": ("an RTF document", TO_TEXT),
    "ps": ("a PostScript document", TO_TEXT),
    "doc": ("a document of old Microsoft Office (.doc, .xls, .ppt)", TO_TEXT),
    "zip": ("a ZIP archive", UNPACK),
    "gz": ("compressed more than once, at last by gzip", "Unpack it (gunzip), and give the file in it"),
    "bz2": ("compressed by bzip2", "Unpack it (bunzip2), and give the file in it"),
    "xz": ("compressed by xz", "Unpack it (unxz), and give the file in it"),
    "zst": ("compressed more than once, at last by Zstandard", "Unpack it (unzstd), and give the file in it"),
    "lz4": ("compressed by LZ4", "Unpack it (unlz4), and give the file in it"),
    "Z": ("compressed by compress", "Unpack it (uncompress), and give the file in it"),
    "lz": ("compressed by lzip", "Unpack it, and give the file in it"),
    "7z": ("a 7-Zip archive", UNPACK),
    "rar": ("a RAR archive", UNPACK),
    "tar": ("a tar archive", UNPACK),
    "cab": ("a cabinet archive (.cab)", UNPACK),
    "a": ("an archive of ar (.deb, .a)", UNPACK),
    "rpm": ("an RPM package", UNPACK),
    "sqlite": ("an SQLite database", "Export the texts in it as CSV, and give that file with --column"),
    "parquet": ("a Parquet table", "Give it with --column NAME, unpacked"),
    "arrow": ("an Arrow table", "Give it with --column NAME, unpacked"),
    "hdf5": ("an HDF5 file", NO_TEXT),
    "npy": ("an array of NumPy", NO_TEXT),
    "pickle": ("a Python pickle, which is not opened", NO_TEXT),
    "plist": ("a binary property list", NO_TEXT),
    "gguf": ("a model (.gguf)", NO_TEXT),
    "png": ("a picture (PNG)", NO_TEXT),
    "jpeg": ("a picture (JPEG)", NO_TEXT),
    "gif": ("a picture (GIF)", NO_TEXT),
    "tiff": ("a picture (TIFF)", NO_TEXT),
    "webp": ("a picture (WebP)", NO_TEXT),
    "bmp": ("a picture (BMP)", NO_TEXT),
    "ico": ("an icon", NO_TEXT),
    "psd": ("a picture (Photoshop)", NO_TEXT),
    "heic": ("a picture (HEIC or AVIF)", NO_TEXT),
    "mp3": ("a sound file (MP3)", NO_TEXT),
    "wav": ("a sound file (WAV)", NO_TEXT),
    "flac": ("a sound file (FLAC)", NO_TEXT),
    "ogg": ("a sound or video file (Ogg)", NO_TEXT),
    "mid": ("a sound file (MIDI)", NO_TEXT),
    "mp4": ("a sound or video file (MP4)", NO_TEXT),
    "avi": ("a video file (AVI)", NO_TEXT),
    "mkv": ("a video file (Matroska or WebM)", NO_TEXT),
    "elf": ("a program (ELF)", NO_TEXT),
    "exe": ("a program (Windows)", NO_TEXT),
    "macho": ("a program (macOS)", NO_TEXT),
    "class": ("a Java class", NO_TEXT),
    "wasm": ("a WebAssembly program", NO_TEXT),
    "font": ("a font", NO_TEXT),
}
ARCHIVES = ("zip", "docx", "xlsx", "pptx", "odt", "ods", "epub", "jar")  # which the whole content tells more of

# A pattern that the file begins with. Those of plain letters ask for more than a text could begin with.
BEGINNINGS: tuple[tuple[bytes, str], ...] = (
    (rb"PK\x03\x04", "zip"),
    (rb"PK(\x05\x06|\x07\x08)", "zip"),
    (rb"\x1f\x8b\x08", "gz"),
    (rb"BZh[1-9](\x31\x41\x59\x26\x53\x59|\x17\x72\x45\x38\x50\x90)", "bz2"),
    (rb"\xfd7zXZ\0", "xz"),
    (rb"\x28\xb5\x2f\xfd", "zst"),
    (rb"\x04\x22\x4d\x18", "lz4"),
    (rb"\x1f[\x9d\xa0]", "Z"),
    (rb"LZIP[\0\x01]", "lz"),
    (rb"7z\xbc\xaf\x27\x1c", "7z"),
    (rb"Rar!\x1a\x07", "rar"),
    (rb"MSCF\0\0\0\0", "cab"),
    (rb"!<arch>\n", "a"),
    (rb"\xed\xab\xee\xdb", "rpm"),
    (rb"(?:\xef\xbb\xbf)?\s{0,16}%PDF-[12]\.\d", "pdf"),
    (rb"(?:\xef\xbb\xbf)?\s{0,16}\{\\rtf1?\b", "rtf"),
    (rb"%!PS-Adobe-", "ps"),
    (rb"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "doc"),
    (rb"[\s\S]{60}BOOKMOBI", "mobi"),
    (rb"AT&TFORM[\s\S]{4}DJV", "djvu"),
    (rb"[\s\S]{257}ustar[\0 ]", "tar"),
    (rb"SQLite format 3\0", "sqlite"),
    (rb"PAR1[\x15\x19\x1c\0]", "parquet"),
    (rb"ARROW1\0\0", "arrow"),
    (rb"\xff{4}[\s\S]{3}\0\x10\0\0\0", "arrow"),
    (rb"\x89HDF\r\n\x1a\n", "hdf5"),
    (rb"\x93NUMPY", "npy"),
    (rb"\x80[\x02-\x05][\x8a\x95(})\]cX\x8c]", "pickle"),
    (rb"bplist0", "plist"),
    (rb"GGUF[\x01-\x09]\0\0\0", "gguf"),
    (rb"\x89PNG\r\n\x1a\n", "png"),
    (rb"\xff\xd8\xff[\xc0-\xfe]", "jpeg"),
    (rb"GIF8[79]a[\s\S]{4}[\x80-\xff\0]", "gif"),
    (rb"II\*\0|MM\0[\*+]", "tiff"),
    (rb"RIFF[\s\S]{4}WEBP", "webp"),
    (rb"RIFF[\s\S]{4}WAVE", "wav"),
    (rb"RIFF[\s\S]{4}AVI ", "avi"),
    (rb"BM[\s\S]{4}\0\0\0\0[\s\S]{2}\0\0", "bmp"),
    (rb"\0\0[\x01\x02]\0[\x01-\x20]\0", "ico"),
    (rb"8BPS\0\x01", "psd"),
    (rb"\0\0\0[\x08-\x40]ftyp(?:heic|heix|mif1|avif|heim)", "heic"),
    (rb"\0\0\0[\x08-\x40]ftyp", "mp4"),
    (rb"ID3[\x02-\x04]\0", "mp3"),
    (rb"fLaC\0", "flac"),
    (rb"OggS\0", "ogg"),
    (rb"MThd\0\0\0\x06", "mid"),
    (rb"\x1a\x45\xdf\xa3", "mkv"),
    (rb"\x7fELF[\x01\x02][\x01\x02]", "elf"),
    (rb"MZ[\s\S]{2}[\0-\xff]\0[\s\S]{54}[\0-\xff]{2}\0\0", "exe"),
    (rb"(\xcf|\xce)\xfa\xed\xfe|\xfe\xed\xfa(\xce|\xcf)", "macho"),
    (rb"\xca\xfe\xba\xbe\0", "class"),
    (rb"\0asm\x01\0\0\0", "wasm"),
    (rb"OTTO\0|\0\x01\0\0\0|wOF[F2][\0\x01]|true\0", "font"),
)
PATTERNS = tuple((re.compile(pattern), kind) for pattern, kind in BEGINNINGS)

# What stands in the archive, by the names at its beginning.
IN_ZIP = tuple(
    (re.compile(rb"PK\x03\x04[\s\S]{26}" + name), kind)
    for name, kind in (
        (rb"mimetypeapplication/epub\+zip", "epub"),
        (rb"mimetypeapplication/vnd\.oasis\.opendocument\.text", "odt"),
        (rb"mimetypeapplication/vnd\.oasis\.opendocument\.spreadsheet", "ods"),
        (rb"META-INF/container\.xml", "epub"),
        (rb"word/", "docx"),
        (rb"xl/", "xlsx"),
        (rb"ppt/", "pptx"),
        (rb"META-INF/MANIFEST\.MF", "jar"),
    )
)


def container_of(first_bytes: bytes) -> str | None:
    """The kind of a file that is no plain text, one of KINDS; None for what may be one.

    Args:
        first_bytes: of the file; some 64,000 of them tell what an archive of ZIP's kind holds, a few hundred the rest.
    """
    kind = next((kind for pattern, kind in PATTERNS if pattern.match(first_bytes)), None)
    if kind != "zip":
        return kind
    return next((inner for pattern, inner in IN_ZIP if pattern.search(first_bytes[:NUM_BYTES])), "zip")


def check_no_container(first_bytes: bytes, shown_name: str) -> None:
    """Raise DocumentError where a file is no plain text, which names what it is and what to do."""
    if (kind := container_of(first_bytes)) is not None:
        name, advice = KINDS[kind]
        if kind in FORMATS:  # which are read, where no column is wanted
            raise DocumentError(f"{shown_name} is {name}, which has no columns. Leave out --column.")
        raise DocumentError(f"{shown_name} is {name}, not plain text. {advice}.")
