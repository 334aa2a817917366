"""The fast transport, on pyreqwest: Rust's reqwest, in a thread of its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from functools import cached_property, lru_cache
from typing import Any, Final

from pyreqwest.client import Client, ClientBuilder
from pyreqwest.exceptions import PyreqwestError, RequestTimeoutError
from pyreqwest.http import HeaderMap
from pyreqwest.request import RequestBody, StreamRequest
from pyreqwest.response import Response as PyreqwestResponse

from headgate.execute.transport import CONNECT_TIMEOUT_S, MAX_BODY, Request, Response, Target, TransportError
from headgate.execute.transports.cancellation import KeptCancellation

_UNKNOWN_HOST: Final = ("dns error", "name resolution", "not known", "no address associated")
_with_body: Final = StreamRequest.from_request_and_body


class PyreqwestTransport:
    """Keep-alive connections of HTTP/1.1; proxies come from the environment, cookies and redirects are off.

    TLS trusts what the system trusts, or the files that ``SSL_CERT_FILE`` and ``SSL_CERT_DIR`` name.

    It does not bound the requests in flight: the engine's workers do, and a bound here would count cancelled ones. One
    that is cancelled goes on unseen until its own timeout, since pyreqwest has no way to take it back.

    Parameters
    ----------
    connections : int
        Idle connections that are kept, per host.
    """

    def __init__(self, *, connections: int, connect_timeout_s: float = CONNECT_TIMEOUT_S) -> None:
        self._connections, self._connect_timeout_s = connections, connect_timeout_s
        self._template = lru_cache(maxsize=256)(self._make_template)

    async def send(self, request: Request, *, timeout_s: float) -> Response:
        """Send one request; see :class:`~headgate.execute.transport.Transport`."""
        with KeptCancellation():
            try:
                template = self._template(request.target, timeout_s)
                async with _with_body(template, RequestBody.from_bytes(request.body)) as response:
                    # It gives the first 64 kB or all of it, whichever comes first: when it began to come is not known.
                    return Response(response.status, Headers(response.headers), await _read(response))
            except (PyreqwestError, ValueError) as error:
                raise translate(error, timeout_s) from None  # its own message holds the URL

    async def aclose(self) -> None:
        """Fail what is in flight, and let the connections go."""
        for name in ("_near", "_far"):
            client: Client | None = self.__dict__.pop(name, None)
            if client is not None:
                await client.close()
        self._template.cache_clear()

    def _make_template(self, target: Target, timeout_s: float) -> StreamRequest:
        """Build a request without a body: a copy of it costs half of building it anew."""
        client = self._near if target.is_loopback else self._far
        builder = client.request(target.method, target.url).headers(target.headers)
        return builder.timeout(timedelta(seconds=timeout_s)).build_streamed()

    @cached_property
    def _near(self) -> Client:
        return self._builder().no_proxy().build()

    @cached_property
    def _far(self) -> Client:
        return self._builder().build()

    def _builder(self) -> ClientBuilder:
        return client_builder(self._connections, connect_timeout_s=self._connect_timeout_s)


def client_builder(connections: int, *, connect_timeout_s: float = CONNECT_TIMEOUT_S) -> ClientBuilder:
    """Return the settings of a pool."""
    return (
        ClientBuilder()
        .pool_max_idle_per_host(connections)
        .connect_timeout(timedelta(seconds=connect_timeout_s))
        .follow_redirects(False)
        .referer(False)
        .http1_only()
    )


def translate(error: Exception, timeout_s: float) -> TransportError:
    """Say what an error of pyreqwest means, without the lines that hold the URL.

    Whether a connection stood, its causes tell; their classes do not: a broken connection is a ``ConnectError`` too.
    """
    causes = _causes(error)
    connecting = any("(Connect)" in cause for cause in causes)
    message = causes[-1] if causes else type(error).__name__
    if isinstance(error, RequestTimeoutError):
        if connecting:
            return TransportError("connect", "no connection came about in time")
        return TransportError("timeout", f"no complete answer within {timeout_s:g} s")
    if isinstance(error, ValueError):  # it may repeat a login, or a header with a key
        return TransportError("connect", "that is no URL, or no header")
    return unreached(message, *causes) if connecting else TransportError("dropped", message)


def unreached(message: str, *causes: str) -> TransportError:
    """Say why no connection came about: the name, the certificate, or nobody there."""
    text = " ".join((message, *causes)).lower()
    if any(words in text for words in _UNKNOWN_HOST):
        return TransportError("dns", message)
    return TransportError("tls" if "certificate" in text or "tls" in text else "connect", message)


def _causes(error: Exception) -> list[str]:
    """Return what lies behind an error, outermost first, without the line that holds the URL."""
    details = getattr(error, "details", None)
    causes = details.get("causes") if isinstance(details, dict) else None
    messages = [str(cause["message"]) for cause in causes or ()]
    return [message for message in messages if " for url " not in message]


class Headers(Mapping[str, str]):
    """Response headers, read when somebody asks; a value that is not ASCII cannot be read, and is left out.

    Parameters
    ----------
    found : HeaderMap
        As pyreqwest has them: of a name that comes twice, the first counts.
    """

    __slots__ = ("_found",)

    def __init__(self, found: HeaderMap) -> None:
        self._found = found

    def get(self, key: str, default: Any = None) -> Any:
        """Return a value, as ``dict.get`` does."""
        try:
            return self._found.get(key, default)
        except ValueError:
            return default

    def __getitem__(self, key: str) -> str:
        value: str | None = self.get(key)
        if value is None:
            raise KeyError(key)
        return value

    def __iter__(self) -> Iterator[str]:
        return (name for name in dict.fromkeys(self._found) if self.get(name) is not None)

    def __len__(self) -> int:
        return sum(1 for _ in self)


async def _read(response: PyreqwestResponse) -> bytes:
    length = response.get_header("content-length")  # gone from a body that was unpacked
    if length is not None and int(length) <= MAX_BODY:
        return (await response.bytes()).to_bytes()
    pieces: list[bytes] = []
    size = 0
    while (piece := await response.body_reader.read_chunk()) is not None:
        pieces.append(piece.to_bytes())
        size += len(piece)
        if size > MAX_BODY:
            raise TransportError("dropped", f"the body is larger than {MAX_BODY >> 20} MiB")
    return b"".join(pieces)
