"""Where a download may come from, and how long it may take.

Only https is fetched from, or http on this machine; a redirect must obey the same rule and never leaves https.
NOTE: a socket's own timeout starts anew with every byte, so a server that sends one byte now and then would never be
left. Here one deadline holds for the whole request, its redirects included, and a shorter one for each answer's head:
a server may send `100 Continue` as often as it likes before it.
"""

import http.client
import io
import ipaddress
import os
import socket
import time
import urllib.request
from functools import partial
from typing import IO, Any
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import Request

from textgen.errors import DownloadError
from textgen.messages import shown

DEFAULT_BASE_URL = "https://raw.githubusercontent.com"
BASE_URL_VARIABLE = "TEXTGEN_CORPORA_URL"
SILENCE_SECONDS = 30.0  # without a byte, or without the end of an answer's head, after which a server is left
BUFFER_BYTES = 1 << 16


def choose_base_url(stated: str | None = None) -> str:
    """The stated base URL, else the environment's, else GitHub's. Raises DownloadError."""
    default = os.environ.get(BASE_URL_VARIABLE) or DEFAULT_BASE_URL
    url = default if stated is None else stated
    check_url(url)
    if "?" in url or "#" in url:
        raise _refused(url, "it has a query or a fragment, and a path must follow it")
    return url.rstrip("/")


def check_url(url: str) -> None:
    """Raise DownloadError unless `url` is https, or http on a loopback address."""
    try:
        parts = urlsplit(url)
        host, _port = parts.hostname or "", parts.port
    except ValueError:
        raise _refused(url, "it is not a URL") from None
    if not url.isprintable() or " " in url or "@" in parts.netloc or not host:
        raise _refused(url, "it must be a plain URL of a host")
    if parts.scheme != "https" and not (parts.scheme == "http" and _is_loopback(host)):
        raise _refused(url, "only https is allowed, or http on this machine (127.0.0.1, ::1, localhost)")


def open_url(url: str, timeout_seconds: float) -> http.client.HTTPResponse:
    """The answer to a GET, its body unread.

    Args:
        url: as `check_url` allows.
        timeout_seconds: for the whole of it, redirects included, whatever arrives meanwhile. A TimeoutError ends it,
            also while the body is read.

    Raises:
        DownloadError: the URL, or one that it redirects to, is refused.
        OSError, http.client.HTTPException, ValueError: see `explain`.
    """
    check_url(url)
    handlers: list[urllib.request.BaseHandler] = [_DeadlineHandler(timeout_seconds), _CheckedRedirects()]
    if urlsplit(url).scheme == "http":  # loopback: no proxy stands between us and this machine
        handlers.append(urllib.request.ProxyHandler({}))
    request = Request(url, headers={"User-Agent": "textgen"})
    response: http.client.HTTPResponse = urllib.request.build_opener(*handlers).open(request, timeout=timeout_seconds)
    return response


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ("%" not in host and ipaddress.ip_address(host).is_loopback)
    except ValueError:
        return False


def _refused(url: str, reason: str) -> DownloadError:
    return DownloadError(f"{shown(url) or repr(url)} is refused: {reason}. Check --base-url and {BASE_URL_VARIABLE}.")


class _CheckedRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: http.client.HTTPMessage, newurl: str
    ) -> Request | None:
        fp.close()  # its body is of no interest, and may be endless
        check_url(newurl)
        if req.type == "https" and urlsplit(newurl).scheme != "https":
            raise _refused(newurl, f"{shown(req.full_url)} leads there, from https to http")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _seconds_until(deadline: float) -> float:
    """How long the next call may wait. Raises TimeoutError when `deadline`, on time.monotonic's clock, has passed."""
    seconds_left = deadline - time.monotonic()
    if seconds_left <= 0:
        raise TimeoutError
    return min(seconds_left, SILENCE_SECONDS)


class _DeadlineStream(io.RawIOBase):
    """A socket's incoming bytes until `deadline`. Closing it closes `reader`, the socket's file."""

    def __init__(self, connected: socket.socket, reader: io.BufferedIOBase, deadline: float):
        self._socket, self._reader, self.deadline = connected, reader, deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._socket.settimeout(_seconds_until(self.deadline))
        return self._socket.recv_into(buffer)

    def close(self) -> None:
        self._reader.close()
        super().close()


class _Response(http.client.HTTPResponse):
    def __init__(self, sock: socket.socket, *arguments: Any, deadline: float, **options: Any):
        super().__init__(sock, *arguments, **options)
        self._deadline = deadline
        self._stream = _DeadlineStream(sock, self.fp, min(deadline, time.monotonic() + SILENCE_SECONDS))
        self.fp = io.BufferedReader(self._stream, BUFFER_BYTES)

    def begin(self) -> None:
        """Read the head; the body has time until the deadline."""
        super().begin()
        self._stream.deadline = self._deadline


class _DeadlineHandler(urllib.request.HTTPHandler, urllib.request.HTTPSHandler):
    def __init__(self, timeout_seconds: float):
        super().__init__()
        self._deadline = time.monotonic() + timeout_seconds

    def http_open(self, req: Request) -> http.client.HTTPResponse:
        return self._open(http.client.HTTPConnection, req)

    def https_open(self, req: Request) -> http.client.HTTPResponse:
        return self._open(http.client.HTTPSConnection, req)

    def _open(self, kind: type[http.client.HTTPConnection], req: Request) -> http.client.HTTPResponse:
        def connection(host: str, **options: Any) -> http.client.HTTPConnection:
            made = kind(host, **options)
            made.response_class = partial(_Response, deadline=self._deadline)  # type: ignore[assignment]  # only called
            return made

        req.timeout = _seconds_until(self._deadline)  # for an address, for the handshake, and for sending
        return self.do_open(connection, req)


def explain(url: str, error: Exception, timeout_seconds: float) -> DownloadError:
    """One line for an error that `open_url` raised, or reading its answer."""
    if isinstance(error, HTTPError):
        error.close()
        if 300 <= error.code < 400:
            said = f"answers with a redirect (status {error.code}) that textgen does not follow"
        else:
            said = f"answers {error.code} {http.client.responses.get(error.code, 'an unknown status')}"
        return DownloadError(f"{shown(url)} {said}. Check --base-url and {BASE_URL_VARIABLE}.")
    reason = getattr(error, "reason", error)  # URLError wraps the error that says more
    if isinstance(reason, TimeoutError):
        limits = f"no text came for {SILENCE_SECONDS:g} seconds, or not all of it in {timeout_seconds:.3g} seconds"
        return DownloadError(f"{shown(url)} is too slow: {limits}. Try again later.")
    cause = getattr(reason, "strerror", None) or str(reason) or type(reason).__name__
    return DownloadError(f"{shown(url)} cannot be fetched: {shown(cause)}. Check the network, and try again.")
