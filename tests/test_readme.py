"""The README cannot drift: its commands exist, and the help texts in it are those of the commands.

`python tests/test_readme.py` writes the help texts anew.
"""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from textgen.cli import COMMANDS, cli

README = Path(__file__).parents[1] / "README.md"
HELP = re.compile(r"```text\n\$ textgen (?P<command>[\w ]*?)--help\n(?P<text>.*?)```", re.DOTALL)


def help_of(arguments: str) -> str:
    """What `textgen ARGUMENTS --help` prints, 100 columns wide.

    In a process of its own: click remembers the help option of a command that was first called without its group.
    """
    script = "import sys; from textgen.cli import cli; cli.main(sys.argv[1:], 'textgen', terminal_width=100)"
    command = [sys.executable, "-c", script, *arguments.split(), "--help"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def with_fresh_help(readme: str) -> str:
    return HELP.sub(lambda m: f"```text\n$ textgen {m['command']}--help\n{help_of(m['command'])}```", readme)


def shown_commands() -> list[str]:
    """Every line of a shell block that begins with textgen, without its comment."""
    blocks = re.findall(r"```sh\n(.*?)```", README.read_text(), re.DOTALL)
    lines = [line.split("  #")[0].strip() for block in blocks for line in block.splitlines()]
    return sorted({part for line in lines for part in line.split(" && ") if part.startswith("textgen ")})


def test_help_texts_are_those_of_the_commands():
    readme = README.read_text()
    assert with_fresh_help(readme) == readme, "run: python tests/test_readme.py"


def test_every_command_has_its_help_in_the_readme():
    shown = {match["command"].split()[0] for match in HELP.finditer(README.read_text()) if match["command"].strip()}
    assert shown == set(COMMANDS)


@pytest.mark.parametrize("line", shown_commands())
def test_the_commands_shown_are_understood(line):
    arguments = shlex.split(line.split(" | ")[0].split(" > ")[0])[1:]
    command, context = cli, None
    while isinstance(command, type(cli)) or hasattr(command, "commands"):
        context = command.make_context("textgen", list(arguments), parent=context, resilient_parsing=False)
        name, command, arguments = command.resolve_command(context, [*context._protected_args, *context.args])
    command.make_context(name, list(arguments), parent=context)


if __name__ == "__main__":
    README.write_text(with_fresh_help(README.read_text()))
