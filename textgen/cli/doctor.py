"""`textgen doctor`: what this machine offers, and what is missing."""

from pathlib import Path
from typing import Any

import click

from textgen.cli.options import json_option, models_dir_option
from textgen.streams import write_line


@click.command()
@models_dir_option
@json_option
def doctor(models_dir: Path, as_json: bool) -> None:
    """Show what this machine offers, and what is missing.

    The report has the versions, the devices, whether cuDNN is used and why not, the number of threads, and the
    directories of models and caches.
    """
    from textgen.messages import json_line

    report = _report(models_dir)
    if as_json:
        write_line(json_line(report))
        return
    for key, value in report.items():
        rows = value.items() if isinstance(value, dict) else [("", value)]
        for index, (name, item) in enumerate(rows):
            write_line(f"{key if index == 0 else '':<12} {name:<18} {item}".rstrip())


def _report(models_dir: Path) -> dict[str, Any]:
    import os
    import platform

    from textgen.corpus.download import cache_dir
    from textgen.records import installed_versions

    return {
        "versions": installed_versions() | _version_of("tensorflow-text"),
        "machine": {"system": platform.platform(), "processors": os.cpu_count() or 1},
        "tensorflow": _tensorflow(),
        "models": str(models_dir.absolute()),
        "cache": str(cache_dir()),
    }


def _version_of(package: str) -> dict[str, str]:
    from importlib import metadata

    try:
        return {package: metadata.version(package)}
    except metadata.PackageNotFoundError:
        return {package: "not installed (no wheel for this system); everything works without it but normalisation"}


def _tensorflow() -> dict[str, Any]:
    """Devices, and whether cuDNN is used; a TensorFlow that cannot be imported is reported as a problem."""
    from textgen.errors import TextgenError
    from textgen.tensorflow_runtime import quiet_import

    try:
        quiet_import()
    except TextgenError as problem:
        return {"problem": str(problem)}
    import tensorflow as tf

    from textgen.model.devices import choose_device

    device = choose_device()
    return {
        "devices": ", ".join(d.name for d in tf.config.list_logical_devices()),
        "cudnn": f"{'yes' if device.cudnn else 'no'}: {device.reason}",
        "threads": tf.config.threading.get_intra_op_parallelism_threads() or "one per processor",
    }
