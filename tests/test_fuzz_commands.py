"""Thousands of command lines that nobody would type: each ends by itself, with status 0, 1 or 2, and no traceback.

Runs in a process of its own, whose memory is limited. TensorFlow cannot be imported there and nothing can be connected
to, so a training ends where it would begin.
"""

import contextlib
import importlib.abc
import io
import json
import os
import random
import resource
import signal
import socket
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

import pytest
from conftest import slow

MEMORY_BYTES = 512 * 2**20  # more than the process has taken when it begins
SECONDS = 30  # for one command, however slow the machine

NUMBERS = (
    "0",
    "1",
    "2",
    "7",
    "-1",
    "0.5",
    "1e-320",
    "1e400",
    "nan",
    "inf",
    "-inf",
    "9" * 30,
    "9" * 5000,
    "0x10",
    "1_0",
)
WORDS = ("", " ", "a", "the cat", "\t", "\n", "\udcff", "\x1b[2J", "\u202e", "é☃🙂", "--", "-", "-x", "--help", "%s{}")
PATHS = ("tale.txt", "tale.csv", "empty.txt", "noise.bin", "nul.txt", "folder", ".", "..", "/", "/dev/null", "none/x")
PATHS += ("x" * 300, "tale.txt/x", "link", "noise.gz", "\udcff.txt", "~", "tale", "chronicles", "shakespeare")
MODELS = ("none", "english", "char", "word", "run", "damaged", "chra", "", ".", "..", "../models/char", "models/word")
MODELS += ("x" * 300, "\udcff")
URLS = ("https://127.0.0.1:9", "http://127.0.0.1:9/", "http://example.com", "file:///etc/passwd", "https://[", "x:y")
SMALL = {  # what would take long if it were large, and is not refused
    "length": ("0", "1", "20", "-1", "x", "1.5", "9" * 30),
    "num_samples": ("0", "1", "3", "-1", "x", "9" * 30),
    "repeat_last_n": ("0", "1", "4096", "x"),
}


@pytest.mark.parametrize(
    ("seed", "rounds"),
    [(1, 250), slow(1, 2000), *(pytest.param(seed, 8000, marks=pytest.mark.soak) for seed in range(2, 8))],
)
def test_a_random_command_line_ends_with_0_1_or_2(seed, rounds):
    script = [sys.executable, __file__, str(seed), str(rounds)]
    done = subprocess.run(script, capture_output=True, text=True, errors="replace", check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    counts = json.loads(done.stdout)
    assert sum(counts.values()) == rounds
    assert set(counts) == {"0", "1", "2"}
    assert min(counts.values()) > rounds / 50


def main(seed: int, rounds: int) -> None:
    """Run `rounds` commands, and print how often they ended with each status."""
    sys.meta_path.insert(0, NoTensorFlow())
    socket.socket.connect = refuse_connection
    socket.getaddrinfo = refuse_connection
    os.fsync = lambda _: None
    warnings.simplefilter("error")
    draw = random.Random(seed)
    counts: dict[str, int] = {}
    with tempfile.TemporaryDirectory() as name:
        os.chdir(name)
        os.environ.update(TEXTGEN_CACHE_DIR=f"{name}/cache", TEXTGEN_MODELS_DIR="models", HOME=name)
        make_files()
        limit_memory()
        for _ in range(rounds):
            arguments, stdin = random_command(draw), draw.choice((b"", b"the cat\n/help\n/save x\n", b"\xff\0\n"))
            signal.alarm(SECONDS)
            try:
                status, said = run(arguments, stdin)
                assert status in (0, 1, 2), status
                assert "Traceback" not in said, said
            except BaseException:
                print(f"textgen {arguments!r}", stdin, file=sys.stderr)
                raise
            signal.alarm(0)
            counts[str(status)] = counts.get(str(status), 0) + 1
    print(json.dumps(counts))


class NoTensorFlow(importlib.abc.MetaPathFinder):
    """Finds nothing but reasons to fail."""

    def find_spec(self, name, _path, _target=None):
        if name.split(".")[0] in ("tensorflow", "tensorflow_text", "keras"):
            raise ImportError(f"no {name} here")


def refuse_connection(*_arguments: object, **_options: object) -> None:
    raise ConnectionRefusedError(111, "Connection refused")


def limit_memory() -> None:
    """After what takes memory once has been imported."""

    taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (taken + MEMORY_BYTES, taken + MEMORY_BYTES))


