"""Which addresses a download may come from."""

import urllib.request

import pytest

from textgen.corpus.connection import _CheckedRedirects, check_url, choose_base_url
from textgen.errors import DownloadError


def test_a_redirect_from_https_to_http_is_refused_even_on_this_machine(tmp_path):
    request = urllib.request.Request("https://example.com/tale.txt")
    with (tmp_path / "body").open("wb") as body, pytest.raises(DownloadError, match="from https to http"):
        _CheckedRedirects().redirect_request(request, body, 302, "Found", {}, "http://127.0.0.1/tale.txt")


@pytest.mark.parametrize(
    "url", ["https://example.com/a", "http://localhost:8000", "http://127.9.9.9", "http://[::1]:80/"]
)
def test_https_and_http_on_loopback_are_allowed(url):
    check_url(url)
    assert choose_base_url(url) == url.rstrip("/")


@pytest.mark.parametrize(
    "url",
    [
        "",
        "example.com",
        "http://example.com",
        "http://10.0.0.1",
        "http://127.0.0.1.example.com",
        "http://localhost@example.com",
        "http://example.com@localhost",
        "http://example.com\\@localhost",
        "http://[::1%25eth0]",
        "http://[::1",
        "https://",
        "https://example.com:port",
        "https://example.com/a b",
        "https://example\n.com",
        "https://example.com/?q=",
        "https://example.com/#top",
        "file:///etc/hosts",
        "ftp://localhost",
    ],
)
def test_every_other_base_url_is_refused_in_one_line(url):
    with pytest.raises(DownloadError, match="is refused: ") as caught:
        choose_base_url(url)
    assert "\n" not in str(caught.value)
