"""The index of the text that a run learns from, made when the run ends: see store/copy_index.py.

It holds the whole corpus as the run reads it, the validation part too, in the order of the corpus. Nothing is read
again: the text is spelled out from the token ids.
"""

from collections.abc import Iterator
from pathlib import Path

from textgen.config import END_OF_DOCUMENT, TrainingConfig
from textgen.dataset import Prepared
from textgen.dataset.split import DocumentDraw, Split
from textgen.errors import SettingError
from textgen.evaluation.reading import text_of_ids
from textgen.store.copy_index import MOST_CHARACTERS, write_copy_index

DRAWN_AT_ONCE = 1 << 16


def notes_on_index(config: TrainingConfig, prepared: Prepared) -> tuple[str, ...]:
    """What is said of the index before it is made. Raises SettingError where the text is too long for one."""
    if not config.copy_index:
        return ()
    if prepared.characters > MOST_CHARACTERS:
        raise SettingError(
            f"`copy_index` is for texts of at most {MOST_CHARACTERS:,} characters. Received: {prepared.characters:,}"
        )
    return ("the model will hold an index of the whole text: whoever gets the model can read the text in it",)


def make_copy_index(path: Path, prepared: Prepared, split: Split) -> int:
    """Write the index of the corpus to `path`, and return its size in bytes. Raises OSError."""
    return write_copy_index(path, whole_text(prepared, split), prepared.tokenizer.document_separator or "")


def whole_text(prepared: Prepared, split: Split) -> Iterator[str]:
    """The text of both parts in the order of the corpus, with ends of documents."""
    ids = prepared.train_ids, prepared.validation_ids
    parts = [_pieces(text_of_ids(part, prepared.tokenizer)) for part in ids]
    if not prepared.num_documents:
        for part in parts:
            yield from part
        return
    draw = DocumentDraw(prepared.num_documents, split)
    for start in range(0, prepared.num_documents, DRAWN_AT_ONCE):
        for is_validation in draw.take(min(DRAWN_AT_ONCE, prepared.num_documents - start)).tolist():
            for piece in parts[is_validation]:
                yield piece
                if piece.endswith(END_OF_DOCUMENT):
                    break


def _pieces(blocks: Iterator[str]) -> Iterator[str]:
    """The text of `blocks`, cut after every end of a document."""
    for block in blocks:
        *ended, rest = block.split(END_OF_DOCUMENT)
        yield from (piece + END_OF_DOCUMENT for piece in ended)
        if rest:
            yield rest
