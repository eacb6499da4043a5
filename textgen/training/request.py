"""What `textgen train` is asked for, checked, before TensorFlow is imported: a new run, or one to go on with.

What goes in: texts, names and settings. What comes out: a plan (and a checkpoint), or the one line that says why not.
"""

import contextlib
import dataclasses
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from textgen import model_store
from textgen.cells import CELLS
from textgen.config import LEVEL_DEFAULTS, ModelConfig, TextConfig, TrainingConfig
from textgen.corpus import open_corpus
from textgen.corpus.sources import resolve, suited_level
from textgen.errors import CorpusError, ModelError, SettingError
from textgen.model_store import StoredModel
from textgen.sizing import Choice
from textgen.training.checkpoints import Checkpoint, load_newest
from textgen.training.lock import RunLock
from textgen.training.parent import inherited_settings
from textgen.training.plan import Plan, check_same_corpus, make_plan
from textgen.training.run_directory import recover

Preparing = Callable[[str, int, int], None]  # what is being done to the corpus, bytes done, bytes to do


def settings_of(
    given: dict[str, Any], parent: StoredModel | None = None, sources: Sequence[str | Path] | None = None
) -> tuple[TextConfig, dict[str, Any], TrainingConfig]:
    """How a text is read, the model's shape, and how it is trained, from the settings that were given.

    What was not given is that of the model to begin with, else the default of its level; and the level, where that was
    not given, is what suits the `sources`.
    """
    given = given if parent is None else inherited_settings(given, parent)
    if sources is not None:
        given = {"level": suited_level([str(source) for source in sources])} | given
    settings = LEVEL_DEFAULTS.get(str(given.get("level", "char")), {}) | given  # another level: TextConfig says so
    if settings.get("epochs") or settings.get("steps"):
        settings.setdefault("minutes", None)
    text, training = (
        {field.name: settings.pop(field.name) for field in dataclasses.fields(config) if field.name in settings}
        for config in (TextConfig, TrainingConfig)
    )
    known = {field.name for field in dataclasses.fields(ModelConfig)} - {"vocabulary_size"}
    if unknown := sorted(set(settings) - known):
        all_known = known.union(*({f.name for f in dataclasses.fields(c)} for c in (TextConfig, TrainingConfig)))
        raise SettingError(f"unknown setting {unknown[0]!r}. There are: {', '.join(sorted(all_known))}")
    cell = ModelConfig(**settings).cell  # refuses what no model can have, before a text is read
    if "forget_bias" in training and not CELLS[cell].has_forget_gate:
        raise SettingError(f"--forget-bias is for --cell lstm; {cell} has no forget gate")
    return TextConfig(**text), settings, TrainingConfig(**training)


def new_plan(
    sources: Sequence[str | Path] = (),
    *,
    models_dir: Path,
    name: str | None = None,
    overwrite: bool = False,
    text: TextConfig | None = None,
    shape: dict[str, Any] | None = None,
    training: TrainingConfig | None = None,
    parent: StoredModel | None = None,
    choice: Choice | None = None,
    lock: RunLock | None = None,
    progress: Preparing = lambda stage, done, total: None,
) -> Plan:
    """The plan of a new run; raises TextgenError for whatever would keep it from starting.

    Args:
        parent: the model to begin with; `text` and `shape` are those of `settings_of` with it.
        choice: what of `shape` and `training` was given; the rest is made to suit. None leaves all as it is.
        lock: takes the model for this process, which removes what a killed one left; None changes nothing.
    """
    reader = open_corpus(sources, text or TextConfig())
    name = model_store.check_name(name or reader.name)
    path = models_dir / name
    if lock is not None:
        lock.acquire(path)
        recover(path)
    if path.exists() and not overwrite:
        unfinished = not (path / model_store.MANIFEST).exists() and model_store.checkpoint_dirs(path)
        advice = (
            "--resume goes on with it, --overwrite starts anew" if unfinished else "Use --overwrite or another --name"
        )
        raise ModelError(f"{path} exists{' and is not finished' if unfinished else ''}. {advice}")
    if lock is None:
        _check_writable(models_dir)
    training = training or TrainingConfig()
    if choice is not None and parent is not None:
        # What the parent has learned is not to fade, so nothing decays unless it is asked for.
        kept = (shape or {}) | {"weight_decay": training.weight_decay}
        choice = choice._replace(given=kept | choice.given)
    return make_plan(
        reader,
        name=name,
        path=path,
        shape=shape or {},
        training=training,
        parent=parent,
        choice=choice,
        progress=progress,
    )


def resumed_plan(
    name: str | None,
    models_dir: Path,
    sources: Sequence[str | Path] = (),
    *,
    lock: RunLock | None = None,
    progress: Preparing = lambda stage, done, total: None,
) -> tuple[Plan, Checkpoint, list[str]]:
    """The plan and the newest whole checkpoint of an unfinished run, and lines about damaged ones.

    Without `name` it is the run that a new one on `sources` would be named after.

    Args:
        lock: takes the model for this process, which removes what a killed one left; None changes nothing.
    """
    name = name or resolve([str(source) for source in sources])[0].name
    path = Path(name) if "/" in name else models_dir / name
    if lock is not None and path.parent.is_dir() and model_store.NAME.fullmatch(path.name):
        lock.acquire(path)
        recover(path)
    try:
        path = model_store.find_model(name, models_dir)
    except ModelError as problem:
        raise ModelError(f"{problem}. To begin a run, leave out --resume") from None
    if (path / model_store.MANIFEST).exists():
        raise ModelError(f"{path} is finished; there is nothing to resume. Sample it: textgen sample {path.name}")
    checkpoint, problems = load_newest(path)
    record = checkpoint.record
    if not sources and "-" in record.corpus.sources and sys.stdin.isatty():
        raise CorpusError("this run read standard input; pipe the same text in again, or name a file that holds it")
    shape = {field: value for field, value in record.model.to_json().items() if field != "vocabulary_size"}
    reader = open_corpus(sources or record.corpus.sources, record.text)
    plan = make_plan(
        reader,
        name=path.name,
        path=path,
        shape=shape,
        training=record.training,
        tokenizer=checkpoint.tokenizer,
        check=lambda sha256: check_same_corpus(reader.name, sha256, record.corpus),
        progress=progress,
    )
    plan = dataclasses.replace(plan, total_steps=checkpoint.progress.total_steps, parent=record.parent)
    return plan, checkpoint, problems


def _check_writable(models_dir: Path) -> None:
    """Raise ModelError unless a directory can be made in `models_dir`; nothing is left behind."""
    missing = [directory for directory in (models_dir, *models_dir.parents) if not directory.exists()]
    try:
        models_dir.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".textgen-", dir=models_dir):
            pass
    except OSError as problem:
        raise ModelError(f"cannot write models in {models_dir}: {problem.strerror or problem}") from problem
    finally:
        for directory in missing:
            with contextlib.suppress(OSError):
                directory.rmdir()
