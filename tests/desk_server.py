"""A server as small as the page of `textgen serve` needs: it writes numbered words slowly, and notes what it was asked.

Run as a script it stays, for a look at the page.
"""

import contextlib
import json
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from textgen.serving.page import desk_page

WORDS = [
    "The",
    "lamp",
    "went",
    "out,",
    "and",
    "nobody",
    "spoke",
    "until",
    "the",
    "wind",
    "had",
    "found",
    "its",
    "way",
    "back.",
]


class DeskServer(ThreadingHTTPServer):
    """`asked` are the paths and bodies so far; `key` is wanted from the moment it is set."""

    daemon_threads = True

    def __init__(self, models: list[dict[str, object]], port: int = 0):
        super().__init__(("127.0.0.1", port), Handler)
        self.models = models
        self.asked: list[tuple[str, Any]] = []
        self.key: str | None = None
        self.failure: tuple[int, dict[str, Any]] | None = None
        self.seconds = 0.005
        self.words = WORDS
        self.ways = [(" lamp", 0.5), (" <b>cat</b>", 0.25), ("\n", 0.00001)]
        self.breaks_off = False
        self.hung_up = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/"

    def handle_error(self, *_: Any) -> None:
        self.hung_up += 1


class Handler(BaseHTTPRequestHandler):
    server: DeskServer

    def log_message(self, *_: Any) -> None:
        pass

    def answer(self, status: int, body: bytes, kind: str = "application/json") -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:
        if self.path == "/":
            self.answer(200, desk_page(self.server.models).encode(), "text/html; charset=utf-8")
        else:
            self.answer(204, b"")

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append((self.path, body))
        if self.server.key and self.headers["Authorization"] != f"Bearer {self.server.key}":
            self.answer(401, json.dumps({"error": {"message": "A key is needed."}}).encode())
        elif self.server.failure:
            status, said = self.server.failure
            self.answer(status, json.dumps(said).encode())
        elif self.path == "/v1/completions":
            self.complete()
        elif self.path == "/v1/alternatives":
            self.answer(200, json.dumps({"alternatives": self.server.ways[: body["k"]], "end": 0.125}).encode())
        else:
            pieces = [[letter, 1.0 + 4 * (letter in "aeiou")] for letter in body["text"]]
            answer = {"pieces": pieces, "total_bits": 1.0, "bits_per_character": 1.0}
            self.answer(200, json.dumps(answer).encode())

    def complete(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        if self.server.breaks_off:
            self.send_header("Content-Length", "1000000")
        self.end_headers()
        pause = threading.Event()
        for word in self.server.words:
            event = {"choices": [{"index": 0, "text": f" {word}", "finish_reason": None}]}
            self.wfile.write(f"data: {json.dumps(event)}\n\n".encode())
            self.wfile.flush()
            pause.wait(self.server.seconds)
        if self.server.breaks_off:
            return
        self.wfile.write(
            b'data: {"choices": [{"index": 0, "text": "", "finish_reason": "length"}]}\n\ndata: [DONE]\n\n'
        )


@contextlib.contextmanager
def desk_server(*models: str, port: int = 0) -> Iterator[DeskServer]:
    """The server, ended when the block ends."""
    known = [{"id": name, "level": "char"} for name in models or ("english",)]
    with DeskServer(known, port) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


if __name__ == "__main__":
    with desk_server("english", "my-novel", port=int(sys.argv[1])):
        threading.Event().wait()
