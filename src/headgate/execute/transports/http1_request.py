"""The bytes of a request."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterator
from typing import Final, NamedTuple
from urllib.parse import SplitResult, quote, unquote, urlsplit

from headgate import __version__
from headgate.execute.transport import Target

_PORTS: Final = {"http": 80, "https": 443}
_HOST: Final = re.compile(r"[\w.:%~-]+", re.ASCII)
_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~\w-]+", re.ASCII)
_VALUE: Final = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
_RESERVED: Final = "!#$%&'()*+,/:;=?@[]~"
"""What of a path and a query stands as it was written; a ``%`` is taken for an escape."""

_FRAMING: Final = {"content-length", "transfer-encoding", "connection", "upgrade", "expect"}
_BODILESS: Final = {"GET", "HEAD", "DELETE", "OPTIONS"}


class Origin(NamedTuple):
    """What connections lead to."""

    is_tls: bool
    host: str
    port: int


class RequestHead:
    """What is the same in every request to a target; it shows nothing, since it holds the key.

    Raises
    ------
    ValueError
        If the URL is none of HTTP, or a header cannot be sent or is for the transport to send.
    """

    __slots__ = ("_always_has_body", "_head", "method", "origin")

    def __init__(self, target: Target) -> None:
        parts = urlsplit(target.url)
        host = (parts.hostname or "").encode("idna").decode() if not target.url.isascii() else parts.hostname or ""
        if parts.scheme not in _PORTS or not _HOST.fullmatch(host) or not _TOKEN.fullmatch(target.method):
            raise ValueError("no URL of HTTP")
        default = _PORTS[parts.scheme]
        self.origin = Origin(parts.scheme == "https", host, parts.port or default)
        self.method = target.method.upper()
        self._always_has_body = self.method not in _BODILESS
        path = quote(parts.path or "/", safe=_RESERVED)
        query = f"?{quote(parts.query, safe=_RESERVED)}" if parts.query else ""
        lines = [f"{self.method} {path}{query} HTTP/1.1", *_fields(target, parts, self.origin, default), ""]
        self._head = "\r\n".join(lines).encode("latin-1")

    def with_body(self, body: bytes) -> bytes:
        """Return a whole request."""
        if body or self._always_has_body:
            return b"%bContent-Length: %d\r\n\r\n%b" % (self._head, len(body), body)
        return self._head + b"\r\n"


def _fields(target: Target, parts: SplitResult, origin: Origin, default_port: int) -> Iterator[str]:
    own = {name.lower() for name in target.headers}
    for name, value in target.headers.items():
        if name.lower() in _FRAMING or not _TOKEN.fullmatch(name) or not _VALUE.fullmatch(value):
            raise ValueError("a header that cannot be sent")
    host = f"[{origin.host}]" if ":" in origin.host else origin.host
    ours = {
        "Host": host if origin.port == default_port else f"{host}:{origin.port}",
        "User-Agent": f"headgate/{__version__}",
        "Accept": "*/*",
        "Accept-Encoding": "identity",  # to unpack costs more than it saves; some pack where nothing is said
    }
    if parts.username is not None:
        login = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        ours["Authorization"] = f"Basic {b64encode(login.encode()).decode()}"
    kept = {name: value for name, value in ours.items() if name.lower() not in own}
    for name, value in (*kept.items(), *target.headers.items()):
        yield f"{name}: {value.strip()}"
