"""`textgen evaluate`: how well a model predicts a text."""

import dataclasses
import sys
from pathlib import Path
from typing import Any

import click

from textgen.cli.bars import progress_bar
from textgen.cli.options import given, json_option, models_dir_option, options_of
from textgen.config import CacheConfig, DynamicConfig


@click.command()
@click.argument("model")
@click.argument("file", required=False)
@click.option("--encoding", default=None, help="Encoding of FILE.  [default: that of the corpus]")
@click.option("--dynamic", is_flag=True, help="Measure too with weights that learn from what they have predicted.")
@options_of(DynamicConfig)
@click.option("--cache", is_flag=True, help="Measure too with a cache of the tokens that followed similar states.")
@options_of(CacheConfig)
@models_dir_option
@json_option
def evaluate(
    model: str,
    file: str | None,
    encoding: str | None,
    dynamic: bool,
    cache: bool,
    models_dir: Path,
    as_json: bool,
    **flags: Any,
) -> None:
    """Measure how well MODEL predicts FILE, in nats and bits per character, and as word perplexity.

    Without FILE, the validation part of the text it was trained on, which is read again and must be unchanged.
    FILE may be anything that `train` takes; it is read as the corpus was, documents and columns included. Symbols
    the model has never seen are replaced or left out first.

    The model's figures are those under fixed weights. --dynamic and --cache adapt it to FILE while it is tested, each
    on its own; their figures stand apart. MODEL itself is never changed.
    """
    from textgen.evaluation import evaluate_tokens, readable_blocks, tokenize
    from textgen.generation.numpy_engine import NumpyEngine
    from textgen.model_store import load_model
    from textgen.tokenizers.unknown import describe_replacements

    dynamic_config = _settings(DynamicConfig, dynamic, "--dynamic", flags)
    cache_config = _settings(CacheConfig, cache, "--cache", flags)
    stored = load_model(model, models_dir)
    blocks = _validation_text(stored) if file is None else _text_of(file, stored, encoding)
    notify = lambda replaced: click.echo(f"textgen: {describe_replacements(replaced)}", err=True)  # noqa: E731
    text = tokenize(readable_blocks(blocks, stored.tokenizer, notify), stored.tokenizer)
    engine = NumpyEngine(stored.record.model, stored.weights)
    with progress_bar("evaluating") as advance:
        is_char = stored.tokenizer.level == "char"
        result = evaluate_tokens(text, engine, advance, with_windows=is_char, cache=cache_config)
    adapted = {"dynamic": (dynamic_config and _dynamic_figures(text, stored, dynamic_config), dynamic_config)}
    adapted["cache"] = (result.cache, cache_config)
    (_print_json if as_json else _print)(result, adapted, stored, file)


def _settings(settings: type, is_wanted: bool, flag: str, flags: dict[str, Any]):
    """The settings of a way to adapt, or None when it is not asked for. Its flags alone would do nothing."""
    from textgen.errors import SettingError
    from textgen.settings import flag_of

    names = {field.name for field in dataclasses.fields(settings)}
    chosen = {name: value for name, value in given(flags).items() if name in names}
    if chosen and not is_wanted:
        raise SettingError(f"{flag_of(next(iter(chosen)))} is of use with {flag} only; add {flag}")
    return settings(**chosen) if is_wanted else None


def _dynamic_figures(text, stored, config: DynamicConfig):
    from textgen.tensorflow_runtime import quiet_import

    quiet_import()
    from textgen.evaluation.dynamic import dynamic_surprisals

    with progress_bar("with weights that follow the text") as advance:
        nats = dynamic_surprisals(text.token_ids, stored.record.model, stored.weights, config, advance)
    return text.figures(float(nats.sum()))


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


def _print_json(result, adapted: dict, stored, file: str | None) -> None:
    import json

    document = {"model": stored.name, "model_sha256": stored.sha256, "file": file, **result._asdict()}
    for name, (figures, config) in adapted.items():
        document[name] = figures and {**figures._asdict(), **config.to_json()}
    click.echo(json.dumps(document, ensure_ascii=False))


def _print(result, adapted: dict, stored, file: str | None) -> None:
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
    for name, (figures, config) in adapted.items():
        if figures:
            click.echo(_adapted_line(name, figures, config))


def _adapted_line(name: str, figures, config) -> str:
    values = ", ".join(f"{key.removeprefix(f'{name}_')} {value}" for key, value in config.to_json().items())
    return (
        f"adapted at test time     {figures.nats_per_character:.4f} nats, {figures.bits_per_character:.4f} bits per "
        f"character, word perplexity {figures.word_perplexity:,.2f}   --{name}: {values}"
    )
