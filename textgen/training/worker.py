"""A process that trains a chief's model: it does what it is told until it is told to end, and reads and writes no file.

It ends at once where the chief has ended, has not been heard for the timeout, or says that the run is over. One that
somebody stops lets the chief stop the run, which saves it.
"""

import os
import queue
import signal
import socket
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import TYPE_CHECKING, Any

import numpy as np

from textgen.config import ModelConfig, TrainingConfig
from textgen.errors import TextgenError, TrainingError, WorkerError
from textgen.streams import tell
from textgen.tensorflow_runtime import quiet_import, show_stderr
from textgen.training.signals import EXIT_BASE, SIGNALS
from textgen.workers.channel import BEAT, BEAT_SECONDS, Channel, Message, free_port, listener, reason_of
from textgen.workers.cluster import Cluster
from textgen.workers.greeting import END, greet
from textgen.workers.team import ANSWER, PROBLEM

if TYPE_CHECKING:
    from textgen.model.recurrent import State
    from textgen.training.shared_step import SharedStep
    from textgen.workers.communicator import Communicator

SECONDS_TO_END = 5.0


def work(cluster: Cluster, timeout: float) -> int | None:
    """Train with the chief of `cluster` until the run is over; the signal that has stopped it before its time, if any.

    Raises:
        WorkerError: the chief does not answer, or has ended; this process cannot do what it is asked for.
    """
    port = _own_port(cluster)
    try:
        channel = Channel(_reach_chief(cluster, timeout), timeout)
    except OSError:
        raise WorkerError("the chief has ended") from None
    worker = Worker(cluster, channel, timeout)
    greet(channel, cluster, port)
    worker.listen()
    try:
        quiet_import(starts=False)
        return worker.obey()
    except (TextgenError, MemoryError) as problem:
        time.sleep(SECONDS_TO_END / 2)  # in which the chief, who may know more, may end this process
        channel.mention(PROBLEM, line=str(problem) or "there is not enough memory")
        time.sleep(SECONDS_TO_END / 2)
        raise
    finally:
        channel.close()


def _own_port(cluster: Cluster) -> int:
    """Of TensorFlow's server in this process."""
    if not cluster.addresses:
        return free_port()
    port = int(cluster.addresses[cluster.index].rpartition(":")[2])
    try:
        listener(port).close()
    except OSError as problem:
        raise WorkerError(
            f"{cluster.name_of(cluster.index)} cannot listen on its port: {reason_of(problem)}"
        ) from problem
    return port


def _reach_chief(cluster: Cluster, timeout: float) -> socket.socket:
    ends, reason = time.monotonic() + timeout, "it does not answer"
    while True:
        try:
            return socket.create_connection(cluster.chief, max(0.1, ends - time.monotonic()))
        except OSError as problem:
            reason = reason_of(problem)
        if time.monotonic() > ends:
            host, port = cluster.chief
            raise WorkerError(f"the chief at {host}:{port} cannot be reached within {timeout:g} seconds: {reason}")
        time.sleep(0.1)


