"""Which text a model is measured on: the part of its corpus that it did not learn from, or a file."""

import sys
from collections.abc import Iterator

import numpy as np

from textgen.config import END_OF_DOCUMENT
from textgen.corpus import open_corpus
from textgen.dataset import prepare
from textgen.dataset.split import Split
from textgen.errors import CorpusError
from textgen.store import shipped
from textgen.store.model_directory import StoredModel
from textgen.tokenizers import Tokenizer

DECODED_AT_ONCE = 1 << 18


def read_file(file: str, stored: StoredModel, encoding: str | None = None) -> Iterator[str]:
    """The text of `file` in blocks, read as the model's corpus was. Raises CorpusError.

    Args:
        file: what `open_corpus` takes.
        encoding: of the file; None is that of the corpus.
    """
    config = stored.record.text
    return open_corpus([file], config.replace(encoding=encoding or config.encoding)).blocks()


def read_validation_part(stored: StoredModel) -> Iterator[str]:
    """The validation part of the model's corpus, in blocks.

    Raises:
        CorpusError: the corpus cannot be read again or has changed, or there is no validation part; the texts of a
            model that comes with textgen do not come with it.
    """
    record = stored.record
    if "-" in record.corpus.sources and sys.stdin.isatty():
        raise CorpusError(f"{stored.name} read standard input; pipe the same text in again, or name a FILE")
    if shipped.is_shipped(stored.path):
        raise CorpusError(f"{stored.name} comes with textgen, but the texts it learned from do not; name a FILE")
    prepared = prepare(
        open_corpus(record.corpus.sources, record.text),
        Split(record.training.val_fraction, record.training.seed),
        tokenizer=stored.tokenizer,
        expected=record.corpus,
    )
    if len(prepared.validation_ids) < 2:
        raise CorpusError(f"{stored.name} was trained without a validation part; name a FILE to evaluate on")
    return text_of_ids(prepared.validation_ids, stored.tokenizer)


def text_of_ids(token_ids: np.ndarray, tokenizer: Tokenizer) -> Iterator[str]:
    """The text that `token_ids` [N] spell, in blocks, with ends of documents."""
    for start in range(0, len(token_ids), DECODED_AT_ONCE):
        yield tokenizer.decode(token_ids[start : start + DECODED_AT_ONCE], END_OF_DOCUMENT)
