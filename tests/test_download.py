"""Fetching from a real server on loopback: the right file, and every way in which it can go wrong."""

import hashlib
import json
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from click.testing import CliRunner
from whole_texts import read_corpus

from textgen.cli.corpora import corpora
from textgen.corpus import catalogue, connection, download
from textgen.corpus.catalogue import CatalogueEntry, Download, find_entry
from textgen.corpus.connection import SILENCE_SECONDS, open_url
from textgen.corpus.download import MIN_BYTES_PER_SECOND, cache_dir, cached_path, fetch
from textgen.errors import CorpusError, DownloadError

CONTENT = bytes(range(32, 127)) * 100  # 9,500 bytes
ENTRY = CatalogueEntry(
    name="tale",
    description="A tale",
    language="English",
    license="public domain",
    download=Download("/owner/repository/commit/tale.txt", len(CONTENT), hashlib.sha256(CONTENT).hexdigest()),
)
URL_PATH = ENTRY.download.url_path

Answer = Callable[[BaseHTTPRequestHandler], None]


class Server(ThreadingHTTPServer):
    """Answers every GET with `answer`, and remembers the paths that were asked for."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.answer: Answer = sends(CONTENT)
        self.paths: list[str] = []
        self.num_drops = 0
        self.stopped = threading.Event()
        self.base_url = f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, request, client_address):
        """A client that goes away is what many of these tests are about."""


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.paths.append(self.path)
        self.server.answer(self)

    def log_message(self, *arguments):
        """Quiet."""


def sends(body: bytes, status: int = 200, declared: int | None = None, **headers: str) -> Answer:
    """An answer of `body`, with a Content-Length of `declared` where that differs."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        handler.send_header("Content-Length", str(len(body) if declared is None else declared))
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(body)

    return answer


