"""A connection of uvicorn, with the limits that uvicorn does not have."""

import asyncio
import sys
from collections.abc import Callable
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD_SECONDS = 20.0  # in which the head of a request has to arrive
WRITE_SECONDS = 30.0  # in which a client has to take something of what waits for it
READ_BYTES = 2**12  # that are taken from a connection before the others have their turn
CLOSING = b"connection: close\r\ncontent-length: 0\r\n"
TOO_MANY = b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\n" + CLOSING + b"\r\n"
TOO_LONG = b"HTTP/1.1 431 Request Header Fields Too Large\r\n" + CLOSING + b"\r\n"


class LimitedProtocol(H11Protocol, asyncio.BufferedProtocol):
    """Refuses connections beyond the most and heads that are too long. It ends those that send no whole head in time,
    and those that take nothing of what waits for them.

    It takes little of a connection at once. A body may come in chunks of one byte, and asyncio would give 256 KiB of
    them, which take a good part of a second to tell apart.
    """

    most = 1000  # connections
    refused: Callable[[int, str], None] = staticmethod(lambda status, problem: None)  # told of what is no request
    _patience: asyncio.TimerHandle | None = None
    _look: asyncio.TimerHandle | None = None
    _num_waiting: int | None = None  # bytes that waited for the client when that was looked at last

    def connection_made(self, transport: Any) -> None:
        """As asyncio has it."""
        self._buffer = bytearray(READ_BYTES)
        super().connection_made(transport)
        self._look = self.loop.call_later(WRITE_SECONDS, self._look_at_what_waits)
        if len(self.connections) > self.most:
            transport.write(TOO_MANY)
            transport.close()
            return
        self._wait_for_head()

    def get_buffer(self, sizehint: int) -> memoryview:
        """As asyncio has it."""
        return memoryview(self._buffer)

    def buffer_updated(self, nbytes: int) -> None:
        """As asyncio has it."""
        self.data_received(bytes(self._buffer[:nbytes]))

    def connection_lost(self, exc: Exception | None) -> None:
        """As asyncio has it."""
        for timer in (self._patience, self._look):
            if timer is not None:
                timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """As asyncio has it."""
        super().data_received(data)
        self._wait_for_head()

    def on_response_complete(self) -> None:
        """As uvicorn has it."""
        super().on_response_complete()
        self._wait_for_head()

    def pause_writing(self) -> None:
        """As asyncio has it."""
        self._num_waiting = None  # something was taken since the last look, or nothing waited then
        super().pause_writing()

    def send_400_response(self, msg: str) -> None:
        """As uvicorn has it."""
        is_long = getattr(sys.exception(), "error_status_hint", 400) == 431  # of the h11 that is asked
        self.refused(431 if is_long else 400, "the head is too long" if is_long else "this is no request of HTTP")
        if not is_long:
            super().send_400_response(msg)
            return
        self.transport.write(TOO_LONG)
        self.transport.close()

    @property
    def _is_idle(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _wait_for_head(self) -> None:
        """The first head is waited for from the beginning, any other from its first byte."""
        is_waiting = self._is_idle and (self.cycle is None or bool(self.conn.trailing_data[0]))
        if not is_waiting and self._patience is not None:
            self._patience.cancel()
            self._patience = None
        elif is_waiting and self._patience is None:
            self._patience = self.loop.call_later(HEAD_SECONDS, self._lose_patience)

    def _lose_patience(self) -> None:
        if not self.transport.is_closing():
            self.transport.close()

    def _look_at_what_waits(self) -> None:
        """End the connection where nothing was taken since the last look, and nothing was added."""
        num_waiting = self.transport.get_write_buffer_size()
        is_blocked = num_waiting > 0 and (self.flow.write_paused or self.transport.is_closing())
        if is_blocked and num_waiting == self._num_waiting:
            self.transport.abort()
            return
        self._num_waiting = num_waiting if is_blocked else None
        self._look = self.loop.call_later(WRITE_SECONDS, self._look_at_what_waits)
