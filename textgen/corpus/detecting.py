"""Which encoding a file is in that nobody has named, where it is not clean UTF-8.

A mark at the beginning or the pattern of its NULs tells UTF-16 and UTF-32. What is UTF-8 in most places is UTF-8 with
stray bytes, and no other encoding. Anything else is measured: the reading that takes the fewest bits is taken, if it
is a text at all and the next best one says something else and takes clearly more. Where it is not clear, the error
shows what the candidates read. The whole file is looked at before anything of it is used.
"""

import codecs
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import NamedTuple, Protocol

from textgen.corpus.alphabets import ENCODINGS
from textgen.corpus.ebcdic import check_no_ebcdic
from textgen.corpus.formats import DocumentError
from textgen.corpus.likelihood import ASCII_BITS, Readings, bits_of_sample, readings_of
from textgen.corpus.misfits import ERRORS
from textgen.corpus.pieces import beginning_of, piece_of
from textgen.corpus.shifting import find_shifted
from textgen.errors import CorpusError

BLOCK_BYTES = 1 << 20
SAMPLE_BYTES = 48 << 10  # of lines that hold more than ASCII, from all over the file
LINE_BYTES = 2000  # of one of them
SMALL_BYTES = 4096  # a file that is a sample of itself
HEAD_BYTES = 1 << 16  # of the beginning, which shows UTF-16 and UTF-32

SURE_BITS = 6.0  # that the best reading is better by; 138 readings of 48 texts of 20 languages had none wrong
MOST_BITS = 12.5  # per character beyond ASCII, of a text: made ones had up to 9, random bytes have 17 to 25
HINT_BITS = 12.0  # what it is worth that other texts of the user are in an encoding
CONTROLS_SHARE = 0.3  # of bytes, from which on it is no text
LEGACY_BITS = 20.0  # that another reading must be better by where half of what is beyond ASCII is UTF-8
MIXED_BITS = 20.0  # that a file must gain by reading its lines of UTF-8 as that, for no encoding to explain it
NUM_CANDIDATES = 3

MARKS = (  # UTF-32 first: its mark begins with that of UTF-16
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
HIGH_BYTE = re.compile(rb"[\x80-\xff]")
LONGEST_CHARACTER = 4  # bytes of UTF-8
CUT_END = re.compile(  # with a small letter before it, where another encoding would have a capital behind that
    rb"([a-z][\xc2-\xde]|[\xc2-\xf4]|\xe0[\xa0-\xbf]|[\xe1-\xef][\x80-\xbf]"
    rb"|\xf0[\x90-\xbf][\x80-\xbf]?|[\xf1-\xf4][\x80-\xbf]{1,2})\Z"
)
LINE_END = re.compile(rb"[\r\n]")
CONTROLS = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f]")
UTF_16 = ("utf-16-le", "utf-16-be")
EIGHT_BIT = tuple(encoding for encoding in ENCODINGS if not encoding.startswith("utf"))
REPLACEMENT = "\ufffd"


class Stream(Protocol):
    """What is read of a file."""

    def read(self, size: int = -1, /) -> bytes:
        """The next bytes."""


Reopen = Callable[[], AbstractContextManager[Stream]]


class Found(NamedTuple):
    """An encoding, and a piece of the text that shows what it was taken for; no piece where it is certain."""

    encoding: str
    piece: str = ""
    num_strays: int = 0  # sequences of bytes that do not fit it


def find_marked(first_block: bytes, shown_name: str) -> Found | None:
    """What marks, shifts or NULs tell, such as UTF-16; else None. Raises CorpusError for what is no text."""
    head = first_block[:HEAD_BYTES]
    for mark, encoding in MARKS:
        if head.startswith(mark):
            return Found(encoding, beginning_of(head, encoding))
    if shifted := find_shifted(first_block):
        return Found(shifted[0], piece_of(shifted[1]))
    if b"\0" not in head:
        return None
    for encoding in ("utf-32-le", "utf-32-be"):
        text = _decoded(head, encoding)
        if sum(c.isprintable() or c in "\t\n\r" for c in text) > 0.9 * len(text):
            return Found(encoding, beginning_of(head, encoding))
    if len(head) % 2 == 0:
        found = readings_of(head, (*UTF_16, "utf-8"))
        best = next(iter(found.bits))
        if best != "utf-8" and found.bits[best] <= MOST_BITS * len(found.texts[best]):
            return Found(best, beginning_of(head, best))
    _check_text(head, shown_name)
    return None


