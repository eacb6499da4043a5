"""Text as arrays of code points, and streams of text in blocks of one size, whatever the cuts they arrive with."""

from collections.abc import Iterable, Iterator

import numpy as np

from textgen.config import END_OF_DOCUMENT

STAND_INS = "\0\1\2\3"  # characters that a text hardly ever holds, and never all of them
CODE_POINTS = 0x110000
BLOCK_SIZE = 2**20  # characters: arrays over one block take some 50 MB at the most


def code_points(text: str) -> np.ndarray:
    """uint8 or uint32 [len(text)]. Surrogates pass, to be reported as unknown and not as a codec's failure."""
    if text.isascii():
        return np.frombuffer(text.encode("ascii"), np.uint8)
    stand_in = next((symbol for symbol in STAND_INS if symbol not in text), None)
    if END_OF_DOCUMENT not in text or stand_in is None:
        return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), "<u4")
    # Python's handler is called for every surrogate, which takes ten times as long as the rest.
    encoded = text.replace(END_OF_DOCUMENT, stand_in).encode("utf-32-le", "surrogatepass")
    points = np.frombuffer(bytearray(encoded), "<u4")
    points[points == ord(stand_in)] = ord(END_OF_DOCUMENT)
    return points


def regrouped(blocks: Iterable[str]) -> Iterator[str]:
    """The same text in blocks of BLOCK_SIZE to twice that many characters, but for a last one that may be shorter.

    One call per block costs more than a character, so a stream of single characters would take for ever; and a stream
    of one gigantic block would take all memory.
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


def joined(arrays: Iterable[np.ndarray]) -> np.ndarray:
    """The int32 arrays one after the other."""
    return np.concatenate([np.zeros(0, np.int32), *arrays])
