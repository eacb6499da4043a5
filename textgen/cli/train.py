"""`textgen train`: a text becomes a model."""

from pathlib import Path
from typing import Any

import click

from textgen.cli.options import given, json_option, models_dir_option, options_of, training_options
from textgen.config import ModelConfig
from textgen.errors import SettingError

SHAPE = ("cell", "embedding_size", "units", "num_layers")


@click.command()
@click.argument("corpus", nargs=-1)
@click.option("--name", help="Name of the model.  [default: from the corpus]")
@training_options
@options_of(ModelConfig, skip=("vocabulary_size",))
@click.option("--encoding", default="utf-8", show_default=True, help="Encoding of the corpus.")
@click.option("--resume", is_flag=True, help="Go on with an unfinished run.")
@click.option("--overwrite", is_flag=True, help="Replace a model of the same name.")
@click.option("--dry-run", is_flag=True, help="Say what would be done, and measure how long it takes.")
@models_dir_option
@json_option
def train(
    corpus: tuple[str, ...],
    name: str | None,
    encoding: str,
    resume: bool,
    overwrite: bool,
    dry_run: bool,
    models_dir: Path,
    as_json: bool,
    **flags: Any,
) -> None:
    """Train a model on CORPUS: files, folders of *.txt, catalogue names, or - for standard input.

    Without CORPUS, the starter corpus that comes with textgen.
    """
    from textgen.training.request import new_plan, resumed_plan

    checkpoint, problems = None, []
    if resume:
        _refuse_with_resume(flags, overwrite)
        plan, checkpoint, problems = resumed_plan(name, models_dir, corpus)
    else:
        shape, training = _settings(flags)
        plan = new_plan(
            corpus,
            models_dir=models_dir,
            name=name,
            encoding=encoding,
            overwrite=overwrite,
            shape=shape,
            training=training,
        )
    _train(plan, checkpoint, problems, overwrite=overwrite, dry_run=dry_run, as_json=as_json)


def _settings(flags: dict[str, Any]) -> tuple[dict, Any]:
    """The model's shape and the training settings of the flags that were given."""
    from textgen.config import TrainingConfig

    chosen = given(flags)
    shape = {name: chosen.pop(name) for name in SHAPE if name in chosen}
    if "minutes" not in chosen and ("epochs" in chosen or "steps" in chosen):
        chosen["minutes"] = None
    return shape, TrainingConfig(**chosen)


def _refuse_with_resume(flags: dict[str, Any], overwrite: bool) -> None:
    """A resumed run keeps its settings: it could not end as it would have."""
    from textgen.config import flag_of

    refused = [flag_of(name) for name in given(flags)] + (["--overwrite"] if overwrite else [])
    if refused:
        raise SettingError(f"--resume goes on with the settings of the run; leave out {', '.join(refused)}")


def _train(plan, checkpoint, problems: list[str], *, overwrite: bool, dry_run: bool, as_json: bool) -> None:
    from textgen.cli import STARTED
    from textgen.tensorflow_runtime import quiet_import
    from textgen.training.progress import TerminalReporter

    with TerminalReporter() as reporter:
        reporter.planned(plan)
        for problem in problems:
            reporter.noted(problem)
        quiet_import()
        from textgen.training.run import Run

        run = Run(plan, reporter, started=STARTED)
        reporter.placed(run.device)
        if dry_run:
            run.measure()
            reporter.would_start(run.plan, run.seconds_per_step)
            return
        result = run.train(checkpoint, overwrite=overwrite)
        reporter.finished(result)
    _print_result(result, as_json)
    if result.stopped_by is not None:
        raise SystemExit(128 + result.stopped_by)


def _print_result(result, as_json: bool) -> None:
    import json

    if as_json:
        document = {"name": result.name, "path": str(result.path), **result.results.to_json()}
        click.echo(json.dumps(document | {"finished": result.stopped_by is None}, ensure_ascii=False))
