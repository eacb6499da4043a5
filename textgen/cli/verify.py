"""`textgen verify`: whether a model is whole, file by file."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from textgen.cli.options import json_option, models_dir_option
from textgen.streams import write_lines

if TYPE_CHECKING:
    from textgen.store.verification import Verification


@click.command()
@click.argument("model")
@models_dir_option
@json_option
def verify(model: str, models_dir: Path, as_json: bool) -> None:
    """Check every file of MODEL and list everything that is wrong.

    The check covers sizes and hashes, the contents of the files, and whether they fit each other. For an unfinished
    run it covers all checkpoints. The exit status is 1 when anything is wrong.
    """
    from textgen.errors import ModelError
    from textgen.messages import json_line
    from textgen.store.verification import verify_model

    found = verify_model(model, models_dir)
    write_lines([json_line(_document(found))] if as_json else _lines(found))
    if found.num_problems:
        verb = "is" if found.num_problems == 1 else "are"
        raise ModelError(
            f"{found.path}: {found.num_problems} of {len(found.findings)} files {verb} wrong. {_advice(found)}"
        )


def _document(found: "Verification") -> dict[str, Any]:
    return {
        "name": found.name,
        "path": str(found.path),
        "finished": found.is_finished,
        "running": found.is_running,
        "sound": not found.num_problems,
        "checkpoint": found.used,
        "files": [finding._asdict() for finding in found.findings],
    }


def _lines(found: "Verification") -> Iterator[str]:
    from textgen.messages import shown

    width = max(len(shown(finding.name)) for finding in found.findings)
    for finding in found.findings:
        mark = "ok" if finding.problem is None else "WRONG"
        said = finding.problem or finding.note or ""
        mark = "-" if finding.note else mark
        yield f"{shown(finding.name):<{width}}  {mark:<5}  {shown(said)}".rstrip()
    if not found.is_finished:
        used = f"{found.used} is the newest whole checkpoint" if found.used else "there is no whole checkpoint"
        yield f"{'being trained' if found.is_running else 'not finished'}: {used}"


def _advice(found: "Verification") -> str:
    if found.is_finished:
        return "Restore them from a copy, or train it again"
    if found.used is None:
        return "Nothing can be used; train it again"
    return f"{found.used} is whole, and is what sample and train --resume use"
