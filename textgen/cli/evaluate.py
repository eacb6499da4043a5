"""`textgen evaluate`: how well a model predicts a text."""

from pathlib import Path

import click

from textgen.cli.options import json_option, models_dir_option


@click.command()
@click.argument("model")
@click.argument("file", required=False)
@click.option("--encoding", default=None, help="Encoding of FILE.  [default: utf-8]")
@models_dir_option
@json_option
def evaluate(model: str, file: str | None, encoding: str | None, models_dir: Path, as_json: bool) -> None:
    """Measure how well MODEL predicts FILE, in nats and bits per character.

    Without FILE, the validation part of the text it was trained on, which is read again and must be unchanged.
    FILE may be anything that `train` takes. Symbols the model has never seen are replaced or left out first.
    """
    from textgen.evaluation import evaluate as measure
    from textgen.generation.numpy_engine import NumpyEngine
    from textgen.model_store import load_model

    stored = load_model(model, models_dir)
    text = _readable(_text(stored, file, encoding), stored)
    with _bar(len(text)) as advance:
        result = measure(text, stored.tokenizer, NumpyEngine(stored.record.model, stored.weights), advance)
    _print(result, stored, file, as_json)


def _text(stored, file: str | None, encoding: str | None) -> str:
    from textgen.corpus import read_corpus, split_text
    from textgen.errors import CorpusError
    from textgen.training.plan import check_same_corpus

    if file is not None:
        return read_corpus([file], encoding=encoding or "utf-8").text
    record = stored.record
    corpus = read_corpus(record.corpus.sources, encoding=record.corpus.encoding)
    check_same_corpus(corpus, record.corpus)
    validation = split_text(corpus.text, record.training.val_fraction)[1]
    if not validation:
        raise CorpusError(f"{stored.name} was trained without a validation part; name a FILE to evaluate on")
    return validation


def _readable(text: str, stored) -> str:
    from textgen.tokenizers.unknown import describe_replacements, make_readable

    readable = make_readable(text, stored.tokenizer)
    if readable.replaced:
        click.echo(f"textgen: {describe_replacements(readable.replaced)}", err=True)
    return readable.text


def _bar(total: int):
    """A context manager that yields the progress callback of `evaluation.evaluate`."""
    import contextlib

    from rich.console import Console
    from rich.progress import Progress

    @contextlib.contextmanager
    def shown():
        console = Console(stderr=True)
        with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
            task = progress.add_task("evaluating", total=total)
            yield lambda done, _total: progress.update(task, completed=done)

    return shown()


def _print(result, stored, file: str | None, as_json: bool) -> None:
    import json

    if as_json:
        document = {"model": stored.name, "model_sha256": stored.sha256, "file": file, **result._asdict()}
        click.echo(json.dumps(document, ensure_ascii=False))
        return
    click.echo(f"characters               {result.characters:,}")
    click.echo(f"nats per character       {result.nats_per_character:.4f}   one pass, state carried")
    click.echo(f"bits per character       {result.bits_per_character:.4f}")
    if result.nats_per_character_windows is not None:
        click.echo(
            f"nats per character       {result.nats_per_character_windows:.4f}   random windows of 256, zero state"
        )
