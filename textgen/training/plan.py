"""A request -> a plan: everything that a run needs, checked. Texts become token ids; nothing is trained or written."""

import contextlib
import dataclasses
import functools
import math
import os
import tempfile
import unicodedata
from collections.abc import Callable
from pathlib import Path

import numpy as np

from textgen import cores
from textgen.config import ModelConfig, TextConfig, TrainingConfig
from textgen.corpus import CorpusReader, reopen_corpus
from textgen.dataset import Prepared, prepare
from textgen.dataset.batches import Batches, count_token_ids
from textgen.dataset.split import Split
from textgen.errors import ModelError, TextgenError
from textgen.messages import few, followed, shown
from textgen.recipe import Asked, Facts, Recipe, fill, recurrent_rate
from textgen.records import CorpusRecord, ParentRecord, Progress
from textgen.store import model_directory, shipped
from textgen.store.checkpoints import Checkpoint, load_newest
from textgen.store.lock import RunLock
from textgen.store.model_directory import StoredModel
from textgen.store.names import is_name
from textgen.store.run_directory import check_replaceable, recover
from textgen.tokenizers import Tokenizer
from textgen.training.advice import resume_command
from textgen.training.beginning import begin
from textgen.training.copy_index import notes_on_index
from textgen.training.init_from import parent_record
from textgen.training.needs import check_needs
from textgen.training.request import Request, check_settings, configs_of, name_of, open_requested, references_of
from textgen.training.vocabulary import notes_on

MOST_NAMES = 8  # of runs, in a message
Preparing = Callable[[str, int, int], None]  # what is being done to the corpus, bytes done, bytes to do


@dataclasses.dataclass(frozen=True)
class Plan:
    """A run before it starts."""

    path: Path  # the model directory
    text: TextConfig
    model: ModelConfig
    training: TrainingConfig
    corpus: CorpusRecord
    prepared: Prepared
    total_steps: int | None  # None until minutes are turned into steps
    begins: Checkpoint | StoredModel | None = None  # where the weights come from; None draws them
    recipe: Recipe | None = None  # what decided the settings; None goes on with those of the run
    overwrite: bool = False  # whether a model that is there is replaced
    is_private: bool = False  # whether the directory is made for its owner alone
    notes: tuple[str, ...] = ()  # what a user should know, a line each

    @property
    def name(self) -> str:
        """The model's name."""
        return self.path.name

    @property
    def tokenizer(self) -> Tokenizer:
        """The tokenizer of the corpus."""
        return self.prepared.tokenizer

    @functools.cached_property
    def batches(self) -> Batches:
        """The training batches. Raises CorpusError when the training part is too short for one."""
        config = self.training
        return Batches(self.prepared.train_ids, config.batch_size, config.sequence_length, config.seed)

    @property
    def epochs(self) -> float:
        """Passes over the training part that `total_steps` make."""
        return self.batches.epoch_of(self.total_steps or 0)

    @functools.cached_property
    def parent(self) -> ParentRecord | None:
        """The model that the run began with, where it did not begin from nothing."""
        if isinstance(self.begins, Checkpoint):
            return self.begins.record.parent
        return self.begins and parent_record(self.begins, self.tokenizer, self.corpus)

    @functools.cached_property
    def tokens_per_character(self) -> float:
        """Of the validation part, where every end of a document counts as a character: 1 at character level."""
        lengths = np.array([max(1, len(piece)) for piece in self.tokenizer.pieces])
        counts = count_token_ids(self.prepared.validation_ids, self.tokenizer.vocabulary_size)
        return float(counts.sum() / max(1, counts @ lengths))

    def bits_per_character(self, loss: float | None) -> float | None:
        """Of a loss on the validation part in nats per token."""
        return None if loss is None else loss * self.tokens_per_character / math.log(2)

    def tokens_per_second(self, progress: Progress) -> float:
        """Training speed of the run so far."""
        tokens = progress.step * self.training.batch_size * self.training.sequence_length
        return tokens / progress.train_seconds if progress.train_seconds else 0.0

    def by(self, recipe: Recipe) -> "Plan":
        """The same run with the settings of `recipe`."""
        return dataclasses.replace(self, recipe=recipe, model=recipe.model, training=recipe.training)


