"""Which request does what. `App` is an ASGI application."""

import asyncio
import hmac
import ipaddress
import re
import time

from textgen.errors import TextgenError
from textgen.messages import shown
from textgen.serving.completions import Completions, event, unless_gone
from textgen.serving.connection import Connection, GoneError, Message, Receive, Room, Send
from textgen.serving.errors import RefusalError
from textgen.serving.log import Log
from textgen.serving.metrics import Metrics
from textgen.serving.orders import document_of, order_of
from textgen.serving.questions import MOST_READ, QUESTIONS
from textgen.serving.shelf import Shelf

METHODS = {
    "/": "GET",
    "/favicon.ico": "GET",
    "/healthz": "GET",
    "/metrics": "GET",
    "/v1/models": "GET",
    "/v1/completions": "POST",
    **dict.fromkeys(QUESTIONS, "POST"),
    "/tokenizer_info": "GET",
}
OPEN = ("/", "/favicon.ico", "/healthz")  # without a key
NO_CHATS = ". These models continue texts and know no chats: use /v1/completions"
HOST = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([\w.-]+))(?::[0-9]*)?", re.ASCII)


class App:
    """Answers requests."""

    def __init__(
        self,
        shelf: Shelf,
        *,
        api_key: str | None = None,
        is_loopback: bool = True,
        log: Log | None = None,
        log_text: bool = False,
    ):
        self.shelf, self._key, self._is_loopback = shelf, api_key, is_loopback
        self.log, self._log_text = log or Log(lambda line: None), log_text
        self.metrics, self._room = Metrics(), Room()

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """As ASGI 3."""
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        elif scope["type"] == "http":
            await self._serve(Connection(scope, receive, send, self._room))

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.shutdown":
                self.shelf.close()
            await send({"type": f"{message['type']}.complete"})
            if message["type"] == "lifespan.shutdown":
                return

    async def _serve(self, connection: Connection) -> None:
        begin = time.perf_counter()
        try:
            try:
                await self._route(connection)
            except (RefusalError, TextgenError, MemoryError) as problem:
                refusal = (
                    problem
                    if isinstance(problem, RefusalError)
                    else RefusalError(400, str(problem) or "no memory is left")
                )
                connection.note["problem"] = refusal.logged(log_text=self._log_text)
                if not connection.status:
                    await connection.refuse(refusal)
        except (GoneError, OSError):
            connection.note["problem"] = "the client hung up"
            connection.status = connection.status or 499
        except asyncio.CancelledError:
            connection.note["problem"] = "the server stopped"
            if not connection.status:
                await connection.refuse(RefusalError(503, "the server stops", retry_after=1))
            raise
        except Exception as problem:
            connection.note["problem"] = f"{type(problem).__name__}: {problem}"
            if not connection.status:
                await connection.refuse(RefusalError(500, "the server failed at this request"))
        finally:
            connection.close()
            self._note(connection, time.perf_counter() - begin)

    async def _route(self, connection: Connection) -> None:
        self._check_sender(connection)
        path = connection.path
        name = path.removeprefix("/v1/models/") if path.startswith("/v1/models/") else None
        method = "GET" if name else METHODS.get(path)
        if method is None:
            advice = NO_CHATS if path.endswith("/chat/completions") else ""
            raise RefusalError(404, f"there is no {shown(path, 80)}{advice}", code="not_found")
        if connection.method != method and (connection.method, method) != ("HEAD", "GET"):
            raise RefusalError(
                405,
                f"{path if not name else '/v1/models/NAME'} takes {method}",
                code="method_not_allowed",
                allow=method,
            )
        if path not in OPEN:
            self._check_key(connection)
        if name:
            await connection.answer_json(200, await self.shelf.describe(name))
        elif path == "/v1/models":
            await connection.answer_json(200, {"object": "list", "data": await self.shelf.describe_all()})
        elif path == "/healthz":
            await connection.answer_json(200, {"status": "ok"})
        elif path == "/metrics":
            await self._tell_metrics(connection)
        elif path == "/":
            await self._page(connection)
        elif path == "/favicon.ico":
            await connection.begin(204, "image/x-icon")
            await connection.send(b"")
        elif path == "/v1/completions":
            await self._complete(connection)
        else:
            await self._ask(connection)

    def _check_sender(self, connection: Connection) -> None:
        """Raise RefusalError where a page of another site sends the request, or another name leads to this machine.

        So it is with a body of two lengths, behind which a proxy may see the beginning of another request.
        """
        host, headers = connection.headers.get("host", ""), connection.headers
        if "content-length" in headers and "transfer-encoding" in headers:
            raise RefusalError(400, "a request has Content-Length or Transfer-Encoding, and this one has both")
        if self._is_loopback and not is_loopback(name_in(host)):
            raise RefusalError(403, "this server answers to the names of its own machine alone", code="wrong_host")
        origin = headers.get("origin")
        if origin is not None and origin.partition("://")[2].lower() != host.lower():
            raise RefusalError(403, "requests from pages of other sites are refused", code="wrong_origin")
        is_visit = headers.get("sec-fetch-mode") == "navigate" and connection.method in ("GET", "HEAD")
        if headers.get("sec-fetch-site") in ("cross-site", "same-site") and not (is_visit and connection.path == "/"):
            raise RefusalError(403, "requests from pages of other sites are refused", code="wrong_origin")

    def _check_key(self, connection: Connection) -> None:
        if self._key is None:
            return
        scheme, _, key = connection.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not hmac.compare_digest(key.strip().encode(), self._key.encode()):
            raise RefusalError(401, "the API key is missing or wrong", code="invalid_api_key")

    async def _complete(self, connection: Connection) -> None:
        begin = time.perf_counter()
        order = order_of(document_of(await connection.body()), self.shelf.limits.max_tokens)
        connection.note["model"] = order.model
        writer = await self.shelf.open(order.model)
        request = Completions(order, writer, self.shelf)
        try:
            await unless_gone(connection, request.prepare())
            if order.stream:
                await unless_gone(connection, self._stream(connection, request, begin))
            else:
                document = await unless_gone(connection, request.whole())
                self.metrics.first_seconds.add(time.perf_counter() - begin)
                await connection.answer_json(200, document)
        finally:
            request.close()
            usage = request.usage
            self.metrics.tokens["prompt"] += usage["prompt_tokens"]
            self.metrics.tokens["completion"] += usage["completion_tokens"]
            connection.note |= {name: usage[name] for name in ("prompt_tokens", "completion_tokens")}
            if self._log_text:
                connection.note["prompts"] = [read.text for read in request.reads]
                connection.note["texts"] = ["".join(text.written) for text in request.texts]

    async def _stream(self, connection: Connection, request: Completions, begin: float) -> None:
        try:
            async for part in request.events():
                if not connection.status:
                    self.metrics.first_seconds.add(time.perf_counter() - begin)
                    await connection.begin(200, "text/event-stream; charset=utf-8")
                await connection.send(part, more=True)
        except RefusalError as refusal:
            if not connection.status:
                raise
            connection.note["problem"] = refusal.logged(log_text=self._log_text)
            await connection.send(event(refusal.to_json()), more=True)
        await connection.send(b"")

    async def _ask(self, connection: Connection) -> None:
        document = {} if connection.method == "GET" else document_of(await connection.body())
        if not connection.path.startswith("/v1/") and len(self.shelf.paths) == 1:  # of whatever model there is
            document.setdefault("model", *self.shelf.paths)
        writer = await self.shelf.open(document.get("model"))
        connection.note["model"] = document["model"]
        text = document.get("text")
        size = min(len(text), MOST_READ) if isinstance(text, str) else 0
        task = self.shelf.work(QUESTIONS[connection.path], writer, document, size=size)
        found = await unless_gone(connection, task)
        await connection.answer_json(200, found)

    async def _tell_metrics(self, connection: Connection) -> None:
        writers = self.shelf.writers.values()
        rows, num_open = sum(w.num_rows for w in writers), sum(w.num_open for w in writers)
        text = self.metrics.text(rows, max(0, num_open - rows))
        await connection.answer(200, text.encode(), "text/plain; version=0.0.4; charset=utf-8")

    async def _page(self, connection: Connection) -> None:
        from textgen.serving.page import desk_page  # noqa: PLC0415

        page = desk_page([] if self._key else await self.shelf.describe_all())
        others = {"content-security-policy": "frame-ancestors 'none'"}
        await connection.answer(200, page.encode(), "text/html; charset=utf-8", others)

    def _note(self, connection: Connection, seconds: float) -> None:
        path = connection.path if connection.path in METHODS else "other"
        self.metrics.requests[path, connection.status] += 1
        self.metrics.seconds.add(seconds)
        facts = {"method": connection.method, "path": connection.path[:80], "status": connection.status}
        self.log.note(facts | {"seconds": round(seconds, 4)}, connection.note)

    def note_refused(self, status: int, problem: str) -> None:
        """Take note of what was refused before it was a request."""
        self.metrics.requests["other", status] += 1
        self.log.note({"method": "-", "path": "-", "status": status, "seconds": 0.0}, {"problem": problem})


def name_in(host: str) -> str | None:
    """The name or the address in a Host header; None where there is more than that and a port."""
    found = HOST.fullmatch(host)
    return found and (found[1] or found[2])


def is_loopback(host: str | None) -> bool:
    """Whether a name or an address is that of this machine alone."""
    if host is None:
        return False
    if host.lower().rstrip(".") == "localhost" or host.lower().endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
