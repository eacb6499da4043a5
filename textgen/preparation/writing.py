"""The second pass: text to the token ids of two parts, straight to disk."""

import contextlib
import itertools
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np

from textgen.corpus.splitting import DocumentDraw
from textgen.dataset import append_token_ids
from textgen.preparation.document_hashes import DocumentHasher
from textgen.preparation.entry import (
    HASH_TYPE,
    TRAIN_DOCUMENTS,
    TRAIN_IDS,
    VALIDATION_DOCUMENTS,
    VALIDATION_IDS,
    sort_hashes,
)
from textgen.preparation.parts import first_characters
from textgen.tokenizers import Tokenizer


def write_text(directory: Path, blocks: Iterable[str], tokenizer: Tokenizer, num_train_characters: int) -> None:
    """Write the ids of one text; the parts are encoded apart, so that neither depends on the other."""
    rest: list[str] = []
    blocks = iter(blocks)
    first = first_characters(blocks, num_train_characters, rest)
    for name, part in ((TRAIN_IDS, first), (VALIDATION_IDS, itertools.chain(rest, blocks))):
        with (directory / name).open("wb") as file:
            for token_ids in tokenizer.encode_blocks(part):
                append_token_ids(file, token_ids, tokenizer.vocabulary_size)
    for name in (TRAIN_DOCUMENTS, VALIDATION_DOCUMENTS):
        (directory / name).touch()


def write_documents(
    directory: Path, blocks: Iterable[str], tokenizer: Tokenizer, num_documents: int, val_fraction: float, seed: int
) -> None:
    """Write the ids and the hashes of documents, which are drawn for one part or the other."""
    with contextlib.ExitStack() as stack:
        ids, hashes = (
            [stack.enter_context((directory / name).open("wb")) for name in names]
            for names in ((TRAIN_IDS, VALIDATION_IDS), (TRAIN_DOCUMENTS, VALIDATION_DOCUMENTS))
        )
        hashed = _write_hashes(hashes, blocks, DocumentDraw(num_documents, val_fraction, seed))
        draw = DocumentDraw(num_documents, val_fraction, seed)
        is_open_for_validation = draw.take(1)
        for token_ids in tokenizer.encode_blocks(hashed):
            ends = np.flatnonzero(token_ids == tokenizer.eod_id) + 1
            is_validation = np.concatenate([is_open_for_validation, draw.take(len(ends))])
            lengths = np.diff(ends, prepend=0, append=len(token_ids))
            mask = np.repeat(is_validation, lengths)
            for file, chosen in zip(ids, (~mask, mask), strict=True):
                append_token_ids(file, token_ids[chosen], tokenizer.vocabulary_size)
            is_open_for_validation = is_validation[-1:]
    for name in (TRAIN_DOCUMENTS, VALIDATION_DOCUMENTS):
        sort_hashes(directory / name)


def _write_hashes(files: list[BinaryIO], blocks: Iterable[str], draw: DocumentDraw) -> Iterator[str]:
    """The same blocks; the hash of every document goes to the file of its part."""
    hasher = DocumentHasher()
    for block in blocks:
        hashes = hasher.add(block)
        is_validation = draw.take(len(hashes))
        for file, chosen in zip(files, (~is_validation, is_validation), strict=True):
            file.write(np.ascontiguousarray(hashes[chosen], HASH_TYPE).data)
        yield block
