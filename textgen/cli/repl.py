"""`textgen repl MODEL`: write a story with a model, turn by turn."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from textgen.cli.options import (
    engine_option,
    given,
    models_dir_option,
    on_unknown_option,
    sampling_config,
    sampling_options,
)

if TYPE_CHECKING:
    from textgen.repl import Session
    from textgen.store.model_directory import StoredModel


@click.command()
@click.argument("model")
@click.option("--session", "session_file", help="Keep the session in this file, or go on with the one that it holds.")
@sampling_options
@on_unknown_option
@engine_option
@models_dir_option
def repl(model: str, session_file: str | None, on_unknown: str, engine: str, models_dir: Path, **sampling: Any) -> None:
    """Write a story together with MODEL: you type, the model continues.

    A line that begins with a slash is a command; /help lists them. Generated text goes to standard output, everything
    else to standard error. A file or a pipe as standard input gives the lines to type.
    """
    from textgen.generation.following import check_together
    from textgen.generation.generator import open_generator
    from textgen.repl import Repl, Session, keyboard, terminal
    from textgen.repl.session import ModelFacts
    from textgen.store.model_directory import load_model
    from textgen.tokenizers.unknown import describe_replacements

    config = sampling_config(**sampling)
    stored = load_model(model, models_dir)
    generator = open_generator(
        stored,
        engine,
        on_unknown=on_unknown,
        on_replaced=lambda replaced: terminal.show_notice(describe_replacements(replaced)),
        on_ended=lambda reason: session.ended(reason),
    )
    description, write = describe(stored), terminal.story_writer()
    session: Session = Session(
        generator,
        config,
        write=write,
        write_typed=terminal.typed_writer(write),
        notice=terminal.show_notice,
        show=terminal.show_lines,
        columns=terminal.columns,
        model=ModelFacts(stored.name, description, stored.sha256),
    )
    said = _open_session(session, session_file, given(sampling)) if session_file is not None else ""
    check_together(session.config)
    terminal.show_notice(f"{description}\nType text and the model goes on; /help lists commands, Ctrl-D leaves.{said}")
    if session.story.text:
        session.say_where()
    with keyboard.quiet_keyboard():
        Repl(session, terminal.line_reader(session), is_typed=keyboard.is_typed()).run()


def _open_session(session: "Session", name: str, flags: dict[str, Any]) -> str:
    """Keep the session in a file. Flags that were given win over the settings that it holds."""
    from textgen.generation.following import check_together
    from textgen.repl.files import path_of
    from textgen.repl.session_file import SessionFile

    asked, path = session.config, path_of(name, "--session")
    if not os.path.exists(path):
        check_together(asked)  # before it is made
    said = SessionFile(path).open(session)
    if flags:
        session.config = session.config.replace(**{name: getattr(asked, name) for name in flags})
    if "seed" in flags:
        session.next_sample = 0
    return f"\n{said}"


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
