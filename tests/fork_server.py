"""A process that imports TensorFlow once and then runs `textgen` again and again, each time in a fork of its own.

No TensorFlow operation ran before a fork, so a child is as a new process is, but two seconds older. Requests come as
lines of JSON on standard input, answers go as lines of JSON to standard output; commands.py asks for them.

    {"arguments", "cwd", "environment", "streams", "events", "notes", "workers"}  ->  {"process"}   its number; it runs
    {"wait": process}                                                    ->  {"status"}    negative for a signal

The streams are the paths of standard input, output and error, or "closed". An event is [moment, number, seconds,
what]; `MOMENTS` and `happen` say what these are. An event counts from the one before it. Where "notes" is a path, a
line is added to it for each event that happened, each path that was used and a write that the disk refused, and at the
end how often each moment came. The workers of `--workers` are forks too; "workers" has the events of each, by its
number as a string.
"""

import contextlib
import fcntl
import gc
import importlib
import io
import json
import math
import os
import pkgutil
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace

from system_calls import SystemCalls, note_paths

import textgen

PATCH = SimpleNamespace(setattr=setattr)
PLAINLY = "TRACE_PLAINLY"  # a variable: train on the path of a GPU, without one, which is traced in a moment
IN_CALLS = "STEPS_IN_A_CALL"  # a variable: as many steps are made together as that, however short the run is
UNLIMITED = resource.getrlimit(resource.RLIMIT_FSIZE)


def writing(number: int, seconds: float, act: Callable[[], None]) -> list:
    """Before the n-th call by which something in the models directory is written, or in the middle of it."""
    return SystemCalls(number, act, Path(os.environ["TEXTGEN_MODELS_DIR"])).install(PATCH).made


def preparing(number: int, seconds: float, act: Callable[[], None]) -> list:
    """The same in the cache."""
    return SystemCalls(number, act, Path(os.environ["TEXTGEN_CACHE_DIR"])).install(PATCH).made


def step(number: int, seconds: float, act: Callable[[], None]) -> list:
    """Some time after the n-th step begins; steps that are measured count too."""
    return _while_training("__call__", number, seconds, act)


def call(number: int, seconds: float, act: Callable[[], None]) -> list:
    """Some time after the n-th call of several steps begins."""
    return _while_training("several", number, seconds, act)


def _while_training(name: str, number: int, seconds: float, act: Callable[[], None]) -> list:
    from textgen.training.step import TrainStep

    return _before(TrainStep, name, number, lambda: threading.Timer(seconds, act).start() if seconds else act())


def evaluation(number: int, seconds: float, act: Callable[[], None]) -> list:
    """As the n-th evaluation of the run begins."""
    from textgen.training.trainer import Trainer

    return _before(Trainer, "_evaluate", number, act)


def sealing(number: int, seconds: float, act: Callable[[], None]) -> list:
    """As writing, but counted from where the run is over and its model is written."""
    from textgen.training import run

    return _before(run, "_final_record", 1, lambda: writing(number, seconds, act))  # which writes nothing


def start(number: int, seconds: float, act: Callable[[], None]) -> list:
    """Some time after the command begins: it reads, prepares, builds, compiles, measures."""
    timer = threading.Timer(seconds, act)
    timer.daemon = True
    timer.start()
    return []


MOMENTS = {moment.__name__: moment for moment in (writing, preparing, step, call, evaluation, sealing, start)}
COUNTED = ("writing", "preparing", "step", "evaluation")


def _before(owner: type | ModuleType, name: str, number: int, act: Callable[[], None]) -> list:
    """Act before the n-th call of the function; what was called so far."""
    calls, function = [], getattr(owner, name)

    def counted(*arguments):
        calls.append(1)
        if len(calls) == number:
            act()
        return function(*arguments)

    setattr(owner, name, counted)
    return calls


OFFSETS = {"back": -86_400.0, "forward": 10 * 365 * 86_400.0}  # seconds by which the clock is wrong


