"""`textgen evaluate`: how well a model predicts a text."""

import sys
from pathlib import Path

import click

from textgen.cli.bars import progress_bar
from textgen.cli.options import json_option, models_dir_option


@click.command()
@click.argument("model")
@click.argument("file", required=False)
@click.option("--encoding", default=None, help="Encoding of FILE.  [default: that of the corpus]")
@models_dir_option
@json_option
def evaluate(model: str, file: str | None, encoding: str | None, models_dir: Path, as_json: bool) -> None:
    """Measure how well MODEL predicts FILE, in nats and bits per character, and as word perplexity.

    Without FILE, the validation part of the text it was trained on, which is read again and must be unchanged.
    FILE may be anything that `train` takes; it is read as the corpus was, documents and columns included. Symbols
    the model has never seen are replaced or left out first.
    """
    from textgen.evaluation import evaluate as measure
    from textgen.evaluation import readable_blocks
    from textgen.generation.numpy_engine import NumpyEngine
    from textgen.model_store import load_model
    from textgen.tokenizers.unknown import describe_replacements

    stored = load_model(model, models_dir)
    blocks = _validation_text(stored) if file is None else _text_of(file, stored, encoding)
    notify = lambda replaced: click.echo(f"textgen: {describe_replacements(replaced)}", err=True)  # noqa: E731
    readable = readable_blocks(blocks, stored.tokenizer, notify)
    with progress_bar("evaluating") as advance:
        result = measure(readable, stored.tokenizer, NumpyEngine(stored.record.model, stored.weights), advance)
    _print(result, stored, file, as_json)


def _text_of(file: str, stored, encoding: str | None):
    """The text of `file` in blocks, read as the model's corpus was."""
    from textgen.corpus import open_corpus

    config = stored.record.text
    return open_corpus([file], config.replace(encoding=encoding or config.encoding)).blocks()


def _validation_text(stored):
    """The part of the model's corpus that it did not learn from, in blocks."""
    from textgen.corpus import open_corpus
    from textgen.errors import CorpusError
    from textgen.evaluation import text_of_ids
    from textgen.preparation import prepare
    from textgen.training.plan import check_same_corpus

    record = stored.record
    if "-" in record.corpus.sources and sys.stdin.isatty():
        raise CorpusError(f"{stored.name} read standard input; pipe the same text in again, or name a FILE")
    reader = open_corpus(record.corpus.sources, record.text)
    prepared = prepare(
        reader,
        val_fraction=record.training.val_fraction,
        seed=record.training.seed,
        tokenizer=stored.tokenizer,
        check=lambda sha256: check_same_corpus(reader.name, sha256, record.corpus),
    )
    if len(prepared.validation_ids) < 2:
        raise CorpusError(f"{stored.name} was trained without a validation part; name a FILE to evaluate on")
    return text_of_ids(prepared.validation_ids, stored.tokenizer)


def _print(result, stored, file: str | None, as_json: bool) -> None:
    import json

    if as_json:
        document = {"model": stored.name, "model_sha256": stored.sha256, "file": file, **result._asdict()}
        click.echo(json.dumps(document, ensure_ascii=False))
        return
    click.echo(f"characters               {result.characters:,}")
    click.echo(f"words and line ends      {result.words:,}")
    click.echo(f"tokens                   {result.tokens:,}")
    click.echo(f"bits per character       {result.bits_per_character:.4f}   one pass, state carried")
    click.echo(f"nats per character       {result.nats_per_character:.4f}")
    click.echo(
        f"word perplexity          {result.word_perplexity:,.2f}   per word and line end, spelled words included"
    )
    if result.nats_per_character_windows is not None:
        click.echo(
            f"nats per character       {result.nats_per_character_windows:.4f}   random windows of 256, zero state"
        )
