"""All that `Model.evaluate` does: find the text, measure the model on it, and tell what was odd.

The figures are those of `textgen evaluate`, which shows its progress between these steps.
"""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from textgen.config import MODEL_ONLY, CacheConfig, DynamicConfig, TextConfig
from textgen.corpus.compression import uncompressed
from textgen.corpus.tables import TABLE_FORMATS
from textgen.corpus.texts import ENCODING, TextsReader, text_reader
from textgen.errors import SettingError
from textgen.evaluation.one_pass import Evaluation, evaluate_tokens
from textgen.evaluation.reading import FileText, GivenText, read_validation_part
from textgen.evaluation.texts import readable_blocks, tokenize
from textgen.generation.numpy_engine import NumpyEngine
from textgen.records import CorpusRecord
from textgen.schema import Settings, from_python, names_of
from textgen.store.model_directory import StoredModel
from textgen.tensorflow_runtime import quiet_import
from textgen.tokenizers.unknown import describe_replacements

AnySettings = TypeVar("AnySettings", bound=Settings)
Texts = str | tuple[str, ...]


def chosen(settings: type[AnySettings], is_wanted: bool, name: str, values: Mapping[str, Any]) -> AnySettings | None:
    """The settings of a way to adapt, or None where it is not asked for.

    Args:
        name: of the way, as it is asked for.
        values: what was given, for other ways too.

    Raises:
        SettingError: one of its settings is given, and would do nothing.
    """
    mine = {field: value for field, value in values.items() if field in names_of(settings)}
    if mine and not is_wanted:
        raise SettingError(f"`{next(iter(mine))}` is of use with `{name}=True` only")
    return settings(**from_python(settings, mine)) if is_wanted else None


def text_to_measure(
    stored: StoredModel,
    *,
    file: str | None = None,
    asked: Mapping[str, Any] | None = None,
    text: Texts | None = None,
    corpus: Texts | None = None,
) -> GivenText | Iterator[str]:
    """The text of a file, one in memory, or the validation part of the model's corpus.

    Args:
        file: what `open_corpus` takes.
        asked: fields of TextConfig that say how the file is read; the others are as with the corpus.
        text: one as a file would hold it, or several documents.
        corpus: the texts that the model learned from, where they were in memory.

    Raises:
        SettingError: `asked` is of no use here.
        CorpusError: it cannot be read, or nothing can be measured on it.
    """
    config = stored.record.text
    asked = {name: value for name, value in (asked or {}).items() if value is not None}
    for name in asked:
        if name in MODEL_ONLY:
            raise SettingError(f"`{name}` is that of the model; leave it out")
        if file is None:
            raise SettingError(f"`{name}` is for files; leave it out for a text in memory")
    if file is not None:
        return FileText(file, stored, asked)
    if isinstance(text, str):
        table_format = "" if config.column is None else _table_format(text, stored.record.corpus)
        return GivenText(text_reader(text, config, table_format), stored)
    if text is not None:
        return GivenText(TextsReader(text, config), stored)
    return read_validation_part(stored, None if corpus is None else _reader_again(corpus, config))


def measure(
    stored: StoredModel,
    text: GivenText | Iterator[str],
    policy: str,
    dynamic: DynamicConfig | None,
    cache: CacheConfig | None,
    tell: Callable[[str], None],
) -> Evaluation:
    """The figures of the model on `text`.

    Args:
        policy: what happens to symbols that the model has never seen, one of `unknown.POLICIES`.
        tell: told in one line what makes a figure mean something else.

    Raises:
        TextgenError: the text cannot be read or is too short, TensorFlow is needed and cannot be used.
    """
    if dynamic is not None:
        quiet_import()  # before anything is computed
    blocks = text.blocks() if isinstance(text, GivenText) else text
    known = readable_blocks(blocks, stored.tokenizer, lambda replaced: tell(describe_replacements(replaced)), policy)
    tokens = tokenize(known, stored.tokenizer)
    for note in text.notes if isinstance(text, FileText) else ():
        tell(note)
    share = text.read_before() if isinstance(text, GivenText) else None
    if share is not None:
        read = f"{stored.name} has read about {share:.0%} of this text before"
        tell(f"{read}, so its figures are better than on a new text")
    engine = NumpyEngine(stored.record.model, stored.weights)
    result = evaluate_tokens(tokens, engine, with_windows=stored.tokenizer.level == "char", cache=cache)
    if dynamic is None:
        return result
    from textgen.evaluation.dynamic import dynamic_surprisals  # noqa: PLC0415 (imports TensorFlow)

    nats = dynamic_surprisals(tokens.token_ids, stored.record.model, stored.weights, dynamic)
    return result._replace(dynamic=tokens.figures(float(nats.sum())))


def _reader_again(texts: Texts, config: TextConfig) -> TextsReader:
    return TextsReader([texts] if isinstance(texts, str) else texts, config.replace(encoding=ENCODING))


def _table_format(text: str, corpus: CorpusRecord) -> str:
    """That of the corpus; what only a text in memory can tell, it tells."""
    endings = [Path(uncompressed(source)).suffix.removeprefix(".").lower() for source in corpus.sources]
    known = [ending for ending in endings if ending in TABLE_FORMATS]
    return known[0] if known else "jsonl" if text.lstrip().startswith("{") else "csv"
