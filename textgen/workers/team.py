"""The chief's side of a run with several processes: it waits for the workers, tells them what to do, and notices who
has ended, does not answer, or does not come to a step.

A thread reads what each worker says, another gives signs of life and looks who is late. What they find ends the run
from where the chief itself waits: in TensorFlow's sum over all workers, which is broken off, or for a worker's answer.
"""

import dataclasses
import math
import os
import queue
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from textgen.errors import TextgenError, WorkerError
from textgen.streams import tell
from textgen.tensorflow_runtime import show_stderr
from textgen.workers.channel import BEAT, BEAT_SECONDS, Channel, Message, free_port
from textgen.workers.cluster import Cluster
from textgen.workers.greeting import END, Door
from textgen.workers.local import end_workers, how_it_ended, start_worker

if TYPE_CHECKING:
    from textgen.workers.communicator import Communicator

# As many times the timeout for what may take long the first time: importing TensorFlow, compiling a step.
FIRST_TIME = 5
SILENCE = 3.0  # seconds without a sign of life, after which a worker is what TensorFlow complains of
SECONDS_TO_LEAVE = 10.0  # for a chief that waits where nothing can break it off
ANSWER, PROBLEM = "answer", "problem"  # what a worker says beside its signs of life


class Team:
    """The workers of a chief; a context manager, at whose end they end too."""

    def __init__(self, cluster: Cluster, timeout: float):
        """Args: timeout: seconds that a worker may take to come, to answer, or for a step."""
        self.cluster, self.timeout = cluster, timeout
        self.asked_to_stop: Callable[[int], None] = lambda number: None  # a worker was, by that signal
        self.stopped_by: int | None = None  # the signal that has ended the run before its time
        self.leaving: Callable[[], None] = lambda: None  # before the process ends on the spot
        self.break_off: Callable[[str], None] = lambda line: None  # ends a sum over all workers
        self.communicator: Communicator
        self._channels: dict[int, Channel] = {}
        self._ports: dict[int, int] = {}
        self._refused: list[Channel] = []
        self._answers: dict[int, queue.Queue[Message | None]] = {}
        self._reached: dict[int, int] = {}  # of each worker, the newest task that it has come to
        self._heard: dict[int, float] = {}  # when each was heard
        self._task, self._task_ends = 0, math.inf  # the newest, and by when all must be done with it
        self._is_waiting = False  # whether the chief makes a task with the others
        self._problem, self._lost_at = "", 0.0
        self._is_over = threading.Event()
        self._is_done = False  # with its steps: whatever happens to a worker now, the model is written
        self._news = threading.Condition()
        self._processes: dict[int, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> "Team":
        self._door = Door(self.cluster, self.timeout, self._come, self._refuse)
        self.cluster = dataclasses.replace(self.cluster, chief=(self.cluster.chief[0], self._door.port))
        threading.Thread(target=self._watch, daemon=True).start()
        return self

    def __exit__(self, _kind: object, problem: BaseException | None, _trace: object) -> None:
        self._is_over.set()
        self._door.close()
        stopped_by = getattr(problem, "number", self.stopped_by)  # which the exception has that a signal raises
        reason = str(problem) if isinstance(problem, TextgenError) else "the chief has ended"
        for channel in self._channels.values():
            channel.mention(END, reason="" if problem is None or stopped_by else reason, stopped_by=stopped_by)
        end_workers(self._processes.values())
        for channel in (*self._channels.values(), *self._refused):
            channel.close()

    @property
    def count(self) -> int:
        """How many processes train, the chief among them."""
        return self.cluster.count

    def start(self) -> None:
        """Start the workers, where they are of this machine; they import TensorFlow while the chief does."""
        if self.cluster.is_local:
            others = range(1, self.count)
            self._processes = {index: start_worker(self.cluster, index, self.timeout) for index in others}

    def connect(self, threads: int | None) -> None:
        """Wait for the workers, and connect TensorFlow with theirs, which must not have started before.

        Args:
            threads: of TensorFlow in each.

        Raises:
            WorkerError: a worker has not come, or cannot be connected.
        """
        from textgen.workers.communicator import Communicator, choose_gpu  # noqa: PLC0415 (which import TensorFlow)

        choose_gpu(self.cluster)
        addresses = self._assemble()
        nothing: list[list[bytes]] = [[]] * (self.count - 1)
        self.begin("prepare", nothing, times=FIRST_TIME, threads=threads)
        self.reach()
        self.answers()
        self.begin("connect", nothing, times=math.inf, addresses=addresses)
        self.communicator = Communicator(addresses, self.cluster, self.timeout)
        self.break_off = self.communicator.break_off
        self.done()

    def _assemble(self) -> list[str]:
        """Wait for all; the addresses of TensorFlow's servers."""
        others = range(1, self.count)
        ends = time.monotonic() + self.timeout
        with self._news:
            while missing := [index for index in others if index not in self._channels]:
                self.check()
                if not self._news.wait(min(0.2, ends - time.monotonic())) and time.monotonic() > ends:
                    raise WorkerError(self._not_there(missing))
                for index in missing:
                    if index in self._processes and self._processes[index].poll() is not None:
                        ended = how_it_ended(self._processes[index])
                        raise WorkerError(f"{self.cluster.name_of(index)} has ended before it came{ended}")
        self._door.close()
        if self.cluster.addresses:
            return list(self.cluster.addresses)
        here = self._channels[1].own_host
        return [_address(here, free_port()), *(_address(self._channels[i].host, self._ports[i]) for i in others)]

    def _not_there(self, missing: Sequence[int]) -> str:
        names = ", ".join(self.cluster.name_of(index) for index in missing[:4]) + (" ..." if len(missing) > 4 else "")
        have = "has" if len(missing) == 1 else "have"
        return (
            f"{names} {have} not come within {self.timeout:g} seconds. Start all {self.count} at once, or give them "
            "longer by --worker-timeout"
        )

    def check(self) -> None:
        """Raise WorkerError where a worker is lost."""
        if self._problem:
            raise WorkerError(self._problem)

    def begin(
        self,
        kind: str,
        payloads: Sequence[Sequence[bytes]],
        *,
        times: float = 1,
        each: Sequence[dict[str, Any]] = (),
        **fields: Any,
    ) -> None:
        """Tell the workers what to do next, together with the chief, until `done`.

        Args:
            payloads: of each worker, from worker 1 on.
            times: the timeout, that it may take.
            each: what is another for each worker, as `payloads`.
            fields: what all are told.

        Raises:
            WorkerError: one is lost.
        """
        self.check()
        self._task += 1
        self._task_ends, self._is_waiting = time.monotonic() + self.timeout * times, True
        for place, (index, channel) in enumerate(sorted(self._channels.items())):
            try:
                channel.send(kind, payloads[place], task=self._task, **fields, **(each[place] if each else {}))
            except OSError as problem:
                self._lose(self._gone(index, problem))
        self.check()

    def reach(self) -> None:
        """The chief has come to where it waits for the others."""
        self._reached[0] = self._task

    def done(self) -> None:
        """The task is done."""
        self._task_ends, self._is_waiting = math.inf, False

    def answers(self) -> list[bytearray]:
        """What each worker answers. Raises WorkerError."""
        found = []
        for index in range(1, self.count):
            message = self._answers[index].get()
            if message is None:
                self.check()
            else:
                found.append(message.payload)
        self.done()
        return found

    def failure(self, line: str) -> WorkerError:
        """What to raise where TensorFlow says `line` instead of a sum over the workers."""
        ends = time.monotonic() + min(2.0, self.timeout)  # that a worker has ended is known here a moment later
        while not self._problem and time.monotonic() < ends:
            time.sleep(0.01)
        quiet = {index: time.monotonic() - heard for index, heard in self._heard.items()}
        if not self._problem and quiet and max(quiet.values()) > SILENCE:
            index = max(quiet, key=lambda index: quiet[index])
            return WorkerError(f"{self.cluster.name_of(index)} has not answered for {quiet[index]:.0f} seconds")
        return WorkerError(self._problem or f"the workers cannot make a step together: {line}")

    def finish(self) -> None:
        """The last step is done."""
        self.done()
        self._is_done = True

    def _come(self, index: int, channel: Channel, port: int) -> None:
        """A worker has come: read what it says until it ends."""
        with self._news:
            is_second = index in self._channels
            if not is_second:
                self._channels[index], self._ports[index] = channel, port
                self._answers[index], self._reached[index] = queue.Queue(), 0
                self._news.notify_all()
        if is_second:
            self._refuse(f"two processes say that they are {self.cluster.name_of(index)}", channel)
        else:
            self._listen(index, channel)

    def _refuse(self, line: str, channel: Channel) -> None:
        """Who has come does not fit, and so the run cannot be what was meant."""
        self._refused.append(channel)
        channel.mention(END, reason=line)  # first: the channel is closed as soon as the run is lost
        self._lose(line)

    def _listen(self, index: int, channel: Channel) -> None:
        try:
            while not self._is_over.is_set():
                message = channel.receive()
                self._heard[index] = time.monotonic()
                if message.kind == BEAT:
                    self._reached[index] = int(message.fields.get("reached", 0))
                    if stopped_by := message.fields.get("stopped_by"):
                        self.asked_to_stop(int(stopped_by))
                elif message.kind == ANSWER:
                    self._answers[index].put(message)
                elif message.kind == PROBLEM:
                    self._lose(f"{self.cluster.name_of(index)}: {message.fields.get('line')}")
        except (OSError, WorkerError, ValueError, TypeError) as problem:
            self._lose(self._gone(index, problem))

    def _gone(self, index: int, problem: Exception) -> str:
        if isinstance(problem, TimeoutError):
            return f"{self.cluster.name_of(index)} has not answered for {self.timeout:g} seconds"
        how = how_it_ended(self._processes[index]) if index in self._processes else ""
        return f"{self.cluster.name_of(index)} has ended{how}"

    def _lose(self, line: str) -> None:
        """A worker is lost, and with it the run: end what waits for it."""
        if self._problem or self._is_done or self._is_over.is_set():
            return
        with self._news:
            self._problem, self._lost_at = line, time.monotonic()
            self._news.notify_all()
        for answers in self._answers.values():
            answers.put(None)
        for channel in list(self._channels.values()):
            channel.mention(END, reason=line)
        self.break_off(line)

    def _leave(self) -> None:
        """End this process, whose main thread waits where nothing can break it off."""
        self.leaving()
        show_stderr()
        tell(f"textgen: {self._problem}")
        end_workers(self._processes.values(), 0)
        os._exit(WorkerError.exit_status)

    def _watch(self) -> None:
        """Give signs of life, and look who is late."""
        while not self._is_over.wait(min(BEAT_SECONDS, self.timeout / 4)):
            for channel in list(self._channels.values()):
                channel.mention(BEAT)
            if time.monotonic() > self._task_ends and not self._problem:
                self._lose(self._late())
            if self._problem and self._is_waiting and time.monotonic() > self._lost_at + SECONDS_TO_LEAVE:
                self._leave()

    def _late(self) -> str:
        late = [index for index in range(self.count) if self._reached.get(index, 0) < self._task]
        if not late:
            return f"no worker has got its sum over all within {self.timeout:g} seconds, though all have come to it"
        names = ", ".join(self.cluster.name_of(index) for index in late[:4]) + (" ..." if len(late) > 4 else "")
        return f"{names} {'has' if len(late) == 1 else 'have'} not come to the next step for {self.timeout:g} seconds"


def _address(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
