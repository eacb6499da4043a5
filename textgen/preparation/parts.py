"""The parts of a corpus, as they come by: what is learned from, and what is measured on."""

import itertools
from collections.abc import Iterable, Iterator

from textgen.config import END_OF_DOCUMENT
from textgen.corpus.splitting import DocumentDraw


def first_characters(blocks: Iterator[str], num_characters: int, rest: list[str]) -> Iterator[str]:
    """The first `num_characters` of `blocks`; what is over of the last block that is taken goes to `rest`."""
    while num_characters and (block := next(blocks, None)) is not None:
        yield block[:num_characters]
        rest.append(block[num_characters:])
        num_characters -= min(num_characters, len(block))


def training_documents(blocks: Iterable[str], draw: DocumentDraw) -> Iterator[str]:
    """The documents that `draw` leaves for training, each with its END_OF_DOCUMENT, cut anywhere."""
    is_validation = draw.take(1).tolist()
    for block in blocks:
        pieces = block.split(END_OF_DOCUMENT)
        is_validation = is_validation[-1:] + draw.take(len(pieces) - 1).tolist()
        ended = [piece + END_OF_DOCUMENT for piece in pieces[:-1]] + pieces[-1:]
        yield "".join(itertools.compress(ended, [not skipped for skipped in is_validation]))
