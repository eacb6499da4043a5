"""`textgen train`: a text becomes a model."""

from pathlib import Path
from typing import Any

import click

from textgen.cli.options import (
    SUITED,
    given,
    json_option,
    models_dir_option,
    options_of,
    text_options,
    training_options,
)
from textgen.config import PRESET_NAMES, ModelConfig
from textgen.errors import SettingError


@click.command()
@click.argument("corpus", nargs=-1)
@click.option("--name", help="Name of the model.  [default: from the corpus]")
@text_options
@training_options
@options_of(
    ModelConfig,
    skip=("vocabulary_size",),
    defaults={"units": SUITED, "embedding_size": SUITED, "skip": "on for characters"},
)
@click.option(
    "--preset", type=click.Choice(PRESET_NAMES), help="The size of the model.  [default: suits text and budget]"
)
@click.option("--init-from", metavar="MODEL", help="Begin with a trained model, and teach it this text too.")
@click.option("--resume", is_flag=True, help="Go on with an unfinished run.")
@click.option("--overwrite", is_flag=True, help="Replace a model of the same name.")
@click.option("--dry-run", is_flag=True, help="Say what would be done, and measure how long it takes.")
@models_dir_option
@json_option
def train(
    corpus: tuple[str, ...],
    name: str | None,
    preset: str | None,
    init_from: str | None,
    resume: bool,
    overwrite: bool,
    dry_run: bool,
    models_dir: Path,
    as_json: bool,
    **flags: Any,
) -> None:
    """Train a model on CORPUS: files, folders of *.txt, catalogue names, or - for standard input.

    Without CORPUS, the starter corpus that comes with textgen. Files may be gzipped (.gz).
    """
    from textgen.training.lock import RunLock
    from textgen.training.progress import TerminalReporter
    from textgen.training.stopping import Stopped, StopRequest

    if resume:
        _refuse_with_resume(flags | {"init_from": init_from, "preset": preset}, overwrite)
    try:
        with RunLock() as lock, StopRequest() as stop, TerminalReporter() as reporter:
            with stop.raising():
                plan, checkpoint, problems = _plan(
                    corpus,
                    name,
                    models_dir,
                    flags,
                    resume=resume,
                    overwrite=overwrite,
                    init_from=init_from,
                    preset=preset,
                    lock=None if dry_run else lock,
                    progress=reporter.preparing,
                )
            reporter.planned(plan)
            for problem in problems:
                reporter.noted(problem)
            _train(plan, checkpoint, reporter, stop, overwrite=overwrite, dry_run=dry_run, as_json=as_json)
    except Stopped as stopped:
        click.echo("textgen: stopped before a step was made; nothing has changed", err=True)
        raise SystemExit(stopped.exit_status) from None


def _plan(corpus, name, models_dir, flags: dict[str, Any], *, resume, overwrite, init_from, preset, lock, progress):
    """The plan of a new run, or of one to go on with: its checkpoint, and lines about damaged ones."""
    from textgen.model_store import load_model
    from textgen.sizing import Choice
    from textgen.training.request import new_plan, resumed_plan, settings_of

    if resume:
        return resumed_plan(name, models_dir, corpus, lock=lock, progress=progress)
    parent = load_model(init_from, models_dir) if init_from is not None else None
    text, shape, training = settings_of(given(flags), parent, corpus)
    plan = new_plan(
        corpus,
        models_dir=models_dir,
        name=name,
        overwrite=overwrite,
        text=text,
        shape=shape,
        training=training,
        parent=parent,
        choice=Choice(given(flags), preset),
        lock=lock,
        progress=progress,
    )
    return plan, None, []


def _refuse_with_resume(flags: dict[str, Any], overwrite: bool) -> None:
    """A resumed run keeps its settings: it could not end as it would have."""
    from textgen.settings import flag_of

    refused = [flag_of(name) for name in given(flags)] + (["--overwrite"] if overwrite else [])
    if refused:
        raise SettingError(f"--resume goes on with the settings of the run; leave out {', '.join(refused)}")


def _train(plan, checkpoint, reporter, stop, *, overwrite: bool, dry_run: bool, as_json: bool) -> None:
    from textgen.cli import STARTED
    from textgen.tensorflow_runtime import quiet_import

    quiet_import()
    from textgen.training.run import Run

    with stop.raising():
        run = Run(plan, reporter, started=STARTED)
    reporter.placed(run.device)
    if dry_run:
        with stop.raising():
            run.measure()
        reporter.would_start(run.plan, run.seconds_per_step)
        return
    result = run.train(checkpoint, overwrite=overwrite, stop=stop)
    reporter.finished(result)
    _print_result(result, as_json)
    if result.stopped_by is not None:
        raise SystemExit(128 + result.stopped_by)


def _print_result(result, as_json: bool) -> None:
    import json

    if as_json:
        document = {"name": result.name, "path": str(result.path), **result.results.to_json()}
        click.echo(json.dumps(document | {"finished": result.stopped_by is None}, ensure_ascii=False))
