"""What is prepared, as a directory of files that are verified before they are used.

train_ids, validation_ids                raw little-endian numbers of the smallest unsigned type
train_documents, validation_documents    uint64 hashes, ascending and distinct; empty where the corpus is one text
tokenizer.json, facts.json               the vocabulary; hash, counts and notes of the text
manifest.json                            size and SHA-256 of each file above, written last
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from textgen import model_store, sealed_files
from textgen.dataset import open_token_ids
from textgen.tokenizers import Tokenizer, tokenizer_from_json

TRAIN_IDS, VALIDATION_IDS = "train_ids", "validation_ids"
TRAIN_DOCUMENTS, VALIDATION_DOCUMENTS = "train_documents", "validation_documents"
TOKENIZER, FACTS = model_store.TOKENIZER, "facts.json"
FILES = (TRAIN_IDS, VALIDATION_IDS, TRAIN_DOCUMENTS, VALIDATION_DOCUMENTS, TOKENIZER, FACTS)
HASH_TYPE = np.dtype("<u8")
SORTED_AT_ONCE, NUM_PARTS = 1 << 20, 1 << 8


class Prepared(NamedTuple):
    """A corpus, ready to be learned from."""

    tokenizer: Tokenizer
    train_ids: np.ndarray  # unsigned [N], memory-mapped
    validation_ids: np.ndarray  # unsigned [N], memory-mapped
    sha256: str  # of the whole text in UTF-8, normalised, END_OF_DOCUMENT included
    characters: int  # of the whole text, END_OF_DOCUMENT not counted
    num_documents: int  # of the whole corpus; 0 where it is one text
    num_validation_documents: int
    train_documents: np.ndarray  # uint64, ascending and distinct: `document_hash` of each, memory-mapped
    validation_documents: np.ndarray
    notes: tuple[str, ...]  # facts about the reading to show


def write_facts(directory: Path, tokenizer: Tokenizer, facts: dict[str, Any]) -> None:
    """Write the tokenizer, and `facts`: sha256, characters, num_documents, num_validation_documents and notes."""
    sealed_files.write_json(directory / TOKENIZER, tokenizer.to_json())
    sealed_files.write_json(directory / FACTS, facts)


def verify_entry(directory: Path) -> None:
    """Raise TextgenError or OSError unless every file is there as it was written."""
    sealed_files.verify(directory, FILES)


def open_entry(directory: Path) -> Prepared:
    """What lies in `directory`, which was verified or has just been written. Raises TextgenError or OSError."""
    document, facts = (sealed_files.read_json(directory / name) for name in (TOKENIZER, FACTS))
    tokenizer = tokenizer_from_json(document)
    return Prepared(
        tokenizer=tokenizer,
        train_ids=open_token_ids(directory / TRAIN_IDS, tokenizer.vocabulary_size),
        validation_ids=open_token_ids(directory / VALIDATION_IDS, tokenizer.vocabulary_size),
        sha256=facts["sha256"],
        characters=facts["characters"],
        num_documents=facts["num_documents"],
        num_validation_documents=facts["num_validation_documents"],
        train_documents=_open_hashes(directory / TRAIN_DOCUMENTS),
        validation_documents=_open_hashes(directory / VALIDATION_DOCUMENTS),
        notes=tuple(facts["notes"]),
    )


def sort_hashes(path: Path) -> None:
    """Make the hashes in a file ascending and distinct, in memory that does not grow with their number.

    They are as good as random, so sharing them out by their first eight bits gives parts of about one size.
    """
    parts_path = path.with_name(f"{path.name}.parts")
    counts = np.zeros(NUM_PARTS, np.int64)
    for hashes in _distinct_hashes(path):
        counts += np.bincount(_part_of(hashes), minlength=NUM_PARTS)
    with parts_path.open("w+b") as file:
        places = np.cumsum(counts) - counts  # where the next hash of each part goes
        for hashes in _distinct_hashes(path):
            found = np.bincount(_part_of(hashes), minlength=NUM_PARTS)
            for place, part in zip(places.tolist(), np.split(hashes, np.cumsum(found)[:-1]), strict=True):
                file.seek(HASH_TYPE.itemsize * place)
                file.write(part.data)
            places += found
        file.seek(0)
        with path.open("wb") as final:
            for count in counts.tolist():
                part = np.frombuffer(file.read(HASH_TYPE.itemsize * count), HASH_TYPE)
                final.write(_distinct(part).data)
    parts_path.unlink()


def _distinct_hashes(path: Path) -> Iterator[np.ndarray]:
    """The hashes of a file, a million at a time, each time ascending and distinct."""
    with path.open("rb") as file:
        while block := file.read(HASH_TYPE.itemsize * SORTED_AT_ONCE):
            yield _distinct(np.frombuffer(block, HASH_TYPE))


def _distinct(hashes: np.ndarray) -> np.ndarray:
    """`np.unique`, which since NumPy 2.3 takes a hash table, a hundred times as long as sorting where few are equal."""
    hashes = np.sort(hashes)
    return hashes[np.concatenate([[True], hashes[1:] != hashes[:-1]])[: len(hashes)]]


def _part_of(hashes: np.ndarray) -> np.ndarray:
    return (hashes >> np.uint64(56)).astype(np.int64)


def _open_hashes(path: Path) -> np.ndarray:
    return np.memmap(path, HASH_TYPE, mode="r") if path.stat().st_size else np.zeros(0, HASH_TYPE)