class Worker:
    """What a worker has made so far, and the two threads beside it: one listens, one gives signs of life."""

    def __init__(self, cluster: Cluster, channel: Channel, timeout: float):
        self.cluster, self.channel, self.timeout = cluster, channel, timeout
        self.communicator: Communicator
        self.step: SharedStep
        self.state: State
        self._messages: queue.Queue[Message] = queue.Queue()
        self._task = self._reached = 0  # the newest task, and the newest that it has come to the others with
        self._stopped_by = 0
        self._is_over = threading.Event()

    def listen(self) -> None:
        """Start the threads, and hear signals."""
        self._hear_signals()
        for target in (self._listen, self._beat):
            threading.Thread(target=target, daemon=True).start()

    def _hear_signals(self) -> None:
        for number in SIGNALS:
            signal.signal(number, self._on_signal)

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        """Let the chief stop the run; a second signal ends this process at once."""
        if self._stopped_by:
            os._exit(EXIT_BASE + number)
        self._stopped_by = number

    def _listen(self) -> None:
        try:
            while (message := self.channel.receive()).kind != END:
                if message.kind != BEAT:
                    self._messages.put(message)
            reason = message.fields.get("reason") or ""
        except TimeoutError:
            reason = f"the chief has not answered for {self.timeout:g} seconds"
        except OSError:
            reason = "the chief has ended"
        except WorkerError as problem:
            host, port = self.cluster.chief
            reason = f"{host}:{port} has no chief that waits for this worker: {problem}"
        if reason:  # there is nothing to save here, and the main thread may wait for ever
            show_stderr()
            tell(f"textgen: {reason}")
            os._exit(WorkerError.exit_status)
        self._messages.put(message)
        if not self._is_over.wait(SECONDS_TO_END):
            number = message.fields.get("stopped_by")
            os._exit(EXIT_BASE + number if number else 0)

    def _beat(self) -> None:
        while not self._is_over.wait(BEAT_SECONDS / 4):
            self.channel.mention(BEAT, reached=self._reached, stopped_by=self._stopped_by)

    def obey(self) -> int | None:
        """Do what the chief says until the run is over; as `work`."""
        while (message := self._messages.get()).kind != END:
            self._task = message.fields.pop("task")
            TASKS[message.kind](self, message.payload, **message.fields)
        self._is_over.set()
        return message.fields.get("stopped_by")

    def _do_prepare(self, _payload: bytearray, threads: int | None) -> None:
        quiet_import(threads=threads, starts=False)
        from textgen.workers.communicator import choose_gpu  # noqa: PLC0415

        choose_gpu(self.cluster)
        self._arrive()
        self.channel.send(ANSWER)

    def _do_connect(self, _payload: bytearray, addresses: list[str]) -> None:
        from textgen.workers.communicator import Communicator  # noqa: PLC0415

        self.communicator = Communicator(addresses, self.cluster, self.timeout)
        self._hear_signals()

    def _do_job(
        self,
        payload: bytearray,
        model: dict[str, Any],
        training: dict[str, Any],
        rows: list[int],
        num_shards: int,
        device: str,
        document_end: int | None,
    ) -> None:
        from textgen.model.devices import choose_device  # noqa: PLC0415
        from textgen.model.language_model import build_model  # noqa: PLC0415
        from textgen.training.shared_step import SharedStep  # noqa: PLC0415

        shape, config = ModelConfig.from_json(model), TrainingConfig.from_json(training)
        own = choose_device(shape.cell).name
        if own != device:
            raise TrainingError(f"it would train on a {own} and the chief on a {device}, whose noise differs")
        self.step = SharedStep(
            build_model(shape, config.seed),
            config,
            self.communicator,
            range(*rows),
            num_shards,
            compile_with_xla=device == "CPU",
            token_counts=np.frombuffer(payload, "<i8") if payload else None,
            document_end=document_end,
        )
        self.step.arrive = self._arrive

    def _arrive(self) -> None:
        self._reached = self._task

    def _do_load(self, payload: bytearray) -> None:
        self.state = self.step.load(payload)

    def _do_step(self, payload: bytearray, number: int, rate: float, begins: bool) -> None:
        from textgen.training.shared_step import batch_of  # noqa: PLC0415

        batch = batch_of(payload, self.step.config.sequence_length, begins=begins)
        _, self.state = self.step(batch, self.state, rate, number)

    def _do_gather(self, _payload: bytearray) -> None:
        from textgen.training.shared_step import state_bytes  # noqa: PLC0415

        self._arrive()
        self.channel.send(ANSWER, state_bytes(self.state))


TASKS: dict[str, Callable[..., None]] = {
    "prepare": Worker._do_prepare,
    "connect": Worker._do_connect,
    "job": Worker._do_job,
    "load": Worker._do_load,
    "step": Worker._do_step,
    "gather": Worker._do_gather,
}
