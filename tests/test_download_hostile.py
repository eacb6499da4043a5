"""Servers that mean harm: nothing but the catalogued bytes is ever kept, and no more of them is read."""

import contextlib
import gzip
import threading
import time
import tracemalloc
from pathlib import Path

import pytest
from test_download import CONTENT, ENTRY, URL_PATH, Server, failure, sends, trickles

from textgen.corpus import connection
from textgen.corpus.connection import check_url, open_url
from textgen.corpus.download import fetch
from textgen.errors import DownloadError

MORE = 50 * 2**20


@pytest.fixture
def server():
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.stopped.set()
        server.shutdown()
        thread.join()


@pytest.fixture
def cache(tmp_path, monkeypatch) -> Path:
    for variable in ("TEXTGEN_CORPORA_URL", "http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("TEXTGEN_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache" / "corpora"


def answer_of(head: bytes, pieces: int = 0, piece: bytes = b""):
    """A raw answer, whose body is left when nobody listens any more."""

    def answer(handler) -> None:
        handler.wfile.write(head)
        with contextlib.suppress(OSError):
            for _ in range(pieces):
                handler.wfile.write(piece)
                handler.server.num_drops += 1

    return answer


# ---- redirects


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize(
    "target",
    [
        "http://example.com/tale.txt",
        "http://169.254.169.254/latest/meta-data",
        "http://[::ffff:10.0.0.1]/",
        "//example.com/tale.txt",
        "file:///etc/passwd",
        "FILE:/etc/passwd",
        "ftp://127.0.0.1/tale.txt",
        "data:text/plain,tale",
        "gopher://127.0.0.1/",
        "http://user:password@127.0.0.1/",
        "http://127.0.0.1:99999/",
        "http://2130706433/",
    ],
)
def test_a_redirect_to_anywhere_else_is_not_followed(server, cache, status, target):
    server.answer = sends(b"elsewhere", status, Location=target)
    with pytest.raises(DownloadError) as caught:
        fetch(ENTRY, base_url=server.base_url)
    assert "is refused: " in str(caught.value) or "redirect" in str(caught.value)
    assert str(caught.value).isprintable()
    assert list(cache.iterdir()) == []
    assert server.paths == [URL_PATH]


@pytest.mark.parametrize("url", ["file:///etc/passwd", "http://example.com/", "ftp://127.0.0.1/", "data:,x", "x"])
def test_only_https_and_this_machine_are_ever_opened(url):
    for refuse in (check_url, lambda url: open_url(url, 1.0)):
        with pytest.raises(DownloadError, match="is refused: "):
            refuse(url)


# ---- sizes


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % MORE,
        b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % 2**70,
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n",
    ],
    ids=["long", "absurd", "negative", "no number", "none"],
)
def test_a_body_beyond_the_catalogue_is_left_unread_whatever_its_length_is_said_to_be(server, cache, head):
    tracemalloc.start()
    line = failure(server, cache, answer_of(head, MORE // 2**16, b"x" * 2**16))
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert line.startswith("is longer than the 9,500 bytes of the catalogue")
    assert server.num_drops < MORE // 2**16
    assert most < 2**22


def test_a_chunked_body_without_end_is_left(server, cache):
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    line = failure(server, cache, answer_of(head, 2000, b"4000\r\n" + b"x" * 0x4000 + b"\r\n"))
    assert line.startswith("is longer than the 9,500 bytes of the catalogue")
    assert server.num_drops < 2000


@pytest.mark.parametrize(
    "size", [b"%x" % 2**80, b"-5", b"zz", b"f" * 70_000], ids=["absurd", "negative", "none", "long"]
)
def test_a_chunk_of_impossible_size_is_one_line(server, cache, size):
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + size + b"\r\n" + CONTENT[:100]
    assert failure(server, cache, answer_of(head)).startswith(("cannot be fetched: ", "ended after "))


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\r\n" + b"X-Name: x\r\n" * 200 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70_000 + b"\r\n\r\n",
    ],
    ids=["many", "long"],
)
def test_headers_have_an_end(server, cache, head):
    assert failure(server, cache, answer_of(head)).startswith("cannot be fetched: ")


def test_a_body_that_was_declared_shorter_is_cut_there_and_refused(server, cache):
    assert failure(server, cache, sends(CONTENT, declared=9_499)).startswith("ended after 9,499 of 9,500 bytes")


# ---- contents


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br"])
def test_a_compressed_answer_is_never_unpacked(server, cache, encoding):
    """So a bomb is as large as it arrives, and the right text in another dress is not the right bytes."""
    bomb = gzip.compress(bytes(MORE))
    tracemalloc.start()
    line = failure(server, cache, sends(bomb, **{"Content-Encoding": encoding}))
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert line.startswith("is longer than the 9,500 bytes")
    assert most < 2**22
    assert "ended after" in failure(server, cache, sends(gzip.compress(CONTENT), **{"Content-Encoding": encoding}))


def test_one_bit_makes_another_file(server, cache):
    flipped = bytes([CONTENT[0] ^ 1]) + CONTENT[1:]
    assert "so it was thrown away" in failure(server, cache, sends(flipped))


def test_an_answer_that_stops_and_keeps_the_line_open_is_left(server, cache):
    line = failure(server, cache, trickles(b"HTTP/1.0 200 OK\r\n\r\n" + CONTENT[:100], b""), timeout_seconds=0.3)
    assert line.startswith("is too slow")


CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


@pytest.mark.parametrize(
    ("before", "drop"),
    [(b"", CONTINUE), (b"", CONTINUE * 5000), (b"", b"H"), (b"HTTP/1.1 200 OK\r\n", b"X: x\r\n")],
    ids=["continue", "a flood of it", "a status line", "headers"],
)
def test_an_answer_whose_head_does_not_end_is_left_long_before_the_deadline(server, cache, monkeypatch, before, drop):
    monkeypatch.setattr(connection, "SILENCE_SECONDS", 0.1)
    assert failure(server, cache, trickles(before, drop), timeout_seconds=60).startswith("is too slow")
    assert server.num_drops < 100


def test_redirects_have_one_deadline_together(server, cache):
    def answer(handler) -> None:
        time.sleep(0.1)
        sends(b"", 302, Location=f"{server.base_url}/{len(server.paths)}")(handler)

    server.answer = answer
    with pytest.raises(DownloadError, match="is too slow"):
        fetch(ENTRY, base_url=server.base_url, timeout_seconds=0.25)
    assert 2 <= len(server.paths) <= 4
