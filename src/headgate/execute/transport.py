"""The transport seam: bytes in; status, headers and bytes out."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, Protocol
from urllib.parse import urlsplit

import msgspec

MAX_BODY: Final = 64 << 20
"""Most bytes of a response body; a server that sends more is cut off."""

CONNECT_TIMEOUT_S: Final = 30.0
"""Generous, because a blocked event loop fails connects that were long made."""

LOOPBACK: Final = ("127.0.0.1", "localhost", "[::1]")
"""Hosts that no proxy can reach for us."""

_URL: Final = re.compile(r"\w+://\S+")

TransportKind = Literal["connect", "dns", "tls", "timeout", "dropped"]


def is_loopback(host: str | None) -> bool:
    """Tell whether a host, without brackets, is one that no proxy can reach for us."""
    return host in {name.strip("[]") for name in LOOPBACK}


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Target:
    """Where requests go and with which headers: made once, sent to many times.

    It is equal to itself only, and shows nothing: the URL may hold a login, the headers a key.
    """

    url: str
    headers: Mapping[str, str]
    method: str = "POST"

    @property
    def is_loopback(self) -> bool:
        """Whether it is this machine."""
        return is_loopback(urlsplit(self.url).hostname)


class Request(msgspec.Struct, frozen=True, gc=False):
    """One HTTP request, ready to send."""

    target: Target
    body: bytes


class Response(msgspec.Struct, frozen=True):
    """One HTTP response, read to its end.

    Attributes
    ----------
    headers : mapping
        Names in lower case. A value that is not ASCII is read as it can be, or left out; it can always be stored.
    ttfb_s : float, optional
        Seconds until the headers had come; None where the transport does not say.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    ttfb_s: float | None = None


class TransportError(Exception):
    """No complete response came.

    Its message never holds a URL, which may hold a login.

    Attributes
    ----------
    kind : str
        ``connect`` (nothing listens, or does not take the connection), ``dns``, ``tls``, ``timeout``, or ``dropped``
        (the connection broke, or the body was cut short or too large).
    """

    def __init__(self, kind: TransportKind, message: str) -> None:
        super().__init__(_URL.sub("(URL)", message))
        self.kind: TransportKind = kind


class Transport(Protocol):
    """Sends requests over a pool of connections; one per engine."""

    async def send(self, request: Request, *, timeout_s: float) -> Response:
        """Send one request and read the whole response; redirects are not followed.

        Raises
        ------
        TransportError
            If no complete response came within ``timeout_s`` seconds.
        """
        ...

    async def aclose(self) -> None:
        """Close all connections."""
        ...
