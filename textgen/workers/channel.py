"""Messages between two processes: a line of JSON, and bytes after it.

Both sides send a sign of life every second, so that one who is not heard for as long as the timeout has ended, is
stopped, or cannot be reached.
"""

import contextlib
import json
import socket
import struct
import threading
from collections.abc import Iterable
from typing import Any, NamedTuple

from textgen.errors import WorkerError

BEAT_SECONDS = 1.0
BEAT = "beat"
MOST_HEADER_BYTES = 1 << 16
MOST_PAYLOAD_BYTES = 1 << 36
AT_ONCE = 1 << 20  # bytes; a send that makes no progress for the timeout fails
LENGTH = struct.Struct("<I")


class Message(NamedTuple):
    """What one process tells another."""

    kind: str
    fields: dict[str, Any]
    payload: bytearray


class Channel:
    """One end of a connection. Any thread may send, one receives."""

    def __init__(self, connection: socket.socket, timeout: float):
        """Args: timeout: seconds, after which an other side that says nothing is lost."""
        connection.settimeout(timeout)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.host, self.own_host = str(connection.getpeername()[0]), str(connection.getsockname()[0])
        self._connection = connection
        self._lock = threading.Lock()

    def beat(self, **fields: Any) -> None:
        """Give a sign of life, unless a message is being sent, which is one. Who is gone is noticed elsewhere."""
        if self._lock.acquire(blocking=False):
            with contextlib.suppress(OSError), contextlib.ExitStack() as stack:
                stack.callback(self._lock.release)
                self._send(BEAT, [], fields)

    def send(self, kind: str, payload: Iterable[bytes] = (), **fields: Any) -> None:
        """Send a message. Raises OSError where the other side takes nothing any more."""
        with self._lock:
            self._send(kind, list(payload), fields)

    def _send(self, kind: str, parts: list[bytes], fields: dict[str, Any]) -> None:
        header = json.dumps({"kind": kind, "bytes": sum(map(len, parts)), **fields}).encode()
        self._connection.sendall(LENGTH.pack(len(header)) + header)
        for part in parts:
            view = memoryview(part)
            for start in range(0, len(view), AT_ONCE):
                self._connection.sendall(view[start : start + AT_ONCE])

    def receive(self, most_bytes: int = MOST_PAYLOAD_BYTES) -> Message:
        """The next message.

        Raises:
            OSError: the other side has ended, or has said nothing for as long as the timeout (TimeoutError).
            WorkerError: what comes is no message.
        """
        (length,) = LENGTH.unpack(self._read(LENGTH.size))
        if length > MOST_HEADER_BYTES:
            raise WorkerError("what comes is no message of textgen")
        try:
            fields = json.loads(bytes(self._read(length)))
            kind, num_bytes = fields.pop("kind"), fields.pop("bytes")
        except (ValueError, KeyError, AttributeError, TypeError, RecursionError):
            raise WorkerError("what comes is no message of textgen") from None
        if not isinstance(kind, str) or not isinstance(num_bytes, int) or not 0 <= num_bytes <= most_bytes:
            raise WorkerError("what comes is no message of textgen")
        return Message(kind, fields, self._read(num_bytes))

    def close(self) -> None:
        """End the connection, for a thread too that waits for a message."""
        with contextlib.suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)
        self._connection.close()

    def _read(self, count: int) -> bytearray:
        data = bytearray(count)
        view = memoryview(data)
        done = 0
        while done < count:
            received = self._connection.recv_into(view[done:])
            if not received:
                raise ConnectionResetError("the other side has ended")
            done += received
        return data


def free_port(host: str) -> int:
    """A port of this machine that nobody listens to. Raises OSError."""
    with socket.create_server((host, 0)) as server:
        return int(server.getsockname()[1])
