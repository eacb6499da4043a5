"""`textgen benchmark`: how fast this machine is, to choose a size of model."""

from typing import Any

import click

from textgen.cli.options import given, json_option, options_of
from textgen.config import TrainingConfig
from textgen.streams import write_line

USED = ("batch_size", "sequence_length", "dropout")


@click.command()
@click.option("--units", multiple=True, type=int, help="Sizes to measure; may be repeated.  [default: 64 128 256 512]")
@options_of(TrainingConfig, only=USED)
@json_option
def benchmark(units: tuple[int, ...], as_json: bool, **flags: Any) -> None:
    """Measure how fast this machine trains and samples, by size of model.

    It trains models of characters, as `train` would, on made-up text. It takes about ten seconds for each size.
    """
    from textgen.config import ModelConfig
    from textgen.messages import json_line
    from textgen.tensorflow_runtime import quiet_import

    training = TrainingConfig(**given(flags))
    for size in units:
        ModelConfig(units=size)  # a wrong one is said before anything is measured
    quiet_import()
    from textgen.benchmark import UNITS, measure

    measurements = measure(training, units or UNITS)
    if not as_json:
        write_line(f"{'units':>6}{'parameters':>13}{'trains tokens/s':>18}{'in 2 minutes':>15}{'samples tokens/s':>18}")
    rows = []
    for row in measurements:
        rows.append(row._asdict())
        if not as_json:
            trained = row.training_tokens_per_second
            line = f"{row.units:>6}{row.parameters:>13,}{trained:>18,.0f}{trained * 120:>15,.0f}"
            write_line(f"{line}{row.sampling_tokens_per_second:>18,.0f}")
    if as_json:
        write_line(json_line(rows))
