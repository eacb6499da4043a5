"""The Python interface: `textgen.train`, `textgen.load`, and the `Model` that both give.

Settings are the command line's, by the same names: `textgen sample -t 0.5 --top-k 10` is
`model.generate(temperature=0.5, top_k=10)`.
"""

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from textgen.config import SamplingConfig
from textgen.errors import SettingError
from textgen.generation.generator import Completion, Generator, open_generator
from textgen.generation.numpy_engine import NumpyEngine
from textgen.records import ModelRecord
from textgen.store import model_directory

if TYPE_CHECKING:
    from textgen.evaluation import Evaluation
    from textgen.export import ExportResult
    from textgen.training.reporting import Reporter


class Model:
    """A trained model."""

    def __init__(self, stored: model_directory.StoredModel, engine: str = "numpy"):
        self._stored = stored
        self._generator: Generator = open_generator(stored, engine)

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

    def generate(self, prompt: str = "", **settings: Any) -> str:
        """The text that continues `prompt`, without the prompt.

        Args:
            settings: fields of SamplingConfig: length, temperature, top_k, top_p, min_p, repeat_penalty, seed, stop ...
        """
        return self.samples(prompt, 1, **settings)[0].completion

    def samples(self, prompt: str = "", num_samples: int = 1, **settings: Any) -> list[Completion]:
        """Several texts that continue `prompt`, made side by side."""
        return self._generator.generate(prompt, _sampling(settings), num_samples)

    def stream(self, prompt: str = "", **settings: Any) -> Iterator[str]:
        """The text of `generate`, piece by piece as it is made."""
        return self._generator.stream(prompt, _sampling(settings))

    def evaluate(self, text: str) -> "Evaluation":
        """How well the model predicts `text`. Raises TokenizerError at a symbol it does not know."""
        from textgen.evaluation import evaluate

        return evaluate(text, self._stored.tokenizer, NumpyEngine(self.record.model, self._stored.weights))

    def export(self, output_dir: str | Path, *, overwrite: bool = False) -> "ExportResult":
        """Write a SavedModel that takes a prompt and returns text, and check it in a fresh process."""
        from textgen.tensorflow_runtime import quiet_import

        quiet_import()
        from textgen.export import export_model

        return export_model(self._stored, Path(output_dir), overwrite=overwrite)


def load(name_or_path: str | Path, *, models_dir: str | Path | None = None, engine: str = "numpy") -> Model:
    """The model of that name (or at that path), verified against its manifest.

    Args:
        models_dir: where names are looked up; None is $TEXTGEN_MODELS_DIR or `saved_models`.
        engine: "numpy", or "tensorflow" for GPUs and large batches.

    Raises:
        ModelError: no such model, or a damaged one.
    """
    directory = Path(models_dir) if models_dir else model_directory.default_models_dir()
    return Model(model_directory.load_model(name_or_path, directory), engine)


def train(
    *sources: str | Path,
    name: str | None = None,
    models_dir: str | Path | None = None,
    overwrite: bool = False,
    init_from: str | Path | None = None,
    preset: str | None = None,
    reporter: "Reporter | None" = None,
    **settings: Any,
) -> Model:
    """Train a model on texts and return it.

    Args:
        sources: files, folders, catalogue names; none is the starter corpus.
        name: of the model; None is the corpus's.
        init_from: name or path of a model to begin with, whose shape and level this one has and which stays as it is;
            "none" begins from nothing, None with the shipped model `english` where that reads the text well.
        preset: a size, tiny, small, medium or large; None chooses one that suits the corpus and the budget.
        reporter: told what happens while it trains; None is silent.
        settings: fields of TextConfig (level, documents ...), of TrainingConfig (minutes, epochs or steps,
            batch_size ...) and of ModelConfig (units ...). What is None or not given suits the corpus and the budget.

    Raises:
        TextgenError: whatever keeps the run from starting or going on; KeyboardInterrupt when it was stopped,
            after everything was saved.
    """
    from textgen.training.request import Request
    from textgen.training.run import train

    directory = Path(models_dir) if models_dir else model_directory.default_models_dir()
    request = Request(
        models_dir=directory,
        sources=tuple(str(source) for source in sources),
        name=name,
        settings=settings,
        preset=preset,
        init_from=None if init_from is None else str(init_from),
        overwrite=overwrite,
    )
    result = train(request, reporter)
    if result is None or result.stopped_by is not None:
        raise KeyboardInterrupt
    return load(result.name, models_dir=directory)


def _sampling(settings: dict[str, Any]) -> SamplingConfig:
    known = {field.name for field in dataclasses.fields(SamplingConfig)}
    if unknown := sorted(set(settings) - known):
        raise SettingError(f"unknown setting {unknown[0]!r}. There are: {', '.join(sorted(known))}")
    if isinstance(settings.get("stop"), str):
        settings["stop"] = (settings["stop"],)
    elif isinstance(settings.get("stop"), Sequence):
        settings["stop"] = tuple(settings["stop"])
    return SamplingConfig(**settings)
