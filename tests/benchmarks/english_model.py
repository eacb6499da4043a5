"""A finished run on the text of `english_corpus.py` -> the model that is shipped: 8 bits, credits, a sketch.

    python tests/benchmarks/english_model.py RUN_DIR CORPUS.jsonl CATALOGUE.tsv OUT_DIR

The catalogue has a line for each book, with columns title, author and translator. The run read its documents from a
table, each row one text; the model says that they were files, so that other texts are read as files too. Where it went
on from an earlier run on the same text, it does not say so: that text is its own.
"""

import csv
import dataclasses
import json
import sys
from pathlib import Path

from textgen.config import END_OF_DOCUMENT, TextConfig
from textgen.records import NoticeRecord
from textgen.sketch import Sketcher
from textgen.store import manifest, model_directory
from textgen.tokenizers.word import WordTokenizer

STORAGE = "int8"
TEXT = (
    "English prose: novels and stories of authors who died before 1956, and posts and speeches of the US government "
    "since 1930. The texts are in the public domain. The books were edited by Standard Ebooks, whose work is CC0 1.0."
)
MODERN = (
    "Posts of 18F, by the US General Services Administration",
    "Posts of Digital.gov, by the US General Services Administration",
    "Addresses to Congress since 1930, by presidents of the United States",
)


def works(catalogue: Path) -> tuple[str, ...]:
    """Every book with its author."""
    with catalogue.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    rows.sort(key=lambda row: (row["author"].split()[-1], row["title"]))
    return (*map(_credit, rows), *MODERN)


def _credit(row: dict[str, str]) -> str:
    translator = f", translated by {row['translator']}" if row["translator"] else ""
    return f"{row['title']}, by {row['author']}{translator}"


def sketch_of_corpus(corpus: Path) -> str:
    """What the sketch of the run's corpus is."""
    sketcher = Sketcher()
    with corpus.open(encoding="utf-8") as file:
        for line in file:
            sketcher.add(json.loads(line)["text"] + END_OF_DOCUMENT)
    return sketcher.finish().to_text()


def main(run: Path, corpus: Path, catalogue: Path, out: Path) -> None:
    """Write the model, and seal it."""
    model = model_directory.load_model(run, Path())
    record, old = model.record, model.tokenizer
    if not isinstance(old, WordTokenizer):
        raise TypeError("the model is one of words")
    text = TextConfig(level="word", vocabulary_size=record.text.vocabulary_size, documents="file")
    record = dataclasses.replace(
        record,
        text=text,
        training=record.training.replace(storage=STORAGE),
        parent=None,
        corpus=record.corpus.replace(sources=(corpus.name,), sketch=sketch_of_corpus(corpus)),
        notice=NoticeRecord("CC0-1.0", TEXT, works(catalogue)),
    )
    tokenizer = WordTokenizer(old.symbols, old.words, text.document_separator, old.normalize, old.alone)
    out.mkdir(parents=True)
    model_directory.write_model_files(out, record, tokenizer, model.weights, STORAGE)
    for name in (model_directory.METRICS, model_directory.SAMPLES):
        (out / name).write_bytes((run / name).read_bytes())
    manifest.seal(out, model_directory.MODEL_FILES)
    print(f"{out}: {sum(path.stat().st_size for path in out.iterdir()) / 1e6:.1f} MB, SHA-256 {model.sha256[:12]}")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:5]))
