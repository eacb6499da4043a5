"""`textgen repl MODEL`: write a story with a model, turn by turn."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from textgen.cli.options import (
    engine_option,
    models_dir_option,
    on_unknown_option,
    sampling_config,
    sampling_options,
)
from textgen.streams import text_writer

if TYPE_CHECKING:
    from textgen.store.model_directory import StoredModel


@click.command()
@click.argument("model")
@sampling_options
@on_unknown_option
@engine_option
@models_dir_option
def repl(model: str, on_unknown: str, engine: str, models_dir: Path, **sampling: Any) -> None:
    """Write a story together with MODEL: you type, the model continues.

    A line that begins with a slash is a command; /help lists them. Generated text goes to standard output, everything
    else to standard error. A file or a pipe as standard input gives the lines to type.
    """
    from textgen.generation.generator import open_generator
    from textgen.repl import Repl, terminal
    from textgen.store.model_directory import load_model
    from textgen.tokenizers.unknown import describe_replacements

    config = sampling_config(**sampling)
    stored = load_model(model, models_dir)
    generator = open_generator(
        stored,
        engine,
        on_unknown=on_unknown,
        on_replaced=lambda replaced: terminal.show_notice(describe_replacements(replaced)),
        on_ended=terminal.show_notice,
    )
    description = describe(stored)
    terminal.show_notice(f"{description}\nType text and the model goes on; /help lists commands, Ctrl-D leaves.")
    session = Repl(
        generator,
        config,
        read_line=terminal.line_reader(),
        write=text_writer(),
        notice=terminal.show_notice,
        model=description,
        is_typed=terminal.is_typed(),
    )
    with terminal.quiet_keyboard():
        session.run()


def describe(stored: "StoredModel") -> str:
    """A model and its results on one line."""
    from textgen.store.model_directory import num_parameters

    shape, results = stored.record.model, stored.record.results
    parts = [f"{stored.name}: {num_parameters(shape):,} parameters ({shape.cell} {shape.num_layers} x {shape.units})"]
    if results.validation_bits_per_character is not None:
        parts.append(f"{results.validation_bits_per_character:.2f} bits per character")
    if not stored.is_finished:
        parts.append(f"unfinished, the best at step {results.best_step:,}")
    return ", ".join(parts)