def make_files() -> None:
    """The models and texts that arguments name."""
    from damaging import write_full_model, write_run

    for level in ("char", "word"):
        write_full_model(Path("models"), level, level)
    write_run(Path("models/run"), steps=(10,))
    (write_full_model(Path("models"), name="damaged") / "config.json").write_text("{}")
    tale = "The cat sat on the mat, and the dog sat on the cat.\n"
    Path("folder").mkdir()
    contents = {"tale.txt": tale * 40, "folder/a.txt": tale, "empty.txt": "", "nul.txt": "\0" * 99}
    contents["tale.csv"] = "name,text\n" + 'a,"the cat"\nb,"the, dog"\n' * 20
    for name, content in contents.items():
        Path(name).write_text(content)
    for name in ("noise.bin", "noise.gz"):
        Path(name).write_bytes(random.Random(0).randbytes(3000))
    Path("link").symlink_to("nowhere")


def random_command(draw: random.Random) -> list[str]:
    """A command with some of its options, their values mostly of their kind, in any order."""
    import click

    from textgen.cli import COMMANDS, cli

    context = click.Context(cli)
    name = draw.choice(COMMANDS)
    command, arguments = cli.get_command(context, name), [name]
    if isinstance(command, click.Group):
        name = draw.choice(command.list_commands(context))
        command, arguments = command.get_command(context, name), [*arguments, name]
    parts = []
    for parameter in command.params:
        if isinstance(parameter, click.Argument):
            parts += [[argument_value(draw, parameter)] for _ in range(draw.choice((1, 1, 1, 1, 0, 2)))]
    options = [parameter for parameter in command.params if isinstance(parameter, click.Option)]
    for option in draw.choices(options, k=draw.choice((0, 1, 1, 2, 3, 6))):
        flag = draw.choice((*option.opts, *option.secondary_opts))
        parts.append([flag] if option.is_flag else [flag, option_value(draw, option)])
    if draw.random() < 0.1:
        parts.append([draw.choice((*WORDS, "--nonsense", "--units=", "-h", "--le"))])
    draw.shuffle(parts)
    return arguments + [part for pair in parts for part in pair]


def argument_value(draw: random.Random, argument) -> str:
    pool = MODELS if argument.name == "model" else PATHS
    return draw.choice(pool[:3] if draw.random() < 0.6 else (*pool, *WORDS))


def option_value(draw: random.Random, option) -> str:
    import click

    if option.name in SMALL:
        return draw.choice(SMALL[option.name])
    if isinstance(option.type, click.Choice) and draw.random() < 0.7:
        return draw.choice(list(option.type.choices))
    if option.type.name in ("integer", "float"):
        return draw.choice(NUMBERS if draw.random() < 0.9 else WORDS)
    if option.name == "models_dir":
        return draw.choice(("models", "models", "folder", "tale.txt", "none"))
    if option.name == "base_url":
        return draw.choice((*URLS, *WORDS))
    if option.name in ("prompt_file", "output", "html", "tensorboard"):
        return draw.choice(("tale.txt", "noise.bin", "folder", "none/x", "out", "", "x" * 300, "\udcff"))
    return draw.choice((*WORDS, "utf-8", "utf-16", "name", "text", "rot13", "idna", "x" * 5000))


def run(arguments: list[str], stdin: bytes) -> tuple[int, str]:
    """The exit status of the command line, and what it wrote to standard error."""
    from textgen.cli import main as command_line

    sys.stdin = io.TextIOWrapper(io.BytesIO(stdin), encoding="utf-8")
    output, errors = (io.TextIOWrapper(io.BytesIO(), "utf-8", errors=how) for how in ("strict", "backslashreplace"))
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(errors):
        try:
            command_line(arguments)
        except SystemExit as ended:
            status = ended.code or 0
    errors.flush()
    return status, errors.buffer.getvalue().decode()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
