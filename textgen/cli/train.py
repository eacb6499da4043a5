"""`textgen train`: a text becomes a model."""

import contextlib
from pathlib import Path
from typing import Any

import click

from textgen.cli.options import given, jobs_option, json_option, models_dir_option, options_of
from textgen.config import PRESET_NAMES, SUITS, ModelConfig, TextConfig, TrainingConfig, WorkersConfig
from textgen.messages import json_line
from textgen.streams import tell, write_line


@click.command()
@click.argument("corpus", nargs=-1)
@click.option("--name", help="Name of the model.  [default: that of the corpus]")
@options_of(TextConfig)
@options_of(TrainingConfig)
@options_of(ModelConfig, skip=("vocabulary_size",))
@click.option("--preset", type=click.Choice(PRESET_NAMES), help=f"Size of a model from nothing.  [default: {SUITS}]")
@click.option(
    "--init-from",
    metavar="MODEL",
    help="Model to begin with, or none to begin from nothing.  [default: english, where it reads the text well]",
)
@options_of(WorkersConfig)
@click.option("--resume", is_flag=True, help="Continue an unfinished run.")
@click.option("--overwrite", is_flag=True, help="Replace a model of the same name.")
@click.option("--dry-run", is_flag=True, help="Plan the run and measure its speed, but write nothing.")
@click.option("-v", "--verbose", is_flag=True, help="Show nats, rates and shapes in place of words.")
@click.option("--tensorboard", metavar="DIR", help="Directory of a run's event files, for TensorBoard.")
@jobs_option
@models_dir_option
@json_option
def train(
    corpus: tuple[str, ...],
    name: str | None,
    preset: str | None,
    init_from: str | None,
    workers: int | None,
    worker_timeout: float | None,
    resume: bool,
    overwrite: bool,
    dry_run: bool,
    verbose: bool,
    tensorboard: str | None,
    jobs: int | None,
    models_dir: Path,
    as_json: bool,
    **flags: Any,
) -> None:
    """Train a model on CORPUS.

    CORPUS is any number of files, folders, catalogue names, or - for standard input. Without CORPUS, the model learns
    the starter corpus that comes with textgen.

    Files are text of any kind (.txt, .md, .py ...), pages of HTML, .docx, .epub, .odt, .ipynb, .srt and .vtt; .pdf and
    .rtf after `pip install 'textgen[documents]'`; and ones of these that are compressed by gzip (.gz) or, after `pip
    install 'textgen[zstd]'`, Zstandard (.zst). Of a table, --column takes a column. Of a folder, all that is text is
    read, except hidden and binary files.

    Without --init-from, a copy of the model `english`, which comes with textgen, is taught the text where it reads that
    well. Any other text is learned from nothing.
    """
    from textgen.cli import STARTED
    from textgen.training.reporting import Several
    from textgen.training.request import Request
    from textgen.training.run import train
    from textgen.training.signals import EXIT_BASE, Stopped
    from textgen.training.tensorboard import EventFiles
    from textgen.training.terminal import TerminalReporter
    from textgen.training.worker import work
    from textgen.workers.cluster import find_cluster
    from textgen.workers.team import Team

    asked = WorkersConfig(**given({"workers": workers, "worker_timeout": worker_timeout}))
    cluster = find_cluster(asked)
    if cluster is not None and cluster.index:
        if stopped_by := work(cluster, asked.worker_timeout):
            raise SystemExit(EXIT_BASE + stopped_by)
        return
    request = Request(
        models_dir=models_dir,
        sources=corpus,
        name=name,
        settings=given(flags),
        preset=preset,
        init_from=init_from,
        resume=resume,
        overwrite=overwrite,
        dry_run=dry_run,
        jobs=jobs,
    )
    try:
        alone = contextlib.nullcontext()
        with (
            TerminalReporter(is_verbose=verbose) as reporter,
            Team(cluster, asked.worker_timeout) if cluster else alone as team,
        ):
            several = Several(reporter, EventFiles(Path(tensorboard), reporter.noted)) if tensorboard else reporter
            result = train(request, several, started=STARTED, team=team)
            if team is not None and result is not None:
                team.stopped_by = result.stopped_by
    except Stopped as stopped:
        tell("textgen: stopped before a step was made; nothing has changed")
        raise SystemExit(stopped.exit_status) from None
    if result is None:
        return
    try:
        if as_json:
            document = {"name": result.name, "path": str(result.path), **result.results.to_json()}
            write_line(json_line(document | {"finished": result.stopped_by is None}))
    finally:  # Ctrl-C may have ended the reader of the result, too
        if result.stopped_by is not None:
            raise SystemExit(EXIT_BASE + result.stopped_by)
