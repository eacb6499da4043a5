"""The command line: the only place that knows click; one file per command.

Generated text and results go to standard output, everything else to standard error. A command's module imports click
and `options` at its top and the rest inside its body, so that `--help` answers at once.
"""

import importlib
import io
import os
import sys
import time

import click

from textgen.errors import SettingError, TextgenError
from textgen.schema import with_flags
from textgen.streams import OutputError, take_streams, tell

STARTED = time.perf_counter()  # `--minutes` counts from here

# In the order of a user's first day.
COMMANDS = (
    "train",
    "sample",
    "replay",
    "repl",
    "serve",
    "evaluate",
    "copied",
    "score",
    "gates",
    "export",
    "models",
    "info",
    "report",
    "verify",
    "inspect",
    "corpora",
    "doctor",
    "benchmark",
    "lesson",
)


class Commands(click.Group):
    """Imports a command's module when the command is asked for."""

    def list_commands(self, _context: click.Context) -> list[str]:
        """All commands, in the order of help."""
        return list(COMMANDS)

    def get_command(self, _context: click.Context, name: str) -> click.Command | None:
        """The command of that name."""
        if name not in COMMANDS:
            return None
        return getattr(importlib.import_module(f"textgen.cli.{name}"), name)


@click.command(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="textgen", message="textgen %(version)s")
def cli() -> None:
    """Train a small language model on your own text, and let it write."""


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit: 0, 1 for an error, 2 for wrong usage, 130 after Ctrl-C."""
    take_streams()
    # NumPy's threads wait for work by turning round and round, by default for a tenth of a second after each text.
    os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "14")  # the logarithm of processor cycles
    try:
        sys.exit(cli.main(arguments, prog_name="textgen", standalone_mode=False))
    except click.ClickException as problem:
        shown = io.StringIO()
        problem.show(shown)
        for line in shown.getvalue().splitlines():
            tell(line)
        sys.exit(problem.exit_code)
    except TextgenError as problem:
        message = with_flags(str(problem)) if isinstance(problem, SettingError) else str(problem)
        tell(f"textgen: {' '.join(message.split())}")
        sys.exit(problem.exit_status)
    except MemoryError:
        tell("textgen: there is not enough memory. Close other programs, or ask for less at once")
        sys.exit(1)
    except (click.Abort, KeyboardInterrupt):
        tell("textgen: stopped")
        sys.exit(130)
    except OutputError as problem:
        if problem.is_wanted:
            tell(f"textgen: {problem}")
        sys.exit(1 if problem.is_wanted else 0)
