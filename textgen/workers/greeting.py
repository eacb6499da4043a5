"""How workers come to their chief: it listens, they say who they are, and those who do not fit are told why."""

import contextlib
import socket
import threading
from collections.abc import Callable
from typing import Any

from textgen.errors import TrainingError, WorkerError
from textgen.messages import shown
from textgen.records import version_of
from textgen.workers.channel import Channel, listener, reason_of
from textgen.workers.cluster import Cluster

GREETING, END = "greeting", "end"  # a worker's first message, and a chief's last


def greet(channel: Channel, cluster: Cluster, port: int) -> None:
    """Say who this worker is. Raises OSError.

    Args:
        port: of TensorFlow's server in this process.
    """
    who = {"index": cluster.index, "workers": cluster.count, "key": cluster.key, "port": port}
    channel.send(GREETING, (), who=who | versions())


def versions() -> dict[str, str]:
    """What all workers must have alike, for the same bytes."""
    return {name: version_of(name) for name in ("textgen", "tensorflow", "keras")}


class Door:
    """Where a chief listens, until it is closed."""

    def __init__(
        self,
        cluster: Cluster,
        timeout: float,
        come: Callable[[int, Channel, int], None],
        refused: Callable[[str, Channel], None],
    ):
        """Args:
        timeout: of the channels.
        come: told of each worker in a thread of its own, with the port of its server.
        refused: told why one that is of this run does not fit.

        Raises:
            TrainingError: another process listens there.
        """
        self._cluster, self._timeout, self._come, self._refused = cluster, timeout, come, refused
        _, port = cluster.chief
        try:
            self._server = listener(port, is_local=cluster.is_local)
        except OSError as problem:
            raise TrainingError(
                f"the chief cannot listen on port {port}: {reason_of(problem)}. "
                "End the process that does, or give the chief another port"
            ) from problem
        self.port = int(self._server.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Let nobody in any more; TensorFlow's server may have the port."""
        with contextlib.suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)  # wakes the thread, which would keep the port
        self._server.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # it was closed
            while True:
                connection, _ = self._server.accept()
                threading.Thread(target=self._greet, args=(connection,), daemon=True).start()

    def _greet(self, connection: socket.socket) -> None:
        """Take in a worker; what is none is let go without a word."""
        try:
            channel = Channel(connection, self._timeout)
            message = channel.receive(most_bytes=0)
            said = message.fields.get("who") or {}
            if message.kind != GREETING or said.get("key") != self._cluster.key:
                channel.close()
                return
            if wrong := self._objection(said):
                self._refused(wrong, channel)
                return
        except (OSError, WorkerError, AttributeError):
            connection.close()
            return
        self._come(said["index"], channel, said["port"])

    def _objection(self, said: dict[str, Any]) -> str:
        index, port = said.get("index"), said.get("port")
        if (count := said.get("workers")) != self._cluster.count:
            return f"worker {shown(index)} is told of {shown(count)} workers, and the chief of {self._cluster.count}"
        for what, here in versions().items():
            if said.get(what) != here:
                return f"worker {shown(index)} has {what} {shown(said.get(what))}, and the chief {here}"
        if type(index) is not int or type(port) is not int or not 0 < index < self._cluster.count:
            return f"a process says that it is worker {shown(index)} of {self._cluster.count}"
        return ""