def make_plan(
    request: Request,
    lock: RunLock | None = None,
    progress: Preparing = lambda stage, done, total: None,
    tell: Callable[[str], None] = lambda line: None,
) -> Plan:
    """The plan of a run; raises TextgenError for whatever would keep it from starting.

    Args:
        lock: takes the model for this process, and what a killed one left is removed; None changes nothing on disk.
        progress: told of each pass over the corpus.
        tell: told what a new run begins with, and why, where it was not the user who decided.
    """
    return _resumed(request, lock, progress) if request.resume else _new(request, lock, progress, tell)


def _new(request: Request, lock: RunLock | None, progress: Preparing, tell: Callable[[str], None]) -> Plan:
    check_settings(request)
    path = request.models_dir / model_directory.check_name(request.name or name_of(request))
    _claim(path, lock, request)  # what is wrong so far is told before a model reads the text, which takes seconds
    parent, reason, opened, share = begin(request)
    text, model, training = configs_of(request, parent)
    check_needs(text.level, model, training)
    reader = open_requested(request, text) if opened is None else opened.read_as(text)
    if reason:
        tell(reason)
    prepared = prepare(
        reader,
        Split(training.val_fraction, training.seed),
        base=parent and parent.tokenizer,
        progress=progress,
        jobs=request.jobs,
    )
    num_tokens, num_ids = len(prepared.train_ids), prepared.tokenizer.vocabulary_size
    storage = parent.record.training.storage if parent else "float32"
    facts = Facts(text.level, num_tokens, num_ids, recurrent_rate(), share, storage)
    recipe = fill(Asked(model, training, request.preset), facts)
    check_needs(text.level, recipe.model, recipe.training)
    plan = Plan(
        path=path,
        text=reader.config,
        model=recipe.model,
        training=recipe.training,
        corpus=_corpus_record(reader, prepared),
        prepared=prepared,
        total_steps=training.steps,
        begins=parent,
        recipe=recipe,
        overwrite=request.overwrite,
        is_private=not reader.is_public or (parent is not None and not model_directory.is_public(parent.path)),
        notes=(*reader.left_out, *prepared.notes, *notes_on(prepared), *notes_on_index(training, prepared)),
    )
    batches = plan.batches  # raises where the text is too short
    return (
        plan if training.epochs is None else dataclasses.replace(plan, total_steps=batches.steps_for(training.epochs))
    )


def _resumed(request: Request, lock: RunLock | None, progress: Preparing) -> Plan:
    """The plan of an unfinished run, which goes on from its newest whole checkpoint.

    Without a name it is the run that a new one on the same sources would be named after.
    """
    has_text = bool(request.sources) or request.texts is not None
    name = request.name or _name_of_run(request)
    if request.name is None and not has_text:
        stopped = [p.name for p in model_directory.list_model_dirs(request.models_dir) if model_directory.is_run(p)]
        if stopped and name not in stopped:
            listed = ", ".join(few(stopped, MOST_NAMES))
            raise ModelError(f"no run is named. Unfinished in {request.models_dir}: {listed}. Give one as --name")
    path = Path(name) if "/" in name else request.models_dir / unicodedata.normalize("NFC", name)
    if path.is_symlink() and model_directory.checkpoint_dirs(path):
        path = Path(os.path.realpath(path))  # where the run is locked, cleaned and goes on
        name = str(path)
    if path.parent.is_dir() and is_name(path.name):
        shipped.check_writable(path)
        if lock is not None:
            lock.acquire(path)
            recover(path)
    try:
        path = model_directory.find_model(name, request.models_dir, with_shipped=False)
    except ModelError as problem:
        raise ModelError(followed(str(problem), "To begin a run, leave out --resume")) from None
    if model_directory.is_finished(path):
        raise ModelError(f"{path} is finished; there is nothing to resume. Sample it: textgen sample {path.name}")
    checkpoint, problems = load_newest(path)
    record = checkpoint.record
    if has_text:
        reader = open_requested(request, record.text, record.corpus.encodings)
    else:
        advice = f"Name the text: {resume_command(path, 'FILE')}"
        reader = reopen_corpus(record.corpus, record.text, model=path.name, advice=advice)
    prepared = prepare(
        reader,
        Split(record.training.val_fraction, record.training.seed),
        tokenizer=checkpoint.tokenizer,
        expected=record.corpus,
        progress=progress,
        jobs=request.jobs,
    )
    on_cores = cores.notes_on(record.training.cores)
    return Plan(
        path=path,
        text=reader.config,
        model=record.model,
        training=record.training,
        corpus=_corpus_record(reader, prepared),
        prepared=prepared,
        total_steps=checkpoint.progress.total_steps,
        begins=checkpoint,
        notes=(*reader.left_out, *prepared.notes, *problems, *notes_on_index(record.training, prepared), *on_cores),
    )


