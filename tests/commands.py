"""`textgen` as a process of its own, started in a moment: a fork of one that has imported TensorFlow already.

What is about starting itself, as are an import that is interrupted, or a command that must not import TensorFlow,
starts a process from the beginning instead.
"""

import functools
import itertools
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

CLOSED = Path("closed")  # in the place of a stream's path
PROGRAMS = "TEXTGEN_TESTS_PROGRAMS"  # a variable: where XLA keeps the programs of commands; conftest.py sets it
XLA_FLAGS = "TF_XLA_FLAGS"  # a variable of TensorFlow


class ForkServer:
    """The process that is forked from; see fork_server.py. What XLA compiled for one command is there for all."""

    def __init__(self):
        self.folder = tempfile.TemporaryDirectory(prefix="textgen-tests-")
        self.numbers = itertools.count()
        self.tensorflow = {
            "TF_CPP_MIN_LOG_LEVEL": "3",  # else loading is commented on
            XLA_FLAGS: f"--tf_xla_persistent_cache_directory={os.environ[PROGRAMS]}",  # written by renaming
        }
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
        self.process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("fork_server.py"))],
            env=os.environ | self.tensorflow,
            text=True,
            **pipes,
        )

    def ask(self, **request: object) -> dict:
        if self.process.poll() is None:
            self.process.stdin.write(json.dumps(request) + "\n")
            self.process.stdin.flush()
            answer = self.process.stdout.readline()
        if self.process.poll() is not None or not answer:
            raise RuntimeError(f"fork_server.py has ended, with status {self.process.wait()}")
        return json.loads(answer)

    def close(self) -> None:
        self.process.communicate()
        self.folder.cleanup()


fork_server = functools.cache(ForkServer)


def close_fork_server() -> None:
    """At the end of the tests; nothing where no command was run."""
    if fork_server.cache_info().currsize:
        fork_server().close()
        fork_server.cache_clear()


class Command:
    """`textgen ARGUMENTS`, running; events are fork_server.py's, those of `workers` by the number of the worker.

    The models directory is the default one, unless the environment says another. `output` and `errors` are files and
    can be read while it runs; `log`, where it is given, takes both. What is CLOSED the command finds closed, and so it
    finds standard input where `stdin` is None. What it met is noted in the file `notes`.
    """

    def __init__(
        self,
        *arguments: object,
        cwd: Path,
        stdin: bytes | None = b"",
        environment: Mapping[str, str] = MappingProxyType({}),
        events: tuple = (),
        log: Path | None = None,
        output: Path | None = None,
        errors: Path | None = None,
        notes: Path | None = None,
        workers: Mapping[int, tuple] = MappingProxyType({}),
    ):
        server = fork_server()
        self.arguments = [str(argument) for argument in arguments]
        folder = Path(server.folder.name, str(next(server.numbers)))
        folder.mkdir()
        source = CLOSED if stdin is None else folder / "stdin"
        if stdin is not None:
            source.write_bytes(stdin)
        self.output, self.errors = output or log or folder / "stdout", errors or log or folder / "stderr"
        for path in {self.output, self.errors} - {CLOSED}:
            path.write_bytes(b"")
        self.number = server.ask(
            arguments=self.arguments,
            cwd=str(cwd),
            environment={**os.environ, "TEXTGEN_MODELS_DIR": "", **environment, **server.tensorflow},
            streams=[str(path) for path in (source, self.output, self.errors)],
            events=events,
            notes=None if notes is None else str(notes),
            workers=dict(workers),
        )["process"]

    def wait(self) -> int:
        """The exit status, negative when a signal ended it."""
        return fork_server().ask(wait=self.number)["status"]


def run(*arguments: object, cwd: Path, stdin: str | bytes = b"", **environment: str) -> subprocess.CompletedProcess:
    """`textgen ARGUMENTS`, ended."""
    stdin = stdin.encode() if isinstance(stdin, str) else stdin
    command = Command(*arguments, cwd=cwd, stdin=stdin, environment=environment)
    status = command.wait()
    return subprocess.CompletedProcess(
        command.arguments, status, command.output.read_bytes(), command.errors.read_bytes()
    )


def one_line(done: subprocess.CompletedProcess) -> str:
    """The single line of an error."""
    lines = done.stderr.decode().strip().splitlines()
    assert len(lines) == 1, done.stderr.decode()
    return lines[0]
