"""Text as arrays of code points and as bytes, and streams of text in blocks of one size, wherever they were cut."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

from textgen.config import END_OF_DOCUMENT

END_IN_UTF_8 = END_OF_DOCUMENT.encode("utf-8", "surrogatepass")
STAND_INS = "\0\1\2\3"  # characters that a text hardly ever holds, and never all of them
CODE_POINTS = 0x110000
NEAR_BYTES = 1 << 16  # that the caches nearest to a core hold beside a block
BLOCK_SIZE = 2**20  # characters: arrays over one block take some 50 MB at the most


class Place(NamedTuple):
    """Where a part of a text stands in it; by default it is all of the text."""

    offset: int = 0  # characters of the text before the part, for errors
    before: int | None = None  # the class of the character before it (see `word_pieces`); None begins a text
    after: str = ""  # the character behind it; none at the end of a text


WHOLE = Place()


def code_points(text: str) -> np.ndarray:
    """uint8 or uint32 [len(text)]. Surrogates pass, to be reported as unknown and not as a codec's failure."""
    if text.isascii():
        return np.frombuffer(text.encode("ascii"), np.uint8)
    stand_in = _stand_in(text)
    encoded = text.replace(END_OF_DOCUMENT, stand_in).encode("utf-32-le", "surrogatepass")
    if stand_in == END_OF_DOCUMENT:
        return np.frombuffer(encoded, "<u4")
    points = np.frombuffer(bytearray(encoded), "<u4")
    points[points == ord(stand_in)] = ord(END_OF_DOCUMENT)
    return points


def to_utf_8(text: str) -> bytes:
    """`text.encode("utf-8", "surrogatepass")`, fast."""
    encoded, stand_in = packed(text)
    return encoded if stand_in == END_OF_DOCUMENT else encoded.replace(stand_in.encode(), END_IN_UTF_8)


def packed(text: str) -> tuple[bytes, str]:
    """`text` in UTF-8, and the character that stands in it for END_OF_DOCUMENT; `unpacked` gives the text back."""
    stand_in = _stand_in(text)
    return text.replace(END_OF_DOCUMENT, stand_in).encode("utf-8", "surrogatepass"), stand_in


def unpacked(encoded: bytes, stand_in: str) -> str:
    """The text of `packed`."""
    return encoded.decode("utf-8", "surrogatepass").replace(stand_in, END_OF_DOCUMENT)


def _stand_in(text: str) -> str:
    """A character that `text` does not hold, to be encoded in place of END_OF_DOCUMENT; that itself where none is.

    Python calls its error handler for every surrogate, which takes ten times as long as all the rest of encoding.
    """
    absent = (symbol for symbol in STAND_INS if symbol not in text)
    return next(absent, END_OF_DOCUMENT) if END_OF_DOCUMENT in text else END_OF_DOCUMENT


def count_bytes(content: bytes, byte: bytes) -> int:
    """How often one byte is in `content`. Python's own `count` takes five times as long."""
    found = np.frombuffer(content, np.uint8)
    parts = (found[i : i + NEAR_BYTES] for i in range(0, len(content), NEAR_BYTES))
    return sum(int(np.count_nonzero(part == byte[0])) for part in parts)


def regrouped(blocks: Iterable[str]) -> Iterator[str]:
    """The same text in blocks of BLOCK_SIZE to twice that many characters; the last one may be shorter.

    A block costs more than a character, so a stream of single characters would take for ever. A stream of one gigantic
    block would take all memory.
    """
    size = BLOCK_SIZE
    waiting: list[str] = []
    num_waiting = 0
    for block in blocks:
        waiting.append(block)
        num_waiting += len(block)
        if num_waiting >= size:
            text = "".join(waiting) if len(waiting) > 1 else block
            last = num_waiting - num_waiting % size - size  # where the last of the blocks begins that are given away
            yield from (text[i : i + size] for i in range(0, last, size))
            yield text[last:]
            waiting, num_waiting = [], 0
    if num_waiting:
        yield "".join(waiting)