def happen(what: str, notes: "Notes") -> None:
    """A signal by its name; the disk is full, has room again, or loses the model's directory; the clock is set."""
    notes.add("happened", what)
    if what in OFFSETS:
        true_time = time.time
        time.time = lambda: true_time() + OFFSETS[what]
    elif what == "full":
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, UNLIMITED[1]))
    elif what == "room":
        resource.setrlimit(resource.RLIMIT_FSIZE, UNLIMITED)
    elif what == "sleep":
        time.sleep(600)
    elif what == "vanished":
        shutil.rmtree(Path(os.environ["TEXTGEN_MODELS_DIR"], "novel"), ignore_errors=True)  # it may be written to
    else:
        os.kill(os.getpid(), signal.Signals[what])


def _open_aside(path: str) -> int:
    """A handle that appends to the file, and is not the number of a stream that is closed."""
    handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    aside = fcntl.fcntl(handle, fcntl.F_DUPFD_CLOEXEC, 100)
    os.close(handle)
    return aside


class Notes:
    """What a command met, as lines of JSON [kind, what] in a file; nothing where there is no file."""

    def __init__(self, path: str | None):
        self.began = time.perf_counter()
        self.handle, self.process = None if path is None else _open_aside(path), os.getpid()
        self.added: set[tuple[str, object]] = set()
        self.turn = threading.RLock()  # of threads, and of what a signal interrupts
        self.moments: dict[str, list] = {}
        if path is not None:
            note_paths(PATCH, lambda used: self.add("used", used))
            self.moments = {name: moment(0, 0, lambda: None) for name, moment in MOMENTS.items() if name in COUNTED}

    def add(self, kind: str, what: object) -> None:
        """A line, once; written at once, for a signal may follow, and whatever room the disk has."""
        if self.handle is None or self.process != os.getpid():
            return
        with self.turn:
            line = b"" if (kind, what) in self.added else (json.dumps([kind, what]) + "\n").encode()
            self.added.add((kind, what))
            while line:  # the disk may become full between any two of these calls
                room = resource.getrlimit(resource.RLIMIT_FSIZE)
                resource.setrlimit(resource.RLIMIT_FSIZE, UNLIMITED)
                with contextlib.suppress(OSError):
                    line = line[os.write(self.handle, line) :]
                resource.setrlimit(resource.RLIMIT_FSIZE, room)

    def end(self) -> None:
        """How long it took, and how often each moment came."""
        self.add("seconds", time.perf_counter() - self.began)
        for name, calls in self.moments.items():
            self.add(name, len(calls))


def arrange(events: list, notes: Notes) -> None:
    """Let the first event happen when its moment comes, and then arrange the others."""
    if events:
        (moment, number, seconds, what), *others = events
        process = os.getpid()

        def act() -> None:
            if os.getpid() == process:  # and not in a worker, which is a fork of it
                happen(what, notes)
                arrange(others, notes)

        MOMENTS[moment](number, seconds, act)


class ForkedWorker:
    """A fork of the chief in the place of a process that `--workers` starts; as much of `Popen` as the chief uses."""

    def __init__(self, events: list, cluster: object, index: int, timeout: float):
        from textgen import tensorflow_runtime
        from textgen.workers.cluster import LOCAL

        self.lock, self.returncode = threading.Lock(), None
        self.process = os.fork()
        if self.process == 0:
            os.closerange(3, 4096)  # what is the chief's must end with it
            for number in range(3):
                os.dup2(os.open(os.devnull, os.O_RDWR), number)
            os.setsid()
            tensorflow_runtime._used_in = None  # TensorFlow is imported, and has not started
            os.environ[LOCAL] = cluster.to_json(index)
            arguments = ["train", "--worker-timeout", str(timeout)]
            child({"arguments": arguments, "events": events, "notes": None, "workers": {}})

    def poll(self) -> int | None:
        with self.lock:  # several threads ask
            if self.returncode is None:
                process, status = os.waitpid(self.process, os.WNOHANG)
                self.returncode = os.waitstatus_to_exitcode(status) if process else None
            return self.returncode

    def wait(self, timeout: float = 1e9) -> int:
        ends = time.monotonic() + timeout
        while self.poll() is None:
            if time.monotonic() > ends:
                raise subprocess.TimeoutExpired("textgen", timeout)
            time.sleep(0.01)
        return self.returncode

    def kill(self) -> None:
        os.kill(self.process, signal.SIGKILL)


