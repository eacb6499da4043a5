"""What `textgen train` is asked for, checked, before TensorFlow is imported: a new run, or one to go on with.

What goes in: texts, names and settings. What comes out: a plan (and a checkpoint), or the one line that says why not.
"""

import contextlib
import dataclasses
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from textgen import model_store
from textgen.config import TrainingConfig
from textgen.corpus import read_corpus
from textgen.corpus.sources import resolve
from textgen.errors import CorpusError, ModelError
from textgen.training.checkpoints import Checkpoint, load_newest
from textgen.training.plan import Plan, check_same_corpus, make_plan


def new_plan(
    sources: Sequence[str | Path] = (),
    *,
    models_dir: Path,
    name: str | None = None,
    encoding: str = "utf-8",
    overwrite: bool = False,
    shape: dict | None = None,
    training: TrainingConfig | None = None,
) -> Plan:
    """The plan of a new run; raises TextgenError for whatever would keep it from starting."""
    corpus = read_corpus(sources, encoding=encoding)
    name = model_store.check_name(name or corpus.name)
    path = models_dir / name
    if path.exists() and not overwrite:
        unfinished = not (path / model_store.MANIFEST).exists() and model_store.checkpoint_dirs(path)
        advice = (
            "--resume goes on with it, --overwrite starts anew" if unfinished else "Use --overwrite or another --name"
        )
        raise ModelError(f"{path} exists{' and is not finished' if unfinished else ''}. {advice}")
    training = training or TrainingConfig()
    plan = make_plan(corpus, name=name, path=path, encoding=encoding, shape=shape or {}, training=training)
    _check_writable(models_dir)
    return plan


def resumed_plan(
    name: str | None, models_dir: Path, sources: Sequence[str | Path] = ()
) -> tuple[Plan, Checkpoint, list[str]]:
    """The plan and the newest whole checkpoint of an unfinished run, and lines about damaged ones.

    Without a name it is the run that a new one on `sources` would be named after.
    """
    name = name or resolve([str(source) for source in sources])[0].name
    path = model_store.find_model(name, models_dir)
    if (path / model_store.MANIFEST).exists():
        raise ModelError(f"{path} is finished; there is nothing to resume. Sample it: textgen sample {path.name}")
    checkpoint, problems = load_newest(path)
    record = checkpoint.record
    if not sources and "-" in record.corpus.sources and sys.stdin.isatty():
        raise CorpusError("this run read standard input; pipe the same text in again, or name a file that holds it")
    corpus = read_corpus(sources or record.corpus.sources, encoding=record.corpus.encoding)
    check_same_corpus(corpus, record.corpus)
    shape = {field: value for field, value in record.model.to_json().items() if field != "vocabulary_size"}
    plan = make_plan(
        corpus,
        name=path.name,
        path=path,
        encoding=record.corpus.encoding,
        shape=shape,
        training=record.training,
        tokenizer=checkpoint.tokenizer,
    )
    return dataclasses.replace(plan, total_steps=checkpoint.progress.total_steps), checkpoint, problems


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