def _name_of_run(request: Request) -> str:
    """What a run on the sources of `request` is called.

    NOTE: names once had Latin letters only. A run that was begun then is found by its sources.
    """
    name = name_of(request)
    if name.isascii() or os.path.isdir(request.models_dir / name):
        return name
    sources = references_of(request)
    for path in filter(model_directory.is_run, model_directory.list_model_dirs(request.models_dir)):
        with contextlib.suppress(TextgenError):
            config = next(iter(model_directory.checkpoint_dirs(path)), path) / model_directory.CONFIG
            if model_directory.read_record(config).corpus.sources == sources:
                return path.name
    return name


def _claim(path: Path, lock: RunLock | None, request: Request) -> None:
    """Raise ModelError or TrainingError unless the new run of `request` may write its model to `path`."""
    shipped.check_writable(path)
    if path.is_symlink():
        raise ModelError(
            f"{path} is a link, and a new run makes its own directory. Remove the link, or use another --name"
        )
    if lock is not None:
        lock.acquire(path)
        recover(path)
    if path.exists():
        check_replaceable(path)
    if path.exists() and not request.overwrite:
        if model_directory.is_run(path):
            raise ModelError(f"{path} exists and is not finished. --resume goes on with it, --overwrite starts anew")
        raise ModelError(f"{path} exists{_of_others(path, request)}. Use --overwrite or another --name")
    if lock is None:
        check_writable(path.parent, "models")


def _of_others(path: Path, request: Request) -> str:
    """Which text the model at `path` is of, where that is not the one of `request`."""
    with contextlib.suppress(TextgenError):
        others = model_directory.read_record(path / model_directory.CONFIG).corpus.sources
        if others and others != references_of(request):
            return f", and is a model of {shown(', '.join(others))}"
    return ""


def check_writable(directory: Path, what: str) -> None:
    """Raise ModelError unless a directory can be made in `directory`; nothing is left behind.

    Args:
        what: is to be written there.
    """
    try:
        missing = [parent for parent in (directory, *directory.parents) if not parent.exists()]
    except (OSError, ValueError):  # of a name that no file can have
        missing = []
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".textgen-", dir=directory):
            pass
    except (OSError, ValueError) as problem:
        said = getattr(problem, "strerror", None) or problem
        raise ModelError(f"cannot write {what} in {directory}: {said}") from problem
    finally:
        for made in missing:
            with contextlib.suppress(OSError, ValueError):
                made.rmdir()


def _corpus_record(reader: CorpusReader, prepared: Prepared) -> CorpusRecord:
    counts = prepared.characters, prepared.num_documents
    return CorpusRecord(reader.name, reader.sources, prepared.sha256, *counts, prepared.sketch, prepared.encodings)
