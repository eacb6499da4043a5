"""The passes over a corpus, and the ids that the last one writes.

The first pass finds the length, the number of documents, the sketch, and all characters: no text can then hold a
symbol that has no id. The words of a vocabulary are counted in a pass of their own, over the training part alone. A
word that only the validation part has is as new to the model as one that somebody else will write, and has to be
spelled like that. The last pass writes the ids; nothing is written before there is known to be something to learn.

Counting and encoding are done shard by shard, on all cores where that pays, and what is found is kept for the case that
the process is killed. Bytes do not depend on the number of processes.

Every pass ends by comparing what it has read with what the corpus was when it was looked up, so that nothing of a file
that changes meanwhile is kept.
"""

import contextlib
import hashlib
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import NamedTuple

from textgen.config import END_OF_DOCUMENT
from textgen.corpus import CorpusReader
from textgen.corpus.decoding import Tally
from textgen.corpus.documents import without_empty
from textgen.dataset import cache
from textgen.dataset.batches import append_token_ids
from textgen.dataset.cache import TRAIN_IDS, VALIDATION_IDS, Facts, Prepared
from textgen.dataset.jobs import Jobs, task_of
from textgen.dataset.kept import kept_shards
from textgen.dataset.shards import Arrays, Shard, count, encode, split_shards
from textgen.dataset.split import Split
from textgen.errors import CorpusError
from textgen.messages import Advance, unwatched
from textgen.records import CorpusRecord
from textgen.sketch import Sketcher
from textgen.tokenizers import SymbolFitter, Tokenizer, new_fitter
from textgen.tokenizers.normalizing import normalize_blocks
from textgen.tokenizers.text_blocks import regrouped, to_utf_8
from textgen.tokenizers.word_fitting import Counted, WordFitter

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
    jobs: int | None = None,
) -> Prepared:
    """The corpus of `reader` as token ids, split into training and validation part; from the cache, or made now.

    Args:
        tokenizer: of a model that there is already; None learns one: characters from the whole corpus, words from the
            training part.
        base: without `tokenizer`, one whose pieces the learned one keeps.
        expected: the corpus that a run or a model began with; None takes any.
        progress: called with what is being done, bytes of the files done, and bytes to do.
        jobs: processes that count and encode a large text; None is as many as there are cores.

    Raises:
        CorpusError: the corpus cannot be read, changes meanwhile or is not the `expected` one, a process died, or there
            is no room for what is prepared.
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
        return whole_text(reader, fingerprint, partial(progress, stage))

    def shards(stage: str) -> Iterator[Shard]:
        return split_shards(text(stage), reader.config.level, split, survey.characters, survey.num_documents)

    fitter = new_fitter(reader.config.level)
    survey = survey_text(text("reading"), fitter if tokenizer is None else None)
    _check_expected(reader.name, survey.sha256, expected)
    size, level = survey.characters, reader.config.level
    with kept_shards(entries[-1].path, size) as kept, Jobs(jobs, size, level, kept) as processes:
        if tokenizer is None:
            if isinstance(fitter, WordFitter):
                for arrays in processes.in_order(count, shards("counting words"), task_of("count")):
                    fitter.merge(Counted(**arrays))
            tokenizer = fitter.finish(reader.config, base)
        function, task = partial(encode, tokenizer=tokenizer), task_of("encode", tokenizer.to_json())

        def write(directory: Path) -> Facts:
            ids = processes.in_order(function, shards("encoding"), task)
            _write_ids(directory, ids, tokenizer.vocabulary_size)
            return facts_of(survey, split, reader.notes, reader.encodings)

        return cache.make(entries[-1], tokenizer, write)


def facts_of(survey: Survey, split: Split, notes: tuple[str, ...], encodings: tuple[str, ...]) -> Facts:
    """What is kept of a text beside its ids, when all passes are over."""
    num_validation = split.num_validation_documents(survey.num_documents)
    return Facts(**survey._asdict(), num_validation_documents=num_validation, notes=notes, encodings=encodings)


def _check_expected(name: str, sha256: str, expected: CorpusRecord | None) -> None:
    if expected is not None and sha256 != expected.sha256:
        raise CorpusError(
            f"the corpus {name} is not the one this run began with (SHA-256 {sha256[:12]}, "
            f"expected {expected.sha256[:12]}). Restore it, or train a new model"
        )


def whole_text(reader: CorpusReader, fingerprint: str | None = None, progress: Advance = unwatched) -> Iterator[str]:
    """The text as tokenizers see it. Raises CorpusError at its end when it is not the one of that fingerprint."""
    blocks = normalize_blocks(reader.blocks(progress), reader.config.normalize)
    # Folding case drops what is invisible, and so may leave nothing of a document.
    may_be_empty = reader.config.has_documents and reader.config.normalize == "casefold"
    yield from without_empty(blocks, Tally()) if may_be_empty else blocks
    if fingerprint not in (None, reader.passed):
        raise CorpusError(f"the corpus {reader.name} changed while it was read. Run the command again")


def survey_text(blocks: Iterable[str], fitter: SymbolFitter | None) -> Survey:
    """What is found out of the text in `blocks` in a pass; `fitter` learns its characters."""
    digest, sketcher = hashlib.sha256(), Sketcher()
    characters = num_documents = 0
    # NumPy lets another thread work meanwhile, and the sketch takes as long as all the rest.
    with ThreadPoolExecutor(1) as thread:
        sketched: Future[None] | None = None
        for block in regrouped(blocks):
            if sketched is not None:
                sketched.result()  # so that no more than two blocks are held
            sketched = thread.submit(sketcher.add, block)
            digest.update(to_utf_8(block))
            num_ends = 0 if block.isascii() else block.count(END_OF_DOCUMENT)
            characters += len(block) - num_ends
            num_documents += num_ends
            if fitter is not None:
                fitter.add_symbols(block)
        if sketched is not None:
            sketched.result()
    return Survey(digest.hexdigest(), characters, num_documents, sketcher.finish().to_text())


def _write_ids(directory: Path, found: Iterable[Arrays], vocabulary_size: int) -> None:
    """Write the ids of both parts."""
    with contextlib.ExitStack() as stack:
        names = {"train": TRAIN_IDS, "validation": VALIDATION_IDS}
        files = {part: stack.enter_context((directory / name).open("wb")) for part, name in names.items()}
        for arrays in found:
            for part, file in files.items():
                append_token_ids(file, arrays[part], vocabulary_size)
