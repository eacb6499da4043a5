"""A socket and uvicorn, with limits on connections that uvicorn does not have."""

import asyncio
import logging
import socket
import sys
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

from textgen.errors import TextgenError
from textgen.messages import shown
from textgen.serving.app import App

MOST_CONNECTIONS = 1000
HEAD_SECONDS = 20.0  # in which the head of a first request has to arrive
HEAD_BYTES = 32 * 2**10
STOP_SECONDS = 10  # in which texts that are being written are finished once the server is told to stop
CLOSING = b"connection: close\r\ncontent-length: 0\r\n"
TOO_MANY = b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\n" + CLOSING + b"\r\n"
TOO_LONG = b"HTTP/1.1 431 Request Header Fields Too Large\r\n" + CLOSING + b"\r\n"


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens there. Raises TextgenError."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family, backlog=512)
    except (OSError, UnicodeError, OverflowError) as problem:
        reason = getattr(problem, "strerror", None) or problem
        advice = "Stop what listens there, or give another --port or --host"
        raise TextgenError(f"cannot listen at {shown(host)} port {port}: {reason}. {advice}") from None


def what_is_missing() -> str:
    """A sentence about the library that is not installed, or none."""
    return "" if find_spec("uvicorn") else 'Serving needs uvicorn. Install it with: pip install "textgen[serve]"'


def run(app: App, listening: socket.socket, tell: Callable[[str], None]) -> None:
    """Answer requests until a signal comes. Nothing `what_is_missing`."""
    import uvicorn  # noqa: PLC0415
    from uvicorn.protocols.http.h11_impl import H11Protocol  # noqa: PLC0415

    most = _most_connections()

    class Protocol(H11Protocol):
        """Refuses connections beyond the most and heads that are too long, and closes those that send no head."""

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            if len(self.connections) > most:
                transport.write(TOO_MANY)
                transport.close()
                return
            self._patience = self.loop.call_later(HEAD_SECONDS, self._lose_patience)

        def send_400_response(self, msg: str) -> None:
            if getattr(sys.exception(), "error_status_hint", 400) != 431:  # of the h11 that is asked
                super().send_400_response(msg)
                return
            self.transport.write(TOO_LONG)
            self.transport.close()

        def _lose_patience(self) -> None:
            if self.cycle is None and not self.transport.is_closing():
                self.transport.close()

    problems = _Problems(tell)
    for name in ("uvicorn.error", "asyncio"):
        logging.getLogger(name).addHandler(problems)
        logging.getLogger(name).propagate = False
    config = uvicorn.Config(
        app,
        http=Protocol,
        ws="none",
        loop="asyncio",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=STOP_SECONDS,
        h11_max_incomplete_event_size=HEAD_BYTES,
    )
    uvicorn.Server(config).run(sockets=[listening])


def _most_connections() -> int:
    """As many as there may be open files, some of which are others."""
    try:
        import resource  # noqa: PLC0415
    except ImportError:  # Windows has no such limit
        return MOST_CONNECTIONS
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return max(8, min(MOST_CONNECTIONS, soft - 64))


class _Problems(logging.Handler):
    """What uvicorn warns of, a line each."""

    def __init__(self, tell: Callable[[str], None]):
        super().__init__(logging.WARNING)
        self._tell = tell

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info and isinstance(record.exc_info[1], asyncio.CancelledError):
            return  # a request that was cut, which has its line in the log
        self._tell(f"textgen: {shown(record.getMessage().splitlines()[0] if record.getMessage() else record.name)}")
