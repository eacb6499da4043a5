"""Where a download may come from, and how long it may keep us waiting.

Only https is fetched from, or http on this machine; a redirect must obey the same rule and never leaves
https. NOTE: a socket's own timeout starts anew with every byte, so a server that trickles would hold us for
ever. The pace of the whole answer, its headers too, is measured instead.
"""

import http.client
import io
import ipaddress
import os
import socket
import time
import urllib.request
from urllib.error import HTTPError
from urllib.parse import urlsplit

from textgen.errors import DownloadError
from textgen.messages import shown

DEFAULT_BASE_URL = "https://raw.githubusercontent.com"
BASE_URL_VARIABLE = "TEXTGEN_CORPORA_URL"
MIN_BYTES_PER_SECOND = 1000  # the largest catalogued file would take an hour; a modem of 1991 was faster
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

    Waiting for the connection, and then for every MIN_BYTES_PER_SECOND * `timeout_seconds` bytes, ends with
    a TimeoutError after `timeout_seconds`. Raises OSError, http.client.HTTPException, ValueError or
    DownloadError.
    """
    check_url(url)
    handlers = [_PacedHTTPHandler(), _PacedHTTPSHandler(), _CheckedRedirects()]
    if urlsplit(url).scheme == "http":  # loopback: no proxy stands between us and this machine
        handlers.append(urllib.request.ProxyHandler({}))
    request = urllib.request.Request(url, headers={"User-Agent": "textgen"})
    return urllib.request.build_opener(*handlers).open(request, timeout=timeout_seconds)


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ("%" not in host and ipaddress.ip_address(host).is_loopback)
    except ValueError:
        return False


def _refused(url: str, reason: str) -> DownloadError:
    return DownloadError(f"{shown(url) or repr(url)} is refused: {reason}. Check --base-url and {BASE_URL_VARIABLE}.")


class _CheckedRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, req, fp, code, msg, headers, newurl):
        fp.close()  # its body is of no interest, and may be endless
        check_url(newurl)
        if req.type == "https" and urlsplit(newurl).scheme != "https":
            raise _refused(newurl, f"{shown(req.full_url)} leads there, from https to http")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


class _Pace:
    """Counts bytes in windows of `seconds`; a window that brings too few raises TimeoutError."""

    def __init__(self, seconds: float):
        self.seconds = seconds
        self._start()

    def _start(self) -> None:
        self.end, self.num_bytes = time.monotonic() + self.seconds, 0

    def count(self, num_bytes: int) -> None:
        self.num_bytes += num_bytes

    def seconds_left(self) -> float:
        """Seconds to the end of this window, above zero; at its end the next one starts, or nothing does."""
        if self.end <= time.monotonic():
            if self.num_bytes < MIN_BYTES_PER_SECOND * self.seconds:
                raise TimeoutError("timed out")
            self._start()
        return max(0.001, self.end - time.monotonic())


class _PacedStream(io.RawIOBase):
    """A socket's incoming bytes. Closing it closes `reader`, the socket's own file."""

    def __init__(self, connected: socket.socket, reader: io.BufferedReader):
        self._socket = connected
        self._reader = reader
        self._pace = _Pace(connected.gettimeout())

    def readable(self) -> bool:
        return True

    def readinto(self, buffer) -> int:
        while True:
            self._socket.settimeout(self._pace.seconds_left())
            try:
                num_bytes = self._socket.recv_into(buffer)
            except TimeoutError:
                continue  # the window is over: the pace decides
            self._pace.count(num_bytes)
            return num_bytes

    def close(self) -> None:
        self._reader.close()
        super().close()


class _PacedResponse(http.client.HTTPResponse):
    def __init__(self, sock, *args, **kwargs):
        super().__init__(sock, *args, **kwargs)
        self.fp = io.BufferedReader(_PacedStream(sock, self.fp), BUFFER_BYTES)


class _PacedHTTPConnection(http.client.HTTPConnection):
    response_class = _PacedResponse


class _PacedHTTPSConnection(http.client.HTTPSConnection):
    response_class = _PacedResponse


class _PacedHTTPHandler(urllib.request.HTTPHandler):
    def http_open(self, req):
        return self.do_open(_PacedHTTPConnection, req)


class _PacedHTTPSHandler(urllib.request.HTTPSHandler):
    def https_open(self, req):
        return self.do_open(_PacedHTTPSConnection, req)


def explain(url: str, error: Exception, timeout_seconds: float) -> DownloadError:
    """One line for whatever `open_url` or reading its answer raised."""
    if isinstance(error, HTTPError):
        error.close()
        return DownloadError(f"{shown(url)} {_status(error.code)}. Check --base-url and {BASE_URL_VARIABLE}.")
    reason = getattr(error, "reason", error)  # URLError wraps the error that says more
    if isinstance(reason, TimeoutError):
        return DownloadError(
            f"{shown(url)} is too slow: less than {MIN_BYTES_PER_SECOND:,} bytes per second for "
            f"{timeout_seconds:g} seconds. Try again later."
        )
    cause = getattr(reason, "strerror", None) or str(reason) or type(reason).__name__
    return DownloadError(f"{shown(url)} cannot be fetched: {shown(cause)}. Check the network, and try again.")


def _status(code: int) -> str:
    if 300 <= code < 400:
        return f"answers with a redirect (status {code}) that textgen does not follow"
    phrase = http.client.responses.get(code, "an unknown status")
    return f"answers {code} {phrase}"
