"""A trained model, as a Python program uses it."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from textgen.arguments import (
    choice_of,
    for_python,
    path_of,
    switch_of,
    text_of,
    texts_of,
    warn_caller,
    whole_number_of,
)
from textgen.config import STORAGES, CacheConfig, DynamicConfig, SamplingConfig, TextConfig, with_seed
from textgen.errors import SettingError
from textgen.generation.completion import Completion
from textgen.generation.engines import ENGINES, Engine, open_engine
from textgen.generation.generator import Generator, copy_index_of
from textgen.generation.sizes import MAX_SAMPLES, needed_bytes
from textgen.memory import LARGE_BYTES, in_gb
from textgen.records import ModelRecord
from textgen.schema import check_known, from_python
from textgen.store import model_directory
from textgen.tokenizers.unknown import POLICIES, describe_replacements

if TYPE_CHECKING:
    from textgen.evaluation import Evaluation
    from textgen.export import ExportResult

PathLike: TypeAlias = str | os.PathLike[str]


class Model:
    """A trained model.

    Pickled, as by `multiprocessing.Pool.map(model.generate, prompts)`, it takes its weights along. Nothing is opened
    where it arrives, and it writes the same text there.
    """

    def __init__(self, stored: model_directory.StoredModel, engine: str = "numpy"):
        """Args: engine: one of ENGINES. Raises TextgenError where TensorFlow is wanted and cannot be used."""
        self._stored = stored
        self._engine_name = engine
        self._engine: Engine | None = open_engine(stored, engine)

    def __repr__(self) -> str:
        return f"<textgen model {self.name!r} at {str(self.path)!r}>"

    def __getstate__(self) -> dict[str, Any]:
        return {"stored": self._stored, "engine": self._engine_name}

    def __setstate__(self, state: dict[str, Any]) -> None:
        # Its engine is opened when it is needed: a pool waits for ever for a task that cannot be unpickled.
        self._stored, self._engine_name, self._engine = state["stored"], state["engine"], None

    @property
    def name(self) -> str:
        """Its name."""
        return self._stored.name

    @property
    def path(self) -> Path:
        """Its directory."""
        return self._stored.path

    @property
    def record(self) -> ModelRecord:
        """Its settings, corpus, versions and results."""
        return self._stored.record

    @for_python
    def generate(self, prompt: str | None = "", *, on_unknown: str = "replace", **settings: Any) -> str:
        """The text that continues `prompt`, without the prompt.

        Args:
            prompt: None is a blank page, as "" is.
            on_unknown: what happens to symbols that the model has never seen: "replace", "skip" or "error". A
                TextgenWarning says what was done.
            settings: fields of SamplingConfig: length, temperature (one or a list), seed (or "random"), ban, stop ...

        Raises:
            SettingError: an argument is of the wrong type (WrongTypeError, a TypeError too), out of its range, or
                unknown; or there is no memory for so long a text.
            TokenizerError: the prompt has symbols that the model has never seen, and `on_unknown` is "error".
            DeadEndError: the rules together leave the text nowhere to go before it is what it must be.
            TextgenError: the engine is TensorFlow, and this process was forked from one that had used it.
        """
        return self.samples(prompt, 1, on_unknown=on_unknown, **settings)[0].completion

    @for_python
    def samples(
        self,
        prompt: str | None = "",
        num_samples: int = 1,
        *,
        logprobs: int | None = None,
        on_unknown: str = "replace",
        **settings: Any,
    ) -> list[Completion]:
        """Several texts that continue `prompt`, made side by side; arguments and errors are those of `generate`.

        Args:
            logprobs: tell of each token how likely it was, and so many others; None tells nothing.

        Raises:
            DeadEndError: some texts came to a dead end. It is raised once the others are made. Its `completions` holds
                those, and its `samples` the numbers of the ones that failed.
        """
        generator, text, config = self._asked(prompt, on_unknown, settings)
        number = whole_number_of("num_samples", num_samples)
        needed = needed_bytes(generator.tokenizer, config, min(number, MAX_SAMPLES))
        if number > 0 and needed > LARGE_BYTES:
            warn_caller(f"the texts are held until they are whole, which takes {in_gb(needed)} of memory")
        wanted = None if logprobs is None else whole_number_of("logprobs", logprobs)
        return generator.generate(text, config, number, logprobs=wanted)

    @for_python
    def stream(self, prompt: str | None = "", *, on_unknown: str = "replace", **settings: Any) -> Iterator[str]:
        """The text of `generate`, piece by piece as it is made; arguments and errors are those of `generate`.

        A DeadEndError comes after the pieces that could be written.
        """
        generator, text, config = self._asked(prompt, on_unknown, settings)
        return generator.write(generator.read(generator.readable_prompt(text)), config)

    @for_python
    def evaluate(
        self,
        text: str | os.PathLike[str] | Iterable[str] | None = None,
        *,
        texts: str | Iterable[str] | None = None,
        on_unknown: str = "replace",
        dynamic: bool = False,
        cache: bool = False,
        **settings: Any,
    ) -> "Evaluation":
        """How well the model predicts a text: the figures of `textgen evaluate`.

        Args:
            text: a string is read as a file that holds it, which the model's corpus might have been: cut into lines, or
                with a table's columns; a path is such a file; a list of strings is several documents. None is the
                validation part of the model's own corpus, which is read again and must be unchanged.
            texts: where the model learned from texts in memory, those texts again, of which the validation part is
                measured.
            on_unknown: as in `generate`.
            dynamic: also measure the model while its weights learn from the text; imports TensorFlow.
            cache: also measure it with a cache of what it has read of the text.
            settings: fields of DynamicConfig and CacheConfig; of a file, also those of TextConfig that say how it is
                read: encoding, column, include ... What is not given is as it was with the model's corpus.

        Raises:
            SettingError: an argument is of the wrong type, out of its range, unknown or of no use.
            CorpusError: the text cannot be read or is too short; or the model's corpus is none that this user has
                trained from, has changed, or was in memory and is not given.
            TokenizerError: the text has symbols that the model has never seen, and `on_unknown` is "error".
        """
        from textgen.evaluation.measuring import chosen, measure, text_to_measure

        config = chosen(DynamicConfig, switch_of("dynamic", dynamic), "dynamic", settings)
        cache_config = chosen(CacheConfig, switch_of("cache", cache), "cache", settings)
        check_known(settings, DynamicConfig, CacheConfig, TextConfig)
        policy, asked = choice_of("on_unknown", on_unknown, POLICIES), from_python(TextConfig, settings)
        if text is not None and texts is not None:
            raise SettingError("give either a text to measure the model on, or the `texts` that it learned from")
        file = path_of("text", text) if isinstance(text, os.PathLike) else None
        found = text_to_measure(
            self._stored,
            file=file,
            asked=asked,
            text=None if text is None or file is not None else texts_of("text", text),
            corpus=None if texts is None else texts_of("texts", texts),
        )
        return measure(self._stored, found, policy, config, cache_config, warn_caller)

    @for_python
    def export(
        self, output_dir: PathLike, *, format: str = "saved-model", dtype: str | None = None, overwrite: bool = False
    ) -> "ExportResult":
        """Write the model as a program that takes a prompt and returns text, and check it against the NumPy engine.

        Args:
            output_dir: the directory that is made; for a page, the file.
            format: "saved-model" for TensorFlow, "html" for a page that writes, "onnx" or "litert" for the network's
                step.
            dtype: how a page stores the weights: "float32", "float16" or "int8". None is float16, or int8 where the
                model is stored so.

        Raises:
            SettingError: an argument is of the wrong type, or of no use.
            ExportError: it cannot be written, exists already, or fails its check.
            TextgenError: TensorFlow cannot be used.
        """
        from textgen.export.formats import ENDINGS, export_as

        path, replaces = Path(path_of("output_dir", output_dir)), switch_of("overwrite", overwrite)
        kind = choice_of("format", format, ENDINGS)
        storage = None if dtype is None else choice_of("dtype", dtype, STORAGES)
        return export_as(kind, self._stored, path, dtype=storage, overwrite=replaces)

    def _asked(
        self, prompt: object, on_unknown: object, settings: dict[str, Any]
    ) -> tuple[Generator, str, SamplingConfig]:
        """What writes, after which prompt, and how."""
        text = "" if prompt is None else text_of("prompt", prompt)
        policy, config = choice_of("on_unknown", on_unknown, POLICIES), _sampling(settings)
        if self._engine is None:
            self._engine = open_engine(self._stored, self._engine_name)
        generator = Generator(
            self._stored.tokenizer,
            self._engine,
            on_unknown=policy,
            on_replaced=lambda replaced: warn_caller(describe_replacements(replaced)),
            on_ended=warn_caller,
            copy_index=lambda: copy_index_of(self._stored),
        )
        return generator, text, config


@for_python
def load(name_or_path: PathLike, *, models_dir: PathLike | None = None, engine: str = "numpy") -> Model:
    """The model of that name (or at that path), verified against its manifest.

    Of a run that is not finished it is the best model so far, and a TextgenWarning says so.

    Args:
        models_dir: where names are looked up; None is $TEXTGEN_MODELS_DIR or `saved_models`.
        engine: "numpy", or "tensorflow" for GPUs and large batches.

    Raises:
        ModelError: no such model, or a damaged one.
        SettingError: an argument is of the wrong type, or there is no such engine.
        TextgenError: TensorFlow is wanted and cannot be used.
    """
    name, wanted = path_of("name_or_path", name_or_path, "a model's name or path"), choice_of("engine", engine, ENGINES)
    stored = model_directory.load_model(name, models_dir_of(models_dir))
    if not stored.is_finished:
        warn_caller(f"{stored.name} is not finished; this is its best at step {stored.record.results.best_step:,}")
    return Model(stored, wanted)


def models_dir_of(given: object) -> Path:
    """The directory of models that a caller names; None is the default one."""
    return model_directory.default_models_dir() if given is None else Path(path_of("models_dir", given))


def _sampling(settings: dict[str, Any]) -> SamplingConfig:
    check_known(settings, SamplingConfig)
    return SamplingConfig(**from_python(SamplingConfig, with_seed(settings)))
