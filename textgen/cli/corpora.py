"""`textgen corpora`: list, fetch and describe the texts that have a name.

Results go to stdout, as a table or a path for people and as JSON for programs; the bar goes to stderr.
"""

import dataclasses
import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from textgen.cli.bars import progress_bar
from textgen.cli.options import json_option
from textgen.errors import CorpusError
from textgen.streams import tell, write_lines, write_path

if TYPE_CHECKING:
    from textgen.corpus import CorpusFacts
    from textgen.corpus.catalogue import CatalogueEntry


@click.group()
def corpora() -> None:
    """List, fetch and describe the corpora that have a name."""


@corpora.command("list")
@json_option
def list_corpora(as_json: bool) -> None:
    """List the corpora that can be named in place of a file."""
    from textgen.corpus.catalogue import CATALOGUE

    documents = [_entry_document(entry) for entry in CATALOGUE]
    write_lines(_json(documents) if as_json else _table(documents))


@corpora.command("fetch")
@click.argument("name")
@click.option(
    "--base-url",
    help="Fetch from here instead of GitHub.  [default: $TEXTGEN_CORPORA_URL or GitHub's raw files]",
)
@json_option
def fetch_corpus(name: str, base_url: str | None, as_json: bool) -> None:
    """Fetch the corpus NAME into the cache, check it, and print its path."""
    from textgen.corpus.catalogue import find_entry
    from textgen.corpus.download import fetch

    entry = find_entry(name)
    path = None
    if entry.download:
        with progress_bar(entry.name, in_bytes=True) as progress:
            path = str(fetch(entry, base_url=base_url, progress=progress))
    else:
        tell(f"{entry.name} is built in: there is nothing to fetch.")
    if as_json:
        write_lines(_json({**_entry_document(entry), "path": path}))
    elif path:
        write_path(path)


@corpora.command("info")
@click.argument("name")
@json_option
def corpus_info(name: str, as_json: bool) -> None:
    """Describe the corpus NAME: where it comes from, and what its text is made of."""
    import hashlib

    from textgen.corpus import describe, open_entry
    from textgen.corpus.catalogue import find_entry

    entry = find_entry(name)
    document = _entry_document(entry)
    if not document["cached"]:
        write_lines(_json(document) if as_json else _entry_lines(document))
        tell(f"Its text is not here yet. Run: textgen corpora fetch {entry.name}")
        return
    reader = open_entry(entry)
    text = "".join(reader.blocks())
    facts = describe(text)
    if as_json:
        text_sha256 = hashlib.sha256(text.encode()).hexdigest()
        document |= {"text_sha256": text_sha256, "notes": reader.notes, **dataclasses.asdict(facts)}
        write_lines(_json(document))
    else:
        write_lines([*_entry_lines(document), *_facts_lines(reader.notes, facts)])


def _json(document: Any) -> list[str]:
    return json.dumps(document, indent=2).splitlines()


def _entry_document(entry: "CatalogueEntry") -> dict[str, Any]:
    """The catalogue's facts on `entry`; its `bytes` are None where this installation lacks a built-in text."""
    from textgen.corpus.catalogue import built_in_bytes
    from textgen.corpus.connection import DEFAULT_BASE_URL
    from textgen.corpus.download import cached_path

    download = entry.download
    try:
        num_bytes = download.bytes if download else len(built_in_bytes(entry))
    except CorpusError:
        num_bytes = None
    return {
        "name": entry.name,
        "description": entry.description,
        "language": entry.language,
        "license": entry.license,
        "bytes": num_bytes,
        "sha256": download.sha256 if download else None,
        "url": DEFAULT_BASE_URL + download.url_path if download else None,
        "built_in": download is None,
        "cached": cached_path(entry) is not None if download else num_bytes is not None,
    }


def _table(documents: list[dict[str, Any]]) -> Iterator[str]:
    """Aligned columns, numbers to the right; the last column is not padded."""
    rows = [("name", "bytes", "language", "licence", "cached", "description")]
    rows += [
        (d["name"], _size(d), d["language"], d["license"], _whether_cached(d), d["description"]) for d in documents
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = [c.rjust(w) if i == 1 else c.ljust(w) for i, (c, w) in enumerate(zip(row, widths, strict=True))]
        yield "  ".join(cells).rstrip()


def _size(document: dict[str, Any]) -> str:
    return "missing" if document["bytes"] is None else f"{document['bytes']:,}"


def _whether_cached(document: dict[str, Any]) -> str:
    if document["built_in"]:
        return "built in"
    return "yes" if document["cached"] else "no"


def _entry_lines(document: dict[str, Any]) -> Iterator[str]:
    yield f"{document['name']}: {document['description']}"
    yield f"language    {document['language']}"
    yield f"licence     {document['license']}"
    yield f"bytes       {_size(document)}"
    if document["url"]:
        yield f"url         {document['url']}"
    yield f"cached      {_whether_cached(document)}"


def _facts_lines(notes: tuple[str, ...], facts: "CorpusFacts") -> Iterator[str]:
    yield f"characters  {facts.characters:,}"
    yield f"symbols     {facts.symbols:,}"
    yield f"lines       {facts.lines:,}"
    if facts.has_words:
        yield f"words       {facts.words:,}"
    yield f"unigram     {facts.unigram_bits:.3f} bits per character"
    yield f"bigram      {facts.bigram_bits:.3f} bits per character"
    shares = (f"{symbol!r} {count / facts.characters:.1%}" for symbol, count in facts.most_common)
    yield f"frequent    {', '.join(shares)}"
    for note in notes:
        yield f"note        {note}"
