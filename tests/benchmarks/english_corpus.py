"""The text that the pretrained model learns from: one JSONL file of documents, from folders of books and of posts.

    python tests/benchmarks/english_corpus.py OUT.jsonl BOOKS_DIR POSTS_DIR

Books are cut into chapters where a line is nothing but a chapter's number or name, posts at two blank lines. Every
second document has plain ASCII punctuation, so that the model suits “curly” and "straight" texts. The documents are
shuffled by their hash: the same folders give the same bytes.

NOTE: lines of fewer than SHORTEST characters at the end of a chapter's neighbour are kept with it; what remains under
that length is no document of its own.
"""

import hashlib
import itertools
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

HEADING = re.compile(
    r"(?:chapter|book|part|volume|act|canto|epilogue|prologue|preface|introduction|conclusion)\b.{0,40}"
    r"|[ivxlc]{1,8}\.?|\d{1,3}\.?",
    re.IGNORECASE,
)
SHORTEST = 400  # characters; a document that is shorter goes to the one behind it
PLAIN = str.maketrans(
    {"“": '"', "”": '"', "‘": "'", "’": "'", "—": "--", "–": "-", "…": "...", "⸻": "---", "‑": "-", "−": "-"}
)


def chapters(book: str) -> Iterator[str]:
    """The chapters of a book, each with its heading."""
    lines: list[str] = []
    for line in book.split("\n"):
        if HEADING.fullmatch(line) and len("\n".join(lines)) >= SHORTEST:
            yield "\n".join(lines).strip()
            lines = []
        lines.append(line)
    yield "\n".join(lines).strip()


def posts(text: str) -> Iterator[str]:
    """The documents of a file that two blank lines part."""
    waiting = ""
    for document in map(str.strip, text.split("\n\n\n")):
        waiting = f"{waiting}\n\n{document}" if waiting else document
        if len(waiting) >= SHORTEST:
            yield waiting
            waiting = ""
    if waiting:
        yield waiting


def main(out: Path, books: Path, others: Path) -> None:
    """Write the documents of both folders."""
    found = itertools.chain(
        *(chapters(path.read_text("utf-8")) for path in sorted(books.glob("*.txt"))),
        *(posts(path.read_text("utf-8")) for path in sorted(others.glob("*.txt"))),
    )
    documents = {hashlib.sha256(text.encode()).hexdigest(): text for text in found if text}
    with out.open("w", encoding="utf-8") as file:
        for number, (_, text) in enumerate(sorted(documents.items())):
            shown = text.translate(PLAIN) if number % 2 else text
            file.write(json.dumps({"text": shown}, ensure_ascii=False) + "\n")
    print(f"{len(documents):,} documents, {sum(map(len, documents.values())):,} characters")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:4]))
