"""How much of a text stands in another, and where."""

import tempfile
from pathlib import Path
from typing import NamedTuple

from textgen.errors import TextgenError
from textgen.evaluation.reading import FileText
from textgen.generation.copied_runs import MARKED_FROM, CopiedRun, CopyFinder
from textgen.messages import Advance, unwatched
from textgen.store.copy_index import CopyIndex, write_copy_index
from textgen.store.model_directory import COPY_INDEX, StoredModel
from textgen.tokenizers.normalizing import normalize_blocks

FOLLOWED_AT_ONCE = 1 << 14  # characters


class Copied(NamedTuple):
    """What of a text stands in another."""

    characters: int  # of the text
    copied: int  # those of them that are in a run
    runs: list[CopiedRun]  # all that are as long as they can be, the longest first; they may overlap

    @property
    def share(self) -> float:
        """The share that is copied."""
        return self.copied / max(1, self.characters)

    def longest(self, most: int) -> list[CopiedRun]:
        """The longest runs of which none overlaps another."""
        chosen: list[CopiedRun] = []
        for run in self.runs:
            if len(chosen) == most:
                break
            if all(run.end <= other.start or other.end <= run.start for other in chosen):
                chosen.append(run)
        return chosen


def find_copied(text: str, index: CopyIndex, at_least: int = MARKED_FROM, advance: Advance = unwatched) -> Copied:
    """The runs of at least `at_least` characters of `text` that stand in the text of `index`."""
    finder, copied = CopyFinder(index, at_least), 0
    for start in range(0, len(text), FOLLOWED_AT_ONCE):
        pieces = finder.feed(text[start : start + FOLLOWED_AT_ONCE])
        copied += sum(len(piece) for piece, is_copied in pieces if is_copied)
        advance(start, len(text))
    for _ in finder.finish():
        pass
    return Copied(len(text), copied, sorted(finder.runs, key=lambda run: (run.start - run.end, run.start)))


def index_of(corpus: str, stored: StoredModel) -> tuple[CopyIndex, tuple[str, ...]]:
    """The index of a text that is read as the corpus of `stored` was, and facts about the reading to show.

    It is made in a temporary file, which does not stay.

    Raises:
        CorpusError: the text cannot be read.
        TextgenError: there is no room for the index.
    """
    text = FileText(corpus, stored)
    blocks = normalize_blocks(text.blocks(), stored.tokenizer.normalize)
    try:
        with tempfile.TemporaryDirectory(prefix="textgen-") as folder:
            path = Path(folder, COPY_INDEX)
            write_copy_index(path, blocks, stored.tokenizer.document_separator or "")
            return CopyIndex.read(path), text.notes
    except OSError as problem:
        reason = problem.strerror or problem
        raise TextgenError(f"cannot make an index in {tempfile.gettempdir()}: {reason}. Set TMPDIR") from problem
