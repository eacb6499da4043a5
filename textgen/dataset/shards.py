"""A text in shards, and the functions that work on one shard apart from all others: `count` and `encode`.

Shards are cut where a piece of the text begins, and each knows the little of its neighbours that pieces depend on. So
the pieces of all shards together are those of the whole text, whoever counts and encodes them, and in which order. Both
functions are pure. What they find are arrays, which are quick to send to another process, and to keep.

Where shards are cut depends on the text and the split alone.
"""

import dataclasses
import functools
import hashlib
import itertools
from collections.abc import Callable, Iterable, Iterator

import numpy as np

from textgen.config import END_OF_DOCUMENT
from textgen.dataset.batches import smallest_dtype
from textgen.dataset.split import DocumentDraw, Split, first_characters
from textgen.tokenizers import Tokenizer
from textgen.tokenizers.text_blocks import WHOLE, Place, packed, regrouped, unpacked
from textgen.tokenizers.word_fitting import count_pieces
from textgen.tokenizers.word_pieces import cut_place, whole_pieces

SHARD_CHARACTERS = 1 << 22

Arrays = dict[str, np.ndarray]


@dataclasses.dataclass(frozen=True)
class Shard:
    """A part of a text."""

    text: str
    is_validation: bytes  # of each document that it has a part of: 1 for the validation part, 0 for the training part
    place: Place = WHOLE

    @functools.cached_property
    def _packed(self) -> tuple[bytes, str]:
        return packed(self.text)

    @property
    def digest(self) -> bytes:
        """A SHA-256 over all that `count` and `encode` depend on."""
        encoded, stand_in = self._packed
        digest = hashlib.sha256(repr((stand_in, self.is_validation, self.place)).encode())
        digest.update(encoded)
        return digest.digest()

    def __reduce__(self) -> tuple[Callable[..., "Shard"], tuple[object, ...]]:
        return _unpickled, (*self._packed, self.is_validation, tuple(self.place))


def _unpickled(encoded: bytes, stand_in: str, is_validation: bytes, place: tuple[int, int | None, str]) -> Shard:
    return Shard(unpacked(encoded, stand_in), is_validation, Place(*place))


def split_shards(
    blocks: Iterator[str], level: str, split: Split, characters: int, num_documents: int
) -> Iterator[Shard]:
    """The shards of the whole text in `blocks`, of both parts; of one text without documents, no shard has both.

    Args:
        level: "char" or "word", of its tokens.
        characters: of the whole text.
        num_documents: likewise; 0 where it is one text.
    """
    if num_documents:
        yield from cut_shards(blocks, level, DocumentDraw(num_documents, split).take)
        return
    rest: list[str] = []
    number = split.num_train_characters(characters)
    # The parts are cut apart, so that neither depends on the other.
    yield from cut_shards(first_characters(blocks, number, rest), level)
    yield from cut_shards(itertools.chain(rest, blocks), level, lambda count: np.ones(count, bool), number)


def cut_shards(
    blocks: Iterable[str],
    level: str,
    draw: Callable[[int], np.ndarray] = lambda count: np.zeros(count, bool),
    offset: int = 0,
) -> Iterator[Shard]:
    """The shards of the text in `blocks`, of about SHARD_CHARACTERS each.

    Args:
        draw: tells of so many documents more whether each is for validation, bool; by default none is.
        offset: characters before the text, for errors.
    """
    waiting: list[str] = []
    num_waiting = 0
    before: int | None = None
    is_open = draw(1)  # what the last document so far is for

    def shard(text: str, after: str) -> Shard:
        nonlocal is_open
        flags = np.concatenate([is_open, draw(0 if text.isascii() else text.count(END_OF_DOCUMENT))])
        is_open = flags[-1:]
        return Shard(text, flags.tobytes(), Place(offset, before, after))

    for block in regrouped(blocks):
        waiting.append(block)
        num_waiting += len(block)
        if num_waiting > SHARD_CHARACTERS:
            text = "".join(waiting)
            cut, next_before = (SHARD_CHARACTERS, None) if level == "char" else cut_place(text, before)
            yield shard(text[:cut], text[cut] if level == "word" else "")
            waiting, num_waiting = [text[cut:]], num_waiting - cut
            before, offset = next_before, offset + cut
    if num_waiting:
        yield shard("".join(waiting), "")


def num_shards(characters: float) -> int:
    """Of a text of so many characters, about."""
    return int(characters // SHARD_CHARACTERS) + 1


def count(shard: Shard) -> Arrays:
    """The pieces of the training part of a shard, as the fields of `Counted`."""
    text, place = shard.text, shard.place
    if any(shard.is_validation):
        pieces = text.split(END_OF_DOCUMENT)
        ended = [piece + END_OF_DOCUMENT for piece in pieces[:-1]] + pieces[-1:]
        text = "".join(itertools.compress(ended, [not skipped for skipped in shard.is_validation]))
        before = None if shard.is_validation[0] else place.before
        place = Place(0, before, "" if shard.is_validation[-1] else place.after)
    return count_pieces(whole_pieces([text], place))._asdict()


def encode(shard: Shard, tokenizer: Tokenizer) -> Arrays:
    """The ids of a shard: "train" and "validation", of the smallest unsigned type [N].

    Raises:
        TokenizerError: at a symbol that the tokenizer does not know.
    """
    parts: tuple[list[np.ndarray], list[np.ndarray]] = ([], [])
    is_validation = np.frombuffer(shard.is_validation, bool)
    dtype = smallest_dtype(tokenizer.vocabulary_size)
    for token_ids in tokenizer.encode_blocks([shard.text], shard.place):
        ends = np.flatnonzero(token_ids == (-1 if tokenizer.eod_id is None else tokenizer.eod_id)) + 1
        flags, is_validation = is_validation[: len(ends) + 1], is_validation[len(ends) :]
        token_ids = token_ids.astype(dtype)
        if (flags == flags[0]).all():
            parts[int(flags[0])].append(token_ids)
            continue
        mask = np.repeat(flags, np.diff(ends, prepend=0, append=len(token_ids)))
        for part, chosen in zip(parts, (~mask, mask), strict=True):
            part.append(token_ids[chosen])
    train, validation = (np.concatenate([np.zeros(0, dtype), *part]) for part in parts)
    return {"train": train, "validation": validation}
