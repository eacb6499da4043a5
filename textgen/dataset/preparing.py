"""The passes over a corpus, and the ids that the last one writes.

The first pass finds the length, the number of documents, the sketch, and all characters: no text can then hold a
symbol that has no id. The words of a vocabulary are counted in a pass of their own, over the training part alone. A
word that only the validation part has is as new to the model as one that somebody else will write, and has to be
spelled like that. The last pass writes the ids; nothing is written before there is known to be something to learn.

Every pass ends by comparing what it has read with what the corpus was when it was looked up, so that nothing of a file
that changes meanwhile is kept.
"""

import collections
import contextlib
import hashlib
import itertools
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from textgen.config import END_OF_DOCUMENT
from textgen.corpus import CorpusReader
from textgen.corpus.decoding import Tally
from textgen.corpus.documents import without_empty
from textgen.dataset import cache
from textgen.dataset.batches import append_token_ids
from textgen.dataset.cache import TRAIN_IDS, VALIDATION_IDS, Facts, Prepared
from textgen.dataset.split import DocumentDraw, Split, first_characters, training_documents
from textgen.errors import CorpusError
from textgen.messages import Advance
from textgen.records import CorpusRecord
from textgen.sketch import Sketcher
from textgen.tokenizers import SymbolFitter, Tokenizer, new_fitter
from textgen.tokenizers.normalizing import normalize_blocks
from textgen.tokenizers.text_blocks import to_utf_8

Preparing = Callable[[str, int, int], None]  # what is being done, bytes of the files done, bytes to do


class Survey(NamedTuple):
    """What the first pass finds out; see `Facts`."""

    sha256: str
    characters: int
    num_documents: int
    sketch: str


def prepare(
    reader: CorpusReader,
    split: Split,
    *,
    tokenizer: Tokenizer | None = None,
    base: Tokenizer | None = None,
    expected: CorpusRecord | None = None,
    progress: Preparing = lambda stage, done, to_do: None,
) -> Prepared:
    """The corpus of `reader` as token ids, split into training and validation part; from the cache, or made now.

    Args:
        tokenizer: of a model that there is already; None learns one: characters from the whole corpus, words from the
            training part.
        base: without `tokenizer`, one whose pieces the learned one keeps.
        expected: the corpus that a run or a model began with; None takes any.
        progress: called with what is being done, bytes of the files done, and bytes to do.

    Raises:
        CorpusError: the corpus cannot be read, changes meanwhile or is not the `expected` one, or there is no room for
            what is prepared.
        TokenizerError: there is nothing to learn from, or `tokenizer` does not know a symbol.
    """
    fingerprint = reader.fingerprint(partial(progress, "checking"))
    sha256 = None if expected is None else expected.sha256
    entries = [
        cache.Entry(fingerprint, reader.config, split, known, base, sha256, encodings)
        # Where it is known what the text is, it does not matter whether its encodings were found or known.
        for encodings in dict.fromkeys((reader.known,) if sha256 is None else ((), reader.known))
        for known in dict.fromkeys((None, tokenizer))
    ]
    for entry in entries:
        found = cache.find(entry)
        if found is not None and (tokenizer is None or found.tokenizer.to_json() == tokenizer.to_json()):
            return found

    def text(stage: str) -> Iterator[str]:
        return _whole_text(reader, fingerprint, partial(progress, stage))

    fitter = new_fitter(reader.config.level)
    survey = _survey(text("reading"), fitter if tokenizer is None else None)
    _check_expected(reader.name, survey.sha256, expected)
    if tokenizer is None:
        if fitter.learns_words:
            for block in _training_part(text("counting words"), survey, split):
                fitter.add(block)
        tokenizer = fitter.finish(reader.config, base)

    def write(directory: Path) -> Facts:
        _write_ids(directory, text("encoding"), tokenizer, survey, split)
        num_validation = split.num_validation_documents(survey.num_documents)
        return Facts(
            **survey._asdict(),
            num_validation_documents=num_validation,
            notes=reader.notes,
            encodings=reader.encodings,
        )

    return cache.make(entries[-1], tokenizer, write)


def _check_expected(name: str, sha256: str, expected: CorpusRecord | None) -> None:
    if expected is not None and sha256 != expected.sha256:
        raise CorpusError(
            f"the corpus {name} is not the one this run began with (SHA-256 {sha256[:12]}, "
            f"expected {expected.sha256[:12]}). Restore it, or train a new model"
        )


def _whole_text(reader: CorpusReader, fingerprint: str, progress: Advance) -> Iterator[str]:
    """The text as tokenizers see it. Raises CorpusError at its end when it is not the one of that fingerprint."""
    blocks = normalize_blocks(reader.blocks(progress), reader.config.normalize)
    # Folding case drops what is invisible, and so may leave nothing of a document.
    may_be_empty = reader.config.has_documents and reader.config.normalize == "casefold"
    yield from without_empty(blocks, Tally()) if may_be_empty else blocks
    if reader.passed != fingerprint:
        raise CorpusError(f"the corpus {reader.name} changed while it was read. Run the command again")


def _survey(blocks: Iterable[str], fitter: SymbolFitter | None) -> Survey:
    digest, sketcher = hashlib.sha256(), Sketcher()
    characters = num_documents = 0
    for block in blocks:
        digest.update(to_utf_8(block))
        sketcher.add(block)
        num_ends = 0 if block.isascii() else block.count(END_OF_DOCUMENT)
        characters += len(block) - num_ends
        num_documents += num_ends
        if fitter is not None:
            fitter.add_symbols(block)
    return Survey(digest.hexdigest(), characters, num_documents, sketcher.finish().to_text())


def _training_part(blocks: Iterator[str], survey: Survey, split: Split) -> Iterator[str]:
    """The part of `blocks` that is learned from; reads them to their end."""
    if survey.num_documents:
        yield from training_documents(blocks, DocumentDraw(survey.num_documents, split))
    else:
        yield from first_characters(blocks, split.num_train_characters(survey.characters), [])
        collections.deque(blocks, maxlen=0)


def _write_ids(directory: Path, blocks: Iterator[str], tokenizer: Tokenizer, survey: Survey, split: Split) -> None:
    """Write the ids of both parts."""
    with contextlib.ExitStack() as stack:
        files = [stack.enter_context((directory / name).open("wb")) for name in (TRAIN_IDS, VALIDATION_IDS)]
        if not survey.num_documents:
            # The parts are encoded apart, so that neither depends on the other.
            rest: list[str] = []
            first = first_characters(blocks, split.num_train_characters(survey.characters), rest)
            for file, part in zip(files, (first, itertools.chain(rest, blocks)), strict=True):
                for token_ids in tokenizer.encode_blocks(part):
                    append_token_ids(file, token_ids, tokenizer.vocabulary_size)
            return
        draw = DocumentDraw(survey.num_documents, split)
        is_open_for_validation = draw.take(1)
        for token_ids in tokenizer.encode_blocks(blocks):
            ends = np.flatnonzero(token_ids == tokenizer.eod_id) + 1
            is_validation = np.concatenate([is_open_for_validation, draw.take(len(ends))])
            mask = np.repeat(is_validation, np.diff(ends, prepend=0, append=len(token_ids)))
            for file, chosen in zip(files, (~mask, mask), strict=True):
                append_token_ids(file, token_ids[chosen], tokenizer.vocabulary_size)
            is_open_for_validation = is_validation[-1:]
