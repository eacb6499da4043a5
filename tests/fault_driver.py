"""A process that imports TensorFlow once and then runs `textgen` again and again, each time in a fork of its own.

No TensorFlow operation ran before a fork, so a child is as a new process is, but two seconds older. Requests come as
lines of JSON on standard input: {"arguments", "log", "events"}; answers are lines of JSON: {"status"}, negative for a
signal. An event is [moment, number, seconds, what]: see `MOMENTS` and `happen`. An event counts from the one before it.
"""

import json
import os
import resource
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace

from system_calls import SystemCalls

PATCH = SimpleNamespace(setattr=setattr)
UNLIMITED = resource.getrlimit(resource.RLIMIT_FSIZE)


def writing(number: int, seconds: float, act: Callable[[], None]) -> None:
    """Before the n-th call by which something in the models directory is written, or in the middle of it."""
    SystemCalls(number, act, Path(os.environ["TEXTGEN_MODELS_DIR"])).install(PATCH)


def preparing(number: int, seconds: float, act: Callable[[], None]) -> None:
    """The same in the cache."""
    SystemCalls(number, act, Path(os.environ["TEXTGEN_CACHE_DIR"])).install(PATCH)


def step(number: int, seconds: float, act: Callable[[], None]) -> None:
    """Some time after the n-th step begins; steps that are measured count too."""
    from textgen.training.step import TrainStep

    _before(TrainStep, "__call__", number, lambda: threading.Timer(seconds, act).start() if seconds else act())


def evaluation(number: int, seconds: float, act: Callable[[], None]) -> None:
    """As the n-th evaluation of the run begins."""
    from textgen.training.trainer import Trainer

    _before(Trainer, "_evaluate", number, act)


def sealing(number: int, seconds: float, act: Callable[[], None]) -> None:
    """As writing, but counted from where the run is over and its model is written."""
    from textgen.training import run

    _before(run, "_final_record", 1, lambda: writing(number, seconds, act))  # which writes nothing


def start(number: int, seconds: float, act: Callable[[], None]) -> None:
    """Some time after the command begins: it reads, prepares, builds, compiles, measures."""
    threading.Timer(seconds, act).start()


MOMENTS = {moment.__name__: moment for moment in (writing, preparing, step, evaluation, sealing, start)}


def _before(owner: type | ModuleType, name: str, number: int, act: Callable[[], None]) -> None:
    calls, function = [], getattr(owner, name)

    def counted(*arguments):
        calls.append(1)
        if len(calls) == number:
            act()
        return function(*arguments)

    setattr(owner, name, counted)


def happen(what: str) -> None:
    """A signal by its name; or the disk is full, has room again, or loses the model's directory."""
    if what == "full":
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, UNLIMITED[1]))
    elif what == "room":
        resource.setrlimit(resource.RLIMIT_FSIZE, UNLIMITED)
    elif what == "vanished":
        shutil.rmtree(Path(os.environ["TEXTGEN_MODELS_DIR"], "novel"))
    else:
        os.kill(os.getpid(), signal.Signals[what])


def arrange(events: list) -> None:
    """Let the first event happen when its moment comes, and then arrange the others."""
    if events:
        (moment, number, seconds, what), *others = events

        def act() -> None:
            happen(what)
            arrange(others)

        MOMENTS[moment](number, seconds, act)


def child(request: dict) -> None:
    import textgen.cli

    log = os.open(request["log"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(log, 1)
    os.dup2(log, 2)
    textgen.cli.STARTED = time.perf_counter()
    arrange(request["events"])
    status = 0
    try:
        textgen.cli.main(request["arguments"])
    except SystemExit as end:
        status = end.code or 0
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def serve() -> None:
    import tensorflow  # noqa: F401 (here, so that no child has to)

    import textgen.training.run  # noqa: F401

    for line in sys.stdin:
        process = os.fork()
        if process == 0:
            try:
                child(json.loads(line))
            finally:
                os._exit(70)  # a traceback is in the log
        status = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
        print(json.dumps({"status": status}), flush=True)


if __name__ == "__main__":
    serve()
