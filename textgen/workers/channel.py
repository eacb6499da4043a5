"""Messages between two processes: a line of JSON, and bytes after it.

Both sides send a sign of life every second, so that one who is not heard for as long as the timeout has ended, is
stopped, or cannot be reached.
"""

import contextlib
import json
import os
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
        names = connection.getpeername(), connection.getsockname()
        self.host, self.own_host = (str(name[0]).removeprefix("::ffff:") for name in names)  # an IPv4 within an IPv6
        self._connection, self._is_broken = connection, False
        self._lock = threading.Lock()

    def mention(self, kind: str, **fields: Any) -> None:
        """Send a message that may be lost: where the other side is gone, or takes no end of the one before."""
        if self._lock.acquire(timeout=BEAT_SECONDS / 2):
            try:
                self._send(kind, [], fields)
            except OSError:
                pass
            finally:
                self._lock.release()

    def send(self, kind: str, payload: Iterable[bytes] = (), **fields: Any) -> None:
        """Send a message. Raises OSError where the other side takes nothing any more."""
        with self._lock:
            self._send(kind, list(payload), fields)

    def _send(self, kind: str, parts: list[bytes], fields: dict[str, Any]) -> None:
        if self._is_broken:
            raise BrokenPipeError("a message was sent in part")
        self._is_broken = True  # until all of it is
        header = json.dumps({"kind": kind, "bytes": sum(map(len, parts)), **fields}).encode()
        self._connection.sendall(LENGTH.pack(len(header)) + header)
        for part in parts:
            view = memoryview(part)
            for start in range(0, len(view), AT_ONCE):
                self._connection.sendall(view[start : start + AT_ONCE])
        self._is_broken = False

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


def listener(port: int, *, is_local: bool = False) -> socket.socket:
    """What listens on that port of this machine, 0 is any. Raises OSError.

    Args: is_local: whether this machine alone may come.
    """
    if is_local:
        return socket.create_server(("127.0.0.1", port), backlog=1024)
    if socket.has_dualstack_ipv6():
        return socket.create_server(("", port), family=socket.AF_INET6, backlog=1024, dualstack_ipv6=True)
    return socket.create_server(("", port), backlog=1024)


def reason_of(problem: OSError) -> str:
    """Why there is no connection, without the address that Python adds."""
    if problem.errno is None or isinstance(problem, socket.gaierror):  # which has numbers of its own
        return problem.strerror or str(problem)
    return os.strerror(problem.errno)


def free_port() -> int:
    """A port of this machine that nobody listens to. Raises OSError."""
    with listener(0) as server:
        return int(server.getsockname()[1])