def find_later(block: bytes, shown_name: str, line: int) -> Found | None:
    """What a block tells that begins in that line, behind others of ASCII alone: ISO-2022-JP and -KR; else None.

    Raises CorpusError for HZ: `~~` and `~` at line ends mean something else in it, so that what came before is unclear.
    """
    if not (shifted := find_shifted(block)):
        return None
    encoding, text = shifted
    piece = piece_of(text)
    if encoding == "hz":
        raise CorpusError(
            f"{shown_name} is ASCII up to line {line:,}, and what follows seems to be HZ. "
            f"Give the right one: --encoding hz reads “{piece}”, --encoding ascii reads it as it stands."
        )
    return Found(encoding, piece)


def _check_text(head: bytes, shown_name: str) -> None:
    share = len(CONTROLS.findall(head)) / max(1, len(head))
    if share > CONTROLS_SHARE:
        raise DocumentError(
            f"{shown_name} is no text: {share:.0%} of its first {len(head):,} bytes are NUL or other control "
            "characters. Give a file of text."
        )


def find(reopen: Reopen, shown_name: str, where: str, hints: Sequence[str] = ()) -> Found:
    """The encoding of a file that is not UTF-8 at one place at least.

    Args:
        reopen: gives its bytes from the start.
        where: the first place that is not UTF-8, for an error.
        hints: encodings that the user has texts in.

    Raises:
        CorpusError: it is not clear, which shows the candidates; or it is no text.
    """
    seen = _look(reopen)
    check_no_ebcdic(seen.head, shown_name, where)
    is_small = seen.num_bytes <= SMALL_BYTES
    encodings = EIGHT_BIT + (UTF_16 if is_small and seen.num_bytes % 2 == 0 else ())
    sample = seen.head if is_small else seen.sample
    readings = _hinted(readings_of(sample, encodings), hints)
    order = list(readings.bits)
    best, text = order[0], readings.texts[order[0]]
    if 0 < seen.num_valid >= seen.num_strays:
        as_utf_8 = bits_of_sample(sample.decode("utf-8", ERRORS), "utf-8", sample)
        if as_utf_8 < readings.bits[best] + LEGACY_BITS:
            return Found("utf-8", num_strays=seen.num_strays)
    others = [encoding for encoding in order if readings.texts[encoding] != text]
    amid = _amid_utf_8(sample, encodings)
    if amid and bits_of_sample(_by_lines(sample, amid), amid, sample) < readings.bits[best] - MIXED_BITS:
        raise _unclear(shown_name, where, readings, [amid], sample)
    is_text, is_clear = _is_text(readings, best), readings.bits[others[0]] - readings.bits[best] >= SURE_BITS
    if (seen.num_cut and not is_text) or (seen.num_cut > 1 and not is_clear):  # one byte may be a letter of anything
        return Found("utf-8", num_strays=1)
    if not is_text:
        _check_text(seen.head, shown_name)
        raise CorpusError(
            f"{shown_name} is not UTF-8: {where}; and it is no text in any encoding that is known here. "
            "If it is one, name its encoding: --encoding NAME."
        )
    if not is_clear:
        near = [other for other in others if readings.bits[other] - readings.bits[best] < 2 * SURE_BITS]
        raise _unclear(shown_name, where, readings, [best, *near])
    same = [encoding for encoding in order if readings.texts[encoding] == text]
    whole = next((encoding for encoding in same if _fits(reopen, encoding)), best)
    return Found(whole, piece_of(text, readings.texts[others[0]]))


class _Seen(NamedTuple):
    """What a file holds as UTF-8, and passages that tell its encoding."""

    num_valid: int  # characters beyond ASCII
    num_strays: int  # sequences that are not UTF-8
    num_bytes: int
    sample: bytes
    head: bytes
    num_cut: int  # bytes at its end that say that a character of UTF-8 is cut there, where all else is ASCII


def _blocks(reopen: Reopen) -> Iterator[bytes]:
    """The bytes without a mark of UTF-8 before them, which some programs put before anything; an empty block ends."""
    with reopen() as file:
        yield file.read(BLOCK_BYTES).removeprefix(codecs.BOM_UTF8)
        yield from iter(lambda: file.read(BLOCK_BYTES), b"")
    yield b""


