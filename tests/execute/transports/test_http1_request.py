"""The bytes of a request."""

from __future__ import annotations

import pytest

from headgate.execute.transport import Target
from headgate.execute.transports.http1_request import Origin, RequestHead


def lines(url: str, headers: dict[str, str] | None = None, *, method: str = "POST", body: bytes = b"{}") -> list[str]:
    return RequestHead(Target(url, headers or {}, method=method)).with_body(body).decode("latin-1").split("\r\n")


@pytest.mark.parametrize(
    ("url", "line", "host", "origin"),
    [
        ("http://h/v1?a=b", "POST /v1?a=b HTTP/1.1", "h", Origin(is_tls=False, host="h", port=80)),
        ("https://H.example", "POST / HTTP/1.1", "h.example", Origin(is_tls=True, host="h.example", port=443)),
        ("https://h:80/", "POST / HTTP/1.1", "h:80", Origin(is_tls=True, host="h", port=80)),
        ("http://[::1]:81/x", "POST /x HTTP/1.1", "[::1]:81", Origin(is_tls=False, host="::1", port=81)),
        ("http://h/a%3Ab/ü d", "POST /a%3Ab/%C3%BC%20d HTTP/1.1", "h", Origin(is_tls=False, host="h", port=80)),
        ("http://bücher.example/", "POST / HTTP/1.1", "xn--bcher-kva.example", None),
        ("http://u:p@h/#part", "POST / HTTP/1.1", "h", None),
    ],
)
def test_the_line_and_the_host(url: str, line: str, host: str, origin: Origin | None):
    assert lines(url)[:2] == [line, f"Host: {host}"]
    if origin is not None:
        assert RequestHead(Target(url, {})).origin == origin


def test_headers_of_the_target_come_before_ours():
    sent = lines("http://u:p@h/", {"Host": "other", "Authorization": "Bearer x", "USER-AGENT": " me "})
    assert sorted(sent[1:-3]) == [
        "Accept-Encoding: identity",
        "Accept: */*",
        "Authorization: Bearer x",
        "Host: other",
        "USER-AGENT: me",
    ]


def test_a_body_always_has_its_length():
    assert lines("http://h/", body=b"")[-3:] == ["Content-Length: 0", "", ""]
    assert lines("http://h/", body=b"x" * 999)[-3:] == ["Content-Length: 999", "", "x" * 999]
    assert lines("http://h/", method="GET", body=b"{}")[-3] == "Content-Length: 2"


@pytest.mark.parametrize(
    "headers",
    [
        {"x-a": "b\r\nx-b: c"},
        {"x-a": "b\nc"},
        {"x-a": "b\x00"},
        {"x-a": "€"},
        {"x a": "b"},
        {"x-a:": "b"},
        {"": "b"},
        {"Content-Length": "9"},
        {"Transfer-Encoding": "chunked"},
        {"connection": "close"},
    ],
)
def test_a_header_that_cannot_be_sent_is_refused(headers: dict[str, str]):
    with pytest.raises(ValueError, match="cannot be sent"):
        lines("http://h/", headers)


@pytest.mark.parametrize("url", ["", "h", "ftp://h/", "http:///v1", "http://h h/", "http://h:70000/", "http://[::1/"])
def test_what_is_no_url_is_refused(url: str):
    with pytest.raises(ValueError):
        lines(url)


def test_a_method_is_one_word():
    with pytest.raises(ValueError, match="no URL"):
        lines("http://h/", method="GET / HTTP/1.1\r\nx: y\r\n\r\nPOST")


def test_it_shows_no_key():
    head = RequestHead(Target("http://me:hunter2@h/", {"authorization": "Bearer sk-canary"}))
    assert "sk-canary" not in repr(head)
    assert "hunter2" not in repr(head)
