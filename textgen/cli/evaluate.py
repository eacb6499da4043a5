"""`textgen evaluate`: how well a model predicts a text."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from textgen.cli.bars import progress_bar
from textgen.cli.options import given, jobs_option, json_option, models_dir_option, options_of
from textgen.config import MODEL_ONLY, CacheConfig, DynamicConfig, TextConfig
from textgen.errors import SettingError
from textgen.messages import json_line
from textgen.schema import Settings, flag_of, names_of
from textgen.streams import tell, write_line, write_lines

if TYPE_CHECKING:
    from textgen.evaluation import Evaluation, Figures, TokenizedText
    from textgen.store.model_directory import StoredModel

AnySettings = TypeVar("AnySettings", bound=Settings)


@click.command()
@click.argument("model")
@click.argument("file", required=False)
@options_of(TextConfig, skip=MODEL_ONLY, default="as the corpus was")
@click.option("--dynamic", is_flag=True, help="Also measure the model while its weights learn from FILE.")
@options_of(DynamicConfig)
@click.option("--cache", is_flag=True, help="Also measure the model with a cache of what it has read of FILE.")
@options_of(CacheConfig)
@jobs_option
@models_dir_option
@json_option
def evaluate(
    model: str,
    file: str | None,
    dynamic: bool,
    cache: bool,
    jobs: int | None,
    models_dir: Path,
    as_json: bool,
    **flags: Any,
) -> None:
    """Measure how well MODEL predicts a text.

    The figures are nats and bits per character, and word perplexity where spaces part the words.

    FILE may be anything that `train` takes. It is read as the corpus was, documents and columns included, unless a
    flag says otherwise. Symbols that
    the model has never seen are replaced or left out first. Without FILE, MODEL is measured on the validation part of
    its corpus, which is read again and must be unchanged. You must have trained on it here: what somebody else's model
    names is not opened.

    The model's figures are those under fixed weights. --dynamic and --cache each adapt the model to FILE while it is
    measured; their figures are printed separately. The stored MODEL is never changed.

    Where MODEL has read a part of FILE before, its figures are better than on a new text, and the command says so.
    """
    from textgen.evaluation import evaluate_tokens, readable_blocks, tokenize
    from textgen.evaluation.reading import FileText, read_validation_part
    from textgen.generation.numpy_engine import NumpyEngine
    from textgen.store.model_directory import load_model
    from textgen.tokenizers.unknown import describe_replacements

    def name_unknown(replaced: dict[str, str]) -> None:
        tell(f"textgen: {describe_replacements(replaced)}")

    dynamic_config = _chosen(DynamicConfig, dynamic, "--dynamic", flags)
    cache_config = _chosen(CacheConfig, cache, "--cache", flags)
    asked = {name: value for name, value in given(flags).items() if name in names_of(TextConfig)}
    if asked and file is None:
        raise SettingError(f"`{next(iter(asked))}` says how FILE is read; name a FILE, or leave it out")
    stored = load_model(model, models_dir)
    given_text = None if file is None else FileText(file, stored, asked)
    blocks = read_validation_part(stored, jobs=jobs) if given_text is None else given_text.blocks()
    text = tokenize(readable_blocks(blocks, stored.tokenizer, name_unknown), stored.tokenizer)
    for note in () if given_text is None else given_text.notes:
        tell(f"textgen: {note}")
    read_before = None if given_text is None else given_text.read_before()
    with progress_bar("evaluating") as advance:
        engine = NumpyEngine(stored.record.model, stored.weights)
        is_char = stored.tokenizer.level == "char"
        result = evaluate_tokens(text, engine, advance, with_windows=is_char, cache=cache_config)
    adapted: dict[str, tuple[Figures, Settings]] = {}
    if dynamic_config is not None:
        adapted["dynamic"] = _dynamic_figures(text, stored, dynamic_config), dynamic_config
    if result.cache is not None and cache_config is not None:
        adapted["cache"] = result.cache, cache_config
    if as_json:
        document = {"model": stored.name, "model_sha256": stored.sha256, "file": file, **result._asdict()}
        document |= {"read_before": read_before, "dynamic": None, "cache": None}
        document |= {name: figures._asdict() | config.to_json() for name, (figures, config) in adapted.items()}
        write_line(json_line(document))
    else:
        write_lines(_lines(result, adapted))
    if read_before is not None:
        tell(
            f"textgen: {stored.name} has read about {read_before:.0%} of this text before, so its figures are better "
            "than on a new text"
        )


def _chosen(settings: type[AnySettings], is_wanted: bool, flag: str, flags: dict[str, Any]) -> AnySettings | None:
    """The settings of a way to adapt, or None when it is not asked for. Its flags alone would do nothing."""
    names = settings().to_json()
    chosen = {name: value for name, value in given(flags).items() if name in names}
    if chosen and not is_wanted:
        raise SettingError(f"{flag_of(next(iter(chosen)))} is of use with {flag} only; add {flag}")
    return settings(**chosen) if is_wanted else None


def _dynamic_figures(text: "TokenizedText", stored: "StoredModel", config: DynamicConfig) -> "Figures":
    from textgen.tensorflow_runtime import quiet_import

    quiet_import()
    from textgen.evaluation.dynamic import dynamic_surprisals

    with progress_bar("with weights that follow the text") as advance:
        nats = dynamic_surprisals(text.token_ids, stored.record.model, stored.weights, config, advance)
    return text.figures(float(nats.sum()))


def _lines(result: "Evaluation", adapted: "dict[str, tuple[Figures, Settings]]") -> Iterator[str]:
    yield f"characters               {result.characters:,}"
    if result.word_perplexity is not None:
        yield f"words and line ends      {result.words:,}"
    yield f"tokens                   {result.tokens:,}"
    yield f"bits per character       {result.bits_per_character:.4f}   one pass, state carried"
    yield f"nats per character       {result.nats_per_character:.4f}"
    if result.word_perplexity is not None:
        yield f"word perplexity          {result.word_perplexity:,.2f}   per word and line end, spelled words included"
    if result.nats_per_character_windows is not None:
        yield f"nats per character       {result.nats_per_character_windows:.4f}   random windows of 256, zero state"
    for name, (figures, config) in adapted.items():
        values = ", ".join(f"{key.removeprefix(f'{name}_')} {value}" for key, value in config.to_json().items())
        perplexity = figures.word_perplexity
        yield (
            f"adapted at test time     {figures.nats_per_character:.4f} nats, {figures.bits_per_character:.4f} bits "
            f"per character{'' if perplexity is None else f', word perplexity {perplexity:,.2f}'}   --{name}: {values}"
        )
