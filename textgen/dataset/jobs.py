"""Shards worked on by several processes, with results in the order of the shards.

The processes are new ones, which import the little that they need: no fork of one that may have used TensorFlow, and
no second start of somebody's program. A shard goes to a process over a pipe, and its arrays come back over another. A
process ends when its pipe does, so none outlives this one, however it ends. At Ctrl-C they are in a group of their own,
so that it is this process that decides.
"""

import contextlib
import json
import os
import pickle
import queue
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NoReturn, Self

from textgen.cores import available_cores
from textgen.dataset.kept import KeptShards, key_of
from textgen.dataset.shards import Arrays, Shard, num_shards
from textgen.errors import CorpusError
from textgen.memory import available_bytes

# Characters of a text, by level, from which on it is faster to use several processes, and takes long enough to keep
# what was done (`tests/benchmarks/README.md`).
LARGE = {"char": 128_000_000, "word": 16_000_000}
BYTES_OF_A_JOB = 256 * 2**20  # of memory, about
# -P and the path: what this process can import, and nothing that lies in the working directory by chance.
PROGRAM = "import sys, json; sys.path[:] = json.loads(sys.argv[1]); from textgen.dataset import jobs; jobs.work()"
ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}

FAILURES = (EOFError, OSError, pickle.UnpicklingError)  # of talking with a process that has died

Function = Callable[[Shard], Arrays]


def default_jobs() -> int:
    """As many as there are cores, and memory for."""
    free = available_bytes()
    return available_cores() if free is None else max(1, min(available_cores(), free // BYTES_OF_A_JOB))


class Jobs:
    """A context manager; processes start when they are first needed, and end with it."""

    def __init__(self, number: int | None, size: float, level: str, kept: KeptShards | None = None):
        """Args:

        number: of processes; None is as many as there are cores. With 1, or for a small text, all is done here.
        size: of the text in characters, or about.
        level: of its tokens, "char" or "word".
        kept: where results are found, and kept; None keeps nothing.
        """
        is_large = size >= LARGE[level]
        self._number = min(number or default_jobs(), num_shards(size)) if is_large else 1
        self._kept = kept if is_large else None
        self._started: list[_Process] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        for process in self._started or ():
            process.end()

    def in_order(self, function: Function, shards: Iterable[Shard], task: bytes = b"") -> Iterator[Arrays]:
        """What `function` finds out about each of `shards`.

        Args:
            function: pure, and one that pickle can name.
            task: says for what is kept what `function` does, and all that it depends on.

        Raises:
            CorpusError: a process died.
            TextgenError: as `function` raised it, for the first such shard.
        """
        processes = self._processes(function)
        if not processes:
            yield from (self._known(task, function, shard) for shard in shards)
            return
        idle: queue.SimpleQueue[_Process] = queue.SimpleQueue()
        for process in processes:
            idle.put(process)

        def ask(shard: Shard) -> Arrays:
            process = idle.get()
            try:
                return process.ask(shard)
            finally:
                idle.put(process)

        threads = ThreadPoolExecutor(len(processes))
        try:
            waiting: deque[Future[Arrays]] = deque()
            for shard in shards:
                waiting.append(threads.submit(self._known, task, ask, shard))
                if len(waiting) > len(processes):
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        except BaseException:
            for process in processes:  # so that no thread waits for an answer
                process.kill()
            raise
        finally:
            threads.shutdown(cancel_futures=True)

    def _known(self, task: bytes, ask: Function, shard: Shard) -> Arrays:
        if self._kept is None:
            return ask(shard)
        key = key_of(task, shard)
        found = self._kept.find(key)
        if found is None:
            found = ask(shard)
            self._kept.add(key, found)
        return found

    def _processes(self, function: Function) -> list["_Process"]:
        """The processes, as many as could be started, which know `function`."""
        if self._started is None:
            self._started = []
            with contextlib.suppress(OSError):  # no more processes, say; fewer will do
                while len(self._started) < self._number > 1 and sys.executable and not getattr(sys, "frozen", False):
                    self._started.append(_Process())
        return [process for process in self._started if process.takes(function)]


class _Process:
    """A process that applies a function to what it is sent."""

    def __init__(self) -> None:
        group = {"process_group": 0} if os.name == "posix" else {}
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-c", PROGRAM, json.dumps(sys.path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=os.environ | ONE_THREAD,
            **group,  # type: ignore[call-overload]  # of keywords that a system has
        )

    def takes(self, function: Function) -> bool:
        """Give it the function; whether it lives and can take it. Waits until it has started."""
        try:
            return self._exchange(function) == (True, {})
        except FAILURES:
            return False

    def ask(self, shard: Shard) -> Arrays:
        """What the function finds out about `shard`; what it raises is raised here. Raises CorpusError: it died."""
        try:
            is_result, answer = self._exchange(shard)
        except FAILURES:
            self._raise_death()
        if not is_result:
            raise answer
        return answer

    def _exchange(self, message: object) -> Any:
        requests, answers = self._process.stdin, self._process.stdout
        assert requests is not None
        assert answers is not None
        pickle.dump(message, requests, pickle.HIGHEST_PROTOCOL)
        requests.flush()
        return pickle.load(answers)

    def _raise_death(self) -> NoReturn:
        status = self._process.wait()
        names = {number.value: number.name for number in signal.Signals}
        how = names.get(-status, f"status {status}")
        raise CorpusError(
            f"a process that prepared the text has died ({how}). Run it again, with fewer --jobs if memory is short"
        )

    def kill(self) -> None:
        """End it at once."""
        self._process.kill()

    def end(self) -> None:
        """End it, and wait until it has ended."""
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(OSError):  # what was not sent
                if stream is not None:
                    stream.close()


def work() -> None:
    """What a process does: answer each function with nothing, and each shard with what the last function finds out."""
    asked: queue.SimpleQueue[Any] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(asked,), daemon=True).start()
    function: Function = lambda _shard: {}  # noqa: E731
    answer: tuple[bool, object]
    while True:
        message = asked.get()
        try:
            if isinstance(message, Shard):
                answer = True, function(message)
            else:
                function, answer = message, (True, {})
        except Exception as problem:
            answer = False, problem
        pickle.dump(answer, sys.stdout.buffer, pickle.HIGHEST_PROTOCOL)
        sys.stdout.buffer.flush()


def _listen(asked: "queue.SimpleQueue[Any]") -> None:
    """Take what is sent, also while the function runs, and so learn at once that the other process is gone."""
    try:
        while True:
            asked.put(pickle.load(sys.stdin.buffer))
    finally:
        os._exit(0)


def task_of(name: str, *parts: object) -> bytes:
    """What `in_order` calls a task: its name, and what it depends on."""
    return json.dumps([name, *parts]).encode()