def trickles(before: bytes, drop: bytes) -> Answer:
    """Writes `before` at once and then `drop` every 20 ms; after ten seconds it gives up."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(before)
        while handler.server.num_drops < 500 and not handler.server.stopped.wait(0.02):
            handler.server.num_drops += 1
            handler.wfile.write(drop)

    return answer


@pytest.fixture
def server():
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.stopped.set()
        server.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch) -> Path:
    for variable in ("TEXTGEN_CORPORA_URL", "http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("TEXTGEN_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache" / "corpora"


def failure(server: Server, cache: Path, answer: Answer, **settings) -> str:
    """The one line that fetching ends with, which names the URL; the cache is left empty."""
    server.answer = answer
    with pytest.raises(DownloadError) as caught:
        fetch(ENTRY, base_url=server.base_url, **settings)
    assert list(cache.iterdir()) == []
    assert str(caught.value).isprintable()
    url = server.base_url + URL_PATH
    assert url in str(caught.value)
    return str(caught.value).removeprefix(url).strip()


# ---- the right file


def test_the_right_file_lands_in_the_cache_once(server, cache):
    steps = []
    path = fetch(ENTRY, base_url=server.base_url + "/", progress=lambda *step: steps.append(step))
    assert path == cache / "tale.txt" == cached_path(ENTRY)
    assert path.read_bytes() == CONTENT
    assert steps == sorted(steps)
    assert steps[-1] == (9_500, 9_500)
    assert fetch(ENTRY, base_url="nonsense") == path  # nobody is asked for what is already there
    assert server.paths == [URL_PATH]
    assert list(cache.iterdir()) == [path]


@pytest.mark.parametrize("damage", [b"", CONTENT[:-1] + b"?", CONTENT + b"+"])
def test_a_damaged_cached_file_is_not_used_and_is_fetched_again(server, cache, damage):
    cache.mkdir(parents=True)
    (cache / "tale.txt").write_bytes(damage)
    assert cached_path(ENTRY) is None
    assert fetch(ENTRY, base_url=server.base_url).read_bytes() == CONTENT


def test_a_failed_fetch_leaves_an_older_cached_file_as_it_was(server, cache):
    cache.mkdir(parents=True)
    (cache / "tale.txt").write_bytes(b"older")
    server.answer = sends(b"", 404)
    with pytest.raises(DownloadError, match="404"):
        fetch(ENTRY, base_url=server.base_url)
    assert [path.read_bytes() for path in cache.iterdir()] == [b"older"]


def test_the_base_url_may_come_from_the_environment_and_no_proxy_stands_before_loopback(server, monkeypatch):
    monkeypatch.setenv("TEXTGEN_CORPORA_URL", server.base_url + "/mirror")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    assert fetch(ENTRY).read_bytes() == CONTENT
    assert server.paths == ["/mirror" + URL_PATH]


def test_a_redirect_on_this_machine_is_followed_without_reading_its_body(server):
    redirect = trickles(b"HTTP/1.0 302 Found\r\nLocation: /moved\r\n\r\n", b"x" * 10_000)
    server.answer = lambda handler: (sends(CONTENT) if handler.path == "/moved" else redirect)(handler)
    assert fetch(ENTRY, base_url=server.base_url).read_bytes() == CONTENT
    assert server.num_drops < 500  # the body of the redirect was not waited for
    assert server.paths == [URL_PATH, "/moved"]


def test_a_pause_is_forgiven_before_the_deadline(server):
    def answer(handler):
        sends(CONTENT[:5_000], declared=len(CONTENT))(handler)
        time.sleep(0.2)
        handler.wfile.write(CONTENT[5_000:])

    server.answer = answer
    assert fetch(ENTRY, base_url=server.base_url).read_bytes() == CONTENT


# ---- every other answer


def test_a_file_with_another_hash_is_thrown_away(server, cache):
    line = failure(server, cache, sends(b"?" + CONTENT[1:]))
    assert line.startswith("has the SHA-256 ")
    assert ENTRY.download.sha256 in line
    assert "--base-url" in line


@pytest.mark.parametrize("declared", [len(CONTENT), 4_000])
def test_a_connection_cut_in_the_middle_is_named_with_both_sizes(server, cache, declared):
    line = failure(server, cache, sends(CONTENT[:4_000], declared=declared))
    assert line == "ended after 4,000 of 9,500 bytes. Run the command again."


def test_a_longer_file_is_left_after_one_byte_too_many(server, cache):
    endless = trickles(b"HTTP/1.0 200 OK\r\n\r\n" + CONTENT + b"+", b"+" * 10_000)
    steps = []
    line = failure(server, cache, endless, progress=lambda *step: steps.append(step))
    assert line.startswith("is longer than the 9,500 bytes of the catalogue")
    assert steps[-1] == (9_500, 9_500)
    assert server.num_drops < 500


@pytest.mark.parametrize(("status", "phrase"), [(404, "404 Not Found"), (500, "500 Internal Server Error")])
def test_a_refusal_is_named_in_standard_words(server, cache, status, phrase):
    line = failure(server, cache, sends(b"\x1b[31mhello", status))
    assert line == f"answers {phrase}. Check --base-url and TEXTGEN_CORPORA_URL."


@pytest.mark.parametrize(
    ("before", "drop"),
    [
        (b"HTTP/1.0 200 OK\r\nContent-Length: 9500\r\n\r\n", b"x"),
        (b"HTTP/1.0 200 OK\r\n", b"X-Name: x\r\n"),
        (b"", b""),
    ],
    ids=["body", "headers", "silence"],
)
def test_a_server_that_only_trickles_is_left(server, cache, before, drop):
    line = failure(server, cache, trickles(before, drop), timeout_seconds=0.4)
    limits = "no text came for 30 seconds, or not all of it in 0.4 seconds"
    assert line == f"is too slow: {limits}. Try again later."


def test_a_server_that_falls_silent_is_left_before_the_deadline(server, cache, monkeypatch):
    monkeypatch.setattr(connection, "SILENCE_SECONDS", 0.3)
    line = failure(server, cache, trickles(b"HTTP/1.0 200 OK\r\n\r\n" + CONTENT[:100], b""), timeout_seconds=60)
    assert line.startswith("is too slow: no text came for 0.3 seconds")


def test_the_deadline_suits_the_size_of_the_file(server, monkeypatch):
    deadlines = []
    monkeypatch.setattr(download, "open_url", lambda url, seconds: deadlines.append(seconds) or open_url(url, seconds))
    fetch(ENTRY, base_url=server.base_url)
    assert deadlines == [SILENCE_SECONDS + len(CONTENT) / MIN_BYTES_PER_SECOND]


def test_an_answer_that_is_not_http_is_one_line(server, cache):
    line = failure(server, cache, lambda handler: handler.wfile.write(b"\x1b]0;owned\x07 what?\r\n\r\n"))
    assert line.startswith("cannot be fetched:")


def test_a_server_that_is_not_there_is_one_line(server, cache):
    server.shutdown()
    server.server_close()
    assert "cannot be fetched: Connection refused. Check the network" in failure(server, cache, sends(b""))


def test_a_cache_that_cannot_be_written_is_named(server, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("TEXTGEN_CACHE_DIR", str(tmp_path / "file"))
    with pytest.raises(DownloadError, match=r"tale\.txt cannot be written: .*Set TEXTGEN_CACHE_DIR to a folder\.$"):
        fetch(ENTRY, base_url=server.base_url)


def test_an_interrupted_fetch_leaves_nothing(server, cache):
    def interrupt(received, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch(ENTRY, base_url=server.base_url, progress=interrupt)
    assert list(cache.iterdir()) == []


# ---- where from and where to


@pytest.mark.parametrize("target", ["http://example.com/x", "ftp://127.0.0.1/x", "file:///etc/hosts", "https://a@b/"])
def test_a_redirect_may_not_lead_where_a_base_url_may_not(server, cache, target):
    server.answer = sends(b"elsewhere", 302, Location=target)
    with pytest.raises(DownloadError, match=r"is refused|redirect"):
        fetch(ENTRY, base_url=server.base_url)
    assert list(cache.iterdir()) == []


def test_a_redirect_without_end_is_left(server, cache):
    assert "redirect" in failure(server, cache, sends(b"", 302, Location="/again"))


def test_the_cache_is_the_users_own_unless_the_environment_names_another(monkeypatch):
    monkeypatch.delenv("TEXTGEN_CACHE_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert cache_dir().parts[-2:] == ("textgen", "corpora")


def test_a_built_in_text_cannot_be_fetched():
    with pytest.raises(DownloadError, match="chronicles is built in"):
        fetch(find_entry("chronicles"))


# ---- the command


@pytest.fixture
def catalogued(monkeypatch):
    monkeypatch.setattr(catalogue, "CATALOGUE", (*catalogue.CATALOGUE, ENTRY))


def run(*arguments: str):
    return CliRunner().invoke(corpora, arguments, catch_exceptions=False)


def test_fetch_prints_the_path_and_the_text_can_then_be_read_by_its_name(server, cache, catalogued):
    with pytest.raises(CorpusError, match="Run: textgen corpora fetch tale"):
        read_corpus(["tale"])
    result = run("fetch", "tale", "--base-url", server.base_url)
    assert result.stdout == f"{cache / 'tale.txt'}\n"
    assert result.stderr == ""  # not a terminal: no bar
    corpus = read_corpus(["tale"], encoding="utf-16")
    assert (corpus.name, corpus.sources, corpus.text) == ("tale", ("tale",), CONTENT.decode())


def test_fetch_shows_a_bar_on_a_terminal_and_keeps_stdout_for_json(server, cache, catalogued, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    result = run("fetch", "tale", "--json", "--base-url", server.base_url)
    assert "9.5/9.5 kB" in result.stderr
    document = json.loads(result.stdout)
    assert (document["path"], document["cached"]) == (str(cache / "tale.txt"), True)