def child(request: dict) -> None:
    """Become the process that runs the command; ends it."""
    import textgen.cli
    import textgen.training.calls
    import textgen.workers.team

    status, notes = 1, Notes(None)
    textgen.workers.team.start_worker = lambda cluster, index, timeout: ForkedWorker(
        request["workers"].get(str(index), []), cluster, index, timeout
    )
    try:
        if "streams" in request:
            _take_place(request)
        if os.environ.get(PLAINLY):
            device = SimpleNamespace(name="GPU", cudnn=False, reason="said by the test")
            for name, module in list(sys.modules.items()):
                if name.startswith("textgen.") and hasattr(module, "choose_device"):
                    module.choose_device = lambda cell="lstm": device
        if steps := os.environ.get(IN_CALLS):
            textgen.training.calls.STEPS = int(steps)
            textgen.training.calls.LONGEST_CALL, textgen.training.calls.WORTH_TRACING = math.inf, 0.0
        notes = Notes(request["notes"])
        signal.signal(signal.SIGXFSZ, lambda *_: notes.add("refused", "a write"))  # which fails all the same
        textgen.cli.STARTED = time.perf_counter()
        if "--jobs" in request["arguments"]:
            _prepare_in_shards()
        arrange(request["events"], notes)
        textgen.cli.main(request["arguments"])
    except SystemExit as end:
        status = end.code or 0
    except BaseException:
        traceback.print_exc()
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()
    notes.end()
    os._exit(status)


def _prepare_in_shards() -> None:
    """Let a small text be prepared as a large one is."""
    from textgen.dataset import jobs, shards

    jobs.LARGE, shards.SHARD_CHARACTERS = dict.fromkeys(jobs.LARGE, 1), 500
    shards.regrouped = lambda blocks: (block[i : i + 300] for block in blocks for i in range(0, len(block), 300))


def _take_place(request: dict) -> None:
    """Streams, environment and working directory, as a shell would give them."""
    for number, path in enumerate(request["streams"]):
        if path != "closed":
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND if number else os.O_RDONLY
            os.dup2(os.open(path, flags), number)
    sys.stdin = io.TextIOWrapper(io.BufferedReader(io.FileIO(0)), sys.stdin.encoding, sys.stdin.errors)
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if request["streams"][number] == "closed":  # last, so that no other file gets its number
            os.close(number)
            setattr(sys, name, None)
    os.environ.clear()
    os.environ.update(request["environment"])
    os.chdir(request["cwd"])


def _import_what_commands_do() -> None:
    """Here, so that no child has to; what needs something that is not installed is left to those who use it."""
    for module in pkgutil.walk_packages(textgen.__path__, "textgen."):
        if not module.name.endswith("__main__"):
            with contextlib.suppress(ModuleNotFoundError):
                importlib.import_module(module.name)


def serve() -> None:
    """Answer requests until there are no more."""
    import tensorflow as tf

    tf.get_logger().setLevel("ERROR")
    _import_what_commands_do()
    gc.collect()
    gc.freeze()  # a child neither looks at nor copies what was here before it
    os.fsync = os.fstat  # as in conftest.py
    signal.signal(signal.SIGINT, signal.default_int_handler)  # whatever started the tests may ignore them
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    requests, answers = os.fdopen(os.dup(0)), os.fdopen(os.dup(1), "w")
    for line in requests:
        request = json.loads(line)
        if "wait" in request:
            status = os.waitstatus_to_exitcode(os.waitpid(request["wait"], 0)[1])
            print(json.dumps({"status": status}), file=answers, flush=True)
            continue
        process = os.fork()
        if process == 0:
            child(request)
        print(json.dumps({"process": process}), file=answers, flush=True)


if __name__ == "__main__":
    serve()
