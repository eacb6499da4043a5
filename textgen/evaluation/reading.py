"""Which text a model is measured on: the part of its corpus that it did not learn from, a file, or one in memory."""

import shlex
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np

from textgen.config import END_OF_DOCUMENT, TextConfig
from textgen.corpus import CorpusReader, open_corpus, reopen_corpus
from textgen.corpus.advising import no_flags, note_without_flags
from textgen.corpus.sources import STDIN
from textgen.corpus.texts import IN_MEMORY
from textgen.dataset import prepare
from textgen.dataset.split import Split
from textgen.errors import CorpusError, ModelError
from textgen.messages import shown
from textgen.records import CorpusRecord
from textgen.sketch import Sketcher, read_before
from textgen.store import shipped
from textgen.store.model_directory import CONFIG, StoredModel
from textgen.tokenizers import Tokenizer

DECODED_AT_ONCE = 1 << 18


class GivenText:
    """A text that was given, to be read as the model's corpus was."""

    def __init__(self, reader: CorpusReader, stored: StoredModel):
        self._reader = reader
        self._stored = stored
        self._sketcher = Sketcher()

    def blocks(self) -> Iterator[str]:
        """The text in blocks. Raises CorpusError."""
        for block in self._reader.blocks():
            self._sketcher.add(block)
            yield block

    @property
    def notes(self) -> tuple[str, ...]:
        """Facts about the reading to show, when all blocks were taken."""
        return (*self._reader.left_out, *self._reader.notes)

    def read_before(self) -> float | None:
        """About which share of the text the model has read; to be asked when all blocks were taken.

        None where it has not read it, where nobody knows, and of the files that the model was made of: everybody knows
        that it has read those.

        Raises:
            ModelError: the model's sketch is damaged.
        """
        reader, corpus = self._reader, self._stored.record.corpus
        if set(reader.sources) <= set(corpus.sources) - {STDIN, IN_MEMORY}:
            return None
        text = CorpusRecord(reader.name, reader.sources, sketch=self._sketcher.finish().to_text())
        try:
            return read_before(corpus, text)
        except ModelError as problem:
            raise ModelError(f"{self._stored.path / CONFIG}: {problem}") from None


class FileText(GivenText):
    """The text of a file, read as the model's corpus was."""

    def __init__(self, file: str, stored: StoredModel, asked: Mapping[str, Any] | None = None):
        """Find the file. Raises CorpusError.

        Args:
            file: what `open_corpus` takes.
            asked: fields of TextConfig that say how it is read; what is not among them is as it was with the corpus. An
                encoding that was not named then is found. None where nobody can ask, so that no flag is advised.
        """
        self._has_flags = asked is not None
        config = stored.record.text
        if shipped.is_shipped(stored.path):  # it learned from other files, which say nothing of this one
            config = config.replace(
                **{name: getattr(TextConfig(), name) for name in ("file_format", "include", "exclude")}
            )
        if config.encoding == "utf-8":  # that was the default, and is found too
            config = config.replace(encoding="auto")
        with self._advising():
            reader = open_corpus([file], config.read_as(asked or {}), hints=stored.record.corpus.encodings)
        super().__init__(reader, stored)

    def blocks(self) -> Iterator[str]:
        """The text in blocks. Raises CorpusError."""
        with self._advising():
            yield from super().blocks()

    @property
    def notes(self) -> tuple[str, ...]:
        """Facts about the reading to show, when all blocks were taken."""
        return super().notes if self._has_flags else tuple(map(note_without_flags, super().notes))

    def _advising(self) -> AbstractContextManager[None]:
        return nullcontext() if self._has_flags else no_flags()


def read_validation_part(
    stored: StoredModel, reader: CorpusReader | None = None, *, jobs: int | None = None
) -> Iterator[str]:
    """The validation part of the model's corpus, in blocks.

    Args:
        reader: of that corpus; None finds it again.
        jobs: as of `prepare`.

    Raises:
        CorpusError: the corpus is none that this user has trained from, cannot be read again or has changed, or there
            is no validation part; the texts of a model that comes with textgen do not come with it.
    """
    record = stored.record
    if shipped.is_shipped(stored.path):
        raise CorpusError(f"{stored.name} comes with textgen, but the texts it learned from do not; name a FILE")
    advice = f"Name a text: textgen evaluate {shlex.quote(shown(stored.name))} FILE"
    prepared = prepare(
        reader or reopen_corpus(record.corpus, record.text, model=stored.name, advice=advice),
        Split(record.training.val_fraction, record.training.seed),
        tokenizer=stored.tokenizer,
        expected=record.corpus,
        jobs=jobs,
    )
    if len(prepared.validation_ids) < 2:
        raise CorpusError(f"{stored.name} was trained without a validation part; name a FILE to evaluate on")
    return text_of_ids(prepared.validation_ids, stored.tokenizer)


def text_of_ids(token_ids: np.ndarray, tokenizer: Tokenizer) -> Iterator[str]:
    """The text that `token_ids` [N] spell, in blocks, with ends of documents."""
    for start in range(0, len(token_ids), DECODED_AT_ONCE):
        yield tokenizer.decode(token_ids[start : start + DECODED_AT_ONCE], END_OF_DOCUMENT)
