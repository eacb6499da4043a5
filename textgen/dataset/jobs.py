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
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NoReturn

from textgen.cores import available_cores
from textgen.dataset.kept import KeptShards, key_of
from textgen.dataset.shards import Arrays, Shard
from textgen.errors import CorpusError
from textgen.memory import available_bytes

BYTES_OF_A_JOB = 256 * 2**20  # of memory, about
# -P and the path: what this process can import, and nothing that lies in the working directory by chance.
PROGRAM = "import sys, json; sys.path[:] = json.loads(sys.argv[1]); from textgen.dataset import jobs; jobs.work()"
ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}

Function = Callable[[Shard], Arrays]


def default_jobs() -> int:
    """As many as there are cores, and memory for."""
    free = available_bytes()
    return available_cores() if free is None else max(1, min(available_cores(), free // BYTES_OF_A_JOB))


def in_order(
    function: Function, shards: Iterable[Shard], jobs: int, kept: KeptShards | None = None, task: bytes = b""
) -> Generator[Arrays, None, None]:
    """What `function` finds out about each of `shards`.

    Args:
        function: pure, and one that pickle can name.
        jobs: processes; with 1, none is started, which is faster for a few shards.
        kept: where results are found, and kept; None keeps nothing.
        task: says for that what `function` does, and all that it depends on.

    Raises:
        CorpusError: a process died.
        TextgenError: as `function` raised it, for the first such shard.
    """

    def known(ask: Function, shard: Shard) -> Arrays:
        if kept is None:
            return ask(shard)
        key = key_of(task, shard)
        found = kept.find(key)
        if found is None:
            found = ask(shard)
            kept.add(key, found)
        return found

    with _processes(function, jobs) as processes:
        if not processes:
            yield from (known(function, shard) for shard in shards)
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
                waiting.append(threads.submit(known, ask, shard))
                if len(waiting) > len(processes):
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for process in processes:
                process.kill()
            threads.shutdown(cancel_futures=True)


@contextlib.contextmanager
def _processes(function: Function, jobs: int) -> Iterator[Sequence["_Process"]]:
    """As many processes as can be started; they are ended, and nothing is left of them."""
    started: list[_Process] = []
    try:
        if jobs > 1 and sys.executable and not getattr(sys, "frozen", False):
            with contextlib.suppress(OSError):  # no more processes, say; fewer will do
                for _ in range(jobs):
                    started.append(_Process(function))
        yield [process for process in started if process.is_ready()]
    finally:
        for process in started:
            process.end()


class _Process:
    """A process that applies one function to what it is sent."""

    def __init__(self, function: Function):
        self._function = function
        group = {"process_group": 0} if os.name == "posix" else {}
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-c", PROGRAM, json.dumps(sys.path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=os.environ | ONE_THREAD,
            **group,  # type: ignore[call-overload]  # of keywords that a system has
        )

    def is_ready(self) -> bool:
        """Whether it has started well, and knows its function; waits for that."""
        try:
            self._exchange(self._function)
        except (EOFError, OSError):
            return False
        return True

    def ask(self, shard: Shard) -> Arrays:
        """What the function finds out about `shard`; what it raises is raised here. Raises CorpusError: it died."""
        try:
            is_result, answer = self._exchange(shard)
        except (EOFError, OSError, pickle.UnpicklingError):
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
    """What a process does: read a function, then a shard after the other, and answer each; until nobody asks."""
    asked: queue.SimpleQueue[Any] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(asked,), daemon=True).start()
    function = asked.get()
    answer: tuple[bool, object] = True, None
    while True:
        pickle.dump(answer, sys.stdout.buffer, pickle.HIGHEST_PROTOCOL)
        sys.stdout.buffer.flush()
        try:
            answer = True, function(asked.get())
        except Exception as problem:
            answer = False, problem


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
