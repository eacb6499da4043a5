"""`textgen report`: how a model learned, in the terminal or as a page."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from textgen.cli.options import json_option, models_dir_option
from textgen.cli.pages import html_option, write_page
from textgen.messages import json_line
from textgen.streams import tell, write_line, write_lines

if TYPE_CHECKING:
    from textgen.report.history import Run

MOST_RUNS = 20  # in a page


@click.command()
@click.argument("model", nargs=-1, required=True)
@html_option("the curves and samples")
@models_dir_option
@json_option
def report(model: tuple[str, ...], html: str | None, models_dir: Path, as_json: bool) -> None:
    """Show how each MODEL learned: its losses, its speed, what it wrote on the way.

    Several models are compared. An unfinished run is shown as far as it has come. The page is a single file that needs
    no network.
    """
    from textgen.errors import SettingError
    from textgen.report.history import read_run

    if html is not None and as_json:
        raise SettingError("give one of --html and --json")
    if len(model) > MOST_RUNS:
        raise SettingError(f"{MOST_RUNS} models can be compared at most. Received: {len(model):,}")
    runs = [read_run(name, models_dir) for name in model]
    runs = list({run.path.resolve(): run for run in runs}.values())
    names = [run.name for run in runs]
    runs = [run._replace(name=str(run.path)) if names.count(run.name) > 1 else run for run in runs]
    if as_json:
        write_line(json_line([_document(run) for run in runs]))
        return
    for run in runs:
        for note in run.notes:
            tell(f"{run.name}: {note}")
    if html is None:
        write_lines(_lines(runs))
        return
    from textgen.report.page import report_page

    write_page(html, report_page(runs))


def _lines(runs: "list[Run]") -> Iterator[str]:
    import shutil

    from textgen.messages import clock, in_words, shown
    from textgen.report.curve import compared, curves_of, drawn

    states = {"finished": "", "running": ", which goes on", "stopped": ", which was stopped"}
    for run in runs:
        last = run.rows[-1]
        yield f"{shown(run.name)}{states[run.state]}"
        if run.bits is not None:
            yield f"  {in_words(run.bits)}"
        if run.best is not None:
            yield f"  the best step is {run.best.step:,}"
        yield f"  {last.step:,} steps, {last.epoch:.1f} passes over the text in {clock(last.seconds)}"
    if len(runs) == 1:
        curves, what, unit = curves_of(runs[0]), "steps", f"loss, nats per {runs[0].unit}"
    else:
        curves, what, unit = compared(runs), "minutes", "bits per character"
    if not curves:
        return
    yield from ("", unit)
    yield from drawn(curves, shutil.get_terminal_size().columns, what)
    yield ""
    for curve in curves:
        yield f"  {curve.mark}  {shown(curve.name)}: {curve.points[0][1]:.3f} to {curve.points[-1][1]:.3f}"


def _document(run: "Run") -> dict[str, Any]:
    return {
        "name": run.name,
        "path": str(run.path),
        "state": run.state,
        "notes": list(run.notes),
        "best_step": run.best.step if run.best else None,
        "results": run.record.results.to_json(),
        "evaluations": [row.to_json() for row in run.rows],
    }
