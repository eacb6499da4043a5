"""The passes over a corpus, and what they make.

What goes in: a CorpusReader. What comes out: `Prepared`, from the cache or made now. What a pass has read is compared
with what the corpus was when it was looked up, so that nothing of a file that changes meanwhile is kept.

The first pass finds the characters, all of them: no text can then hold a symbol that has no id. The words of a
vocabulary are counted in a pass of their own, over the training part alone. A word that only the validation part has
is as new to the model as one that somebody else will write, and has to be spelled like that.
"""

import collections
import hashlib
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

from textgen.config import END_OF_DOCUMENT, TextConfig
from textgen.corpus import CorpusReader
from textgen.corpus.decoding import Tally
from textgen.corpus.documents import without_empty
from textgen.corpus.splitting import DocumentDraw, num_train_characters, num_validation_documents
from textgen.errors import CorpusError
from textgen.preparation import cache
from textgen.preparation.entry import Prepared, write_facts
from textgen.preparation.parts import first_characters, training_documents
from textgen.preparation.writing import write_documents, write_text
from textgen.tokenizers import SymbolFitter, Tokenizer, new_fitter
from textgen.tokenizers.normalizing import normalize_blocks

Progress = Callable[[str, int, int], None]  # what is being done, bytes done, bytes to do


STAND_INS = "\0\1\2\3"
END_IN_UTF_8 = END_OF_DOCUMENT.encode("utf-8", "surrogatepass")


class Survey(NamedTuple):
    """What the first pass finds out."""

    sha256: str
    characters: int
    num_documents: int


def prepare(
    reader: CorpusReader,
    *,
    val_fraction: float,
    seed: int,
    tokenizer: Tokenizer | None = None,
    base: Tokenizer | None = None,
    check: Callable[[str], None] = lambda sha256: None,
    progress: Progress = lambda stage, done, total: None,
) -> Prepared:
    """The corpus of `reader` as token ids, split into training and validation part.

    Args:
        val_fraction: share of the characters, at the end; of documents, whole ones that are drawn.
        seed: what documents are drawn from.
        tokenizer: of a model that there is already; None learns one: characters from the whole corpus, words from the
            training part.
        base: without `tokenizer`, what the one that is learned shall know besides.
        check: called with the SHA-256 of the text before anything is encoded; may raise.
        progress: called with what is being done, bytes of the files done, and bytes to do.

    Raises:
        CorpusError: the corpus cannot be read, changes meanwhile, or there is no room for what is prepared.
        TokenizerError: there is nothing to learn from, or `tokenizer` does not know a symbol.
    """
    fingerprint = reader.fingerprint(partial(progress, "checking"))
    paths = [
        cache.entry_path(fingerprint, reader.config, val_fraction, seed, t, base)
        for t in dict.fromkeys((None, tokenizer))
    ]
    for path in paths:
        found = cache.find(path)
        if found is not None and (tokenizer is None or found.tokenizer.to_json() == tokenizer.to_json()):
            check(found.sha256)
            return found
    fitter = new_fitter(reader.config.level) if tokenizer is None else None
    survey = _survey(_text(reader, partial(progress, "reading")), fitter)
    _check_unchanged(reader, fingerprint)
    check(survey.sha256)
    if fitter is not None:
        if fitter.learns_words:
            blocks = _text(reader, partial(progress, "counting words"))
            for block in _training_part(blocks, survey, reader.config, val_fraction, seed):
                fitter.add(block)
            _check_unchanged(reader, fingerprint)
        tokenizer = fitter.finish(reader.config, base)

    def write(directory: Path) -> None:
        blocks = _text(reader, partial(progress, "encoding"))
        if reader.config.has_documents:
            write_documents(directory, blocks, tokenizer, survey.num_documents, val_fraction, seed)
        else:
            write_text(directory, blocks, tokenizer, num_train_characters(survey.characters, val_fraction))
        _check_unchanged(reader, fingerprint)
        num_validation = num_validation_documents(survey.num_documents, val_fraction)
        facts = survey._asdict() | {"num_validation_documents": num_validation, "notes": list(reader.notes)}
        write_facts(directory, tokenizer, facts)

    return cache.make(paths[-1], write)


def _text(reader: CorpusReader, progress: Callable[[int, int], None]) -> Iterator[str]:
    """The text as tokenizers see it."""
    blocks = normalize_blocks(reader.blocks(progress), reader.config.normalize)
    # Folding case drops what is invisible, and so may leave nothing of a document.
    may_be_empty = reader.config.has_documents and reader.config.normalize == "casefold"
    return without_empty(blocks, Tally()) if may_be_empty else blocks


def _check_unchanged(reader: CorpusReader, fingerprint: str) -> None:
    if reader.passed != fingerprint:
        raise CorpusError(f"the corpus {reader.name} changed while it was read. Run the command again")


def _survey(blocks: Iterable[str], fitter: SymbolFitter | None) -> Survey:
    digest = hashlib.sha256()
    characters = num_documents = 0
    for block in blocks:
        digest.update(_utf_8(block))
        num_ends = 0 if block.isascii() else block.count(END_OF_DOCUMENT)
        characters += len(block) - num_ends
        num_documents += num_ends
        if fitter is not None:
            fitter.add_symbols(block)
    return Survey(digest.hexdigest(), characters, num_documents)


def _training_part(
    blocks: Iterable[str], survey: Survey, config: TextConfig, val_fraction: float, seed: int
) -> Iterator[str]:
    """The part of `blocks` that is learned from; reads them to their end."""
    if config.has_documents:
        yield from training_documents(blocks, DocumentDraw(survey.num_documents, val_fraction, seed))
    else:
        blocks = iter(blocks)
        yield from first_characters(blocks, num_train_characters(survey.characters, val_fraction), [])
        collections.deque(blocks, maxlen=0)


def _utf_8(block: str) -> bytes:
    """`block.encode("utf-8", "surrogatepass")`, which would call Python's handler for every END_OF_DOCUMENT."""
    stand_in = next((symbol for symbol in STAND_INS if symbol not in block), None)
    if stand_in is None or block.isascii():
        return block.encode("utf-8", "surrogatepass")
    encoded = block.replace(END_OF_DOCUMENT, stand_in).encode("utf-8", "surrogatepass")
    return encoded.replace(stand_in.encode(), END_IN_UTF_8)
