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
from types import FrameType
from typing import TYPE_CHECKING, Any

import numpy as np

from textgen.config import ModelConfig, TrainingConfig
from textgen.errors import TextgenError, TrainingError, WorkerError
from textgen.streams import tell
from textgen.tensorflow_runtime import quiet_import
from textgen.training.signals import EXIT_BASE, SIGNALS
from textgen.workers.channel import BEAT, BEAT_SECONDS, Channel, Message, free_port
from textgen.workers.cluster import Cluster
from textgen.workers.team import ANSWER, END, GREETING, PROBLEM, versions

if TYPE_CHECKING:
    from textgen.model.recurrent import State
    from textgen.training.shared_step import SharedStep
    from textgen.workers.communicator import Communicator

SECONDS_TO_END = 5.0


def work(cluster: Cluster, timeout: float) -> None:
    """Train with the chief of `cluster` until the run is over.

    Raises:
        WorkerError: the chief does not answer, or has ended; this process cannot do what it is asked for.
    """
    port = _own_port(cluster)
    channel = Channel(_reach_chief(cluster, timeout), timeout)
    worker = Worker(cluster, channel)
    who = {"index": cluster.index, "count": cluster.count, "key": cluster.key, "port": port}
    channel.send(GREETING, (), **who, versions=versions())
    worker.listen()
    try:
        worker.obey()
    except (TextgenError, MemoryError) as problem:
        time.sleep(SECONDS_TO_END / 2)  # in which the chief, who may know more, may end this process
        channel.send(PROBLEM, line=str(problem) or "there is not enough memory")
        time.sleep(SECONDS_TO_END / 2)
        raise
    finally:
        channel.close()


def _own_port(cluster: Cluster) -> int:
    """Of TensorFlow's server in this process."""
    if not cluster.addresses:
        return free_port("")
    port = int(cluster.addresses[cluster.index].rpartition(":")[2])
    try:
        socket.create_server(("", port)).close()
    except OSError as problem:
        raise WorkerError(
            f"{cluster.name_of(cluster.index)} cannot listen on its port: {problem.strerror}"
        ) from problem
    return port


def _reach_chief(cluster: Cluster, timeout: float) -> socket.socket:
    ends, reason = time.monotonic() + timeout, "it does not answer"
    while True:
        try:
            return socket.create_connection(cluster.chief, max(0.1, ends - time.monotonic()))
        except OSError as problem:
            reason = problem.strerror or str(problem)
        if time.monotonic() > ends:
            host, port = cluster.chief
            raise WorkerError(f"the chief at {host}:{port} cannot be reached within {timeout:g} seconds: {reason}")
        time.sleep(0.1)


class Worker:
    """What a worker has made so far, and the two threads beside it: one listens, one gives signs of life."""

    def __init__(self, cluster: Cluster, channel: Channel):
        self.cluster, self.channel = cluster, channel
        self.communicator: Communicator
        self.step: SharedStep
        self.state: State
        self._messages: queue.Queue[Message] = queue.Queue()
        self._reached, self._stopped_by = 0, 0
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
            reason = "the chief does not answer"
        except (OSError, WorkerError) as problem:
            reason = f"the chief has ended: {problem}"
        if reason:  # there is nothing to save here, and the main thread may wait for ever
            tell(f"textgen: {reason}")
            os._exit(WorkerError.exit_status)
        self._messages.put(message)
        if not self._is_over.wait(SECONDS_TO_END):
            os._exit(0)

    def _beat(self) -> None:
        while not self._is_over.wait(BEAT_SECONDS / 4):
            self.channel.beat(reached=self._reached, stopped_by=self._stopped_by)

    def obey(self) -> None:
        """Do what the chief says until the run is over."""
        while (message := self._messages.get()).kind != END:
            getattr(self, f"_do_{message.kind}")(message.payload, **message.fields)
        self._is_over.set()

    def _do_connect(self, _payload: bytearray, task: int, addresses: list[str], threads: int | None) -> None:
        quiet_import(threads=threads, starts=False)
        from textgen.workers.communicator import Communicator  # noqa: PLC0415

        self._reached = task
        self.communicator = Communicator(addresses, self.cluster)
        self._hear_signals()

    def _do_job(
        self,
        payload: bytearray,
        task: int,
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

    def _do_load(self, payload: bytearray, task: int) -> None:
        self.state = self.step.load(payload)

    def _do_step(self, payload: bytearray, task: int, number: int, rate: float, begins: bool) -> None:
        from textgen.training.shared_step import batch_of  # noqa: PLC0415

        batch = batch_of(payload, len(self.step.rows), begins=begins)
        self._reached = task
        _, self.state = self.step(batch, self.state, rate, number)

    def _do_gather(self, _payload: bytearray, task: int) -> None:
        from textgen.training.shared_step import state_bytes  # noqa: PLC0415

        self._reached = task
        self.channel.send(ANSWER, state_bytes(self.state))
