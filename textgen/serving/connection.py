"""One request of ASGI: its body, counted as it arrives, and its answer."""

import asyncio
import re
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from textgen.serving.errors import RefusalError, busy
from textgen.serving.json_parts import json_parts

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

MOST_BODY = 2**20  # bytes
MOST_BODIES = 2**26  # bytes of the bodies of all requests that are open
BODY_SECONDS = 30.0  # in which a body has to arrive
LARGE = 2**12  # bytes
PART = 2**16  # bytes of an answer that are made and sent at once
ABSOLUTE = re.compile(r"https?://([^/]*)(/.*)?", re.IGNORECASE | re.DOTALL)  # a target that names its server, too


class GoneError(Exception):
    """The client has hung up."""


class Room:
    """What the bodies of open requests take of `MOST_BODIES`."""

    def __init__(self) -> None:
        self.taken = 0


class Connection:
    """A request and its answer."""

    def __init__(self, scope: Message, receive: Receive, send: Send, room: Room):
        """Args: room: of all connections; what this one takes is free once it is closed."""
        self.method, self.path = scope["method"], scope["path"]
        self.headers: dict[str, str] = {}
        for raw_name, value in scope["headers"]:
            name = raw_name.decode("latin-1")
            before = f"{self.headers[name]}, " if name in self.headers else ""
            self.headers[name] = before + value.decode("latin-1")
        if found := ABSOLUTE.fullmatch(self.path):  # as for a proxy: what it names counts, and not the Host header
            self.headers["host"], self.path = found[1], found[2] or "/"
        self._receive, self._send = receive, send
        self._room, self._taken = room, 0
        self.status = 0  # of the answer, once it has begun
        self.is_read = "content-length" not in self.headers and "transfer-encoding" not in self.headers
        self.note: dict[str, Any] = {}  # for the log

    async def body(self) -> bytes:
        """The body. Raises RefusalError where it is too large or too slow or all are too large, and GoneError."""
        stated = self.headers.get("content-length", "0")
        if not stated.isdecimal() or int(stated[:20]) > MOST_BODY:
            raise RefusalError(413, f"the body has more than {MOST_BODY:,} bytes", code="request_too_large")
        found = bytearray()
        try:
            async with asyncio.timeout(BODY_SECONDS):
                while True:
                    message = await self._receive()
                    if message["type"] == "http.disconnect":
                        raise GoneError
                    part = message.get("body", b"")
                    found += part
                    self._taken += len(part)
                    self._room.taken += len(part)
                    if len(found) > MOST_BODY:
                        raise RefusalError(413, f"the body has more than {MOST_BODY:,} bytes", code="request_too_large")
                    if self._room.taken > MOST_BODIES:
                        raise busy()
                    if not message.get("more_body"):
                        self.is_read = True
                        return bytes(found)
        except TimeoutError:
            raise RefusalError(408, f"the body did not arrive in {BODY_SECONDS:.0f} seconds") from None

    def close(self) -> None:
        """The request is over."""
        self._room.taken -= self._taken
        self._taken = 0

    async def hang_up(self) -> None:
        """Return when the client has hung up."""
        while (await self._receive())["type"] != "http.disconnect":
            pass

    async def begin(self, status: int, kind: str, others: dict[str, str] | None = None) -> None:
        """Send status and headers."""
        self.status = status
        headers = {"content-type": kind, "x-content-type-options": "nosniff", "cache-control": "no-store"}
        headers |= others or {}
        if not self.is_read:  # what is left of the body is not read
            headers["connection"] = "close"
        encoded = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
        await self._send({"type": "http.response.start", "status": status, "headers": encoded})

    async def send(self, body: bytes, *, more: bool = False) -> None:
        """Send a part of the answer; waits where the client reads slowly, and lets others in after a large part."""
        await self._send({"type": "http.response.body", "body": body, "more_body": more})
        if len(body) >= LARGE:
            await asyncio.sleep(0)

    async def answer(self, status: int, body: bytes, kind: str, others: dict[str, str] | None = None) -> None:
        """Send a whole answer."""
        await self.begin(status, kind, {"content-length": str(len(body))} | (others or {}))
        if self.method == "HEAD":
            body = b""
        for start in range(0, len(body) - PART, PART):
            await self.send(body[start : start + PART], more=True)
        await self.send(body[(len(body) - 1) // PART * PART :] if body else body)

    async def answer_json(self, status: int, document: Any, others: dict[str, str] | None = None) -> None:
        """Send a whole answer in JSON. Others are served while a large one is made."""
        body, rest = bytearray(), PART
        for part in json_parts(document):
            body += part
            if len(body) >= rest:
                rest = len(body) + PART
                await asyncio.sleep(0)
        await self.answer(status, bytes(body), "application/json", others)

    async def refuse(self, refusal: RefusalError) -> None:
        """Say what is refused."""
        others = {"retry-after": str(refusal.retry_after)} if refusal.retry_after else {}
        if refusal.allow:
            others["allow"] = refusal.allow
        if refusal.status == 401:
            others["www-authenticate"] = "Bearer"
        await self.answer_json(refusal.status, refusal.to_json(), others)
