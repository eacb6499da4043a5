"""A socket, and uvicorn that listens there."""

import asyncio
import logging
import socket
from collections.abc import Callable
from importlib.util import find_spec

from textgen.errors import TextgenError
from textgen.messages import shown
from textgen.serving.app import App

MOST_CONNECTIONS = 1000
HEAD_BYTES = 32 * 2**10
UNREADABLE = "Invalid HTTP request received."  # uvicorn's words for what is no HTTP
STOP_SECONDS = 10  # in which texts that are being written are finished once the server is told to stop


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens there. Raises TextgenError."""
    if not host:
        raise TextgenError("--host is empty. Give an address, such as 127.0.0.1")
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family, backlog=512)
    except (OSError, UnicodeError, OverflowError) as problem:
        reason = str(getattr(problem, "strerror", None) or problem).partition(" (while")[0]  # the address again
        advice = "Stop what listens there, or give another --port or --host"
        raise TextgenError(f"cannot listen at {shown(host)} port {port}: {reason}. {advice}") from None


def what_is_missing() -> str:
    """A sentence about the library that is not installed, or none."""
    return "" if find_spec("uvicorn") else 'Serving needs uvicorn. Install it with: pip install "textgen[serve]"'


def run(app: App, listening: socket.socket) -> None:
    """Answer requests until a signal comes. Nothing `what_is_missing`."""
    import uvicorn  # noqa: PLC0415

    from textgen.serving.protocol import LimitedProtocol  # noqa: PLC0415

    limits = {"most": _most_connections(), "refused": staticmethod(app.note_refused)}
    problems = _Problems(app.log.say)
    for name in ("uvicorn.error", "asyncio"):
        logging.getLogger(name).addHandler(problems)
        logging.getLogger(name).propagate = False
    config = uvicorn.Config(
        app,
        http=type("Protocol", (LimitedProtocol,), limits),
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

    def __init__(self, say: Callable[[str], None]):
        super().__init__(logging.WARNING)
        self._say = say

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info and isinstance(record.exc_info[1], asyncio.CancelledError):
            return  # a request that was cut, which has its line in the log
        message = record.getMessage()
        if message != UNREADABLE:  # which has its line in the log, too
            self._say(shown(message.splitlines()[0] if message else record.name))