def _look(reopen: Reopen) -> _Seen:
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    num_valid = num_strays = 0
    sample: list[bytes] = []
    num_bytes = num_sampled = 0
    head, end = b"", b""
    for block in _blocks(reopen):
        end = (end + block)[-LONGEST_CHARACTER:]
        num_bytes += len(block)
        head = head or block[:HEAD_BYTES]
        text = decoder.decode(block, final=not block)
        replaced = text.count(REPLACEMENT) - block.count(REPLACEMENT.encode())
        num_strays += replaced
        num_valid += len(text) - len(text.encode("ascii", "ignore")) - replaced
        quota = SAMPLE_BYTES // 3 + num_sampled // 2  # some of it is kept for later blocks
        for line in _high_lines(block):
            sample.append(line)
            num_sampled += len(line)
            if num_sampled >= min(quota, SAMPLE_BYTES):
                break
    cut = CUT_END.search(end) if num_strays == 1 and not num_valid else None
    return _Seen(num_valid, num_strays, num_bytes, b"\n".join(sample), head, len(cut[0]) if cut else 0)


def _high_lines(block: bytes) -> Iterator[bytes]:
    """The lines of `block` that hold more than ASCII; of a long one, pieces."""
    end = 0
    while high := HIGH_BYTE.search(block, end):
        before = max(end, high.start() - LINE_BYTES // 4)
        start = max(before, block.rfind(b"\n", before, high.start()) + 1, block.rfind(b"\r", before, high.start()) + 1)
        line_end = LINE_END.search(block, high.start(), start + LINE_BYTES)
        end = line_end.start() if line_end else min(len(block), start + LINE_BYTES)
        yield block[start:end]


def _by_lines(sample: bytes, encoding: str) -> str:
    """The sample with those of its lines as UTF-8 that are UTF-8, and the others in `encoding`."""
    return "\n".join(_decoded(line, "utf-8") or line.decode(encoding, ERRORS) for line in sample.split(b"\n"))


def _amid_utf_8(sample: bytes, encodings: tuple[str, ...]) -> str:
    """The encoding of the lines that are not UTF-8, where others are; else nothing."""
    lines = sample.split(b"\n")
    others = [line for line in lines if line and not _decoded(line, "utf-8")]
    return "" if len(others) in (0, len(lines)) else next(iter(readings_of(b"\n".join(others), encodings).bits))


def _hinted(readings: Readings, hints: Sequence[str]) -> Readings:
    bits = dict(readings.bits)
    for hint in hints:
        if hint in bits:
            bits[hint] -= HINT_BITS
    return readings._replace(bits={encoding: bits[encoding] for encoding in sorted(bits, key=bits.__getitem__)})


def _is_text(readings: Readings, encoding: str) -> bool:
    num_ascii = len(readings.texts[encoding].encode("ascii", "ignore"))
    num_high = len(readings.texts[encoding]) - num_ascii
    return readings.bits[encoding] - ASCII_BITS * num_ascii <= MOST_BITS * max(1, num_high)


def _fits(reopen: Reopen, encoding: str) -> bool:
    decoder = codecs.getincrementaldecoder(encoding)("strict")
    try:
        for block in _blocks(reopen):
            decoder.decode(block, final=not block)
    except UnicodeError:
        return False
    return True


def _unclear(
    shown_name: str, where: str, readings: Readings, candidates: Sequence[str], mixed: bytes = b""
) -> CorpusError:
    """The error that shows what the candidates read; of a `mixed` sample, what it reads as UTF-8 too."""
    texts: dict[str, str] = {}
    for encoding in candidates:
        texts.setdefault(readings.texts[encoding], f"--encoding {encoding}")
    if mixed:
        texts[mixed.decode("utf-8", "replace")] = "--encoding utf-8 --encoding-errors replace"
    shown_texts = list(texts)[:NUM_CANDIDATES]
    pieces = [piece_of(text, shown_texts[index == 0]) for index, text in enumerate(shown_texts)]
    reads = ", ".join(f"{texts[text]} reads “{piece}”" for text, piece in zip(shown_texts, pieces, strict=True))
    return CorpusError(
        f"{shown_name} is not UTF-8: {where}; and it is not clear what it is. Give the right one: {reads}."
    )


def _decoded(content: bytes, encoding: str) -> str:
    try:
        return content.decode(encoding)
    except UnicodeError:
        return ""
